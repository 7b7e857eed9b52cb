//! Walks a whole log, bundle by bundle, and finds out whether it is what its checkpoints say.
//!
//! Guarantees: every leaf hash, every tile and every root is derived anew from the entries; each failure is told with its
//! place; memory stays bounded (INV-7) by `limits::WALK_*`, and a check that a bound cut short says *not checked*. Carries
//! the reader's side of INV-1 (checkpoints are consistent), INV-2 (time never decreases) and INV-10 (sequences, gaps,
//! stops). Does not do: read files. The caller asks [`Walk::next_bundle`] what to read, and hands it over; what it hands
//! back, the tiles the entries give, the caller holds against the stored ones through [`Walk::tile`].

mod approvals;
mod history;
mod ranges;
mod sessions;

use std::collections::{BTreeMap, VecDeque};

use super::{Check, PLACES_MAX, Place, Status, plural};
use crate::checkpoint::Checkpoint;
use crate::code::{CheckName, Code};
use crate::entry::{AnchorDetails, Entry, KindDetails, LaneName};
use crate::hash::{Hash, leaf_hash};
use crate::limits::ANCHOR_LANES_MAX;
use crate::merkle::{LeafIndex, TreeSize};
use crate::tile::{EntryBundle, TILE_WIDTH, TileEdge, TileKind, TilePath};

use approvals::Approvals;
use history::History;
use sessions::Sessions;

/// What a log that passes every check still leaves open.
pub const NOT_PROVED: [&str; 2] = [
    "That traffic which never reached a recorder was recorded.",
    "That what the models were told was true, or that a decision was fair or lawful.",
];

/// A walk over a log's entry bundles, from the first to the last.
#[derive(Debug)]
pub struct Walk {
    size: TreeSize,
    /// Checkpoints whose size is not reached yet, smallest first.
    ahead: VecDeque<Checkpoint>,
    /// The tree so far; gone once a bundle could not be used, because no later hash is known then.
    edge: Option<TileEdge>,
    bundles_done: u64,
    /// Entries that decoded; what holds among them says nothing about the others.
    entries_read: u64,
    latest: LatestBundle,
    bundles: Findings,
    entries: Findings,
    tiles: Findings,
    tiles_compared: u64,
    roots: Roots,
    history: History,
    approvals: Approvals,
    sessions: Sessions,
    /// The latest anchor entry of each lane, at most [`ANCHOR_LANES_MAX`].
    anchored: BTreeMap<LaneName, (LeafIndex, AnchorDetails)>,
}

/// A tile as the entries give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedTile {
    /// Where it is stored.
    pub path: TilePath,
    /// What must stand there.
    pub bytes: Vec<u8>,
}

/// Which bytes of the bundle that was read last are which entry.
#[derive(Debug, Default)]
struct LatestBundle {
    path: Option<TilePath>,
    entries: Vec<(u64, u64)>,
}

/// How the derived roots compare with the signed ones.
#[derive(Debug, Default)]
struct Roots {
    matched: Vec<TreeSize>,
    differing: Vec<(Checkpoint, Hash)>,
}

/// Places where a check failed: the first few, and how many there are.
#[derive(Debug, Default)]
struct Findings {
    count: u64,
    places: Vec<Place>,
}

impl Findings {
    fn add(&mut self, place: Place) {
        self.count += 1;
        if self.places.len() < PLACES_MAX {
            self.places.push(place);
        }
    }

    /// A passed check with `detail`, or one failed at the places found.
    fn check(self, name: CheckName, code: Code, detail: String) -> Check {
        if self.count == 0 {
            return Check::passed(name, detail);
        }
        let first = self.places.first().map(Place::to_string).unwrap_or_default();
        let detail = match self.count {
            1 => first,
            more => format!("{first} In all, {more} places are wrong."),
        };
        Check::failed(name, code, detail).at(self.places)
    }
}

impl Walk {
    /// Starts a walk over the log that `checkpoints` are signed for, as far as the largest of them goes.
    ///
    /// Each of them is held against the root that the entries give at its size. Check their signatures first.
    #[must_use]
    pub fn new(mut checkpoints: Vec<Checkpoint>) -> Self {
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        let size = checkpoints.last().map_or(TreeSize::EMPTY, |largest| largest.size);
        let origin = checkpoints.last().map(|largest| largest.origin.clone());
        let mut walk = Self {
            size,
            ahead: checkpoints.into(),
            edge: Some(TileEdge::empty()),
            bundles_done: 0,
            entries_read: 0,
            latest: LatestBundle::default(),
            bundles: Findings::default(),
            entries: Findings::default(),
            tiles: Findings::default(),
            tiles_compared: 0,
            roots: Roots::default(),
            history: History::default(),
            approvals: Approvals::new(origin),
            sessions: Sessions::default(),
            anchored: BTreeMap::new(),
        };
        walk.roots.compare(&mut walk.ahead, &TileEdge::empty());
        walk
    }

    /// The bundle to read and hand over next; none when the walk is at its end.
    #[must_use]
    pub fn next_bundle(&self) -> Option<TilePath> {
        let width = self.size.get().saturating_sub(self.position().get()).min(u64::from(TILE_WIDTH));
        let width = u16::try_from(width).ok()?;
        TilePath::partial(TileKind::Entries, self.bundles_done, width).ok()
    }

    /// How many entries lie behind.
    #[must_use]
    pub fn position(&self) -> TreeSize {
        let entries = self.bundles_done.saturating_mul(u64::from(TILE_WIDTH));
        TreeSize::new(entries.min(self.size.get()))
    }

    /// How many entries the walk is over.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// Takes the bytes of [`Walk::next_bundle`] and returns the full tiles that are complete with it.
    ///
    /// A full bundle may stand in for a partial one: what lies past the walk's end is not looked at.
    pub fn bundle(&mut self, bytes: &[u8]) -> Vec<DerivedTile> {
        let Some(path) = self.next_bundle() else { return Vec::new() };
        let width = usize::from(path.width());
        match EntryBundle::decode(bytes) {
            Err(error) => {
                self.unusable(path, Some((0, length(bytes))), &error.to_string());
                Vec::new()
            }
            Ok(entries) if entries.len() < width => {
                let what = format!("It holds {} entries instead of {width}.", entries.len());
                self.unusable(path, Some((0, length(bytes))), &what);
                Vec::new()
            }
            Ok(entries) => self.read_entries(path, entries.get(..width).unwrap_or_default()),
        }
    }

    /// Says that [`Walk::next_bundle`] is not to be had, and goes on behind it.
    pub fn bundle_missing(&mut self, why: &str) {
        if let Some(path) = self.next_bundle() {
            self.unusable(path, None, why);
        }
    }

    /// Holds a derived tile against what is stored in its place; `None` if nothing is.
    pub fn tile(&mut self, derived: &DerivedTile, stored: Option<&[u8]>) {
        self.tiles_compared += 1;
        let path = Some(derived.path.to_string());
        match stored {
            None => self.tiles.add(Place { path, what: "It is missing.".to_owned(), ..Place::default() }),
            Some(stored) if stored.len() != derived.bytes.len() => {
                let what = format!("It has {} bytes instead of {}.", stored.len(), derived.bytes.len());
                self.tiles.add(Place { path, what, bytes: Some((0, length(stored))), ..Place::default() });
            }
            Some(stored) => self.compare_hashes(derived, stored),
        }
    }

    /// The partial tiles of the tree so far, to be held against the stored ones at the walk's end.
    #[must_use]
    pub fn partial_tiles(&self) -> Vec<DerivedTile> {
        let edge = self.edge.iter();
        edge.flat_map(TileEdge::partials).map(|(path, bytes)| DerivedTile { path, bytes }).collect()
    }

    /// Of each lane that anchor entries name, the one with the highest number.
    #[must_use]
    pub fn anchored(&self) -> Vec<(LeafIndex, AnchorDetails)> {
        self.anchored.values().cloned().collect()
    }

    /// Ends the walk: everything it found, check by check.
    #[must_use]
    pub fn finish(self) -> Vec<Check> {
        let unread = self.size.get() - self.position().get();
        let (read, all) = (self.entries_read, self.size.get());
        let mut checks = vec![
            bundle_check(self.bundles, self.bundles_done, unread),
            self.entries.check(
                CheckName::LogEntries,
                Code::Malformed,
                format!("{} read, each in its prescribed form.", plural(read, "entry was", "entries were")),
            ),
            tile_check(self.tiles, self.tiles_compared, self.edge.is_some()),
            self.roots.check(self.ahead),
        ];
        checks.extend(self.history.checks());
        checks.extend(self.approvals.check());
        checks.extend(self.sessions.checks());
        if read < all {
            checks.iter_mut().for_each(|check| not_of_all(check, read, all));
        }
        checks
    }

    fn unusable(&mut self, path: TilePath, bytes: Option<(u64, u64)>, what: &str) {
        self.bundles.add(Place {
            leaf_index: Some(path.start()),
            path: Some(path.to_string()),
            bytes,
            what: what.to_owned(),
        });
        self.edge = None;
        self.latest = LatestBundle::default();
        self.bundles_done += 1;
    }

    fn read_entries(&mut self, path: TilePath, entries: &[&[u8]]) -> Vec<DerivedTile> {
        let mut derived = Vec::new();
        self.latest = LatestBundle { path: Some(path), entries: Vec::with_capacity(entries.len()) };
        let mut offset = 0;
        for (place, bytes) in (path.start().get()..).zip(entries) {
            let index = LeafIndex::new(place);
            let start = offset + 2;
            offset = start + length(bytes);
            self.latest.entries.push((start, offset));
            self.integrate(bytes, &mut derived);
            match Entry::decode(bytes) {
                Ok(entry) => {
                    self.entries_read += 1;
                    self.history.entry(index, &entry);
                    self.approvals.entry(index, &entry);
                    self.note_anchor(index, &entry);
                    self.sessions.entry(index, &entry);
                }
                Err(error) => self.entries.add(Place {
                    leaf_index: Some(index),
                    path: Some(path.to_string()),
                    bytes: Some((start, offset)),
                    what: super::sentence(&error),
                }),
            }
        }
        self.bundles_done += 1;
        derived
    }

    /// Adds a leaf to the tree and compares the root wherever a checkpoint was signed.
    fn integrate(&mut self, entry: &[u8], derived: &mut Vec<DerivedTile>) {
        let Some(edge) = &mut self.edge else { return };
        edge.push(leaf_hash(entry), &mut |path, bytes| derived.push(DerivedTile { path, bytes }));
        self.roots.compare(&mut self.ahead, edge);
    }

    fn note_anchor(&mut self, index: LeafIndex, entry: &Entry) {
        let Ok(KindDetails::Anchor(details)) = entry.kind_details() else { return };
        let known = self.anchored.get(&details.lane).map_or(0, |(_, known)| known.seq);
        let is_room = known > 0 || self.anchored.len() < ANCHOR_LANES_MAX;
        if is_room && details.seq > known {
            self.anchored.insert(details.lane.clone(), (index, details));
        }
    }

    fn compare_hashes(&mut self, derived: &DerivedTile, stored: &[u8]) {
        let pairs = derived.bytes.chunks(Hash::LEN).zip(stored.chunks(Hash::LEN)).enumerate();
        for (position, _) in pairs.filter(|(_, (ours, theirs))| ours != theirs) {
            let place = self.differing_hash(derived.path, position);
            self.tiles.add(place);
        }
    }

    /// A hash of a stored tile that the entries do not give; on level 0 with the entry it stands for.
    fn differing_hash(&self, tile: TilePath, position: usize) -> Place {
        let start = position as u64 * Hash::LEN as u64;
        let bytes = Some((start, start + Hash::LEN as u64));
        let entry = self.latest.entries.get(position);
        let (leaf_index, what) = match (tile.kind(), self.latest.path, entry) {
            (TileKind::Hashes(0), Some(bundle), Some((from, to))) if bundle.index() == tile.index() => (
                Some(LeafIndex::new(tile.start().get() + position as u64)),
                format!(
                    "This hash is not that of the stored entry, bytes {from} to {to} of {bundle}: one of the two was \
                     changed."
                ),
            ),
            _ => (None, "This hash is not the one that the entries give.".to_owned()),
        };
        Place { leaf_index, path: Some(tile.to_string()), bytes, what }
    }
}

impl Roots {
    /// Compares the root of the tree so far with every checkpoint signed for its size.
    fn compare(&mut self, ahead: &mut VecDeque<Checkpoint>, edge: &TileEdge) {
        while let Some(checkpoint) = ahead.pop_front_if(|checkpoint| checkpoint.size == edge.size()) {
            let root = edge.root();
            if root == checkpoint.root {
                self.matched.push(checkpoint.size);
            } else {
                self.differing.push((checkpoint, root));
            }
        }
    }

    fn check(self, ahead: VecDeque<Checkpoint>) -> Check {
        if let Some((checkpoint, root)) = self.differing.first() {
            let size = checkpoint.size;
            let detail = format!(
                "The first {size} entries give the root {root}, but the log's statement names {} for that size: entries \
                 were changed, added, removed or moved after it was signed, or the statement is not the log's.",
                checkpoint.root
            );
            return Check::failed(CheckName::LogRoot, Code::Inconsistent, detail);
        }
        if let Some(checkpoint) = ahead.front() {
            let detail = format!(
                "The root at size {} could not be computed, because not all entries before it could be read.",
                checkpoint.size
            );
            return Check::not_checked(CheckName::LogRoot, detail);
        }
        match self.matched.as_slice() {
            [] => {
                Check::not_checked(CheckName::LogRoot, "No checkpoint was given to hold the entries against.")
            }
            [size] => Check::passed(
                CheckName::LogRoot,
                format!(
                    "The log's {} exactly the root that it signed.",
                    plural(size.get(), "entry gives", "entries give")
                ),
            ),
            [earlier @ .., size] => Check::passed(
                CheckName::LogRoot,
                format!(
                    "The log's {} exactly the root that it signed, and at {} the one that it signed there.",
                    plural(size.get(), "entry gives", "entries give"),
                    plural(earlier.len() as u64, "earlier size", "earlier sizes"),
                ),
            ),
        }
    }
}

/// Takes back a pass that was won among some of the entries only.
fn not_of_all(check: &mut Check, read: u64, all: u64) {
    let of_entries = !matches!(check.name, CheckName::LogBundles | CheckName::LogTiles | CheckName::LogRoot);
    if of_entries && check.status == Status::Passed {
        let detail = format!("Only {read} of {all} entries could be read. In those: {}", check.detail);
        *check = Check::not_checked(check.name, detail);
    }
}

fn bundle_check(found: Findings, read: u64, unread: u64) -> Check {
    if found.count == 0 && unread > 0 {
        let entries = plural(unread, "entry", "entries");
        let detail = format!("The walk was ended {entries} before the end of the log.");
        return Check::not_checked(CheckName::LogBundles, detail);
    }
    found.check(
        CheckName::LogBundles,
        Code::Malformed,
        format!("{} read.", plural(read, "file of entries was", "files of entries were")),
    )
}

fn tile_check(found: Findings, compared: u64, derivable: bool) -> Check {
    if found.count == 0 && !derivable {
        let detail = "Not all hash files could be derived, because a file of entries is missing or damaged.";
        return Check::not_checked(CheckName::LogTiles, detail);
    }
    let detail = match compared {
        0 => "There is no hash file to compare.".to_owned(),
        1 => "The one hash file is the one that the entries give.".to_owned(),
        _ => format!("All {compared} hash files are the ones that the entries give."),
    };
    found.check(CheckName::LogTiles, Code::Inconsistent, detail)
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}
