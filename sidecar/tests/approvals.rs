//! Changes that need the approval of two of three persons, on a running sidecar.
//!
//! Scenario: the real `App` and its command line, with approvers whose keys and signatures the verifier's own command makes; models,
//! policies, the key-encryption key, retention and the roster are changed. Danger: a change takes effect without enough approvals,
//! a second time, after its time or for another change; a retry makes a second entry; the log does not show what happened.
//! End state: what was refused left no entry; what was approved stands in the log once, and the log alone shows that it was
//! approved.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test"
)]

#[path = "approvals/configured.rs"]
mod configured;
#[path = "approvals/crashes.rs"]
mod crashes;
#[path = "approvals/gates.rs"]
mod gates;
#[path = "approvals/keys.rs"]
mod keys;
#[path = "approvals/models.rs"]
mod models;
#[path = "approvals/replays.rs"]
mod replays;
mod support;
#[path = "approvals/world.rs"]
mod world;
