//! Events as OCSF 1.8.0: API Activity with the profile `ai_operation`, Detection Finding, Application Lifecycle.
//!
//! Source: ocsf/ocsf-schema 1.8.0, `events/application/{api_activity,application_lifecycle}.json`,
//! `events/findings/detection_finding.json`, `profiles/ai_operation.json`; the profile `record_integrity`, behind an option, from
//! 1.9.0-dev. What OCSF has no place for stands under `unmapped`, under the attributes' own names, and so does all else, so that one
//! query finds it whatever the class.

use super::attribute::{Value, name};
use super::json::{Json, string};
use super::{Class, Event, MODEL_VERSION, PRODUCT, VENDOR};
use crate::hash::Hash;

/// Version of the schema.
const VERSION: &str = "1.8.0";

/// Version of the schema that has `record_integrity`.
const VERSION_WITH_INTEGRITY: &str = "1.9.0-dev";

/// What OCSF asks for and an entry does not say.
const UNKNOWN: &str = "unknown";

/// What is said of the profile `record_integrity`.
#[derive(Clone, Copy)]
enum Integrity {
    /// Nothing.
    Absent,
    /// Everything but the fingerprint, which is over the rest.
    Unsigned,
    /// Everything.
    Whole(Hash),
}

/// Adds the event to `out`, as one line of JSON without a line feed.
pub(super) fn render(event: &Event, out: &mut String) {
    write(event, Integrity::Absent, out);
}

/// The same with the profile `record_integrity`, and 1.9.0-dev as the schema's version.
pub(super) fn render_with_integrity(event: &Event, out: &mut String) {
    // What was written here is always JSON; were it not, an event without a fingerprint is still the event.
    let integrity = fingerprint(event).map_or(Integrity::Unsigned, Integrity::Whole);
    write(event, integrity, out);
}

fn write(event: &Event, integrity: Integrity, out: &mut String) {
    Json::object(out, |json| {
        let (class, severity) = (event.kind.class(), event.kind.severity());
        let activity = class.activity();
        json.uint("activity_id", activity.id);
        json.text("activity_name", activity.name);
        json.uint("category_uid", class.uid() / 1000);
        json.uint("class_uid", class.uid());
        json.text("class_name", class.name());
        json.uint("type_uid", class.uid() * 100 + activity.id);
        json.uint("severity_id", severity.ocsf());
        json.text("severity", severity.as_str());
        json.uint("time", event.time.get());
        json.text("message", event.kind.title());
        metadata(event, matches!(integrity, Integrity::Absent), json);
        match class {
            Class::Api(_) => api_activity(event, json),
            Class::Finding => finding(event, json),
            Class::Lifecycle(_) => lifecycle(event, json),
        }
        match integrity {
            Integrity::Absent => {}
            Integrity::Unsigned => attestation(event, None, json),
            Integrity::Whole(fingerprint) => attestation(event, Some(fingerprint), json),
        }
        json.within("unmapped", |json| json.attributes(&event.attributes));
    });
}

/// Whether the event shows what a model did, so that `ai_operation` applies.
fn is_ai_operation(event: &Event) -> bool {
    matches!(event.kind.class(), Class::Api(_)) && event.value(name::DECISION_ID).is_some()
}

fn metadata(event: &Event, is_plain: bool, json: &mut Json<'_>) {
    json.within("metadata", |json| {
        json.text("version", if is_plain { VERSION } else { VERSION_WITH_INTEGRITY });
        json.plain("uid", |out| Value::Uuid(*event.id.as_bytes()).write(out));
        json.text("event_code", event.kind.as_str());
        if let Some(leaf) = event.leaf {
            json.uint("sequence", leaf.index.get());
        }
        json.text("log_name", event.log.origin());
        json.some("correlation_uid", event.value(name::DECISION_ID));
        match (is_ai_operation(event), is_plain) {
            (true, true) => json.texts("profiles", &["ai_operation"]),
            (true, false) => json.texts("profiles", &["ai_operation", "record_integrity"]),
            (false, true) => {}
            (false, false) => json.texts("profiles", &["record_integrity"]),
        }
        json.within("product", |json| {
            json.text("name", PRODUCT);
            json.text("vendor_name", VENDOR);
            json.text("version", MODEL_VERSION);
        });
    });
}

fn api_activity(event: &Event, json: &mut Json<'_>) {
    let is_success = event.is_success();
    json.uint("status_id", if is_success { 1 } else { 2 });
    json.text("status", if is_success { "Success" } else { "Failure" });
    json.within("actor", |json| {
        json.some("app_name", event.value(name::WRITER));
        if let Some(operator) = event.value(name::OPERATOR) {
            json.within("user", |json| json.value("name", operator));
        }
        json.within("session", |json| json.some("uid", event.value(name::SESSION)));
    });
    json.within("api", |json| {
        json.text("operation", event.kind.as_str());
        json.within("service", |json| json.text("name", PRODUCT));
        if let Some(code) = event.value(name::STATUS_CODE) {
            json.within("response", |json| json.value("code", code));
        }
    });
    // Who called is not in the entry; what is known is which recorder saw the call.
    json.within("src_endpoint", |json| json.some("svc_name", event.value(name::WRITER)));
    if is_ai_operation(event) {
        json.within("ai_model", |json| {
            json.text("ai_provider", UNKNOWN);
            match event.value(name::MODEL_DIGEST) {
                Some(digest) => {
                    json.value("name", digest);
                    json.value("uid", digest);
                }
                None => json.text("name", UNKNOWN),
            }
        });
        json.within("message_context", |json| {
            json.some("uid", event.value(name::DECISION_ID));
            json.within("service", |json| json.some("name", event.value(name::WRITER)));
        });
    }
}

fn finding(event: &Event, json: &mut Json<'_>) {
    json.uint("status_id", 1);
    json.text("status", "New");
    json.uint("confidence_id", 3);
    json.bool("is_alert", true);
    json.within("finding_info", |json| {
        json.plain("uid", |out| Value::Uuid(*event.id.as_bytes()).write(out));
        json.text("title", event.kind.title());
        json.uint("created_time", event.time.get());
        json.texts("types", &[event.kind.as_str()]);
    });
    json.one_of("evidences", |json| json.within("data", |json| json.attributes(&event.attributes)));
    json.one_of("resources", |json| {
        json.text("type", "transparency log");
        json.plain("uid", |out| Value::Hash(event.log.id()).write(out));
        json.text("name", event.log.origin());
    });
}

fn lifecycle(event: &Event, json: &mut Json<'_>) {
    json.uint("status_id", 1);
    json.text("status", "Success");
    json.within("app", |json| {
        json.some("name", event.value(name::WRITER));
        json.some("uid", event.value(name::SESSION));
        json.some("version", event.value(name::VERSION));
    });
}

/// The attestation of the profile `record_integrity`: SHA-256 of the event as RFC 8785 writes it, without the fingerprint itself.
fn attestation(event: &Event, fingerprint: Option<Hash>, json: &mut Json<'_>) {
    json.one_of("attestation_list", |json| {
        json.plain("uid", |out| Value::Uuid(*event.id.as_bytes()).write(out));
        json.some("authority_uid", event.value(name::WRITER));
        json.plain("chain_uid", |out| Value::Hash(event.log.id()).write(out));
        let Some(fingerprint) = fingerprint else { return };
        json.within("fingerprint", |json| {
            json.uint("algorithm_id", 3);
            json.text("algorithm", "SHA-256");
            json.uint("serialization_id", 2);
            json.text("serialization", "JCS");
            json.uint("encoding_id", 1);
            json.text("encoding", "Hex");
            json.value("value", &Value::Hash(fingerprint));
        });
    });
}

/// SHA-256 of what [`write`] writes without a fingerprint, as RFC 8785 (JCS) writes it.
fn fingerprint(event: &Event) -> Option<Hash> {
    let mut plain = String::with_capacity(4096);
    write(event, Integrity::Unsigned, &mut plain);
    let parsed = serde_json::from_str(&plain).ok()?;
    let mut canonical = String::with_capacity(plain.len());
    sorted(&parsed, &mut canonical);
    Some(Hash::of(canonical.as_bytes()))
}

/// Adds `json` with the names of every object sorted, which for what is written here is all that RFC 8785 asks for: every name is ASCII,
/// no text holds a control character, and there are no fractions.
fn sorted(json: &serde_json::Value, out: &mut String) {
    match json {
        serde_json::Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                sorted(value, out);
            }
            out.push('}');
        }
        serde_json::Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                sorted(item, out);
            }
            out.push(']');
        }
        serde_json::Value::String(text) => string(text, out),
        other => out.push_str(&other.to_string()),
    }
}
