//! Inclusion proofs: one leaf is at one place in one tree.
//!
//! Guarantees: a proof verifies for exactly one leaf hash, index, size and root; left-over or missing hashes and an index
//! outside the tree are refused before anything is hashed. Does not do: hashing the entry into its leaf hash, or judging
//! the root.
//!
//! Implements RFC 6962, section 2.1.1, and RFC 9162, section 2.1.3.

use crate::code::Code;
use crate::hash::Hash;
use crate::merkle::path::{self, Climb};
use crate::merkle::{LeafIndex, NodeSource, ProveError, TreeSize};

/// The proof that leaf `index` is in the tree of `size` leaves, lowest hash first.
///
/// # Errors
/// When the tree has no such leaf or a node cannot be read.
pub fn prove<S: NodeSource>(
    source: &S,
    index: LeafIndex,
    size: TreeSize,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if !index.is_in(size) {
        return Err(ProveError::IndexOutOfTree { index, size });
    }
    path::build(source, index.get(), index.get() + 1, size.get()).map_err(ProveError::Source)
}

/// Checks that the leaf with hash `leaf` is at `index` in the tree of `size` leaves whose root is `root`.
///
/// # Errors
/// When the index is outside the tree, the proof has the wrong length, or it leads to another root.
pub fn verify(
    leaf: &Hash,
    index: LeafIndex,
    size: TreeSize,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), InclusionError> {
    let computed = root_from_proof(leaf, index, size, proof)?;
    if computed == *root { Ok(()) } else { Err(InclusionError::RootMismatch { computed, claimed: *root }) }
}

/// The root of the tree of `size` leaves, if the leaf with hash `leaf` is at `index` and the proof is right.
///
/// # Errors
/// When the index is outside the tree or the proof has the wrong length.
pub fn root_from_proof(
    leaf: &Hash,
    index: LeafIndex,
    size: TreeSize,
    proof: &[Hash],
) -> Result<Hash, InclusionError> {
    let Some(climb) = index.get().checked_add(1).and_then(|end| Climb::new(index.get(), end, size.get()))
    else {
        return Err(InclusionError::IndexOutOfTree { index, size });
    };
    let expected = climb.path_len();
    match climb.roots(leaf, proof) {
        Some(roots) => Ok(roots.tree),
        None => Err(InclusionError::ProofLength { expected, actual: proof.len() }),
    }
}

/// Why an inclusion proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InclusionError {
    /// The tree has no leaf at this index.
    #[error("leaf {index} is not in a tree of {size} leaves: the proof is for another tree")]
    IndexOutOfTree {
        /// The index claimed.
        index: LeafIndex,
        /// The tree it is claimed of.
        size: TreeSize,
    },
    /// The proof has too many or too few hashes.
    #[error("the inclusion proof has {actual} hashes where this place needs {expected}: fetch it again")]
    ProofLength {
        /// How many hashes the place needs.
        expected: usize,
        /// How many the proof has.
        actual: usize,
    },
    /// The proof leads to another root.
    #[error(
        "the inclusion proof leads to root {computed}, not {claimed}: \
         the leaf, its place or the proof is not the one that was logged; keep both"
    )]
    RootMismatch {
        /// The root that leaf and proof lead to.
        computed: Hash,
        /// The root that was claimed.
        claimed: Hash,
    },
}

impl InclusionError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::IndexOutOfTree { .. } | Self::ProofLength { .. } => Code::Malformed,
            Self::RootMismatch { .. } => Code::Inconsistent,
        }
    }
}
