//! The disclosed fields of a receipt, grouped and readable.
//!
//! Guarantees: nothing in a value can steer the terminal. Does not do: translating values.

use ledgerstone::encoding::{base64_encode, hex_encode};
use ledgerstone::record::{Opening, Value};
use ledgerstone::time::UnixMillis;
use serde::Serialize;

use crate::output::printable;

/// Bytes of a value of bytes that are printed; the rest is counted.
const BYTES_SHOWN_MAX: usize = 32;

/// What the groups of fields are called; the first segment of a path decides.
const GROUPS: &[(&str, &str)] = &[
    ("decision", "The decision"),
    ("time", "When"),
    ("model", "The model"),
    ("input", "What the model was told"),
    ("output", "What the model answered"),
    ("outcome", "The outcome"),
    ("explanation", "The reasons"),
    ("review", "Review by a person"),
    ("notice", "Notices"),
    ("contest", "Contests"),
    ("correction", "Corrections"),
    ("privacy", "Privacy"),
    ("delivery", "How it was recorded"),
];

/// A field as JSON: its value in the receipt's own notation.
#[derive(Serialize)]
pub(super) struct FieldJson<'a> {
    index: u32,
    path: &'a str,
    value: serde_json::Value,
}

/// One opening as JSON.
pub(super) fn json(opening: &Opening) -> FieldJson<'_> {
    FieldJson { index: opening.index, path: opening.path.as_str(), value: value_json(&opening.value) }
}

fn value_json(value: &Value) -> serde_json::Value {
    let tagged = |tag: &str, value: serde_json::Value| {
        serde_json::Value::Object([(tag.to_owned(), value)].into_iter().collect())
    };
    match value {
        Value::Null => tagged("null", true.into()),
        Value::Bool(value) => tagged("bool", (*value).into()),
        Value::Int(value) => tagged("int", value.to_string().into()),
        Value::Float(value) if value.is_finite() => tagged("float", (*value).into()),
        Value::Float(value) => tagged("float", number(*value).into()),
        Value::Text(value) => tagged("text", value.as_str().into()),
        Value::Bytes(value) => tagged("bytes", base64_encode(value).into()),
        Value::Array(values) => tagged("array", values.iter().map(value_json).collect::<Vec<_>>().into()),
    }
}

/// All openings as text, group by group.
pub(super) fn text(openings: &[Opening]) -> String {
    let mut text = String::new();
    let known = GROUPS.iter().map(|(root, heading)| (Some(*root), *heading));
    for (root, heading) in known.chain([(None, "Other fields")]) {
        let group: Vec<_> = openings.iter().filter(|opening| belongs(opening, root)).collect();
        if group.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{heading}\n"));
        let width = group.iter().map(|opening| opening.path.as_str().len()).max().unwrap_or(0);
        for opening in group {
            let path = opening.path.as_str();
            text.push_str(&format!("  {path:width$}  {}\n", shown(path, &opening.value)));
        }
    }
    text
}

/// Whether an opening's path starts with `root`; with `None`, whether it starts with none of the known ones.
fn belongs(opening: &Opening, root: Option<&str>) -> bool {
    let first = opening.path.segments().next().unwrap_or_default();
    root.map_or_else(|| GROUPS.iter().all(|(known, _)| *known != first), |root| root == first)
}

/// A value as text; integers below `time/` are points in time.
fn shown(path: &str, value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Int(millis) if is_point_in_time(path) => u64::try_from(*millis)
            .map_or_else(|_| millis.to_string(), |millis| UnixMillis::new(millis).to_string()),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number(*value),
        Value::Text(value) => printable(&value.replace('\n', " \u{21b5} ")),
        Value::Bytes(bytes) => shown_bytes(bytes),
        Value::Array(values) => {
            let shown: Vec<_> = values.iter().map(|value| shown(path, value)).collect();
            format!("[{}]", shown.join(", "))
        }
    }
}

/// A number as the receipt's JSON has it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        format!("{value:?}")
    }
}

fn is_point_in_time(path: &str) -> bool {
    path.starts_with("time/") && !path.ends_with("_ms") && !path.ends_with("_source")
}

fn shown_bytes(bytes: &[u8]) -> String {
    let first = bytes.get(..bytes.len().min(BYTES_SHOWN_MAX)).unwrap_or_default();
    let rest = bytes.len() - first.len();
    let more = if rest == 0 { String::new() } else { format!("... and {rest} bytes more") };
    format!("{}{more}", hex_encode(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_each_kind_of_value_without_control_characters() {
        for (path, value, text) in [
            ("output/text", Value::Text("a\u{1b}[2J\nb".to_owned()), "a\\u{1b}[2J \u{21b5} b"),
            ("time/received", Value::Int(1_795_000_000_000), "2026-11-18T11:06:40.000Z"),
            ("time/clock_error_max_ms", Value::Int(5), "5"),
            ("input/feature/income", Value::Float(-0.0), "-0.0"),
            ("input/feature/income", Value::Float(f64::NEG_INFINITY), "-Infinity"),
            ("decision/mode", Value::Array(vec![Value::Bool(true), Value::Null]), "[yes, (nothing)]"),
            ("input/raw_digest", Value::Bytes(vec![0xab; 34]), &("ab".repeat(32) + "... and 2 bytes more")),
        ] {
            assert_eq!(shown(path, &value), text, "{path}");
        }
    }
}
