//! What the records of both journals have in common: an array of a number that says which record it is, and its values.

use super::schedule::Tip;
use super::statement::Head;
use crate::code::Code;
use crate::encoding::cbor::{CborError, Reader, Type, Writer};
use crate::hash::Hash;
use crate::limits::{ANCHOR_RECORD_BYTES_MAX, ANCHOR_SEQ_MAX, TREE_SIZE_MAX};
use crate::merkle::TreeSize;
use crate::time::UnixMillis;

/// Why bytes are not a record of a lane's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More than [`ANCHOR_RECORD_BYTES_MAX`] bytes.
    #[error("{len} bytes; a record of a lane's journal has at most {ANCHOR_RECORD_BYTES_MAX}")]
    TooLarge {
        /// How many there were.
        len: usize,
    },
    /// Not deterministic CBOR, or not of the types a record has.
    #[error("this is not a record of a lane's journal: {0}")]
    Cbor(#[from] CborError),
    /// A record that is not known.
    #[error("record {found} of a lane's journal is not known: use a newer build")]
    Unknown {
        /// The number found.
        found: u64,
    },
    /// A number that cannot stand there.
    #[error("a number in a record of a lane's journal is out of its range: the journal is damaged")]
    Range,
}

impl RecordError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::Limit,
            Self::Cbor(error) => error.code(),
            Self::Unknown { .. } | Self::Range => Code::Malformed,
        }
    }
}

/// A record being written: its number and `values` values.
pub(super) struct Row(Writer);

impl Row {
    pub(super) fn new(number: u64, values: usize) -> Self {
        let mut writer = Writer::with_capacity(128);
        writer.array(values + 1).uint(number);
        Self(writer)
    }

    pub(super) fn uint(mut self, value: u64) -> Self {
        self.0.uint(value);
        self
    }

    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        self.0.bytes(value);
        self
    }

    pub(super) fn optional(mut self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.0.bytes(value),
            None => self.0.null(),
        };
        self
    }

    pub(super) fn wide(self, value: u128) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn time(self, at: UnixMillis) -> Self {
        self.uint(at.get())
    }

    pub(super) fn head(self, head: &Head) -> Self {
        self.uint(head.size.get()).bytes(head.root.as_bytes())
    }

    pub(super) fn tip(self, tip: &Tip) -> Self {
        self.uint(tip.seq).head(&tip.head).bytes(tip.statement.as_bytes())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// A record being read.
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    /// Values still to come.
    left: usize,
}

impl<'a> Cursor<'a> {
    /// Reads which record it is.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(u64, Self), RecordError> {
        if bytes.len() > ANCHOR_RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let values = reader.array()?;
        let left = values.checked_sub(1).ok_or(RecordError::Range)?;
        let number = reader.uint()?;
        Ok((number, Self { reader, left }))
    }

    fn next(&mut self) -> Result<&mut Reader<'a>, RecordError> {
        self.left = self.left.checked_sub(1).ok_or(RecordError::Range)?;
        Ok(&mut self.reader)
    }

    pub(super) fn uint(&mut self) -> Result<u64, RecordError> {
        Ok(self.next()?.uint()?)
    }

    pub(super) fn time(&mut self) -> Result<UnixMillis, RecordError> {
        self.uint().map(UnixMillis::new)
    }

    /// The number of a statement; 0, which is none, only where the caller says so.
    pub(super) fn seq(&mut self, lowest: u64) -> Result<u64, RecordError> {
        let seq = self.uint()?;
        if (lowest..=ANCHOR_SEQ_MAX).contains(&seq) { Ok(seq) } else { Err(RecordError::Range) }
    }

    pub(super) fn bytes(&mut self, len_max: usize) -> Result<&'a [u8], RecordError> {
        let bytes = self.next()?.bytes()?;
        if bytes.len() <= len_max { Ok(bytes) } else { Err(RecordError::Range) }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        Ok(self.next()?.byte_array()?)
    }

    pub(super) fn optional_array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, RecordError> {
        let reader = self.next()?;
        if reader.peek()? == Type::Null {
            reader.null()?;
            return Ok(None);
        }
        Ok(Some(reader.byte_array()?))
    }

    pub(super) fn wide(&mut self) -> Result<u128, RecordError> {
        self.array().map(u128::from_be_bytes)
    }

    pub(super) fn hash(&mut self) -> Result<Hash, RecordError> {
        self.array().map(Hash::from_bytes)
    }

    pub(super) fn head(&mut self) -> Result<Head, RecordError> {
        let size = self.uint()?;
        if size > TREE_SIZE_MAX {
            return Err(RecordError::Range);
        }
        Ok(Head { size: TreeSize::new(size), root: self.hash()? })
    }

    pub(super) fn tip(&mut self) -> Result<Tip, RecordError> {
        let (seq, head, statement) = (self.seq(0)?, self.head()?, self.hash()?);
        let tip = Tip { seq, head, statement };
        let is_sound = if seq == 0 { tip == Tip::none() } else { !head.size.is_empty() };
        if is_sound { Ok(tip) } else { Err(RecordError::Range) }
    }

    /// Says that nothing more is wanted.
    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.left > 0 {
            return Err(RecordError::Range);
        }
        Ok(self.reader.finish()?)
    }
}
