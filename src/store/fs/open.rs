//! Opens a log and recovers it: the steps are numbered as in `docs/spec/store.md`.
//!
//! Guarantees: what comes out of [`open`] is durable, whatever the page cache pretended before (INV-3): every batch of
//! the last segment has been written anew and synced, or the segment held none. Nothing was signed on the way. Opening
//! again after a crash at any point gives the same (INV-6). Does not do: publishing; whoever opens a log signs its head
//! and publishes it as after any batch.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{FsJournal, FsReader, FsTiles, Identity, ReadError, checkpoint, identity, layout, tiles};
use crate::checkpoint::{Checkpoint, LogVerifyError};
use crate::code::Code;
use crate::hash::Hash;
use crate::limits::{SEGMENT_FILE_BYTES_MAX, SEGMENT_HEADER_BYTES_MAX};
use crate::merkle::range::CompactRange;
use crate::merkle::{self, ProveError, TreeSize};
use crate::store::batch::Batch;
use crate::store::disk::Disk;
use crate::store::edge::{Edge, EdgeLoadError};
use crate::store::journal::{Base, JournalError, Reader, Tail};
use crate::store::{Fault, Operation};
use crate::tile::{TileError, TileNodes};

/// How a store is driven.
#[derive(Clone, Debug)]
pub struct Options {
    /// Past this many bytes a journal segment takes no further batch.
    pub segment_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes_max: crate::limits::SEGMENT_BYTES }
    }
}

/// A log, ready to go on.
#[derive(Debug)]
pub struct Opened<D: Disk> {
    /// Takes the next batch.
    pub journal: FsJournal<D>,
    /// Has everything applied that the journal holds.
    pub tiles: FsTiles<D>,
    /// What the next batch builds on.
    pub head: Base,
    /// The checkpoint that is public, not newer than the head.
    pub published: Checkpoint,
    /// Its note.
    pub published_note: String,
    /// What recovery found and did.
    pub report: RecoveryReport,
}

/// What recovery found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The size of the tree the log goes on from.
    pub size: TreeSize,
    /// The size of the tree that was public.
    pub published: TreeSize,
    /// Batches applied again from the journal.
    pub batches_replayed: u64,
    /// Entries in them.
    pub entries_replayed: u64,
    /// Bytes of a write that a crash tore: they belonged to no answered append and were dropped.
    pub torn_bytes: u64,
}

/// Opens the log of `identity` on `disk` and brings it to the state of an uninterrupted run.
///
/// # Errors
/// When the store is not this log's, is in use, is damaged, or cannot be written to. Nothing is lost by trying.
pub fn open<D: Disk>(disk: D, identity: &Identity, options: &Options) -> Result<Opened<D>, OpenError> {
    let lock = lock(&disk)?;
    check_identity(&disk, identity)?;
    let note = checkpoint::read(&disk)?;
    let published = identity.verifier.verify(&note)?;
    let mut recovery = Recovery::begin(disk, identity.origin_hash(), published, lock)?;
    recovery.replay_all()?;
    // A note that verified is text.
    recovery.finish(options, String::from_utf8_lossy(&note).into_owned())
}

/// Step 1: one process at a time.
fn lock<D: Disk>(disk: &D) -> Result<Arc<D::Lock>, OpenError> {
    // A folder that holds no log is said to be none before a lock file is left in it.
    if identity::read(disk)?.is_none() {
        return Err(OpenError::NotInitialised);
    }
    match disk.lock(layout::LOCK) {
        Ok(Some(lock)) => Ok(Arc::new(lock)),
        Ok(None) => Err(OpenError::Locked),
        Err(error) => Err(Fault::io(Operation::Lock, layout::LOCK, error).into()),
    }
}

/// Step 2: the store is this log's, with these keys.
fn check_identity<D: Disk>(disk: &D, identity: &Identity) -> Result<(), OpenError> {
    let found = identity::read(disk)?.ok_or(OpenError::NotInitialised)?;
    if identity.is_named_by(&found) {
        return Ok(());
    }
    Err(OpenError::OtherLog { expected: identity.policy.clone(), found })
}

/// A store between what a crash left and what an uninterrupted run would have reached.
struct Recovery<D: Disk> {
    disk: D,
    origin: Hash,
    published: Checkpoint,
    lock: Arc<D::Lock>,
    segments: VecDeque<u64>,
    tiles: FsTiles<D>,
    /// What the next record builds on.
    at: Base,
    report: RecoveryReport,
    /// The last segment and the bytes of its header, if it holds nothing else.
    reusable: Option<(u64, u64)>,
    /// The last segment read.
    last_segment: u64,
    /// Whether the tree that is public was met on the way.
    has_met_published: bool,
}

impl<D: Disk> Recovery<D> {
    /// Steps 4 and 5: finds the segment to start from, and loads the right edge of the tree it starts from.
    fn begin(disk: D, origin: Hash, published: Checkpoint, lock: Arc<D::Lock>) -> Result<Self, OpenError> {
        let (segments, base) = needed_segments(&disk, &origin)?;
        let first = *segments.front().ok_or(OpenError::NoSegment)?;
        let files = FsReader::new(disk.clone());
        let edge = Edge::load(&files, &base.range).map_err(Box::new)?;
        let has_met_published = check_published(&files, &published, &base.range)?;
        let report = RecoveryReport { published: published.size, ..RecoveryReport::default() };
        let tiles = FsTiles::new(disk.clone(), origin, edge, published.size, Arc::clone(&lock));
        let mut recovery = Self {
            disk,
            origin,
            published,
            lock,
            segments,
            tiles,
            at: base,
            report,
            reusable: None,
            last_segment: first,
            has_met_published,
        };
        recovery.compare_published()?;
        Ok(recovery)
    }

    /// Step 6: applies every batch of every segment again.
    fn replay_all(&mut self) -> Result<(), OpenError> {
        let mut expected = self.last_segment;
        while let Some(number) = self.segments.pop_front() {
            if number != expected {
                return Err(OpenError::SegmentMissing { number: expected });
            }
            self.replay(number)?;
            expected += 1;
        }
        Ok(())
    }

    fn replay(&mut self, number: u64) -> Result<(), OpenError> {
        let bytes = read_segment(&self.disk, number)?;
        let mut reader = read_header(&bytes, number, &self.origin)?;
        if *reader.at() != self.at {
            return Err(OpenError::SegmentsDisagree { number });
        }
        let damaged = |source| OpenError::Journal { number, source };
        let before = self.report.batches_replayed;
        while let Some(batch) = reader.next_batch().map_err(damaged)? {
            self.at = reader.at().clone();
            self.apply(batch)?;
        }
        let tail = match reader.tail() {
            Ok(Tail::Clean) => 0,
            Ok(Tail::Torn { bytes, .. }) => bytes as u64,
            Err(source) => return Err(damaged(source)),
        };
        self.report.torn_bytes += tail;
        let is_empty = tail == 0 && self.report.batches_replayed == before;
        self.reusable = is_empty.then_some((number, bytes.len() as u64));
        self.last_segment = number;
        Ok(())
    }

    fn apply(&mut self, batch: Batch) -> Result<(), OpenError> {
        self.report.batches_replayed += 1;
        self.report.entries_replayed += batch.entries().len() as u64;
        self.tiles.try_apply(&[Arc::new(batch)])?;
        self.compare_published()
    }

    /// Where the tree has the size that is public, it must have the root that is public; its partial files are written
    /// again, because readers may ask for them.
    fn compare_published(&mut self) -> Result<(), OpenError> {
        if self.at.range.size() != self.published.size {
            return Ok(());
        }
        let root = self.at.range.root();
        if root != self.published.root {
            return Err(OpenError::Fork {
                size: self.published.size,
                published: self.published.root,
                journal: root,
            });
        }
        self.has_met_published = true;
        self.tiles.write_partials()?;
        Ok(())
    }

    /// Steps 7 and 8: what is public is in the journal; what was applied is durable; the journal goes on in a segment
    /// that starts after all of it.
    fn finish(mut self, options: &Options, published_note: String) -> Result<Opened<D>, OpenError> {
        let size = self.at.range.size();
        if size < self.published.size {
            return Err(OpenError::JournalBehind { journal: size, published: self.published.size });
        }
        if !self.has_met_published {
            return Err(OpenError::CheckpointUnknown { published: self.published.size });
        }
        self.report.size = size;
        // A segment that starts here must find what it needs without the ones before it.
        self.tiles.settle_all()?;
        // Names that a killed process gave but did not live to sync must not vanish once more is built on them.
        for folder in ["", layout::PUBLIC, layout::JOURNAL] {
            self.disk.sync_folder(folder).map_err(|error| Fault::io(Operation::Sync, folder, error))?;
        }
        let (disk, lock) = (self.disk, self.lock);
        let segment_bytes_max = options.segment_bytes_max;
        let journal = match self.reusable {
            Some(segment) => {
                FsJournal::reopen(disk, self.origin, segment_bytes_max, segment, self.at.clone(), lock)?
            }
            None => {
                let number = self.last_segment + 1;
                FsJournal::start(disk, self.origin, segment_bytes_max, number, self.at.clone(), lock)?
            }
        };
        Ok(Opened {
            journal,
            tiles: self.tiles,
            head: self.at,
            published: self.published,
            published_note,
            report: self.report,
        })
    }
}

/// The segments that are needed, in order, and what the first of them builds on.
///
/// The newest one that is settled needs none before it; where none is, the oldest is the one to start from, because
/// segments are removed only after all that came of them is durable.
fn needed_segments<D: Disk>(disk: &D, origin: &Hash) -> Result<(VecDeque<u64>, Base), OpenError> {
    let mut all = tiles::segments(disk)?;
    let mut needed = VecDeque::new();
    let mut base = Err(OpenError::NoSegment);
    while let Some(number) = all.pop_back() {
        let path = layout::segment(number);
        let bytes = disk
            .read_range(&path, 0, SEGMENT_HEADER_BYTES_MAX as u64)
            .map_err(|error| Fault::io(Operation::Read, &path, error))?;
        let header = read_header(&bytes, number, origin)?.header().clone();
        needed.push_front(number);
        base = Ok(header.base);
        if header.settled {
            break;
        }
    }
    Ok((needed, base?))
}

/// Holds what is public against the tree that the journal starts from, where that is larger; says whether it did.
fn check_published<D: Disk>(
    files: &FsReader<D>,
    published: &Checkpoint,
    base: &CompactRange,
) -> Result<bool, OpenError> {
    if published.size >= base.size() {
        return Ok(false);
    }
    let root = merkle::root(&TileNodes::new(files, base.size()), published.size).map_err(Box::new)?;
    if root != published.root {
        return Err(OpenError::Fork { size: published.size, published: published.root, journal: root });
    }
    Ok(true)
}

/// The bytes of a segment.
fn read_segment<D: Disk>(disk: &D, number: u64) -> Result<Vec<u8>, Fault> {
    let path = layout::segment(number);
    disk.read(&path, SEGMENT_FILE_BYTES_MAX).map_err(|error| Fault::io(Operation::Read, &path, error))
}

/// Reads a segment's header and holds it against the segment's name.
fn read_header<'a>(bytes: &'a [u8], number: u64, origin: &Hash) -> Result<Reader<'a>, OpenError> {
    let damaged = |source| OpenError::Journal { number, source };
    let reader = Reader::open(bytes, origin).map_err(damaged)?;
    if reader.header().number != number {
        return Err(OpenError::SegmentMissing { number });
    }
    Ok(reader)
}

/// Why a log cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no log.
    #[error("the store holds no log: create one with init, or name the right folder")]
    NotInitialised,
    /// Another process has the store open.
    #[error("another process has the store open: a log has one writer, stop the other one first")]
    Locked,
    /// The store is another log's, or its keys are others.
    #[error(
        "the store belongs to another origin or other keys: start with the keys the log was created with\n\
             the store names:\n{found}the configured keys are:\n{expected}"
    )]
    OtherLog {
        /// The policy of the configured keys.
        expected: String,
        /// The policy in the store.
        found: String,
    },
    /// The published checkpoint is not one of this log.
    #[error("{} is not a checkpoint of this log: restore it from any copy of the log", layout::CHECKPOINT)]
    Checkpoint(#[from] LogVerifyError),
    /// The journal is gone.
    #[error("the store has no journal segment: restore the journal folder from a copy")]
    NoSegment,
    /// A segment is gone, or is another one under its name.
    #[error("journal segment {number:016x} is missing or misnamed: restore it from a copy")]
    SegmentMissing {
        /// The segment that should be there.
        number: u64,
    },
    /// A segment is damaged.
    #[error("journal segment {number:016x} cannot be read")]
    Journal {
        /// The segment.
        number: u64,
        /// Why.
        source: JournalError,
    },
    /// A segment does not follow on the one before it.
    #[error(
        "journal segment {number:016x} does not start where the one before it ends: restore that one from a copy"
    )]
    SegmentsDisagree {
        /// The later segment.
        number: u64,
    },
    /// The journal ends before the tree that is public.
    #[error(
        "the journal ends at size {journal} but size {published} is public: the store was set back, \
             going on would split the log; restore the journal that reaches size {published}"
    )]
    JournalBehind {
        /// Where the journal ends.
        journal: TreeSize,
        /// What is public.
        published: TreeSize,
    },
    /// What is public was never the end of a batch.
    #[error(
        "the public checkpoint is of size {published}, which this journal never had: keep both as evidence"
    )]
    CheckpointUnknown {
        /// What is public.
        published: TreeSize,
    },
    /// Two roots for one size.
    #[error(
        "at size {size} the public checkpoint has root {published} and the journal {journal}: keep both as evidence"
    )]
    Fork {
        /// The size.
        size: TreeSize,
        /// The root that is public.
        published: Hash,
        /// The root that the journal makes.
        journal: Hash,
    },
    /// The files of the tree that the journal starts from are not that tree's.
    #[error("the store's files do not make the tree that the journal starts from")]
    Edge(#[from] Box<EdgeLoadError<ReadError>>),
    /// The tiles that what is public has to be held against cannot be read.
    #[error("the store's files do not make the tree that is public")]
    Published(#[from] Box<ProveError<TileError<ReadError>>>),
    /// The storage failed.
    #[error(
        "the store could not be opened: give this user write access to it, on a disk that works, and start again"
    )]
    Store(#[from] Fault),
}

impl OpenError {
    /// What the operator must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotInitialised | Self::OtherLog { .. } => Code::Misuse,
            Self::Locked => Code::Unavailable,
            Self::Checkpoint(source) => source.code(),
            Self::Journal { source, .. } => source.code(),
            Self::NoSegment
            | Self::SegmentMissing { .. }
            | Self::SegmentsDisagree { .. }
            | Self::JournalBehind { .. }
            | Self::CheckpointUnknown { .. }
            | Self::Fork { .. } => Code::Inconsistent,
            Self::Edge(source) => source.code(),
            Self::Published(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }
}
