//! Why nothing was erased, held or released.

use ledgerstone::code::Code;

use crate::index::IndexError;
use crate::intercept::{AppendFault, NotAdmitted};
use crate::keyring::{KeyringError, RingError};
use crate::reader::LogReadError;
use crate::receipts::ServeError;
use crate::seal::OpenError;

/// Why nothing was erased, held or released; or why it is not known to be finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// A reference that no record can have.
    #[error("the reference of a person has 1 to 65536 bytes")]
    Subject,
    /// No key is that person's.
    #[error("the keyring has no key of this person: nothing is recorded about them, or it was erased")]
    Nobody,
    /// The decision has no entry of its own.
    #[error("the log has no decision with this id")]
    NoDecision,
    /// Its keys were destroyed earlier.
    #[error("the record was erased already")]
    Already,
    /// It is under the key-encryption key itself.
    #[error(
        "the record was sealed before there were subject keys and cannot be erased alone: only destroying its \
         key-encryption key closes it"
    )]
    NoSubjectKey,
    /// There is no such hold.
    #[error("there is no hold with this id: it was released, or never made")]
    NoHold,
    /// Too many holds stand.
    #[error("4096 holds stand; release some first")]
    TooManyHolds,
    /// Decisions with these keys are under way and do not end.
    #[error("decisions with these keys are under way; nothing was erased, try again")]
    UnderWay,
    /// The keyring or the index does not keep up with the log.
    #[error("the keyring or the lookup index is behind the log; try again, and see /metrics")]
    Behind,
    /// No randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// The keyring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A key provider.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The decision cannot be found.
    #[error(transparent)]
    Decision(#[from] ServeError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// A sealed record is none.
    #[error("a record of the decision is damaged: {0}")]
    Sealed(#[from] OpenError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The session takes nothing.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The log did not take the entry; it is appended once it does.
    #[error("the entry is not in the log yet, and is appended once the log takes entries: {0}")]
    Append(#[from] AppendFault),
    /// A part of the sidecar panicked.
    #[error("this failed because of a defect; report it")]
    Defect,
}

impl EraseError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Subject
            | Self::Nobody
            | Self::NoDecision
            | Self::Already
            | Self::NoSubjectKey
            | Self::NoHold => Code::Misuse,
            Self::TooManyHolds => Code::Limit,
            Self::UnderWay | Self::Behind | Self::NoRandomness | Self::NotAdmitted(_) | Self::Append(_) => {
                Code::Unavailable
            }
            Self::Ring(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Decision(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Sealed(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Defect => Code::Internal,
        }
    }

    /// Whether what was asked for is not there.
    pub(crate) const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Nobody
                | Self::NoDecision
                | Self::Already
                | Self::NoHold
                | Self::Decision(ServeError::Unknown)
        )
    }
}
