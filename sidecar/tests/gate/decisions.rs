//! What becomes of decisions.

use ledgerstone::entry::KindDetails;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice::{BoolParam, StringParam};
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::record::Value;
use serde_json::json;
use tonic::Code;

use crate::peers::Reply;
use crate::world::{ROUTE, Recorded, World, request, rule, text};

const MESSAGE: &str = "message = \"Consent was not recorded: ask the applicant first.\"";

fn consent() -> String {
    ROUTE.to_owned() + &rule("consent", "request", "input.parameter.consent == true", MESSAGE)
}

fn status(recorded: &Recorded) -> u32 {
    match recorded.entry.kind_details().unwrap() {
        KindDetails::Decision(details) => details.status,
        other => panic!("{other:?}"),
    }
}

fn refused(reply: &Reply, code: Code, rule: &str) -> String {
    let status = reply.status();
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(reply.header("ledgerstone-gate"), Some(rule));
    assert!(reply.body.is_empty(), "nothing of an answer");
    status.message().to_owned()
}

#[tokio::test]
async fn a_decision_passes_that_every_rule_allows_and_its_record_says_so() {
    let score = rule("adults", "answer", "input.feature.age >= 18.0 && output.score.score > 0.0", "");
    let world = World::new(&(consent() + &score), &[0.75]).await;
    let ask = request(&[[4200.0, 40.0]], &[("consent", BoolParam(true)), ("applicant", text("A-17"))]);
    let reply = world.infer(&ask).await;
    assert_eq!(reply.code(), Code::Ok);
    assert_eq!((reply.header("ledgerstone-gate"), reply.header("ledgerstone-review")), (None, None));
    let recorded = world.recorded(&reply).await;
    assert_eq!(recorded.verdicts(), ["consent request true allow", "adults answer true allow"]);
    assert_eq!(recorded.field("gate/effect"), "allow");
    assert_eq!(recorded.field("outcome/action"), "approve");
    assert_eq!(recorded.field("input/parameter/consent"), &json!(true));
    assert!(recorded.field("gate/policy").get("base64").is_some());
    assert!(recorded.field("gate/reason").is_null() && recorded.field("gate/error").is_null());
    let (code, printed) = recorded.checked(&world, |_| {});
    assert!(printed.contains("The record says the same."), "{printed}");
    assert_eq!(code, Some(0));
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_a_rule_refuses_does_not_reach_the_model_and_is_recorded() {
    let world = World::new(&consent(), &[0.75]).await;
    let ask = request(&[[4200.0, 40.0]], &[("consent", BoolParam(false)), ("applicant", text("A-17"))]);
    let reply = world.infer(&ask).await;
    let message = refused(&reply, Code::PermissionDenied, "consent");
    assert_eq!(message, "refused by rule \"consent\": Consent was not recorded: ask the applicant first.");
    assert_eq!(reply.header("ledgerstone-code"), Some("misuse"));
    assert!(world.calls.all().is_empty(), "the model saw it");
    let recorded = world.recorded(&reply).await;
    assert_eq!(status(&recorded), 7);
    assert!(recorded.entry.policy.is_some());
    assert_eq!(recorded.verdicts(), ["consent request false refuse"]);
    assert_eq!(recorded.field("outcome/action"), "refuse");
    assert_eq!(recorded.field("decision/subject"), "A-17");
    assert!(recorded.field("outcome/adverse").is_null() && recorded.field("time/model_started").is_null());
    // What the person sees: that it was refused and why, nothing of the input.
    let reason = "consent: Consent was not recorded: ask the applicant first.";
    assert_eq!(recorded.receipt("outcome/action"), Some(&Value::from("refuse")));
    assert_eq!(recorded.receipt("gate/reason"), Some(&Value::from(reason)));
    assert!(!recorded.shown.iter().any(|(path, _)| path.starts_with("input/")));
    let (code, printed) = recorded.checked(&world, |_| {});
    assert_eq!(code, Some(0), "{printed}");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_a_rule_refuses_stays_here_and_is_recorded_with_what_it_was() {
    let routes =
        ROUTE.to_owned() + &rule("sure", "answer", "output.score.score > 0.9 || outcome.adverse", "");
    let world = World::new(&routes, &[0.8125]).await;
    let reply = world.infer(&request(&[[4200.0, 40.0]], &[])).await;
    let message = refused(&reply, Code::PermissionDenied, "sure");
    assert_eq!(message, "refused by rule \"sure\"");
    let all = format!("{:?} {:?}", reply.head.headers, reply.trailers);
    assert!(!all.contains("0.81") && !all.contains("approve") && !all.contains("forged"), "{all}");
    assert_eq!(world.calls.all().len(), 1);
    let recorded = world.recorded(&reply).await;
    assert_eq!(status(&recorded), 7);
    assert_eq!(recorded.field("output/score/score"), &json!(0.8125));
    assert_eq!(recorded.field("output/label"), "approve");
    assert_eq!(recorded.field("outcome/action"), "refuse");
    assert!(recorded.field("outcome/adverse").is_null());
    assert_eq!(recorded.field("delivery/upstream_status"), &json!(0));
    assert_eq!(recorded.field("gate/reason"), "sure: does not hold");
    // The rule looks at what the label leads to, and finds it again behind the refusal.
    let (code, printed) = recorded.checked(&world, |_| {});
    assert_eq!(code, Some(0), "{printed}");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_goes_out_marked_where_a_rule_asks_for_a_person() {
    let review = "otherwise = \"review\"\nmessage = \"Large loan: a person must look at it.\"";
    let rules = rule("large", "request", "input.feature.income < 100000.0", review)
        + &rule("close", "answer", "output.score.score < 0.4 || output.score.score > 0.6", review);
    let world = World::new(&(ROUTE.to_owned() + &rules), &[0.5]).await;
    let reply = world.infer(&request(&[[250000.0, 40.0]], &[])).await;
    assert_eq!(reply.code(), Code::Ok);
    assert!(!reply.body.is_empty());
    assert_eq!(reply.header("ledgerstone-review"), Some("large,close"));
    let recorded = world.recorded(&reply).await;
    assert_eq!(recorded.field("gate/effect"), "review");
    assert_eq!(recorded.verdicts(), ["large request false review", "close answer false review"]);
    assert_eq!(recorded.field("outcome/action"), "approve");
    assert_eq!(recorded.receipt("gate/effect"), Some(&Value::from("review")));
    // Without a reason to, it is not marked, whatever the model server's headers say.
    let other = World::new(&(ROUTE.to_owned() + &rules), &[0.9]).await;
    let reply = other.infer(&request(&[[2500.0, 40.0]], &[])).await;
    assert_eq!((reply.code(), reply.header("ledgerstone-review")), (Code::Ok, None));
    world.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_refuses_and_the_record_says_why() {
    let review = "otherwise = \"review\"";
    for (rule_text, when, why) in [
        ("input.parameter.consent == true", "request", "input.parameter.consent is not there"),
        ("1 / (1 - 1) == 1", "request", "an integer is divided by zero"),
        ("input.feature.age > 'x'", "request", "> does not take double and string"),
        ("input.parameter.applicant", "request", "the rule gave string instead of true or false"),
        ("output.score.score / 0 == 1", "answer", "/ does not take double and int"),
        ("caller.workload.startsWith('spiffe://')", "answer", "caller.workload is not there"),
    ] {
        let world = World::new(&(ROUTE.to_owned() + &rule("r", when, rule_text, review)), &[0.75]).await;
        let ask = request(&[[1.0, 40.0]], &[("applicant", text("Jane Doe"))]);
        let reply = world.infer(&ask).await;
        let message = refused(&reply, Code::FailedPrecondition, "r");
        assert!(message.ends_with(why) && !message.contains("Jane"), "{message}");
        assert_eq!(world.calls.all().len(), usize::from(when == "answer"));
        let recorded = world.recorded(&reply).await;
        assert_eq!(recorded.verdicts(), [format!("r {when} error refuse")]);
        assert_eq!(recorded.field("gate/error"), &json!(format!("r: {why}")));
        assert_eq!(recorded.field("outcome/action"), "refuse");
        let (code, printed) = recorded.checked(&world, |_| {});
        assert_eq!(code, Some(0), "{printed}");
        world.stop().await;
    }
}

#[tokio::test]
async fn all_rules_of_a_stage_are_evaluated_and_none_of_the_answer_after_a_refusal() {
    let rules = rule("one", "request", "false", "")
        + &rule("later", "answer", "true", "")
        + &rule("two", "request", "purpose == 'credit'", "")
        + &rule("three", "request", "purpose == 'other'", "message = \"Not this purpose.\"");
    let world = World::new(&(ROUTE.to_owned() + &rules), &[0.75]).await;
    let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
    refused(&reply, Code::PermissionDenied, "one");
    let recorded = world.recorded(&reply).await;
    assert_eq!(
        recorded.verdicts(),
        ["one request false refuse", "two request true allow", "three request false refuse"]
    );
    assert_eq!(recorded.field("gate/reason"), "one: does not hold; three: Not this purpose.");
    let (code, printed) = recorded.checked(&world, |_| {});
    assert_eq!(code, Some(0), "{printed}");
    world.stop().await;
}

#[tokio::test]
async fn a_call_about_several_is_refused_for_the_first_person_that_a_rule_does_not_allow() {
    let rules = rule("adults", "request", "input.feature.age >= 18.0 && subject.present", "")
        + &rule("score", "answer", "output.label == 'approve'", "otherwise = \"review\"");
    let world = World::new(&(ROUTE.to_owned() + &rules), &[0.75, 0.5, 0.25]).await;
    let who = [("applicant", text("household"))];
    let reply = world.infer(&request(&[[1.0, 20.0], [1.0, 30.0], [1.0, 17.0]], &who)).await;
    let message = refused(&reply, Code::PermissionDenied, "adults");
    assert_eq!(message, "refused by rule \"adults\" for row 2");
    let recorded = world.recorded(&reply).await;
    for row in 0..3 {
        assert_eq!(recorded.field(&format!("outcome/action/[{row}]")), "refuse");
    }
    let adults = request(&[[1.0, 20.0], [1.0, 30.0], [1.0, 19.0]], &who);
    let reply = world.infer(&adults).await;
    assert_eq!((reply.code(), reply.header("ledgerstone-review")), (Code::Ok, Some("score")));
    let recorded = world.recorded(&reply).await;
    assert_eq!(recorded.field("gate/reason"), "score (row 2): does not hold");
    assert_eq!(recorded.field("outcome/action/[2]"), "deny");
    let (code, printed) = recorded.checked(&world, |_| {});
    assert_eq!(code, Some(0), "{printed}");
    world.stop().await;
}

/// One element of every datatype, which is worth 1.
fn ones() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("BOOL", vec![1]),
        ("UINT8", vec![1]),
        ("UINT16", 1_u16.to_le_bytes().to_vec()),
        ("UINT32", 1_u32.to_le_bytes().to_vec()),
        ("UINT64", 1_u64.to_le_bytes().to_vec()),
        ("INT8", vec![1]),
        ("INT16", 1_i16.to_le_bytes().to_vec()),
        ("INT32", 1_i32.to_le_bytes().to_vec()),
        ("INT64", 1_i64.to_le_bytes().to_vec()),
        ("FP16", 0x3c00_u16.to_le_bytes().to_vec()),
        ("FP32", 1_f32.to_le_bytes().to_vec()),
        ("FP64", 1_f64.to_le_bytes().to_vec()),
        ("BF16", 0x3f80_u16.to_le_bytes().to_vec()),
        ("BYTES", [1_u32.to_le_bytes().as_slice(), b"1"].concat()),
    ]
}

#[tokio::test]
async fn rules_see_the_values_of_every_datatype() {
    let compared = "input.tensor.x.dtype == 'BOOL' ? input.feature.x == true \
                    : input.tensor.x.dtype == 'BYTES' ? input.feature.x == '1' : input.feature.x == 1";
    let routes = "[[route]]\nname = \"all\"\nfeatures = [{ tensor = \"x\", names = [\"x\"] }]\n".to_owned()
        + &rule("one", "request", compared, "")
        + &rule("shape", "request", "input.tensor.x.shape == [1, 1] && input.observed == 'true'", "");
    let world = World::new(&routes, &[0.75]).await;
    for (datatype, raw) in ones() {
        let mut ask = request(&[], &[]);
        ask.inputs = vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![1, 1],
            ..InferInputTensor::default()
        }];
        let mut other = ask.clone();
        ask.raw_input_contents = vec![raw.clone().into()];
        let reply = world.infer(&ask).await;
        assert_eq!(reply.code(), Code::Ok, "{datatype}: {}", reply.status().message());
        let (code, printed) = world.recorded(&reply).await.checked(&world, |_| {});
        assert_eq!(code, Some(0), "{datatype}: {printed}");
        // Another value is refused.
        let mut zero = raw;
        match datatype {
            "BYTES" => zero[4] = b'2',
            _ => zero.iter_mut().for_each(|byte| *byte = 0),
        }
        other.raw_input_contents = vec![zero.into()];
        refused(&world.infer(&other).await, Code::PermissionDenied, "one");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_mask_hides_a_value_from_the_record_and_not_from_the_rule() {
    let mask = "mask = [{ path = \"input/feature/income\", reason = \"not needed\" }]\n";
    let rules = rule("rich", "request", "input.feature.income > 1000.0", "");
    let world = World::new(&format!("{ROUTE}{mask}{rules}"), &[0.75]).await;
    let reply = world.infer(&request(&[[4200.0, 40.0]], &[])).await;
    assert_eq!(reply.code(), Code::Ok);
    refused(&world.infer(&request(&[[42.0, 40.0]], &[])).await, Code::PermissionDenied, "rich");
    let recorded = world.recorded(&reply).await;
    assert!(recorded.field("input/feature/income").is_null());
    // Whoever has the record alone cannot check it, and is told so.
    let (code, printed) = recorded.checked(&world, |_| {});
    assert!(printed.contains("input.feature.income is masked in the record"), "{printed}");
    assert_eq!(code, Some(1));
    world.stop().await;
}

#[tokio::test]
async fn a_text_that_a_caller_sends_does_not_reach_messages_headers_or_log_lines() {
    let hostile = "\u{1b}[2J\r\nledgerstone-gate: forged";
    let world =
        World::new(&(ROUTE.to_owned() + &rule("r", "request", "input.parameter.note == 'x'", "")), &[0.75])
            .await;
    let reply = world.infer(&request(&[[1.0, 40.0]], &[("note", StringParam(hostile.to_owned()))])).await;
    let message = refused(&reply, Code::PermissionDenied, "r");
    assert!(!message.contains("forged") && !format!("{:?}", reply.head.headers).contains("forged"));
    let recorded = world.recorded(&reply).await;
    let (code, printed) = recorded.checked(&world, |_| {});
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
    assert_eq!(code, Some(0));
    world.stop().await;
}
