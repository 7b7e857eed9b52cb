//! Persons and records are erased from a running sidecar, and nothing brings them back.
//!
//! Scenario: the real `App` in front of a real model server; decisions about several people; erasures, holds and releases
//! over gRPC and JSON; crashes, restores, rotations. Danger: an erased record opens again, a record that was not to be erased
//! does not open, the log does not say what happened, or a personal value stands in clear somewhere. End state: what was
//! erased opens with no key that is left, everything else opens, the log verifies and names every erasure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test"
)]

#[path = "anchors/world.rs"]
#[allow(dead_code, unreachable_pub, reason = "its authority is used")]
mod anchored;
#[path = "erasure/crashes.rs"]
mod crashes;
#[path = "erasure/keys.rs"]
mod keys;
#[path = "erasure/learned.rs"]
mod learned;
#[path = "../../tests/rfc3161/pki.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with other tests")]
mod pki;
#[path = "erasure/planted.rs"]
mod planted;
#[path = "erasure/races.rs"]
mod races;
#[path = "erasure/refusals.rs"]
mod refusals;
#[path = "erasure/restores.rs"]
mod restores;
#[path = "erasure/subjects.rs"]
mod subjects;
mod support;
#[path = "erasure/world.rs"]
mod world;
