//! Anchors: fixes the log's head outside, where its operator cannot move it, and keeps the proofs.
//!
//! Guarantees: anchoring runs beside decisions and never delays or stops one; what it decided is journalled before it is
//! done, so a crash repeats and never forgets; a proof is checked before it is kept; every confirmed anchor is an
//! entry of the log; a log that is behind what was anchored is not served. Does not do: deciding what to do next (the
//! library's state machines do) or verifying for others (the verifier does).
//! Design: `docs/anchoring.md`; files: `docs/spec/store.md`, section "Anchors".

use ledgerstone::anchor::statement::StatementError;
use ledgerstone::checkpoint::LogVerifyError;
use ledgerstone::code::Code;
use ledgerstone::merkle::TreeSize;

use crate::intercept::AppendFault;
use crate::reader::LogReadError;

mod entries;
#[cfg(feature = "ethereum")]
pub mod evm;
pub mod folder;
pub mod guard;
mod heads;
pub mod journal;
pub mod lane;
mod opentimestamps;
mod rfc3161;
pub(crate) mod service;
pub mod setup;
mod standing;
pub mod stored;
mod submission;

pub use self::folder::{FolderError, LaneFolder, Proof};
pub use self::guard::GuardError;
pub use self::journal::{Journal, JournalError};
pub use self::lane::{Desk, Lane, LaneRun};
pub use self::service::{Anchors, StartError};
pub use self::setup::SetupError;
pub use self::standing::{Confirmed, Standing, Stated};

/// Why something that a lane asked its desk for was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The lane's files.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The published log cannot be read.
    #[error("the published log cannot be read: {0}")]
    Log(#[from] LogReadError),
    /// The published checkpoint is not signed by the log's keys.
    #[error("the published checkpoint does not verify: {0}")]
    Checkpoint(#[from] LogVerifyError),
    /// The parts do not make a statement.
    #[error("no statement can be made: {0}")]
    Statement(#[from] StatementError),
    /// The published tree does not reach the size that was asked for.
    #[error("{wanted} leaves are to be stated and {published} are published; try again")]
    NotPublished {
        /// What was asked for.
        wanted: TreeSize,
        /// What is published.
        published: TreeSize,
    },
    /// The published tree is not a continuation of what was stated before.
    #[error(
        "the tree of {published} leaves does not continue the tree of {from} leaves that was stated before: keep the store as evidence, and find the log that was anchored"
    )]
    Fork {
        /// Leaves of what was stated.
        from: TreeSize,
        /// Leaves of the published tree.
        published: TreeSize,
    },
    /// The session admits no entry.
    #[error("the log takes no entry of an anchor at present: {reason}")]
    NotAdmitted {
        /// Why not.
        reason: String,
    },
    /// The log did not take the entry, or nobody knows.
    #[error(transparent)]
    Append(#[from] AppendFault),
    /// A part of the sidecar panicked.
    #[error("an anchor could not be worked on because of a defect; report it")]
    Defect,
}

impl DeskError {
    /// What the operator must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Journal(error) => error.code(),
            Self::Folder(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Statement(error) => error.code(),
            Self::NotPublished { .. } | Self::NotAdmitted { .. } | Self::Append(_) => Code::Unavailable,
            Self::Fork { .. } => Code::Inconsistent,
            Self::Defect => Code::Internal,
        }
    }
}
