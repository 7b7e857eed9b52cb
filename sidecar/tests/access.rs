//! Who may do what.
//!
//! Scenario: the real `App` with `[access]` in front of a real model server, an issuer that is a process of its own and signs with
//! another library, and calls of every method by every role over real connections. Danger: a method that nobody thought of is open, a token that
//! does not hold is taken, a record is read and nobody can say so later. End state: every call was let pass or refused as the table says,
//! and the log verifies with every read and every decision turned away in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "access/certificates.rs"]
mod certificates;
#[path = "access/issuer.rs"]
mod issuer;
#[path = "access/limits.rs"]
mod limits;
#[path = "access/reads.rs"]
mod reads;
#[path = "access/settings.rs"]
mod settings;
mod support;
#[path = "access/table.rs"]
mod table;
#[path = "access/tokens.rs"]
mod tokens;
#[path = "access/world.rs"]
mod world;
