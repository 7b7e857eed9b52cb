//! The sealed files of a store: per entry bundle, the sealed records of its entries in leaf order.

use std::io;

use super::layout;
use crate::store::disk::{Disk, DiskFile, folder_of};
use crate::store::{Fault, Operation};

/// Writes sealed records at their place. The place depends on the entries alone, so writing twice changes nothing.
pub(super) fn write<D: Disk>(disk: &D, path: &str, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
    let opened = disk.open(path).or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        disk.create_folder(folder_of(path).unwrap_or(""))?;
        disk.open(path)
    });
    let mut file = opened.map_err(|error| Fault::io(Operation::Create, path, error))?;
    file.write_at(offset, bytes).map_err(|error| Fault::io(Operation::Write, path, error))
}

/// The sealed record that takes `length` bytes from `offset` on in the file of `bundle`, as far as it is there.
pub(super) fn read<D: Disk>(disk: &D, bundle: u64, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let path = layout::sealed(bundle);
    disk.read_range(&path, offset, length).map_err(|error| Fault::io(Operation::Read, &path, error))
}
