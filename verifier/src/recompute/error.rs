//! Why a model file or a row was refused; the same words for every format.
//!
//! *Guarantees*: each error says where in the file or row the cause stands, and what to do. Text from the file is shortened
//! and escaped before it reaches a message.
//!
//! *Does not do*: decide what is supported; the readers do.

use ledgerstone::code::Code;

use super::processor::ProcessorError;

/// Why a model file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The first bytes are those of no format that is read.
    #[error(
        "this is no model file that is known here; known are XGBoost (JSON, UBJSON), LightGBM text, CatBoost JSON, ONNX and Ledgerstone scorecards"
    )]
    Unrecognised,
    /// A format that is a program.
    #[error(
        "this is {what}: whoever reads it runs what it says, so it is never read; save the model as JSON, text, ONNX or safetensors"
    )]
    Program {
        /// The format.
        what: &'static str,
    },
    /// The file is not well-formed, or a part of it has another type than the format says.
    #[error(
        "the model file does not read as {format} at {place}: {problem}; export it again from the library that trained it"
    )]
    Syntax {
        /// The format that the file's first bytes promise.
        format: &'static str,
        /// Line and column, or byte, of the file.
        place: String,
        /// What the reader says.
        problem: String,
    },
    /// The file has the right shape, but says something that cannot be.
    #[error(
        "the model file contradicts itself at {place}: {problem}; export it again from the library that trained it"
    )]
    Malformed {
        /// Path in the file, as `learner.gradient_booster.model.trees[3].left_children[7]`.
        place: String,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A model that exists, and that this evaluator does not reproduce.
    #[error("{what} cannot be recomputed exactly ({place}); docs/recompute.md lists what can")]
    Unsupported {
        /// What the model uses.
        what: String,
        /// Where the file says so.
        place: String,
    },
    /// The processor that was asked for cannot be used.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// A file of the model's folder is not there.
    #[error("the model's folder has no {file}; copy the whole folder that the model was saved to")]
    Missing {
        /// The file's name.
        file: &'static str,
    },
    /// The weights do not make the network that the settings describe.
    #[error("the network cannot be built from its files: {problem}; save the model again")]
    Network {
        /// What the engine says.
        problem: String,
    },
    /// The file is larger, or has more of something, than is read.
    #[error("the model file has {found} {what}, at most {max} are read")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// How many the file has.
        found: usize,
        /// How many are read.
        max: usize,
    },
}

impl ModelError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unrecognised
            | Self::Program { .. }
            | Self::Syntax { .. }
            | Self::Malformed { .. }
            | Self::Missing { .. }
            | Self::Network { .. } => Code::Malformed,
            Self::Unsupported { .. } => Code::Misuse,
            Self::Limit { .. } => Code::Limit,
            Self::Processor(error) => error.code(),
        }
    }

    pub(super) fn json(format: &'static str, error: &serde_json::Error) -> Self {
        Self::Syntax {
            format,
            place: format!("line {}, column {}", error.line(), error.column()),
            problem: error.to_string(),
        }
    }
}

pub(super) fn malformed(place: impl Into<String>, problem: &'static str) -> ModelError {
    ModelError::Malformed { place: place.into(), problem }
}

pub(super) fn unsupported(what: impl Into<String>, place: impl Into<String>) -> ModelError {
    ModelError::Unsupported { what: what.into(), place: place.into() }
}

/// Text from the file, short and printable enough for an error message.
pub(super) fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect()
}

/// Why a row was not scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has too few or too many columns.
    #[error(
        "the model takes rows of {expected} features, this one has {found}; check that it was recorded for this model"
    )]
    Length {
        /// Columns the model takes.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// A feature is infinite, and the library refuses to score such a row.
    #[error("feature {feature} is infinite; this model scores finite and missing (NaN) values only")]
    Infinite {
        /// Column of the row, from 0.
        feature: usize,
    },
    /// A feature is missing or is a value that the model has no rule for.
    #[error("feature {feature} has a value that the model has no rule for: {problem}")]
    Value {
        /// Column of the row, from 0.
        feature: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The model answers with several numbers where one was asked for.
    #[error("the model answers with {outputs} numbers a row, not with one")]
    Several {
        /// Numbers a row.
        outputs: usize,
    },
    /// Reasons were asked of a model that has none.
    #[error("the model gives no reasons: only a scorecard has a table of them")]
    NoReasons,
    /// A text is longer than is read, or than the network has places for.
    #[error("the text has {found} {what}, at most {max} are read; record what the model saw, cut as it was")]
    TextLength {
        /// What there are too many of.
        what: &'static str,
        /// How many the text has.
        found: usize,
        /// How many are read.
        max: usize,
    },
    /// The engine could not compute the rows.
    #[error("the engine could not compute these rows: {problem}")]
    Engine {
        /// What the engine says.
        problem: String,
    },
    /// The engine could not compute the text.
    #[error("the text cannot be computed: {problem}")]
    Network {
        /// What the engine says.
        problem: String,
    },
    /// An operation of the model's graph cannot be run for this row.
    #[error("{place} {problem}; check that the row was recorded for this model")]
    Graph {
        /// The operation, by its node.
        place: String,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The library defines no contributions for this row or model.
    #[error("contributions cannot be recomputed exactly: {problem}")]
    Contributions {
        /// Why not.
        problem: &'static str,
    },
}

impl RowError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Length { .. }
            | Self::Infinite { .. }
            | Self::Value { .. }
            | Self::Network { .. }
            | Self::Graph { .. } => Code::Malformed,
            Self::TextLength { .. } => Code::Limit,
            Self::Engine { .. } => Code::Unavailable,
            Self::Several { .. } | Self::NoReasons | Self::Contributions { .. } => Code::Misuse,
        }
    }
}
