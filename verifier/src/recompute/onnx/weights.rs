//! Where the weights of an ONNX file stand: its tensors and lists of floating-point numbers.
//!
//! *Guarantees*: only numbers are named, never a length, a name or a type, so that a change in their places leaves the file well formed.
//!
//! *Does not do*: check the file; it was read before.

use super::tensor::Kind as Type;
use super::wire::{Field, Message, Value};
use crate::recompute::error::ModelError;
use crate::recompute::tamper::{Kind, Stretch};

/// The weights of a file that was read.
///
/// # Errors
/// The file is none that is read.
pub fn weights(bytes: &[u8]) -> Result<Vec<Stretch>, ModelError> {
    let mut found = Vec::new();
    for graph in inside(Message { bytes, offset: 0 }, 7)? {
        for tensor in inside(graph, 5)? {
            of_tensor(tensor, true, &mut found)?;
        }
        for node in inside(graph, 1)? {
            for attribute in inside(node, 5)? {
                of_attribute(attribute, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// The messages in the fields of one number.
fn inside(message: Message<'_>, number: u32) -> Result<Vec<Message<'_>>, ModelError> {
    let mut found = Vec::new();
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            found.push(field.message()?);
        }
    }
    Ok(found)
}

fn of_attribute(attribute: Message<'_>, found: &mut Vec<Stretch>) -> Result<(), ModelError> {
    let mut is_inner = true;
    for field in attribute.fields() {
        let field = field?;
        if field.number == 1 {
            // What a tree compares with: no row may lie near enough to show a change of it.
            let name = field.text()?;
            is_inner = !(name.starts_with("nodes_") || name.starts_with("membership"));
        }
    }
    for tensor in inside(attribute, 5)? {
        of_tensor(tensor, is_inner, found)?;
    }
    listed(attribute, 7, &Stretch { is_inner, ..plain(Kind::F32) }, found)
}

fn of_tensor(tensor: Message<'_>, is_inner: bool, found: &mut Vec<Stretch>) -> Result<(), ModelError> {
    let (mut dims, mut kind, mut raw) = (Vec::new(), 0, None);
    for field in tensor.fields() {
        let field = field?;
        match field.number {
            1 => field.integers(&mut dims)?,
            2 => kind = field.integer()?,
            9 => raw = Some(field.message()?),
            _ => {}
        }
    }
    let (kind, list) = match Type::numbered(kind) {
        Some(Type::F32) => (Kind::F32, 4),
        Some(Type::F64) => (Kind::F64, 10),
        _ => return Ok(()),
    };
    let row = dims.last().and_then(|dim| usize::try_from(*dim).ok()).unwrap_or(1);
    let like = Stretch { row, is_matrix: dims.len() == 2, is_inner, ..plain(kind) };
    match raw {
        Some(raw) => {
            put(raw, &like, found);
            Ok(())
        }
        None => listed(tensor, list, &like, found),
    }
}

/// Numbers of a field, side by side in one or each in a field of its own.
fn listed(
    message: Message<'_>,
    number: u32,
    like: &Stretch,
    found: &mut Vec<Stretch>,
) -> Result<(), ModelError> {
    let mut fields = message.fields();
    while let Some(field) = fields.next() {
        let Field { number: known, value, .. } = field?;
        let single = match value {
            _ if known != number => continue,
            Value::Bytes(list) => {
                put(list, like, found);
                continue;
            }
            Value::Fixed32(_) => 4,
            Value::Fixed64(_) => 8,
            Value::Varint(_) => continue,
        };
        // A number ends where the next field begins.
        found.push(Stretch { start: fields.place() - single, count: 1, row: 1, is_matrix: false, ..*like });
    }
    Ok(())
}

fn put(list: Message<'_>, like: &Stretch, found: &mut Vec<Stretch>) {
    let width = if like.kind == Kind::F64 { 8 } else { 4 };
    found.push(Stretch { start: list.offset, count: list.bytes.len() / width, ..*like });
}

const fn plain(kind: Kind) -> Stretch {
    Stretch { kind, start: 0, count: 0, row: 1, is_matrix: false, is_inner: true }
}
