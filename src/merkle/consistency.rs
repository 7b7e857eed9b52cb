//! Consistency proofs: a larger tree extends a smaller one and changed nothing in it.
//!
//! Guarantees: a proof verifies for exactly one pair of sizes and roots; equal sizes need equal roots and an empty proof.
//! Does not do: starting at the empty tree, which every tree extends and which therefore proves nothing; such a claim is
//! refused and not waved through.
//!
//! Implements RFC 6962, section 2.1.2, and RFC 9162, section 2.1.4. Carries INV-1.

use crate::code::Code;
use crate::hash::Hash;
use crate::merkle::path::{self, Climb};
use crate::merkle::{NodeSource, ProveError, TreeSize};

/// The proof that the tree of `to` leaves extends the tree of `from` leaves, lowest hash first.
///
/// # Errors
/// When `from` is empty or larger than `to`, or a node cannot be read.
pub fn prove<S: NodeSource>(
    source: &S,
    from: TreeSize,
    to: TreeSize,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if from.is_empty() {
        return Err(ProveError::FromEmptyTree);
    }
    if from > to {
        return Err(ProveError::EndOutOfTree { end: from, size: to });
    }
    path::build(source, 0, from.get(), to.get()).map_err(ProveError::Source)
}

/// Checks that the tree of `to` leaves with root `to_root` extends the tree of `from` leaves with root `from_root`.
///
/// # Errors
/// When the sizes cannot be compared, the proof has the wrong length, or it leads to another root.
pub fn verify(
    from: TreeSize,
    from_root: &Hash,
    to: TreeSize,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), ConsistencyError> {
    if from.is_empty() {
        return Err(ConsistencyError::FromEmptyTree);
    }
    let Some(climb) = Climb::new(0, from.get(), to.get()) else {
        return Err(ConsistencyError::SizesReversed { from, to });
    };
    let expected = climb.path_len();
    let Some(roots) = climb.roots(from_root, proof) else {
        return Err(ConsistencyError::ProofLength { expected, actual: proof.len() });
    };
    if roots.part != *from_root {
        return Err(ConsistencyError::FromRootMismatch { computed: roots.part, claimed: *from_root });
    }
    if roots.tree != *to_root {
        return Err(ConsistencyError::ToRootMismatch { computed: roots.tree, claimed: *to_root });
    }
    Ok(())
}

/// Why a consistency proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsistencyError {
    /// Every tree extends the empty tree.
    #[error("consistency with the empty tree proves nothing: start at a size of 1 or more")]
    FromEmptyTree,
    /// The later tree is smaller than the earlier one.
    #[error("a tree of {to} leaves cannot extend one of {from}: the log went back, keep both checkpoints")]
    SizesReversed {
        /// The earlier size.
        from: TreeSize,
        /// The later size.
        to: TreeSize,
    },
    /// The proof has too many or too few hashes.
    #[error("the consistency proof has {actual} hashes where these sizes need {expected}: fetch it again")]
    ProofLength {
        /// How many hashes the sizes need.
        expected: usize,
        /// How many the proof has.
        actual: usize,
    },
    /// The proof leads to another earlier root.
    #[error(
        "the consistency proof leads to earlier root {computed}, not {claimed}: \
         the proof is wrong or the log shows two histories; keep both checkpoints"
    )]
    FromRootMismatch {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that was claimed.
        claimed: Hash,
    },
    /// The proof leads to another later root.
    #[error(
        "the consistency proof leads to later root {computed}, not {claimed}: \
         the proof is wrong or the log shows two histories; keep both checkpoints"
    )]
    ToRootMismatch {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that was claimed.
        claimed: Hash,
    },
}

impl ConsistencyError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::FromEmptyTree => Code::Misuse,
            Self::ProofLength { .. } => Code::Malformed,
            Self::SizesReversed { .. } | Self::FromRootMismatch { .. } | Self::ToRootMismatch { .. } => {
                Code::Inconsistent
            }
        }
    }
}
