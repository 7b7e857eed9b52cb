//! Why a text is no regulation pack.

use crate::code::Code;
use crate::limits::{PACK_BYTES_MAX, PACK_ITEMS_MAX};
use crate::record::FieldPathError;

/// Why a text is no regulation pack. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// More than [`PACK_BYTES_MAX`] bytes.
    #[error("{len} bytes; a pack has at most {PACK_BYTES_MAX}: split it into several")]
    TooLong {
        /// How many there were.
        len: usize,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8 text; save it as UTF-8")]
    NotText,
    /// Not TOML, a key that no pack has, or one that is missing.
    #[error("line {line}: {problem}")]
    Toml {
        /// The line.
        line: usize,
        /// What the parser found.
        problem: String,
    },
    /// A value is not what its key holds.
    #[error("line {line}: {key} = {text:?}: {rule}")]
    Value {
        /// The line.
        line: usize,
        /// The key.
        key: &'static str,
        /// The value.
        text: String,
        /// What to write.
        rule: &'static str,
    },
    /// A pattern of paths cannot be read.
    #[error("line {line}: the path {text:?}: {source}")]
    Pattern {
        /// The line.
        line: usize,
        /// The pattern.
        text: String,
        /// What is wrong with it.
        source: FieldPathError,
    },
    /// A pattern that no record can ever fit.
    #[error(
        "line {line}: the path {text:?} is not in the vocabulary of records; docs/routes.md and docs/history.md list paths"
    )]
    UnknownPath {
        /// The line.
        line: usize,
        /// The pattern.
        text: String,
    },
    /// A requirement for a path that only later entries have.
    #[error(
        "line {line}: {text:?} comes with a later entry, never with the decision: write [[entry]] with a period"
    )]
    LaterPath {
        /// The line.
        line: usize,
        /// The pattern.
        text: String,
    },
    /// A path that entries of that kind do not have.
    #[error("line {line}: {text:?} is no field of {kind} entries")]
    ForeignPath {
        /// The line.
        line: usize,
        /// The pattern.
        text: String,
        /// The kind.
        kind: &'static str,
    },
    /// A rule names a source that the pack does not list.
    #[error("line {line}: no [[source]] has the id {id:?}: add it, with its citation and certainty")]
    UnknownSource {
        /// The line.
        line: usize,
        /// The id.
        id: String,
    },
    /// Two sources have one id.
    #[error("line {line}: a second [[source]] has the id {id:?}: give each its own")]
    DuplicateSource {
        /// The line.
        line: usize,
        /// The id.
        id: String,
    },
    /// A list has more than [`PACK_ITEMS_MAX`] items.
    #[error("line {line}: {key} has more than {PACK_ITEMS_MAX} items: split the pack")]
    TooMany {
        /// The line of the first one too many.
        line: usize,
        /// The list.
        key: &'static str,
    },
    /// A pack without any rule.
    #[error(
        "it has no rule: write at least one of [[requires]], [[entry]], [[retention]], [erasure] and [[unchecked]]"
    )]
    Empty,
}

impl PackError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
