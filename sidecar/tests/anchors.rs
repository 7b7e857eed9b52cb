//! The log's head fixed outside by the running application, with a real authority and real calendars on loopback.
//!
//! Scenario: decisions are made while lanes anchor the log with a timestamp authority (`openssl ts`) and with OpenTimestamps
//! calendars (the reference implementation's data structures over mined headers); both are taken away, made slow and made to
//! lie; the sidecar is killed, restarted and set back. Danger: a decision waits for an anchor or fails with one; a bad
//! reply is kept; a statement is left out, made twice or contradicts another; a log that was set back is served. End state: every
//! chain of statements is gap-free and signed, every kept proof passes other people's programs, every confirmed anchor is one
//! entry of the log, and a log behind its anchors is refused with what to do.

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

#[path = "anchors/authority.rs"]
mod authority;
#[path = "anchors/calendars.rs"]
mod calendars;
#[path = "anchors/crashes.rs"]
mod crashes;
#[path = "anchors/latency.rs"]
mod latency;
#[path = "../../tests/rfc3161/pki.rs"]
mod pki;
#[path = "anchors/served.rs"]
mod served;
#[path = "anchors/settings.rs"]
mod settings;
mod support;
#[path = "anchors/world.rs"]
mod world;
