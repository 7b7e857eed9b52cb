//! Why the sidecar does not start for want of an approval.

use std::io;
use std::path::PathBuf;

use ledgerstone::approval::{ApprovalError, Change, RosterError};
use ledgerstone::code::Code;
use ledgerstone::entry::EntryError;

use crate::index::IndexError;
use crate::intercept::SessionError;
use crate::reader::LogReadError;

/// Why the sidecar does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A change of the configuration is not approved.
    #[error(
        "approvals: the configuration changes [{change}], and {refusal}. Take the change back; or write the statement with \
         `ledgerstone-sidecar approvals propose --output FOLDER`, have it signed (`ledgerstone approval sign`), put the signed file \
         into approvals.folder and start again"
    )]
    NotApproved {
        /// What would change.
        change: Box<Change>,
        /// Why not.
        refusal: Box<ApprovalError>,
    },
    /// The approvers or the rules.
    #[error("approvals: {0}")]
    Roster(#[from] RosterError),
    /// A file or folder.
    #[error("approvals: {path} cannot be read ({source}): correct approvals.approvers or approvals.folder")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Too many files.
    #[error(
        "approvals.folder: {path} has more than {} files: move used approvals away",
        ledgerstone::limits::APPROVAL_FILES_MAX
    )]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The log cannot be read.
    #[error("log.store: {0}")]
    Log(#[from] LogReadError),
    /// The lookup index cannot be asked.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An entry is damaged.
    #[error("log.store: {0}")]
    Entry(#[from] EntryError),
    /// The log does not take the entry of a change.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A part of the sidecar panicked.
    #[error("approvals: a defect; report it")]
    Defect,
}

impl StartError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotApproved { refusal, .. } => refusal.code(),
            Self::Roster(error) => error.code(),
            Self::Unreadable { .. } => Code::Unavailable,
            Self::TooManyFiles { .. } => Code::Limit,
            Self::Log(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Entry(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Defect => Code::Internal,
        }
    }
}
