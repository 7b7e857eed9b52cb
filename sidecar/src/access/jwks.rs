//! The keys that an issuer signs tokens with.
//!
//! Guarantees: a document is bounded before it is read; only public keys for signatures of the algorithms of [`Algorithm`] are taken,
//! whatever else stands there is passed over; two keys under one name make the whole set unusable, because a token that names them would mean
//! either. Does not do: fetching. Specification: RFC 7517, RFC 7518 (sections 6.2, 6.3), RFC 8037 (section 2).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledgerstone::code::Code;
use serde::Deserialize;
use serde_json::Value as Json;

use super::signature::{Algorithm, der_rsa};

/// Bytes of a document: 64 RSA keys with their certificate chains.
pub const JWKS_BYTES_MAX: usize = 512 * 1024;

/// Keys in a document, of any kind.
pub const JWKS_KEYS_MAX: usize = 64;

/// Characters of a key's name.
pub(super) const KEY_ID_MAX: usize = 256;

/// Bytes of an RSA modulus: 8,192 bits, the most that the crypto provider takes; and the least.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Bytes of an RSA exponent: 65,537 has three.
const EXPONENT_BYTES_MAX: usize = 5;

/// Bytes of a coordinate on P-256, and of a key on Curve25519.
const COORDINATE_BYTES: usize = 32;

/// The usable keys of a document.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    named: BTreeMap<String, Key>,
    /// Keys without a name.
    unnamed: Vec<Key>,
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    kind: Kind,
    /// What the issuer restricts it to.
    algorithm: Option<Algorithm>,
    /// As the crypto provider takes it.
    pub(super) public: Vec<u8>,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Json>,
}

/// The members that are looked at (RFC 7517, section 4). Private ones are not.
#[derive(Deserialize)]
struct Member {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a document.
    ///
    /// # Errors
    /// [`JwksError`] if it is none, or holds no key that could be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        let Document { keys } = serde_json::from_slice(bytes).map_err(|_| JwksError::Malformed)?;
        if keys.len() > JWKS_KEYS_MAX {
            return Err(JwksError::TooManyKeys { count: keys.len() });
        }
        let mut set = Self::default();
        // A member that is no key of ours, such as one for encryption, is no reason to refuse the others.
        let members = keys.into_iter().filter_map(|json| serde_json::from_value::<Member>(json).ok());
        for member in members.filter(Member::is_for_signatures) {
            let Some(key) = member.key() else { continue };
            match member.kid {
                None => set.unnamed.push(key),
                Some(id) if id.is_empty() || id.len() > KEY_ID_MAX => {}
                Some(id) => {
                    if set.named.insert(id, key).is_some() {
                        return Err(JwksError::KeyTwice);
                    }
                }
            }
        }
        if set.is_empty() { Err(JwksError::NoKeys) } else { Ok(set) }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key that a token means: the one it names, or the only one that fits where it names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let fits = |key: &&Key| key.kind.is_for(algorithm) && key.algorithm.is_none_or(|of| of == algorithm);
        if let Some(id) = id {
            return self.named.get(id).filter(fits);
        }
        let mut fitting = self.named.values().chain(&self.unnamed).filter(fits);
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

impl Kind {
    const fn is_for(self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Rsa, Algorithm::Rs256 | Algorithm::Ps256)
                | (Self::P256, Algorithm::Es256)
                | (Self::Ed25519, Algorithm::EdDsa)
        )
    }
}

impl Member {
    fn is_for_signatures(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
    }

    fn key(&self) -> Option<Key> {
        let algorithm = match self.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::from_name(name)?),
        };
        let (kind, public) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Kind::Rsa, self.rsa()?),
            ("EC", Some("P-256")) => (Kind::P256, self.p256()?),
            ("OKP", Some("Ed25519")) => {
                let x = decoded(self.x.as_deref()?).filter(|x| x.len() == COORDINATE_BYTES)?;
                (Kind::Ed25519, x)
            }
            _ => return None,
        };
        algorithm.is_none_or(|algorithm| kind.is_for(algorithm)).then_some(Key { kind, algorithm, public })
    }

    fn rsa(&self) -> Option<Vec<u8>> {
        let modulus = decoded(self.n.as_deref()?)?;
        let exponent = decoded(self.e.as_deref()?)?;
        let fits = modulus.first().is_some_and(|first| *first != 0)
            && MODULUS_BYTES.contains(&modulus.len())
            && (1..=EXPONENT_BYTES_MAX).contains(&exponent.len());
        fits.then(|| der_rsa(&modulus, &exponent))
    }

    /// The uncompressed point (SEC 1, section 2.3.3).
    fn p256(&self) -> Option<Vec<u8>> {
        let (x, y) = (decoded(self.x.as_deref()?)?, decoded(self.y.as_deref()?)?);
        let fits = x.len() == COORDINATE_BYTES && y.len() == COORDINATE_BYTES;
        fits.then(|| [&[4], x.as_slice(), &y].concat())
    }
}

/// Base64url without padding, in its one spelling.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Why a document gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// More bytes than any issuer's keys have.
    #[error("the keys take more than {JWKS_BYTES_MAX} bytes: is this the issuer's jwks_uri?")]
    TooLarge,
    /// Not a JSON object with a list of keys.
    #[error("this is no JSON Web Key Set (RFC 7517): is this the issuer's jwks_uri?")]
    Malformed,
    /// More keys than any issuer has.
    #[error("{count} keys; a set has at most {JWKS_KEYS_MAX}")]
    TooManyKeys {
        /// How many there were.
        count: usize,
    },
    /// Two keys of one name.
    #[error("two keys have one kid, so that a token could mean either: have the issuer name them apart")]
    KeyTwice,
    /// None that could check a signature.
    #[error("no key in it is for signatures by RS256, PS256, ES256 or EdDSA")]
    NoKeys,
}

impl JwksError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge | Self::TooManyKeys { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
