//! What a receipt carries of an entry that was added to its decision: an outcome, a review, a notice.
//!
//! Guarantees: the entry decodes, is of a kind that adds to decisions, and is about the receipt's. Does not do: believing it;
//! that is `verify::receipt`.

use crate::code::Code;
use crate::disclosure::Disclosure;
use crate::entry::{Entry, EntryError};
use crate::hash::Hash;
use crate::merkle::LeafIndex;

/// One later entry of a receipt, in the tree of the receipt's checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct LaterEntry {
    entry_bytes: Vec<u8>,
    entry: Entry,
    disclosure: Disclosure,
    index: LeafIndex,
    proof: Vec<Hash>,
}

/// What of a later entry is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaterPartError {
    /// A part is not canonical base64, or the index not an integer.
    #[error("a part of it cannot be read")]
    Unreadable,
    /// The entry does not decode.
    #[error("its entry: {0}")]
    Entry(EntryError),
    /// The entry's kind adds nothing to a decision, or it is about another one.
    #[error("its entry adds nothing to this decision")]
    NotOfDecision,
}

impl LaterPartError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Entry(error) => error.code(),
            Self::Unreadable => Code::Malformed,
            Self::NotOfDecision => Code::Inconsistent,
        }
    }
}

impl LaterEntry {
    /// Puts one together: the entry's exact bytes, the fields to show, the entry's place, and its inclusion proof in the tree
    /// of the receipt's checkpoint.
    ///
    /// # Errors
    /// When the entry is none that adds to a decision.
    pub fn new(
        entry_bytes: Vec<u8>,
        disclosure: Disclosure,
        index: LeafIndex,
        proof: Vec<Hash>,
    ) -> Result<Self, LaterPartError> {
        let entry = Entry::decode(&entry_bytes).map_err(LaterPartError::Entry)?;
        if !entry.kind.is_follow_up() || entry.decision.is_none() {
            return Err(LaterPartError::NotOfDecision);
        }
        Ok(Self { entry_bytes, entry, disclosure, index, proof })
    }

    /// The entry's exact bytes; their hash is the leaf.
    #[must_use]
    pub fn entry_bytes(&self) -> &[u8] {
        &self.entry_bytes
    }

    /// The entry.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The fields shown, and their proof.
    #[must_use]
    pub const fn disclosure(&self) -> &Disclosure {
        &self.disclosure
    }

    /// The same with another disclosure.
    pub(super) fn with(mut self, disclosure: Disclosure) -> Self {
        self.disclosure = disclosure;
        self
    }

    /// The entry's place in the log.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The inclusion proof.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }
}
