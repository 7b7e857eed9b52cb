//! A certificate authority of the injector's own: drawn, kept in a Secret, exchanged before it expires.
//!
//! Guarantees: a certificate is served only if it verifies against the authorities that the API server was told of; a new authority is
//! told before anything that it signed is served, and an old one until it expires, so an exchange breaks no connection. What cannot be
//! used is drawn again. Keys are wiped from memory where they are kept.
//! Does not do: reading or writing the Secret ([`super::rotation`] does), whose JSON passes through memory that is not wiped; deciding
//! what time it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Authorities that are trusted at a time: the newest, the one before, and one that was drawn in a hurry.
const AUTHORITIES_MAX: usize = 3;

/// How long before it was drawn a certificate is valid, for clocks that are late.
const BACKDATE_S: u64 = 300;

/// The longest lifetime, so that its end is a date that certificates can say.
pub const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The shortest one: what is exchanged at two thirds of it has to have reached everybody.
pub const LIFETIME_MIN: Duration = Duration::from_secs(10);

/// How long what is drawn lives, and for which names.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Of an authority.
    pub authority: Duration,
    /// Of a serving certificate.
    pub serving: Duration,
    /// How long an authority is told before what it signed is served.
    pub settle: Duration,
    /// DNS names and addresses of the server.
    pub names: Vec<String>,
}

/// What stands in the Secret.
#[derive(Clone)]
pub struct Material {
    /// The newest first.
    authorities: Vec<Authority>,
    /// The key of the newest.
    key: Zeroizing<String>,
    serving: Option<Serving>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    /// PEM.
    certificate: String,
    /// Seconds since 1970.
    drawn: u64,
    expires: u64,
}

#[derive(Clone)]
struct Serving {
    certificate: String,
    key: Zeroizing<String>,
    life: Life,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Life {
    /// When its authority was drawn.
    authority: u64,
    issued: u64,
    expires: u64,
}

/// What the names of the files in the Secret do not say.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    authorities: Vec<Authority>,
    serving: Option<Life>,
}

/// The files of the Secret, by name.
#[derive(Default)]
pub struct Files {
    /// The certificates of the authorities, as PEM. For people; [`Files::state`] has them too.
    pub authorities: String,
    /// The key of the newest authority, as PEM.
    pub authority_key: Zeroizing<String>,
    /// The serving certificate, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: Zeroizing<String>,
    /// JSON: the authorities with their times, and the times of the serving certificate.
    pub state: String,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Zeroizing<String>,
}

/// What has to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// An authority has to be drawn.
    Authority,
    /// A serving certificate has to be drawn.
    Serving,
}

impl Material {
    /// Draws an authority and a serving certificate, for a Secret that has nothing.
    ///
    /// # Errors
    /// [`AuthorityError`] if there is no randomness or a name is none.
    pub fn draw(now: UnixTime, terms: &Terms) -> Result<Self, AuthorityError> {
        let (authority, key) = authority(now, terms)?;
        Self { authorities: vec![authority], key, serving: None }.with_serving(now, terms)
    }

    /// Reads the files of the Secret. What does not fit together is nothing.
    #[must_use]
    pub fn read(files: Files, terms: &Terms) -> Option<Self> {
        let state: State = serde_json::from_str(&files.state).ok()?;
        let is_usable = (1..=AUTHORITIES_MAX).contains(&state.authorities.len())
            && state.authorities.iter().all(Authority::is_one);
        KeyPair::from_pem(&files.authority_key).ok().filter(|_| is_usable)?;
        let mut read = Self { authorities: state.authorities, key: files.authority_key, serving: None };
        read.serving = state.serving.and_then(|life| {
            let serving = Serving { certificate: files.certificate, key: files.key, life };
            // The middle of its life is a time at which it has to be good; whether it is now is asked for each step.
            let middle = UnixTime::since_unix_epoch(Duration::from_secs(life.issued.midpoint(life.expires)));
            serving.verified(&read.authorities, middle, terms).map(|()| serving)
        });
        Some(read)
    }

    /// The files of the Secret.
    ///
    /// # Errors
    /// [`AuthorityError::Defect`], which would be one.
    pub fn files(&self) -> Result<Files, AuthorityError> {
        let state =
            State { authorities: self.authorities.clone(), serving: self.serving.as_ref().map(|s| s.life) };
        let (certificate, key) = match &self.serving {
            None => Default::default(),
            Some(serving) => (serving.certificate.clone(), serving.key.clone()),
        };
        let state = serde_json::to_string(&state).map_err(|_| AuthorityError::Defect)?;
        Ok(Files { authorities: self.bundle(), authority_key: self.key.clone(), certificate, key, state })
    }

    /// The certificates to trust, as PEM.
    #[must_use]
    pub fn bundle(&self) -> String {
        self.authorities.iter().map(|authority| authority.certificate.as_str()).collect()
    }

    /// What has to be done. `is_told` says that the API server was told of this bundle.
    #[must_use]
    pub fn step(&self, now: UnixTime, terms: &Terms, is_told: bool) -> Step {
        let now = now.as_secs();
        let Some(newest) = self.authorities.first() else { return Step::Authority };
        if is_due(now, newest.drawn, newest.expires) {
            return Step::Authority;
        }
        let Some(Serving { life, .. }) = &self.serving else { return Step::Serving };
        let is_gone = now >= life.expires || now < life.issued.saturating_sub(BACKDATE_S);
        let is_settled = is_told && now >= newest.drawn.saturating_add(terms.settle.as_secs());
        let is_of_newest = life.authority == newest.drawn;
        let is_wanted = !is_of_newest || is_due(now, life.issued, life.expires);
        match is_gone || (is_wanted && (is_settled || is_of_newest)) {
            true => Step::Serving,
            false => Step::Keep,
        }
    }

    /// The same with a new authority before the others. Those that expired are dropped.
    ///
    /// # Errors
    /// As [`Material::draw`].
    pub fn with_authority(mut self, now: UnixTime, terms: &Terms) -> Result<Self, AuthorityError> {
        let (newest, key) = authority(now, terms)?;
        self.authorities.retain(|authority| now.as_secs() < authority.expires);
        self.authorities.truncate(AUTHORITIES_MAX - 1);
        self.authorities.insert(0, newest);
        self.key = key;
        Ok(self)
    }

    /// The same with a new serving certificate.
    ///
    /// # Errors
    /// As [`Material::draw`], and [`AuthorityError::Unfit`] if the authority's key is another's.
    pub fn with_serving(mut self, now: UnixTime, terms: &Terms) -> Result<Self, AuthorityError> {
        let newest = self.authorities.first().ok_or(AuthorityError::Unfit)?;
        let expires = now.as_secs().saturating_add(terms.serving.as_secs()).min(newest.expires);
        let life = Life { authority: newest.drawn, issued: now.as_secs(), expires };
        let issuer = Issuer::new(
            authority_params(newest.drawn, newest.expires),
            KeyPair::from_pem(&self.key).map_err(|_| AuthorityError::Unfit)?,
        );
        let mut params = CertificateParams::new(terms.names.clone()).map_err(|_| AuthorityError::Name)?;
        params.distinguished_name = common_name("ledgerstone-injector");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_life(&mut params, life.issued, expires);
        let pair = KeyPair::generate().map_err(|_| AuthorityError::Defect)?;
        let signed = params.signed_by(&pair, &issuer).map_err(|_| AuthorityError::Defect)?;
        let serving = Serving { certificate: signed.pem(), key: Zeroizing::new(pair.serialize_pem()), life };
        serving.verified(&self.authorities, now, terms).ok_or(AuthorityError::Unfit)?;
        self.serving = Some(serving);
        Ok(self)
    }

    /// What to serve with, if it verifies now.
    #[must_use]
    pub fn pair(&self, now: UnixTime, terms: &Terms) -> Option<Pair> {
        let serving = self.serving.as_ref()?;
        serving.verified(&self.authorities, now, terms)?;
        Some(Pair { certificate: serving.certificate.clone(), key: serving.key.clone() })
    }

    /// When the serving certificate expires, in seconds since 1970.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.serving.as_ref().map(|serving| serving.life.expires)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("authorities", &self.authorities.len()).finish_non_exhaustive()
    }
}

impl Authority {
    fn is_one(&self) -> bool {
        let lives = Duration::from_secs(self.expires.saturating_sub(self.drawn));
        (LIFETIME_MIN..=LIFETIME_MAX).contains(&lives)
            && CertificateDer::from_pem_slice(self.certificate.as_bytes()).is_ok()
    }
}

impl Serving {
    /// Something if it is good for every name at `now`.
    fn verified(&self, authorities: &[Authority], now: UnixTime, terms: &Terms) -> Option<()> {
        let provider = CryptoProvider::get_default()?;
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok()?;
        let certified = CertifiedKey::from_der(chain, key, provider).ok()?;
        let mut roots = RootCertStore::empty();
        for authority in authorities.iter().filter(|authority| now.as_secs() < authority.expires) {
            roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).ok()?).ok()?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .ok()?;
        let [leaf, between @ ..] = certified.cert.as_slice() else { return None };
        for name in &terms.names {
            let name = ServerName::try_from(name.as_str()).ok()?;
            verifier.verify_server_cert(leaf, between, &name, &[], now).ok()?;
        }
        Some(())
    }
}

/// Whether two thirds of a life are over, or it has not begun.
fn is_due(now: u64, begun: u64, ends: u64) -> bool {
    let third = ends.saturating_sub(begun) / 3;
    now.saturating_add(third) >= ends || now < begun.saturating_sub(BACKDATE_S)
}

fn authority(now: UnixTime, terms: &Terms) -> Result<(Authority, Zeroizing<String>), AuthorityError> {
    let drawn = now.as_secs();
    let expires = drawn.saturating_add(terms.authority.as_secs());
    let pair = KeyPair::generate().map_err(|_| AuthorityError::Defect)?;
    let signed = authority_params(drawn, expires).self_signed(&pair).map_err(|_| AuthorityError::Defect)?;
    let authority = Authority { certificate: signed.pem(), drawn, expires };
    Ok((authority, Zeroizing::new(pair.serialize_pem())))
}

/// Follows from its times alone, so that who has the key can sign as it.
fn authority_params(drawn: u64, expires: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("ledgerstone-injector authority {drawn}"));
    // What it signs serves; no authority below it.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    set_life(&mut params, drawn, expires);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Says from when to when it is valid, with what late clocks need before.
fn set_life(params: &mut CertificateParams, begins: u64, ends: u64) {
    /// The first second of the year 9999, after which dates cannot be said; a clock that is past it has other troubles.
    const LAST_S: u64 = 253_370_764_800;
    let date = |seconds: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.min(LAST_S));
    (params.not_before, params.not_after) = (date(begins.saturating_sub(BACKDATE_S)), date(ends));
}

/// Why certificates cannot be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A name of the server is none.
    #[error("a name of the server is neither a DNS name nor an address: correct --server-name")]
    Name,
    /// The key is not the authority's.
    #[error("the authority's key in the Secret is another's; a new authority is drawn")]
    Unfit,
    /// No randomness, or something that cannot be.
    #[error("a certificate cannot be drawn; report this")]
    Defect,
}

impl AuthorityError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Name => Code::Misuse,
            Self::Unfit => Code::Inconsistent,
            Self::Defect => Code::Internal,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
