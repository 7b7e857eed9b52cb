//! Why there is no notice.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ledgerstone::code::Code;
use ledgerstone::limits::{
    NOTICE_BYTES_MAX, NOTICE_DATA_BYTES_MAX, NOTICE_PAGES_MAX, NOTICE_TEMPLATE_BYTES_MAX,
};

use super::document::DocumentError;

/// Something that a notice must show and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its name in templates.
    pub name: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.name.split('.').next().unwrap_or_default();
        let wherefrom = match root {
            "data" => "write it into the data file",
            "reasons" => "the record has no reason against the person: add an explanation entry",
            "review" => "the log has no review of the decision: add a review entry",
            "features" => "the record has no feature of the person: the route maps none, or masks them",
            "counterfactuals" => "the record has none: add an explanation entry",
            "model" => "the record names no model",
            "score" => "say with data.credit_score where it stands in the record, and its range and source",
            _ => "the record does not have it",
        };
        write!(f, "{} ({wherefrom})", self.name)
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why there is no notice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// The notice must show what is not there.
    #[error("the notice lacks: {}", list(missing))]
    Lacks {
        /// All of it.
        missing: Vec<Lacking>,
    },
    /// The template does not print what the notice must show.
    #[error("the template {template} does not show: {}", names.join(", "))]
    LeftOut {
        /// The template.
        template: String,
        /// The names of what it leaves out.
        names: Vec<String>,
    },
    /// Reasons that the rule calls insufficient.
    #[error(
        "reasons that are not specific, which the rule calls insufficient: {}; say in the explanation what about the person or the \
         application led to the decision",
        list(reasons)
    )]
    Insufficient {
        /// The reasons.
        reasons: Vec<String>,
    },
    /// A reason has only a code or a feature.
    #[error(
        "no words for the reasons {}: write them into the data file, [reason_texts] CODE = \"...\"",
        list(reasons)
    )]
    Wordless {
        /// The codes or features.
        reasons: Vec<String>,
    },
    /// Contributions point both ways, and the record does not say which is against the person.
    #[error(
        "the record does not say which direction of contributions is against the person: write against = \"up\" or \"down\" into \
         the data file"
    )]
    Side,
    /// The decision is not one that such a notice is for.
    #[error("{what}")]
    Decision {
        /// Why.
        what: &'static str,
    },
    /// The call was about several people.
    #[error("the call was about {rows} people: say with --row which one, from 0 to {}", rows - 1)]
    Row {
        /// How many.
        rows: u32,
    },
    /// The data file.
    #[error("the data file: {what}")]
    Data {
        /// What is wrong.
        what: String,
    },
    /// The data file is too large.
    #[error("the data file has more than {NOTICE_DATA_BYTES_MAX} bytes")]
    DataBytes,
    /// A file of the templates folder.
    #[error("{path} cannot be read ({source})")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file of the templates folder is no template.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is no template in that language.
    #[error("no template of {kind} in {language:?}: there are {}", known.join(", "))]
    Language {
        /// The kind.
        kind: String,
        /// What was asked for.
        language: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A template that does not run.
    #[error("the template {template}: {what}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong, with the line.
        what: String,
    },
    /// What a template prints is no document.
    #[error("the template {template} does not make a notice: {source}")]
    Document {
        /// The template.
        template: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// The template is too large.
    #[error("the template {template} has more than {NOTICE_TEMPLATE_BYTES_MAX} bytes")]
    TemplateBytes {
        /// The template.
        template: String,
    },
    /// The notice is too large.
    #[error("the notice has more than {NOTICE_BYTES_MAX} bytes, or {NOTICE_PAGES_MAX} pages")]
    TooLong,
    /// The font of PDF notices lacks letters.
    #[error(
        "the font of PDF notices, which has Latin, Greek and Cyrillic letters, has none for {letters:?}: send the notice as HTML"
    )]
    Letters {
        /// The characters.
        letters: String,
    },
    /// The PDF writer failed.
    #[error("the PDF cannot be written: {what}")]
    Pdf {
        /// What it says.
        what: String,
    },
}

impl NoticeError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Lacks { .. }
            | Self::Insufficient { .. }
            | Self::Wordless { .. }
            | Self::Side
            | Self::Decision { .. }
            | Self::Row { .. }
            | Self::Language { .. }
            | Self::Letters { .. } => Code::Misuse,
            Self::Data { .. }
            | Self::LeftOut { .. }
            | Self::Malformed { .. }
            | Self::Template { .. }
            | Self::Document { .. } => Code::Malformed,
            Self::DataBytes | Self::TemplateBytes { .. } | Self::TooLong => Code::Limit,
            Self::Unreadable { .. } => Code::Unavailable,
            Self::Pdf { .. } => Code::Internal,
        }
    }
}
