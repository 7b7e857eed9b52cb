//! The policy gate in front of a model: rules that let decisions pass, refuse them, or ask for a person.
//!
//! Scenario: the real `App` in this process, on loopback, between a client that sees raw bytes and a model server that notes every
//! call. Danger: a refused request reaches the model, a refused answer reaches the caller, a rule that cannot be evaluated opens
//! the gate, or what was refused is not in the log. End state: every decision, refused or not, is in the log with the rules' digest
//! and verdicts, its receipt verifies, and the rules give the same again over the record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test may stop where it fails"
)]

#[path = "gate/command.rs"]
mod command;
#[path = "gate/decisions.rs"]
mod decisions;
#[path = "gate/hostile.rs"]
mod hostile;
#[path = "gate/log.rs"]
mod log;
#[path = "intercept/peers.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod peers;
#[path = "intercept/setup.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod setup;
mod support;
#[path = "gate/world.rs"]
mod world;
