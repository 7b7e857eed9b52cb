//! Puts a backup in the place of a store that is lost.
//!
//! Guarantees: every file is checked before any is in its place; the log is recovered and held against its checkpoint by the code that
//! opens it otherwise; the keyring is told what the log says was erased; the store appears whole under its name or not at all.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ledgerstone::entry::Entry;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::store::fs::{self as store, Identity, StdDisk};
use ledgerstone::tile::{TILE_WIDTH, TileKind, TilePath};
use tokio::sync::watch;

use super::make::listed;
use super::outside::{self, Marker};
use super::sums::Sums;
use super::{
    BackupError, FACTS, FACTS_BYTES_MAX, FORMAT, Facts, IMMUTABLE, KEYRING, LINKS, Progress, STORE, SUMS, at,
    copy, folder_of, generation, generations, sync,
};
use crate::config::Config;
use crate::driver::Published;
use crate::keyring;
use crate::log_keys;
use crate::reader::LogReader;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says it is.
    pub facts: Facts,
    /// Leaves of the log.
    pub size: TreeSize,
    /// The root of its tree.
    pub root: Hash,
    /// What became of the keyring, if there was one.
    pub keyring: Option<keyring::Restored>,
    /// The file of links, where one is there already and that of the backup was left alone.
    pub links_left: Option<PathBuf>,
}

/// Restores the newest backup in the folder `backup` as the store of `config`, which must not exist or be empty. `tell` hears how far
/// it is. Blocks.
///
/// # Errors
/// [`BackupError`]; nothing is in the store's place then.
pub fn restore(config: &Config, backup: &Path, tell: impl FnMut(Progress)) -> Result<Restored, BackupError> {
    let store = &config.log.store;
    vacant(store)?;
    let (whole, _) = generations(backup)?;
    let newest = *whole.last().ok_or_else(|| BackupError::None { path: backup.to_owned() })?;
    let sums = listed(backup, newest)?;
    let facts = facts(backup, newest, &sums)?;
    if facts.origin != config.log.origin.as_str() {
        let (found, origin) = (facts.origin, config.log.origin.as_str().to_owned());
        return Err(BackupError::OtherLog { found, origin });
    }
    let keys = log_keys::load(&config.log.key_file, &config.log.origin)
        .map_err(|error| BackupError::Keys(error.to_string()))?;
    let identity = Identity::new(keys.verifier()).map_err(|error| BackupError::Keys(error.to_string()))?;
    drop(keys);
    let work = beside(store);
    match fs::remove_dir_all(&work) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&work)(error)),
        _ => fs::create_dir_all(&work).map_err(at(&work))?,
    }
    let aside = beside_keyring(&work);
    let placed = Placing { backup, newest, sums: &sums, work: &work, aside: &aside }.all(&facts, tell);
    let restored = placed.and_then(|()| {
        let opened = store::open(StdDisk::new(&work), &identity, &store::Options::default())?;
        let (size, root) = (opened.head.range.size(), opened.head.range.root());
        drop(opened);
        trim(&work, size)?;
        let keyring = keyring_of(config, &work, &aside)?;
        let made_at_ms = facts.made_at_ms;
        outside::mark(&work, &Marker::new(size, root, made_at_ms))?;
        put(&work, store)?;
        let links_left = links(config, &aside)?;
        fs::remove_dir_all(&aside).map_err(at(&aside))?;
        Ok(Restored { facts, size, root, keyring, links_left })
    });
    if restored.is_err() {
        for folder in [&work, &aside] {
            _ = fs::remove_dir_all(folder);
        }
    }
    restored
}

/// Refuses to restore where something is.
fn vacant(store: &Path) -> Result<(), BackupError> {
    match fs::read_dir(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(store)(error)),
        Ok(entries) => match entries.count() {
            0 => Ok(()),
            _ => Err(BackupError::Occupied { path: store.to_owned() }),
        },
    }
}

/// What the backup says it is; its list answers for it.
fn facts(backup: &Path, number: u32, sums: &Sums) -> Result<Facts, BackupError> {
    let name = format!("{}/{FACTS}", generation(number));
    let path = backup.join(&name);
    let damaged = || BackupError::Damaged { path: path.clone() };
    let mut json = Vec::new();
    File::open(&path).map_err(at(&path))?.take(FACTS_BYTES_MAX).read_to_end(&mut json).map_err(at(&path))?;
    if sums.get(&name) != Some(&Hash::of(&json)) {
        return Err(damaged());
    }
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(|_| damaged())?;
    let text = |key: &str| value.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    if text("format") != FORMAT && text("format").starts_with("ledgerstone-backup/") {
        return Err(BackupError::Newer { found: text("format"), software: text("software") });
    }
    let facts: Facts = serde_json::from_value(value).map_err(|_| damaged())?;
    if facts.format != FORMAT || facts.files != sums.len().saturating_sub(1) as u64 {
        return Err(damaged());
    }
    Ok(facts)
}

/// Where the store is put together.
fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}

/// Where the files lie that do not belong into the store as they are.
fn beside_keyring(work: &Path) -> PathBuf {
    let mut name = work.as_os_str().to_owned();
    name.push("-aside");
    name.into()
}

/// Files on their way to where a store is put together.
struct Placing<'a> {
    backup: &'a Path,
    newest: u32,
    sums: &'a Sums,
    work: &'a Path,
    aside: &'a Path,
}

impl Placing<'_> {
    /// Copies every file, and holds it against the list.
    fn all(&self, facts: &Facts, mut tell: impl FnMut(Progress)) -> Result<(), BackupError> {
        match fs::remove_dir_all(self.aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(self.aside)(error)),
            _ => fs::create_dir_all(self.aside).map_err(at(self.aside))?,
        }
        let mut done = Progress::default();
        let mut folders = std::collections::BTreeSet::new();
        for (name, wanted) in self.sums {
            let Some(target) = self.target(name)? else { continue };
            let source = self.backup.join(name);
            let file = File::open(&source).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BackupError::Damaged { path: source.clone() },
                _ => at(&source)(error),
            })?;
            let length = file.metadata().map_err(at(&source))?.len();
            folder_of(&target)?;
            let (length, found) = copy(file, length, &target)?;
            if found != *wanted {
                return Err(BackupError::Damaged { path: source });
            }
            folders.extend(target.parent().map(Path::to_owned));
            done = Progress { files: done.files + 1, bytes: done.bytes + length };
            tell(done);
        }
        if done != (Progress { files: facts.files, bytes: facts.bytes }) {
            return Err(BackupError::Damaged { path: self.backup.join(generation(self.newest)).join(SUMS) });
        }
        folders.iter().try_for_each(|folder| sync(folder))
    }

    /// Where a file of the list goes; nowhere, if it says what the backup is.
    fn target(&self, name: &str) -> Result<Option<PathBuf>, BackupError> {
        let own = name.strip_prefix(&generation(self.newest)).and_then(|rest| rest.strip_prefix('/'));
        match own {
            None => match name.strip_prefix(IMMUTABLE).and_then(|rest| rest.strip_prefix('/')) {
                Some(path) => Ok(Some(self.work.join(path))),
                None => {
                    Err(BackupError::Damaged { path: self.backup.join(generation(self.newest)).join(SUMS) })
                }
            },
            Some(FACTS) => Ok(None),
            Some(other) => match other.strip_prefix(STORE).and_then(|rest| rest.strip_prefix('/')) {
                Some(path) => Ok(Some(self.work.join(path))),
                None => Ok(Some(self.aside.join(other))),
            },
        }
    }
}

/// Cuts off the sealed records of entries that came after what the journal of the backup reaches: the files were copied later than it.
fn trim(work: &Path, size: TreeSize) -> Result<(), BackupError> {
    let width = u64::from(TILE_WIDTH);
    let (bundle, entries) = (size.get() / width, size.get() % width);
    for later in (bundle + u64::from(entries > 0)).. {
        let path = sealed(work, later);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            removed => removed.map_err(at(&path))?,
        }
    }
    let path = sealed(work, bundle);
    let file = match File::options().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(at(&path))?,
    };
    let (_, published) = watch::channel(Published { size, checkpoint: "".into() });
    let log = LogReader::open(work, published)?;
    let mut length = 0;
    for (entry, _) in log.bundle(bundle)?.entries.iter().zip(0..entries) {
        let entry =
            Entry::decode(entry).map_err(|_| BackupError::Damaged { path: work.join("log/tile/entries") })?;
        length += entry.sealed.map_or(0, |sealed| sealed.length);
    }
    file.set_len(length).and_then(|()| file.sync_all()).map_err(at(&path))
}

/// Where the sealed records of the entries under a bundle are.
fn sealed(work: &Path, bundle: u64) -> PathBuf {
    let path = TilePath::full(TileKind::Entries, bundle).to_string();
    work.join("sealed").join(path.trim_start_matches("tile/entries/"))
}

/// Has the keyring of the backup, if there is one, learn what the log says, and puts it into the store.
fn keyring_of(config: &Config, work: &Path, aside: &Path) -> Result<Option<keyring::Restored>, BackupError> {
    let from = aside.join(KEYRING);
    if !from.exists() {
        return Ok(None);
    }
    let provider = keyring::open(&config.keys).map_err(|error| BackupError::Keys(error.to_string()))?;
    let origin = Hash::of(config.log.origin.as_str().as_bytes());
    let log = LogReader::at_rest(work)?;
    Ok(Some(keyring::restore(work, origin, provider, &log, &from, false)?))
}

/// Gives the store its name, once all of it is durable.
fn put(work: &Path, store: &Path) -> Result<(), BackupError> {
    sync(work)?;
    fs::rename(work, store).map_err(at(store))?;
    sync(store.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Puts the file of links in its place, unless one is there.
fn links(config: &Config, aside: &Path) -> Result<Option<PathBuf>, BackupError> {
    let from = aside.join(LINKS);
    let Some(target) = config.links.file.as_ref().filter(|_| from.exists()) else { return Ok(None) };
    if target.exists() {
        return Ok(Some(target.clone()));
    }
    folder_of(target)?;
    let file = File::open(&from).map_err(at(&from))?;
    let length = file.metadata().map_err(at(&from))?.len();
    copy(file, length, target).map(|_| None)
}
