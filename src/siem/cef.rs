//! Events as ArcSight Common Event Format, version 0 of the header.
//!
//! Source: Micro Focus Security ArcSight Common Event Format, Implementing ArcSight CEF, revision 26, "Header Information", "Character
//! Encoding" (escapes) and "ArcSight Extension Directory" (the keys). What the directory has no key for stands under the attribute's
//! own name with `ledgerstone` before it, in camel case, as the directory asks of vendors.

use super::attribute::{AttributeName, Value, name, push_uint};
use super::{Event, MODEL_VERSION, PRODUCT, VENDOR};

/// Keys of the directory for attributes, with the label that makes the custom ones speak.
const KEYS: [(&str, &str, Option<&str>); 12] = [
    (name::LOG_ID, "cs1", Some("logId")),
    (name::LEAF_HASH, "cs2", Some("leafHash")),
    (name::MODEL_DIGEST, "cs3", Some("modelDigest")),
    (name::POLICY_DIGEST, "cs4", Some("policyDigest")),
    (name::MODE, "cs5", Some("mode")),
    (name::SESSION, "cs6", Some("session")),
    (name::LEAF_INDEX, "cn1", Some("leafIndex")),
    (name::SEQUENCE, "cn2", Some("sequence")),
    (name::TREE_SIZE, "cn3", Some("treeSize")),
    (name::WRITER, "dvchost", None),
    (name::OPERATOR, "suser", None),
    (name::DETAIL, "reason", None),
];

/// Adds the event to `out`, as one line without a line feed.
pub(super) fn render(event: &Event, out: &mut String) {
    out.push_str("CEF:0");
    for field in [VENDOR, PRODUCT, MODEL_VERSION, event.kind.as_str(), event.kind.title()] {
        out.push('|');
        header(field, out);
    }
    out.push('|');
    push_uint(event.kind.severity().of_ten(), out);
    out.push_str("|rt=");
    push_uint(event.time.get(), out);
    out.push_str(" externalId=");
    Value::Uuid(*event.id.as_bytes()).write(out);
    out.push_str(" cat=");
    out.push_str(if event.kind.is_alert() { "alert" } else { "event" });
    if !event.kind.is_alert() {
        out.push_str(if event.is_success() { " outcome=success" } else { " outcome=failure" });
    }
    let mut text = String::new();
    for attribute in event.attributes() {
        out.push(' ');
        match KEYS.iter().find(|(name, ..)| attribute.name.is(name)) {
            Some((_, key, Some(label))) => {
                for part in [key, "Label=", label, " ", key] {
                    out.push_str(part);
                }
            }
            Some((_, key, None)) => out.push_str(key),
            None => own(attribute.name, out),
        }
        out.push('=');
        text.clear();
        attribute.value.write(&mut text);
        extension(&text, out);
    }
}

/// `commitment_root` as `ledgerstoneCommitmentRoot`.
fn own(name: AttributeName, out: &mut String) {
    let mut snake = String::with_capacity(32);
    name.write(&mut snake);
    out.push_str("ledgerstone");
    for word in snake.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
}

/// A field of the header: backslash and pipe are escaped, and there is one line.
fn header(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' | '|' => out.extend(['\\', letter]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
    }
}

/// A value of the extension: backslash, equals sign and ends of lines are escaped.
fn extension(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' | '=' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ => out.push(letter),
        }
    }
}
