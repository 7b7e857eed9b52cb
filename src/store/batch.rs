//! A batch: the entries that one commit makes durable, and the tree they make.
//!
//! Guarantees: the root, the compact range and the nodes of a batch are always those of its entries appended to the tree
//! before it, whoever builds it: the sequencer from drafts, or recovery from the journal. Does not do: encoding.
//!
//! Carries INV-5 (one index, one entry): an entry's index is its place after `first`, so no index can be given twice.

use crate::code::Code;
use crate::hash::{Hash, leaf_hash};
use crate::merkle::inclusion;
use crate::merkle::range::CompactRange;
use crate::merkle::{LeafIndex, NodeSource, ProveError, TreeSize};
use crate::time::UnixMillis;

/// An entry's exact bytes and the sealed record that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// What the log hashes and publishes.
    pub bytes: Vec<u8>,
    /// What only the operator can open; empty where the entry has none.
    pub sealed: Vec<u8>,
}

impl BatchEntry {
    /// Bytes of the entry and its sealed record together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.sealed.len()
    }

    /// Whether there is nothing in it, which no log accepts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Entries with their places in the log, and the tree after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The index of the first entry.
    first: LeafIndex,
    /// When the batch was cut: the `recorded_at` of each of its entries.
    time: UnixMillis,
    /// The entries, in the order of their indices.
    entries: Vec<BatchEntry>,
    /// The leaf hash of each entry.
    leaves: Vec<Hash>,
    /// The tree after the last entry.
    after: CompactRange,
    /// Its root hash.
    root: Hash,
    /// What the inclusion proofs of these entries are made of.
    nodes: Nodes,
}

impl Batch {
    /// Appends `entries` to the tree `before`.
    ///
    /// # Errors
    /// When there is no entry, or the tree would pass [`TREE_SIZE_MAX`](crate::limits::TREE_SIZE_MAX).
    pub fn build(
        before: &CompactRange,
        time: UnixMillis,
        entries: Vec<BatchEntry>,
    ) -> Result<Self, BatchError> {
        if entries.is_empty() {
            return Err(BatchError::Empty);
        }
        let size = before.size();
        let added = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        size.checked_add(added).ok_or(BatchError::TreeFull { size })?;
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(&entry.bytes)).collect();
        let mut nodes = Nodes::beside(before);
        let mut after = before.clone();
        for leaf in &leaves {
            after.push_with(*leaf, &mut |level, index, hash| nodes.push(level, index, hash));
        }
        Ok(Self { first: size.next_index(), time, root: after.root(), entries, leaves, after, nodes })
    }

    /// The proof that the entry at `index` is in the tree after this batch.
    ///
    /// # Errors
    /// When the batch has no entry at `index`.
    pub fn prove(&self, index: LeafIndex) -> Result<Vec<Hash>, ProveError<NotInBatch>> {
        if index < self.first {
            return Err(ProveError::IndexOutOfTree { index, size: self.size() });
        }
        inclusion::prove(&self.nodes, index, self.size())
    }

    /// Whether the proof of the last entry leads to the root. The sequencer asks once for each batch that it answers.
    #[must_use]
    pub fn proves_last(&self) -> bool {
        let (Some(leaf), Some(index)) = (self.leaves.last(), self.size().last_index()) else { return false };
        let Ok(proof) = self.prove(index) else { return false };
        inclusion::verify(leaf, index, self.size(), &proof, &self.root).is_ok()
    }

    /// The index of the first entry.
    #[must_use]
    pub const fn first(&self) -> LeafIndex {
        self.first
    }

    /// When the batch was cut.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.time
    }

    /// The entries, in the order of their indices.
    #[must_use]
    pub fn entries(&self) -> &[BatchEntry] {
        &self.entries
    }

    /// The leaf hash of each entry.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// The tree after the last entry.
    #[must_use]
    pub const fn after(&self) -> &CompactRange {
        &self.after
    }

    /// The size of the tree after the last entry.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.after.size()
    }

    /// The root hash after the last entry.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Bytes of all entries and sealed records.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.entries.iter().map(BatchEntry::len).sum()
    }
}

/// Why entries are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// There is no entry.
    #[error("a batch has at least one entry: commit nothing instead")]
    Empty,
    /// The tree has no room.
    #[error("a tree of {size} leaves has no room for this batch: start another log")]
    TreeFull {
        /// The tree before the batch.
        size: TreeSize,
    },
}

impl BatchError {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Empty => Code::Misuse,
            Self::TreeFull { .. } => Code::Limit,
        }
    }
}

/// The nodes that the inclusion proofs of one batch need: those it completed, and the parts of the tree before it.
#[derive(Clone, Debug)]
struct Nodes {
    /// Per level, the nodes from some index on without a gap.
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    first: u64,
    hashes: Vec<Hash>,
}

impl Nodes {
    /// Starts with the parts of the tree `before`: on each level at most one, just left of the nodes that will follow.
    fn beside(before: &CompactRange) -> Self {
        let size = before.size().get();
        let mut parts = before.hashes().iter().rev();
        let levels = (0..u64::BITS - size.leading_zeros()).map(|level| {
            let complete = size >> level;
            if complete & 1 == 1 {
                Level { first: complete - 1, hashes: parts.next().copied().into_iter().collect() }
            } else {
                Level { first: complete, hashes: Vec::new() }
            }
        });
        Self { levels: levels.collect() }
    }

    fn push(&mut self, level: u8, index: u64, hash: Hash) {
        let level = usize::from(level);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, || Level { first: index, hashes: Vec::new() });
        }
        if let Some(row) = self.levels.get_mut(level) {
            debug_assert_eq!(row.first + row.hashes.len() as u64, index, "nodes follow without a gap");
            row.hashes.push(hash);
        }
    }
}

impl NodeSource for Nodes {
    type Error = NotInBatch;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NotInBatch> {
        let found = self.levels.get(usize::from(level)).and_then(|row| {
            let offset = usize::try_from(index.checked_sub(row.first)?).ok()?;
            row.hashes.get(offset).copied()
        });
        found.ok_or(NotInBatch { level, index })
    }
}

/// A proof asked for a node that no proof of this batch's entries needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {index} of level {level} is neither new in this batch nor beside it: this is a defect, report it"
)]
pub struct NotInBatch {
    level: u8,
    index: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(from: u64, count: u64) -> Vec<BatchEntry> {
        (from..from + count)
            .map(|number| BatchEntry { bytes: number.to_be_bytes().to_vec(), sealed: Vec::new() })
            .collect()
    }

    #[test]
    fn proves_each_entry_of_any_batch_on_any_tree() {
        for before in 0..70_u64 {
            let mut range = CompactRange::empty();
            for number in 0..before {
                range.push(leaf_hash(&number.to_be_bytes()));
            }
            for count in [1, 2, 3, 5, 8, 31, 64, 65] {
                let batch = Batch::build(&range, UnixMillis::new(1), entries(before, count)).unwrap();
                for (offset, leaf) in (0..).zip(batch.leaves()) {
                    let index = LeafIndex::new(before + offset);
                    let proof = batch.prove(index).unwrap();
                    inclusion::verify(leaf, index, batch.size(), &proof, &batch.root()).unwrap();
                }
            }
        }
    }

    #[test]
    fn proves_nothing_about_entries_of_other_batches() {
        let first = Batch::build(&CompactRange::empty(), UnixMillis::new(1), entries(0, 3)).unwrap();
        let second = Batch::build(first.after(), UnixMillis::new(1), entries(3, 3)).unwrap();
        assert!(second.prove(LeafIndex::new(2)).is_err());
        assert!(second.prove(LeafIndex::new(6)).is_err());
    }

    #[test]
    fn refuses_a_batch_without_entries_and_a_tree_without_room() {
        let empty = CompactRange::empty();
        let refused = Batch::build(&empty, UnixMillis::new(1), Vec::new()).unwrap_err();
        assert_eq!(refused, BatchError::Empty);
        let size = crate::limits::TREE_SIZE_MAX;
        let full = CompactRange::from_parts(TreeSize::new(size), vec![Hash::of(b"x"); 63]).unwrap();
        let refused = Batch::build(&full, UnixMillis::new(1), entries(0, 1)).unwrap_err();
        assert_eq!(refused.code(), Code::Limit);
    }
}
