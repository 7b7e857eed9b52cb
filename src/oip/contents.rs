//! Typed `contents` to canonical bytes.

use crate::proto::inference::InferTensorContents;
use bytes::Bytes;

use super::{Contradiction, Dtype};

/// Whether any list has elements.
pub(super) fn is_some(contents: &InferTensorContents) -> bool {
    lengths(contents).iter().any(|&length| length > 0)
}

/// Number of elements and canonical bytes of the list that belongs to `dtype`; every other list must be empty.
pub(super) fn canonical(
    dtype: Dtype,
    contents: &InferTensorContents,
) -> Result<(usize, Bytes), Contradiction> {
    let all: usize = lengths(contents).iter().sum();
    let (count, bytes) = match dtype {
        Dtype::Bool => list(&contents.bool_contents, |&v| Some([u8::from(v)])),
        Dtype::Int8 => list(&contents.int_contents, |&v| i8::try_from(v).ok().map(i8::to_le_bytes)),
        Dtype::Int16 => list(&contents.int_contents, |&v| i16::try_from(v).ok().map(i16::to_le_bytes)),
        Dtype::Int32 => list(&contents.int_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Int64 => list(&contents.int64_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Uint8 => list(&contents.uint_contents, |&v| u8::try_from(v).ok().map(u8::to_le_bytes)),
        Dtype::Uint16 => list(&contents.uint_contents, |&v| u16::try_from(v).ok().map(u16::to_le_bytes)),
        Dtype::Uint32 => list(&contents.uint_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Uint64 => list(&contents.uint64_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Fp32 => list(&contents.fp32_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Fp64 => list(&contents.fp64_contents, |&v| Some(v.to_le_bytes())),
        Dtype::Bytes => texts(&contents.bytes_contents),
        // The protocol has no list for the two 16-bit floats: they travel as raw contents only.
        Dtype::Fp16 | Dtype::Bf16 => Ok((0, Bytes::new())),
    }?;
    if all != count {
        return Err(Contradiction::WrongList);
    }
    Ok((count, bytes))
}

fn lengths(contents: &InferTensorContents) -> [usize; 8] {
    [
        contents.bool_contents.len(),
        contents.int_contents.len(),
        contents.int64_contents.len(),
        contents.uint_contents.len(),
        contents.uint64_contents.len(),
        contents.fp32_contents.len(),
        contents.fp64_contents.len(),
        contents.bytes_contents.len(),
    ]
}

fn list<T, const N: usize>(
    values: &[T],
    encode: impl Fn(&T) -> Option<[u8; N]>,
) -> Result<(usize, Bytes), Contradiction> {
    let mut bytes = Vec::with_capacity(values.len() * N);
    for (place, value) in values.iter().enumerate() {
        bytes.extend(encode(value).ok_or(Contradiction::Range(place))?);
    }
    Ok((values.len(), bytes.into()))
}

fn texts(values: &[Bytes]) -> Result<(usize, Bytes), Contradiction> {
    let mut bytes = Vec::with_capacity(values.iter().map(|value| value.len() + 4).sum());
    for (place, value) in values.iter().enumerate() {
        let length = u32::try_from(value.len()).map_err(|_| Contradiction::Range(place))?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(value);
    }
    Ok((values.len(), bytes.into()))
}
