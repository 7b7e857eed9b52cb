//! The Merkle tree of RFC 6962 and RFC 9162: places in it, its nodes, and the proofs over it.
//!
//! Guarantees: every verifier knows the exact number of hashes a proof must have and refuses any other, so nothing in
//! a proof goes unread; an index is checked against the size of the tree before anything is hashed. Builders and
//! verifiers are total: no input makes them panic. Does not do: storing nodes (see [`NodeSource`]), signatures, or
//! deciding whether a root is to be trusted.
//!
//! Implements RFC 6962, section 2.1, and RFC 9162, section 2.1. Carries INV-1 (two checkpoints are consistent) and
//! INV-4 (a receipt verifies against every later checkpoint): [`consistency`] and [`inclusion`] are how both are checked.

pub mod consistency;
pub mod inclusion;
pub mod memory;
mod path;
pub mod range;
pub mod subtree;

use core::fmt;

use crate::code::Code;
use crate::hash::{Hash, empty_root};

/// The 0-based place of a leaf in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u64);

impl LeafIndex {
    /// The place after `index` other leaves.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The index as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of `size` leaves has a leaf here.
    #[must_use]
    pub const fn is_in(self, size: TreeSize) -> bool {
        self.0 < size.0
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many leaves a tree has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl TreeSize {
    /// The size of the tree without leaves.
    pub const EMPTY: Self = Self(0);

    /// A tree of `size` leaves.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self(size)
    }

    /// The size as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether the tree has no leaf.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The size after `leaves` more leaves, unless that passes [`TREE_SIZE_MAX`](crate::limits::TREE_SIZE_MAX).
    #[must_use]
    pub fn checked_add(self, leaves: u64) -> Option<Self> {
        let size = self.0.checked_add(leaves)?;
        (size <= crate::limits::TREE_SIZE_MAX).then_some(Self(size))
    }

    /// The index that the next appended leaf gets.
    #[must_use]
    pub const fn next_index(self) -> LeafIndex {
        LeafIndex(self.0)
    }

    /// The index of the last leaf, if there is one.
    #[must_use]
    pub const fn last_index(self) -> Option<LeafIndex> {
        match self.0.checked_sub(1) {
            Some(index) => Some(LeafIndex(index)),
            None => None,
        }
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the hashes of a tree's complete subtrees come from.
///
/// A source answers for one tree size at least; what it answers is not checked here. Whoever reads from storage that
/// somebody else controls verifies the proof that came out against a signed root.
pub trait NodeSource {
    /// Why a node could not be read.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The root of the complete subtree over the leaves `index * 2^level .. (index + 1) * 2^level`.
    ///
    /// # Errors
    /// When the source has no such node or cannot read it.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<S: NodeSource + ?Sized> NodeSource for &S {
    type Error = S::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}

/// The root hash of the tree of `size` leaves, from the nodes of `source`.
///
/// # Errors
/// When a node cannot be read.
pub fn root<S: NodeSource>(source: &S, size: TreeSize) -> Result<Hash, ProveError<S::Error>> {
    if size.is_empty() {
        return Ok(empty_root());
    }
    path::window_hash(source, 0, size.get()).map_err(ProveError::Source)
}

/// Why a proof could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E: core::error::Error + 'static> {
    /// The tree has no leaf at this index.
    #[error("leaf {index} is not in a tree of {size} leaves: ask for a larger tree or a smaller index")]
    IndexOutOfTree {
        /// The index asked for.
        index: LeafIndex,
        /// The tree it was asked of.
        size: TreeSize,
    },
    /// Every tree extends the empty tree, so there is nothing to prove.
    #[error("no consistency proof starts at the empty tree: skip the check for size 0")]
    FromEmptyTree,
    /// The part reaches beyond the tree.
    #[error("a tree of {size} leaves holds nothing up to leaf {end}: ask for a larger tree")]
    EndOutOfTree {
        /// Where the part ends.
        end: TreeSize,
        /// The tree it was asked of.
        size: TreeSize,
    },
    /// A node could not be read.
    #[error("a tree node could not be read; fetch it again or restore the tile")]
    Source(#[source] E),
}

impl<E: core::error::Error + 'static> ProveError<E> {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::IndexOutOfTree { .. } | Self::FromEmptyTree | Self::EndOutOfTree { .. } => Code::Misuse,
            Self::Source(_) => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
