//! Events as log records of OpenTelemetry, as data; whoever sends them puts the data into messages.
//!
//! Source: OpenTelemetry, Logs Data Model; OTLP 1.x, "JSON Protobuf Encoding". Names of events begin with `ledgerstone.`, because
//! semantic conventions have none for what they tell, and a name of one's own may not look like one of theirs.

use super::Event;
use super::attribute::{AttributeName, Value, push_hex, push_uint};
use super::json::Json;
use super::{MODEL_VERSION, Trace};

/// What stands before names of events and attributes.
const PREFIX: &str = "ledgerstone.";

/// The attribute of semantic conventions that names a record, so that a second one of it can be dropped.
const RECORD_UID: &str = "log.record.uid";

/// One log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// `time_unix_nano`; the last nanosecond that fits for times after it.
    pub time_unix_nano: u64,
    /// `severity_number`.
    pub severity_number: u8,
    /// `severity_text`.
    pub severity_text: &'static str,
    /// `event_name`.
    pub event_name: String,
    /// `body`: a sentence.
    pub body: &'static str,
    /// `attributes`, by name.
    pub attributes: Vec<(String, OtlpValue)>,
    /// `trace_id` and `span_id`, where known.
    pub trace: Option<Trace>,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtlpValue {
    /// `int_value`.
    Int(i64),
    /// `bool_value`.
    Bool(bool),
    /// `string_value`.
    Text(String),
}

impl LogRecord {
    /// The record that tells `event`.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let (severity_number, severity_text) = event.kind.severity().otlp();
        let mut attributes = Vec::with_capacity(event.attributes.len() + 1);
        attributes.push((RECORD_UID.to_owned(), OtlpValue::Text(event.id.to_string())));
        attributes.extend(event.attributes.iter().map(|one| (key(one.name), OtlpValue::of(&one.value))));
        Self {
            time_unix_nano: event.time.get().saturating_mul(1_000_000),
            severity_number,
            severity_text,
            event_name: format!("{PREFIX}{}", event.kind),
            body: event.kind.title(),
            attributes,
            trace: event.trace,
        }
    }
}

fn key(name: AttributeName) -> String {
    let mut key = PREFIX.to_owned();
    name.write(&mut key);
    key
}

impl OtlpValue {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Uint(number) => {
                i64::try_from(*number).map_or_else(|_| Self::Text(value.to_text()), Self::Int)
            }
            other => Self::Text(other.to_text()),
        }
    }
}

/// Adds the event to `out`, as one line of JSON: an `ExportLogsServiceRequest` with one record, as the Collector's file exporter writes.
pub(super) fn render(event: &Event, out: &mut String) {
    let record = LogRecord::of(event);
    Json::object(out, |json| {
        json.one_of("resourceLogs", |json| {
            json.within("resource", |json| {
                json.one_of("attributes", |json| {
                    json.text("key", "service.name");
                    json.within("value", |json| json.text("stringValue", "ledgerstone"));
                });
            });
            json.one_of("scopeLogs", |json| {
                json.within("scope", |json| {
                    json.text("name", "ledgerstone");
                    json.text("version", MODEL_VERSION);
                });
                json.one_of("logRecords", |json| record.write(json));
            });
        });
    });
}

impl LogRecord {
    fn write(&self, json: &mut Json<'_>) {
        json.plain("timeUnixNano", |out| push_uint(self.time_unix_nano, out));
        json.uint("severityNumber", self.severity_number.into());
        json.text("severityText", self.severity_text);
        json.text("eventName", &self.event_name);
        json.within("body", |json| json.text("stringValue", self.body));
        json.each("attributes", &self.attributes, |json, (key, value)| {
            json.text("key", key);
            json.within("value", |json| match value {
                // OTLP/JSON writes 64-bit integers as strings.
                OtlpValue::Int(number) => json.text("intValue", &number.to_string()),
                OtlpValue::Bool(truth) => json.bool("boolValue", *truth),
                OtlpValue::Text(text) => json.text("stringValue", text),
            });
        });
        if let Some(trace) = self.trace {
            json.plain("traceId", |out| push_hex(&trace.trace_id, out));
            json.plain("spanId", |out| push_hex(&trace.span_id, out));
        }
    }
}
