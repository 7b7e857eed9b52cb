//! A tree kept whole in memory, for small trees, tests and benchmarks.
//!
//! Guarantees: every complete subtree of the leaves appended so far can be read. Does not do: a log; it holds two hashes
//! per leaf and forgets them when it goes.

use crate::hash::Hash;
use crate::merkle::range::CompactRange;
use crate::merkle::{NodeSource, TreeSize};

/// All complete subtrees of a growing tree.
#[derive(Clone, Debug, Default)]
pub struct MemoryNodes {
    range: CompactRange,
    /// `levels[l][i]` is the subtree over the leaves `i * 2^l .. (i + 1) * 2^l`.
    levels: Vec<Vec<Hash>>,
}

impl MemoryNodes {
    /// A tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf, given by its leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.range.push_with(leaf, &mut |level, _, hash| {
            let level = usize::from(level);
            if level == levels.len() {
                levels.push(Vec::new());
            }
            if let Some(nodes) = levels.get_mut(level) {
                nodes.push(hash);
            }
        });
    }

    /// How many leaves were appended.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.range.size()
    }

    /// The root hash of all leaves appended.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.range.root()
    }
}

impl FromIterator<Hash> for MemoryNodes {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut nodes = Self::new();
        leaves.into_iter().for_each(|leaf| nodes.push(leaf));
        nodes
    }
}

impl NodeSource for MemoryNodes {
    type Error = MissingNode;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MissingNode> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.levels.get(usize::from(level))?.get(index))
            .copied()
            .ok_or(MissingNode { level, index })
    }
}

/// The tree has no such complete subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree has no complete subtree {index} on level {level}: it has fewer leaves")]
pub struct MissingNode {
    /// The level asked for.
    pub level: u8,
    /// The place on it.
    pub index: u64,
}
