//! The messages of an ONNX file that a model needs, by the field numbers of the public `onnx.proto`.
//!
//! *Guarantees*: what could change what a model computes and is not read here is refused: functions, training graphs, sparse
//! tensors, tensors in other files, attributes that hold graphs. Counts are limited; texts and numbers stay slices of the file until
//! an operation asks for them.
//!
//! *Does not do*: know any operation.

use super::tensor::{Data, Kind, Tensor, items_of};
use super::wire::{Field, Message, Value};
use super::{FORMAT, Fault};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Nodes of a graph, and tensors, inputs and outputs that it names.
pub(super) const NODES_MAX: usize = 1 << 16;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    pub(super) producer: &'a str,
    /// Domain and version of each set of operations that the model uses.
    pub(super) operation_sets: Vec<(&'a str, i64)>,
    pub(super) graph: Option<Graph<'a>>,
}

/// Operations, one after the other, and the values that they share.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) initializers: Vec<(&'a str, Tensor)>,
    pub(super) inputs: Vec<Port<'a>>,
    pub(super) outputs: Vec<Port<'a>>,
}

/// An operation of the graph.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) operation: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    attributes: Vec<(&'a str, Message<'a>)>,
}

/// An input or output of the graph.
#[derive(Debug, Default)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    /// None where it is no tensor.
    pub(super) kind: Option<i64>,
    /// A dimension is none where the file gives it no number.
    pub(super) dims: Option<Vec<Option<i64>>>,
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let mut file = Self::default();
        for field in (Message { bytes, offset: 0 }).fields() {
            let field = field?;
            match field.number {
                2 => file.producer = field.text()?,
                7 if file.graph.is_some() => return Err(field.defect("is a second graph")),
                7 => file.graph = Some(Graph::read(field.message()?)?),
                8 => file.operation_sets.push(operation_set(field.message()?)?),
                20 => return Err(unsupported("a training graph", "ModelProto.training_info")),
                25 => return Err(unsupported("a function of the model's own", "ModelProto.functions")),
                26 => return Err(unsupported("a device configuration", "ModelProto.configuration")),
                _ => {}
            }
            limit("operation sets", file.operation_sets.len())?;
        }
        Ok(file)
    }
}

fn operation_set<'a>(message: Message<'a>) -> Result<(&'a str, i64), ModelError> {
    let (mut domain, mut version) = ("", 0);
    for field in message.fields() {
        let field: Field<'a> = field?;
        match field.number {
            1 => domain = field.text()?,
            2 => version = field.integer()?,
            _ => {}
        }
    }
    Ok((if domain == "ai.onnx" { "" } else { domain }, version))
}

impl<'a> Graph<'a> {
    fn read(message: Message<'a>) -> Result<Self, ModelError> {
        let mut graph = Self::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => graph.nodes.push(Node::read(field.message()?)?),
                5 => graph.initializers.push(tensor(field.message()?)?),
                11 => graph.inputs.push(Port::read(field.message()?)?),
                12 => graph.outputs.push(Port::read(field.message()?)?),
                15 => return Err(unsupported("a sparse tensor", "GraphProto.sparse_initializer")),
                _ => {}
            }
            limit("nodes", graph.nodes.len())?;
            limit("initializers", graph.initializers.len())?;
            limit("inputs and outputs", graph.inputs.len() + graph.outputs.len())?;
        }
        Ok(graph)
    }
}

fn limit(what: &'static str, found: usize) -> Result<(), ModelError> {
    if found > NODES_MAX { Err(ModelError::Limit { what, found, max: NODES_MAX }) } else { Ok(()) }
}

impl<'a> Node<'a> {
    fn read(message: Message<'a>) -> Result<Self, ModelError> {
        let mut node = Self::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.operation = field.text()?,
                5 => node.attributes.push(named(field.message()?)?),
                7 => node.domain = field.text()?,
                _ => {}
            }
            limit("inputs and outputs of a node", node.inputs.len() + node.outputs.len())?;
            limit("attributes of a node", node.attributes.len())?;
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    /// The node's name and operation, for errors.
    pub(super) fn place(&self) -> String {
        let name = if self.name.is_empty() { self.outputs.first().copied().unwrap_or("") } else { self.name };
        format!("node {} of operation {}", shown(name), shown(self.operation))
    }

    /// The names of its attributes.
    pub(super) fn attribute_names(&self) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().map(|(name, _)| *name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute_names().any(|known| known == name)
    }

    /// The fields of an attribute with one of these numbers; none without the attribute.
    fn values(&self, name: &str, number: u32) -> Result<Vec<Field<'a>>, ModelError> {
        let Some((_, message)) = self.attributes.iter().find(|(known, _)| *known == name) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for field in message.fields() {
            let field = field?;
            // A type or a name is no value; any other field is another value than the one asked for.
            match field.number {
                1 | 13 | 20 => {}
                known if known == number => found.push(field),
                21 => return Err(unsupported("an attribute that refers to a function's", self.place())),
                _ => return Err(malformed(self.at(name), "has another type than the operation gives it")),
            }
        }
        Ok(found)
    }

    fn at(&self, name: &str) -> String {
        format!("{}, attribute {}", self.place(), shown(name))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ModelError> {
        self.values(name, 3)?.last().map(|field| field.integer()).transpose()
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, ModelError> {
        self.values(name, 2)?.last().map(|field| field.float()).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ModelError> {
        self.values(name, 4)?.last().map(|field| field.text()).transpose()
    }

    pub(super) fn integers(&self, name: &str) -> Result<Vec<i64>, ModelError> {
        let mut found = Vec::new();
        self.values(name, 8)?.into_iter().try_for_each(|field| field.integers(&mut found))?;
        Ok(found)
    }

    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let mut found = Vec::new();
        self.values(name, 7)?.into_iter().try_for_each(|field| field.floats(&mut found))?;
        Ok(found)
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>, ModelError> {
        self.values(name, 9)?.into_iter().map(Field::text).collect()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let found = self.values(name, 5)?;
        found.last().map(|field| Ok(tensor(field.message()?)?.1)).transpose()
    }
}

/// An attribute's name, read ahead of its value.
fn named(message: Message<'_>) -> Result<(&str, Message<'_>), ModelError> {
    for field in message.fields() {
        let field = field?;
        if field.number == 1 {
            return Ok((field.text()?, message));
        }
    }
    Err(ModelError::Syntax {
        format: FORMAT,
        place: format!("byte {}", message.offset),
        problem: "an attribute has no name".to_owned(),
    })
}

impl<'a> Port<'a> {
    fn read(message: Message<'a>) -> Result<Self, ModelError> {
        let mut port = Self::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => port.name = field.text()?,
                2 => {
                    for of_type in field.message()?.fields() {
                        let of_type = of_type?;
                        if of_type.number == 1 {
                            port.read_tensor_type(of_type.message()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(port)
    }

    fn read_tensor_type(&mut self, message: Message<'a>) -> Result<(), ModelError> {
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => self.kind = Some(field.integer()?),
                2 => {
                    let mut dims = Vec::new();
                    for dim in field.message()?.fields() {
                        let dim = dim?;
                        limit("dimensions", dims.len())?;
                        let mut number = None;
                        for part in dim.message()?.fields() {
                            let part = part?;
                            if part.number == 1 {
                                number = Some(part.integer()?);
                            }
                        }
                        dims.push(number);
                    }
                    self.dims = Some(dims);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a tensor's message holds before its type is known.
#[derive(Default)]
struct Parts<'a> {
    name: &'a str,
    dims: Vec<i64>,
    kind: i64,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    /// `int32_data` and `int64_data`.
    integers: Vec<i64>,
    texts: Vec<&'a str>,
    raw: Option<&'a [u8]>,
}

/// A tensor and its name.
fn tensor(message: Message<'_>) -> Result<(&str, Tensor), ModelError> {
    let mut parts = Parts::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => field.integers(&mut parts.dims)?,
            2 => parts.kind = field.integer()?,
            3 => return Err(unsupported("a tensor in segments", "TensorProto.segment")),
            4 => field.floats(&mut parts.floats)?,
            5 | 7 => field.integers(&mut parts.integers)?,
            6 => parts.texts.push(field.text()?),
            8 => parts.name = field.text()?,
            9 => parts.raw = Some(field.message()?.bytes),
            10 => field.doubles(&mut parts.doubles)?,
            13 => return Err(external()),
            14 if !matches!(field.value, Value::Varint(0)) => return Err(external()),
            _ => {}
        }
    }
    let place = || format!("tensor {}", shown(parts.name));
    let dims: Option<Vec<usize>> = parts.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let dims = dims.ok_or_else(|| malformed(place(), "has a dimension below zero"))?;
    if items_of(&dims).is_none() {
        return Err(unsupported("a tensor of so many items", place()));
    }
    let Some(kind) = Kind::numbered(parts.kind) else {
        return Err(unsupported(format!("a tensor of data type {}", parts.kind), place()));
    };
    let data = match parts.raw {
        Some(raw) => raw_items(kind, raw),
        None => listed_items(kind, &parts),
    };
    let made = data.ok_or(()).and_then(|data| Tensor::new(dims, data).map_err(|_: Fault| ()));
    let made = made.map_err(|()| malformed(place(), "has other items than its dimensions and type say"))?;
    Ok((parts.name, made))
}

fn external() -> ModelError {
    unsupported("a tensor that lies in another file", "TensorProto.data_location")
}

fn raw_items(kind: Kind, raw: &[u8]) -> Option<Data> {
    let words = || raw.len().is_multiple_of(4).then(|| raw.as_chunks::<4>().0.iter());
    let longs = || raw.len().is_multiple_of(8).then(|| raw.as_chunks::<8>().0.iter());
    Some(match kind {
        Kind::F32 => Data::F32(words()?.map(|word| f32::from_le_bytes(*word)).collect()),
        Kind::I32 => Data::I32(words()?.map(|word| i32::from_le_bytes(*word)).collect()),
        Kind::F64 => Data::F64(longs()?.map(|long| f64::from_le_bytes(*long)).collect()),
        Kind::I64 => Data::I64(longs()?.map(|long| i64::from_le_bytes(*long)).collect()),
        Kind::Bool => Data::Bool(raw.iter().map(|byte| *byte != 0).collect()),
        Kind::U8 => Data::U8(raw.to_vec()),
        Kind::Text => return None,
    })
}

fn listed_items(kind: Kind, parts: &Parts<'_>) -> Option<Data> {
    Some(match kind {
        Kind::F32 => Data::F32(parts.floats.clone()),
        Kind::F64 => Data::F64(parts.doubles.clone()),
        Kind::I64 => Data::I64(parts.integers.clone()),
        Kind::I32 => {
            let narrowed: Option<Vec<i32>> =
                parts.integers.iter().map(|item| i32::try_from(*item).ok()).collect();
            Data::I32(narrowed?)
        }
        Kind::U8 => {
            let narrowed: Option<Vec<u8>> =
                parts.integers.iter().map(|item| u8::try_from(*item).ok()).collect();
            Data::U8(narrowed?)
        }
        Kind::Bool => Data::Bool(parts.integers.iter().map(|item| *item != 0).collect()),
        Kind::Text => Data::Text(parts.texts.iter().map(|text| (*text).to_owned()).collect()),
    })
}
