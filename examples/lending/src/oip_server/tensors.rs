//! The protocol's two encodings of an FP32 tensor: typed contents beside each tensor, or raw bytes at the message's end.

use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferTensorContents, ModelInferRequest};
use prost::bytes::Bytes;
use tonic::Status;

use super::INPUT;

pub(super) const FP32: &str = "FP32";

/// Rows of one request.
const ROWS_MAX: usize = 4096;

/// How the elements of the tensors of one message are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Typed,
    Raw,
}

/// The elements of the input, row by row.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) values: Vec<f32>,
    pub(super) encoding: Encoding,
}

/// Reads the one input tensor of a request for a model of `columns` columns.
pub(super) fn read(request: &ModelInferRequest, columns: usize) -> Result<Rows, Status> {
    let [input] = request.inputs.as_slice() else {
        return Err(refused(format!("expected one input, {INPUT}; found {}", request.inputs.len())));
    };
    if input.name != INPUT || input.datatype != FP32 {
        return Err(refused(format!(
            "expected the input {INPUT} of type {FP32}, found {} of type {}",
            input.name, input.datatype
        )));
    }
    let count = rows_of(&input.shape, columns)?;
    let (values, encoding) = elements(input, &request.raw_input_contents)?;
    if values.len() != count * columns {
        return Err(refused(format!(
            "the shape {:?} has {} elements, the request carries {}",
            input.shape,
            count * columns,
            values.len()
        )));
    }
    Ok(Rows { count, values, encoding })
}

fn rows_of(shape: &[i64], columns: usize) -> Result<usize, Status> {
    match shape {
        [rows, found] if usize::try_from(*found) == Ok(columns) => {
            usize::try_from(*rows).ok().filter(|rows| (1..=ROWS_MAX).contains(rows))
        }
        _ => None,
    }
    .ok_or_else(|| refused(format!("expected the shape [1..{ROWS_MAX}, {columns}], found {shape:?}")))
}

fn elements(input: &InferInputTensor, raw: &[Bytes]) -> Result<(Vec<f32>, Encoding), Status> {
    let typed = input.contents.as_ref().filter(|contents| **contents != InferTensorContents::default());
    match (typed, raw) {
        (Some(contents), []) => Ok((contents.fp32_contents.clone(), Encoding::Typed)),
        (None, []) => Ok((Vec::new(), Encoding::Typed)),
        (None, [bytes]) => {
            let (words, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(refused(format!("{} raw bytes are no whole number of FP32", bytes.len())));
            }
            Ok((words.iter().map(|word| f32::from_le_bytes(*word)).collect(), Encoding::Raw))
        }
        (None, many) => Err(refused(format!("expected raw contents for one input, found {}", many.len()))),
        (Some(_), _) => Err(refused("typed and raw contents exclude each other".to_owned())),
    }
}

/// Writes the outputs that a request asks for, all if it names none, in its own encoding.
pub(super) fn write(
    request: &ModelInferRequest,
    encoding: Encoding,
    answers: Vec<(&str, Vec<f32>)>,
) -> Result<(Vec<InferOutputTensor>, Vec<Bytes>), Status> {
    let asked = |name: &str| request.outputs.is_empty() || request.outputs.iter().any(|one| one.name == name);
    if let Some(unknown) =
        request.outputs.iter().find(|one| answers.iter().all(|(name, _)| *name != one.name))
    {
        return Err(refused(format!("the model has no output {}", unknown.name)));
    }
    let (mut outputs, mut raw) = (Vec::new(), Vec::new());
    for (name, values) in answers.into_iter().filter(|(name, _)| asked(name)) {
        let rows = i64::try_from(values.len()).map_err(|_| refused("too many rows".to_owned()))?;
        let mut output = InferOutputTensor {
            name: name.to_owned(),
            datatype: FP32.to_owned(),
            shape: vec![rows, 1],
            ..InferOutputTensor::default()
        };
        match encoding {
            Encoding::Raw => raw.push(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Encoding::Typed => {
                output.contents =
                    Some(InferTensorContents { fp32_contents: values, ..InferTensorContents::default() });
            }
        }
        outputs.push(output);
    }
    Ok((outputs, raw))
}

fn refused(problem: String) -> Status {
    Status::invalid_argument(problem)
}
