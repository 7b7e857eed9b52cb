//! Log lines on their way to the OpenTelemetry Collector: the same that go to standard error.
//!
//! Guarantees: nothing goes out before an exporter is there, and then without waiting for it; a line of a traced decision names its
//! trace. Does not do: lines of the libraries underneath, and lines about exports: each would make the next export.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::{self, Inlet};
use super::spans;

/// What the targets of our own lines begin with.
const OURS: &str = "ledgerstone";

/// Bytes of one value of a line.
const VALUE_BYTES_MAX: usize = 4096;

/// Where log lines are handed to an exporter, once there is one. Clones stand for the same place.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<RwLock<Option<Arc<Inlet<LogRecord>>>>>);

impl LogLines {
    /// From now on lines are put into `inlet`, and no longer into one before: a sidecar whose successor failed serves a second time, with
    /// an exporter of its own.
    pub(super) fn export(&self, inlet: Inlet<LogRecord>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(inlet));
    }

    /// Nothing is held while a line is made: what it prints may print lines, too.
    fn inlet(&self) -> Option<Arc<Inlet<LogRecord>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if !target.starts_with(OURS) || target == queue::TARGET {
            return;
        }
        if let Some(inlet) = self.inlet() {
            inlet.put(record(event));
        }
    }
}

fn record(event: &Event<'_>) -> LogRecord {
    let metadata = event.metadata();
    let (severity, text) = severity(*metadata.level());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let mut read = Read::default();
    event.record(&mut read);
    let span = spans::current();
    LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: severity.into(),
        severity_text: text.to_owned(),
        body: read.message.map(|text| AnyValue { value: Some(Value::StringValue(text)) }),
        attributes: read.attributes,
        flags: span.as_ref().map_or(0, |span| span.trace_flags().to_u8().into()),
        trace_id: span.as_ref().map(|span| span.trace_id().to_bytes().to_vec()).unwrap_or_default(),
        span_id: span.map(|span| span.span_id().to_bytes().to_vec()).unwrap_or_default(),
        ..LogRecord::default()
    }
}

/// The numbers of the OpenTelemetry log data model.
fn severity(level: Level) -> (SeverityNumber, &'static str) {
    match level {
        Level::ERROR => (SeverityNumber::Error, "ERROR"),
        Level::WARN => (SeverityNumber::Warn, "WARN"),
        Level::INFO => (SeverityNumber::Info, "INFO"),
        Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    }
}

/// The fields of a line.
#[derive(Default)]
struct Read {
    message: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Read {
    fn put(&mut self, field: &Field, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.attributes.push(KeyValue { key: field.name().to_owned(), value, ..KeyValue::default() });
    }

    fn text(&mut self, field: &Field, mut text: String) {
        text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
        match field.name() {
            "message" => self.message = Some(text),
            _ => self.put(field, Value::StringValue(text)),
        }
    }
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::DoubleValue(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::BoolValue(value));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What comes out of an inlet.
    fn exported_with(tells: impl FnOnce(&LogLines, Inlet<LogRecord>)) -> Vec<LogRecord> {
        let (inlet, mut waiting) = queue::pair(10);
        let lines = LogLines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(subscriber, || tells(&lines, inlet));
        std::iter::from_fn(|| waiting.try_recv().ok()).collect()
    }

    /// What goes out of what `tells` says.
    fn exported(tells: impl FnOnce()) -> Vec<LogRecord> {
        exported_with(|lines, inlet| {
            tracing::error!("nobody takes this");
            lines.export(inlet);
            tells();
        })
    }

    fn text(value: Option<&AnyValue>) -> &str {
        match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_has_its_severity_its_words_and_its_fields_as_far_as_they_may_be_long() {
        let long = "\u{e9}".repeat(VALUE_BYTES_MAX);
        let found = exported(|| tracing::warn!(signal = "traces", count = 7_u64, long, "it fails"));
        let [line] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (line.severity_number, line.severity_text.as_str()),
            (SeverityNumber::Warn.into(), "WARN")
        );
        assert_eq!(text(line.body.as_ref()), "it fails");
        let of = |key: &str| line.attributes.iter().find(|of| of.key == key).and_then(|of| of.value.as_ref());
        assert_eq!(text(of("signal")), "traces");
        assert_eq!(of("count").and_then(|value| value.value.clone()), Some(Value::IntValue(7)));
        assert_eq!(text(of("long")).len(), VALUE_BYTES_MAX);
        assert!(line.trace_id.is_empty() && line.time_unix_nano > 0);
    }

    #[test]
    fn lines_go_to_the_newest_exporter() {
        let (one, mut first) = queue::pair(10);
        let found = exported_with(|lines, inlet| {
            lines.export(one);
            tracing::info!("first");
            lines.export(inlet);
            tracing::info!("second");
        });
        assert_eq!(text(first.try_recv().unwrap().body.as_ref()), "first");
        assert!(first.try_recv().is_err());
        assert_eq!(found.iter().map(|line| text(line.body.as_ref())).collect::<Vec<_>>(), ["second"]);
    }

    #[test]
    fn lines_about_exports_and_of_libraries_make_no_export() {
        let found = exported(|| {
            tracing::warn!(target: queue::TARGET, "the Collector takes nothing");
            tracing::warn!(target: "h2::client", "a frame");
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
