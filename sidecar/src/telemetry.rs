//! Log lines of the binary, as text or JSON on standard error; and, where the configuration names an OpenTelemetry Collector, traces,
//! metrics and the same log lines to it.
//!
//! Guarantees: standard output stays free for what a command prints. Does not do: carrying content. Lines and spans are
//! keyed by decision id; a value of a record never enters one (INV-8), and [`Redacted`] is how code that holds such a
//! value prints it.
//!
//! [`context`] reads and writes where a call stands in its caller's trace, `spans` makes the spans, `gen_ai` what they say of generative models, `lines` takes the log lines,
//! `queue` holds what waits, `otlp` sends it, `exporter` puts them together.

use std::error::Error;
use std::fmt;
use std::io;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub mod context;
mod exporter;
mod gen_ai;
mod lines;
mod otlp;
mod queue;
mod spans;

pub use self::exporter::Exporter;
pub(crate) use self::gen_ai::GenAi;
pub use self::lines::LogLines;
pub use self::otlp::CollectorError;
pub(crate) use self::spans::DecisionSpan;
pub use self::spans::{Seen, Tracing};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text for a person.
    #[default]
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

/// Starts logging for this process. The lines can go to a Collector, too, once there is one.
///
/// # Errors
/// [`TelemetryError`] if the filter makes no sense, or if logging was started before.
pub fn init(format: LogFormat, filter: &str) -> Result<LogLines, TelemetryError> {
    let parsed = EnvFilter::try_new(filter);
    let filter = parsed.map_err(|_| TelemetryError::Filter { filter: filter.to_owned() })?;
    let format_of = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let written = match format {
        LogFormat::Text => format_of.with_target(false).boxed(),
        LogFormat::Json => format_of.json().flatten_event(true).boxed(),
    };
    let lines = LogLines::default();
    let started = tracing_subscriber::registry().with(filter).with(written).with(lines.clone()).try_init();
    started.map(|()| lines).map_err(|_| TelemetryError::AlreadyStarted)
}

/// An error with its causes, each said once: many errors repeat their cause in their own text.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Why logging cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log filter {filter:?} makes no sense; write for example \"info\" or \"info,h2=warn\"")]
    Filter {
        /// The filter as given.
        filter: String,
    },
    /// Something else in this process logs already.
    #[error("logging was started twice in one process")]
    AlreadyStarted,
}

/// A value that must not be printed: prints its length instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T: AsRef<[u8]>> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.as_ref().len())
    }
}

impl<T: AsRef<[u8]>> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_value_prints_its_length_only() {
        assert_eq!(format!("{} {:?}", Redacted("Alice"), Redacted(b"Bob")), "<5 bytes> <3 bytes>");
    }

    #[test]
    fn says_each_cause_once() {
        let cause = io::Error::other("the disk is gone");
        let error =
            io::Error::other(crate::keyring::KeyFileError::Unreadable { path: "k".into(), source: cause });
        let text = with_causes(&error);
        assert_eq!(text.matches("the disk is gone").count(), 1, "{text}");
        let deep = crate::app::RecoverError::Port(io::Error::other("a cause"));
        assert_eq!(with_causes(&deep), "a port cannot be used: a cause");
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused() {
        let refused = init(LogFormat::Text, "ledgerstone=loud").unwrap_err();
        assert_eq!(refused, TelemetryError::Filter { filter: "ledgerstone=loud".to_owned() });
    }
}
