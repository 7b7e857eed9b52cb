//! What a certificate says: names, SPIFFE id, how long it holds.
//!
//! Guarantees: a certificate that would be taken for an X.509-SVID and breaks a rule for one is refused, never read as one without a
//! SPIFFE id. Implements X.509-SVID, sections 2, 3.1 and 5.2. Does not do: checking signatures and chains, which `rustls` did.

use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;
use x509_cert::der::Decode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};
use x509_cert::{Certificate, TbsCertificate};

use super::spiffe::{SpiffeId, SpiffeIdError};
use crate::peer::PeerCertificate;

/// Names that one certificate may carry: it is kept for as long as its connection, at most [`DNS_NAME_BYTES_MAX`] a DNS name.
const NAMES_MAX: usize = 100;

/// RFC 1035, section 2.3.4.
const DNS_NAME_BYTES_MAX: usize = 255;

/// The first certificate of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// What it says.
    pub(crate) peer: Arc<PeerCertificate>,
    /// Its SPIFFE id, if it is an X.509-SVID.
    pub(crate) id: Option<SpiffeId>,
    /// When it ends.
    pub(crate) not_after: UnixMillis,
}

impl Leaf {
    /// Reads a certificate that was verified.
    pub(crate) fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let certificate = certificate.tbs_certificate();
        let not_after = end(certificate);
        let names = extension::<SubjectAltName>(certificate)?.map(|(_, names)| names.0).unwrap_or_default();
        if names.len() > NAMES_MAX {
            return Err(CertificateError::TooManyNames);
        }
        let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
        for name in names {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().to_owned()),
                GeneralName::DnsName(name) if is_dns_name(name.as_str()) => {
                    dns_names.push(name.as_str().to_owned())
                }
                _ => {}
            }
        }
        let id = spiffe_id(&uris)?;
        if id.is_some() {
            leaf_of_svid(certificate)?;
        }
        let fingerprint = Hash::of(der);
        let spiffe_id = id.as_ref().map(|id| id.as_str().to_owned());
        Ok(Self { peer: Arc::new(PeerCertificate { fingerprint, spiffe_id, dns_names }), id, not_after })
    }
}

/// Whether it can be a DNS name. Others are nobody's name here: records and log lines name callers by theirs.
fn is_dns_name(name: &str) -> bool {
    name.len() <= DNS_NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl PeerCertificate {
    /// What the certificate `der` says. It must have been verified.
    ///
    /// # Errors
    /// [`CertificateError`] if it is malformed, or has a SPIFFE id and is no X.509-SVID of a workload.
    pub fn read(der: &[u8]) -> Result<Arc<Self>, CertificateError> {
        Leaf::read(der).map(|leaf| leaf.peer)
    }
}

/// When a certificate ends.
pub(crate) fn not_after(der: &[u8]) -> Result<UnixMillis, CertificateError> {
    let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
    Ok(end(certificate.tbs_certificate()))
}

fn end(certificate: &TbsCertificate) -> UnixMillis {
    let end = certificate.validity().not_after.to_unix_duration().as_millis();
    UnixMillis::new(u64::try_from(end).unwrap_or(u64::MAX))
}

/// The SPIFFE id among the URI names. A certificate that names one must name nothing else by URI.
fn spiffe_id(uris: &[String]) -> Result<Option<SpiffeId>, CertificateError> {
    let looks_like_one =
        |uri: &String| uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    match uris {
        [uri] if looks_like_one(uri) => {
            let id = SpiffeId::parse(uri)?;
            if id.path().is_empty() { Err(CertificateError::NoPath) } else { Ok(Some(id)) }
        }
        _ if uris.iter().any(looks_like_one) => Err(CertificateError::ManyUris),
        _ => Ok(None),
    }
}

/// What an X.509-SVID that authenticates somebody must be (X.509-SVID, section 5.2).
fn leaf_of_svid(certificate: &TbsCertificate) -> Result<(), CertificateError> {
    let is_authority =
        extension::<BasicConstraints>(certificate)?.is_some_and(|(_, constraints)| constraints.ca);
    let signs = extension::<KeyUsage>(certificate)?
        .is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign());
    if is_authority || signs {
        return Err(CertificateError::SigningSvid);
    }
    Ok(())
}

fn extension<'a, T: Decode<'a> + AssociatedOid>(
    certificate: &'a TbsCertificate,
) -> Result<Option<(bool, T)>, CertificateError> {
    certificate.get_extension::<T>().map_err(|_| CertificateError::Malformed)
}

/// Why a certificate is refused that was signed by an authority that is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is no X.509 certificate, or has an extension twice.
    #[error("the certificate is not well formed (RFC 5280)")]
    Malformed,
    /// More names than anybody needs.
    #[error("the certificate has more than {NAMES_MAX} names")]
    TooManyNames,
    /// A SPIFFE id beside another URI.
    #[error("the certificate has a SPIFFE id and another URI name (X.509-SVID, section 2)")]
    ManyUris,
    /// A SPIFFE id that is none.
    #[error("the certificate's SPIFFE id is malformed: {0}")]
    Id(#[from] SpiffeIdError),
    /// A SPIFFE id without a path, which names a trust domain and not a workload.
    #[error("the certificate's SPIFFE id has no path (X.509-SVID, section 3.1)")]
    NoPath,
    /// A signing certificate that is used as a leaf.
    #[error("the certificate has a SPIFFE id and may sign others (X.509-SVID, section 5.2)")]
    SigningSvid,
}

impl CertificateError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooManyNames => Code::Limit,
            _ => Code::Untrusted,
        }
    }
}
