//! The journal's bytes: segments of checksummed records, one record a batch.
//!
//! Guarantees: a record is accepted only where every byte of it, of the records before it, and of its segment's header is
//! as it was written: each checksum covers the one before, so a record cannot be adopted from another place, segment or
//! log. What follows the last record is told apart: nothing, the remains of one torn write, or damage. Does not do:
//! reading or writing files, or recomputing the tree.
//!
//! Specified byte by byte in `docs/spec/store.md`. Carries INV-5 (one index, one entry) and INV-6 (restart at any point
//! reaches the state of an uninterrupted run).

mod header;
mod reader;
mod record;

pub use header::{Base, SegmentHeader};
pub use reader::{Reader, Tail};
pub use record::{EncodeError, RECORD_HEADER_BYTES, RecordHeader, encode_record, record_bytes};

use crate::code::Code;
use crate::hash::Hash;
use crate::merkle::range::RangeError;

/// The checksum that the first record of a log follows on.
pub const FIRST_CHECKSUM: Hash = Hash::from_bytes([0; Hash::LEN]);

/// Why bytes are not a segment of this log's journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file is too short for its header, or its header is damaged.
    #[error("the header is damaged: restore the segment from a copy")]
    Header,
    /// The segment has a later format.
    #[error(
        "the segment has format version {found}, and this release reads 1: go on with the release that wrote it, or a later one"
    )]
    Newer {
        /// The version found.
        found: u8,
    },
    /// The header is whole but was written for another log.
    #[error("the segment belongs to the log whose origin hashes to {found}: it was put into the wrong store")]
    OtherOrigin {
        /// SHA-256 of the origin it was written for.
        found: Hash,
    },
    /// The header is whole but its tree is impossible.
    #[error("the header's tree is impossible: restore the segment from a copy")]
    Range(#[from] RangeError),
    /// A record is damaged, and it is not the remains of the last write.
    #[error("the record at byte {offset} is damaged and records follow it: restore the segment from a copy")]
    Damaged {
        /// Where the record starts.
        offset: usize,
    },
    /// A record is whole but does not say what a log writes there.
    #[error("the record at byte {offset} contradicts the records before it: keep the segment as evidence")]
    Contradiction {
        /// Where the record starts.
        offset: usize,
    },
}

impl JournalError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Header | Self::Range(_) | Self::Damaged { .. } => Code::Malformed,
            Self::OtherOrigin { .. } | Self::Newer { .. } => Code::Misuse,
            Self::Contradiction { .. } => Code::Inconsistent,
        }
    }
}

#[cfg(test)]
mod tests;
