//! The entry: the public-safe bytes that stand for one record, or one event of the log's own life.
//!
//! Guarantees: at most [`ENTRY_BYTES_MAX`] bytes of deterministic CBOR; what [`Entry::decode`] accepts, [`Entry::encode`]
//! gives back byte for byte, so an entry has one spelling and its leaf hash one meaning. No entry can hold a personal
//! value: its parts are identifiers, digests, counts and times (INV-8).
//! Does not do: opening what it points to; giving out sequence numbers or times.
//! Specification: `docs/spec/entry.md` and `docs/spec/entry.cddl`. Carries INV-10 (sessions, sequences, gaps).

use crate::code::Code;
use crate::encoding::cbor::CborError;
use crate::hash::Hash;
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_LINKS_MAX, FIELDS_MAX};
use crate::merkle::LeafIndex;
use crate::record::Commitment;
use crate::time::UnixMillis;

mod access;
mod codec;
mod details;
mod erasure;
mod ids;
mod kind;
mod reference;

pub use access::{AccessDetails, AccessPurpose};
pub(crate) use details::APPROVAL_SIGNATURE_BYTES;
pub use details::{
    AnchorDetails, DETAIL_SIGNATURES, DETAIL_STATEMENT, DecisionDetails, Detail, Details, GapDetails,
    GapReason, HeartbeatDetails, KindDetails, ModelDetails, PolicyDetails, StartDetails,
};
pub use erasure::{ErasureDetails, ErasureOutcome, ErasureScope, Ground, HoldDetails, ReleaseDetails};
pub use ids::{
    DecisionId, ErasureId, HoldId, IdError, LaneName, RegisteredName, RegisteredVersion, SessionId,
    WriterName,
};
pub use kind::{AnchorKind, Kind, Mode};
pub use reference::{Reference, ReferenceError};

#[cfg(test)]
mod tests;

/// Version of the entry format, the first value of every entry.
pub const VERSION: u64 = 1;

/// Where a sealed record lies is derived from the leaf index; this is how to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRef {
    /// SHA-256 of the sealed bytes.
    pub digest: Hash,
    /// How many bytes there are.
    pub length: u64,
}

impl SealedRef {
    /// What names exactly the sealed record `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Hash::of(bytes), length: bytes.len() as u64 }
    }
}

/// One entry of the log. The fields are public to be filled in; [`Entry::encode`] checks that they fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the entry is about.
    pub kind: Kind,
    /// Which running sidecar wrote it.
    pub writer: WriterName,
    /// Which start-to-stop of that writer.
    pub session: SessionId,
    /// The session's own counter, given when a request is seen; the start entry has 0.
    pub sequence: u64,
    /// When the entry was given its place. Written by the sequencer alone; never decreases along the log.
    pub recorded_at: UnixMillis,
    /// The decision it is about.
    pub decision: Option<DecisionId>,
    /// Earlier entries that it adds to, by rising index.
    pub links: Vec<LeafIndex>,
    /// Root and count of the record's field tree.
    pub commitment: Option<Commitment>,
    /// Digest and length of the sealed record.
    pub sealed: Option<SealedRef>,
    /// SHA-256 of the model artifact.
    pub model: Option<Hash>,
    /// SHA-256 of the policy in force.
    pub policy: Option<Hash>,
    /// How the record was delivered.
    pub mode: Option<Mode>,
    /// What only this kind of entry says.
    pub details: Details,
}

impl Entry {
    /// An entry with the parts that every kind has, and no time yet.
    #[must_use]
    pub const fn new(kind: Kind, writer: WriterName, session: SessionId, sequence: u64) -> Self {
        Self {
            kind,
            writer,
            session,
            sequence,
            recorded_at: UnixMillis::new(0),
            decision: None,
            links: Vec::new(),
            commitment: None,
            sealed: None,
            model: None,
            policy: None,
            mode: None,
            details: Details::new(),
        }
    }

    /// The first entry of a session.
    #[must_use]
    pub fn start(writer: WriterName, session: SessionId, details: StartDetails) -> Self {
        Self { details: details.into(), ..Self::new(Kind::Start, writer, session, 0) }
    }

    /// The last entry of a session that ended in order.
    #[must_use]
    pub const fn stop(writer: WriterName, session: SessionId, sequence: u64) -> Self {
        Self::new(Kind::Stop, writer, session, sequence)
    }

    /// A sign of life, and of what is under way.
    #[must_use]
    pub fn heartbeat(
        writer: WriterName,
        session: SessionId,
        sequence: u64,
        details: HeartbeatDetails,
    ) -> Self {
        Self { details: details.into(), ..Self::new(Kind::Heartbeat, writer, session, sequence) }
    }

    /// Stands for sequence numbers whose records do not exist.
    #[must_use]
    pub fn gap(writer: WriterName, session: SessionId, sequence: u64, details: GapDetails) -> Self {
        Self { details: details.into(), ..Self::new(Kind::Gap, writer, session, sequence) }
    }

    /// A decision, by its id and the commitment to its record.
    #[must_use]
    pub fn decision(
        writer: WriterName,
        session: SessionId,
        sequence: u64,
        decision: DecisionId,
        commitment: Commitment,
        details: DecisionDetails,
    ) -> Self {
        Self {
            decision: Some(decision),
            commitment: Some(commitment),
            details: details.into(),
            ..Self::new(Kind::Decision, writer, session, sequence)
        }
    }

    /// Adds to the decision whose entry is at `of`, with a record of its own. `kind` is one for which
    /// [`Kind::is_follow_up`] holds.
    #[must_use]
    pub fn follow_up(
        kind: Kind,
        numbered: (WriterName, SessionId, u64),
        decision: DecisionId,
        of: LeafIndex,
        commitment: Commitment,
    ) -> Self {
        let (writer, session, sequence) = numbered;
        Self {
            decision: Some(decision),
            links: vec![of],
            commitment: Some(commitment),
            ..Self::new(kind, writer, session, sequence)
        }
    }

    /// Says that a model came into use.
    #[must_use]
    pub fn model(
        writer: WriterName,
        session: SessionId,
        sequence: u64,
        digest: Hash,
        details: ModelDetails,
    ) -> Self {
        let entry = Self::new(Kind::Model, writer, session, sequence);
        Self { model: Some(digest), details: details.into(), ..entry }
    }

    /// Says that a policy came into force.
    #[must_use]
    pub fn policy(
        writer: WriterName,
        session: SessionId,
        sequence: u64,
        digest: Hash,
        details: PolicyDetails,
    ) -> Self {
        let entry = Self::new(Kind::Policy, writer, session, sequence);
        Self { policy: Some(digest), details: details.into(), ..entry }
    }

    /// Says that the log's head was fixed outside.
    #[must_use]
    pub fn anchor(writer: WriterName, session: SessionId, sequence: u64, details: AnchorDetails) -> Self {
        Self { details: details.into(), ..Self::new(Kind::Anchor, writer, session, sequence) }
    }

    /// Says that sealed records were opened: those at `links`, all about `decision` where one is named, or those of the stretch in
    /// `details`. `commitment` is to the record of who opened them.
    #[must_use]
    pub fn access(
        numbered: (WriterName, SessionId, u64),
        decision: Option<DecisionId>,
        links: Vec<LeafIndex>,
        commitment: Commitment,
        details: AccessDetails,
    ) -> Self {
        let (writer, session, sequence) = numbered;
        Self {
            decision,
            links,
            commitment: Some(commitment),
            details: details.into(),
            ..Self::new(Kind::Access, writer, session, sequence)
        }
    }

    /// An entry about keys: an erasure, a hold or a release. One about a single record names its decision and where that stands.
    #[must_use]
    pub fn about_keys(
        kind: Kind,
        numbered: (WriterName, SessionId, u64),
        of: Option<(DecisionId, LeafIndex)>,
        details: Details,
    ) -> Self {
        let (writer, session, sequence) = numbered;
        Self {
            decision: of.map(|(decision, _)| decision),
            links: of.map(|(_, index)| index).into_iter().collect(),
            details,
            ..Self::new(kind, writer, session, sequence)
        }
    }

    /// What only this kind of entry says, typed.
    ///
    /// # Errors
    /// [`EntryError::Detail`] if the details are not those of the kind; never for an entry that was decoded.
    pub fn kind_details(&self) -> Result<KindDetails, EntryError> {
        KindDetails::read(self.kind, &self.details)
    }

    /// The bytes that the log appends and hashes.
    ///
    /// # Errors
    /// [`EntryError`] if the parts do not fit together or take more than [`ENTRY_BYTES_MAX`] bytes.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let bytes = codec::write(self);
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { len: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an entry from its exact bytes.
    ///
    /// # Errors
    /// [`EntryError`] if the bytes are anything else than what [`Entry::encode`] gives for some entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { len: bytes.len() });
        }
        let entry = codec::read(bytes)?;
        entry.check()?;
        Ok(entry)
    }

    /// Checks that the parts fit together.
    fn check(&self) -> Result<(), EntryError> {
        self.check_presence()?;
        if self.kind == Kind::Start && self.sequence != 0 {
            return Err(EntryError::StartSequence { sequence: self.sequence });
        }
        if self.links.len() > ENTRY_LINKS_MAX {
            return Err(EntryError::TooManyLinks { count: self.links.len() });
        }
        if !self.links.is_sorted_by(|a, b| a < b) {
            return Err(EntryError::LinkOrder);
        }
        if let Some(Commitment { count, .. }) = self.commitment
            && (count == 0 || count as usize > FIELDS_MAX)
        {
            return Err(EntryError::FieldCount { count });
        }
        let details = self.kind_details()?;
        if self.kind.is_about_keys() {
            self.check_about_keys(&details)?;
        }
        if let KindDetails::Access(access) = &details {
            self.check_access(access)?;
        }
        Ok(())
    }

    /// An entry about keys names a decision exactly where it is about a single one.
    fn check_about_keys(&self, details: &KindDetails) -> Result<(), EntryError> {
        let kind = self.kind;
        let parts = [(Part::Decision, self.decision.is_some()), (Part::Links, !self.links.is_empty())];
        for (part, present) in parts {
            match (details.is_about_one(), present) {
                (true, false) => return Err(EntryError::Missing { part, kind }),
                (false, true) => return Err(EntryError::Surplus { part, kind }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks which parts are there against what the kind needs and admits.
    fn check_presence(&self) -> Result<(), EntryError> {
        let kind = self.kind;
        let parts = [
            (Part::Decision, self.decision.is_some()),
            (Part::Links, !self.links.is_empty()),
            (Part::Commitment, self.commitment.is_some()),
            (Part::Sealed, self.sealed.is_some()),
            (Part::Model, self.model.is_some()),
            (Part::Policy, self.policy.is_some()),
            (Part::Mode, self.mode.is_some()),
        ];
        for (part, present) in parts {
            if !present && kind.needs(part) {
                return Err(EntryError::Missing { part, kind });
            }
            if present && kind.forbids(part) {
                return Err(EntryError::Surplus { part, kind });
            }
        }
        if self.sealed.is_some() && self.commitment.is_none() {
            return Err(EntryError::Missing { part: Part::Commitment, kind });
        }
        Ok(())
    }
}

/// A part of an entry that not every kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Key 7.
    Decision,
    /// Key 8.
    Links,
    /// Key 9.
    Commitment,
    /// Key 10.
    Sealed,
    /// Key 11.
    Model,
    /// Key 12.
    Policy,
    /// Key 13.
    Mode,
}

/// Why bytes are not an entry, or parts do not make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// More than [`ENTRY_BYTES_MAX`] bytes.
    #[error("{len} bytes; an entry has at most {ENTRY_BYTES_MAX}: move text out of the details")]
    TooLarge {
        /// How many there were.
        len: usize,
    },
    /// Not deterministic CBOR, or not of the types an entry has.
    #[error("this is not an entry: {0}")]
    Cbor(#[from] CborError),
    /// Another version of the format.
    #[error("entry format version {found}; this build reads version {VERSION}: use a newer one")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A kind that is not known.
    #[error("entry kind {found} is not known: use a newer build")]
    UnknownKind {
        /// The number found.
        found: u64,
    },
    /// A delivery mode that is not known.
    #[error("delivery mode {found} is not known: use a newer build")]
    UnknownMode {
        /// The number found.
        found: u64,
    },
    /// A map key that no entry has.
    #[error("map key {key} is not one of an entry")]
    UnknownKey {
        /// The key.
        key: u64,
    },
    /// One of the keys 1 to 6, which every entry has, is missing.
    #[error("map key {key}, which every entry has, is missing")]
    MissingKey {
        /// The key.
        key: u64,
    },
    /// The writer is not a [`WriterName`].
    #[error("the writer's name is not 1 to 64 characters of a-z 0-9 . _ -")]
    Writer,
    /// An empty list of links or map of details, which is written by leaving its key out.
    #[error("map key {key} is empty: leave it out")]
    Empty {
        /// The key.
        key: u64,
    },
    /// A part that the kind, or another part, needs.
    #[error("a {kind} entry lacks its {part:?}")]
    Missing {
        /// The part.
        part: Part,
        /// The kind.
        kind: Kind,
    },
    /// A part that the kind never has.
    #[error("a {kind} entry has no {part:?}")]
    Surplus {
        /// The part.
        part: Part,
        /// The kind.
        kind: Kind,
    },
    /// A start entry whose sequence is not 0.
    #[error("a start entry has sequence 0, not {sequence}")]
    StartSequence {
        /// The sequence found.
        sequence: u64,
    },
    /// More than [`ENTRY_LINKS_MAX`] links.
    #[error("{count} links; an entry has at most {ENTRY_LINKS_MAX}")]
    TooManyLinks {
        /// How many there were.
        count: usize,
    },
    /// Links that do not rise strictly.
    #[error("the links do not rise: name each earlier entry once, lowest index first")]
    LinkOrder,
    /// A commitment whose count no record can have.
    #[error("a commitment to {count} fields; a record has 1 to {FIELDS_MAX}")]
    FieldCount {
        /// The count found.
        count: u32,
    },
    /// A detail that is missing, surplus, of another type, or out of its range.
    #[error("detail {key} of a {kind} entry is missing, surplus, or not what stands there")]
    Detail {
        /// The kind.
        kind: Kind,
        /// The key within the details.
        key: u64,
    },
}

impl EntryError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooManyLinks { .. } => Code::Limit,
            Self::Cbor(error) => error.code(),
            _ => Code::Malformed,
        }
    }
}
