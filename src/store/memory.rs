//! A disk in memory that loses power on demand: what is durable and what only seems to be are two layers.
//!
//! Guarantees: nothing survives [`MemoryDisk::lose_power`] that the rules of [`disk`](super::disk) do not promise, and
//! what they leave open falls out either way, decided by the seed: each unsynced sector is kept or lost by itself; of the
//! unsynced names of a folder, the first few are kept. After a sync that failed, the bytes still read back but no later
//! sync makes them durable, as Linux does it. One seed gives one outcome. Does not do: keeping anything after the
//! process ends.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::Operation;
use crate::store::disk::{Disk, DiskFile, folder_of};

mod file;
mod names;

use file::Inode;
use names::Names;

/// A disk in memory; clones share it.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// What shall become of one operation that changes the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It succeeds.
    #[default]
    Succeed,
    /// It fails and changes nothing; the caller is told that the disk is full.
    Full,
    /// It fails and changes nothing; the caller is told of an input/output error.
    NotStored,
    /// It succeeds, but the caller is told of an input/output error.
    StoredButFailed,
    /// Part of it happens, and the caller is told of an input/output error.
    Torn,
    /// The power goes before it happens.
    PowerLostBefore,
    /// The power goes after it happened and before the caller is told.
    PowerLostAfter,
    /// The power goes while it happens.
    PowerLostAmid,
}

/// Decides the fate of each operation that changes the disk: it is told what is done to which path.
pub type Fates = Box<dyn FnMut(Operation, &str) -> Fate + Send>;

struct State {
    names: Names,
    files: BTreeMap<u64, Inode>,
    next_file: u64,
    locks: BTreeSet<String>,
    random: Random,
    fates: Option<Fates>,
    powered: bool,
    /// How often the power came back: what was opened before answers with errors for ever.
    life: u64,
}

impl MemoryDisk {
    /// An empty disk whose undecided outcomes follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                names: Names::default(),
                files: BTreeMap::new(),
                next_file: 0,
                locks: BTreeSet::new(),
                random: Random(seed),
                fates: None,
                powered: true,
                life: 0,
            })),
        }
    }

    /// Asks `fates` about every operation from now on.
    pub fn set_fates(&self, fates: Option<Fates>) {
        self.state().fates = fates;
    }

    /// Takes the power away: what was not durable falls out as the seed says, and every operation fails.
    pub fn lose_power(&self) {
        self.state().lose_power();
    }

    /// Ends the process but not the power: locks are free and open files dead, and everything written reads back.
    pub fn kill_process(&self) {
        let mut state = self.state();
        state.locks.clear();
        state.life += 1;
        state.powered = true;
    }

    /// Gives the power back after [`lose_power`](Self::lose_power).
    pub fn restore_power(&self) {
        self.kill_process();
    }

    /// Whether the power is there.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.state().powered
    }

    /// Every file with its bytes as they read back now, for tests that compare or damage them.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let files = state.names.files();
        files
            .filter_map(|(path, file)| Some((path.to_owned(), state.files.get(&file)?.bytes().to_vec())))
            .collect()
    }

    /// Another disk with what the worst power loss would leave of this one: nothing that was not synced.
    #[must_use]
    pub fn durable_copy(&self) -> Self {
        let copy = Self::new(0);
        {
            let (state, mut into) = (self.state(), copy.state());
            into.names = state.names.durable_copy();
            into.next_file = state.next_file;
            into.files = state.files.iter().map(|(file, inode)| (*file, inode.durable_copy())).collect();
        }
        copy
    }

    /// Puts `bytes` at `path` durably, as somebody with access to the storage can.
    pub fn plant(&self, path: &str, bytes: &[u8]) {
        let mut state = self.state();
        let fates = state.fates.take();
        let planted = state.plant(path, bytes);
        state.fates = fates;
        debug_assert!(planted.is_ok(), "a disk with power takes a file");
    }

    /// Removes the file at `path` durably, as somebody with access to the storage can.
    pub fn erase(&self, path: &str) {
        let mut state = self.state();
        state.names.unlink(path);
        state.names.sync_above(path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, path: &str, file: u64, life: u64) -> MemoryFile {
        MemoryFile { disk: self.clone(), path: path.to_owned(), file, life }
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl State {
    /// Refuses everything without power.
    fn check_power(&self) -> io::Result<()> {
        if self.powered { Ok(()) } else { Err(io::Error::other("the power is gone")) }
    }

    fn check_life(&self, life: u64) -> io::Result<()> {
        self.check_power()?;
        if self.life == life { Ok(()) } else { Err(io::Error::other("the process that opened this is gone")) }
    }

    /// Runs one operation under its fate. `act` is told whether to do all of it or, where it can, a part.
    fn under_fate(
        &mut self,
        operation: Operation,
        path: &str,
        act: impl FnOnce(&mut Self, Extent) -> io::Result<()>,
    ) -> io::Result<()> {
        self.check_power()?;
        let fate = match self.fates.as_mut() {
            Some(fates) => fates(operation, path),
            None => Fate::Succeed,
        };
        let failed = || Err(io::Error::other("input/output error"));
        match fate {
            Fate::Succeed => act(self, Extent::Whole),
            Fate::Full => Err(io::ErrorKind::StorageFull.into()),
            Fate::NotStored => act(self, Extent::Nothing).and(failed()),
            Fate::StoredButFailed => act(self, Extent::Whole).and(failed()),
            Fate::Torn => act(self, Extent::Part).and(failed()),
            Fate::PowerLostBefore => self.lose_power_then(Ok(())),
            Fate::PowerLostAfter => {
                let done = act(self, Extent::Whole);
                self.lose_power_then(done)
            }
            Fate::PowerLostAmid => {
                let done = act(self, Extent::Part);
                self.lose_power_then(done)
            }
        }
    }

    fn lose_power_then(&mut self, done: io::Result<()>) -> io::Result<()> {
        self.lose_power();
        done.and_then(|()| self.check_power())
    }

    fn lose_power(&mut self) {
        self.powered = false;
        self.names.lose_power(&mut self.random);
        for inode in self.files.values_mut() {
            inode.lose_power(&mut self.random);
        }
    }

    fn file(&mut self, file: u64) -> io::Result<(&mut Inode, &mut Random)> {
        let inode = self.files.get_mut(&file).ok_or(io::ErrorKind::NotFound)?;
        Ok((inode, &mut self.random))
    }

    fn link_new_file(&mut self, path: &str) -> io::Result<u64> {
        self.names.check_folder_above(path)?;
        self.next_file += 1;
        self.files.insert(self.next_file, Inode::default());
        self.names.link(path, self.next_file);
        Ok(self.next_file)
    }

    fn plant(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = folder_of(path) {
            self.names.create_folder(folder);
        }
        let file = self.link_new_file(path)?;
        let (inode, random) = self.file(file)?;
        inode.write_at(0, bytes, Extent::Whole, random);
        inode.sync(Extent::Whole, random);
        self.names.sync_above(path);
        Ok(())
    }
}

/// How much of an operation happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Nothing,
    Part,
    Whole,
}

impl Disk for MemoryDisk {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn lock(&self, path: &str) -> io::Result<Option<MemoryLock>> {
        let mut state = self.state();
        state.check_power()?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(MemoryLock { disk: self.clone(), path: path.to_owned(), life: state.life }))
    }

    fn read(&self, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let bytes = self.read_range(path, 0, bytes_max.saturating_add(1))?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        state.check_power()?;
        let file = state.names.file(path)?;
        let (inode, _) = state.file(file)?;
        Ok(inode.read_range(offset, length).to_vec())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check_power()?;
        state.names.list(folder)
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.names.is_folder(folder) {
            return state.check_power();
        }
        state.under_fate(Operation::Create, folder, |state, extent| {
            if extent == Extent::Whole {
                state.names.create_folder(folder);
            }
            Ok(())
        })
    }

    fn create(&self, path: &str) -> io::Result<MemoryFile> {
        let mut state = self.state();
        let mut created = None;
        state.under_fate(Operation::Create, path, |state, extent| {
            if extent == Extent::Whole {
                created = Some(state.link_new_file(path)?);
            }
            Ok(())
        })?;
        let file = created.ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(path, file, state.life))
    }

    fn open(&self, path: &str) -> io::Result<MemoryFile> {
        let state = self.state();
        state.check_power()?;
        match state.names.file(path) {
            Ok(file) => Ok(self.handle(path, file, state.life)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(state);
                self.create(path)
            }
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().under_fate(Operation::Rename, to, |state, extent| {
            state.names.file(from)?;
            if extent == Extent::Whole {
                state.names.rename(from, to);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.state().under_fate(Operation::Remove, path, |state, extent| {
            state.names.file(path)?;
            if extent == Extent::Whole {
                state.names.unlink(path);
            }
            Ok(())
        })
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.state().under_fate(Operation::Remove, folder, |state, extent| {
            let names = state.names.list(folder)?;
            let share = match extent {
                Extent::Nothing => 0,
                Extent::Part => names.len() / 2,
                Extent::Whole => names.len(),
            };
            for name in names.iter().take(share) {
                state.names.unlink(&format!("{folder}/{name}"));
            }
            if extent == Extent::Whole {
                state.names.unlink(folder);
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.state().under_fate(Operation::Sync, folder, |state, extent| {
            if extent == Extent::Whole {
                state.names.sync_folder(folder);
            }
            Ok(())
        })
    }

    fn sync_files(&self, files: &BTreeSet<String>) -> io::Result<()> {
        self.state().under_fate(Operation::Sync, "everything applied", |state, extent| {
            for path in files {
                let file = state.names.file(path)?;
                let (inode, random) = state.file(file)?;
                inode.sync(extent, random);
                if extent == Extent::Whole {
                    state.names.sync_above(path);
                }
            }
            Ok(())
        })
    }
}

/// A file of a [`MemoryDisk`], open for writing.
#[derive(Debug)]
pub struct MemoryFile {
    disk: MemoryDisk,
    path: String,
    file: u64,
    life: u64,
}

impl MemoryFile {
    fn change(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Inode, Extent, &mut Random),
    ) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_life(self.life)?;
        state.under_fate(operation, &self.path, |state, extent| {
            let (inode, random) = state.file(self.file)?;
            act(inode, extent, random);
            Ok(())
        })
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Operation::Write, |inode, extent, random| {
            inode.write_at(offset, bytes, extent, random);
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.change(Operation::Truncate, |inode, extent, _| {
            if extent == Extent::Whole {
                inode.truncate(length);
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change(Operation::Sync, |inode, extent, random| inode.sync(extent, random))
    }
}

/// A held lock of a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryLock {
    disk: MemoryDisk,
    path: String,
    life: u64,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and every seed is a good one.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..=most`, near enough to uniform for small `most`.
    fn up_to(&mut self, most: usize) -> usize {
        let choices = (most as u64).saturating_add(1);
        usize::try_from(self.next() % choices).unwrap_or(most)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

#[cfg(test)]
mod tests;
