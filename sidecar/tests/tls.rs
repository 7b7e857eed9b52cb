//! TLS on every port, with clients that have certificates, wrong ones and none.
//!
//! Scenario: the ports of a sidecar, and single ports made of the same parts, in front of real clients: rustls, tonic, OpenSSL and
//! curl; certificates are made here, of authorities of this test's own. Danger: somebody gets in without a certificate that holds, by
//! an old version, a resumed session, a port that was forgotten or a list that was not read; a reload opens a gap or ends TLS; a
//! crowd that never finishes keeps others out. End state: who has a certificate is served and known by it, nobody else is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "tls/app.rs"]
mod app;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/crowds.rs"]
mod crowds;
#[path = "tls/desk.rs"]
mod desk;
#[path = "tls/pki.rs"]
mod pki;
#[path = "tls/ports.rs"]
mod ports;
#[path = "tls/programs.rs"]
mod programs;
#[path = "tls/reloads.rs"]
mod reloads;
#[path = "support/mod.rs"]
mod support;
#[path = "tls/workload.rs"]
mod workload;
