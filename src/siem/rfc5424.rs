//! Events as syslog messages.
//!
//! Source: RFC 5424, sections 6 (syntax), 6.3.3 (escapes of PARAM-VALUE); facility 13, log audit. Framing is the transport's: RFC 5425
//! and RFC 6587 count octets, RFC 5426 has one message a datagram.

use super::attribute::{Value, name, push_uint};
use super::{Event, Format};
use crate::time::UnixMillis;

/// Facility of RFC 5424, table 1: log audit.
const FACILITY: u64 = 13;

/// SD-ID of the element that every message has. 32473 is the enterprise number that RFC 5612 reserves for documentation; nobody else's
/// element can have this name with it.
pub const SD_ID: &str = "ledgerstone@32473";

/// APP-NAME of every message.
pub const APP_NAME: &str = "ledgerstone";

/// The last millisecond that RFC 3339 can write.
const LAST: UnixMillis = UnixMillis::new(253_402_300_799_999);

/// Adds the event to `out`, as one message without a frame. Without `body` the element holds all attributes and MSG is a sentence; with
/// one it holds what names the event and its place in the log, and MSG is the event in that format.
pub(super) fn render(event: &Event, body: Option<Format>, out: &mut String) {
    out.push('<');
    push_uint(FACILITY * 8 + event.kind.severity().syslog(), out);
    out.push_str(">1 ");
    timestamp(event.time, out);
    out.push(' ');
    // Names of writers are shorter than HOSTNAME and PROCID may be, and have none but printable characters.
    word(event.value(name::WRITER), out);
    out.push(' ');
    out.push_str(APP_NAME);
    out.push(' ');
    word(event.value(name::SESSION), out);
    out.push(' ');
    out.push_str(event.kind.as_str());
    out.push_str(" [");
    out.push_str(SD_ID);
    out.push_str(" event_id=\"");
    Value::Uuid(*event.id.as_bytes()).write(out);
    out.push('"');
    let places = [name::LOG_ID, name::LEAF_INDEX, name::LEAF_HASH, name::TREE_SIZE, name::ROOT_HASH];
    for attribute in event.attributes() {
        if body.is_none() || places.iter().any(|place| attribute.name.is(place)) {
            out.push(' ');
            attribute.name.write(out);
            out.push_str("=\"");
            param(&attribute.value, out);
            out.push('"');
        }
    }
    out.push_str("] ");
    match body {
        None => out.push_str(event.kind.title()),
        Some(format) => format.render(event, out),
    }
}

/// A point in time as RFC 3339 writes it; times that it cannot write as the last one that it can.
pub(super) fn timestamp(time: UnixMillis, out: &mut String) {
    out.push_str(&time.min(LAST).to_string());
}

fn word(value: Option<&Value>, out: &mut String) {
    match value {
        Some(value) => value.write(out),
        None => out.push('-'),
    }
}

fn param(value: &Value, out: &mut String) {
    let Value::Text(text) = value else { return value.write(out) };
    for letter in text.as_str().chars() {
        if matches!(letter, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
}
