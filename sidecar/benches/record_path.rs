//! What recording costs the processor for each decision: reading the call, mapping its fields, committing to them, sealing.
//! No socket, no log, no `fdatasync`: those are waiting, not work, and `examples/load.rs` measures them.
//!
//! `cargo bench -p ledgerstone-sidecar --bench record_path`
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may stop where it fails")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::entry::{Entry, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{ModelInferRequest, ModelInferResponse};
use ledgerstone_sidecar::intercept::{
    Append, Appending, Recorder, RouteConfig, Routes, Session, SessionOptions, measure,
};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::metrics::Metrics;
use prost::Message as _;

/// A log that takes everything and keeps nothing.
struct Nowhere;

impl Append for Nowhere {
    fn append(&self, _entry: Entry, _sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async { Ok(LeafIndex::new(0)) })
    }
}

fn recorder(routes: &[RouteConfig]) -> Recorder {
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

/// Ten named features, a score, a threshold: the usual lending call.
fn mapped() -> RouteConfig {
    toml::from_str(
        r#"
        name = "loans"
        adverse = ["deny"]
        score = { tensor = "predict" }
        threshold = { value = 0.5, above = "approve", below = "deny" }
        features = [{ tensor = "input", names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] }]
        "#,
    )
    .unwrap()
}

fn framed(message: &[u8]) -> Bytes {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    body.into()
}

fn request(floats: usize) -> Bytes {
    let input = InferInputTensor {
        name: "input".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, i64::try_from(floats).unwrap()],
        ..InferInputTensor::default()
    };
    let request = ModelInferRequest {
        model_name: "loans".to_owned(),
        inputs: vec![input],
        raw_input_contents: vec![vec![0x3f; floats * 4].into()],
        ..ModelInferRequest::default()
    };
    framed(&request.encode_to_vec())
}

fn response() -> Bytes {
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

fn record_path(criterion: &mut Criterion) {
    let named = recorder(&[mapped()]);
    let unnamed = recorder(&[]);
    let response = response();
    let mut group = criterion.benchmark_group("record_path");
    for (name, recorder, request) in [
        ("10_features", &named, request(10)),
        ("1_kib_by_digest", &unnamed, request(256)),
        ("10_kib_by_digest", &unnamed, request(2560)),
    ] {
        assert!(measure::decision(recorder, &request, &response).is_some(), "{name} is refused");
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| measure::decision(recorder, &request, &response));
        });
    }
    group.finish();
}

criterion_group!(benches, record_path);
criterion_main!(benches);
