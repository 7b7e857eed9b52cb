//! Authorities, certificates and revocation lists of this test's own.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};

/// An hour, in seconds.
pub(crate) const HOUR: i64 = 3600;

/// An authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) cert: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
    pub(crate) key_der: Vec<u8>,
    serial: u64,
}

/// What a certificate is to say.
pub(crate) struct Wanted {
    pub(crate) dns: Vec<String>,
    pub(crate) uris: Vec<String>,
    /// Seconds from now.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) is_authority: bool,
    pub(crate) usages: Vec<ExtendedKeyUsagePurpose>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            dns: vec!["localhost".into()],
            uris: Vec::new(),
            from: -HOUR,
            to: HOUR,
            is_authority: false,
            usages: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

impl Wanted {
    pub(crate) fn uri(uri: &str) -> Self {
        Self { uris: vec![uri.to_owned()], ..Self::default() }
    }
}

fn at(seconds_from_now: i64) -> time::OffsetDateTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let then = now.checked_add_signed(seconds_from_now).unwrap();
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(then)
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// An authority that this one vouches for.
    pub(crate) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::signed_by(authority(name), key, &self.issuer).unwrap() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A certificate that holds for localhost, from an hour ago for two hours.
    pub(crate) fn good(&self) -> Identity {
        self.issue(&Wanted::default())
    }

    pub(crate) fn issue(&self, wanted: &Wanted) -> Identity {
        let mut params = CertificateParams::new(wanted.dns.clone()).unwrap();
        for uri in &wanted.uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        params.not_before = at(wanted.from);
        params.not_after = at(wanted.to);
        params.distinguished_name.push(DnType::CommonName, "somebody");
        params.extended_key_usages = wanted.usages.clone();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if wanted.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }
        let mut serial = [0; 8];
        getrandom::fill(&mut serial).unwrap();
        let serial = u64::from_be_bytes(serial) >> 1;
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            cert: cert.pem(),
            key: key.serialize_pem(),
            der: cert.der().to_vec(),
            key_der: key.serialize_der(),
            serial,
        }
    }

    /// A list of what was revoked that holds until `to` seconds from now.
    pub(crate) fn revoked(&self, identities: &[&Identity], to: i64) -> String {
        let revoked = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from(identity.serial),
            revocation_time: at(-60),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: at(-2 * HOUR),
            next_update: at(to),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: identities.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Identity {
    /// The same with the certificate of `authority` behind it.
    pub(crate) fn through(&self, authority: &Authority) -> Self {
        Self { cert: format!("{}{}", self.cert, authority.pem()), ..self.clone() }
    }

    /// Writes `NAME.pem` and `NAME.key` into `folder`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (cert, key)
    }
}
