//! The protocol's two encodings of a tensor: typed contents beside each tensor, or raw bytes at the message's end.

use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferTensorContents, ModelInferRequest};
use prost::bytes::Bytes;
use tonic::Status;

/// Rows of one request.
const ROWS_MAX: usize = 4096;

/// Bytes before each text in raw contents: its length.
const LENGTH_BYTES: usize = 4;

/// An element of a tensor.
pub trait Element: Sized + Clone {
    /// The protocol's name of its type.
    const DATATYPE: &str;

    /// Elements as typed contents.
    fn to_typed(values: Vec<Self>) -> InferTensorContents;

    /// The elements of typed contents.
    fn from_typed(contents: &InferTensorContents) -> Option<Vec<Self>>;

    /// Elements as raw bytes.
    fn to_raw(values: &[Self]) -> Bytes;

    /// The elements of raw bytes, if they are a whole number of elements.
    fn from_raw(bytes: &[u8]) -> Option<Vec<Self>>;
}

/// An element of a fixed number of bytes.
macro_rules! number {
    ($type:ty, $datatype:literal, $contents:ident, $bytes:literal) => {
        impl Element for $type {
            const DATATYPE: &str = $datatype;

            fn to_typed(values: Vec<Self>) -> InferTensorContents {
                InferTensorContents { $contents: values, ..InferTensorContents::default() }
            }

            fn from_typed(contents: &InferTensorContents) -> Option<Vec<Self>> {
                Some(contents.$contents.clone())
            }

            fn to_raw(values: &[Self]) -> Bytes {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            }

            fn from_raw(bytes: &[u8]) -> Option<Vec<Self>> {
                let (words, rest) = bytes.as_chunks::<$bytes>();
                rest.is_empty().then(|| words.iter().map(|word| Self::from_le_bytes(*word)).collect())
            }
        }
    };
}

number!(f32, "FP32", fp32_contents, 4);
number!(f64, "FP64", fp64_contents, 8);
number!(u32, "UINT32", uint_contents, 4);

impl Element for String {
    const DATATYPE: &str = "BYTES";

    fn to_typed(values: Vec<Self>) -> InferTensorContents {
        let bytes_contents = values.into_iter().map(|text| text.into_bytes().into()).collect();
        InferTensorContents { bytes_contents, ..InferTensorContents::default() }
    }

    fn from_typed(contents: &InferTensorContents) -> Option<Vec<Self>> {
        contents.bytes_contents.iter().map(|text| Self::from_utf8(text.to_vec()).ok()).collect()
    }

    fn to_raw(values: &[Self]) -> Bytes {
        let mut bytes = Vec::new();
        for text in values {
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.into()
    }

    fn from_raw(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut texts = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() {
            let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            texts.push(Self::from_utf8(text.to_vec()).ok()?);
            bytes = rest;
        }
        bytes.is_empty().then_some(texts)
    }
}

/// The elements of the one input tensor `name` of a request, row by row of `columns` elements.
///
/// # Errors
/// What was expected, where the request does not fit.
pub fn rows<T: Element>(request: &ModelInferRequest, name: &str, columns: usize) -> Result<Vec<T>, Status> {
    let [input] = request.inputs.as_slice() else {
        return Err(refused(format!("expected one input, {name}; found {}", request.inputs.len())));
    };
    if input.name != name || input.datatype != T::DATATYPE {
        return Err(refused(format!(
            "expected the input {name} of type {}, found {} of type {}",
            T::DATATYPE,
            input.name,
            input.datatype
        )));
    }
    let count = rows_of(&input.shape, columns)?;
    let values = elements::<T>(input, &request.raw_input_contents)?;
    if values.len() != count * columns {
        return Err(refused(format!(
            "the shape {:?} has {} elements, the request carries {}",
            input.shape,
            count * columns,
            values.len()
        )));
    }
    Ok(values)
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

fn elements<T: Element>(input: &InferInputTensor, raw: &[Bytes]) -> Result<Vec<T>, Status> {
    let typed = input.contents.as_ref().filter(|contents| **contents != InferTensorContents::default());
    let unreadable =
        |length: usize| refused(format!("{length} bytes are no whole number of {}", T::DATATYPE));
    match (typed, raw) {
        (Some(contents), []) => {
            T::from_typed(contents).ok_or_else(|| refused("a text is not UTF-8".to_owned()))
        }
        (None, []) => Ok(Vec::new()),
        (None, [bytes]) => T::from_raw(bytes).ok_or_else(|| unreadable(bytes.len())),
        (None, many) => Err(refused(format!("expected raw contents for one input, found {}", many.len()))),
        (Some(_), _) => Err(refused("typed and raw contents exclude each other".to_owned())),
    }
}

/// An output tensor in both encodings.
#[derive(Clone, Debug)]
pub struct Output {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
    typed: InferTensorContents,
    raw: Bytes,
}

impl Output {
    /// A tensor of rows of one element.
    #[must_use]
    pub fn column<T: Element>(name: &'static str, values: Vec<T>) -> Self {
        let rows = i64::try_from(values.len()).unwrap_or(i64::MAX);
        Self::new(name, vec![rows, 1], values)
    }

    /// A tensor of one row.
    #[must_use]
    pub fn row<T: Element>(name: &'static str, values: Vec<T>) -> Self {
        let columns = i64::try_from(values.len()).unwrap_or(i64::MAX);
        Self::new(name, vec![1, columns], values)
    }

    /// A tensor of rows of so many elements.
    #[must_use]
    pub fn table<T: Element>(name: &'static str, columns: usize, values: Vec<T>) -> Self {
        let rows = i64::try_from(values.len().checked_div(columns).unwrap_or(0)).unwrap_or(i64::MAX);
        Self::new(name, vec![rows, i64::try_from(columns).unwrap_or(i64::MAX)], values)
    }

    fn new<T: Element>(name: &'static str, shape: Vec<i64>, values: Vec<T>) -> Self {
        let raw = T::to_raw(&values);
        Self { name, datatype: T::DATATYPE, shape, typed: T::to_typed(values), raw }
    }
}

/// The outputs that a request asks for, all if it names none, in its own encoding.
///
/// # Errors
/// If it asks for an output that the model does not have.
pub(crate) fn write(
    request: &ModelInferRequest,
    answers: Vec<Output>,
) -> Result<(Vec<InferOutputTensor>, Vec<Bytes>), Status> {
    let asked = |name: &str| request.outputs.is_empty() || request.outputs.iter().any(|one| one.name == name);
    if let Some(unknown) =
        request.outputs.iter().find(|one| answers.iter().all(|answer| answer.name != one.name))
    {
        return Err(refused(format!("the model has no output {}", unknown.name)));
    }
    let is_raw = !request.raw_input_contents.is_empty();
    let (mut outputs, mut raw) = (Vec::new(), Vec::new());
    for answer in answers.into_iter().filter(|answer| asked(answer.name)) {
        outputs.push(InferOutputTensor {
            name: answer.name.to_owned(),
            datatype: answer.datatype.to_owned(),
            shape: answer.shape,
            contents: (!is_raw).then_some(answer.typed),
            ..InferOutputTensor::default()
        });
        if is_raw {
            raw.push(answer.raw);
        }
    }
    Ok((outputs, raw))
}

fn refused(problem: String) -> Status {
    Status::invalid_argument(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<T: Element>(row: &[T]) -> ModelInferRequest {
        crate::client::request("m", "1", &[], "in", row).unwrap()
    }

    fn texts() -> Vec<String> {
        ["", "fever since Monday", "Fieber"].map(str::to_owned).to_vec()
    }

    #[test]
    fn every_type_is_read_as_it_was_written_in_both_encodings() {
        fn both<T: Element + PartialEq + std::fmt::Debug>(values: &[T]) {
            let mut request = request(values);
            assert_eq!(rows::<T>(&request, "in", values.len()).unwrap(), values);
            request.raw_input_contents.clear();
            request.inputs[0].contents = Some(T::to_typed(values.to_vec()));
            assert_eq!(rows::<T>(&request, "in", values.len()).unwrap(), values);
        }
        both(&[1.5_f32, -0.0]);
        both(&[1e-300_f64, 2.0]);
        both(&[7_u32, u32::MAX]);
        both(&texts());
    }

    #[test]
    fn refuses_texts_that_are_cut_or_not_utf8() {
        let whole = request(&texts());
        let length = whole.raw_input_contents[0].len();
        for cut in [1, 3, 9, length - 1] {
            let mut request = whole.clone();
            request.raw_input_contents[0].truncate(cut);
            assert!(rows::<String>(&request, "in", 3).is_err(), "{cut}");
        }
        let mut request = whole;
        request.raw_input_contents[0] = [&[1, 0, 0, 0, 0xff][..]].concat().into();
        assert!(rows::<String>(&request, "in", 1).is_err());
    }

    #[test]
    fn an_output_has_the_shape_that_was_said() {
        let (outputs, raw) = write(
            &request(&[1_u32]),
            vec![Output::row("tokens", vec![1_u32, 2]), Output::column("p", vec![0.5_f64])],
        )
        .unwrap();
        assert_eq!((&outputs[0].shape, &outputs[1].shape), (&vec![1, 2], &vec![1, 1]));
        assert_eq!((raw[0].len(), raw[1].len()), (8, 8));
    }
}
