//! A model file changed so that another engine gives the numbers that are compared: its outputs without maps, or the scores of its
//! scoring operation before their transform.
//!
//! *Guarantees*: nothing else of the file is changed. *Does not do*: check the file; it was read before.

use super::graph::peer::Scoring;
use super::tensor::Kind;
use super::wire::{Field, Message, Value};
use crate::recompute::error::ModelError;

/// `AttributeProto`'s name of the transform; without it there is none.
const TRANSFORM: &str = "post_transform";

/// What becomes of a field.
enum Edit {
    Keep,
    Drop,
    Put(Vec<u8>),
}

/// What of a node is looked at here.
#[derive(Clone, Copy, Default)]
struct Named<'a> {
    operation: &'a str,
    input: &'a str,
}

/// The file with `ZipMap`'s input in the place of each output that is a `ZipMap`'s, since its maps have no order.
pub(super) fn without_maps(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    edited(whole(bytes), |field| match field.number {
        7 => Ok(Edit::Put(graph_without_maps(field.message()?)?)),
        _ => Ok(Edit::Keep),
    })
}

fn graph_without_maps(graph: Message<'_>) -> Result<Vec<u8>, ModelError> {
    let mut maps = Vec::new();
    for field in graph.fields() {
        let field = field?;
        if field.number == 1 {
            let node = field.message()?;
            let mut named = Named::default();
            let mut output = "";
            for part in node.fields() {
                let part = part?;
                match part.number {
                    1 if named.input.is_empty() => named.input = part.text()?,
                    2 if output.is_empty() => output = part.text()?,
                    4 => named.operation = part.text()?,
                    _ => {}
                }
            }
            if named.operation == "ZipMap" {
                maps.push((output, named.input));
            }
        }
    }
    edited(graph, |field| {
        if field.number != 12 {
            return Ok(Edit::Keep);
        }
        let mut name = "";
        for part in field.message()?.fields() {
            let part = part?;
            if part.number == 1 {
                name = part.text()?;
            }
        }
        let input = maps.iter().find(|(output, _)| *output == name).map(|(_, input)| *input);
        Ok(input.map_or(Edit::Keep, |input| Edit::Put(port(input, Kind::F32))))
    })
}

/// The file with the scores of one operation, before their transform, as its only output; none if the file does not name them.
pub(super) fn scores_only(bytes: &[u8], scoring: Scoring) -> Result<Option<Vec<u8>>, ModelError> {
    let mut is_named = false;
    let made = edited(whole(bytes), |field| match field.number {
        7 => Ok(Edit::Put(graph_of_scores(field.message()?, scoring, &mut is_named)?)),
        _ => Ok(Edit::Keep),
    })?;
    Ok(is_named.then_some(made))
}

fn graph_of_scores(graph: Message<'_>, scoring: Scoring, found: &mut bool) -> Result<Vec<u8>, ModelError> {
    let (mut number, mut scores) = (0, "");
    let mut made = edited(graph, |field| match field.number {
        1 => {
            let is_scoring = number == scoring.node;
            number += 1;
            if !is_scoring {
                return Ok(Edit::Keep);
            }
            let node = field.message()?;
            let outputs = node.fields().filter_map(Result::ok).filter(|part| part.number == 2);
            scores = outputs.map(Field::text).nth(scoring.output).transpose()?.unwrap_or("");
            let kept = edited(node, |part| {
                let is_transform = part.number == 5 && is_named(part.message()?, TRANSFORM)?;
                Ok(if is_transform { Edit::Drop } else { Edit::Keep })
            })?;
            Ok(Edit::Put(kept))
        }
        12 => Ok(Edit::Drop),
        _ => Ok(Edit::Keep),
    })?;
    if !scores.is_empty() {
        *found = true;
        put_bytes(&mut made, 12, &port(scores, scoring.kind));
    }
    Ok(made)
}

fn is_named(attribute: Message<'_>, name: &str) -> Result<bool, ModelError> {
    for field in attribute.fields() {
        let field = field?;
        if field.number == 1 {
            return Ok(field.text()? == name);
        }
    }
    Ok(false)
}

/// `ValueInfoProto` of a tensor.
fn port(name: &str, kind: Kind) -> Vec<u8> {
    let (mut of_tensor, mut of_type, mut port) = (Vec::new(), Vec::new(), Vec::new());
    put_number(&mut of_tensor, 1, kind.number());
    put_bytes(&mut of_type, 1, &of_tensor);
    put_bytes(&mut port, 1, name.as_bytes());
    put_bytes(&mut port, 2, &of_type);
    port
}

fn whole(bytes: &[u8]) -> Message<'_> {
    Message { bytes, offset: 0 }
}

/// A message with some of its fields changed.
fn edited<'a>(
    message: Message<'a>,
    mut edit: impl FnMut(Field<'a>) -> Result<Edit, ModelError>,
) -> Result<Vec<u8>, ModelError> {
    let mut made = Vec::with_capacity(message.bytes.len());
    for field in message.fields() {
        let field = field?;
        match edit(field)? {
            Edit::Drop => {}
            Edit::Put(bytes) => put_bytes(&mut made, field.number, &bytes),
            Edit::Keep => match field.value {
                Value::Varint(number) => put_number(&mut made, field.number, number),
                Value::Fixed64(bytes) => {
                    put_key(&mut made, field.number, 1);
                    made.extend(bytes);
                }
                Value::Fixed32(bytes) => {
                    put_key(&mut made, field.number, 5);
                    made.extend(bytes);
                }
                Value::Bytes(message) => put_bytes(&mut made, field.number, message.bytes),
            },
        }
    }
    Ok(made)
}

fn put_bytes(made: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_key(made, field, 2);
    put_varint(made, bytes.len() as u64);
    made.extend(bytes);
}

fn put_number(made: &mut Vec<u8>, field: u32, number: u64) {
    put_key(made, field, 0);
    put_varint(made, number);
}

fn put_key(made: &mut Vec<u8>, field: u32, wire_type: u64) {
    put_varint(made, u64::from(field) << 3 | wire_type);
}

fn put_varint(made: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        made.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    made.push(number.to_le_bytes()[0]);
}
