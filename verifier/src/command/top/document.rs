//! What a look told, as JSON: the numbers of the frame.
//!
//! Guarantees: what is not told is null, never zero. Does not do: rounding.
//! Format: `docs/operations.md`, section on watching.

use serde_json::{Map, Value, json};

use super::sample::Heard;

/// The format of the document.
const FORMAT: &str = "ledgerstone-top/v1";

/// What is heard so far: the last look, and what came since the one before.
pub(super) fn document(heard: &Heard) -> Value {
    let Some(last) = &heard.last else { return json!({ "format": FORMAT }) };
    let (metrics, status) = (&last.metrics, last.status.as_ref().ok());
    let value = |name| metrics.value(name);
    json!({
        "format": FORMAT,
        "origin": status.map(|status| &status.origin),
        "writer": status.map(|status| &status.writer),
        "version": status.map(|status| &status.version),
        "time_ms": status.map(|status| status.time_ms),
        "started_ms": status.map(|status| status.started_ms),
        "status_error": last.status.as_ref().err(),
        "ready": value("ledgerstone_ready").map(|ready| ready >= 1.0),
        "decisions": rates(heard, "ledgerstone_decisions_total", &["route", "code"]),
        "in_flight": value("ledgerstone_in_flight"),
        "append_seconds": quantiles(heard, "ledgerstone_append_duration_seconds"),
        "fdatasync_seconds": quantiles(heard, "ledgerstone_fdatasync_duration_seconds"),
        "tree_size": value("ledgerstone_tree_size"),
        "not_public_entries": value("ledgerstone_published_lag_entries"),
        "index_size": value("ledgerstone_index_size"),
        "unrecorded": value("ledgerstone_unrecorded"),
        "halted": value("ledgerstone_halted").map(|halted| halted > 0.0),
        "last_heartbeat_ms": status.and_then(|status| status.last_heartbeat_ms),
        "gate": rates(heard, "ledgerstone_gate_total", &["effect"]),
        "anchors": status.map(|status| &status.anchors),
        "sinks": last.sinks.as_ref().ok(),
        "sinks_error": last.sinks.as_ref().err(),
        "resident_bytes": status.and_then(|status| status.resident_bytes),
        "disk": status.and_then(|status| status.disk),
        "journal": status.and_then(|status| status.journal),
        "connections_open": metrics.sum("ledgerstone_connections_open"),
    })
}

/// A counter by some of its labels: how many, and how many a second since the last look.
fn rates(heard: &Heard, name: &str, labels: &[&str]) -> Value {
    let Some(last) = &heard.last else { return Value::Null };
    let mut known: Vec<Vec<&str>> = last
        .metrics
        .all(name)
        .map(|sample| labels.iter().map(|label| sample.label(label)).collect())
        .collect();
    known.sort_unstable();
    known.dedup();
    let series = known.into_iter().map(|values| {
        let total = |metrics: &crate::admin::exposition::Exposition| {
            let of = metrics.all(name).filter(|sample| {
                labels.iter().zip(&values).all(|(label, value)| sample.label(label) == *value)
            });
            Some(of.map(|sample| sample.value).sum::<f64>())
        };
        let mut one: Map<String, Value> =
            labels.iter().zip(&values).map(|(label, value)| ((*label).to_owned(), (*value).into())).collect();
        one.insert("total".to_owned(), total(&last.metrics).into());
        one.insert("per_second".to_owned(), heard.rate(total).into());
        Value::Object(one)
    });
    series.collect()
}

/// Quantiles of a histogram, as the frame has them.
fn quantiles(heard: &Heard, name: &str) -> Value {
    heard
        .quantiles(name, [0.5, 0.9, 0.99])
        .map_or(Value::Null, |[p50, p90, p99]| json!({ "p50": p50, "p90": p90, "p99": p99 }))
}
