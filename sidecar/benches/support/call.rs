//! One call of a model, and a recorder whose log takes everything and keeps nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ledgerstone::entry::{Entry, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use ledgerstone_sidecar::intercept::{
    Append, Appending, Recorder, RouteConfig, Routes, Session, SessionOptions,
};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::metrics::Metrics;
use prost::Message as _;

struct Nowhere;

impl Append for Nowhere {
    fn append(&self, _entry: Entry, _sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async { Ok(LeafIndex::new(0)) })
    }
}

pub(crate) fn recorder(routes: &[RouteConfig]) -> Recorder {
    let options = SessionOptions {
        writer: WriterName::parse("bench").unwrap(),
        id: SessionId::from_bytes([1; 16]),
        version: "0".to_owned(),
        configuration: Hash::of(b""),
        previous: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let session = runtime.block_on(Session::start(Arc::new(Nowhere), options)).unwrap();
    let keys = FileKeyProvider::from_key(KeyId::new("bench").unwrap(), &[7; 32]);
    let routes = Routes::build(routes, Path::new(".")).unwrap();
    Recorder::new(session, Arc::new(keys), routes, "bench.example/log", Metrics::new().unwrap())
}

fn framed(message: &[u8]) -> Bytes {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    body.into()
}

/// A request with one tensor of `floats` and with `parameters`.
pub(crate) fn request<const N: usize>(floats: usize, parameters: [(&str, InferParameter); N]) -> Bytes {
    let input = InferInputTensor {
        name: "input".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, i64::try_from(floats).unwrap()],
        ..InferInputTensor::default()
    };
    let request = ModelInferRequest {
        model_name: "loans".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        inputs: vec![input],
        raw_input_contents: vec![vec![0x3f; floats * 4].into()],
        ..ModelInferRequest::default()
    };
    framed(&request.encode_to_vec())
}

pub(crate) fn response() -> Bytes {
    let output = InferOutputTensor {
        name: "predict".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 1],
        ..InferOutputTensor::default()
    };
    let response = ModelInferResponse {
        model_name: "loans".to_owned(),
        model_version: "1".to_owned(),
        outputs: vec![output],
        raw_output_contents: vec![0.7_f32.to_le_bytes().to_vec().into()],
        ..ModelInferResponse::default()
    };
    framed(&response.encode_to_vec())
}
