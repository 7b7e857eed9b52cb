//! Events as IBM QRadar's Log Event Extended Format 2.0, with a tab between attributes.
//!
//! Source: IBM Security QRadar, Log Event Extended Format (LEEF), version 2, "LEEF event components" and "Predefined LEEF event
//! attributes". LEEF has no escapes: nothing of an event holds a tab or the end of a line, and a value ends at the next tab whatever
//! else it holds.

use super::attribute::{Value, name, push_uint};
use super::{Event, MODEL_VERSION, PRODUCT, VENDOR};

/// Predefined keys for attributes; every other attribute stands under its own name.
const KEYS: [(&str, &str); 4] = [
    (name::WRITER, "identHostName"),
    (name::OPERATOR, "usrName"),
    (name::POLICY_DIGEST, "policy"),
    (name::DECISION_ID, "resource"),
];

/// Adds the event to `out`, as one line without a line feed.
pub(super) fn render(event: &Event, out: &mut String) {
    out.push_str("LEEF:2.0");
    for field in [VENDOR, PRODUCT, MODEL_VERSION, event.kind.as_str(), "x09"] {
        out.push('|');
        out.push_str(field);
    }
    out.push_str("|cat=");
    out.push_str(if event.kind.is_alert() { "alert" } else { "event" });
    out.push_str("\tsev=");
    push_uint(event.kind.severity().of_ten(), out);
    // Milliseconds since 1970 need no devTimeFormat.
    out.push_str("\tdevTime=");
    push_uint(event.time.get(), out);
    out.push_str("\tevent_id=");
    Value::Uuid(*event.id.as_bytes()).write(out);
    for attribute in event.attributes() {
        out.push('\t');
        match KEYS.iter().find(|(name, _)| attribute.name.is(name)) {
            Some((_, key)) => out.push_str(key),
            None => attribute.name.write(out),
        }
        out.push('=');
        let start = out.len();
        attribute.value.write(out);
        assert!(
            !out.get(start..).is_some_and(|value| value.contains(['\t', '\n', '\r'])),
            "no value of an event holds a control character"
        );
    }
}
