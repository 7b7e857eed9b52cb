use bytes::Bytes;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use prost::Message as _;

use super::super::frame;
use super::super::route::{RouteConfig, Routes};
use super::*;
use ledgerstone::oip;

fn route(text: &str) -> std::sync::Arc<Route> {
    let config: RouteConfig = toml::from_str(&format!("name = \"r\"\n{text}")).unwrap();
    let routes = Routes::build(&[config], std::path::Path::new(".")).unwrap();
    std::sync::Arc::clone(routes.for_model("m"))
}

fn framed(message: &[u8]) -> Bytes {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    body.into()
}

fn asked(tensor: &str, datatype: &str, shape: &[i64], raw: &[u8]) -> Asked {
    let input = InferInputTensor {
        name: tensor.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    };
    let request = ModelInferRequest {
        model_name: "m".to_owned(),
        inputs: vec![input],
        raw_input_contents: vec![Bytes::copy_from_slice(raw)],
        ..ModelInferRequest::default()
    };
    let (asked, refusal) = Asked::read(framed(&request.encode_to_vec()), None, 1 << 20);
    assert!(refusal.is_none(), "{refusal:?}");
    asked
}

fn answered(tensor: &str, datatype: &str, shape: &[i64], raw: &[u8]) -> Answered {
    let output = InferOutputTensor {
        name: tensor.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferOutputTensor::default()
    };
    answer(ModelInferResponse {
        outputs: vec![output],
        raw_output_contents: vec![Bytes::copy_from_slice(raw)],
        ..ModelInferResponse::default()
    })
}

fn answer(response: ModelInferResponse) -> Answered {
    let mut answered = Answered::refused(&tonic::Status::ok(""));
    answered.error = None;
    answered.body = framed(&response.encode_to_vec());
    answered.message = Some(frame::unary(&answered.body, None, 1 << 20).unwrap());
    answered.tensors = oip::outputs(&response).unwrap();
    answered.infer = Some(response);
    answered
}

static GATED: Gated = Gated { evaluations: Vec::new(), registered: None };

fn facts<'a>(route: &'a Route, asked: &'a Asked, answered: &'a Answered) -> Facts<'a> {
    Facts {
        id: "id",
        route,
        model: route.identity(),
        model_problem: None,
        caller: &crate::access::Origin::NOBODY,
        gated: &GATED,
        subject_header: None,
        caller_gone: false,
        times: Times::default(),
        asked,
        answered,
        key: "k",
        raw_too_large: false,
    }
}

fn value(record: &Record, path: &str) -> Option<Value> {
    record.value(&FieldPath::parse(path).unwrap()).cloned()
}

fn error(record: &Record) -> String {
    match value(record, "output/error") {
        Some(Value::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

const SCORED: &str = r#"
score = { tensor = "y" }
threshold = { value = 0.5, above = "approve", below = "deny" }
adverse = ["deny"]
"#;

#[test]
fn gives_a_score_that_is_not_a_number_no_label() {
    let route = route(SCORED);
    let asked = asked("x", "FP32", &[2, 1], &[0; 8]);
    let raw = [f32::NAN.to_le_bytes(), 0.5_f32.to_le_bytes()].concat();
    let answered = answered("y", "FP32", &[2, 1], &raw);
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "output/score/y/[0]"), Some(Value::Float(f64::NAN)));
    assert_eq!(value(&record, "outcome/action/[0]"), None);
    assert_eq!(value(&record, "outcome/action/[1]"), Some(Value::from("approve")));
    assert!(error(&record).contains("not a number"));
}

#[test]
fn says_that_an_answer_has_no_score_for_each_row() {
    let route = route(SCORED);
    let asked = asked("x", "FP32", &[2, 1], &[0; 8]);
    let answered = answered("y", "FP32", &[3], &[0; 12]);
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "outcome/action/[0]"), None);
    assert!(error(&record).contains("column 0 of tensor \"y\""));
}

#[test]
fn takes_text_labels_and_refuses_to_guess_at_others() {
    let route = route("label = { tensor = \"l\", names = [\"deny\", \"approve\"] }\nadverse = [\"deny\"]");
    let asked = asked("x", "FP32", &[2, 1], &[0; 8]);
    let answered = answered("l", "BYTES", &[2], b"\x04\0\0\0deny\x05\0\0\0maybe");
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "output/label/[0]"), Some(Value::from("deny")));
    assert_eq!(value(&record, "outcome/adverse/[0]"), Some(Value::Bool(true)));
    assert_eq!(value(&record, "output/label/[1]"), None);
    assert!(error(&record).contains("a label that the route does not name"));
}

#[test]
fn records_a_score_without_labels_as_a_score() {
    let route = route("score = { tensor = \"y\" }");
    let asked = asked("x", "FP32", &[1, 1], &[0; 4]);
    let answered = answered("y", "INT64", &[1], &700_i64.to_le_bytes());
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "output/score/y"), Some(Value::Float(700.0)));
    assert_eq!(value(&record, "outcome/action"), Some(Value::from("score")));
    assert_eq!(value(&record, "outcome/adverse"), None);
}

#[test]
fn records_text_features_as_text_and_other_bytes_as_bytes() {
    let route = route("features = [{ tensor = \"x\", names = [\"a\", \"b\"] }]");
    let asked = asked("x", "BYTES", &[1, 2], b"\x02\0\0\0hi\x01\0\0\0\xff");
    let answered = Answered::refused(&tonic::Status::unavailable("down"));
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "input/feature/a"), Some(Value::from("hi")));
    assert_eq!(value(&record, "input/feature/b"), Some(Value::Bytes(vec![0xff])));
    assert_eq!(error(&record), "down");
}

#[test]
fn reads_a_row_of_features_from_a_vector_and_a_column_from_each_of_several() {
    let row = route("features = [{ tensor = \"x\", names = [\"a\", \"b\"] }]");
    let columns = route("features = [{ tensor = \"x\", names = [\"a\"] }]");
    let asked = asked("x", "INT8", &[2], &[1, 2]);
    let answered = Answered::refused(&tonic::Status::unavailable("down"));
    let one = record(&facts(&row, &asked, &answered)).unwrap();
    assert_eq!(value(&one, "input/feature/b"), Some(Value::Int(2)));
    let two = record(&facts(&columns, &asked, &answered)).unwrap();
    assert_eq!(value(&two, "input/feature/a/[1]"), Some(Value::Int(2)));
}

#[test]
fn takes_reasons_as_json_or_as_plain_words() {
    let route = route("explanation = { parameter = \"why\" }");
    let asked = asked("x", "INT8", &[1], &[1]);
    for (text, path, wanted) in [
        ("too much debt", "explanation/reason/[0]/text", Value::from("too much debt")),
        (r#"{"code":"R1"}"#, "explanation/reason/[0]/code", Value::from("R1")),
        (r#"[{"code":"R1"},{"contribution":1}]"#, "explanation/reason/[1]/contribution", Value::Float(1.0)),
        (r#"{"surprise":1}"#, "explanation/reason/[0]/text", Value::from(r#"{"surprise":1}"#)),
    ] {
        let choice = ParameterChoice::StringParam(text.to_owned());
        let parameter = InferParameter { parameter_choice: Some(choice) };
        let answered = answer(ModelInferResponse {
            parameters: [("why".to_owned(), parameter)].into(),
            ..ModelInferResponse::default()
        });
        let record = record(&facts(&route, &asked, &answered)).unwrap();
        assert_eq!(value(&record, path), Some(wanted), "{text}");
    }
}

#[test]
fn leaves_reasons_that_are_too_many_to_the_answer_and_says_so() {
    let route = route("explanation = { tensor = \"why\" }");
    let asked = asked("x", "INT8", &[1], &[1]);
    let raw = b"\x01\0\0\0r".repeat(385);
    let answered = answered("why", "BYTES", &[1, 385], &raw);
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "explanation/reason/[0]/text"), None);
    assert!(error(&record).contains("385 fields"));
    assert!(value(&record, "output/tensor/why/digest").is_some());
}

#[test]
fn keeps_digests_and_times_of_a_decision_that_cannot_be_mapped() {
    let route = route("tenant = \"t\"");
    let asked = asked("x", "INT8", &[1], &[1]);
    let answered = answered("y", "INT8", &[1], &[1]);
    let facts = facts(&route, &asked, &answered);
    let error = FieldsError::from(FieldPathError::EmptySegment);
    let record = minimal(&facts, &error).unwrap();
    assert!(value(&record, "input/raw_digest").is_some());
    assert!(value(&record, "output/raw_digest").is_some());
    assert_eq!(value(&record, "decision/tenant"), Some(Value::from("t")));
    assert!(
        matches!(value(&record, "input/error"), Some(Value::Text(text)) if text.contains("no mapped fields"))
    );
}

#[test]
fn says_why_the_wire_is_not_in_the_sealed_record() {
    let route = route("");
    let asked = asked("x", "INT8", &[1], &[1]);
    let answered = answered("y", "INT8", &[1], &[1]);
    let large = Facts { raw_too_large: true, ..facts(&route, &asked, &answered) };
    let record = record(&large).unwrap();
    assert_eq!(value(&record, "privacy/masked/[0]/pointer"), Some(Value::from("input/raw")));
}

#[test]
fn fits_the_largest_mapped_call_into_one_record() {
    // 256 tensors on each side, the most rows, the most reasons: together below the limit of a record.
    let names: Vec<String> = (0..1020).map(|i| format!("\"f{i}\"")).collect();
    let text = format!(
        "features = [{{ tensor = \"t0\", names = [{}] }}]\n{SCORED}\nexplanation = {{ tensor = \"t0\" }}",
        names.join(",")
    )
    .replace("\"y\"", "\"t1\"");
    let route = route(&text);
    let shape = |i: usize| if i == 0 { vec![2, 1020] } else { vec![2] };
    let raw = |i: usize| if i == 0 { b"\0\0\0\0".repeat(2040) } else { vec![0; 2] };
    let datatype = |i: usize| if i == 0 { "INT32" } else { "INT8" };
    let request = ModelInferRequest {
        inputs: (0..256)
            .map(|i| InferInputTensor {
                name: format!("t{i}"),
                datatype: datatype(i).to_owned(),
                shape: shape(i),
                ..InferInputTensor::default()
            })
            .collect(),
        raw_input_contents: (0..256).map(|i| raw(i).into()).collect(),
        ..ModelInferRequest::default()
    };
    let (asked, refusal) = Asked::read(framed(&request.encode_to_vec()), None, 1 << 20);
    assert!(refusal.is_none() && asked.check_rows(&route).is_ok());
    let reasons = 192;
    let answered = answer(ModelInferResponse {
        outputs: (0..256)
            .map(|i| InferOutputTensor {
                name: format!("t{i}"),
                datatype: if i == 0 { "BYTES" } else { "INT8" }.to_owned(),
                shape: if i == 0 { vec![2, reasons] } else { vec![2] },
                ..InferOutputTensor::default()
            })
            .collect(),
        raw_output_contents: (0..256)
            .map(|i| if i == 0 { b"\x01\0\0\0r".repeat(2 * 192).into() } else { Bytes::from_static(&[0, 0]) })
            .collect(),
        ..ModelInferResponse::default()
    });
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert!(record.fields().len() > 3900, "{}", record.fields().len());
    assert_eq!(value(&record, "input/error"), None);
}

#[test]
fn says_which_packs_apply_and_on_what_ground() {
    let route = route("packs = [\"hipaa\"]\nlawful_basis = \"contract\"\npurpose = \"care\"");
    let asked = asked("x", "INT8", &[1], &[1]);
    let answered = answered("y", "INT8", &[1], &[1]);
    let record = record(&facts(&route, &asked, &answered)).unwrap();
    assert_eq!(value(&record, "decision/packs"), route.pack_names());
    assert!(route.pack_names().is_some());
    assert_eq!(value(&record, "decision/schema"), Some(Value::from(3_u64)));
    assert_eq!(value(&record, "privacy/lawful_basis"), Some(Value::from("contract")));
    assert_eq!(value(&record, "privacy/purpose"), Some(Value::from("care")));
}
