//! Private keys, kept as the 32-byte seed both algorithms derive everything from.
//!
//! Guarantees: signing is deterministic (recovery must sign the same bytes again); the seed and what is derived from it
//! are wiped on drop; `Debug` shows the public half only. Does not do: make keys, because the library has no randomness.

use core::convert::Infallible;
use core::fmt;

use libcrux_ml_dsa::ml_dsa_44::{self, MLDSA44SigningKey};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyId, KeyName, KeyNameError, SignatureType, VerifierKey, VerifierKeyError};
use crate::code::Code;
use crate::encoding::{base64_decode, base64_encode};

/// How the text of a private key starts, as Go's `sumdb/note` writes it.
const TEXT_START: &str = "PRIVATE+KEY+";

/// Bytes of the seed of either algorithm.
const SEED_BYTES: usize = 32;

/// Bytes of the randomness of a signature, all zero in the deterministic variant (FIPS 204, section 3.4).
const SIGNING_RANDOMNESS_BYTES: usize = 32;

/// Makes signatures over messages; the key may live elsewhere, in an HSM for example.
pub trait Signer {
    /// Why no signature came.
    type Error;

    /// The public key the signatures verify under.
    fn verifier_key(&self) -> &VerifierKey;

    /// Signs exactly `message`, the same bytes each time.
    ///
    /// # Errors
    /// When the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Self::Error>;
}

impl<S: Signer> Signer for &S {
    type Error = S::Error;

    fn verifier_key(&self) -> &VerifierKey {
        (**self).verifier_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Self::Error> {
        (**self).sign(message)
    }
}

/// A named private key in memory.
pub struct SigningKey {
    public: VerifierKey,
    secret: Secret,
}

/// `ed25519-dalek` wipes its key on drop (feature `zeroize`).
enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    MlDsa44(Box<MlDsaSecret>),
}

/// An ML-DSA-44 key: the seed, and the private key of FIPS 204, section 5.1, that it derives.
struct MlDsaSecret {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    key: MLDSA44SigningKey,
}

impl Drop for MlDsaSecret {
    fn drop(&mut self) {
        self.key.as_mut_slice().zeroize();
    }
}

impl SigningKey {
    /// The key that `seed` derives. The seed must be 32 bytes nobody can guess, used for this one key.
    ///
    /// # Errors
    /// When the derived public key is refused; for a random seed this does not happen.
    pub fn from_seed(
        name: KeyName,
        signature_type: SignatureType,
        seed: &[u8; SEED_BYTES],
    ) -> Result<Self, SigningKeyError> {
        let (secret, public) = match signature_type {
            SignatureType::Ed25519 | SignatureType::Ed25519Cosignature => {
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                let public = key.verifying_key().to_bytes().to_vec();
                (Secret::Ed25519(key), public)
            }
            SignatureType::MlDsa44Cosignature => {
                let pair = ml_dsa_44::generate_key_pair(*seed);
                let public = pair.verification_key.as_slice().to_vec();
                let secret = MlDsaSecret { seed: Zeroizing::new(*seed), key: pair.signing_key };
                (Secret::MlDsa44(Box::new(secret)), public)
            }
        };
        let public = VerifierKey::new(name, signature_type, &public).map_err(SigningKeyError::Public)?;
        Ok(Self { public, secret })
    }

    /// Reads `PRIVATE+KEY+name+key id+base64(type || seed)`; one newline at the end is allowed.
    ///
    /// # Errors
    /// Says which part is wrong, never what it holds.
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let rest = line.strip_prefix(TEXT_START).ok_or(SigningKeyError::Parts)?;
        let (name, rest) = rest.split_once('+').ok_or(SigningKeyError::Parts)?;
        let (id, encoded) = rest.split_once('+').ok_or(SigningKeyError::Parts)?;
        let name = KeyName::new(name).map_err(SigningKeyError::Name)?;
        let id = id.parse::<KeyId>().map_err(|_| SigningKeyError::KeyId)?;
        let material = Zeroizing::new(base64_decode(encoded).map_err(|_| SigningKeyError::Base64)?);
        let (&type_byte, seed) = material.split_first().ok_or(SigningKeyError::SeedLength)?;
        let signature_type =
            SignatureType::from_byte(type_byte).ok_or(SigningKeyError::UnknownType { byte: type_byte })?;
        let mut seed = <[u8; SEED_BYTES]>::try_from(seed).map_err(|_| SigningKeyError::SeedLength)?;
        let key = Self::from_seed(name, signature_type, &seed);
        seed.zeroize();
        let key = key?;
        if key.public.id() == id { Ok(key) } else { Err(SigningKeyError::OtherId) }
    }

    /// The secret where it lies in memory: for whoever has the operating system keep those pages off its disks.
    #[must_use]
    pub fn secrets(&self) -> Vec<&[u8]> {
        match &self.secret {
            Secret::Ed25519(key) => vec![key.as_bytes().as_slice()],
            Secret::MlDsa44(secret) => vec![secret.seed.as_slice(), secret.key.as_slice()],
        }
    }

    /// The text [`SigningKey::parse`] reads, without a newline; wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut material = Zeroizing::new(Vec::with_capacity(1 + SEED_BYTES));
        material.push(self.public.signature_type().byte());
        match &self.secret {
            Secret::Ed25519(key) => material.extend_from_slice(key.as_bytes()),
            Secret::MlDsa44(key) => material.extend_from_slice(key.seed.as_slice()),
        }
        let encoded = Zeroizing::new(base64_encode(&material));
        let (name, id) = (self.public.name(), self.public.id());
        Zeroizing::new(format!("{TEXT_START}{name}+{id}+{}", encoded.as_str()))
    }

    /// Signs exactly `message`.
    #[must_use]
    pub fn sign_message(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => ed25519_dalek::Signer::sign(key, message).to_bytes().to_vec(),
            Secret::MlDsa44(secret) => sign_ml_dsa(&secret.key, message),
        }
    }
}

/// FIPS 204, algorithm 2, in its deterministic variant with an empty context.
#[expect(
    clippy::expect_used,
    reason = "the context is short, and 814 rejections in a row happen once in 2^322 signatures"
)]
fn sign_ml_dsa(key: &MLDSA44SigningKey, message: &[u8]) -> Vec<u8> {
    let signature = ml_dsa_44::sign(key, message, &[], [0; SIGNING_RANDOMNESS_BYTES]);
    signature.expect("a signature is found").as_slice().to_vec()
}

impl Signer for SigningKey {
    type Error = Infallible;

    fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok(self.sign_message(message))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, private half hidden)", self.public)
    }
}

/// Why a text is not a private key. No variant carries any part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// Not `PRIVATE+KEY+` and three parts.
    #[error(
        "a private key reads `PRIVATE+KEY+name+key id+base64` on one line: check that this is the key file"
    )]
    Parts,
    /// The name is not a key name.
    #[error("{0}")]
    Name(KeyNameError),
    /// The key id is not eight lowercase hex digits.
    #[error("the key id is not eight lowercase hex digits: restore the key file from its backup")]
    KeyId,
    /// The key material is not canonical base64.
    #[error("the key material is not canonical base64: restore the key file from its backup")]
    Base64,
    /// A signature type that Ledgerstone does not sign with.
    #[error("signature type {byte:#04x} is not one of 0x01, 0x04 and 0x06")]
    UnknownType {
        /// The type byte.
        byte: u8,
    },
    /// The seed is not 32 bytes.
    #[error("the key material is not a type byte and a 32-byte seed: restore the key file from its backup")]
    SeedLength,
    /// The stated id is not that of this name and key.
    #[error(
        "the key id does not belong to this name and key: the file was changed, restore it from its backup"
    )]
    OtherId,
    /// The derived public key is refused.
    #[error("{0}")]
    Public(VerifierKeyError),
}

impl SigningKeyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OtherId => Code::Inconsistent,
            Self::Public(source) => source.code(),
            _ => Code::Malformed,
        }
    }
}
