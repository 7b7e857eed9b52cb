//! Creates a log: the only way to do so.
//!
//! Guarantees: a store counts as a log only once its identity is there, which is written last; so an interrupted `init`
//! leaves no log and can be run again. Does not do: touching a store that holds a log or the remains of one.

use std::collections::BTreeSet;
use std::io;

use super::{Identity, identity, layout, write_durably};
use crate::checkpoint::LogVerifyError;
use crate::code::Code;
use crate::limits::SEGMENT_HEADER_BYTES_MAX;
use crate::merkle::TreeSize;
use crate::store::disk::Disk;
use crate::store::journal::{Base, SegmentHeader};
use crate::store::{Fault, Operation};

/// Creates the log of `identity` on `disk`; `checkpoint` is its signed checkpoint of size 0.
///
/// # Errors
/// When the store holds a log, or something of one, or cannot be written to.
pub fn init<D: Disk>(disk: &D, identity: &Identity, checkpoint: &str) -> Result<(), InitError> {
    let head = identity.verifier.verify(checkpoint.as_bytes())?;
    if head.size != TreeSize::EMPTY {
        return Err(InitError::NotEmpty { size: head.size });
    }
    let locked = disk.lock(layout::LOCK).map_err(|error| Fault::io(Operation::Lock, layout::LOCK, error))?;
    let _lock = locked.ok_or(InitError::Locked)?;
    refuse_remains(disk)?;
    for folder in [layout::PUBLIC, layout::JOURNAL, layout::SEALED] {
        disk.create_folder(folder).map_err(|error| Fault::io(Operation::Create, folder, error))?;
    }
    let header =
        SegmentHeader { origin: identity.origin_hash(), number: 0, settled: true, base: Base::empty() };
    write_durably(disk, &layout::segment(0), &header.encode())?;
    write_durably(disk, layout::CHECKPOINT, checkpoint.as_bytes())?;
    let written = BTreeSet::from([layout::segment(0), layout::CHECKPOINT.to_owned()]);
    disk.sync_files(&written).map_err(|error| Fault::io(Operation::Sync, "the new store", error))?;
    write_durably(disk, layout::IDENTITY, identity.policy.as_bytes())?;
    Ok(())
}

/// Refuses a store that holds a log, or a journal with something in it, or tiles.
fn refuse_remains<D: Disk>(disk: &D) -> Result<(), InitError> {
    if identity::read(disk)?.is_some() {
        return Err(InitError::Initialised);
    }
    if !list(disk, &format!("{}/tile", layout::PUBLIC))?.is_empty() {
        return Err(InitError::Remains);
    }
    for name in list(disk, layout::JOURNAL)? {
        let Some(number) = layout::segment_number(&name) else {
            continue;
        };
        let path = layout::segment(number);
        let bytes = disk
            .read_range(&path, 0, SEGMENT_HEADER_BYTES_MAX as u64)
            .map_err(|error| Fault::io(Operation::Read, &path, error))?;
        let empty = SegmentHeader {
            origin: crate::hash::empty_root(),
            number: 0,
            settled: true,
            base: Base::empty(),
        };
        if number != 0 || bytes.len() > empty.encode().len() {
            return Err(InitError::Remains);
        }
    }
    Ok(())
}

/// The names in a folder; none where there is no such folder.
fn list<D: Disk>(disk: &D, folder: &str) -> Result<Vec<String>, Fault> {
    match disk.list(folder) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Fault::io(Operation::List, folder, error)),
    }
}

/// Why no log was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The store is a log.
    #[error("the store holds a log already: start it, or choose another folder")]
    Initialised,
    /// The store holds part of a log that has no identity any more.
    #[error("the store holds remains of a log: restore its {} or choose another folder", layout::IDENTITY)]
    Remains,
    /// Another process has the store open.
    #[error("another process has the store open: stop it or choose another folder")]
    Locked,
    /// The first checkpoint is of a tree with leaves.
    #[error("a log starts with the checkpoint of size 0, not {size}")]
    NotEmpty {
        /// The size it is of.
        size: TreeSize,
    },
    /// The first checkpoint is not the log's.
    #[error("the first checkpoint is not signed by the log's keys")]
    Checkpoint(#[from] LogVerifyError),
    /// The storage failed.
    #[error("the store could not be created")]
    Store(#[from] Fault),
}

impl InitError {
    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Initialised | Self::Remains | Self::NotEmpty { .. } => Code::Misuse,
            Self::Locked => Code::Unavailable,
            Self::Checkpoint(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }
}
