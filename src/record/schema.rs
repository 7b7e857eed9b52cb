//! The vocabulary of paths, as data with a version, and the paths that the sidecar itself writes.
//!
//! Guarantees: every path built here is in [`PATHS`] with the type given there. Does not do: refusing a record that has
//! other paths, or lacks some; which ones a decision needs is said by the packs that name them, and
//! [`find`] answers whether a path is known at all.

use core::fmt;

use super::path::is_place;
use super::{FieldPath, FieldPathError, PathPattern, Value};
use crate::encoding::cbor::Writer;
use crate::hash::{Hash, StreamHasher};

/// Version of [`PATHS`]. A path that is added raises it; a path is never removed or given another type.
pub const VERSION: u64 = 3;

/// First item of the tensor digest's preimage.
const TENSOR_DOMAIN: &str = "ledgerstone/tensor/v1";

/// What a value at a known path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Text.
    Text,
    /// An integer; a time is milliseconds since 1970-01-01T00:00:00Z.
    Int,
    /// A float.
    Float,
    /// True or false.
    Bool,
    /// A SHA-256 digest, 32 bytes.
    Digest,
    /// An array of text.
    Texts,
    /// An array of integers.
    Ints,
    /// Whatever the mapping of the route finds there.
    Any,
}

impl Shape {
    /// Whether `value` is of this shape. `null`, known to be nothing, is of every shape.
    #[must_use]
    pub fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::Any, _)
            | (Self::Text, Value::Text(_))
            | (Self::Int, Value::Int(_))
            | (Self::Float, Value::Float(_))
            | (Self::Bool, Value::Bool(_)) => true,
            (Self::Digest, Value::Bytes(bytes)) => bytes.len() == Hash::LEN,
            (Self::Texts, Value::Array(items)) => items.iter().all(|item| Self::Text.admits(item)),
            (Self::Ints, Value::Array(items)) => items.iter().all(|item| Self::Int.admits(item)),
            _ => false,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Digest => "a SHA-256 digest",
            Self::Texts => "a list of texts",
            Self::Ints => "a list of integers",
            Self::Any => "a value",
        })
    }
}

/// One known path, or a family of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// Segments joined by `/`. `<name>` stands for any one name, `[n]` for any place in a list.
    pub pattern: &'static str,
    /// What stands there.
    pub shape: Shape,
}

impl PathSpec {
    /// Whether `path` is this path, or one of this family.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.pattern.split('/').all(|wanted| {
            segments.next().is_some_and(|segment| match wanted {
                "<name>" => !is_place(segment),
                "[n]" => is_place(segment),
                literal => literal == segment,
            })
        }) && segments.next().is_none()
    }
}

/// The first segments of all known paths.
pub const ROOTS: &[&str] = &[
    "decision",
    "time",
    "caller",
    "model",
    "execution",
    "reference",
    "input",
    "output",
    "outcome",
    "gate",
    "explanation",
    "review",
    "notice",
    "contest",
    "correction",
    "opt_out",
    "privacy",
    "delivery",
];

/// Every known path, grouped by root.
pub const PATHS: &[PathSpec] = &table::PATHS;

/// What is known about `path`. A value past the size limit is found too: by its `digest` and its `size`.
#[must_use]
pub fn find(path: &FieldPath) -> Option<PathSpec> {
    let text = path.as_str();
    if let Some(spec) = lookup(text) {
        return Some(spec);
    }
    let (parent, last) = text.rsplit_once('/')?;
    let shape = match last {
        "digest" => Shape::Digest,
        "size" => Shape::Int,
        _ => return None,
    };
    let PathSpec { pattern, .. } = lookup(parent)?;
    Some(PathSpec { pattern, shape })
}

/// Whether `pattern` selects any known path, those of values past the size limit included. One that does not selects
/// nothing that a record will ever hold.
#[must_use]
pub fn can_select(pattern: &PathPattern) -> bool {
    let suffixes = [None, Some("digest"), Some("size")];
    PATHS.iter().any(|spec| {
        suffixes.iter().any(|suffix| {
            let known = spec.pattern.split('/').chain(*suffix);
            overlaps(pattern.as_str().split('/'), known)
        })
    })
}

/// Whether some path fits both a pattern and the segments of a known path.
fn overlaps<'a>(pattern: impl Iterator<Item = &'a str>, mut known: impl Iterator<Item = &'a str>) -> bool {
    let mut pattern = pattern.peekable();
    while let Some(wanted) = pattern.next() {
        let Some(segment) = known.next() else { return false };
        if wanted == "*" {
            if pattern.peek().is_none() {
                return true;
            }
            continue;
        }
        let fits = match segment {
            "<name>" => !is_place(wanted),
            "[n]" => is_place(wanted),
            literal => literal == wanted,
        };
        if !fits {
            return false;
        }
    }
    known.next().is_none()
}

fn lookup(path: &str) -> Option<PathSpec> {
    PATHS.iter().find(|spec| spec.matches(path)).copied()
}

/// The digest of a tensor, the same whichever of the wire's encodings carried it: SHA-256 of the deterministic CBOR
/// array `["ledgerstone/tensor/v1", name, dtype, shape, data]`.
///
/// `data` is row-major and little-endian; elements of type `BYTES` are each preceded by their length as four
/// little-endian bytes, as in OIP's `raw_input_contents`.
#[must_use]
pub fn tensor_digest(name: &str, dtype: &str, shape: &[u64], data: &[u8]) -> Hash {
    let mut writer = Writer::with_capacity(64 + name.len() + dtype.len() + 9 * shape.len());
    writer.array(5).text(TENSOR_DOMAIN).text(name).text(dtype).array(shape.len());
    for extent in shape {
        writer.uint(*extent);
    }
    writer.bytes_head(data.len() as u64);
    let mut hasher = StreamHasher::new();
    hasher.update(writer.as_bytes());
    hasher.update(data);
    hasher.finish()
}

/// Which side of the model a tensor was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the model was given.
    Input,
    /// What the model gave.
    Output,
}

/// The three fields that a tensor is recorded by.
///
/// # Errors
/// [`FieldPathError`] if the name is empty or too long.
pub fn tensor_fields(
    side: Side,
    name: &str,
    dtype: &str,
    shape: &[u64],
    data: &[u8],
) -> Result<[(FieldPath, Value); 3], FieldPathError> {
    let tensor = match side {
        Side::Input => INPUT_TENSOR,
        Side::Output => OUTPUT_TENSOR,
    }
    .child(name)?;
    let extents = shape.iter().map(|extent| Value::from(*extent)).collect();
    let digest = tensor_digest(name, dtype, shape, data);
    Ok([
        (tensor.child("dtype")?, Value::from(dtype)),
        (tensor.child("shape")?, Value::Array(extents)),
        (tensor.child("digest")?, Value::from(digest)),
    ])
}

/// The path of one feature of the input, by the name that the route gives it.
///
/// # Errors
/// [`FieldPathError`] if the name is empty or too long.
pub fn feature(name: &str) -> Result<FieldPath, FieldPathError> {
    FieldPath::known("input/feature").child(name)
}

/// The path of one parameter of the request, by the name that it has on the wire.
///
/// # Errors
/// [`FieldPathError`] if the name is empty or too long.
pub fn parameter(name: &str) -> Result<FieldPath, FieldPathError> {
    FieldPath::known("input/parameter").child(name)
}

/// The path of one score of the output, by the name that the route gives it.
///
/// # Errors
/// [`FieldPathError`] if the name is empty or too long.
pub fn score(name: &str) -> Result<FieldPath, FieldPathError> {
    FieldPath::known("output/score").child(name)
}

/// One part of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonPart {
    /// The reason code, as the notice will name it.
    Code,
    /// The reason in words.
    Text,
    /// The feature it is about.
    Feature,
    /// How much it weighed.
    Contribution,
    /// Which way it pushed the outcome.
    Direction,
}

/// The path of one part of reason `index`, the first being 0.
#[must_use]
pub fn reason(index: u32, part: ReasonPart) -> FieldPath {
    let part = match part {
        ReasonPart::Code => "code",
        ReasonPart::Text => "text",
        ReasonPart::Feature => "feature",
        ReasonPart::Contribution => "contribution",
        ReasonPart::Direction => "direction",
    };
    FieldPath::numbered("explanation/reason", index, part)
}

/// The path that says which field a mask removed.
pub(super) fn masked_pointer(index: u32) -> FieldPath {
    FieldPath::numbered("privacy/masked", index, "pointer")
}

/// The path that says why a mask removed it.
pub(super) fn masked_reason(index: u32) -> FieldPath {
    FieldPath::numbered("privacy/masked", index, "reason")
}

const INPUT_TENSOR: FieldPath = FieldPath::known("input/tensor");
const OUTPUT_TENSOR: FieldPath = FieldPath::known("output/tensor");

mod form;
mod table;
pub use form::{FORMS, Form, FormError};
pub use table::*;
