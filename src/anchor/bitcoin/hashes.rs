//! Bitcoin's double hashes, which are stored in one order of bytes and written in the other.

use core::fmt;
use core::str::FromStr;

use crate::code::Code;
use crate::encoding::{hex_decode, hex_encode};
use crate::hash::Hash;

/// The hash of a block's header, in the order of bytes in which headers hold it.
///
/// People write it reversed, so that its zeros stand first; `Display` and `FromStr` do as people do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// Takes a hash in the order of a header's bytes.
    #[must_use]
    pub const fn from_header_order(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of SHA-256 of a header.
    #[must_use]
    pub fn of(header: &[u8; super::HEADER_BYTES]) -> Self {
        Self(*Hash::of(Hash::of(header).as_bytes()).as_bytes())
    }

    /// The bytes as a header holds them.
    #[must_use]
    pub const fn header_order(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes as people write them: a number, its most significant byte first.
    #[must_use]
    pub fn written_order(&self) -> [u8; 32] {
        reversed(self.0)
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_encode(&reversed(self.0)))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

impl FromStr for BlockHash {
    type Err = BlockHashError;

    /// Reads 64 digits of lowercase hex as people write them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex_decode(text).map_err(|_| BlockHashError)?;
        bytes.try_into().map(|bytes| Self(reversed(bytes))).map_err(|_| BlockHashError)
    }
}

/// A text that is no block's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block's hash is 64 digits of lowercase hex, its zeros first")]
pub struct BlockHashError;

impl BlockHashError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// The root of a block's transactions, in the order of bytes in which its header holds it. Written reversed, as people do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerkleRoot([u8; 32]);

impl MerkleRoot {
    /// Takes a root in the order of a header's bytes, which is also what a timestamp's operations give.
    #[must_use]
    pub const fn from_header_order(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes as a header holds them.
    #[must_use]
    pub const fn header_order(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MerkleRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_encode(&reversed(self.0)))
    }
}

impl fmt::Debug for MerkleRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MerkleRoot({self})")
    }
}

fn reversed(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes.reverse();
    bytes
}
