//! Compact ranges: all that must be kept of a tree in order to append to it.
//!
//! Guarantees: the hashes kept are always exactly one per set bit of the size, largest subtree first; appending reports
//! every node it completes, once, and in an order in which children come before their parent. Does not do: keeping
//! those nodes.
//!
//! The tree is that of RFC 6962, section 2.1.

use crate::code::Code;
use crate::hash::{Hash, empty_root, node_hash};
use crate::limits::TREE_SIZE_MAX;
use crate::merkle::TreeSize;

/// The roots of the complete subtrees that a tree is made of, largest (leftmost) first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactRange {
    /// Leaves appended so far; at most [`TREE_SIZE_MAX`].
    size: u64,
    /// One hash per set bit of `size`, from the highest bit to the lowest.
    hashes: Vec<Hash>,
}

impl CompactRange {
    /// The range of the tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// The range of a tree of `size` leaves, from hashes that were kept.
    ///
    /// # Errors
    /// When there is not exactly one hash per set bit of the size, or the size passes [`TREE_SIZE_MAX`].
    pub fn from_parts(size: TreeSize, hashes: Vec<Hash>) -> Result<Self, RangeError> {
        if size.get() > TREE_SIZE_MAX {
            return Err(RangeError::TooLarge { size });
        }
        let expected = size.get().count_ones();
        if u32::try_from(hashes.len()) != Ok(expected) {
            return Err(RangeError::HashCount { size, expected, actual: hashes.len() });
        }
        Ok(Self { size: size.get(), hashes })
    }

    /// Appends a leaf, given by its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, &mut |_, _, _| {});
    }

    /// Appends a leaf and reports each node this completes, the leaf first: its level, its index on it, its hash.
    ///
    /// # Panics
    /// When the tree already has [`TREE_SIZE_MAX`] leaves, which no log reaches by appending.
    pub fn push_with(&mut self, leaf: Hash, completed: &mut impl FnMut(u8, u64, Hash)) {
        assert!(self.size < TREE_SIZE_MAX, "a log never has 2^63 leaves");
        let mut node = leaf;
        let mut index = self.size;
        let mut level = 0;
        completed(level, index, node);
        while index & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            node = node_hash(&left, &node);
            index >>= 1;
            level += 1;
            completed(level, index, node);
        }
        self.hashes.push(node);
        self.size += 1;
        debug_assert_eq!(
            u32::try_from(self.hashes.len()),
            Ok(self.size.count_ones()),
            "one hash per set bit"
        );
    }

    /// The root hash of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.hashes
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// The hashes to keep, largest subtree first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// Why hashes are not the compact range of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The number of hashes does not fit the size.
    #[error(
        "the compact range of {size} leaves has {expected} hashes, not {actual}: what kept it is damaged"
    )]
    HashCount {
        /// The size claimed.
        size: TreeSize,
        /// How many hashes it needs.
        expected: u32,
        /// How many there are.
        actual: usize,
    },
    /// The size is past the limit.
    #[error("no log has {size} leaves: what kept this size is damaged")]
    TooLarge {
        /// The size claimed.
        size: TreeSize,
    },
}

impl RangeError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::HashCount { .. } => Code::Malformed,
            Self::TooLarge { .. } => Code::Limit,
        }
    }
}
