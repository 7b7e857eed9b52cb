//! The files that committed batches turn into, and their way to durability.
//!
//! Guarantees: a file that lies wholly within the durable tree is never replaced, only compared; one that lies within it
//! in part is replaced by a durable one only; a segment is removed only after everything it fed is durable; a partial file
//! that somebody deleted is written again, and any other that is gone is an error. Does not do: deciding what to write
//! (`edge`).

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use super::{checkpoint, layout, sealed};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::limits::SEGMENT_HEADER_BYTES_MAX;
use crate::merkle::TreeSize;
use crate::store::batch::Batch;
use crate::store::disk::{Disk, DiskFile, folder_of};
use crate::store::edge::{Edge, FileWrite};
use crate::store::journal::SegmentHeader;
use crate::store::{ApplyStore, Fault, Operation, Outcome};
use crate::tile::TilePath;

/// How often one sync begins again because a partial file was deleted meanwhile. Each time at least one file is gone, so
/// only somebody who goes on deleting them gets past a few.
const SYNC_TRIES_MAX: u32 = 8;

/// The tiles, bundles and sealed records of a log in a folder.
#[derive(Debug)]
pub struct FsTiles<D: Disk> {
    disk: D,
    /// SHA-256 of the log's origin.
    origin: Hash,
    /// What was applied so far.
    edge: Edge,
    /// The tree whose files are durable, at least those that the oldest segment builds on.
    durable: TreeSize,
    /// The tree whose checkpoint is public.
    published: TreeSize,
    /// Files written since they were last made durable.
    fed: BTreeSet<String>,
    /// Folders of partial files whose full file is among those.
    superseded: Vec<String>,
    /// Keeps other processes out as long as these files are written.
    _lock: Arc<D::Lock>,
}

impl<D: Disk> FsTiles<D> {
    pub(super) const fn new(
        disk: D,
        origin: Hash,
        edge: Edge,
        published: TreeSize,
        lock: Arc<D::Lock>,
    ) -> Self {
        Self {
            disk,
            origin,
            durable: edge.size(),
            edge,
            published,
            fed: BTreeSet::new(),
            superseded: Vec::new(),
            _lock: lock,
        }
    }

    /// The size of the tree that is applied.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.edge.size()
    }

    /// The size of the tree whose files are durable.
    #[must_use]
    pub const fn durable(&self) -> TreeSize {
        self.durable
    }

    /// Writes what `batches` complete. Nothing is noted as applied unless all of it was written.
    pub(super) fn try_apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), Fault> {
        let mut edge = self.edge.clone();
        for batch in batches {
            let mut writes = Vec::new();
            edge.append(batch, &mut |write| writes.push(write));
            writes.into_iter().try_for_each(|write| self.write(write))?;
        }
        self.edge = edge;
        Ok(())
    }

    /// Writes the partial files of the tree that is applied.
    pub(super) fn write_partials(&mut self) -> Result<(), Fault> {
        let mut writes = Vec::new();
        self.edge.partials(&mut |write| writes.push(write));
        writes.into_iter().try_for_each(|write| self.write(write))
    }

    /// Makes every file of the tree that is applied durable, so that none of them is replaced from then on.
    pub(super) fn settle_all(&mut self) -> Result<(), Fault> {
        self.write_partials()?;
        self.sync()?;
        self.durable = self.edge.size();
        Ok(())
    }

    /// Makes everything written so far durable.
    fn sync(&mut self) -> Result<(), Fault> {
        let mut tries = SYNC_TRIES_MAX;
        while let Err(error) = self.disk.sync_files(&self.fed) {
            tries -= 1;
            if tries == 0 || error.kind() != io::ErrorKind::NotFound {
                return Err(sync_fault("the files applied", error));
            }
            self.replace_deleted(error)?;
        }
        self.fed.clear();
        Ok(())
    }

    /// Makes up for partial files that somebody deleted before they were durable, as tlog-tiles lets anybody do.
    ///
    /// What one of an earlier tree held is in the full file of its place, or else in the partial one of the present tree,
    /// which is written again. Any other file that is gone is an error: nothing here holds its bytes any more.
    fn replace_deleted(&mut self, error: io::Error) -> Result<(), Fault> {
        let is_gone = |path: &str| {
            let read = self.disk.read_range(path, 0, 0);
            read.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let gone: Vec<String> = self.fed.iter().filter(|path| is_gone(path)).cloned().collect();
        if let Some(path) = gone.iter().find(|path| !layout::is_partial(path)) {
            return Err(sync_fault(path, error));
        }
        if gone.is_empty() {
            return Err(sync_fault("the files applied", error));
        }
        gone.iter().for_each(|path| _ = self.fed.remove(path));
        self.write_partials()
    }

    fn write(&mut self, write: FileWrite) -> Result<(), Fault> {
        match write {
            FileWrite::Tile { path, bytes } => self.write_tile(&path, &bytes),
            FileWrite::Sealed { bundle, offset, bytes } => {
                let path = layout::sealed(bundle);
                sealed::write(&self.disk, &path, offset, &bytes)?;
                self.fed.insert(path);
                Ok(())
            }
        }
    }

    fn write_tile(&mut self, tile: &TilePath, bytes: &[u8]) -> Result<(), Fault> {
        let path = layout::tile(tile);
        if tile.end() <= self.durable && self.compare(&path, bytes)? {
            return Ok(());
        }
        let temporary = layout::temporary(&path);
        let mut file = self.create(&temporary)?;
        file.write_at(0, bytes).map_err(|error| Fault::io(Operation::Write, &path, error))?;
        if tile.start().is_in(self.durable) {
            // Recovery may need what this file holds of the durable tree, and a rename can outlive the bytes it names.
            file.sync().map_err(|error| Fault::io(Operation::Sync, &path, error))?;
        }
        self.disk.rename(&temporary, &path).map_err(|error| Fault::io(Operation::Rename, &path, error))?;
        if tile.is_full() {
            self.superseded.push(layout::partials_of(tile));
        }
        self.fed.insert(path);
        Ok(())
    }

    /// Whether the file is there with these bytes already. With others, it is evidence.
    fn compare(&self, path: &str, bytes: &[u8]) -> Result<bool, Fault> {
        match self.disk.read(path, bytes.len() as u64) {
            Ok(found) if found == bytes => Ok(true),
            Ok(_) => Err(Fault::Conflict { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(Fault::Conflict { path: path.into() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Fault::io(Operation::Read, path, error)),
        }
    }

    /// Creates a file, and the folders above it where they are missing.
    fn create(&self, path: &str) -> Result<D::File, Fault> {
        let created = self.disk.create(path).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            self.disk.create_folder(folder_of(path).unwrap_or(""))?;
            self.disk.create(path)
        });
        created.map_err(|error| Fault::io(Operation::Create, path, error))
    }

    /// The segments that are not needed once what was applied is durable, and the base of the oldest that is.
    ///
    /// A segment ends where the next begins. It is needed until a tree that includes it is published.
    fn finished_segments(&self) -> Result<(VecDeque<u64>, TreeSize), Fault> {
        let mut segments = segments(&self.disk)?;
        let mut finished = VecDeque::new();
        let mut base = self.durable;
        let mut segment = segments.pop_front();
        while let (Some(number), Some(next)) = (segment, segments.pop_front()) {
            let start = segment_header(&self.disk, next, &self.origin)?.base.range.size();
            if start > self.published {
                break;
            }
            finished.push_back(number);
            base = start;
            segment = Some(next);
        }
        Ok((finished, base))
    }

    fn try_recycle(&mut self) -> Result<(), Fault> {
        let (finished, base) = self.finished_segments()?;
        if finished.is_empty() {
            return Ok(());
        }
        self.sync()?;
        self.durable = self.durable.max(base);
        for number in finished {
            let path = layout::segment(number);
            self.disk.remove(&path).map_err(|error| Fault::io(Operation::Remove, &path, error))?;
        }
        let synced = self.disk.sync_folder(layout::JOURNAL);
        synced.map_err(|error| Fault::io(Operation::Sync, layout::JOURNAL, error))?;
        self.remove_superseded()
    }

    /// Removes the partial files of full files that are durable; the format lets a reader fall back to those.
    fn remove_superseded(&mut self) -> Result<(), Fault> {
        while let Some(folder) = self.superseded.pop() {
            match self.disk.remove_folder(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Fault::io(Operation::Remove, &folder, error)),
            }
        }
        Ok(())
    }
}

impl<D: Disk> ApplyStore for FsTiles<D> {
    fn apply(&mut self, batches: &[Arc<Batch>]) -> Outcome {
        Outcome::of_attempt(self.try_apply(batches))
    }

    fn publish(&mut self, checkpoint: &Checkpoint, note: &str) -> Outcome {
        if (checkpoint.size, checkpoint.root) != (self.edge.size(), self.edge.root()) {
            return Outcome::Unknown(Fault::OutOfOrder);
        }
        if let Err(fault) = self.write_partials() {
            return Outcome::of_attempt(Err(fault));
        }
        let outcome = checkpoint::publish(&self.disk, note);
        if matches!(outcome, Outcome::Stored) {
            self.published = checkpoint.size;
        }
        outcome
    }

    fn recycle(&mut self) -> Outcome {
        Outcome::of_attempt(self.try_recycle())
    }

    fn settle(&mut self) -> Outcome {
        Outcome::of_sync(self.sync())
    }
}

fn sync_fault(path: &str, error: io::Error) -> Fault {
    Fault::io(Operation::Sync, path, error)
}

/// The numbers of the segments in a store, in order.
pub(super) fn segments<D: Disk>(disk: &D) -> Result<VecDeque<u64>, Fault> {
    let names =
        disk.list(layout::JOURNAL).map_err(|error| Fault::io(Operation::List, layout::JOURNAL, error))?;
    let numbers: BTreeSet<u64> = names.iter().filter_map(|name| layout::segment_number(name)).collect();
    Ok(numbers.into_iter().collect())
}

/// The header of a segment that this process has read or written before.
fn segment_header<D: Disk>(disk: &D, number: u64, origin: &Hash) -> Result<SegmentHeader, Fault> {
    let path = layout::segment(number);
    let bytes = disk
        .read_range(&path, 0, SEGMENT_HEADER_BYTES_MAX as u64)
        .map_err(|error| Fault::io(Operation::Read, &path, error))?;
    match SegmentHeader::decode(&bytes, origin) {
        Ok((header, _)) => Ok(header),
        Err(_) => Err(Fault::Conflict { path: path.into() }),
    }
}
