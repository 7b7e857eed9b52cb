//! Checks a disclosure against a commitment: are these fields, word for word, part of that record?
//!
//! Guarantees: a disclosure is accepted only if its indices rise strictly below the count, its paths rise with them,
//! its proof has exactly the hashes that the tree's shape asks for, and the root computed from all of them is the
//! committed one. Nothing is ignored and nothing is left over, so no byte of an accepted disclosure can be changed.
//! A disclosure can be made smaller by whoever holds it. Does not do: saying that the commitment is in a log; that is the
//! receipt's part.
//! Specification: `docs/spec/field-tree.md`, "To check a disclosure".

mod purpose;

use std::collections::HashMap;

use crate::code::Code;
use crate::hash::{Hash, node_hash};
use crate::limits::{FIELD_VALUE_BYTES_MAX, FIELDS_MAX};
use crate::record::FieldPath;
pub use crate::record::{Commitment, Disclosure, Opening};
pub use purpose::Purpose;

/// Why a disclosure does not belong to a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// The commitment's count is zero or more than [`FIELDS_MAX`].
    #[error("the commitment says {count} fields; a record has 1 to {FIELDS_MAX}")]
    BadCount {
        /// What it says.
        count: u32,
    },
    /// Nothing is opened.
    #[error("no field is opened: a disclosure shows at least one")]
    Nothing,
    /// An index is not larger than the one before it.
    #[error("the opening at index {index} is out of order: each field once, by rising index")]
    IndexOrder {
        /// The index.
        index: u32,
    },
    /// An index is not below the count.
    #[error("a field at index {index} of a record of {count} fields")]
    IndexRange {
        /// The index.
        index: u32,
        /// How many fields there are.
        count: u32,
    },
    /// A path does not come after the path of the opening before it.
    #[error("the path at index {index} is out of order: a record's fields are sorted by path, each once")]
    PathOrder {
        /// The index.
        index: u32,
    },
    /// A value that a record cannot hold.
    #[error("the value at index {index} is none that a record can hold: too large, too deep or out of range")]
    BadValue {
        /// The index.
        index: u32,
    },
    /// Fewer or more hashes than the tree's shape asks for.
    #[error("{found} proof hashes where exactly {expected} are needed")]
    ProofLength {
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The root computed from the openings and the proof is not the committed one.
    #[error("the fields are not those of the committed record: the computed root is {computed}")]
    RootMismatch {
        /// The root hash that the disclosure leads to.
        computed: Hash,
    },
}

impl DisclosureError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::RootMismatch { .. } => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}

/// Checks that every opened field is part of the record that `commitment` stands for.
///
/// # Errors
/// [`DisclosureError`], the first reason found.
pub fn verify(disclosure: &Disclosure, commitment: &Commitment) -> Result<(), DisclosureError> {
    let count = commitment.count;
    if count == 0 || count as usize > FIELDS_MAX {
        return Err(DisclosureError::BadCount { count });
    }
    check_openings(&disclosure.openings, count)?;
    let leaves = leaves(&disclosure.openings, count);
    let computed = root_of(leaves, count as usize, &disclosure.proof, |_, _| ())?;
    if computed == commitment.root { Ok(()) } else { Err(DisclosureError::RootMismatch { computed }) }
}

/// Checks everything about the openings that needs no hashing.
fn check_openings(openings: &[Opening], count: u32) -> Result<(), DisclosureError> {
    let mut last: Option<&Opening> = None;
    for opening in openings {
        let index = opening.index;
        if index >= count {
            return Err(DisclosureError::IndexRange { index, count });
        }
        if last.is_some_and(|last| last.index >= index) {
            return Err(DisclosureError::IndexOrder { index });
        }
        if last.is_some_and(|last| last.path >= opening.path) {
            return Err(DisclosureError::PathOrder { index });
        }
        if !opening.value.check().is_ok_and(|size| size <= FIELD_VALUE_BYTES_MAX) {
            return Err(DisclosureError::BadValue { index });
        }
        last = Some(opening);
    }
    last.map(|_| ()).ok_or(DisclosureError::Nothing)
}

/// Takes fields out of a disclosure: what it shows of the fields that `keep` selects, and nothing of the others but that
/// they are there.
///
/// Whoever was handed a disclosure can show less of it without whoever made it. What stands for the fields taken out is
/// computed from them, so the result is what the record's owner would have disclosed of these fields alone.
///
/// # Errors
/// [`DisclosureError`] if the disclosure does not belong to `commitment`; [`DisclosureError::Nothing`] if nothing is kept.
pub fn narrow(
    disclosure: &Disclosure,
    commitment: &Commitment,
    keep: impl Fn(&FieldPath) -> bool,
) -> Result<Disclosure, DisclosureError> {
    verify(disclosure, commitment)?;
    let (count, width) = (commitment.count, commitment.count as usize);
    let openings: Vec<Opening> =
        disclosure.openings.iter().filter(|opening| keep(&opening.path)).cloned().collect();
    let mut nodes = HashMap::new();
    let leaves = leaves(&disclosure.openings, count);
    root_of(leaves, width, &disclosure.proof, |place, hash| _ = nodes.insert(place, hash))?;
    let places = beside(openings.iter().map(|opening| opening.index as usize), width);
    let proof: Vec<Hash> = places.iter().filter_map(|place| nodes.get(place).copied()).collect();
    let narrowed = Disclosure { openings, proof };
    verify(&narrowed, commitment)?;
    Ok(narrowed)
}

/// The places and hashes of the leaves of `openings` in a record of `count` fields.
fn leaves(openings: &[Opening], count: u32) -> Vec<(usize, Hash)> {
    openings.iter().map(|opening| (opening.index as usize, opening.leaf_hash(count))).collect()
}

/// Where a node stands in a tree: its level, the leaves' being 0, and its index in the level.
type Place = (u32, usize);

/// The root of a tree of `width` leaves, from some of its leaves and the hashes of the nodes beside their paths.
///
/// Level by level from the leaves: two known neighbours are joined; a known node whose neighbour is not known takes the
/// next hash of the proof; a known last node without a neighbour moves up as it is (RFC 6962, section 2.1). Every node on
/// the way is told to `seen`.
fn root_of(
    mut known: Vec<(usize, Hash)>,
    mut width: usize,
    proof: &[Hash],
    mut seen: impl FnMut(Place, Hash),
) -> Result<Hash, DisclosureError> {
    let expected = beside(known.iter().map(|(index, _)| *index), width).len();
    let wrong_length = DisclosureError::ProofLength { expected, found: proof.len() };
    if proof.len() != expected {
        return Err(wrong_length);
    }
    let mut hashes = proof.iter();
    let mut level = 0;
    while width > 1 {
        let mut above = Vec::with_capacity(known.len());
        let mut nodes = known.iter().copied().peekable();
        while let Some((index, hash)) = nodes.next() {
            seen((level, index), hash);
            let sibling = index ^ 1;
            let parent = if sibling >= width {
                hash
            } else if let Some((_, right)) = nodes.next_if(|(next, _)| *next == sibling) {
                seen((level, sibling), right);
                node_hash(&hash, &right)
            } else {
                let beside = hashes.next().ok_or(wrong_length)?;
                seen((level, sibling), *beside);
                if index & 1 == 0 { node_hash(&hash, beside) } else { node_hash(beside, &hash) }
            };
            above.push((index >> 1, parent));
        }
        known = above;
        width = width.div_ceil(2);
        level += 1;
    }
    let root = known.first().map(|(_, hash)| *hash);
    root.ok_or(DisclosureError::Nothing)
}

/// The nodes whose hashes a proof for the leaves `known` (rising) of a tree of `width` leaves has, in its order.
fn beside(known: impl Iterator<Item = usize>, mut width: usize) -> Vec<Place> {
    let mut known: Vec<usize> = known.collect();
    let mut places = Vec::new();
    let mut level = 0;
    while width > 1 {
        let mut above = Vec::with_capacity(known.len());
        let mut nodes = known.iter().copied().peekable();
        while let Some(index) = nodes.next() {
            let sibling = index ^ 1;
            let paired = nodes.next_if_eq(&sibling).is_some();
            if sibling < width && !paired {
                places.push((level, sibling));
            }
            above.push(index >> 1);
        }
        known = above;
        width = width.div_ceil(2);
        level += 1;
    }
    places
}

#[cfg(test)]
mod tests;
