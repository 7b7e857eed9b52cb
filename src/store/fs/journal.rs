//! The journal of a store: one write and one sync a batch.
//!
//! Guarantees: a batch is written where the last committed one ends, and counts once [`FsJournal::commit`] answered
//! `Stored` (INV-3); after an unknown outcome nothing more is written. Does not do: removing segments.

use std::sync::Arc;

use super::{layout, sync_and_rename, write_beside};
use crate::hash::Hash;
use crate::merkle::TreeSize;
use crate::store::batch::Batch;
use crate::store::disk::{Disk, DiskFile};
use crate::store::journal::{Base, SegmentHeader, encode_record};
use crate::store::{CommitStore, Fault, Operation, Outcome};

/// The journal of a log in a folder.
#[derive(Debug)]
pub struct FsJournal<D: Disk> {
    disk: D,
    /// SHA-256 of the log's origin.
    origin: Hash,
    /// Past this many bytes a segment takes no further record.
    segment_bytes_max: u64,
    segment: Segment<D::File>,
    /// What the next record builds on: everything committed.
    at: Base,
    /// The record written after it, until it is committed.
    staged: Option<Staged>,
    /// Whether an unknown outcome has made this journal unusable until recovery.
    halted: bool,
    /// Keeps other processes out as long as this journal is there.
    _lock: Arc<D::Lock>,
}

/// The segment being written.
#[derive(Debug)]
struct Segment<F> {
    number: u64,
    path: String,
    file: F,
    /// Bytes of the header and of all committed records.
    end: u64,
    /// Bytes of the header.
    header: u64,
}

/// A record that was written but is not committed.
#[derive(Debug)]
struct Staged {
    at: Base,
    end: u64,
}

impl<D: Disk> FsJournal<D> {
    /// Starts segment `number` on `base`, durably. Every file of the tree `base` is durable already.
    pub(super) fn start(
        disk: D,
        origin: Hash,
        segment_bytes_max: u64,
        number: u64,
        base: Base,
        lock: Arc<D::Lock>,
    ) -> Result<Self, Fault> {
        let segment = match start_segment(&disk, origin, number, true, &base) {
            Ok(segment) => segment,
            Err(Outcome::NotStored(fault) | Outcome::Unknown(fault)) => return Err(fault),
            Err(Outcome::Stored) => return Err(Fault::OutOfOrder),
        };
        Ok(Self::resume(disk, origin, segment_bytes_max, segment, base, lock))
    }

    /// Goes on with segment `number`, which holds a header of `header` bytes and no record.
    pub(super) fn reopen(
        disk: D,
        origin: Hash,
        segment_bytes_max: u64,
        (number, header): (u64, u64),
        base: Base,
        lock: Arc<D::Lock>,
    ) -> Result<Self, Fault> {
        let path = layout::segment(number);
        let file = disk.open(&path).map_err(|error| Fault::io(Operation::Read, &path, error))?;
        let segment = Segment { number, path, file, end: header, header };
        Ok(Self::resume(disk, origin, segment_bytes_max, segment, base, lock))
    }

    const fn resume(
        disk: D,
        origin: Hash,
        segment_bytes_max: u64,
        segment: Segment<D::File>,
        at: Base,
        lock: Arc<D::Lock>,
    ) -> Self {
        Self { disk, origin, segment_bytes_max, segment, at, staged: None, halted: false, _lock: lock }
    }

    /// The size of the tree that is committed.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.at.range.size()
    }

    /// Starts the next segment if `record` bytes more would overfill this one.
    fn make_room(&mut self, record: u64) -> Outcome {
        let full = self.segment.end.saturating_add(record) > self.segment_bytes_max;
        if !full || self.segment.end == self.segment.header {
            return Outcome::Stored;
        }
        match start_segment(&self.disk, self.origin, self.segment.number + 1, false, &self.at) {
            Ok(segment) => {
                self.segment = segment;
                Outcome::Stored
            }
            Err(outcome) => outcome,
        }
    }

    /// Writes a record after the last committed one; where that fails for good reason, nothing of it stays.
    fn write(&mut self, record: &[u8]) -> Outcome {
        let Err(error) = self.segment.file.write_at(self.segment.end, record) else {
            return Outcome::Stored;
        };
        let outcome = Outcome::of_attempt(Err(Fault::io(Operation::Write, &self.segment.path, error)));
        match self.segment.file.truncate(self.segment.end) {
            Ok(()) => outcome,
            Err(error) => Outcome::Unknown(Fault::io(Operation::Truncate, &self.segment.path, error)),
        }
    }

    fn note(&mut self, outcome: Outcome) -> Outcome {
        self.halted |= matches!(outcome, Outcome::Unknown(_));
        outcome
    }
}

impl<D: Disk> CommitStore for FsJournal<D> {
    fn stage(&mut self, batch: &Batch) -> Outcome {
        let follows = batch.first() == self.at.range.size().next_index() && batch.time() >= self.at.time;
        if self.halted || self.staged.is_some() || !follows {
            return self.note(Outcome::Unknown(Fault::OutOfOrder));
        }
        let encoded = encode_record(batch, self.at.sequence, &self.at.checksum, &self.origin);
        let Ok((record, checksum)) = encoded else {
            return Outcome::NotStored(Fault::OutOfOrder);
        };
        let outcome = match self.make_room(record.len() as u64) {
            Outcome::Stored => self.write(&record),
            outcome => outcome,
        };
        if matches!(outcome, Outcome::Stored) {
            self.staged = Some(Staged {
                end: self.segment.end + record.len() as u64,
                at: Base {
                    sequence: self.at.sequence + 1,
                    checksum,
                    time: batch.time(),
                    range: batch.after().clone(),
                },
            });
        }
        self.note(outcome)
    }

    fn commit(&mut self) -> Outcome {
        let Some(staged) = self.staged.take().filter(|_| !self.halted) else {
            return self.note(Outcome::Unknown(Fault::OutOfOrder));
        };
        // INV-3, INV-9: this is the one sync of a batch; until it returned, the batch does not count.
        let synced = self.segment.file.sync();
        if synced.is_ok() {
            self.at = staged.at;
            self.segment.end = staged.end;
        }
        let outcome =
            Outcome::of_sync(synced.map_err(|error| Fault::io(Operation::Sync, &self.segment.path, error)));
        self.note(outcome)
    }
}

/// Creates the segment `number` with its header, durably. A failure after the header was written is unknown: the
/// segment may be there or not.
fn start_segment<D: Disk>(
    disk: &D,
    origin: Hash,
    number: u64,
    settled: bool,
    base: &Base,
) -> Result<Segment<D::File>, Outcome> {
    let path = layout::segment(number);
    let header = SegmentHeader { origin, number, settled, base: base.clone() };
    let bytes = header.encode();
    let file = write_beside(disk, &path, &bytes).map_err(|fault| Outcome::of_attempt(Err(fault)))?;
    sync_and_rename(disk, &path, file).map_err(Outcome::Unknown)?;
    let file =
        disk.open(&path).map_err(|error| Outcome::Unknown(Fault::io(Operation::Read, &path, error)))?;
    let end = bytes.len() as u64;
    Ok(Segment { number, path, file, end, header: end })
}
