//! Public keys as people pass them around: `name+key id+base64(type || key)`, called vkeys.
//!
//! Guarantees: the key id in a parsed vkey is the one computed from name, type and key; an Ed25519 key that is not
//! canonically encoded or of small order is refused, because signatures under it would mean nothing.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey as Ed25519Key;
use ml_dsa::{EncodedVerifyingKey, MlDsa44, Verifier as _, VerifyingKey as MlDsaKey};

use super::{KeyName, KeyNameError};
use crate::code::Code;
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::Hash;

/// Bytes of an Ed25519 public key (RFC 8032).
const ED25519_KEY_BYTES: usize = 32;

/// The first four bytes of the hash over name, type and key; an identifier, not a fingerprint to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u32);

impl KeyId {
    /// `SHA-256(name || 0x0A || type || key)[:4]`.
    #[must_use]
    pub fn compute(name: &KeyName, signature_type: SignatureType, key: &[u8]) -> Self {
        let mut preimage = name.as_str().as_bytes().to_vec();
        preimage.push(b'\n');
        preimage.push(signature_type.byte());
        preimage.extend_from_slice(key);
        let [a, b, c, d, ..] = *Hash::of(&preimage).as_bytes();
        Self::from_bytes([a, b, c, d])
    }

    /// The id whose big-endian bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// The id's big-endian bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = u32::from_str_radix(text, 16).map_err(|_| VerifierKeyError::KeyId)?;
        let id = Self(id);
        // Eight lowercase digits and nothing else: `from_str_radix` alone would take a sign or capitals.
        if id.to_string() == text { Ok(id) } else { Err(VerifierKeyError::KeyId) }
    }
}

/// What a key signs and with which algorithm: the signature type byte of signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureType {
    /// 0x01, Ed25519 over the note text.
    Ed25519,
    /// 0x04, Ed25519 cosignature with a timestamp (tlog-cosignature).
    Ed25519Cosignature,
    /// 0x06, ML-DSA-44 cosignature of a tree or subtree (tlog-cosignature).
    MlDsa44Cosignature,
}

impl SignatureType {
    /// The identifier byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Ed25519Cosignature => 0x04,
            Self::MlDsa44Cosignature => 0x06,
        }
    }

    /// The type with this identifier byte, if it is one of those Ledgerstone verifies.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Ed25519Cosignature),
            0x06 => Some(Self::MlDsa44Cosignature),
            _ => None,
        }
    }
}

impl fmt::Display for SignatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::Ed25519Cosignature => "Ed25519 cosignature",
            Self::MlDsa44Cosignature => "ML-DSA-44",
        })
    }
}

/// A named public key.
#[derive(Clone)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    signature_type: SignatureType,
    encoded: Arc<[u8]>,
    algorithm: Algorithm,
}

/// The key in the form its crate checks with. ML-DSA keys carry an expanded matrix of 16 KiB, hence the `Arc`.
#[derive(Clone)]
enum Algorithm {
    Ed25519(Ed25519Key),
    MlDsa44(Arc<MlDsaKey<MlDsa44>>),
}

impl VerifierKey {
    /// Names the public key `encoded` and computes its id.
    ///
    /// # Errors
    /// When the bytes are not a public key of that type.
    pub fn new(
        name: KeyName,
        signature_type: SignatureType,
        encoded: &[u8],
    ) -> Result<Self, VerifierKeyError> {
        let algorithm = match signature_type {
            SignatureType::Ed25519 | SignatureType::Ed25519Cosignature => {
                Algorithm::Ed25519(ed25519_key(encoded)?)
            }
            SignatureType::MlDsa44Cosignature => Algorithm::MlDsa44(ml_dsa_key(encoded)?),
        };
        Ok(Self {
            id: KeyId::compute(&name, signature_type, encoded),
            name,
            signature_type,
            encoded: encoded.into(),
            algorithm,
        })
    }

    /// Checks one signature over exactly `message`; what the message must be is up to the signature type.
    ///
    /// Ed25519 is checked strictly: no small-order points, no cofactor, canonical encodings only.
    ///
    /// # Errors
    /// When the signature has the wrong length or does not verify.
    pub fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.algorithm {
            Algorithm::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Length)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError::Invalid)
            }
            Algorithm::MlDsa44(key) => {
                if signature.len() != ML_DSA_44_SIGNATURE_BYTES {
                    return Err(SignatureError::Length);
                }
                let signature =
                    ml_dsa::Signature::<MlDsa44>::try_from(signature).map_err(|_| SignatureError::Invalid)?;
                key.verify(message, &signature).map_err(|_| SignatureError::Invalid)
            }
        }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What the key signs, and how.
    #[must_use]
    pub const fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// The public key itself: 32 bytes of Ed25519, 1,312 bytes of ML-DSA-44.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.encoded
    }
}

/// Bytes of an ML-DSA-44 signature (FIPS 204, table 2).
pub(super) const ML_DSA_44_SIGNATURE_BYTES: usize = 2420;

fn ed25519_key(encoded: &[u8]) -> Result<Ed25519Key, VerifierKeyError> {
    let bytes = <[u8; ED25519_KEY_BYTES]>::try_from(encoded).map_err(|_| VerifierKeyError::KeyLength)?;
    let key = Ed25519Key::from_bytes(&bytes).map_err(|_| VerifierKeyError::NotAPoint)?;
    // A key may decompress from a non-canonical encoding; compressing the point again shows it.
    if key.is_weak() || key.to_edwards().compress().to_bytes() != bytes {
        return Err(VerifierKeyError::WeakKey);
    }
    Ok(key)
}

fn ml_dsa_key(encoded: &[u8]) -> Result<Arc<MlDsaKey<MlDsa44>>, VerifierKeyError> {
    let bytes = EncodedVerifyingKey::<MlDsa44>::try_from(encoded).map_err(|_| VerifierKeyError::KeyLength)?;
    Ok(Arc::new(MlDsaKey::decode(&bytes)))
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(vkey: &str) -> Result<Self, Self::Err> {
        let (name, rest) = vkey.split_once('+').ok_or(VerifierKeyError::Parts)?;
        let (id, encoded) = rest.split_once('+').ok_or(VerifierKeyError::Parts)?;
        let name = KeyName::new(name).map_err(VerifierKeyError::Name)?;
        let id = id.parse::<KeyId>()?;
        let material = base64_decode(encoded).map_err(|_| VerifierKeyError::Base64)?;
        let (&type_byte, public) = material.split_first().ok_or(VerifierKeyError::KeyLength)?;
        let signature_type =
            SignatureType::from_byte(type_byte).ok_or(VerifierKeyError::UnknownType { byte: type_byte })?;
        let key = Self::new(name, signature_type, public)?;
        if key.id == id { Ok(key) } else { Err(VerifierKeyError::OtherId { stated: id, computed: key.id }) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = vec![self.signature_type.byte()];
        material.extend_from_slice(&self.encoded);
        write!(f, "{}+{}+{}", self.name, self.id, base64_encode(&material))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({}+{}, {})", self.name, self.id, self.signature_type)
    }
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.signature_type == other.signature_type
            && self.encoded == other.encoded
    }
}

impl Eq for VerifierKey {}

/// Why a text is not a vkey, or bytes are not a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierKeyError {
    /// Not three parts divided by plus.
    #[error("a public key reads `name+key id+base64`: copy it whole, on one line")]
    Parts,
    /// The first part is not a key name.
    #[error("{0}")]
    Name(KeyNameError),
    /// The second part is not eight lowercase hex digits.
    #[error("the key id is not eight lowercase hex digits: copy the key again")]
    KeyId,
    /// The third part is not canonical base64.
    #[error("the key material is not canonical base64: copy the key again")]
    Base64,
    /// A signature type that Ledgerstone does not verify.
    #[error(
        "signature type {byte:#04x} is not one of 0x01, 0x04 and 0x06: ask for a key of one of these types"
    )]
    UnknownType {
        /// The type byte.
        byte: u8,
    },
    /// The key has not the length of its type.
    #[error("the public key has not the length of its type: copy the key again")]
    KeyLength,
    /// Not a point of the curve.
    #[error("the bytes are not an Ed25519 public key: copy the key again")]
    NotAPoint,
    /// Small order or a non-canonical encoding: anyone could make signatures for it.
    #[error("this Ed25519 key is weak or not canonically encoded: nobody should trust it, ask for another")]
    WeakKey,
    /// The stated id is not that of this name and key.
    #[error("the key id says {stated}, name and key give {computed}: name, id or key was changed")]
    OtherId {
        /// What the text says.
        stated: KeyId,
        /// What name, type and key hash to.
        computed: KeyId,
    },
}

impl VerifierKeyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::WeakKey => Code::Untrusted,
            Self::OtherId { .. } => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// No signature line names the key.
    #[error("no signature by this key: check that the key and the note belong to the same log")]
    Absent,
    /// The signature has not the length of its type.
    #[error("the signature has the wrong length for its type")]
    Length,
    /// The signature is not over this message by this key.
    #[error("the signature does not verify: the text was changed, or another key signed it")]
    Invalid,
    /// The key's type signs another message than the note text.
    #[error("a cosignature key does not sign the note text itself: check it as a cosignature")]
    OtherMessage,
}

impl SignatureError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OtherMessage => Code::Misuse,
            _ => Code::Untrusted,
        }
    }
}
