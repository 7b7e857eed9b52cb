//! An event as a sink gets it.

use ledgerstone::siem::{Event, Format};

use super::sink::Rendered;
use crate::config::siem::{SinkConfig, Target};

/// Bytes of an ordinary event.
const USUAL_BYTES: usize = 2048;

/// Writes events for one sink.
#[derive(Clone, Copy, Debug)]
pub(super) enum Renderer {
    /// In a format.
    Plain(Format),
    /// As messages of RFC 5424, with the event in a format or in their structured data alone.
    Syslog(Option<Format>),
}

impl Renderer {
    pub(super) fn of(sink: &SinkConfig) -> Self {
        match &sink.target {
            Target::Syslog(_) => Self::Syslog(sink.format),
            // No other kind of sink is configured without a format.
            _ => Self::Plain(sink.format.unwrap_or(Format::Ocsf)),
        }
    }

    pub(super) fn render(self, event: Event) -> Rendered {
        let mut text = String::with_capacity(USUAL_BYTES);
        match self {
            Self::Plain(format) => format.render(&event, &mut text),
            Self::Syslog(format) => Format::rfc5424(format, &event, &mut text),
        }
        Rendered { event, text }
    }
}
