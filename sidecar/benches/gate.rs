//! What a policy gate costs a decision: the work of `record_path` with five rules and without any.
//!
//! `cargo bench -p ledgerstone-sidecar --bench gate`; `-- --test` runs each once. The last line is the difference, measured in
//! turns within one run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may stop where it fails"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group};
use ledgerstone::entry::{Entry, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use ledgerstone_sidecar::intercept::{
    Append, Appending, Recorder, RouteConfig, Routes, Session, SessionOptions, measure,
};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::metrics::Metrics;
use prost::Message as _;

const ROUTE: &str = r#"
name = "loans"
purpose = "credit"
adverse = ["deny"]
subject = { parameter = "applicant" }
score = { tensor = "predict" }
threshold = { value = 0.5, above = "approve", below = "deny" }
features = [{ tensor = "input", names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "loan amount"] }]
"#;

/// The four questions of `docs/gate.md` and one more.
const RULES: &str = r#"
[[gate]]
name = "consent"
when = "request"
rule = "has(input.parameter.consent) && input.parameter.consent == true"

[[gate]]
name = "person"
when = "request"
rule = "subject.present && input.observed == 'true'"

[[gate]]
name = "purpose"
when = "request"
rule = "purpose in ['credit', 'renewal'] && input.parameter.channel in ['branch', 'web', 'phone']"

[[gate]]
name = "model"
when = "answer"
rule = "model.name.matches('^loans(-[a-z0-9]+)?$') && model.version != null"

[[gate]]
name = "large-or-close"
when = "answer"
rule = "input.feature['loan amount'] < 250000.0 && !(output.score.predict > 0.4 && output.score.predict < 0.6)"
otherwise = "review"
"#;

/// A log that takes everything and keeps nothing.
struct Nowhere;

impl Append for Nowhere {
    fn append(&self, _entry: Entry, _sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async { Ok(LeafIndex::new(0)) })
    }
}

fn recorder(route: &str) -> Recorder {
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
    let route: RouteConfig = toml::from_str(route).unwrap();
    let routes = Routes::build(&[route], Path::new(".")).unwrap();
    Recorder::new(session, Arc::new(keys), routes, "bench.example/log", Metrics::new().unwrap())
}

fn framed(message: &[u8]) -> Bytes {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    body.into()
}

fn request() -> Bytes {
    let input = InferInputTensor {
        name: "input".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 10],
        ..InferInputTensor::default()
    };
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    let text = |text: &str| parameter(ParameterChoice::StringParam(text.to_owned()));
    let request = ModelInferRequest {
        model_name: "loans".to_owned(),
        parameters: [
            ("applicant".to_owned(), text("A-17")),
            ("channel".to_owned(), text("web")),
            ("consent".to_owned(), parameter(ParameterChoice::BoolParam(true))),
        ]
        .into(),
        inputs: vec![input],
        raw_input_contents: vec![vec![0x3f; 40].into()],
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

fn gate(criterion: &mut Criterion) {
    let (without, with) = (recorder(ROUTE), recorder(&format!("{ROUTE}{RULES}")));
    let (request, response) = (request(), response());
    let mut group = criterion.benchmark_group("gate");
    for (name, recorder) in [("no_rules", &without), ("five_rules", &with)] {
        assert!(measure::decision(recorder, &request, &response).is_some(), "{name} is refused");
        group.bench_function(name, |bencher| {
            bencher.iter(|| measure::decision(recorder, &request, &response));
        });
    }
    group.finish();
}

/// The medians of turns, one without rules and one with them, so that a busy machine slows both.
fn difference() {
    const TURNS: usize = 400;
    const DECISIONS: u32 = 50;
    let (without, with) = (recorder(ROUTE), recorder(&format!("{ROUTE}{RULES}")));
    let (request, response) = (request(), response());
    let time = |recorder: &Recorder| {
        let started = Instant::now();
        for _ in 0..DECISIONS {
            assert!(measure::decision(recorder, &request, &response).is_some());
        }
        started.elapsed() / DECISIONS
    };
    let (mut bare, mut gated) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.push(time(&without));
        gated.push(time(&with));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (bare, gated) = (median(&mut bare), median(&mut gated));
    println!("gate: {bare:.1} us a decision without rules, {gated:.1} us with five: {:.1} us", gated - bare);
}

criterion_group!(benches, gate);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        difference();
    }
}
