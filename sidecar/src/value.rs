//! Values of records as JSON and as messages.
//!
//! Guarantees: what is read by a path's shape is of that shape or refused; what is written is for people and callers, and is
//! never hashed.

use ledgerstone::encoding::{base64_encode, hex_decode};
use ledgerstone::proto::ledgerstone_v1::{self as proto, value::Kind};
use ledgerstone::record::schema::{self, Shape};
use ledgerstone::record::{Field, FieldPath, Value};
use serde_json::{Map, Value as Json, json};

/// Lists within lists in a message or in JSON.
const DEPTH_MAX: usize = 4;

/// The fields of a record by path, for a person to read.
pub(crate) fn fields_to_json(fields: &[Field]) -> Map<String, Json> {
    fields.iter().map(|field| (field.path.to_string(), to_json(&field.value))).collect()
}

/// A value for a person to read. What JSON has no number for is text.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => {
            i64::try_from(*value).map_or_else(|_| json!(value.to_string()), |value| json!(value))
        }
        Value::Float(value) if value.is_finite() => json!(value),
        Value::Float(value) => json!(value.to_string()),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!({ "base64": base64_encode(value) }),
        Value::Array(values) => values.iter().map(to_json).collect(),
    }
}

/// The value that JSON gives for `path`: a digest is 64 hexadecimal digits.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn from_json(path: &FieldPath, json: &Json) -> Result<Value, String> {
    let shape = schema::find(path).map_or(Shape::Any, |spec| spec.shape);
    match (shape, json) {
        (Shape::Digest, Json::String(text)) => {
            let bytes = hex_decode(text).map_err(|_| format!("{path}: a digest is 64 hexadecimal digits"))?;
            Ok(Value::Bytes(bytes))
        }
        (Shape::Float, Json::Number(number)) => {
            number.as_f64().map(Value::Float).ok_or_else(|| format!("{path}: the number is out of range"))
        }
        _ => plain(json, DEPTH_MAX).ok_or_else(|| format!("{path}: no record can hold this value")),
    }
}

fn plain(json: &Json, depth: usize) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Some(Value::from(value)),
            (None, Some(value)) => Some(Value::from(value)),
            (None, None) => number.as_f64().map(Value::Float),
        },
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Array(items) if depth > 0 => {
            items.iter().map(|item| plain(item, depth - 1)).collect::<Option<_>>().map(Value::Array)
        }
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// A field as a message.
pub(crate) fn to_message(field: &Field) -> proto::Field {
    proto::Field { path: field.path.to_string(), value: Some(value_message(&field.value)) }
}

fn value_message(value: &Value) -> proto::Value {
    let kind = match value {
        Value::Null => Kind::Null(true),
        Value::Bool(value) => Kind::Bool(*value),
        Value::Int(value) => Kind::Int(value.to_string()),
        Value::Float(value) => Kind::Float(*value),
        Value::Text(value) => Kind::Text(value.clone()),
        Value::Bytes(value) => Kind::Bytes(value.clone().into()),
        Value::Array(values) => {
            Kind::Array(proto::Values { items: values.iter().map(value_message).collect() })
        }
    };
    proto::Value { kind: Some(kind) }
}

/// The value of a message.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn from_message(path: &FieldPath, value: Option<proto::Value>) -> Result<Value, String> {
    value
        .and_then(|value| message_value(value, DEPTH_MAX))
        .ok_or_else(|| format!("{path}: there is no value, or none that a record can hold"))
}

fn message_value(value: proto::Value, depth: usize) -> Option<Value> {
    match value.kind? {
        Kind::Null(is_null) => is_null.then_some(Value::Null),
        Kind::Bool(value) => Some(Value::Bool(value)),
        Kind::Int(text) => text.parse().ok().map(Value::Int),
        Kind::Float(value) => Some(Value::Float(value)),
        Kind::Text(value) => Some(Value::Text(value)),
        Kind::Bytes(value) => Some(Value::Bytes(value.into())),
        Kind::Array(proto::Values { items }) if depth > 0 => items
            .into_iter()
            .map(|item| message_value(item, depth - 1))
            .collect::<Option<_>>()
            .map(Value::Array),
        Kind::Array(_) => None,
    }
}
