//! The one walk under every proof: from a subtree up to the root of the tree that holds it.
//!
//! An inclusion proof is the path of the subtree of one leaf, a consistency proof that of the subtree of the first
//! `from` leaves, and a subtree consistency proof the general case. So there is one builder and one climb, and the
//! vectors of all four proof kinds exercise both. Guarantees: a [`Climb`] is made only for a part that lies in the tree,
//! and hashes only as many hashes as the path has. Does not do: comparing roots; its callers name what differs.
//!
//! Implements draft-ietf-plants-merkle-tree-certs, section 4.4, which contains RFC 9162, sections 2.1.3 and 2.1.4.

use crate::hash::{Hash, node_hash};
use crate::merkle::NodeSource;

/// The hash of the leaves `start..end`, which form a window: the whole tree, or the child of a window.
///
/// Reads one node per set bit of the window's length. `start < end` is the callers' to keep.
pub(super) fn window_hash<S: NodeSource>(source: &S, start: u64, end: u64) -> Result<Hash, S::Error> {
    let mut rest = end - start;
    let mut position = end;
    let mut hash = None;
    while rest != 0 {
        let level = rest.trailing_zeros();
        position -= 1 << level;
        rest &= rest - 1;
        let node = source.node(level_of(level), position >> level)?;
        hash = Some(match hash {
            None => node,
            Some(right) => node_hash(&node, &right),
        });
    }
    debug_assert!(hash.is_some(), "a window has a leaf");
    Ok(hash.unwrap_or_else(crate::hash::empty_root))
}

/// The path from the subtree over `start..end` to the root of a tree of `size` leaves, lowest hash first.
///
/// The caller has checked that the subtree is valid, not empty, and in the tree.
pub(super) fn build<S: NodeSource>(
    source: &S,
    start: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    let mut part = start;
    let (mut low, mut high) = (0, size);
    while (part, end) != (low, high) {
        let middle = low + split(high - low);
        if end <= middle {
            path.push(window_hash(source, middle, high)?);
            high = middle;
        } else {
            path.push(window_hash(source, low, middle)?);
            low = middle;
            part = part.max(middle);
        }
    }
    if part != start {
        path.push(window_hash(source, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// How many leaves the left child of a window of `leaves >= 2` leaves has: the largest power of two below.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The two roots a path leads to.
pub(super) struct Roots {
    /// What the path says the subtree's root is.
    pub(super) part: Hash,
    /// What the path says the tree's root is.
    pub(super) tree: Hash,
}

/// A walk from a subtree to the root, one level at a time.
///
/// Each field is the place, on the present level, of the node over one leaf: shifting all three by one climbs a level.
pub(super) struct Climb {
    /// Over the subtree's first leaf.
    first: u64,
    /// Over the subtree's last leaf.
    last: u64,
    /// Over the tree's last leaf.
    edge: u64,
}

impl Climb {
    /// The walk from the subtree over `start..end` in a tree of `size` leaves; nothing unless `start < end <= size`.
    pub(super) fn new(start: u64, end: u64, size: u64) -> Option<Self> {
        if start >= end || end > size {
            return None;
        }
        let mut climb = Self { first: start, last: end - 1, edge: size - 1 };
        let height = bit_length(climb.first ^ climb.last);
        climb.rise(if climb.last == climb.edge { height } else { height.min(climb.last.trailing_ones()) });
        Some(climb)
    }

    /// How many hashes the path has, exactly.
    pub(super) fn path_len(&self) -> usize {
        let inner = bit_length(self.last ^ self.edge);
        let border = self.last.checked_shr(inner).unwrap_or(0).count_ones();
        let seed = u32::from(self.first != self.last);
        // At most 1 + 64 + 64, so the conversion always holds.
        usize::try_from(seed + inner + border).unwrap_or(usize::MAX)
    }

    /// The roots that `path` leads to from the subtree's root `part`; nothing if the path has any other length.
    pub(super) fn roots(mut self, part: &Hash, path: &[Hash]) -> Option<Roots> {
        if path.len() != self.path_len() {
            return None;
        }
        let (seed, path) = if self.first == self.last { (part, path) } else { path.split_first()? };
        let mut roots = Roots { part: *seed, tree: *seed };
        for hash in path {
            self.step(&mut roots, hash);
        }
        debug_assert_eq!(self.edge, 0, "a path of the right length ends at the root");
        Some(roots)
    }

    /// Takes one hash of the path: a sibling on the left belongs to both trees, one on the right to the larger only.
    fn step(&mut self, roots: &mut Roots, sibling: &Hash) {
        if self.last & 1 == 1 || self.last == self.edge {
            if self.first < self.last {
                roots.part = node_hash(sibling, &roots.part);
            }
            roots.tree = node_hash(sibling, &roots.tree);
            // At the tree's right edge a node without a sibling stands unchanged on the levels above.
            self.rise(self.last.trailing_zeros());
        } else {
            roots.tree = node_hash(&roots.tree, sibling);
        }
        self.rise(1);
    }

    fn rise(&mut self, levels: u32) {
        for place in [&mut self.first, &mut self.last, &mut self.edge] {
            *place = place.checked_shr(levels).unwrap_or(0);
        }
    }
}

fn bit_length(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// A bit position of a `u64` as a level; positions end at 63.
fn level_of(bit: u32) -> u8 {
    u8::try_from(bit).unwrap_or(u8::MAX)
}
