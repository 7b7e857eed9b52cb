//! Events as documents of the Elastic Common Schema 9.4.0.
//!
//! Source: elastic/ecs v9.4.0, `schemas/{base,ecs,event,observer,tracing,user}.yml`. All attributes stand under `ledgerstone`, which is
//! no field set of ECS, as "Custom fields" of its documentation asks.

use super::attribute::{Value, name, push_hex};
use super::json::Json;
use super::{Class, Event, MODEL_VERSION, PRODUCT, VENDOR, rfc5424};

/// Version of the schema.
const VERSION: &str = "9.4.0";

/// Adds the event to `out`, as one line of JSON without a line feed.
pub(super) fn render(event: &Event, out: &mut String) {
    Json::object(out, |json| {
        json.plain("@timestamp", |out| rfc5424::timestamp(event.time, out));
        json.text("message", event.kind.title());
        json.within("ecs", |json| json.text("version", VERSION));
        json.within("event", |json| members(event, json));
        json.within("observer", |json| {
            json.text("vendor", VENDOR);
            json.text("product", PRODUCT);
            json.text("version", MODEL_VERSION);
            json.text("type", "transparency log");
            json.some("name", event.value(name::WRITER));
        });
        if let Some(operator) = event.value(name::OPERATOR) {
            json.within("user", |json| json.value("name", operator));
        }
        if let Some(trace) = event.trace {
            json.within("trace", |json| json.plain("id", |out| push_hex(&trace.trace_id, out)));
            json.within("span", |json| json.plain("id", |out| push_hex(&trace.span_id, out)));
        }
        json.within("ledgerstone", |json| json.attributes(&event.attributes));
    });
}

fn members(event: &Event, json: &mut Json<'_>) {
    let (kind, class) = (event.kind, event.kind.class());
    json.text("kind", if kind.is_alert() { "alert" } else { "event" });
    json.texts("category", &[category(class)]);
    json.texts("type", &[type_of(class)]);
    json.text("action", kind.as_str());
    let outcome = match (kind.is_alert(), event.is_success()) {
        (true, _) => "unknown",
        (false, true) => "success",
        (false, false) => "failure",
    };
    json.text("outcome", outcome);
    json.plain("id", |out| Value::Uuid(*event.id.as_bytes()).write(out));
    if let Some(leaf) = event.leaf {
        json.uint("sequence", leaf.index.get());
        json.value("hash", &Value::Hash(leaf.hash));
    }
    json.text("module", "ledgerstone");
    json.text("dataset", "ledgerstone.log");
    json.text("provider", event.log.origin());
    json.uint("severity", kind.severity().ocsf());
}

/// A value that `event.category` admits.
const fn category(class: Class) -> &'static str {
    match class {
        Class::Api(_) => "api",
        Class::Finding => "intrusion_detection",
        Class::Lifecycle(_) => "process",
    }
}

/// A value that `event.type` admits within that category.
const fn type_of(class: Class) -> &'static str {
    match (class, class.activity().id) {
        (Class::Lifecycle(_), 3) => "start",
        (Class::Lifecycle(_), 4) => "end",
        (Class::Api(_), 1) => "creation",
        (Class::Api(_), 3) => "change",
        (Class::Api(_), 4) => "deletion",
        _ => "info",
    }
}
