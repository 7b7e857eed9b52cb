//! Tolerance profiles that the program measures, and audits by them: small graphs and language models, with honest and tampered records.
//!
//! Danger: a profile that no run takes, or one that calls honest records altered or tampered ones honest. Expected: a run takes the profile as it was written; records
//! as near as what was measured pass, and those of changed weights do not.

#![cfg(feature = "neural")]
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

#[path = "support/answers.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod answers;
#[path = "support/evidence.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod evidence;
#[path = "support/library.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod library;
#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;

#[path = "calibrate/bench.rs"]
mod bench;
#[path = "calibrate/graphs.rs"]
mod graphs;
#[path = "calibrate/language.rs"]
mod language;
