//! What on-call engineers see: traces, metrics and log lines at a real OpenTelemetry Collector, a real Prometheus, `promtool`.
//!
//! Scenario: the real binary, restricted as it is installed, between a caller with a trace and a model server that notes every call;
//! it exports to a Collector over gRPC and over HTTP, and to some that are away, slow, or answer nonsense; a Prometheus scrapes it under
//! load, and every expression of dashboard and alerts is asked of that. Danger: an export that holds up decisions, a trace that breaks
//! at the sidecar, content in a span, an alert about a series that does not exist, an alert that cannot fire. End state: decisions go on, what is
//! dropped is counted, spans hang together, no expression is without data, every alert fires in its case and in no other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "observe/collector.rs"]
mod collector;
#[path = "observe/hostile.rs"]
mod hostile;
#[path = "intercept/peers.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod peers;
#[path = "observe/rules.rs"]
mod rules;
#[path = "observe/scrape.rs"]
mod scrape;
mod support;
#[path = "deploy/tools.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod tools;
#[path = "observe/world.rs"]
mod world;
