//! What the process gives up, what it never asks, and what it never says.
//!
//! Scenario: the real binary runs as it is installed; a process under the same restrictions then tries what an attacker inside
//! it would try; configurations name addresses that must not be asked; secrets are planted and everything that the sidecar
//! says is searched. Danger: a restriction that is told and does not hold, one that holds and breaks the sidecar, a request or a
//! redirect that chooses where the sidecar connects to, a path that leaves its folder, a secret in a log line. End state: what is
//! told as active is seen by the kernel, what is missing is told or ends the start, every attempt is refused.

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

#[path = "hardening/addresses.rs"]
mod addresses;
#[path = "keys/fake.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod fake;
#[cfg(target_os = "linux")]
#[path = "hardening/inside.rs"]
mod inside;
#[path = "hardening/pages.rs"]
mod pages;
#[path = "hardening/paths.rs"]
mod paths;
#[cfg(target_os = "linux")]
#[path = "hardening/process.rs"]
mod process;
#[path = "hardening/secrets.rs"]
mod secrets;
mod support;
