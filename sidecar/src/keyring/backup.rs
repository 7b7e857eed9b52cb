//! Copies of the keyring: in slots that the sidecar manages beside it, and wherever the operator asks for one.
//!
//! Guarantees: a copy is whole, appears under its name when it is durable, and holds wrapped keys only; the managed slots are
//! deleted before an erasure is answered. A copy that the sidecar does not manage may still hold keys that are destroyed
//! here: whoever restores one deletes them first, because the log names them.
//! Does not do: keys that were made after the copy: records under them do not open after a restore.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledgerstone::hash::Hash;

use super::database::Database;
use super::error::RingError;
use super::follow::Follower;
use super::ring::{Keyring, file, folder};
use super::{KeyProvider, create_private};
use crate::reader::LogReader;

/// The folder of the managed slots.
const SLOTS: &str = "backup";

/// The keyring that was there before a restore.
const REPLACED: &str = "replaced.db";

/// Managed copies that are kept.
pub const SLOTS_MAX: usize = 3;

/// Bytes of a keyring that is restored: a hundred million keys take about 20 GB, and more than that is no keyring.
const RESTORED_BYTES_MAX: u64 = 64 << 30;

/// Deletes every managed copy, those that are half written too.
pub(super) fn purge(ring_folder: &Path) -> Result<(), RingError> {
    let replaced = ring_folder.join(REPLACED);
    let replaced = replaced.exists().then_some(replaced);
    for path in slots(ring_folder)?.into_iter().chain(replaced) {
        // Overwritten first, so that what lies under the name is gone where the file system writes in place.
        let fault = |source| RingError::File { path: path.clone(), source };
        let length = fs::metadata(&path).map_err(fault)?.len();
        let open = fs::OpenOptions::new().write(true).open(&path);
        let mut file = open.map_err(fault)?;
        io::copy(&mut io::Read::take(io::repeat(0), length), &mut file).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        fs::remove_file(&path).map_err(fault)?;
    }
    Ok(())
}

/// The managed copies, oldest first.
pub(super) fn slots(ring_folder: &Path) -> Result<Vec<PathBuf>, RingError> {
    let folder = ring_folder.join(SLOTS);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| RingError::File { path: folder.clone(), source })?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, io::Error>>();
    let mut paths = paths.map_err(|source| RingError::File { path: folder, source })?;
    paths.sort();
    Ok(paths)
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
        // Under the keyring's lock: an erasure comes before the copy or after it, and then deletes it.
        let database = self.database();
        copy(&database, &path)?;
        let copies = slots(self.folder())?;
        for old in copies.iter().take(copies.len().saturating_sub(SLOTS_MAX)) {
            fs::remove_file(old).map_err(fault)?;
        }
        drop(database);
        Ok(path)
    }

    /// Writes a copy to `path`, which must not exist. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if it cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), RingError> {
        copy(&self.database(), path)
    }

    /// How many managed copies there are.
    ///
    /// # Errors
    /// [`RingError`] if the folder cannot be listed.
    pub fn backups(&self) -> Result<usize, RingError> {
        Ok(slots(self.folder())?.len())
    }
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

/// Puts the copy at `from` in the place of the keyring of the log in `store`, once every key that the log says was destroyed is
/// deleted from it. The one that was there stays beside it under another name. Nobody may have the store open. Blocks.
///
/// Returns how many records lie under keys that the copy does not have.
///
/// # Errors
/// [`RingError`] if the copy is no keyring of this log or is damaged; then nothing was changed.
pub fn restore(
    store: &Path,
    origin: Hash,
    provider: Arc<dyn KeyProvider>,
    log: &LogReader,
    from: &Path,
) -> Result<u64, RingError> {
    let target = file(store);
    let (ring_folder, fault) = (folder(store), |path: &Path| {
        let path = path.to_owned();
        move |source| RingError::File { path, source }
    });
    let length = fs::metadata(from).map_err(fault(from))?.len();
    if length == 0 || length > RESTORED_BYTES_MAX {
        return Err(RingError::NoKeyring { path: from.to_owned() });
    }
    fs::create_dir_all(&ring_folder).map_err(fault(&ring_folder))?;
    let work = ring_folder.join("restoring.db");
    discard(&work)?;
    drop(create_private(&work).map_err(fault(&work))?);
    fs::copy(from, &work).map_err(fault(from))?;
    let restored = (|| {
        let (database, _) = Database::open(&work, origin)?;
        database.check_whole()?;
        let ring = Arc::new(Keyring::over(database, origin, provider, 0, ring_folder.clone())?);
        let lost = Follower::new(Arc::clone(&ring), log.clone()).catch_up()?;
        let database = ring.database();
        database.connection().execute("DELETE FROM meta WHERE name = 'new'", [])?;
        database.wipe()?;
        drop(database);
        Ok(lost)
    })();
    if restored.is_err() {
        discard(&work)?;
        return restored;
    }
    if target.exists() {
        // Keys that the copy lacks may be in it; what was destroyed in it stays destroyed.
        discard(&ring_folder.join(REPLACED))?;
        fs::rename(&target, ring_folder.join(REPLACED)).map_err(fault(&target))?;
    }
    beside(&target).iter().try_for_each(|path| remove(path))?;
    fs::rename(&work, &target).map_err(fault(&target))?;
    beside(&work).iter().try_for_each(|path| remove(path))?;
    fs::File::open(&ring_folder).and_then(|folder| folder.sync_all()).map_err(fault(&ring_folder))?;
    restored
}

/// Begins with an empty keyring: the records under the lost ones' keys are given up. Nobody may have the store open. Blocks.
///
/// Returns how many those are.
///
/// # Errors
/// [`RingError`] if there is a keyring, or none can be made.
pub fn begin_again(
    store: &Path,
    origin: Hash,
    provider: Arc<dyn KeyProvider>,
    log: &LogReader,
) -> Result<u64, RingError> {
    let ring = Arc::new(Keyring::open(store, origin, provider, 0)?);
    if ring.database().meta("new")?.is_none() {
        return Err(RingError::NotEmpty);
    }
    let lost = Follower::new(Arc::clone(&ring), log.clone()).catch_up()?;
    ring.database().connection().execute("DELETE FROM meta WHERE name = 'new'", [])?;
    Ok(lost)
}

/// The write-ahead log and the shared memory of a database.
fn beside(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

fn discard(path: &Path) -> Result<(), RingError> {
    remove(path)?;
    beside(path).iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), RingError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RingError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
