//! Why there is no report, or not one to rely on.

use ledgerstone::checkpoint::SignTextError;
use ledgerstone::code::Code;
use ledgerstone::note::{NoteError, SignatureError};

use super::FORMAT;
use crate::audit::results::ResultsError;
use crate::audit::{AuditError, PlanError, RateError};

/// Why there is no report, or not one to rely on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The results are not to be relied on.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The counts pass a limit of the statistics.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A rate that is none.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// Results, plan and draw do not belong together.
    #[error("{0} are not those of the same audit")]
    Apart(&'static str),
    /// The results of a range lack entries, or have too many.
    #[error("the results name {entries} entries, and the range has {width}")]
    Range {
        /// The results'.
        entries: u64,
        /// The range's.
        width: u64,
    },
    /// The file is no report.
    #[error("line {line}, column {column}: not an audit report's JSON")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Another format or version.
    #[error("the format is not {FORMAT}")]
    Format,
    /// Every value can be read, but the file is not written as a report is.
    #[error("the report is not in canonical form")]
    NotCanonical,
    /// The report has more bytes than one has.
    #[error("a report has at most {bytes_max} bytes")]
    TooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// It is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignTextError),
    /// The log would report on its own audit.
    #[error(
        "this key is named after the log that was audited: a report is signed with the auditor's own key"
    )]
    OwnKey,
    /// The signature does not count.
    #[error("the report is not signed by this auditor: {0}")]
    Signature(SignatureError),
    /// A part of the report does not follow from the others.
    #[error("{0} of the report does not follow from its counts")]
    Part(&'static str),
}

impl ReportError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Results(source) => source.code(),
            Self::Plan(source) => source.code(),
            Self::Audit(source) => source.code(),
            Self::Note(source) => source.code(),
            Self::Sign(source) => source.code(),
            Self::Rate(_) | Self::Json { .. } | Self::Format | Self::NotCanonical => Code::Malformed,
            Self::Apart(_) | Self::Range { .. } | Self::Part(_) => Code::Inconsistent,
            Self::TooLong { .. } => Code::Limit,
            Self::OwnKey => Code::Misuse,
            Self::Signature(_) => Code::Untrusted,
        }
    }
}
