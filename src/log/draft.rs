//! An entry that waits for its place and time.
//!
//! Guarantees: the sealed record that travels with a draft is the one that its entry names, and both fit their limits;
//! so nothing that made it into a batch has to be refused later. Does not do: choosing index or time.

use crate::code::Code;
use crate::entry::{Entry, EntryError};
use crate::hash::Hash;
use crate::limits::SEALED_BYTES_MAX;
use crate::store::batch::BatchEntry;
use crate::time::UnixMillis;

/// An entry without index and time, and its sealed record.
#[derive(Clone, Debug)]
pub struct Draft {
    entry: Entry,
    /// Bytes of the entry with any time at most.
    entry_bytes_max: usize,
    /// Empty where the entry names none.
    sealed: Vec<u8>,
}

impl Draft {
    /// Takes an entry, whose `recorded_at` does not matter, and the sealed record it names, if it names one.
    ///
    /// # Errors
    /// When the two do not belong together, or one passes its limit.
    pub fn new(mut entry: Entry, sealed: Option<Vec<u8>>) -> Result<Self, DraftError> {
        // The latest time takes the most bytes, so what encodes with it encodes with any.
        entry.recorded_at = UnixMillis::new(u64::MAX);
        let entry_bytes_max = entry.encode()?.len();
        let sealed = match (&entry.sealed, sealed) {
            (None, None) => Vec::new(),
            (Some(_), None) => return Err(DraftError::SealedMissing),
            (None, Some(_)) => return Err(DraftError::SealedUnnamed),
            (Some(named), Some(sealed)) => {
                let length = sealed.len() as u64;
                if sealed.is_empty() || sealed.len() > SEALED_BYTES_MAX {
                    return Err(DraftError::SealedLength { length });
                }
                if named.length != length || named.digest != Hash::of(&sealed) {
                    return Err(DraftError::SealedOther);
                }
                sealed
            }
        };
        Ok(Self { entry, entry_bytes_max, sealed })
    }

    /// Bytes that the draft takes at most in a batch.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.entry_bytes_max + self.sealed.len()
    }

    /// Gives the entry its time and encodes it.
    pub(super) fn stamp(mut self, time: UnixMillis) -> Result<BatchEntry, DraftError> {
        self.entry.recorded_at = time;
        Ok(BatchEntry { bytes: self.entry.encode()?, sealed: self.sealed })
    }
}

/// Why an entry cannot be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The entry breaks a rule of its format.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The entry names a sealed record that did not come with it.
    #[error("the entry names a sealed record: hand it over with the entry")]
    SealedMissing,
    /// A sealed record came with an entry that names none.
    #[error("the entry names no sealed record: put its digest and length into the entry")]
    SealedUnnamed,
    /// Another sealed record came than the one named.
    #[error("the sealed record is not the one that the entry names: compute its digest and length again")]
    SealedOther,
    /// The sealed record is empty or too long.
    #[error("a sealed record has 1 to {SEALED_BYTES_MAX} bytes, not {length}: record less of the request")]
    SealedLength {
        /// How long it is.
        length: u64,
    },
}

impl DraftError {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Entry(error) => error.code(),
            Self::SealedMissing | Self::SealedUnnamed | Self::SealedOther => Code::Misuse,
            Self::SealedLength { .. } => Code::Limit,
        }
    }
}
