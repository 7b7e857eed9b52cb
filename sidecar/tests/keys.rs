//! Keys that a token or a service holds.
//!
//! Scenario: real holders of keys - SoftHSM behind its PKCS#11 module, a Vault server, AWS KMS as moto implements it with
//! every signature checked - and a sidecar that records decisions under their keys; then each of them sealed, revoked,
//! taken away and brought back, and servers that lie, stall and flood. Danger: a record that nobody can open, a key under
//! another name, a token locked by the wrong PIN, a thread that waits for ever. End state: what was wrapped unwraps, what
//! cannot be done is refused in time with what to do, and what comes back works without a restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "keys/aws_kms.rs"]
mod aws_kms;
#[path = "keys/fake.rs"]
mod fake;
#[path = "keys/faults.rs"]
mod faults;
#[path = "keys/pkcs11.rs"]
mod pkcs11;
#[path = "keys/records.rs"]
mod records;
mod support;
#[path = "keys/tools.rs"]
mod tools;
#[path = "keys/vault.rs"]
mod vault;
