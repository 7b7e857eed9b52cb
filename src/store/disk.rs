//! The few file operations that a store is built on, so that one protocol runs on a real disk and on a simulated one.
//!
//! Guarantees: none by itself; the durability each operation has is what an implementation states. Does not do: paths
//! outside the store. A path is relative, its parts separated by `/`.
//!
//! What the protocol counts on, and `memory` models: writing changes nothing durable until a sync returns; a sync that
//! fails leaves unknown what reached the disk, and a later one that succeeds says nothing about those bytes; a rename
//! within a folder is atomic and durable once the folder is synced; a sector of 512 bytes is written whole or not at all.

use core::fmt;
use std::collections::BTreeSet;
use std::io;

/// A folder on some storage.
pub trait Disk: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// A held lock, given up when dropped.
    type Lock: fmt::Debug + Send + Sync + 'static;

    /// Takes the lock at `path`, or answers `None` where somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be opened or the storage has no locks.
    fn lock(&self, path: &str) -> io::Result<Option<Self::Lock>>;

    /// The bytes of a file, refused with [`io::ErrorKind::FileTooLarge`] where it has more than `bytes_max`.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    fn read(&self, path: &str, bytes_max: u64) -> io::Result<Vec<u8>>;

    /// Up to `length` bytes of a file from `offset` on; fewer where the file ends before.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    fn read_range(&self, path: &str, offset: u64, length: u64) -> io::Result<Vec<u8>>;

    /// The names in a folder, in no order.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Creates a folder and those above it, where they are missing.
    ///
    /// # Errors
    /// When one cannot be created.
    fn create_folder(&self, folder: &str) -> io::Result<()>;

    /// Creates an empty file in a folder that exists, replacing what is there.
    ///
    /// # Errors
    /// When it cannot be created.
    fn create(&self, path: &str) -> io::Result<Self::File>;

    /// Opens a file for writing without changing it, creating an empty one where it is missing.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, path: &str) -> io::Result<Self::File>;

    /// Renames a file within its folder, replacing what has the new name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a folder and the files in it. It has no folders.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    fn remove_folder(&self, folder: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When the storage does not say that they are.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Makes `files`, their names, and the folders above them durable. May make more durable than it was asked to.
    ///
    /// # Errors
    /// When the storage does not say that they are.
    fn sync_files(&self, files: &BTreeSet<String>) -> io::Result<()>;
}

/// A file open for writing.
pub trait DiskFile: fmt::Debug + Send {
    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    /// When they were not all written; some may have been.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off after `length` bytes.
    ///
    /// # Errors
    /// When it was not cut off.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable, not its name.
    ///
    /// # Errors
    /// When the storage does not say that they are.
    fn sync(&mut self) -> io::Result<()>;
}

/// The folder above `path`, or `None` for a name at the top.
#[must_use]
pub fn folder_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}
