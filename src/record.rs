//! A record: what one decision holds, as private fields under one public commitment.
//!
//! Guarantees: a [`Record`] that exists has between 1 and [`FIELDS_MAX`] fields, sorted by path, no path twice, and
//! every value has exactly one encoding; so the same decision gives the same commitment whoever computes it. A value
//! past [`FIELD_VALUE_BYTES_MAX`] is held as its digest and size, a field that configuration removes is held as masked:
//! nothing is left out without a trace.
//! Does not do: deciding which fields a decision needs (that is [`schema`] and the packs that name its paths), sealing,
//! or wiping the memory of fields; only a record's secret is wiped. Specification: `docs/spec/field-tree.md`. Carries INV-8 (what prints a value prints its length).

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::code::Code;
use crate::encoding::cbor::Writer;
use crate::hash::Hash;
use crate::limits::{FIELD_VALUE_BYTES_MAX, FIELDS_MAX};

mod contents;
mod field;
mod path;
pub mod schema;
mod sealed;
mod tree;

pub use contents::{Contents, ContentsError, encode_contents};
pub use field::{Value, ValueError};
pub use path::{FieldPath, FieldPathError, PathPattern};
pub use sealed::{LABEL_SUBJECT_KEYS, LABEL_WRAPPED_KEY, SealedError, SealedUnder, SubjectKeyId};
pub use tree::{Commitment, DiscloseError, Disclosure, FieldTree, Opening, leaf_preimage};

#[cfg(test)]
mod tests;

/// One path and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where in the record the value stands.
    pub path: FieldPath,
    /// What stands there.
    pub value: Value,
}

/// The fields of one decision, sorted by the bytes of their paths, each path once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    fields: Vec<Field>,
}

impl Record {
    /// The fields, sorted by path. A field's place here is its index in the field tree.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The value at `path`.
    #[must_use]
    pub fn value(&self, path: &FieldPath) -> Option<&Value> {
        let index = self.fields.binary_search_by(|field| field.path.cmp(path)).ok()?;
        self.fields.get(index).map(|field| &field.value)
    }

    /// Indices of the fields whose path `wanted` says yes to, rising: what [`FieldTree::disclose`] takes.
    #[must_use]
    pub fn indices(&self, mut wanted: impl FnMut(&FieldPath) -> bool) -> Vec<usize> {
        let fields = self.fields.iter().enumerate();
        fields.filter(|(_, field)| wanted(&field.path)).map(|(index, _)| index).collect()
    }

    /// Hashes every field under a salt of its own and builds the tree over them.
    #[must_use]
    pub fn commit(&self, secret: &RecordSecret) -> FieldTree<'_> {
        FieldTree::build(self, secret)
    }
}

/// 32 random bytes from which every salt of one record is derived. Whoever holds them can test guesses against the
/// public commitment, so they are kept in the sealed record only, and wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecordSecret([u8; Self::LEN]);

impl RecordSecret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Takes bytes that somebody drew at random, or opened from a sealed record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for sealing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for RecordSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordSecret(..)")
    }
}

/// Why fields do not make a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No field at all.
    #[error("a record needs at least one field: add what was asked and what was answered")]
    Empty,
    /// More than [`FIELDS_MAX`] fields.
    #[error("{count} fields; a record holds at most {FIELDS_MAX}: map fewer, or map a tensor by its digest")]
    TooManyFields {
        /// How many there were.
        count: usize,
    },
    /// Two values for one path.
    #[error("the field {path} stands there twice: map each path once")]
    Duplicate {
        /// The path.
        path: FieldPath,
    },
    /// A value that has no encoding.
    #[error("the value of {path} cannot be recorded: {reason}")]
    Value {
        /// Where it was to stand.
        path: FieldPath,
        /// What is wrong with it.
        reason: ValueError,
    },
    /// The path is too long to carry `/digest` behind it, which a value of this size needs.
    #[error("the value of {path} is too large and its path too long: shorten the path")]
    PathTooLong {
        /// The path.
        path: FieldPath,
    },
}

impl RecordError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooManyFields { .. } | Self::PathTooLong { .. } => Code::Limit,
            Self::Value { reason, .. } => reason.code(),
            Self::Empty | Self::Duplicate { .. } => Code::Misuse,
        }
    }
}

/// Gathers fields in any order and makes a [`Record`] of them.
#[derive(Clone, Debug, Default)]
pub struct RecordBuilder {
    fields: Vec<Field>,
    masked: u32,
}

impl RecordBuilder {
    /// Starts without fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new(), masked: 0 }
    }

    /// Adds a field. A value whose encoding is larger than [`FIELD_VALUE_BYTES_MAX`] is replaced by two fields below the
    /// path: `digest`, the SHA-256 of that encoding, and `size`, its length in bytes.
    ///
    /// # Errors
    /// [`RecordError::Value`] for an integer outside CBOR's range or arrays nested too deep;
    /// [`RecordError::PathTooLong`] if a large value's path leaves no room for `/digest`.
    pub fn field(mut self, path: FieldPath, value: impl Into<Value>) -> Result<Self, RecordError> {
        self.add(path, value.into())?;
        Ok(self)
    }

    /// [`field`](Self::field) for a builder behind a reference.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    pub fn add(&mut self, path: FieldPath, value: Value) -> Result<(), RecordError> {
        let size = match value.check() {
            Ok(size) => size,
            Err(reason) => return Err(RecordError::Value { path, reason }),
        };
        if size <= FIELD_VALUE_BYTES_MAX {
            self.fields.push(Field { path, value });
            return Ok(());
        }
        let mut writer = Writer::with_capacity(size);
        value.encode(&mut writer);
        let digest = Hash::of(writer.as_bytes());
        let (Ok(digest_path), Ok(size_path)) = (path.child("digest"), path.child("size")) else {
            return Err(RecordError::PathTooLong { path });
        };
        self.push(digest_path, Value::from(digest));
        self.push(size_path, Value::Int(size as i128));
        Ok(())
    }

    /// Records that configuration removed a field: `pointer` says which one, `reason` why. Hidden is not missing.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    pub fn masked(mut self, pointer: &str, reason: &str) -> Result<Self, RecordError> {
        self.add_masked(pointer, reason)?;
        Ok(self)
    }

    /// [`masked`](Self::masked) for a builder behind a reference.
    ///
    /// # Errors
    /// As [`field`](Self::field).
    pub fn add_masked(&mut self, pointer: &str, reason: &str) -> Result<(), RecordError> {
        let index = self.masked;
        self.masked = index.saturating_add(1);
        self.add(schema::masked_pointer(index), Value::from(pointer))?;
        self.add(schema::masked_reason(index), Value::from(reason))
    }

    /// Sorts the fields and closes the record.
    ///
    /// # Errors
    /// [`RecordError`] if there are none or too many, or a path occurs twice.
    pub fn build(self) -> Result<Record, RecordError> {
        let mut fields = self.fields;
        let count = fields.len();
        if count == 0 {
            return Err(RecordError::Empty);
        }
        if count > FIELDS_MAX {
            return Err(RecordError::TooManyFields { count });
        }
        fields.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for pair in fields.array_windows::<2>() {
            let [before, after] = pair;
            if before.path == after.path {
                return Err(RecordError::Duplicate { path: after.path.clone() });
            }
        }
        Ok(Record { fields })
    }

    fn push(&mut self, path: FieldPath, value: Value) {
        self.fields.push(Field { path, value });
    }
}
