//! Values: what a field can hold, and its one encoding.
//!
//! Guarantees: two values are equal exactly when their encodings are, so every NaN equals every NaN and `-0.0` is not
//! `0.0`. Printing a value shows its type and length, never its content (INV-8).
//! Does not do: maps; a field with parts is several fields.

use core::fmt;

use crate::code::Code;
use crate::encoding::cbor::{CANONICAL_NAN, CborError, INT_MAX, INT_MIN, Reader, Type, Writer};
use crate::hash::Hash;
use crate::limits::VALUE_DEPTH_MAX;

/// What a field holds.
#[derive(Clone)]
pub enum Value {
    /// Known to be nothing; unlike an absent field, of which nothing is known.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from `-2^64` to `2^64 - 1`.
    Int(i128),
    /// An IEEE-754 binary64 number; one NaN.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order, of any types.
    Array(Vec<Value>),
}

/// Why a value has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An integer outside `-2^64..=2^64-1`.
    #[error("the integer is outside -2^64 to 2^64-1: record it as text")]
    IntRange,
    /// Arrays nested deeper than [`VALUE_DEPTH_MAX`].
    #[error("arrays nest deeper than {VALUE_DEPTH_MAX}: spread the parts over paths")]
    TooDeep,
}

impl ValueError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::IntRange => Code::Misuse,
            Self::TooDeep => Code::Limit,
        }
    }
}

impl Value {
    /// Checks that the value has an encoding, and says how many bytes it takes.
    ///
    /// # Errors
    /// [`ValueError`] if it has none.
    pub fn check(&self) -> Result<usize, ValueError> {
        self.check_at(0)
    }

    fn check_at(&self, depth: usize) -> Result<usize, ValueError> {
        Ok(match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Int(value) if !(INT_MIN..=INT_MAX).contains(value) => {
                return Err(ValueError::IntRange);
            }
            Self::Int(value) => head_len(u64::try_from(*value.max(&!value)).unwrap_or(u64::MAX)),
            Self::Float(_) => 9,
            Self::Text(text) => head_len(text.len() as u64) + text.len(),
            Self::Bytes(bytes) => head_len(bytes.len() as u64) + bytes.len(),
            Self::Array(_) if depth == VALUE_DEPTH_MAX => return Err(ValueError::TooDeep),
            Self::Array(items) => items.iter().try_fold(head_len(items.len() as u64), |sum, item| {
                item.check_at(depth + 1).map(|len| sum + len)
            })?,
        })
    }

    /// Writes the value.
    pub fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.null(),
            Self::Bool(value) => writer.bool(*value),
            Self::Int(value) => writer.int(*value),
            Self::Float(value) => writer.float(*value),
            Self::Text(text) => writer.text(text),
            Self::Bytes(bytes) => writer.bytes(bytes),
            Self::Array(items) => {
                writer.array(items.len());
                for item in items {
                    item.encode(writer);
                }
                writer
            }
        };
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`CborError`] if no value stands next; [`CborError::TooDeep`] past [`VALUE_DEPTH_MAX`] arrays.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Self::decode_at(reader, 0)
    }

    fn decode_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self, CborError> {
        let at = reader.offset();
        Ok(match reader.peek()? {
            Type::Null => {
                reader.null()?;
                Self::Null
            }
            Type::Bool => Self::Bool(reader.bool()?),
            Type::Int => Self::Int(reader.int()?),
            Type::Float => Self::Float(reader.float()?),
            Type::Text => Self::Text(reader.text()?.to_owned()),
            Type::Bytes => Self::Bytes(reader.bytes()?.to_vec()),
            Type::Array if depth == VALUE_DEPTH_MAX => return Err(CborError::TooDeep { at }),
            Type::Array => {
                let len = reader.array()?;
                let items = (0..len).map(|_| Self::decode_at(reader, depth + 1));
                Self::Array(items.collect::<Result<_, _>>()?)
            }
            Type::Map => return Err(CborError::WrongType { at }),
        })
    }
}

/// Bytes of a head whose argument is `argument`.
const fn head_len(argument: u64) -> usize {
    match argument {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The bits that a float is written with.
const fn float_bits(value: f64) -> u64 {
    if value.is_nan() { CANONICAL_NAN } else { value.to_bits() }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => float_bits(*a) == float_bits(*b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool(..)"),
            Self::Int(_) => f.write_str("Int(..)"),
            Self::Float(_) => f.write_str("Float(..)"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Array(items) => write!(f, "Array({} items)", items.len()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Hash> for Value {
    fn from(digest: Hash) -> Self {
        Self::Bytes(digest.as_bytes().to_vec())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}
