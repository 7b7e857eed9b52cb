//! Subtrees: aligned parts of a tree that can be signed and proved on their own.
//!
//! Guarantees: a [`Subtree`] that exists is aligned as the draft demands, so its root is made of nodes of every tree that
//! holds it. Does not do: choosing which subtrees to sign.
//!
//! Implements draft-ietf-plants-merkle-tree-certs, sections 4.1 to 4.4; C2SP tlog-cosignature signs in these terms.

use crate::code::Code;
use crate::hash::{Hash, empty_root};
use crate::merkle::inclusion::{self, InclusionError};
use crate::merkle::path::{self, Climb};
use crate::merkle::{LeafIndex, NodeSource, ProveError, TreeSize};

/// The leaves from `start` up to but not including `end`.
///
/// `start` is a multiple of the smallest power of two that is not below the number of leaves; any range that starts at 0
/// is a subtree, and so is any empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// The subtree over the leaves `start..end`.
    ///
    /// # Errors
    /// When the range runs backwards or is not aligned.
    pub fn new(start: LeafIndex, end: TreeSize) -> Result<Self, SubtreeError> {
        let (low, high) = (start.get(), end.get());
        let Some(leaves) = high.checked_sub(low) else {
            return Err(SubtreeError::Unaligned { start, end });
        };
        let aligned = low == 0
            || leaves == 0
            || leaves.checked_next_power_of_two().is_some_and(|width| low % width == 0);
        if aligned { Ok(Self { start: low, end: high }) } else { Err(SubtreeError::Unaligned { start, end }) }
    }

    /// The first leaf.
    #[must_use]
    pub const fn start(self) -> LeafIndex {
        LeafIndex::new(self.start)
    }

    /// The size of the smallest tree that holds the subtree.
    #[must_use]
    pub const fn end(self) -> TreeSize {
        TreeSize::new(self.end)
    }

    /// Whether the subtree has no leaf.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Checks that the leaf with hash `leaf` is at `index` of the log, inside the subtree whose root is `root`.
///
/// # Errors
/// When the index is outside the subtree, the proof has the wrong length, or it leads to another root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: LeafIndex,
    subtree: Subtree,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), SubtreeError> {
    let Some(place) = index.get().checked_sub(subtree.start) else {
        return Err(SubtreeError::IndexOutOfSubtree { index, subtree });
    };
    let size = TreeSize::new(subtree.end - subtree.start);
    let place = LeafIndex::new(place);
    if !place.is_in(size) {
        return Err(SubtreeError::IndexOutOfSubtree { index, subtree });
    }
    inclusion::verify(leaf, place, size, proof, root).map_err(SubtreeError::Inclusion)
}

/// The proof that `subtree` is part of the tree of `size` leaves, lowest hash first.
///
/// # Errors
/// When the subtree is empty or reaches beyond the tree, or a node cannot be read.
pub fn prove_consistency<S: NodeSource>(
    source: &S,
    subtree: Subtree,
    size: TreeSize,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if subtree.is_empty() {
        return Err(ProveError::FromEmptyTree);
    }
    if subtree.end() > size {
        return Err(ProveError::EndOutOfTree { end: subtree.end(), size });
    }
    path::build(source, subtree.start, subtree.end, size.get()).map_err(ProveError::Source)
}

/// Checks that `subtree` with root `subtree_root` is part of the tree of `size` leaves whose root is `root`.
///
/// An empty subtree has the empty root and the empty proof, and says nothing about `root`.
///
/// # Errors
/// When the subtree reaches beyond the tree, the proof has the wrong length, or it leads to another root.
pub fn verify_consistency(
    subtree: Subtree,
    subtree_root: &Hash,
    size: TreeSize,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), SubtreeError> {
    if subtree.end() > size {
        return Err(SubtreeError::EndOutOfTree { subtree, size });
    }
    let Some(climb) = Climb::new(subtree.start, subtree.end, size.get()) else {
        return verify_empty(subtree_root, proof);
    };
    let expected = climb.path_len();
    let Some(roots) = climb.roots(subtree_root, proof) else {
        return Err(SubtreeError::ProofLength { expected, actual: proof.len() });
    };
    check_root(roots.part, subtree_root)?;
    check_root(roots.tree, root)
}

/// Checks what can be checked of a subtree without leaves.
fn verify_empty(subtree_root: &Hash, proof: &[Hash]) -> Result<(), SubtreeError> {
    if !proof.is_empty() {
        return Err(SubtreeError::ProofLength { expected: 0, actual: proof.len() });
    }
    check_root(empty_root(), subtree_root)
}

fn check_root(computed: Hash, claimed: &Hash) -> Result<(), SubtreeError> {
    if computed == *claimed {
        Ok(())
    } else {
        Err(SubtreeError::RootMismatch { computed, claimed: *claimed })
    }
}

/// Why a subtree or a proof about it does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubtreeError {
    /// The range is no subtree.
    #[error("leaves {start}..{end} are no subtree: the start must be a multiple of the rounded-up length")]
    Unaligned {
        /// The first leaf.
        start: LeafIndex,
        /// The end of the range.
        end: TreeSize,
    },
    /// The leaf is not in the subtree.
    #[error(
        "leaf {index} is not in the subtree {}..{}: the proof is for another subtree",
        subtree.start, subtree.end
    )]
    IndexOutOfSubtree {
        /// The index claimed.
        index: LeafIndex,
        /// The subtree it is claimed of.
        subtree: Subtree,
    },
    /// The subtree reaches beyond the tree.
    #[error("the subtree {}..{} is not in a tree of {size} leaves: use a later checkpoint", subtree.start, subtree.end)]
    EndOutOfTree {
        /// The subtree.
        subtree: Subtree,
        /// The tree it is claimed to be in.
        size: TreeSize,
    },
    /// The proof has too many or too few hashes.
    #[error("the subtree proof has {actual} hashes where {expected} are needed: fetch it again")]
    ProofLength {
        /// How many hashes are needed.
        expected: usize,
        /// How many the proof has.
        actual: usize,
    },
    /// The proof leads to another root.
    #[error(
        "the subtree proof leads to root {computed}, not {claimed}: keep both, one of them is not the log's"
    )]
    RootMismatch {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that was claimed.
        claimed: Hash,
    },
    /// The leaf is not shown to be in the subtree.
    #[error("the leaf is not shown to be in the subtree")]
    Inclusion(#[source] InclusionError),
}

impl SubtreeError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unaligned { .. }
            | Self::IndexOutOfSubtree { .. }
            | Self::EndOutOfTree { .. }
            | Self::ProofLength { .. } => Code::Malformed,
            Self::RootMismatch { .. } => Code::Inconsistent,
            Self::Inclusion(error) => error.code(),
        }
    }
}
