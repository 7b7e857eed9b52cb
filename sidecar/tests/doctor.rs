//! `ledgerstone doctor` in front of a real sidecar with planted faults.
//!
//! Scenario: a sidecar as its own process, hardened, with a model that is registered, a timestamp authority, decisions and a policy; then
//! one fault at a time, in its files, its store, its configuration, its certificates, its surroundings. Danger: a fault that is not seen,
//! one that is named as another, a fix that is not said, an installation without faults that is called ill. End state: without a fault
//! every check is ok; with one exactly that check is not, and it names what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "tls/pki.rs"]
mod certificates;
#[path = "doctor/configured.rs"]
mod configured;
#[path = "doctor/desk.rs"]
mod desk;
#[path = "doctor/log.rs"]
mod log;
#[path = "support/mount.rs"]
mod mount;
#[path = "doctor/peers.rs"]
mod peers;
#[path = "../../tests/rfc3161/pki.rs"]
mod pki;
#[cfg(feature = "pkcs11")]
#[path = "keys/tools.rs"]
mod programs;
#[path = "doctor/proxy.rs"]
mod proxy;
#[path = "doctor/running.rs"]
mod running;
mod support;
#[path = "doctor/tls.rs"]
mod tls;
#[path = "anchors/world.rs"]
mod world;
