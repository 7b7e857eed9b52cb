//! Export to Splunk, OpenTelemetry, Kafka and NATS JetStream.
//!
//! Scenario: the sidecar's own binary, with Landlock and seccomp on, decides hundreds of times and exports to real receivers, through a
//! line that loses half of their answers, while they are killed and started again. Danger: an event is missing although the sink was
//! told that it was accepted, two copies of one have different ids, or what is behind a receiver's refusal is not told. End state: the
//! receiver has an event for every entry of the log, as the log says it, and no other; copies have the same id.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test may stop where it fails"
)]

#[path = "sinks/garbage.rs"]
mod garbage;
#[path = "sinks/hec.rs"]
mod hec;
#[path = "sinks/kafka.rs"]
mod kafka;
#[path = "sinks/lossy.rs"]
mod lossy;
#[path = "sinks/nats.rs"]
mod nats;
#[path = "sinks/nats_jwt.rs"]
mod nats_jwt;
#[path = "sinks/otlp.rs"]
mod otlp;
#[path = "intercept/peers.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod peers;
#[path = "sinks/pki.rs"]
mod pki;
mod support;
#[path = "sinks/tables.rs"]
mod tables;
#[path = "deploy/tools.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod tools;
#[path = "sinks/world.rs"]
mod world;
