//! Copies of the keyring: in slots that the sidecar manages beside it, and wherever the operator asks for one.
//!
//! Guarantees: a copy is whole, appears under its name when it is durable, and holds wrapped keys only; nobody waits for one to be
//! written but an erasure, which deletes the managed slots before it is answered, and the end of the keyring. A copy that the sidecar
//! does not manage may still hold keys that are destroyed here: whoever restores one deletes them first, because the log names them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;

use super::create_private;
use super::database::Database;
use super::error::RingError;
use super::ring::{FILE, Keyring};

/// The folder of the managed slots.
const SLOTS: &str = "backup";

/// What the names of keyrings that a restore replaced begin with.
const REPLACED: &str = "replaced";

/// The file that a restore works on.
pub(super) const RESTORING: &str = "restoring.db";

/// What the names of everything begin with that restores leave.
const LEFT: [&str; 2] = [REPLACED, RESTORING];

/// Managed copies that are kept.
pub const SLOTS_MAX: usize = 3;

/// The name of the keyring that a restore replaced, counted from 1.
pub(super) fn replaced(ring_folder: &Path, number: usize) -> PathBuf {
    let number = if number == 1 { String::new() } else { format!("-{number}") };
    ring_folder.join(format!("{REPLACED}{number}.db"))
}

/// Deletes every managed copy, those that are half written too, the keyrings that restores replaced, and what a restore that
/// was interrupted has left.
fn purge(ring_folder: &Path) -> Result<(), RingError> {
    let fault = |path: &Path, source| RingError::File { path: path.to_owned(), source };
    let in_use = fs::metadata(ring_folder.join(FILE)).ok().map(|file| (file.dev(), file.ino()));
    let is_left = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| LEFT.iter().any(|left| name.starts_with(left)))
    };
    let left = files(ring_folder)?.into_iter().filter(is_left);
    for path in slots(ring_folder)?.into_iter().chain(left) {
        let metadata = fs::metadata(&path).map_err(|source| fault(&path, source))?;
        // A restore that was interrupted leaves a second name of the keyring itself.
        if in_use != Some((metadata.dev(), metadata.ino())) {
            overwrite(&path, metadata.len()).map_err(|source| fault(&path, source))?;
        }
        fs::remove_file(&path).map_err(|source| fault(&path, source))?;
    }
    Ok(())
}

/// So that what lies under a name is gone, where the file system writes in place.
fn overwrite(path: &Path, length: u64) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_all()
}

/// The managed copies, oldest first.
fn slots(ring_folder: &Path) -> Result<Vec<PathBuf>, RingError> {
    files(&ring_folder.join(SLOTS))
}

/// What lies in a folder, by name; nothing if it is not there.
fn files(folder: &Path) -> Result<Vec<PathBuf>, RingError> {
    let fault = |source| RingError::File { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(fault)?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, io::Error>>();
    let mut paths = paths.map_err(fault)?;
    paths.sort();
    Ok(paths)
}

/// Whether managed copies may be begun.
#[derive(Debug)]
pub(super) enum Copying {
    Allowed,
    /// The keyring was closed, and the file may be another process's.
    Over,
}

impl Keyring {
    /// Writes a managed copy and lets go of the oldest beyond [`SLOTS_MAX`]. `at` is the time in milliseconds. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if it cannot be written.
    pub fn back_up(&self, at: u64) -> Result<PathBuf, RingError> {
        let slots_folder = self.folder().join(SLOTS);
        let fault = |source| RingError::File { path: slots_folder.clone(), source };
        fs::create_dir_all(&slots_folder).map_err(fault)?;
        let path = slots_folder.join(format!("{at:020}.db"));
        // An erasure waits for the copy, and then deletes it; so does the end of the keyring, and nothing else.
        let turn = self.copies();
        if matches!(*turn, Copying::Over) {
            return Err(fault(io::Error::other("the keyring is closed")));
        }
        for begun in slots(self.folder())?.iter().filter(|path| path.extension() != Some("db".as_ref())) {
            fs::remove_file(begun).map_err(fault)?;
        }
        self.copy_to(&path)?;
        let copies = slots(self.folder())?;
        for old in copies.iter().take(copies.len().saturating_sub(SLOTS_MAX)) {
            fs::remove_file(old).map_err(fault)?;
        }
        Ok(path)
    }

    /// Writes a copy to `path`, which must not exist. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if it cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), RingError> {
        // A connection of its own, which sees one state of the file for as long as it takes, whatever is changed meanwhile.
        copy(&Database::open_to_read(&self.folder().join(FILE), self.origin())?, path)
    }

    /// Empties the write-ahead log and deletes the managed copies: both hold keys that are destroyed here. Waits for a copy that is
    /// being written, which reads the write-ahead log. Blocks.
    pub(crate) fn wipe_everywhere(&self) -> Result<(), RingError> {
        let _turn = self.copies();
        self.database().wipe()?;
        purge(self.folder())
    }

    /// When the newest managed copy was made, in milliseconds since 1970.
    pub(crate) fn newest_backup(&self) -> Result<Option<u64>, RingError> {
        let newest =
            slots(self.folder())?.into_iter().filter_map(|path| path.file_stem()?.to_str()?.parse().ok());
        Ok(newest.max())
    }

    /// How many managed copies there are.
    ///
    /// # Errors
    /// [`RingError`] if the folder cannot be listed.
    pub fn backups(&self) -> Result<usize, RingError> {
        Ok(slots(self.folder())?.len())
    }
}

/// Writes a copy of the keyring of the log `origin` in `store` to `path`, which must not exist; no key is unwrapped. Blocks.
///
/// # Errors
/// [`RingError`] if it cannot be read or written.
pub fn copy_of(store: &Path, origin: Hash, path: &Path) -> Result<(), RingError> {
    copy(&Database::open_to_read(&super::ring::file(store), origin)?, path)
}

fn copy(database: &Database, path: &Path) -> Result<(), RingError> {
    let fault = |source| RingError::File { path: path.to_owned(), source };
    if path.exists() {
        return Err(fault(io::ErrorKind::AlreadyExists.into()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    // An empty file of ours: SQLite takes it for a new database, and nobody else may read it.
    drop(create_private(&partial).map_err(fault)?);
    database.copy_to(&partial)?;
    fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(fault)?;
    fs::rename(&partial, path).map_err(fault)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(fault)
}

#[cfg(test)]
mod tests;
