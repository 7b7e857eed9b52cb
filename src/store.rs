//! What a log is kept in: the contracts of a store, and what each of its answers means.
//!
//! Guarantees: an answer is one of exactly three facts, because "failed" is two of them ([`Outcome`]). Does not do:
//! deciding what happens next; that is the sequencer's part (`log`).
//!
//! A store has two halves, driven side by side: [`CommitStore`] makes a batch durable, [`ApplyStore`] turns committed
//! batches into the public files. Only what the first half holds is the truth; everything the second half writes can be
//! made again from it. Specified in `docs/spec/store.md`. Carries INV-3 (nothing is signed before it is committed),
//! INV-5 (one index, one entry) and INV-6 (restart at any point reaches the state of an uninterrupted run).

pub mod batch;
pub mod disk;
pub mod edge;
pub mod fs;
pub mod journal;
pub mod memory;

use core::fmt;
use std::io;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::code::Code;
use crate::store::batch::Batch;

/// What became of something a store was asked to keep.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is kept, and a crash cannot take it back where the operation promises so.
    Stored,
    /// It is certainly not kept, and nothing else was damaged: the operation may be tried again.
    NotStored(Fault),
    /// It may be kept or not, wholly or in part. Only a restart can find out.
    Unknown(Fault),
}

impl Outcome {
    /// The outcome of an operation that failed before it could change anything that counts.
    #[must_use]
    pub fn of_attempt(result: Result<(), Fault>) -> Self {
        match result {
            Ok(()) => Self::Stored,
            Err(fault) if fault.changed_nothing() => Self::NotStored(fault),
            Err(fault) => Self::Unknown(fault),
        }
    }

    /// The outcome of a synchronisation: where it fails, nobody knows what reached the disk.
    #[must_use]
    pub fn of_sync(result: Result<(), Fault>) -> Self {
        match result {
            Ok(()) => Self::Stored,
            Err(fault) => Self::Unknown(fault),
        }
    }
}

/// Why a store could not keep something.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The storage answered with an error.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file, relative to the store.
        path: Arc<str>,
        /// What the storage answered.
        source: Arc<io::Error>,
    },
    /// A file that can never change is there with other bytes.
    #[error(
        "{path} holds other bytes than the log gives it: keep the file as evidence and restore it from a copy"
    )]
    Conflict {
        /// The file, relative to the store.
        path: Arc<str>,
    },
    /// The caller asked for something that does not follow on what it asked before.
    #[error("the store was driven out of order: this is a defect, report it")]
    OutOfOrder,
}

impl Fault {
    /// Notes what was tried where when the storage answered with `source`.
    #[must_use]
    pub fn io(operation: Operation, path: &str, source: io::Error) -> Self {
        Self::Io { operation, path: path.into(), source: Arc::new(source) }
    }

    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::Unavailable,
            Self::Conflict { .. } => Code::Inconsistent,
            Self::OutOfOrder => Code::Internal,
        }
    }

    /// Whether the storage refused the request as a whole, so that making room or granting access is all it takes.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        let Self::Io { operation, source, .. } = self else {
            return false;
        };
        // Whatever a sync answers, bytes written before it may be lost.
        *operation != Operation::Sync
            && matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::PermissionDenied
            )
    }
}

/// What was being done to a file when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Taking the lock.
    Lock,
    /// Reading a file.
    Read,
    /// Listing a folder.
    List,
    /// Creating a file or folder.
    Create,
    /// Writing to a file.
    Write,
    /// Cutting a file off.
    Truncate,
    /// Making a file or folder durable.
    Sync,
    /// Renaming a file.
    Rename,
    /// Removing a file or folder.
    Remove,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "locking",
            Self::Read => "reading",
            Self::List => "listing",
            Self::Create => "creating",
            Self::Write => "writing",
            Self::Truncate => "truncating",
            Self::Sync => "syncing",
            Self::Rename => "renaming",
            Self::Remove => "removing",
        })
    }
}

/// The half of a store that makes batches durable.
pub trait CommitStore {
    /// Puts `batch` where [`commit`](Self::commit) can make it count. Nothing counts yet.
    ///
    /// `Stored` and `NotStored` both leave every earlier batch as it was.
    fn stage(&mut self, batch: &Batch) -> Outcome;

    /// Makes the staged batch durable: after `Stored`, no crash takes it back (INV-3, INV-9).
    fn commit(&mut self) -> Outcome;
}

/// The half of a store that makes committed batches readable. All of it can be made again from the first half.
pub trait ApplyStore {
    /// Writes what `batches`, each following on the one before, complete: full tiles, entry bundles, sealed records.
    fn apply(&mut self, batches: &[Arc<Batch>]) -> Outcome;

    /// Makes `checkpoint` public as `note`, after whatever a reader of a tree of its size needs.
    ///
    /// The checkpoint is that of everything applied so far. After `Stored` the note is durable.
    fn publish(&mut self, checkpoint: &Checkpoint, note: &str) -> Outcome;

    /// Drops what the first half no longer needs, if there is any of it, after making durable what came of it.
    fn recycle(&mut self) -> Outcome;

    /// Makes everything applied durable.
    fn settle(&mut self) -> Outcome;
}
