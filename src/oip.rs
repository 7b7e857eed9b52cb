//! Tensors of the Open Inference Protocol in one canonical form, whichever way the wire carried them.
//!
//! Guarantees: a tensor sent in `contents` and the same tensor sent in `raw_input_contents` have the same digest; a
//! tensor whose shape and length disagree is never digested; a tensor whose bytes did not pass here (shared memory) is
//! told apart from an empty one.
//! Does not do: conversions between datatypes; an FP16 stays an FP16.
//! Specification: Open Inference Protocol v2, "Tensor Data" and the gRPC message definitions.
//! The digest is [`crate::record::schema::tensor_digest`].

use std::fmt;

use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::proto::inference::model_infer_request::InferInputTensor;
use crate::proto::inference::model_infer_response::InferOutputTensor;
use crate::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use bytes::Bytes;
use prost::Message as _;

pub use self::dtype::Dtype;
pub use self::element::Element;

mod contents;
mod dtype;
mod element;

/// Tensors of one message. Each makes three fields, which must leave room for features and scores.
pub const TENSORS_MAX: usize = 256;

/// Bytes of a tensor's name: with the words around it, it must fit a field path even if every byte is escaped.
pub const TENSOR_NAME_BYTES_MAX: usize = 64;

/// Dimensions of one tensor.
pub const DIMENSIONS_MAX: usize = 16;

/// Parameter that says: the tensor's bytes are in shared memory, not in the message.
const SHARED_MEMORY: &str = "shared_memory_region";

/// One tensor of a message.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its datatype as the message writes it.
    pub datatype: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its elements, or why they are not known.
    pub content: Content,
}

/// What is known of a tensor's elements.
#[derive(Clone, Debug)]
pub enum Content {
    /// The elements, in canonical bytes.
    Observed(Elements),
    /// They did not pass here; the text says why.
    Unobserved(&'static str),
}

/// A tensor's elements in canonical bytes: row-major, little-endian, BYTES elements with a 32-bit length.
#[derive(Clone, Debug)]
pub struct Elements {
    /// Type of each element.
    pub dtype: Dtype,
    /// Number of elements.
    pub count: usize,
    bytes: Bytes,
}

/// Why the tensors of a message contradict themselves or the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The message contradicts itself.
    #[error("tensor {name:?}: {what}")]
    Contradiction {
        /// The tensor.
        name: String,
        /// What disagrees with what.
        what: Contradiction,
    },
    /// Two tensors have one name.
    #[error("tensor {0:?} is there twice")]
    DuplicateName(String),
    /// Raw contents are there, but not one for each tensor.
    #[error("there are {tensors} tensors and {raw} raw contents; send one raw content a tensor")]
    RawCount {
        /// Tensors without a shared memory region.
        tensors: usize,
        /// Raw contents.
        raw: usize,
    },
    /// More than the limit.
    #[error("the message has {count} {what}; the limit is {max}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// What disagrees within one tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A dimension under zero, or a product past what can be counted.
    #[error("shape {0:?} is not a shape; every dimension must be zero or more")]
    Shape(Vec<i64>),
    /// The shape asks for another number of elements.
    #[error("its shape asks for {wanted} elements and its contents hold {found}")]
    Elements {
        /// Elements that the shape asks for.
        wanted: u64,
        /// Elements that are there.
        found: u64,
    },
    /// The shape and datatype ask for another number of bytes.
    #[error("its shape and datatype ask for {wanted} bytes and its raw contents hold {found}")]
    Bytes {
        /// Bytes that the shape and datatype ask for.
        wanted: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The lengths inside raw BYTES contents do not add up.
    #[error("the element lengths inside its raw contents do not add up")]
    RawBytes,
    /// `contents` and raw contents at once.
    #[error("it has `contents` although the message has raw contents; send one of them")]
    Both,
    /// A list that does not belong to the datatype.
    #[error("its contents are not in the list that belongs to its datatype")]
    WrongList,
    /// A number that the datatype cannot hold.
    #[error("element {0} does not fit its datatype")]
    Range(usize),
}

/// The tensors that a request carries, in its order.
pub fn inputs(request: &ModelInferRequest) -> Result<Vec<Tensor>, TensorError> {
    let parts = request.inputs.iter().map(Part::from);
    tensors(parts.collect(), &request.raw_input_contents)
}

/// The tensors that a response carries, in its order.
pub fn outputs(response: &ModelInferResponse) -> Result<Vec<Tensor>, TensorError> {
    let parts = response.outputs.iter().map(Part::from);
    tensors(parts.collect(), &response.raw_output_contents)
}

/// The tensors of a response as it is on the wire.
///
/// # Errors
/// [`MessageError`] if the bytes are no response, or its tensors contradict themselves or the limits.
pub fn outputs_of(response: &[u8]) -> Result<Vec<Tensor>, MessageError> {
    Ok(outputs(&ModelInferResponse::decode(response)?)?)
}

/// Why the bytes of a message give no tensors.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// They are no such message.
    #[error("{0}")]
    Decode(#[from] prost::DecodeError),
    /// Its tensors are wrong.
    #[error(transparent)]
    Tensors(#[from] TensorError),
}

impl Tensor {
    /// The elements, if they passed here.
    pub fn elements(&self) -> Option<&Elements> {
        match &self.content {
            Content::Observed(elements) => Some(elements),
            Content::Unobserved(_) => None,
        }
    }
}

impl Elements {
    /// The elements in canonical bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> {
        element::Iter::new(self.dtype, &self.bytes)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed(elements) => write!(f, "{} elements", elements.count),
            Self::Unobserved(why) => f.write_str(why),
        }
    }
}

/// What input and output tensors have in common.
struct Part<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: &'a [i64],
    contents: Option<&'a InferTensorContents>,
    shared_memory: bool,
}

impl<'a> From<&'a InferInputTensor> for Part<'a> {
    fn from(tensor: &'a InferInputTensor) -> Self {
        Self {
            name: &tensor.name,
            datatype: &tensor.datatype,
            shape: &tensor.shape,
            contents: tensor.contents.as_ref(),
            shared_memory: tensor.parameters.contains_key(SHARED_MEMORY),
        }
    }
}

impl<'a> From<&'a InferOutputTensor> for Part<'a> {
    fn from(tensor: &'a InferOutputTensor) -> Self {
        Self {
            name: &tensor.name,
            datatype: &tensor.datatype,
            shape: &tensor.shape,
            contents: tensor.contents.as_ref(),
            shared_memory: tensor.parameters.contains_key(SHARED_MEMORY),
        }
    }
}

/// A parameter as text, where it has a form that is one text.
pub fn parameter_text(parameter: &InferParameter) -> Option<String> {
    match parameter.parameter_choice.as_ref()? {
        ParameterChoice::StringParam(text) => Some(text.clone()),
        ParameterChoice::Int64Param(number) => Some(number.to_string()),
        ParameterChoice::Uint64Param(number) => Some(number.to_string()),
        ParameterChoice::BoolParam(_) | ParameterChoice::DoubleParam(_) => None,
    }
}

fn tensors(parts: Vec<Part<'_>>, raw: &[Bytes]) -> Result<Vec<Tensor>, TensorError> {
    limits(&parts)?;
    let carried = parts.iter().filter(|part| !part.shared_memory).count();
    if !raw.is_empty() && raw.len() != carried {
        return Err(TensorError::RawCount { tensors: carried, raw: raw.len() });
    }
    let mut raw = raw.iter();
    parts
        .iter()
        .map(|part| {
            let raw = if part.shared_memory { None } else { raw.next() };
            part.read(raw).map_err(|what| TensorError::Contradiction { name: part.name.to_owned(), what })
        })
        .collect()
}

fn limits(parts: &[Part<'_>]) -> Result<(), TensorError> {
    let limit = |what, count, max| {
        if count <= max { Ok(()) } else { Err(TensorError::Limit { what, count, max }) }
    };
    limit("tensors", parts.len(), TENSORS_MAX)?;
    let mut seen = std::collections::BTreeSet::new();
    for part in parts {
        limit("bytes in a tensor's name", part.name.len(), TENSOR_NAME_BYTES_MAX)?;
        limit("dimensions in a tensor", part.shape.len(), DIMENSIONS_MAX)?;
        if !seen.insert(part.name) {
            return Err(TensorError::DuplicateName(part.name.to_owned()));
        }
    }
    Ok(())
}

impl Part<'_> {
    fn read(&self, raw: Option<&Bytes>) -> Result<Tensor, Contradiction> {
        let shape = self.dimensions()?;
        let content = match (Dtype::parse(self.datatype), raw) {
            _ if self.shared_memory => Content::Unobserved("shared memory"),
            (None, _) => Content::Unobserved("unknown datatype"),
            (Some(_), Some(_)) if self.contents.is_some_and(contents::is_some) => {
                return Err(Contradiction::Both);
            }
            (Some(dtype), Some(raw)) => Content::Observed(Elements::from_raw(dtype, &shape, raw)?),
            (Some(dtype), None) => self.listed(dtype, &shape)?,
        };
        Ok(Tensor { name: self.name.to_owned(), datatype: self.datatype.to_owned(), shape, content })
    }

    fn dimensions(&self) -> Result<Vec<u64>, Contradiction> {
        self.shape
            .iter()
            .map(|&dimension| u64::try_from(dimension))
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|shape| product(shape).is_some())
            .ok_or_else(|| Contradiction::Shape(self.shape.to_vec()))
    }

    fn listed(&self, dtype: Dtype, shape: &[u64]) -> Result<Content, Contradiction> {
        let empty = InferTensorContents::default();
        let (count, bytes) = contents::canonical(dtype, self.contents.unwrap_or(&empty))?;
        let wanted = product(shape).unwrap_or(u64::MAX);
        let found = u64::try_from(count).unwrap_or(u64::MAX);
        if wanted != found {
            return Err(Contradiction::Elements { wanted, found });
        }
        Ok(Content::Observed(Elements { dtype, count, bytes }))
    }
}

impl Elements {
    fn from_raw(dtype: Dtype, shape: &[u64], raw: &Bytes) -> Result<Self, Contradiction> {
        let wanted = product(shape).unwrap_or(u64::MAX);
        let Some(size) = dtype.size() else {
            let found = element::count_bytes_elements(raw).ok_or(Contradiction::RawBytes)?;
            if found != wanted {
                return Err(Contradiction::Elements { wanted, found });
            }
            return Ok(Self::new(dtype, wanted, raw));
        };
        let found = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        let wanted_bytes = wanted.saturating_mul(size);
        if wanted_bytes != found {
            return Err(Contradiction::Bytes { wanted: wanted_bytes, found });
        }
        Ok(Self::new(dtype, wanted, raw))
    }

    fn new(dtype: Dtype, count: u64, raw: &Bytes) -> Self {
        Self { dtype, count: usize::try_from(count).unwrap_or(usize::MAX), bytes: raw.clone() }
    }
}

/// Number of elements of a shape; none if it cannot be counted.
fn product(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1_u64, |n, &dimension| n.checked_mul(dimension))
}

#[cfg(test)]
mod tests;
