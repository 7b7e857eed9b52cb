//! The console, as somebody sees it who looks at it in a browser.
//!
//! Scenario: the real `App`, or the binary, on a real log that is empty, busy, has gaps and broken-off sessions, or was changed on the disk;
//! headless Chromium walks through the page (`web/console/test/walk.mjs`), and the test changes the world between its steps. Danger: the
//! page says that all is well where it is not, runs what somebody named a model, shows something to somebody without a role, asks while
//! nobody looks, or cannot be used by keyboard, screen reader or phone. End state: none of that, in both themes.
//!
//! `CONSOLE_PICTURES=folder` keeps pictures. Needs node, Chromium and `npm ci` in `web/receipt` and `web/console`: without them the walks
//! are skipped with a printed line, unless `CI=true`.

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

#[path = "anchors/world.rs"]
mod anchored;
#[path = "access/world.rs"]
mod guarded;
#[path = "access/issuer.rs"]
mod issuer;
#[path = "../../tests/rfc3161/pki.rs"]
mod pki;
#[path = "console/states.rs"]
mod states;
mod support;
#[path = "console/told.rs"]
mod told;
#[path = "console/walk.rs"]
mod walk;
#[path = "api/world.rs"]
mod world;
