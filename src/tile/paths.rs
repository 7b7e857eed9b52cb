//! Which tiles and bundles a tree of some size has, and which of them a growing tree adds.
//!
//! Guarantees: hash tiles come first, level by level from 0, each level from left to right, then the entry bundles; a
//! partial tile is listed only as wide as the tree is. Does not do: naming partial tiles of sizes in between.
//!
//! Implements C2SP tlog-tiles, section "Partial Tiles".

use core::iter::FusedIterator;

use crate::merkle::TreeSize;
use crate::tile::{TILE_WIDTH, TileKind, TilePath, hashes_on};

/// Every tile and entry bundle that a tree of `size` leaves has.
#[must_use]
pub fn paths(size: TreeSize) -> Paths {
    paths_between(TreeSize::EMPTY, size)
}

/// Every tile and entry bundle that a tree of `new` leaves has and one of `old` leaves does not.
///
/// Nothing if the tree did not grow.
#[must_use]
pub fn paths_between(old: TreeSize, new: TreeSize) -> Paths {
    let mut paths = Paths { old: old.min(new), new, kind: Some(TileKind::Hashes(0)), next: 0 };
    paths.next = paths.first_index(0);
    paths
}

/// Iterator over tile paths; see [`paths`] and [`paths_between`].
#[derive(Clone, Debug)]
pub struct Paths {
    old: TreeSize,
    new: TreeSize,
    /// What is being listed; nothing once all is.
    kind: Option<TileKind>,
    /// The next index to list.
    next: u64,
}

impl Paths {
    /// The first tile on `level` that holds more in the new tree than in the old one.
    fn first_index(&self, level: u8) -> u64 {
        hashes_on(self.old, level) / u64::from(TILE_WIDTH)
    }

    /// The tile at `next`, as wide as the new tree makes it; nothing past the end of the level.
    fn tile(&self, kind: TileKind) -> Option<TilePath> {
        let level = match kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let hashes = hashes_on(self.new, level);
        if hashes == hashes_on(self.old, level) {
            return None;
        }
        let before = self.next.checked_mul(u64::from(TILE_WIDTH))?;
        let left = hashes.checked_sub(before)?.min(u64::from(TILE_WIDTH));
        TilePath::partial(kind, self.next, u16::try_from(left).ok()?).ok()
    }
}

impl Iterator for Paths {
    type Item = TilePath;

    fn next(&mut self) -> Option<TilePath> {
        loop {
            let kind = self.kind?;
            if let Some(path) = self.tile(kind) {
                self.next += 1;
                return Some(path);
            }
            self.kind = match kind {
                TileKind::Hashes(level) if hashes_on(self.new, level + 1) > 0 => {
                    self.next = self.first_index(level + 1);
                    Some(TileKind::Hashes(level + 1))
                }
                TileKind::Hashes(_) => {
                    self.next = self.first_index(0);
                    Some(TileKind::Entries)
                }
                TileKind::Entries => None,
            };
        }
    }
}

impl FusedIterator for Paths {}
