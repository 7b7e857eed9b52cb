//! What telemetry costs a recorded decision: sidecars without it, with it as it is by default, and with every decision traced, take the
//! same calls in turns, in one run.
//!
//! ```text
//! cargo build --release -p ledgerstone-sidecar && cargo run --release -p ledgerstone-sidecar --example telemetry_cost -- target/release/ledgerstone-sidecar
//! ```
//!
//! Arguments: the sidecar's binary, the seconds of a turn (3), the workers that send at the same time (16), a Collector that takes OTLP
//! over HTTP (one in this process that takes everything and keeps nothing). Durability point: the `fdatasync` of the journal record
//! has returned. The stores lie in the current folder while it runs.
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

use axum::Router;
use axum::body::Bytes;
use load::peers;
use load::turns::{in_turns, ratio, start};

/// Takes everything and keeps nothing.
async fn collector() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async |_: Bytes| Bytes::new());
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap_or_else(|| "target/release/ledgerstone-sidecar".to_owned());
    let turn = Duration::from_secs(arguments.next().map_or(3, |text| text.parse().unwrap()));
    let workers = arguments.next().map_or(16, |text| text.parse().unwrap());
    let endpoint = match arguments.next() {
        Some(endpoint) => endpoint,
        None => collector().await,
    };
    let folder = tempfile::tempdir_in(".").unwrap();
    let upstream = peers::model(0).await;
    let telemetry = |more: &str| {
        format!("telemetry = {{ endpoint = \"{endpoint}\", protocol = \"http/protobuf\"{more} }}")
    };
    let off = start(&program, &folder.path().join("off"), upstream, "");
    let usual = start(&program, &folder.path().join("usual"), upstream, &telemetry(""));
    let all = start(&program, &folder.path().join("all"), upstream, &telemetry(", sampling_ratio = \"1\""));
    println!("{workers} workers, turns of {} s, calls per second", turn.as_secs());
    println!("turn         off     default         all");
    let rates = in_turns(&[&off, &usual, &all], workers, turn).await;
    println!(
        "default: ratio {:.3}, all: ratio {:.3} (medians)",
        ratio(&rates[1], &rates[0]),
        ratio(&rates[2], &rates[0])
    );
}
