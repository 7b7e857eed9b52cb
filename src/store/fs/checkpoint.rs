//! The published checkpoint of a store.

use super::{layout, sync_and_rename, write_beside};
use crate::limits::NOTE_BYTES_MAX;
use crate::store::disk::Disk;
use crate::store::{Fault, Operation, Outcome};

/// Makes `note` the published checkpoint, durably.
pub(super) fn publish<D: Disk>(disk: &D, note: &str) -> Outcome {
    let file = match write_beside(disk, layout::CHECKPOINT, note.as_bytes()) {
        Ok(file) => file,
        Err(fault) => return Outcome::of_attempt(Err(fault)),
    };
    Outcome::of_sync(sync_and_rename(disk, layout::CHECKPOINT, file))
}

/// The bytes of the published checkpoint.
pub(super) fn read<D: Disk>(disk: &D) -> Result<Vec<u8>, Fault> {
    disk.read(layout::CHECKPOINT, NOTE_BYTES_MAX as u64)
        .map_err(|error| Fault::io(Operation::Read, layout::CHECKPOINT, error))
}
