//! Makes a backup, beside a sidecar that may be running.
//!
//! The order makes it whole without stopping anybody: cursors of sinks and anchors first, because a log must not be behind them; then the
//! checkpoint; then the journal, which reaches at least as far; then the files that the journal builds on, which are there by then; then
//! the keyring, which knows at least the keys of all that. What is newer than the journal is what a crash would have left, and recovery
//! handles it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::{FsReader, StdDisk};
use ledgerstone::tile::{TILE_WIDTH, TileNodes};

use super::sums::{self, Sums};
use super::{
    BackupError, FACTS, FORMAT, Facts, IMMUTABLE, KEYRING, LINKS, Progress, STORE, SUMS, at, copy, digest,
    folder_of, generation, generations, sync,
};
use crate::config::Config;
use crate::keyring;
use crate::reader::LogReadError;

/// How often the store is listed anew because a file was gone before it was read: the sidecar removes those that others replace.
const TRIES_MAX: usize = 16;

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub facts: Facts,
    /// Files that were there from a backup before.
    pub kept: u64,
    /// SHA-256 of its list.
    pub digest: Hash,
}

/// Copies the store of `config` into the folder `backup`, which is created where it is missing. `tell` hears how far it is. Blocks.
///
/// # Errors
/// [`BackupError`]; a backup that was there before is whole.
pub fn back_up(
    config: &Config,
    backup: &Path,
    now_ms: u64,
    tell: impl FnMut(Progress),
) -> Result<Made, BackupError> {
    apart(&config.log.store, backup)?;
    fs::create_dir_all(backup).map_err(at(backup))?;
    let lock_path = backup.join("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(BackupError::Busy { path: backup.to_owned() }),
        Err(fs::TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
    }
    let (whole, begun) = generations(backup)?;
    begun.iter().try_for_each(|path| discard(path))?;
    let newest = whole.last().map(|number| Ok::<_, BackupError>((*number, listed(backup, *number)?)));
    let newest = newest.transpose()?;
    let before = newest.filter(|(number, _)| is_part(&config.log.store, &backup.join(generation(*number))));
    let before = before.map(|(_, sums)| sums).unwrap_or_default();
    let name = generation(whole.last().map_or(1, |last| last + 1));
    let folder = backup.join(&name);
    fs::create_dir(&folder).map_err(at(&folder))?;
    let mut making = Making {
        store: &config.log.store,
        backup,
        name,
        before,
        sums: Sums::new(),
        done: Progress::default(),
        kept: 0,
        tell,
    };
    let made = making.all(config, now_ms);
    if made.is_err() {
        // What is left of it means nothing, and the disk may be full.
        _ = fs::remove_dir_all(&folder);
        return made;
    }
    for number in whole {
        discard(&backup.join(generation(number)))?;
    }
    made
}

/// Removes a generation, its list first: what has a list is whole, also when this is cut short.
fn discard(generation: &Path) -> Result<(), BackupError> {
    remove(&generation.join(SUMS))?;
    sync(generation)?;
    fs::remove_dir_all(generation).map_err(at(generation))
}

/// Refuses a backup into the store, or around it.
fn apart(store: &Path, backup: &Path) -> Result<(), BackupError> {
    let store = store.canonicalize().map_err(at(store))?;
    let whole = std::path::absolute(backup).map_err(at(backup))?;
    // What is not there yet is no link.
    let there = whole.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let backup = there.map_or_else(
        || whole.clone(),
        |(above, found)| found.join(whole.strip_prefix(above).unwrap_or(Path::new(""))),
    );
    if store.starts_with(&backup) || backup.starts_with(&store) {
        return Err(BackupError::Inside { path: backup });
    }
    Ok(())
}

/// Whether the tree of a generation is part of the log in `store`, so that what never changes is the same in both: not so where an older
/// store was restored and has grown differently since.
fn is_part(store: &Path, generation: &Path) -> bool {
    let (reader, disk) = (FsReader::open(store), StdDisk::new(&generation.join(STORE)));
    let note = disk.read("log/checkpoint", NOTE_BYTES_MAX as u64).unwrap_or_default();
    let (Ok(signed), Ok(size)) = (SignedCheckpoint::parse(&note), reader.size()) else { return false };
    let (then, nodes) = (signed.checkpoint(), TileNodes::new(&reader, size));
    then.size <= size && merkle::root(&nodes, then.size).is_ok_and(|root| root == then.root)
}

/// The files of a generation.
pub(super) fn listed(backup: &Path, number: u32) -> Result<Sums, BackupError> {
    let path = backup.join(generation(number)).join(SUMS);
    let damaged = || BackupError::Damaged { path: path.clone() };
    if fs::metadata(&path).map_err(at(&path))?.len() > sums::LIST_BYTES_MAX {
        return Err(damaged());
    }
    let text = fs::read(&path).map_err(at(&path))?;
    String::from_utf8(text).ok().and_then(|text| sums::read(&text)).ok_or_else(damaged)
}

/// A backup that is being made.
struct Making<'a, T> {
    store: &'a Path,
    backup: &'a Path,
    /// The folder of this generation.
    name: String,
    /// The files of the generation before, if it is of this log as it is now.
    before: Sums,
    sums: Sums,
    done: Progress,
    kept: u64,
    tell: T,
}

impl<T: FnMut(Progress)> Making<'_, T> {
    fn all(&mut self, config: &Config, now_ms: u64) -> Result<Made, BackupError> {
        // Before the journal: a sink that is ahead of it would get nothing.
        self.until_quiet(|making| making.tree("siem", 0))?;
        self.anchors()?;
        let reader = FsReader::open(self.store);
        let size = reader.size().map_err(LogReadError::from)?;
        self.file("log.policy")?;
        self.file("log/checkpoint")?;
        self.journal()?;
        let full = size.get() / u64::from(TILE_WIDTH);
        self.until_quiet(|making| Ok(making.tree("log/tile", full)? & making.tree("sealed", full)?))?;
        self.keyring(Hash::of(config.log.origin.as_str().as_bytes()))?;
        if let Some(links) = config.links.file.as_ref().filter(|path| path.exists()) {
            self.add(links, &format!("{}/{LINKS}", self.name))?;
        }
        let facts = Facts {
            format: FORMAT.to_owned(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            made_at_ms: now_ms,
            origin: config.log.origin.as_str().to_owned(),
            checkpoint_size: size.get(),
            configuration: hex_encode(config.digest.as_bytes()),
            files: self.done.files,
            bytes: self.done.bytes,
        };
        let digest = self.finish(&facts)?;
        Ok(Made { facts, kept: self.kept, digest })
    }

    /// The journals of the lanes before their folders: what was stated rests on what was decided.
    fn anchors(&mut self) -> Result<(), BackupError> {
        self.until_quiet(|making| making.tree("anchors/journal", 0))?;
        self.until_quiet(|making| making.tree("anchors", 0))
    }

    /// Does `work` until no file was gone before it was read.
    fn until_quiet(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<bool, BackupError>,
    ) -> Result<(), BackupError> {
        for _ in 0..TRIES_MAX {
            if work(self)? {
                return Ok(());
            }
        }
        Err(BackupError::Restless)
    }

    /// Copies the journal as it is at one moment. Each try begins anew: a segment that was copied while it was written, and beside it a later
    /// one, would be a journal with a hole.
    fn journal(&mut self) -> Result<(), BackupError> {
        self.until_quiet(|making| {
            let (sums, done) = (making.sums.clone(), making.done);
            let is_whole = making.tree("journal", 0)?;
            if !is_whole {
                (making.sums, making.done) = (sums, done);
            }
            Ok(is_whole)
        })
    }

    /// Copies everything below a folder of the store; says whether every file was there to the end. Of tiles, bundles and sealed
    /// records, those that lie wholly below bundle `full` never change.
    fn tree(&mut self, folder: &str, full: u64) -> Result<bool, BackupError> {
        let mut is_whole = true;
        // Partial files go once the full one is there, so the full ones are listed when those were read.
        for is_partial in [true, false] {
            for (name, is_folder) in self.names(folder)? {
                if name.ends_with(".p") != is_partial {
                    continue;
                }
                let below = format!("{folder}/{name}");
                is_whole &= if is_folder { self.tree(&below, full)? } else { self.stored(&below, full)? };
            }
        }
        Ok(is_whole)
    }

    /// The names in a folder of the store, in order, and whether each is a folder. None where there is no such folder.
    fn names(&self, folder: &str) -> Result<Vec<(String, bool)>, BackupError> {
        let path = self.store.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&path))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&path))?;
            // A name that is not ours, files that do not have theirs yet, and those that hold nothing but a lock.
            if let Ok(name) = entry.file_name().into_string()
                && ![".tmp", ".lock"].iter().any(|end| name.ends_with(end))
            {
                names.push((name, entry.file_type().map_err(at(&path))?.is_dir()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Copies a file of the store; says whether it was there.
    fn stored(&mut self, path: &str, full: u64) -> Result<bool, BackupError> {
        let target = match is_immutable(path, full) {
            true => format!("{IMMUTABLE}/{path}"),
            false => format!("{}/{STORE}/{path}", self.name),
        };
        match self.add(&self.store.join(path), &target) {
            Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// Copies a file of the store that is always there.
    fn file(&mut self, path: &str) -> Result<(), BackupError> {
        self.add(&self.store.join(path), &format!("{}/{STORE}/{path}", self.name))
    }

    /// Copies a file, as long as it is now, to a place in the backup, and notes it. One that is there already is not read again.
    fn add(&mut self, source: &Path, target: &str) -> Result<(), BackupError> {
        if self.sums.contains_key(target) {
            return Ok(());
        }
        if self.sums.len() >= sums::FILES_MAX {
            return Err(BackupError::TooManyFiles);
        }
        let file = File::open(source).map_err(at(source))?;
        let length = file.metadata().map_err(at(source))?.len();
        let path = self.backup.join(target);
        folder_of(&path)?;
        let (length, hash) = match self.there(&path, target, source, length)? {
            Some(hash) => {
                self.kept += 1;
                (length, hash)
            }
            None => {
                let temporary = with_end(&path, ".tmp");
                remove(&temporary)?;
                let copied = copy(file, length, &temporary)?;
                fs::rename(&temporary, &path).map_err(at(&path))?;
                copied
            }
        };
        self.note(target, length, hash);
        Ok(())
    }

    /// The SHA-256 of a file that the backup has already, if it is the one at `source`.
    fn there(
        &self,
        path: &Path,
        target: &str,
        source: &Path,
        length: u64,
    ) -> Result<Option<Hash>, BackupError> {
        if !target.starts_with(IMMUTABLE) || !fs::metadata(path).is_ok_and(|there| there.len() == length) {
            return Ok(None);
        }
        if let Some(hash) = self.before.get(target) {
            return Ok(Some(*hash));
        }
        // A backup that was cut short has left it, perhaps.
        let (there, wanted) = (digest(path)?, digest(source)?);
        Ok((there == wanted).then_some(wanted.1))
    }

    fn note(&mut self, target: &str, length: u64, hash: Hash) {
        self.sums.insert(target.to_owned(), hash);
        self.done.files += 1;
        self.done.bytes += length;
        (self.tell)(self.done);
    }

    /// Copies the keyring as it is at one moment, if there is one.
    fn keyring(&mut self, origin: Hash) -> Result<(), BackupError> {
        if !keyring::file(self.store).exists() {
            return Ok(());
        }
        let target = format!("{}/{KEYRING}", self.name);
        let path = self.backup.join(&target);
        keyring::copy_of(self.store, origin, &path)?;
        let (length, hash) = digest(&path)?;
        self.note(&target, length, hash);
        Ok(())
    }

    /// Writes what it is, makes everything durable, and then lists it.
    fn finish(&mut self, facts: &Facts) -> Result<Hash, BackupError> {
        let folder = self.backup.join(&self.name);
        let path = folder.join(FACTS);
        let mut json = serde_json::to_vec_pretty(facts).map_err(|error| at(&path)(error.into()))?;
        json.push(b'\n');
        let (_, hash) = copy(json.as_slice(), json.len() as u64, &path)?;
        self.sums.insert(format!("{}/{FACTS}", self.name), hash);
        for folder in folders(&self.sums) {
            sync(&self.backup.join(folder))?;
        }
        let list = sums::write(&self.sums);
        let (path, temporary) = (folder.join(SUMS), folder.join("SHA256SUMS.tmp"));
        let (_, digest) = copy(list.as_bytes(), list.len() as u64, &temporary)?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        sync(&folder)?;
        sync(self.backup)?;
        Ok(digest)
    }
}

/// Every folder that a file is listed in, and those above.
fn folders(sums: &Sums) -> Vec<PathBuf> {
    let mut found = HashMap::new();
    for path in sums.keys() {
        for folder in Path::new(path).ancestors().skip(1) {
            if found.insert(folder.to_owned(), ()).is_some() {
                break;
            }
        }
    }
    found.into_keys().collect()
}

/// Whether a file of the store never changes: a full tile or bundle, or the sealed records of a bundle, wholly below bundle `full`. What is
/// above may be taken back: the journal of this backup may end before it.
fn is_immutable(path: &str, full: u64) -> bool {
    if let Some(sealed) = path.strip_prefix("sealed/") {
        return number(sealed).is_some_and(|bundle| bundle < full);
    }
    let tile = path.strip_prefix("log/tile/").and_then(|path| path.split_once('/'));
    tile.and_then(|(level, path)| {
        // A tile is over as many tiles of the level below as it is wide.
        let level = if level == "entries" { 0 } else { level.parse().ok()? };
        let bundles = u64::from(TILE_WIDTH).checked_pow(level)?;
        number(path)?.checked_add(1)?.checked_mul(bundles)
    })
    .is_some_and(|end| end <= full)
}

/// The number that a path of tlog-tiles spells: `x001/x234/067`.
fn number(path: &str) -> Option<u64> {
    path.split('/').try_fold(0_u64, |number, part| {
        let digits: u64 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
        number.checked_mul(1000)?.checked_add(digits)
    })
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_full_never_changes() {
        for (path, expected) in [
            ("log/tile/0/000", true),
            ("log/tile/0/004", true),
            ("log/tile/0/005", false),
            ("log/tile/0/000.p/17", false),
            ("log/tile/1/000", false),
            ("log/tile/entries/004", true),
            ("log/tile/entries/x001/234", false),
            ("log/tile/9/000", false),
            ("log/checkpoint", false),
            ("sealed/004", true),
            ("sealed/005", false),
            ("sealed/x001/004", false),
            ("sealed/other", false),
            ("journal/0000000000000001.journal", false),
        ] {
            assert_eq!(is_immutable(path, 5), expected, "{path}");
        }
        assert!(is_immutable("log/tile/1/000", 256) && !is_immutable("log/tile/1/000", 255));
    }

    /// What makes a backup of `store`; `tell` hears of each file that was copied.
    fn making<'a, T: FnMut(Progress)>(store: &'a Path, backup: &'a Path, tell: T) -> Making<'a, T> {
        Making {
            store,
            backup,
            name: "000001".to_owned(),
            before: Sums::new(),
            sums: Sums::new(),
            done: Progress::default(),
            kept: 0,
            tell,
        }
    }

    fn put(store: &Path, path: &str, text: &str) {
        fs::create_dir_all(store.join(path).parent().unwrap()).unwrap();
        fs::write(store.join(path), text).unwrap();
    }

    #[test]
    fn a_journal_that_moves_on_while_it_is_copied_has_no_hole() {
        let (store, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = store.path();
        put(store, "journal/1.journal", "old");
        put(store, "journal/2.journal", "begun");
        put(store, "journal/3.journal", "gone");
        let mut copied = 0;
        let mut making = making(store, backup.path(), |_| {
            copied += 1;
            if copied == 2 {
                // The segment that was just copied goes on, and the next one is begun, while a listed one vanishes.
                put(store, "journal/2.journal", "begun and filled");
                fs::remove_file(store.join("journal/3.journal")).unwrap();
                put(store, "journal/4.journal", "next");
            }
        });
        making.journal().unwrap();
        let text = |name: &str| fs::read_to_string(backup.path().join("000001/store/journal").join(name));
        assert_eq!(text("2.journal").unwrap(), "begun and filled");
        assert_eq!(text("4.journal").unwrap(), "next");
        assert_eq!((making.sums.len(), making.done.files), (3, 3));
    }

    #[test]
    fn a_tile_that_becomes_full_while_partial_ones_are_read_is_copied() {
        let (store, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = store.path();
        put(store, "log/tile/0/000", "full");
        put(store, "log/tile/0/001.p/7", "partial");
        let mut is_full = false;
        let mut making = making(store, backup.path(), |_| {
            if !std::mem::replace(&mut is_full, true) {
                put(store, "log/tile/0/001", "full too");
                fs::remove_dir_all(store.join("log/tile/0/001.p")).unwrap();
            }
        });
        assert!(making.tree("log/tile", 2).unwrap());
        assert!(making.sums.contains_key("immutable/log/tile/0/001"), "{:?}", making.sums.keys());
    }
}
