//! Reads the published log as it lies on the disk and holds it against what was signed.
//!
//! Guarantees: every entry that is read is hashed, and the root over what was read is held against the published checkpoint each time; what
//! was read before is hashed again, some of it with every look, so that a later change is found too; one look reads at most
//! [`BUNDLES_PER_LOOK`] new and [`BUNDLES_AGAIN`] old bundles (INV-7). Does not do: reading what lies before the last [`BUNDLES_KEPT`]
//! bundles, of which it takes the tiles' word as far as the signed root bears it out; anything without being asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::entry::Entry;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::merkle::{LeafIndex, NodeSource as _, ProveError, TreeSize};
use ledgerstone::tile::TILE_WIDTH;
use serde::Serialize;

use super::summary::Summary;
use crate::driver::{Published, system_clock};
use crate::reader::{Bundle, LogReadError, LogReader};
use crate::telemetry::with_causes;

/// Bundles of the newest entries that are looked at: 1,024 of 256 entries are 262,144 entries; their roots take 40 KiB.
const BUNDLES_KEPT: u64 = 1024;

/// New bundles that one look reads: 32,768 entries of at most 2 KiB are 64 MiB.
const BUNDLES_PER_LOOK: usize = 128;

/// Old bundles that one look hashes again: 8,192 entries of at most 2 KiB are 16 MiB.
const BUNDLES_AGAIN: usize = 32;

/// However many ask, the disk is not read more often than this.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

const WIDTH: u64 = TILE_WIDTH as u64;

/// What is known of the log.
#[derive(Debug)]
pub(super) struct Look {
    heartbeat_ms: u64,
    /// The first leaf index that was read.
    from: u64,
    /// What stands before the next entry to read.
    range: CompactRange,
    /// Leaf hashes of the bundle that is not full yet.
    tail: Vec<Hash>,
    /// Numbers and roots of the full bundles.
    full: VecDeque<(u64, Hash)>,
    /// Which of them is hashed again next.
    again: usize,
    summary: Summary,
    altered: Option<Altered>,
    /// The newest alteration that was found, also where it is gone.
    found: Option<Altered>,
    /// What was read cannot be told from what was altered: it is read again, to see whether it is still so.
    is_stale: bool,
    /// When the disk was read last.
    last: Option<Instant>,
}

/// Something on the disk that is not what the log signed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Altered {
    /// When it was found, in milliseconds since 1970.
    at: u64,
    /// The first leaf index concerned, as far as it is known.
    index: Option<u64>,
    /// What is wrong, in a sentence.
    what: String,
}

/// How far the log was read, and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Looked<'a> {
    /// The first leaf index that was read, and the one behind the last.
    from: u64,
    to: u64,
    /// The published size that is being read up to.
    size: u64,
    /// What is altered at present.
    altered: Option<&'a Altered>,
    /// What was found altered last, whether or not it still is.
    found: Option<&'a Altered>,
    #[serde(flatten)]
    pub(super) summary: &'a Summary,
}

impl Look {
    /// Nothing read yet, of a sidecar that says every `heartbeat_ms` that it lives.
    pub(super) fn new(heartbeat_ms: u64) -> Self {
        Self {
            heartbeat_ms,
            from: 0,
            range: CompactRange::empty(),
            tail: Vec::new(),
            full: VecDeque::new(),
            again: 0,
            summary: Summary::new(heartbeat_ms),
            altered: None,
            found: None,
            is_stale: false,
            last: None,
        }
    }

    /// Reads on unless somebody just did. Blocks on the disk.
    pub(super) fn when_due(&mut self, log: &LogReader) -> Looked<'_> {
        if self.last.is_none_or(|last| last.elapsed() >= LOOK_INTERVAL) {
            self.on(log);
            self.last = Some(Instant::now());
        }
        self.looked(log.published().size)
    }

    /// Reads on. Blocks on the disk.
    fn on(&mut self, log: &LogReader) {
        let published = log.published();
        let size = published.size.get();
        // A partial file that the log just replaced by a wider one is gone once; what somebody took away stays gone.
        let read = self.read(log, &published).or_else(|_| self.read(log, &published));
        match read {
            Ok(None) if self.position() >= size => self.altered = None,
            Ok(None) => {}
            Ok(Some(altered)) => self.is_altered(altered),
            Err(error) => {
                let what = format!("the log cannot be read where it must be: {}", with_causes(&error));
                self.is_altered(Altered::at(Some(self.position()), what));
            }
        }
    }

    fn looked(&self, size: TreeSize) -> Looked<'_> {
        Looked {
            from: self.from,
            to: self.position(),
            size: size.get(),
            altered: self.altered.as_ref(),
            found: self.found.as_ref(),
            summary: &self.summary,
        }
    }

    fn is_altered(&mut self, altered: Altered) {
        // The same alteration keeps the time at which it was first found.
        let same =
            self.found.as_ref().filter(|found| found.index == altered.index && found.what == altered.what);
        let altered = same.cloned().unwrap_or(altered);
        self.altered = Some(altered.clone());
        self.found = Some(altered);
        self.is_stale = true;
    }

    fn position(&self) -> u64 {
        self.range.size().get()
    }

    /// Reads what is new, and some of the rest again; what is altered, if anything is.
    fn read(&mut self, log: &LogReader, published: &Published) -> Result<Option<Altered>, LogReadError> {
        if self.is_stale {
            self.begin_again(self.from, log)?;
        }
        let size = published.size.get();
        let oldest = (size / WIDTH).saturating_sub(BUNDLES_KEPT - 1).saturating_mul(WIDTH);
        if size < self.position() || self.position() < oldest {
            self.begin_again(oldest, log)?;
        }
        let mut unread = None;
        for _ in 0..BUNDLES_PER_LOOK {
            let number = self.position() / WIDTH;
            if number.saturating_mul(WIDTH) >= size {
                break;
            }
            let bundle = log.bundle(number)?;
            if let Some(altered) = self.take(&bundle, size, &mut unread) {
                return Ok(Some(altered));
            }
            if self.position() >= size {
                break;
            }
        }
        if self.position() == size
            && let Some(altered) = self.differs(log, published)
        {
            return Ok(Some(altered));
        }
        if unread.is_some() {
            return Ok(unread);
        }
        self.read_again(log)
    }

    /// Takes the entries of `bundle` up to `size`. Those that were taken before must be the same.
    fn take(&mut self, bundle: &Bundle, size: u64, unread: &mut Option<Altered>) -> Option<Altered> {
        let taken = self.tail.len();
        for ((place, bytes), index) in bundle.entries.iter().enumerate().zip(bundle.start.get()..size) {
            let hash = leaf_hash(bytes);
            if place < taken {
                if self.tail.get(place) != Some(&hash) {
                    return Some(Altered::entry(index));
                }
                continue;
            }
            match Entry::decode(bytes) {
                Ok(entry) => self.summary.take(LeafIndex::new(index), &entry),
                Err(error) => {
                    let what = format!("the entry at leaf index {index} is none: {error}");
                    unread.get_or_insert(Altered::at(Some(index), what));
                }
            }
            self.range.push(hash);
            self.tail.push(hash);
        }
        if self.tail.len() as u64 == WIDTH {
            self.full.push_back((bundle.start.get() / WIDTH, root(&self.tail)));
            self.tail.clear();
            if self.full.len() as u64 > BUNDLES_KEPT {
                self.full.pop_front();
            }
        }
        None
    }

    /// Holds the root over what was read against the signed one.
    fn differs(&self, log: &LogReader, published: &Published) -> Option<Altered> {
        let signed = SignedCheckpoint::parse(published.checkpoint.as_bytes()).ok()?;
        if signed.checkpoint().root == self.range.root() {
            return None;
        }
        let differing = self.first_differing(log);
        Some(differing.map_or_else(
            || {
                let what = "the entries and the tiles go together and give another root than the signed one";
                Altered::at(None, what.to_owned())
            },
            Altered::entry,
        ))
    }

    /// The first entry of the bundle that is not full whose hash is not the one in the tiles, or the first entry of the first full
    /// bundle whose root is not.
    fn first_differing(&self, log: &LogReader) -> Option<u64> {
        let nodes = log.nodes();
        let full = self.full.iter().find(|(number, root)| nodes.node(8, *number).ok().as_ref() != Some(root));
        if let Some((number, _)) = full {
            let start = number.saturating_mul(WIDTH);
            let bundle = log.bundle(*number).ok()?;
            let mut places = (start..).zip(&bundle.entries);
            let differing =
                places.find(|(index, bytes)| nodes.node(0, *index).ok() != Some(leaf_hash(bytes)));
            return Some(differing.map_or(start, |(index, _)| index));
        }
        let start = self.position().saturating_sub(self.tail.len() as u64);
        let mut places = (start..).zip(&self.tail);
        places.find(|(index, hash)| nodes.node(0, *index).ok().as_ref() != Some(hash)).map(|(index, _)| index)
    }

    /// Hashes some of what was read once more.
    fn read_again(&mut self, log: &LogReader) -> Result<Option<Altered>, LogReadError> {
        for _ in 0..BUNDLES_AGAIN.min(self.full.len()) {
            self.again = (self.again + 1) % self.full.len();
            let Some((number, known)) = self.full.get(self.again) else { break };
            let bundle = log.bundle(*number)?;
            let hashes: Vec<Hash> = bundle.entries.iter().map(|entry| leaf_hash(entry)).collect();
            if root(&hashes) != *known {
                let nodes = log.nodes();
                let mut places = (bundle.start.get()..).zip(&hashes);
                let differing =
                    places.find(|(index, hash)| nodes.node(0, *index).ok().as_ref() != Some(hash));
                return Ok(Some(Altered::entry(differing.map_or(bundle.start.get(), |(index, _)| index))));
            }
        }
        if self.tail.is_empty() {
            return Ok(None);
        }
        let bundle = log.bundle(self.position() / WIDTH)?;
        let mut places = (bundle.start.get()..).zip(bundle.entries.iter().zip(&self.tail));
        let differing = places.find(|(_, (entry, known))| leaf_hash(entry) != **known);
        Ok(differing.map(|(index, _)| Altered::entry(index)))
    }

    /// Forgets what was read and begins at `from`, the first entry of a bundle. Without the tiles before it no root can be told, so
    /// that they cannot be read is something that is altered.
    fn begin_again(&mut self, from: u64, log: &LogReader) -> Result<(), LogReadError> {
        let range = before(log, from)?;
        let (found, altered) = (self.found.take(), self.altered.take());
        *self = Self { from: range.size().get(), found, altered, range, ..Self::new(self.heartbeat_ms) };
        Ok(())
    }
}

impl Altered {
    fn at(index: Option<u64>, what: String) -> Self {
        Self { at: system_clock().get(), index, what }
    }

    fn entry(index: u64) -> Self {
        let what = format!("the entry at leaf index {index} is not the one that the log signed");
        Self::at(Some(index), what)
    }
}

/// The tree of the first `size` leaves as the tiles have it.
fn before(log: &LogReader, size: u64) -> Result<CompactRange, LogReadError> {
    let nodes = log.nodes();
    let levels = (0..63_u8).rev().filter(|level| (size >> level) & 1 == 1);
    let hashes = levels.map(|level| nodes.node(level, (size >> level).saturating_sub(1)));
    let hashes = hashes.collect::<Result<Vec<Hash>, _>>().map_err(ProveError::Source)?;
    // One hash for each bit of the size.
    Ok(CompactRange::from_parts(TreeSize::new(size), hashes).unwrap_or_default())
}

/// The root of the tree of some leaves.
fn root(leaves: &[Hash]) -> Hash {
    let mut range = CompactRange::empty();
    leaves.iter().for_each(|leaf| range.push(*leaf));
    range.root()
}

#[cfg(test)]
mod tests;
