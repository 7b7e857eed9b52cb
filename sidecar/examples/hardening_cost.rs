//! What Landlock, seccomp and locked keys cost a recorded decision: two sidecars, one with everything off and one with everything
//! required, take the same calls in turns, in one run.
//!
//! ```text
//! cargo build --release -p ledgerstone-sidecar && cargo run --release -p ledgerstone-sidecar --example hardening_cost -- target/release/ledgerstone-sidecar
//! ```
//!
//! Arguments: the sidecar's binary, the seconds of a turn (3), the workers that send at the same time (16). Durability point: the
//! `fdatasync` of the journal record has returned. The stores lie in the current folder while it runs.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement that cannot be made stops"
)]

mod load {
    #[allow(dead_code, reason = "the other measurement uses the rest")]
    pub(crate) mod peers;
    #[allow(dead_code, reason = "the other measurement uses it")]
    pub(crate) mod tls;
    pub(crate) mod turns;
}

use std::time::Duration;

use load::peers;
use load::turns::{in_turns, ratio, start};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap_or_else(|| "target/release/ledgerstone-sidecar".to_owned());
    let turn = Duration::from_secs(arguments.next().map_or(3, |text| text.parse().unwrap()));
    let workers = arguments.next().map_or(16, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    let upstream = peers::model(0).await;
    let hardening = |demand| {
        format!("hardening = {{ landlock = \"{demand}\", seccomp = \"{demand}\", memory = \"{demand}\" }}")
    };
    let off = start(&program, &folder.path().join("off"), upstream, &hardening("off"));
    let hard = start(&program, &folder.path().join("hard"), upstream, &hardening("required"));
    println!(
        "{workers} workers, turns of {} s, calls per second\nturn         off    hardened",
        turn.as_secs()
    );
    let rates = in_turns(&[&off, &hard], workers, turn).await;
    println!("ratio {:.3} (median)", ratio(&rates[1], &rates[0]));
}
