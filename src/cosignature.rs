//! Cosignatures: what a log or witness signs when it signs a tree head (c2sp.org/tlog-cosignature).
//!
//! Guarantees: the two signed messages byte for byte, and no signature accepted over any other. Does not do: decide
//! whose cosignature is needed (`policy`), or look at the clock: a timestamp is handed back, not judged.
//! Implements tlog-cosignature, sections Format, Ed25519 signed message and ML-DSA-44 signed message.

use crate::code::Code;
use crate::hash::Hash;
use crate::merkle::{LeafIndex, TreeSize};
use crate::note::{KeyName, Signature, SignatureError, SignatureType, Signer, VerifierKey};

/// Label of the ML-DSA-44 message: `uint8 label[12] = "subtree/v1\n\0"`.
const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// Largest timestamp a cosignature may carry: `2^63 - 1`.
const TIMESTAMP_MAX: u64 = i64::MAX as u64;

/// Seconds since the epoch at which a cosigner signed; zero where it says nothing about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CosignedAt(u64);

impl CosignedAt {
    /// No statement about time: what a log puts on its own tree heads, so that signing them again gives the same bytes.
    pub const UNSTATED: Self = Self(0);

    /// `seconds` since 1970-01-01T00:00:00Z, if a cosignature can carry it.
    #[must_use]
    pub const fn new(seconds: u64) -> Option<Self> {
        if seconds <= TIMESTAMP_MAX { Some(Self(seconds)) } else { None }
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A tree head as cosigners sign it: the checkpoint's text, and the same facts taken apart.
#[derive(Clone, Copy, Debug)]
pub struct TreeHead<'a> {
    /// The note text, extension lines and final newline included.
    pub text: &'a str,
    /// The log's origin.
    pub origin: &'a KeyName,
    /// Leaves in the tree.
    pub size: TreeSize,
    /// The tree's root hash.
    pub root: &'a Hash,
}

/// Signs `head` as a cosigner, with the message its key's type asks for.
///
/// A plain Ed25519 key (type 0x01) signs the text itself and no time.
///
/// # Errors
/// Passes on why the signer gave no signature.
pub fn sign<S: Signer>(signer: &S, at: CosignedAt, head: &TreeHead<'_>) -> Result<Signature, S::Error> {
    let key = signer.verifier_key();
    let bytes = match key.signature_type() {
        SignatureType::Ed25519 => signer.sign(head.text.as_bytes())?,
        SignatureType::Ed25519Cosignature => with_time(at, signer.sign(&ed25519_message(at, head.text))?),
        SignatureType::MlDsa44Cosignature => {
            with_time(at, signer.sign(&tree_head_message(key.name(), at, head))?)
        }
    };
    Ok(Signature::new(key.name().clone(), key.id(), bytes))
}

/// Checks one signature line of `key` over `head` and returns the time the cosigner states.
///
/// # Errors
/// When the line names another key, is no `timestamped_signature`, or does not verify.
pub fn verify(
    key: &VerifierKey,
    head: &TreeHead<'_>,
    signature: &Signature,
) -> Result<CosignedAt, CosignatureError> {
    if signature.name() != key.name() || signature.id() != key.id() {
        return Err(CosignatureError::OtherKey);
    }
    if key.signature_type() == SignatureType::Ed25519 {
        key.verify_message(head.text.as_bytes(), signature.bytes())?;
        return Ok(CosignedAt::UNSTATED);
    }
    let (timestamp, bytes) = signature.bytes().split_first_chunk::<8>().ok_or(CosignatureError::Truncated)?;
    let at = CosignedAt::new(u64::from_be_bytes(*timestamp)).ok_or(CosignatureError::Timestamp)?;
    let message = match key.signature_type() {
        SignatureType::MlDsa44Cosignature => tree_head_message(key.name(), at, head),
        _ => ed25519_message(at, head.text),
    };
    key.verify_message(&message, bytes)?;
    Ok(at)
}

/// The message of an Ed25519 cosignature (type 0x04): two header lines, then the whole note text.
#[must_use]
pub fn ed25519_message(at: CosignedAt, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", at.get()).into_bytes()
}

/// The message of an ML-DSA-44 cosignature (type 0x06) over the leaves from `start` up to, not including, `end`.
///
/// Names cannot be too long for their length byte: [`KeyName`] ends at 255 bytes. A checkpoint has `start` zero; where
/// `start` is not zero the time must be [`CosignedAt::UNSTATED`].
#[must_use]
pub fn subtree_message(
    cosigner: &KeyName,
    at: CosignedAt,
    origin: &KeyName,
    (start, end): (LeafIndex, TreeSize),
    hash: &Hash,
) -> Vec<u8> {
    let mut message = SUBTREE_LABEL.to_vec();
    push_name(&mut message, cosigner);
    message.extend_from_slice(&at.get().to_be_bytes());
    push_name(&mut message, origin);
    message.extend_from_slice(&start.get().to_be_bytes());
    message.extend_from_slice(&end.get().to_be_bytes());
    message.extend_from_slice(hash.as_bytes());
    message
}

fn tree_head_message(cosigner: &KeyName, at: CosignedAt, head: &TreeHead<'_>) -> Vec<u8> {
    subtree_message(cosigner, at, head.origin, (LeafIndex::new(0), head.size), head.root)
}

/// `opaque name<1..2^8-1>`: one length byte, then the name.
fn push_name(message: &mut Vec<u8>, name: &KeyName) {
    message.push(name.length_byte());
    message.extend_from_slice(name.as_str().as_bytes());
}

/// `timestamped_signature`: the time, big-endian, then the signature.
fn with_time(at: CosignedAt, signature: Vec<u8>) -> Vec<u8> {
    let mut bytes = at.get().to_be_bytes().to_vec();
    bytes.extend(signature);
    bytes
}

/// Why a signature line is no valid cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// The line's name or key id is not the key's.
    #[error("the signature line names another key: look up the key with that name and id")]
    OtherKey,
    /// Fewer than eight bytes before the signature.
    #[error("the cosignature is too short to hold its time: fetch it again")]
    Truncated,
    /// A time past `2^63 - 1`.
    #[error("the cosignature states a time past 2^63 - 1: do not trust this cosigner")]
    Timestamp,
    /// The signature itself.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl CosignatureError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OtherKey => Code::Misuse,
            Self::Truncated => Code::Malformed,
            Self::Timestamp => Code::Untrusted,
            Self::Signature(source) => source.code(),
        }
    }
}

#[cfg(test)]
mod tests;
