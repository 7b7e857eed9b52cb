//! The operations of a proof: each takes a message and gives another.

use ripemd::Ripemd160;
use sha1::{Digest as _, Sha1};
use sha3::Keccak256;

use super::read::{ReadError, Reader, write_bytes};
use crate::hash::Hash;
use crate::limits::OTS_MESSAGE_BYTES_MAX;

const APPEND: u8 = 0xf0;
const PREPEND: u8 = 0xf1;
const REVERSE: u8 = 0xf2;
const HEXLIFY: u8 = 0xf3;

/// A digest; also what a file's digest was computed with. In the order of their tags.
///
/// A collision of SHA-1 does no harm here: it takes two messages made together, and both existed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashOp {
    /// SHA-1, 20 bytes.
    Sha1,
    /// RIPEMD-160, 20 bytes.
    Ripemd160,
    /// SHA-256, 32 bytes.
    Sha256,
    /// Keccak-256 as Ethereum uses it, 32 bytes.
    Keccak256,
}

impl HashOp {
    pub(super) const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0x02 => Some(Self::Sha1),
            0x03 => Some(Self::Ripemd160),
            0x08 => Some(Self::Sha256),
            0x67 => Some(Self::Keccak256),
            _ => None,
        }
    }

    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Sha1 => 0x02,
            Self::Ripemd160 => 0x03,
            Self::Sha256 => 0x08,
            Self::Keccak256 => 0x67,
        }
    }

    /// Its name as the reference writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Ripemd160 => "ripemd160",
            Self::Sha256 => "sha256",
            Self::Keccak256 => "keccak256",
        }
    }

    /// Bytes of what it gives.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha256 | Self::Keccak256 => 32,
        }
    }

    /// The digest of a message.
    #[must_use]
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Ripemd160 => Ripemd160::digest(message).to_vec(),
            Self::Sha256 => Hash::of(message).as_bytes().to_vec(),
            Self::Keccak256 => Keccak256::digest(message).to_vec(),
        }
    }
}

/// An operation. In the order in which the reference writes them: by tag, then by argument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// The message's digest.
    Hash(HashOp),
    /// The message and then these bytes, 1 to 4,096.
    Append(Vec<u8>),
    /// These bytes, 1 to 4,096, and then the message.
    Prepend(Vec<u8>),
    /// The message's bytes from the last to the first.
    Reverse,
    /// The message in lowercase hex.
    Hexlify,
}

impl Op {
    pub(super) fn read(reader: &mut Reader<'_>, tag: u8) -> Result<Self, ReadError> {
        match tag {
            APPEND => Ok(Self::Append(argument(reader)?)),
            PREPEND => Ok(Self::Prepend(argument(reader)?)),
            REVERSE => Ok(Self::Reverse),
            HEXLIFY => Ok(Self::Hexlify),
            _ => HashOp::from_tag(tag).map(Self::Hash).ok_or(ReadError::Operation { tag }),
        }
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Hash(hash) => into.push(hash.tag()),
            Self::Append(argument) => {
                into.push(APPEND);
                write_bytes(into, argument);
            }
            Self::Prepend(argument) => {
                into.push(PREPEND);
                write_bytes(into, argument);
            }
            Self::Reverse => into.push(REVERSE),
            Self::Hexlify => into.push(HEXLIFY),
        }
    }

    /// How long the result is for a message of that length.
    ///
    /// # Errors
    /// [`ReadError::Argument`] or [`ReadError::Message`] past the reference's limits.
    pub(super) fn result_bytes(&self, message: usize) -> Result<usize, ReadError> {
        let result = match self {
            Self::Hash(hash) => hash.digest_bytes(),
            Self::Append(argument) | Self::Prepend(argument) if argument.is_empty() => {
                return Err(ReadError::Argument);
            }
            Self::Append(argument) | Self::Prepend(argument) => message.saturating_add(argument.len()),
            Self::Reverse => message,
            Self::Hexlify => message.saturating_mul(2),
        };
        if (1..=OTS_MESSAGE_BYTES_MAX).contains(&result) { Ok(result) } else { Err(ReadError::Message) }
    }

    /// The operation's result. Its length is what [`Self::result_bytes`] says, which whoever made the tree has asked.
    pub(super) fn apply(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hash(hash) => hash.digest(message),
            Self::Append(argument) => [message, argument].concat(),
            Self::Prepend(argument) => [argument, message].concat(),
            Self::Reverse => message.iter().rev().copied().collect(),
            Self::Hexlify => crate::encoding::hex_encode(message).into_bytes(),
        }
    }
}

fn argument(reader: &mut Reader<'_>) -> Result<Vec<u8>, ReadError> {
    match reader.bytes(OTS_MESSAGE_BYTES_MAX) {
        Ok([]) | Err(ReadError::Length) => Err(ReadError::Argument),
        Ok(argument) => Ok(argument.to_vec()),
        Err(error) => Err(error),
    }
}
