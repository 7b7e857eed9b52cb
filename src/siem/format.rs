//! The formats, by the names that configurations and command lines use.

use core::fmt;
use core::str::FromStr;

use super::{Event, cef, ecs, leef, ocsf, otlp, rfc5424};
use crate::code::Code;
use crate::limits::SIEM_EVENT_BYTES_MAX;

/// How an event is written. Every one of them gives a single line without a line feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// OCSF 1.8.0, as JSON.
    Ocsf,
    /// The same with the profile `record_integrity` of 1.9.0-dev.
    OcsfIntegrity,
    /// Elastic Common Schema, as JSON.
    Ecs,
    /// ArcSight Common Event Format.
    Cef,
    /// Log Event Extended Format 2.0.
    Leef,
    /// An OTLP log record, as JSON.
    Otlp,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] =
        [Self::Ocsf, Self::OcsfIntegrity, Self::Ecs, Self::Cef, Self::Leef, Self::Otlp];

    /// The format as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::OcsfIntegrity => "ocsf-integrity",
            Self::Ecs => "ecs",
            Self::Cef => "cef",
            Self::Leef => "leef",
            Self::Otlp => "otlp",
        }
    }

    /// Whether it gives a JSON object.
    #[must_use]
    pub const fn is_json(self) -> bool {
        !matches!(self, Self::Cef | Self::Leef)
    }

    /// Adds `event` to `out`, at most [`SIEM_EVENT_BYTES_MAX`] bytes.
    pub fn render(self, event: &Event, out: &mut String) {
        let start = out.len();
        match self {
            Self::Ocsf => ocsf::render(event, out),
            Self::OcsfIntegrity => ocsf::render_with_integrity(event, out),
            Self::Ecs => ecs::render(event, out),
            Self::Cef => cef::render(event, out),
            Self::Leef => leef::render(event, out),
            Self::Otlp => otlp::render(event, out),
        }
        assert!(out.len() - start <= SIEM_EVENT_BYTES_MAX, "INV-7: an event is bounded in every format");
    }

    /// Adds `event` to `out`, as a message of RFC 5424 without a frame. Without a format its structured data hold every attribute and MSG
    /// is a sentence; with one they hold what names the event and its place in the log, and MSG is the event in that format.
    pub fn rfc5424(body: Option<Self>, event: &Event, out: &mut String) {
        rfc5424::render(event, body, out);
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.as_str() == word).ok_or(UnknownFormat)
    }
}

/// A word that names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of ocsf, ocsf-integrity, ecs, cef, leef and otlp")]
pub struct UnknownFormat;

impl UnknownFormat {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}
