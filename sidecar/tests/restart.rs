//! The sidecar ends, and another one takes its place, while callers call.
//!
//! Scenario: the real binary in front of a real model server; clients that never stop calling, some over one connection and some over
//! a new one for each call, a reader of the log, a watcher of the health service; a signal to stop, or a successor that takes over.
//! Danger: an answer without a record, a record whose caller got no answer, a call refused on the way, a log with two owners or a
//! chain of sessions with a hole, nobody serving because the successor could not. End state: whoever called was answered, each
//! answer stands where it was told, every session but a killed one has a stop, the log is *verified*.

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
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "restart/drain.rs"]
mod drain;
#[path = "restart/load.rs"]
mod load;
#[path = "tls/pki.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod pki;
mod support;
#[path = "restart/take_over.rs"]
mod take_over;
