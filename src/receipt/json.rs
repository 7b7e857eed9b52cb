//! The receipt as JSON: its keys, in their order, and how field values are written.
//!
//! Guarantees: unknown, missing and repeated keys are refused. Does not do: check that a file is in canonical form; the
//! parent does, by writing it again.

use serde::{Deserialize, Serialize};

use super::{LaterEntry, LaterPartError, ReceiptAnchor, ReceiptError};
use crate::cose::CoseReceipt;
use crate::disclosure::{Disclosure, Opening};
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::Hash;
use crate::merkle::LeafIndex;
use crate::record::{FieldPath, Value};

/// The file, key by key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) format: String,
    pub(super) origin: String,
    pub(super) decision_id: String,
    pub(super) entry: String,
    fields: Vec<Field>,
    field_proof: Vec<String>,
    pub(super) tlog_proof: String,
    /// Left out where the log has no receipt key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cose_receipt: Option<String>,
    /// Left out where there is none, so that a receipt from before it keeps its bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) later: Vec<Later>,
    /// Left out where there is none, so that a receipt that is not anchored yet keeps its bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) anchors: Vec<Anchor>,
}

/// An entry that was added to the decision.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Later {
    entry: String,
    fields: Vec<Field>,
    field_proof: Vec<String>,
    index: String,
    inclusion_proof: Vec<String>,
}

/// One anchor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    pub(super) kind: String,
    pub(super) statement: String,
    pub(super) tlog_proof: String,
    pub(super) proof: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) headers: Option<String>,
}

/// One disclosed field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    index: u32,
    path: String,
    salt: String,
    value: Typed,
}

/// A value under the name of its type, so that no reader has to guess it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Typed {
    Null(bool),
    Bool(bool),
    Int(String),
    Float(Float),
    Text(String),
    Bytes(String),
    Array(Vec<Typed>),
}

/// A float as a number, or by name where JSON has no number for it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Float {
    Number(f64),
    Name(String),
}

const NAN: &str = "NaN";
const INFINITY: &str = "Infinity";
const NEGATIVE_INFINITY: &str = "-Infinity";

impl File {
    /// The file with these facts; `disclosure` as its fields.
    pub(super) fn new(
        format: &str,
        (origin, decision_id): (String, String),
        entry: &[u8],
        disclosure: &Disclosure,
        tlog_proof: String,
    ) -> Self {
        Self {
            format: format.to_owned(),
            origin,
            decision_id,
            entry: base64_encode(entry),
            fields: disclosure.openings.iter().map(field).collect(),
            field_proof: hashes(&disclosure.proof),
            tlog_proof,
            cose_receipt: None,
            later: Vec::new(),
            anchors: Vec::new(),
        }
    }

    /// Pretty-printed with two spaces and a final newline.
    #[expect(
        clippy::expect_used,
        reason = "strings, finite numbers and arrays of them always have a JSON form, and memory does not fail to be written"
    )]
    pub(super) fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a receipt has a JSON form");
        text.push('\n');
        text
    }

    /// The disclosed fields and their proof.
    pub(super) fn disclosure(&self) -> Result<Disclosure, ReceiptError> {
        disclosure(&self.fields, &self.field_proof)
    }

    /// What was added to the decision, in the order of the file.
    pub(super) fn later(&self) -> Result<Vec<LaterEntry>, ReceiptError> {
        let read = |(later, number): (&Later, usize)| {
            later.read().map_err(|fault| ReceiptError::Later { number, fault })
        };
        self.later.iter().zip(1..).map(read).collect()
    }

    /// The COSE receipt, if there is one.
    pub(super) fn cose(&self) -> Result<Option<CoseReceipt>, ReceiptError> {
        let Some(text) = &self.cose_receipt else { return Ok(None) };
        let bytes = base64_decode(text).map_err(|_| ReceiptError::CoseBase64)?;
        CoseReceipt::decode(&bytes).map(Some).map_err(ReceiptError::Cose)
    }

    /// The anchors, in the order of the file.
    pub(super) fn anchors(&self) -> Result<Vec<ReceiptAnchor>, ReceiptError> {
        self.anchors.iter().zip(1..).map(|(anchor, number)| ReceiptAnchor::read(anchor, number)).collect()
    }
}

impl Later {
    pub(super) fn new(later: &LaterEntry) -> Self {
        let disclosure = later.disclosure();
        Self {
            entry: base64_encode(later.entry_bytes()),
            fields: disclosure.openings.iter().map(field).collect(),
            field_proof: hashes(&disclosure.proof),
            index: later.index().to_string(),
            inclusion_proof: hashes(later.proof()),
        }
    }

    fn read(&self) -> Result<LaterEntry, LaterPartError> {
        let unreadable = LaterPartError::Unreadable;
        let entry = base64_decode(&self.entry).map_err(|_| unreadable.clone())?;
        let disclosure = disclosure(&self.fields, &self.field_proof).map_err(|_| unreadable.clone())?;
        let index = self.index.parse().map_err(|_| unreadable.clone())?;
        let proof = self.inclusion_proof.iter().map(|text| hash(text)).collect::<Option<_>>();
        LaterEntry::new(entry, disclosure, LeafIndex::new(index), proof.ok_or(unreadable)?)
    }
}

fn disclosure(fields: &[Field], field_proof: &[String]) -> Result<Disclosure, ReceiptError> {
    let opening = |(field, number): (&Field, usize)| opening(field).ok_or(ReceiptError::Field { number });
    let hash = |(text, number): (&String, usize)| hash(text).ok_or(ReceiptError::FieldProof { number });
    Ok(Disclosure {
        openings: fields.iter().zip(1..).map(opening).collect::<Result<_, _>>()?,
        proof: field_proof.iter().zip(1..).map(hash).collect::<Result<_, _>>()?,
    })
}

fn hashes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| base64_encode(hash.as_bytes())).collect()
}

fn hash(text: &str) -> Option<Hash> {
    Hash::try_from(base64_decode(text).ok()?.as_slice()).ok()
}

fn field(opening: &Opening) -> Field {
    Field {
        index: opening.index,
        path: opening.path.as_str().to_owned(),
        salt: base64_encode(&opening.salt),
        value: typed(&opening.value),
    }
}

fn opening(field: &Field) -> Option<Opening> {
    Some(Opening {
        index: field.index,
        path: FieldPath::parse(&field.path).ok()?,
        salt: base64_decode(&field.salt).ok()?.try_into().ok()?,
        value: value(&field.value)?,
    })
}

fn typed(value: &Value) -> Typed {
    match value {
        Value::Null => Typed::Null(true),
        Value::Bool(value) => Typed::Bool(*value),
        Value::Int(value) => Typed::Int(value.to_string()),
        Value::Float(value) => Typed::Float(float(*value)),
        Value::Text(text) => Typed::Text(text.clone()),
        Value::Bytes(bytes) => Typed::Bytes(base64_encode(bytes)),
        Value::Array(items) => Typed::Array(items.iter().map(typed).collect()),
    }
}

fn float(value: f64) -> Float {
    let name = match value {
        nan if nan.is_nan() => NAN,
        f64::INFINITY => INFINITY,
        f64::NEG_INFINITY => NEGATIVE_INFINITY,
        number => return Float::Number(number),
    };
    Float::Name(name.to_owned())
}

fn value(typed: &Typed) -> Option<Value> {
    Some(match typed {
        Typed::Null(stated) => stated.then_some(Value::Null)?,
        Typed::Bool(value) => Value::Bool(*value),
        Typed::Int(text) => Value::Int(text.parse().ok()?),
        Typed::Float(Float::Number(number)) => Value::Float(*number),
        Typed::Float(Float::Name(name)) => Value::Float(named_float(name)?),
        Typed::Text(text) => Value::Text(text.clone()),
        Typed::Bytes(text) => Value::Bytes(base64_decode(text).ok()?),
        Typed::Array(items) => Value::Array(items.iter().map(value).collect::<Option<_>>()?),
    })
}

fn named_float(name: &str) -> Option<f64> {
    match name {
        NAN => Some(f64::NAN),
        INFINITY => Some(f64::INFINITY),
        NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
