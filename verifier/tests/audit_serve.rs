//! The audit service: the real program on loopback, asked by the real program and by a caller that means no good.
//!
//! Danger: a run is lost, mixed up with another, or its results differ from what the auditor's own machine gives; a caller fills the disk,
//! the queue or the memory; a cancelled or half-done run looks whole. Expected: results are byte for byte those of `audit run`,
//! whatever was cancelled, stopped or killed in between, and everything else is refused with a code.

#![cfg(feature = "serve")]
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

#[path = "support/evidence.rs"]
mod evidence;
#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;

#[path = "audit_serve/client.rs"]
mod client;
#[path = "audit_serve/hostile.rs"]
mod hostile;
#[path = "audit_serve/node.rs"]
mod node;
#[path = "audit_serve/restart.rs"]
mod restart;
#[path = "audit_serve/runs.rs"]
mod runs;
#[path = "audit_serve/tls.rs"]
mod tls;
