//! The targets of what API servers and the chart tell the injector.

use ledgerstone_sidecar::injector::Template;
use ledgerstone_sidecar::injector::review::{Outcome, answer};
use serde_json::Value;

/// A template as the chart renders it, cut to what is filled in.
const TEMPLATE: &str = r#"{
    "sidecar": "ledgerstone", "upstreamPort": 8081, "status": "injected 0.1.0 image",
    "labels": {"ledgerstone.io/regulated": "true"}, "securityContext": {"fsGroup": 65532},
    "containers": [{"name": "ledgerstone", "restartPolicy": "Always", "ports": [{"containerPort": 7450}],
        "env": [{"name": "ORIGIN", "value": "log/${ledgerstone.io/namespace}/${ledgerstone.io/store-claim}"},
            {"name": "UPSTREAM", "value": "http://127.0.0.1:${ledgerstone.io/upstream-port}"}]}],
    "volumes": [{"name": "config", "configMap": {"name": "ledgerstone-profile-${ledgerstone.io/profile}"}}]
}"#;

/// An AdmissionReview: answered with its own version and uid; a patch comes with a permission alone.
#[must_use]
pub fn admission_review(bytes: &[u8]) -> bool {
    let Ok(template) = Template::parse(TEMPLATE.as_bytes()) else { return false };
    let Ok(answered) = answer(bytes, &template) else { return false };
    let (asked, said): (Value, Value) =
        match (serde_json::from_slice(bytes), serde_json::from_slice(&answered.json)) {
            (Ok(asked), Ok(said)) => (asked, said),
            // What nests too deeply to be read as a whole may still be answered.
            _ => return true,
        };
    let said = |path: &str| said.pointer(path);
    assert!(said("/apiVersion") == asked.pointer("/apiVersion"), "an answer has the version of its question");
    assert!(said("/response/uid") == asked.pointer("/request/uid"), "an answer has the uid of its question");
    let is_allowed = said("/response/allowed").and_then(Value::as_bool);
    assert!(is_allowed == Some(answered.outcome != Outcome::Refused), "what is refused is not allowed");
    let is_patched = said("/response/patch").is_some_and(Value::is_string);
    assert!(is_patched == (answered.outcome == Outcome::Injected), "a patch injects");
    if let Some(message) = said("/response/status/message").and_then(Value::as_str) {
        assert!(!message.contains(char::is_control) && message.len() < 1000, "a message is one short line");
    }
    true
}

/// What the chart renders.
#[must_use]
pub fn injector_template(bytes: &[u8]) -> bool {
    Template::parse(bytes).is_ok()
}
