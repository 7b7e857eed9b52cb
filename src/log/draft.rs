//! An entry that waits for its place and time.
//!
//! Guarantees: the entry of a draft names the sealed record that travels with it, because the draft writes the name; both
//! fit their limits, so nothing that made it into a batch has to be refused later. Does not do: choosing index or time.

use crate::code::Code;
use crate::entry::{Entry, EntryError, SealedRef};
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
    /// Takes an entry, whose `recorded_at` and `sealed` do not matter, and the sealed record that it is to name, if any.
    ///
    /// # Errors
    /// When one of them passes its limit, or an entry of this kind has no sealed record.
    pub fn new(mut entry: Entry, sealed: Option<Vec<u8>>) -> Result<Self, DraftError> {
        if let Some(sealed) = &sealed
            && (sealed.is_empty() || sealed.len() > SEALED_BYTES_MAX)
        {
            return Err(DraftError::SealedLength { length: sealed.len() as u64 });
        }
        entry.sealed = sealed.as_deref().map(SealedRef::of);
        // The latest time takes the most bytes, so what encodes with it encodes with any.
        entry.recorded_at = UnixMillis::new(u64::MAX);
        let entry_bytes_max = entry.encode()?.len();
        Ok(Self { entry, entry_bytes_max, sealed: sealed.unwrap_or_default() })
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
            Self::SealedLength { .. } => Code::Limit,
        }
    }
}
