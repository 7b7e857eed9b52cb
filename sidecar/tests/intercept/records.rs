//! What a record holds.

use bytes::Bytes;
use ledgerstone::entry::Mode;
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest};
use ledgerstone::record::{Value, schema};
use prost::Message as _;
use tonic::Code;

use super::peers::{Client, INFER, Model, framed};
use super::setup::{Decision, Sidecar};

const ROUTE: &str = r#"
[[route]]
name = "loans"
tenant = "first-bank"
use_case = "annex-iii-5b"
retention = "7y"
adverse = ["deny"]
subject = { parameter = "applicant" }
score = { tensor = "score" }
threshold = { value = 0.5, above = "approve", below = "deny" }
explanation = { parameter = "reasons", method = "handmade", version = "1" }
match = { model = "score" }
model = { name = "Loans 2026", digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
features = [{ tensor = "input", names = ["income", "debt ratio"] }]
"#;

fn text(text: &str) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(text.to_owned())) }
}

fn request(rows: &[[f32; 2]]) -> ModelInferRequest {
    let input = InferInputTensor {
        name: "input".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![i64::try_from(rows.len()).unwrap(), 2],
        ..InferInputTensor::default()
    };
    let raw: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    ModelInferRequest {
        model_name: "score".to_owned(),
        id: "req-1".to_owned(),
        parameters: [("applicant".to_owned(), text("A-17"))].into(),
        inputs: vec![input],
        raw_input_contents: vec![raw.into()],
        ..ModelInferRequest::default()
    }
}

async fn recorded(routes: &str, request: &ModelInferRequest) -> Decision {
    let model = Model::start().await;
    let sidecar = Sidecar::routed(model.addr, routes).await;
    let reply = Client::new(sidecar.addr).infer(request).await;
    assert_eq!(reply.code(), Code::Ok, "{}", reply.status().message());
    sidecar.decision()
}

/// Every path is known to the vocabulary, and its value is of the type given there.
fn assert_known(decision: &Decision) {
    for field in decision.content.record.fields() {
        let spec =
            schema::find(&field.path).unwrap_or_else(|| panic!("{} is not in the vocabulary", field.path));
        assert!(spec.shape.admits(&field.value), "{} is {:?}", field.path, field.value);
    }
}

#[tokio::test]
async fn maps_a_decision_as_the_route_says() {
    let decision = recorded(ROUTE, &request(&[[0.25, 0.5]])).await;
    for (path, value) in [
        ("decision/id", decision.entry.decision.unwrap().to_string().as_str()),
        ("decision/route", "loans"),
        ("decision/tenant", "first-bank"),
        ("decision/use_case", "annex-iii-5b"),
        ("decision/subject", "A-17"),
        ("decision/request_id", "req-1"),
        ("time/clock_source", "system"),
        ("caller/address", "127.0.0.1"),
        ("model/name", "score"),
        ("model/title", "Loans 2026"),
        ("model/version", "7"),
        ("input/observed", "true"),
        ("input/tensor/input/dtype", "FP32"),
        ("output/label", "deny"),
        ("outcome/action", "deny"),
        ("explanation/method", "handmade"),
        ("explanation/version", "1"),
        ("explanation/reason/[0]/code", "R1"),
        ("explanation/reason/[0]/text", "income is low"),
        ("explanation/reason/[1]/feature", "income"),
        ("privacy/key", "test"),
        ("privacy/retention_class", "7y"),
        ("delivery/mode", "strict"),
    ] {
        assert_eq!(decision.text(path), value, "{path}");
    }
    assert_eq!(decision.float("input/feature/income"), 0.25);
    assert_eq!(decision.float("input/feature/debt%20ratio"), 0.5);
    assert_eq!(decision.float("output/score/score"), 0.375);
    assert_eq!(decision.float("model/threshold"), 0.5);
    assert_eq!(decision.float("explanation/reason/[1]/contribution"), -0.5);
    assert_eq!(decision.value("outcome/adverse"), Some(Value::Bool(true)));
    assert_eq!(decision.value("execution/threads"), Some(Value::Int(1)));
    assert_eq!(decision.value("delivery/upstream_status"), Some(Value::Int(0)));
    assert_eq!(decision.digest("model/digest"), Hash::of(b""));
    for absent in ["output/error", "input/error", "execution/engine", "delivery/caller_gone"] {
        assert_eq!(decision.value(absent), None, "{absent}");
    }
    assert_known(&decision);
}

#[tokio::test]
async fn orders_the_times_and_says_how_the_entry_stands() {
    let decision = recorded(ROUTE, &request(&[[0.25, 0.5]])).await;
    let times: Vec<i128> = ["time/received", "time/model_started", "time/model_ended", "time/decided"]
        .iter()
        .map(|path| match decision.value(path) {
            Some(Value::Int(time)) => time,
            other => panic!("{path} is {other:?}"),
        })
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[0] > 1_700_000_000_000, "{times:?}");
    assert_eq!(decision.entry.mode, Some(Mode::Strict));
    assert_eq!(decision.entry.model, Some(Hash::of(b"")));
    assert!(decision.entry.policy.is_some());
    assert_eq!(decision.status(), 0);
    let id = decision.entry.decision.unwrap();
    assert_eq!(id.as_bytes()[6] >> 4, 7, "UUIDv7");
    assert_eq!(id.as_bytes()[8] >> 6, 2, "RFC 9562 variant");
}

#[tokio::test]
async fn puts_no_personal_value_into_the_entry() {
    // INV-8: the entry is public; the applicant, the features and the outcome are not.
    let decision = recorded(ROUTE, &request(&[[0.25, 0.5]])).await;
    let entry = decision.entry.encode().unwrap();
    let sealed_secret = decision.content.secret.as_bytes();
    for private in
        [b"A-17".as_slice(), b"income", b"deny", b"127.0.0.1", &0.25_f32.to_le_bytes(), sealed_secret]
    {
        assert!(
            !entry.windows(private.len()).any(|window| window == private),
            "{private:?} in the entry, INV-8"
        );
    }
}

#[tokio::test]
async fn records_a_batch_as_one_decision_with_the_row_at_the_end_of_each_path() {
    let decision = recorded(ROUTE, &request(&[[0.0, 0.5], [0.5, 0.5], [1.0, 1.0]])).await;
    assert_eq!(decision.float("input/feature/income/[2]"), 1.0);
    assert_eq!(decision.float("output/score/score/[0]"), 0.25);
    assert_eq!(decision.text("outcome/action/[0]"), "deny");
    assert_eq!(decision.text("outcome/action/[1]"), "approve", "a score equal to the threshold is above it");
    assert_eq!(decision.value("outcome/adverse/[0]"), Some(Value::Bool(true)));
    assert_eq!(decision.value("outcome/adverse/[2]"), Some(Value::Bool(false)));
    assert_eq!(decision.value("outcome/action"), None);
    assert_eq!(decision.text("decision/subject"), "A-17", "the parameter speaks for the whole call");
    assert_known(&decision);
}

#[tokio::test]
async fn refuses_a_batch_that_one_record_cannot_hold() {
    let model = Model::start().await;
    let sidecar = Sidecar::routed(model.addr, ROUTE).await;
    let client = Client::new(sidecar.addr);
    let reply = client.infer(&request(&[[0.5; 2]; 300])).await;
    assert_eq!(reply.code(), Code::ResourceExhausted);
    assert!(reply.status().message().contains("send at most 292 rows"), "{}", reply.status().message());
    assert_eq!(sidecar.decision().status(), u32::from(Code::ResourceExhausted as u16));
    let reply = client.infer(&request(&[[0.5; 2]; 292])).await;
    assert_eq!(reply.code(), Code::Ok, "{}", reply.status().message());
}

#[tokio::test]
async fn takes_labels_and_contributions_from_tensors() {
    let route = r#"
        [[route]]
        name = "loans"
        label = { tensor = "class", names = ["rejected", "accepted"] }
        actions = { rejected = "deny", accepted = "approve" }
        adverse = ["rejected"]
        explanation = { tensor = "contributions", method = "shap" }
        subject = { tensor = "input" }
        features = [{ tensor = "input", names = ["a", "b"] }]
    "#;
    let decision = recorded(route, &request(&[[0.0, 0.5], [1.0, 1.0]])).await;
    assert_eq!(decision.text("output/label/[0]"), "rejected");
    assert_eq!(decision.text("outcome/action/[1]"), "approve");
    assert_eq!(decision.value("outcome/adverse/[0]"), Some(Value::Bool(true)));
    assert_eq!(decision.text("explanation/reason/[1]/feature/[0]"), "b");
    assert_eq!(decision.float("explanation/reason/[1]/contribution/[0]"), 0.5);
    assert_eq!(decision.text("explanation/reason/[1]/direction/[0]"), "up");
    assert_eq!(decision.text("explanation/reason/[0]/direction/[0]"), "none");
    assert_eq!(decision.value("explanation/reason/[2]/contribution/[0]"), None, "the bias is no reason");
    assert_eq!(
        decision.value("decision/subject/[0]"),
        Some(Value::Null),
        "a float is no reference to a person"
    );
    assert_known(&decision);
}

#[tokio::test]
async fn says_what_the_mapping_did_not_find() {
    let route = r#"
        [[route]]
        name = "wrong"
        subject = { metadata = "x-applicant" }
        features = [{ tensor = "absent", names = ["a"] }]
        score = { tensor = "score", index = 3 }
        threshold = { value = 0.5, above = "approve", below = "deny" }
        explanation = { parameter = "absent" }
    "#;
    let decision = recorded(route, &request(&[[0.25, 0.5]])).await;
    assert!(decision.text("input/error").contains("tensor \"absent\""));
    let errors = decision.text("output/error");
    assert!(errors.contains("column 3 of tensor \"score\""), "{errors}");
    assert!(errors.contains("reasons from parameter \"absent\""), "{errors}");
    assert_eq!(decision.value("outcome/action"), None);
    assert_eq!(decision.value("decision/subject"), Some(Value::Null));
    assert_known(&decision);
}

#[tokio::test]
async fn takes_the_subject_from_metadata() {
    let model = Model::start().await;
    let route = "[[route]]\nname = \"a\"\nsubject = { metadata = \"x-applicant\" }";
    let sidecar = Sidecar::routed(model.addr, route).await;
    let body = framed(&request(&[[0.25, 0.5]]).encode_to_vec());
    Client::new(sidecar.addr).call(INFER, &[("x-applicant", "B-4")], body).await;
    assert_eq!(sidecar.decision().text("decision/subject"), "B-4");
}

#[tokio::test]
async fn hides_masked_fields_and_the_bytes_that_would_show_them() {
    let masked = format!("{ROUTE}\nmask = [{{ path = \"input/feature/income\", reason = \"not needed\" }}]");
    let decision = recorded(&masked, &request(&[[0.25, 0.5]])).await;
    assert_eq!(decision.value("input/feature/income"), None);
    assert_eq!(decision.float("input/feature/debt%20ratio"), 0.5);
    let paths = decision.paths();
    let pointers =
        paths.iter().filter(|path| path.starts_with("privacy/masked/") && path.ends_with("pointer"));
    let pointers: Vec<String> = pointers.map(|path| decision.text(path)).collect();
    assert_eq!(pointers, ["input/raw", "output/raw", "input/feature/income"]);
    assert_eq!(decision.text("privacy/masked/[2]/reason"), "not needed");
    assert_eq!(decision.content.request, None);
    assert_eq!(decision.content.response, None);
    assert_known(&decision);
}

#[tokio::test]
async fn keeps_only_digests_of_the_wire_where_the_route_says_so() {
    let route = "[[route]]\nname = \"a\"\nraw = \"digest\"";
    let request = request(&[[0.25, 0.5]]);
    let decision = recorded(route, &request).await;
    assert_eq!(decision.content.request, None);
    assert!(decision.value("input/raw_digest").is_some());
}

#[tokio::test]
async fn records_models_that_no_route_names() {
    let decision = recorded("", &request(&[[0.25, 0.5]])).await;
    assert_eq!(decision.text("decision/route"), "unrouted");
    assert_eq!(decision.text("input/observed"), "true");
    assert_eq!(decision.value("input/feature/income"), None);
    assert!(decision.content.request.is_some());
    assert_eq!(decision.entry.model, None);
    assert_known(&decision);
}

#[tokio::test]
async fn says_that_the_model_server_named_no_version() {
    let mut request = request(&[[0.25, 0.5]]);
    request.model_name = "echo".to_owned();
    request.model_version = "3".to_owned();
    let decision = recorded("", &request).await;
    assert_eq!(decision.value("model/version"), Some(Value::Null));
    assert_eq!(decision.text("model/version_requested"), "3");
}

#[tokio::test]
async fn never_takes_a_tensor_in_shared_memory_for_an_empty_one() {
    let mut request = request(&[[0.25, 0.5]]);
    request.model_name = "echo".to_owned();
    let region = text("region0");
    request.inputs[0].parameters.insert("shared_memory_region".to_owned(), region.clone());
    request.raw_input_contents.clear();
    let decision = recorded("", &request).await;
    assert_eq!(decision.text("input/observed"), "false");
    assert_eq!(decision.value("input/tensor/input/digest"), None);
    assert!(decision.text("input/error").contains("shared memory"));
    assert_known(&decision);

    let mut both = request.clone();
    let seen = InferInputTensor {
        name: "seen".to_owned(),
        datatype: "INT8".to_owned(),
        shape: vec![1],
        ..InferInputTensor::default()
    };
    both.inputs.push(seen);
    both.raw_input_contents = vec![Bytes::from_static(&[1])];
    let decision = recorded("", &both).await;
    assert_eq!(decision.text("input/observed"), "partial");
    assert!(decision.value("input/tensor/seen/digest").is_some());
}

#[tokio::test]
async fn makes_the_same_record_of_one_request_twice_but_for_ids_and_times() {
    let model = Model::start().await;
    let sidecar = Sidecar::routed(model.addr, ROUTE).await;
    let client = Client::new(sidecar.addr);
    for _ in 0..2 {
        client.infer(&request(&[[0.25, 0.5]])).await;
    }
    let [one, other] = <[Decision; 2]>::try_from(sidecar.decisions()).unwrap();
    assert_eq!(one.paths(), other.paths());
    for (a, b) in one.content.record.fields().iter().zip(other.content.record.fields()) {
        let path = a.path.as_str();
        // The model server writes the parameters of its answer in any order.
        let varies = matches!(path, "decision/id" | "output/raw_digest") || path.starts_with("time/");
        assert!(varies || a.value == b.value, "{}", a.path);
    }
    assert_ne!(one.content.secret.as_bytes(), other.content.secret.as_bytes());
    assert_ne!(one.entry.commitment, other.entry.commitment);
}
