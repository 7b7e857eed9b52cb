//! A log in a folder: `docs/spec/store.md` is this module's specification.
//!
//! Guarantees: only [`init`] creates a log; [`open`] lets one process at a time go on with it, refuses a folder that is
//! another log's or whose journal does not reach what was published, and rebuilds what a crash left undone with the same
//! code that writes it otherwise (INV-6). Does not do: signing, or deciding when to write.
//!
//! This is the only module of the library that touches the file system, in [`StdDisk`]; everything else is written
//! against [`Disk`], so that the simulator runs the same protocol on a disk that loses power.

mod checkpoint;
mod identity;
mod init;
mod journal;
mod layout;
mod open;
mod reader;
mod receipt_key;
mod sealed;
mod tiles;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use identity::Identity;
pub use init::{InitError, init};
pub use journal::FsJournal;
pub use open::{OpenError, Opened, Options, RecoveryReport, open};
pub use reader::{FsReader, ReadError};
pub use receipt_key::{NameKeyError, name_receipt_key};
pub use tiles::FsTiles;

use crate::store::disk::{Disk, DiskFile, folder_of};
use crate::store::{Fault, Operation};

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct StdDisk {
    root: PathBuf,
}

impl StdDisk {
    /// The folder `root`, which must exist before anything is written.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Disk for StdDisk {
    type File = StdFile;
    type Lock = File;

    fn lock(&self, path: &str) -> io::Result<Option<File>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn read(&self, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.at(path))?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.at(path))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(self.at(folder))?;
        // A name that is not UTF-8 is none that a store gives.
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(folder))
    }

    fn create(&self, path: &str) -> io::Result<StdFile> {
        File::create(self.at(path)).map(StdFile)
    }

    fn open(&self, path: &str) -> io::Result<StdFile> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.at(path))?;
        Ok(StdFile(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        fs::remove_dir_all(self.at(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.at(folder))?.sync_all()
    }

    fn sync_files(&self, files: &BTreeSet<String>) -> io::Result<()> {
        let mut folders = BTreeSet::from([""]);
        for path in files {
            File::open(self.at(path))?.sync_all()?;
            let mut above = folder_of(path);
            while let Some(folder) = above.filter(|folder| folders.insert(folder)) {
                above = folder_of(folder);
            }
        }
        folders.into_iter().try_for_each(|folder| self.sync_folder(folder))
    }
}

/// A file of a [`StdDisk`], open for writing.
#[derive(Debug)]
pub struct StdFile(File);

impl DiskFile for StdFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Puts `bytes` at `path` so that a crash leaves either the old file or the new one whole.
fn write_durably<D: Disk>(disk: &D, path: &str, bytes: &[u8]) -> Result<(), Fault> {
    let file = write_beside(disk, path, bytes)?;
    sync_and_rename(disk, path, file)
}

/// Writes `bytes` to a temporary file beside `path`.
fn write_beside<D: Disk>(disk: &D, path: &str, bytes: &[u8]) -> Result<D::File, Fault> {
    let temporary = layout::temporary(path);
    let mut file =
        disk.create(&temporary).map_err(|error| Fault::io(Operation::Create, &temporary, error))?;
    file.write_at(0, bytes).map_err(|error| Fault::io(Operation::Write, &temporary, error))?;
    Ok(file)
}

/// Makes the temporary file beside `path` durable and gives it that name, durably.
fn sync_and_rename<D: Disk>(disk: &D, path: &str, mut file: D::File) -> Result<(), Fault> {
    let temporary = layout::temporary(path);
    file.sync().map_err(|error| Fault::io(Operation::Sync, &temporary, error))?;
    disk.rename(&temporary, path).map_err(|error| Fault::io(Operation::Rename, path, error))?;
    let folder = folder_of(path).unwrap_or("");
    disk.sync_folder(folder).map_err(|error| Fault::io(Operation::Sync, folder, error))
}

#[cfg(test)]
mod tests;
