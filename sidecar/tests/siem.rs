//! The SIEM export of the real binary, to real and to hostile receivers.
//!
//! Scenario: decisions are made while sinks follow the log: rsyslog over UDP, TCP and TLS, a file, a webhook. Receivers are down, slow,
//! gone without a word, full, or answer something else; the sidecar is killed; an older copy of the log is put in its place. Danger: an
//! event that no sink ever gets; one that is torn; a decision that waits for a sink; a history that is exported on top of another.
//! End state: every entry of the log is at every sink, whole and in its exact bytes; what is there twice has the same id; decisions go on
//! while sinks stall; what cannot be gone on with says so and how to mend it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "siem/alerts.rs"]
mod alerts;
#[path = "siem/commands.rs"]
mod commands;
#[path = "siem/cursor.rs"]
mod cursor;
#[path = "siem/file.rs"]
mod file;
#[path = "siem/kill.rs"]
mod kill;
#[path = "support/mount.rs"]
mod mount;
#[path = "tls/pki.rs"]
mod pki;
#[path = "siem/rsyslog.rs"]
mod rsyslog;
#[path = "siem/settings.rs"]
mod settings;
#[path = "siem/streams.rs"]
mod streams;
mod support;
#[path = "siem/webhook.rs"]
mod webhook;
#[path = "siem/world.rs"]
mod world;
