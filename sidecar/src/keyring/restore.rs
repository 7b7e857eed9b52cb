//! A copy in the place of the keyring.
//!
//! Guarantees: what was destroyed stays destroyed, whether the log says it or only the keyring that is replaced does; the one that
//! was there stays beside it under a name of its own; at every moment there is one or the other, whole. A copy that is newer than
//! the log is brought back to it.
//! Does not do: keys that were made after the copy: records under them do not open, and are counted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledgerstone::entry::{Entry, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::record::SubjectKeyId;
use rusqlite::params;

use super::backup::{RESTORING, replaced};
use super::database::Database;
use super::error::RingError;
use super::follow::Follower;
use super::notes::Note;
use super::ring::{Keyring, destroyed, file, folder};
use super::{KeyProvider, create_private};
use crate::reader::LogReader;

/// Bytes of a keyring that is restored: a hundred million keys take about 20 GB, and more than that is no keyring.
const RESTORED_BYTES_MAX: u64 = 64 << 30;

/// Keyrings that are kept after they were replaced: an erasure deletes them all.
const REPLACED_MAX: usize = 16;

/// What a restore found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Records under keys that the copy does not have. Some of them may have been erased with their keys since.
    pub lost: u64,
    /// Keys that are destroyed while the log does not say so: it was restored from before that.
    pub unsaid: u64,
}

/// Puts the copy at `from` in the place of the keyring of the log in `store`, once every key that was destroyed is deleted from it.
/// The one that was there stays beside it. It is asked what it destroyed that the log does not say yet; `discard` goes on where it
/// cannot be read. Nobody may have the store open. Blocks.
///
/// # Errors
/// [`RingError`] if the copy is no keyring of this log or is damaged, or the one that is there cannot be read; then nothing was
/// changed.
pub fn restore(
    store: &Path,
    origin: Hash,
    provider: Arc<dyn KeyProvider>,
    log: &LogReader,
    from: &Path,
    discard: bool,
) -> Result<Restored, RingError> {
    let (ring_folder, target) = (folder(store), file(store));
    fs::create_dir_all(&ring_folder).map_err(fault(&ring_folder))?;
    let work = ring_folder.join(RESTORING);
    delete(&work)?;
    let restored = fill(&work, from).and_then(|()| {
        let (database, _) = Database::open(&work, origin)?;
        database.check_whole()?;
        let known = match Known::of(&target, origin, log.published().size) {
            Err(source) if !discard => return Err(RingError::Current { source: Box::new(source) }),
            known => known.unwrap_or_default(),
        };
        let ring = Arc::new(Keyring::over(database, origin, provider, 0, ring_folder.clone())?);
        let told = tell(&ring, log, &known);
        ring.close()?;
        told
    });
    if restored.is_err() {
        delete(&work)?;
        return restored;
    }
    exchange(&ring_folder, &work, &target)?;
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
    // Starts that were refused have learned something already.
    let follower = Follower::new(Arc::clone(&ring), log.clone());
    follower.anew()?;
    let lost = follower.catch_up()?;
    ring.database().connection().execute("DELETE FROM meta WHERE name = 'new'", [])?;
    ring.close()?;
    Ok(lost)
}

/// Copies the bytes into a file that nobody else may read.
fn fill(work: &Path, from: &Path) -> Result<(), RingError> {
    let mut source = fs::File::open(from).map_err(fault(from))?;
    let length = source.metadata().map_err(fault(from))?.len();
    if length == 0 || length > RESTORED_BYTES_MAX {
        return Err(RingError::NoKeyring { path: from.to_owned() });
    }
    let mut file = create_private(work).map_err(fault(work))?;
    io::copy(&mut source, &mut file).map_err(fault(from))?;
    file.sync_all().map_err(fault(work))
}

/// What a keyring knows that the log does not say.
#[derive(Default)]
struct Known {
    /// What the log must still say.
    notes: Vec<Note>,
    /// Keys that are destroyed, and on what ground.
    destroyed: Vec<(SubjectKeyId, u64)>,
}

impl Known {
    /// Asks the keyring at `path`, if there is one, about a log of `size` entries. Leaves it closed, with nothing in its write-ahead
    /// log.
    fn of(path: &Path, origin: Hash, size: TreeSize) -> Result<Self, RingError> {
        if !fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return Ok(Self::default());
        }
        let (mut database, _) = Database::open(path, origin)?;
        database.check_whole()?;
        let size = i64::try_from(size.get()).unwrap_or(i64::MAX);
        let sql = "SELECT key, ground FROM destroyed WHERE leaf IS NULL OR leaf >= ?1";
        let mut statement = database.connection().prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let ground = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            Ok((SubjectKeyId::from_bytes(row.get(0)?), ground))
        };
        let destroyed = statement.query_map(params![size], row)?.collect::<Result<_, _>>()?;
        drop(statement);
        let known = Self { notes: database.notes()?, destroyed };
        database.close()?;
        Ok(known)
    }
}

/// Tells a copy what the log says, and what only the keyring in place knows.
fn tell(ring: &Arc<Keyring>, log: &LogReader, known: &Known) -> Result<Restored, RingError> {
    let follower = Follower::new(Arc::clone(ring), log.clone());
    let mut lost = follower.rewind()?;
    let mut database = ring.database();
    let change = database.begin()?;
    // Those that the log says after all go when it is followed.
    known.notes.iter().try_for_each(|note| change.note_again(&note.bytes))?;
    change.commit()?;
    drop(database);
    lost += follower.catch_up()?;
    let open = open_notes(ring)?;
    lost += follower.carry_out(&open)?;
    let mut database = ring.database();
    let change = database.begin()?;
    for (key, ground) in &known.destroyed {
        change.destroy(key, *ground, None)?;
    }
    change.0.execute("DELETE FROM meta WHERE name = 'new'", [])?;
    change.commit()?;
    let count = "SELECT count(*) FROM destroyed WHERE leaf IS NULL";
    let leafless: i64 = database.connection().query_row(count, [], |row| row.get(0))?;
    drop(database);
    let noted: usize = open.iter().map(keys_of).sum();
    Ok(Restored { lost, unsaid: u64::try_from(leafless).unwrap_or_default().saturating_sub(noted as u64) })
}

/// The entries that the log must still have. Notes of what it says already, which another keyring was not told, are deleted.
fn open_notes(ring: &Keyring) -> Result<Vec<Entry>, RingError> {
    let mut database = ring.database();
    let (mut open, mut said) = (Vec::new(), Vec::new());
    for Note { entry, details, .. } in database.notes()? {
        let mut is_said = !details.keys.is_empty();
        for key in &details.keys {
            is_said &= matches!(destroyed(&database, key)?, Some(Some(_)));
        }
        if is_said {
            said.push(details);
        } else {
            open.push(entry);
        }
    }
    let change = database.begin()?;
    said.iter().try_for_each(|details| change.forget_note(details))?;
    change.commit()?;
    Ok(open)
}

/// How many keys an entry says were destroyed.
fn keys_of(entry: &Entry) -> usize {
    match entry.kind_details() {
        Ok(KindDetails::Erasure(erasure)) => erasure.keys.len(),
        _ => 0,
    }
}

/// Puts `work` in the place of `target`, which stays under another name.
fn exchange(ring_folder: &Path, work: &Path, target: &Path) -> Result<(), RingError> {
    if target.exists() {
        let kept = (1..=REPLACED_MAX).map(|number| replaced(ring_folder, number)).find(|path| !path.exists());
        let kept = kept.ok_or_else(|| RingError::Replaced { path: ring_folder.to_owned() })?;
        // Of one that could not be read, what is beside it belongs to it; the others have nothing there.
        for (from, to) in beside(target).iter().zip(beside(&kept)) {
            if from.exists() {
                fs::rename(from, to).map_err(fault(from))?;
            }
        }
        // A second name, so that a crash between the two steps leaves a keyring in its place.
        fs::hard_link(target, &kept).map_err(fault(&kept))?;
    }
    beside(target).iter().try_for_each(|path| remove(path))?;
    sync(ring_folder)?;
    fs::File::open(work).and_then(|file| file.sync_all()).map_err(fault(work))?;
    fs::rename(work, target).map_err(fault(target))?;
    beside(work).iter().try_for_each(|path| remove(path))?;
    sync(ring_folder)
}

fn sync(ring_folder: &Path) -> Result<(), RingError> {
    fs::File::open(ring_folder).and_then(|folder| folder.sync_all()).map_err(fault(ring_folder))
}

/// The write-ahead log and the shared memory of a database.
fn beside(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

fn delete(path: &Path) -> Result<(), RingError> {
    remove(path)?;
    beside(path).iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), RingError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault(path)(error)),
        _ => Ok(()),
    }
}

fn fault(path: &Path) -> impl Fn(io::Error) -> RingError {
    let path = path.to_owned();
    move |source| RingError::File { path: path.clone(), source }
}
