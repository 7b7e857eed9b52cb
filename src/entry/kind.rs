//! Kinds of entries and delivery modes, with their numbers and which parts each kind has.

use core::fmt;

use super::Part;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A session began.
    Start = 1,
    /// A session ended in order.
    Stop = 2,
    /// A session lives.
    Heartbeat = 3,
    /// Sequence numbers without a record.
    Gap = 4,
    /// A model came into use.
    Model = 10,
    /// A policy came into force.
    Policy = 11,
    /// A key of the operator's.
    Key = 12,
    /// Who may do what.
    Roster = 13,
    /// A model was asked and answered.
    Decision = 20,
    /// What came of a decision.
    Outcome = 21,
    /// Reasons that came later.
    Explanation = 22,
    /// A person looked at a decision.
    Review = 23,
    /// A person was told.
    Notice = 24,
    /// A person objected.
    Contest = 25,
    /// Something was put right.
    Correction = 26,
    /// Keys of a person were destroyed.
    Erasure = 30,
    /// Records may not be erased.
    Hold = 31,
    /// A hold ended.
    Release = 32,
    /// A checkpoint was fixed outside.
    Anchor = 40,
    /// Sealed records were opened.
    Access = 50,
}

impl Kind {
    /// Every kind, by rising number.
    pub const ALL: [Self; 20] = [
        Self::Start,
        Self::Stop,
        Self::Heartbeat,
        Self::Gap,
        Self::Model,
        Self::Policy,
        Self::Key,
        Self::Roster,
        Self::Decision,
        Self::Outcome,
        Self::Explanation,
        Self::Review,
        Self::Notice,
        Self::Contest,
        Self::Correction,
        Self::Erasure,
        Self::Hold,
        Self::Release,
        Self::Anchor,
        Self::Access,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The number that stands in the entry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The kind as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Heartbeat => "heartbeat",
            Self::Gap => "gap",
            Self::Model => "model",
            Self::Policy => "policy",
            Self::Key => "key",
            Self::Roster => "roster",
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::Explanation => "explanation",
            Self::Review => "review",
            Self::Notice => "notice",
            Self::Contest => "contest",
            Self::Correction => "correction",
            Self::Erasure => "erasure",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Anchor => "anchor",
            Self::Access => "access",
        }
    }

    /// Whether the entry speaks of a session and of nothing else.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Start | Self::Stop | Self::Heartbeat | Self::Gap)
    }

    /// Whether the entry says that a digest came into use, and nothing else.
    #[must_use]
    pub const fn is_registration(self) -> bool {
        matches!(self, Self::Model | Self::Policy)
    }

    /// Whether the entry speaks of keys: that they were destroyed, or may not be.
    #[must_use]
    pub const fn is_about_keys(self) -> bool {
        matches!(self, Self::Erasure | Self::Hold | Self::Release)
    }

    /// Whether the entry adds to an earlier decision, and so links to it.
    #[must_use]
    pub const fn is_follow_up(self) -> bool {
        matches!(
            self,
            Self::Outcome
                | Self::Explanation
                | Self::Review
                | Self::Notice
                | Self::Contest
                | Self::Correction
        )
    }

    /// Whether an entry of this kind always has `part`.
    pub(super) fn needs(self, part: Part) -> bool {
        match part {
            Part::Decision => self == Self::Decision,
            Part::Commitment => matches!(self, Self::Decision | Self::Access),
            Part::Links => self.is_follow_up(),
            Part::Model => self == Self::Model,
            Part::Policy => self == Self::Policy,
            Part::Sealed | Part::Mode => false,
        }
    }

    /// Whether an entry of this kind never has `part`.
    pub(super) const fn forbids(self, part: Part) -> bool {
        match part {
            Part::Decision | Part::Links => {
                self.is_session() || self.is_registration() || matches!(self, Self::Anchor)
            }
            Part::Commitment | Part::Sealed => {
                self.is_session()
                    || self.is_registration()
                    || self.is_about_keys()
                    || matches!(self, Self::Anchor)
            }
            Part::Mode => {
                self.is_session()
                    || self.is_registration()
                    || self.is_about_keys()
                    || matches!(self, Self::Anchor | Self::Access)
            }
            Part::Model => {
                self.is_session()
                    || self.is_about_keys()
                    || matches!(self, Self::Policy | Self::Anchor | Self::Access)
            }
            Part::Policy => self.is_about_keys() || matches!(self, Self::Model | Self::Anchor | Self::Access),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a decision's record was delivered, as its route declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The answer waited for the record.
    Strict = 0,
    /// The answer waited for the record, up to a time.
    Bounded = 1,
    /// The answer did not wait.
    Observe = 2,
}

impl Mode {
    /// The mode with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Strict),
            1 => Some(Self::Bounded),
            2 => Some(Self::Observe),
            _ => None,
        }
    }

    /// The number that stands in the entry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The mode as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Bounded => "bounded",
            Self::Observe => "observe",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a log's head is fixed: kinds whose failures have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AnchorKind {
    /// The contract of an EVM chain.
    Ethereum = 1,
    /// Bitcoin, through OpenTimestamps.
    Bitcoin = 2,
    /// A timestamp authority (RFC 3161).
    Rfc3161 = 3,
    /// Cosignatures of a quorum of witnesses; there are no statements and no entries of this kind.
    Witnesses = 4,
}

impl AnchorKind {
    /// Every kind, by rising number.
    pub const ALL: [Self; 4] = [Self::Ethereum, Self::Bitcoin, Self::Rfc3161, Self::Witnesses];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The kind that this word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The number that stands in an entry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The kind as a word, as configurations and policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ethereum => "ethereum",
            Self::Bitcoin => "bitcoin",
            Self::Rfc3161 => "rfc3161",
            Self::Witnesses => "witnesses",
        }
    }

    /// Whether the log makes statements for it, one after the other; cosignatures need none.
    #[must_use]
    pub const fn has_statements(self) -> bool {
        !matches!(self, Self::Witnesses)
    }
}

impl fmt::Display for AnchorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
