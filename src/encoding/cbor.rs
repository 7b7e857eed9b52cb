//! Deterministic CBOR: one encoding per value, written by [`Writer`], read by [`Reader`].
//!
//! Guarantees: what the reader accepts is byte for byte what the writer writes for the same values (RFC 8949, section
//! 4.2.1: shortest heads, definite lengths, map keys strictly rising by their encoded bytes), with one difference
//! that keeps floats apart from integers and of one width: a float is always binary64, and the only NaN is
//! `7ff8000000000000`. Tags, other simple values, text that is not UTF-8 and nesting past
//! [`CBOR_DEPTH_MAX`] are refused. A claimed length is never larger than the bytes that could hold it, so nothing can be
//! made to reserve memory (INV-7).
//! Does not do: buffering, streams, or choosing the order of map keys for the writer; its caller writes them rising.

use crate::code::Code;
use crate::limits::CBOR_DEPTH_MAX;

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{Map, Reader};
pub use writer::Writer;

/// The bits of the only NaN that is ever written.
pub const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// Smallest integer that CBOR can write without a tag: `-2^64`.
pub const INT_MIN: i128 = -(1 << 64);
/// Largest integer that CBOR can write without a tag: `2^64 - 1`.
pub const INT_MAX: i128 = (1 << 64) - 1;

/// Major types of RFC 8949, section 3.1, in the upper three bits of a head.
const UINT: u8 = 0;
const NINT: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Heads of major type 7 that are written.
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT64: u8 = 0xfb;

/// What stands next in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// An integer of either sign.
    Int,
    /// A byte string.
    Bytes,
    /// A text string.
    Text,
    /// An array.
    Array,
    /// A map.
    Map,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// A binary64 float.
    Float,
}

/// Why bytes are not the deterministic CBOR that was asked for. `at` is the offset of the item at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// The bytes end inside an item, or a length is larger than what is left.
    #[error("the bytes end inside the item at offset {at}: fetch them again, whole")]
    Truncated {
        /// Where the item starts.
        at: usize,
    },
    /// Bytes follow the last item.
    #[error("bytes follow the end at offset {at}: pass exactly one encoding")]
    TrailingBytes {
        /// Where the surplus starts.
        at: usize,
    },
    /// An integer or length is not written in its shortest form.
    #[error("the head at offset {at} is not in its shortest form: use a deterministic encoder")]
    NotShortest {
        /// Where the head starts.
        at: usize,
    },
    /// An indefinite length, or the break that ends one.
    #[error("an indefinite length at offset {at}: use a deterministic encoder")]
    Indefinite {
        /// Where the head starts.
        at: usize,
    },
    /// A tag.
    #[error("a tag at offset {at}: tags are not part of this format")]
    Tag {
        /// Where the tag starts.
        at: usize,
    },
    /// A head that RFC 8949 reserves, or a simple value other than false, true and null.
    #[error("an unknown head at offset {at}: of the simple values only false, true and null are known here")]
    UnknownHead {
        /// Where the head starts.
        at: usize,
    },
    /// A float of 16 or 32 bits.
    #[error("a short float at offset {at}: floats are always binary64 here")]
    FloatWidth {
        /// Where the float starts.
        at: usize,
    },
    /// A NaN other than `7ff8000000000000`.
    #[error("a NaN with a payload at offset {at}: the only NaN is 7ff8000000000000")]
    NanPayload {
        /// Where the float starts.
        at: usize,
    },
    /// A text string that is not UTF-8.
    #[error("the text at offset {at} is not UTF-8")]
    Utf8 {
        /// Where the text starts.
        at: usize,
    },
    /// A map key that does not come after the key before it.
    #[error("the map key at offset {at} is out of order: keys rise strictly by their bytes")]
    KeyOrder {
        /// Where the key starts.
        at: usize,
    },
    /// A map key that occurs twice.
    #[error("the map key at offset {at} stands there twice")]
    DuplicateKey {
        /// Where the second one starts.
        at: usize,
    },
    /// Arrays and maps nested deeper than [`CBOR_DEPTH_MAX`].
    #[error("nesting deeper than {CBOR_DEPTH_MAX} at offset {at}")]
    TooDeep {
        /// Where the array or map starts.
        at: usize,
    },
    /// An item of another type than the format has there.
    #[error("the item at offset {at} is not of the type that stands there")]
    WrongType {
        /// Where the item starts.
        at: usize,
    },
    /// A length or number other than the format has there.
    #[error("the item at offset {at} has a length or value that the format does not allow there")]
    OutOfRange {
        /// Where the item starts.
        at: usize,
    },
}

impl CborError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooDeep { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}

/// Checks that `bytes` are exactly one deterministic CBOR item, whatever it holds.
///
/// # Errors
/// The first [`CborError`] met, reading from the left.
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    reader.skip()?;
    reader.finish()
}
