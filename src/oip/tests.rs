#![allow(clippy::cast_possible_truncation, reason = "a random number is cut to the width of each datatype")]

use crate::record::schema::tensor_digest;
use proptest::prelude::*;

use super::*;

fn digest(tensor: &Tensor) -> crate::hash::Hash {
    let elements = tensor.elements().unwrap();
    tensor_digest(&tensor.name, elements.dtype.as_str(), &tensor.shape, elements.bytes())
}

/// One tensor's elements, in both encodings of the wire.
#[derive(Clone, Debug)]
struct Both {
    dtype: Dtype,
    count: usize,
    contents: InferTensorContents,
    raw: Vec<u8>,
}

fn both(dtype: Dtype, seeds: &[u64]) -> Both {
    let mut contents = InferTensorContents::default();
    let mut raw = Vec::new();
    for &seed in seeds {
        match dtype {
            Dtype::Bool => {
                contents.bool_contents.push(seed % 2 == 1);
                raw.push((seed % 2) as u8);
            }
            Dtype::Uint8 => {
                contents.uint_contents.push(seed as u8 as u32);
                raw.extend((seed as u8).to_le_bytes());
            }
            Dtype::Uint16 => {
                contents.uint_contents.push(seed as u16 as u32);
                raw.extend((seed as u16).to_le_bytes());
            }
            Dtype::Uint32 => {
                contents.uint_contents.push(seed as u32);
                raw.extend((seed as u32).to_le_bytes());
            }
            Dtype::Uint64 => {
                contents.uint64_contents.push(seed);
                raw.extend(seed.to_le_bytes());
            }
            Dtype::Int8 => {
                contents.int_contents.push(seed as i8 as i32);
                raw.extend((seed as i8).to_le_bytes());
            }
            Dtype::Int16 => {
                contents.int_contents.push(seed as i16 as i32);
                raw.extend((seed as i16).to_le_bytes());
            }
            Dtype::Int32 => {
                contents.int_contents.push(seed as i32);
                raw.extend((seed as i32).to_le_bytes());
            }
            Dtype::Int64 => {
                contents.int64_contents.push(seed as i64);
                raw.extend((seed as i64).to_le_bytes());
            }
            Dtype::Fp32 => {
                let value = f32::from_bits(seed as u32);
                contents.fp32_contents.push(value);
                raw.extend(value.to_le_bytes());
            }
            Dtype::Fp64 => {
                contents.fp64_contents.push(f64::from_bits(seed));
                raw.extend(seed.to_le_bytes());
            }
            Dtype::Bytes => {
                let text = seed.to_string();
                raw.extend((text.len() as u32).to_le_bytes());
                raw.extend(text.as_bytes());
                contents.bytes_contents.push(text.into());
            }
            Dtype::Fp16 | Dtype::Bf16 => unreachable!("raw only"),
        }
    }
    Both { dtype, count: seeds.len(), contents, raw }
}

fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

fn request(inputs: Vec<InferInputTensor>, raw: Vec<Vec<u8>>) -> ModelInferRequest {
    ModelInferRequest {
        inputs,
        raw_input_contents: raw.into_iter().map(Bytes::from).collect(),
        ..ModelInferRequest::default()
    }
}

fn shared_memory(mut tensor: InferInputTensor) -> InferInputTensor {
    let region =
        InferParameter { parameter_choice: Some(ParameterChoice::StringParam("region0".to_owned())) };
    tensor.parameters.insert(SHARED_MEMORY.to_owned(), region);
    tensor
}

fn refused(request: &ModelInferRequest) -> String {
    inputs(request).unwrap_err().to_string()
}

fn with_list() -> impl Strategy<Value = Dtype> {
    let listed = |dtype: &Dtype| !matches!(dtype, Dtype::Fp16 | Dtype::Bf16);
    prop::sample::select(Dtype::ALL.into_iter().filter(listed).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn digests_a_tensor_alike_in_both_encodings(
        dtype in with_list(),
        seeds in prop::collection::vec(any::<u64>(), 0..20),
    ) {
        let both = both(dtype, &seeds);
        let shape = [1, both.count as i64];
        let mut listed = input("x", both.dtype.as_str(), &shape);
        listed.contents = Some(both.contents);
        let listed = inputs(&request(vec![listed], vec![])).unwrap();
        let raw = input("x", both.dtype.as_str(), &shape);
        let raw = inputs(&request(vec![raw], vec![both.raw])).unwrap();
        prop_assert_eq!(digest(&listed[0]), digest(&raw[0]));
        let [listed, raw] = [&listed, &raw].map(|t| t[0].elements().unwrap());
        prop_assert_eq!(listed.bytes(), raw.bytes());
        prop_assert_eq!(listed.iter().count(), both.count);
    }

    #[test]
    fn never_panics_on_a_message_that_decodes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        use prost::Message as _;
        if let Ok(request) = ModelInferRequest::decode(bytes.as_slice()) {
            let _ = inputs(&request);
        }
    }
}

#[test]
fn tells_shapes_and_datatypes_of_the_same_bytes_apart() {
    let digest = |datatype: &str, shape: &[i64]| {
        let tensors = inputs(&request(vec![input("x", datatype, shape)], vec![vec![0; 8]]));
        digest(&tensors.unwrap()[0])
    };
    let digests = [
        digest("FP32", &[2]),
        digest("FP32", &[1, 2]),
        digest("FP32", &[2, 1]),
        digest("INT32", &[2]),
        digest("FP64", &[1]),
        digest("BYTES", &[2]),
    ];
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn reads_every_datatype_from_raw_contents() {
    let values: Vec<(&str, Vec<u8>, Element<'_>)> = vec![
        ("BOOL", vec![1], Element::Bool(true)),
        ("UINT8", vec![200], Element::Int(200)),
        ("UINT16", vec![1, 2], Element::Int(513)),
        ("UINT32", vec![1, 0, 0, 255], Element::Int(0xff00_0001)),
        ("UINT64", vec![255; 8], Element::Int(u64::MAX.into())),
        ("INT8", vec![200], Element::Int(-56)),
        ("INT16", vec![255, 255], Element::Int(-1)),
        ("INT32", vec![254, 255, 255, 255], Element::Int(-2)),
        ("INT64", vec![255; 8], Element::Int(-1)),
        ("FP16", vec![0, 0x3c], Element::Float(1.0)),
        ("FP32", 0.25_f32.to_le_bytes().to_vec(), Element::Float(0.25)),
        ("FP64", 0.1_f64.to_le_bytes().to_vec(), Element::Float(0.1)),
        ("BYTES", vec![2, 0, 0, 0, b'h', b'i'], Element::Bytes(b"hi")),
        ("BF16", vec![0x80, 0x3f], Element::Float(1.0)),
    ];
    assert_eq!(values.len(), Dtype::ALL.len());
    for (datatype, raw, value) in values {
        let tensors = inputs(&request(vec![input("x", datatype, &[1])], vec![raw])).unwrap();
        let elements: Vec<_> = tensors[0].elements().unwrap().iter().collect();
        assert_eq!(elements, [value], "{datatype}");
    }
}

#[test]
fn refuses_shapes_that_disagree_with_the_elements() {
    let mut listed = input("x", "FP32", &[1, 3]);
    listed.contents =
        Some(InferTensorContents { fp32_contents: vec![1.0, 2.0], ..InferTensorContents::default() });
    assert_eq!(
        refused(&request(vec![listed], vec![])),
        "tensor \"x\": its shape asks for 3 elements and its contents hold 2"
    );
    assert_eq!(
        refused(&request(vec![input("x", "FP32", &[1, 3])], vec![vec![0; 8]])),
        "tensor \"x\": its shape and datatype ask for 12 bytes and its raw contents hold 8"
    );
    let bytes = request(vec![input("x", "BYTES", &[2])], vec![vec![0; 4]]);
    assert!(refused(&bytes).contains("asks for 2 elements"));
    let cut = request(vec![input("x", "BYTES", &[1])], vec![vec![9, 0, 0, 0, 1]]);
    assert!(refused(&cut).contains("do not add up"));
    let none = request(vec![input("x", "FP32", &[1])], vec![]);
    assert!(refused(&none).contains("asks for 1 elements and its contents hold 0"));
}

#[test]
fn refuses_shapes_that_are_none() {
    for shape in [&[-1][..], &[2, i64::MIN], &[i64::MAX, 3]] {
        let request = request(vec![input("x", "INT8", shape)], vec![]);
        assert!(refused(&request).contains("is not a shape"), "{shape:?}");
    }
    let huge = request(vec![input("x", "FP64", &[i64::MAX])], vec![vec![]]);
    assert!(refused(&huge).contains("ask for 18446744073709551615 bytes"));
}

#[test]
fn refuses_elements_in_the_wrong_list_and_out_of_range() {
    let listed = |datatype: &str, contents: InferTensorContents| {
        let mut tensor = input("x", datatype, &[1]);
        tensor.contents = Some(contents);
        refused(&request(vec![tensor], vec![]))
    };
    let doubles = InferTensorContents { fp64_contents: vec![1.0], ..InferTensorContents::default() };
    assert!(listed("FP32", doubles.clone()).contains("not in the list"));
    assert!(listed("FP16", doubles).contains("not in the list"));
    let big = InferTensorContents { int_contents: vec![128], ..InferTensorContents::default() };
    assert!(listed("INT8", big).contains("element 0 does not fit"));
}

#[test]
fn refuses_one_tensor_in_two_encodings() {
    let mut tensor = input("x", "INT8", &[1]);
    tensor.contents = Some(InferTensorContents { int_contents: vec![1], ..InferTensorContents::default() });
    let request = request(vec![tensor], vec![vec![1]]);
    assert!(refused(&request).contains("send one of them"));
}

#[test]
fn refuses_raw_contents_that_do_not_pair_with_the_tensors() {
    let request = request(vec![input("x", "INT8", &[1])], vec![vec![1], vec![2]]);
    assert!(refused(&request).contains("1 tensors and 2 raw contents"));
}

#[test]
fn refuses_messages_past_the_limits() {
    let many = (0..=TENSORS_MAX).map(|i| input(&i.to_string(), "INT8", &[0]));
    assert!(refused(&request(many.collect(), vec![])).contains("257 tensors; the limit is 256"));
    let long = input(&"x".repeat(TENSOR_NAME_BYTES_MAX + 1), "INT8", &[0]);
    assert!(refused(&request(vec![long], vec![])).contains("bytes in a tensor's name"));
    let deep = input("x", "INT8", &[1; DIMENSIONS_MAX + 1]);
    assert!(refused(&request(vec![deep], vec![])).contains("dimensions"));
    let twice = vec![input("x", "INT8", &[0]), input("x", "INT8", &[0])];
    assert!(refused(&request(twice, vec![])).contains("there twice"));
}

#[test]
fn tells_shared_memory_apart_from_an_empty_tensor() {
    let there = input("y", "INT8", &[1]);
    let elsewhere = shared_memory(input("x", "FP32", &[1, 10]));
    let tensors = inputs(&request(vec![elsewhere, there], vec![vec![7]])).unwrap();
    assert_eq!(tensors[0].content.to_string(), "shared memory");
    assert!(tensors[0].elements().is_none());
    assert_eq!(tensors[1].content.to_string(), "1 elements");
    let empty = inputs(&request(vec![input("x", "FP32", &[0])], vec![])).unwrap();
    assert_eq!(empty[0].elements().unwrap().count, 0);
}

#[test]
fn says_that_it_cannot_read_a_datatype_it_does_not_know() {
    let tensors = inputs(&request(vec![input("x", "INT4", &[2])], vec![vec![7]])).unwrap();
    assert_eq!(tensors[0].content.to_string(), "unknown datatype");
}
