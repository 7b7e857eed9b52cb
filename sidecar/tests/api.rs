//! The running application, seen through its ports.
//!
//! Scenario: the real `App` in this process, on loopback, in front of a real model server; real clients on its gRPC, HTTP
//! and admin ports. Danger: something is served that does not verify, that no published checkpoint covers, or that a
//! route keeps back; or the sidecar says ready when it is not. End state: every proof, entry and receipt that came out
//! of a port verifies against the log's own policy, and what must not come out did not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "api/cose.rs"]
mod cose;
#[path = "api/exports.rs"]
mod exports;
#[path = "api/http.rs"]
mod http;
#[path = "api/lifecycle.rs"]
mod lifecycle;
#[path = "api/links.rs"]
mod links;
#[path = "api/log.rs"]
mod log;
#[path = "api/models.rs"]
mod models;
#[path = "api/receipts.rs"]
mod receipts;
#[path = "api/recorder.rs"]
mod recorder;
mod support;
#[path = "api/tls.rs"]
mod tls;
#[path = "api/world.rs"]
mod world;
