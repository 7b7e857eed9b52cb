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
}

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use load::peers::{self, Body};

/// Turns of each of the two.
const TURNS: usize = 6;

/// A sidecar that runs; killed when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts `program` in front of `upstream` with all of `[hardening]` set to `demand`.
fn start(program: &str, folder: &Path, upstream: SocketAddr, demand: &str) -> Running {
    std::fs::create_dir_all(folder).unwrap();
    let (address, http, admin) = (free_port(), free_port(), free_port());
    let config = folder.join("sidecar.toml");
    let text = format!(
        "log = {{ origin = \"example.com/cost\", store = \"store\", key_file = \"log.key\" }}\n\
         server = {{ listen = \"{address}\", http_listen = \"{http}\", admin_listen = \"{admin}\" }}\n\
         upstream = {{ address = \"http://{upstream}\" }}\nkeys = {{ file = \"kek.key\" }}\n\
         hardening = {{ landlock = \"{demand}\", seccomp = \"{demand}\", memory = \"{demand}\" }}\n\
         [[route]]\nname = \"loans\"\nmatch = {{ model = \"loans\" }}\nmode = \"strict\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let command = |verb: &str| {
        let mut command = Command::new(program);
        command.arg("--config").arg(&config).args(["--log-filter", "error", verb]).stdout(Stdio::null());
        command
    };
    assert!(command("init").status().unwrap().success());
    let child = command("run").spawn().unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Bound is not yet served.
    std::thread::sleep(Duration::from_secs(1));
    Running { child, address }
}

/// Answered calls per second.
async fn rate(address: SocketAddr, workers: usize, time: Duration) -> f64 {
    let channels: Vec<_> = (0..workers.min(8)).map(|_| peers::channel(address, None)).collect();
    let (request, begun) = (Body::Features.request(), Instant::now());
    let tasks: Vec<_> = (0..workers)
        .map(|worker| {
            let (channel, request) = (channels[worker % channels.len()].clone(), request.clone());
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while begun.elapsed() < time {
                    peers::call(&channel, request.clone()).await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.unwrap();
    }
    calls as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap_or_else(|| "target/release/ledgerstone-sidecar".to_owned());
    let turn = Duration::from_secs(arguments.next().map_or(3, |text| text.parse().unwrap()));
    let workers = arguments.next().map_or(16, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    let upstream = peers::model(0).await;
    let off = start(&program, &folder.path().join("off"), upstream, "off");
    let hard = start(&program, &folder.path().join("hard"), upstream, "required");
    for running in [&off, &hard] {
        rate(running.address, workers, Duration::from_secs(1)).await;
    }
    println!("{workers} workers, turns of {} s\nturn  off calls/s  hardened calls/s  ratio", turn.as_secs());
    let mut ratios = Vec::new();
    for number in 1..=TURNS {
        // Who comes first changes, so that neither has the warmer disk.
        let (without, with) = if number % 2 == 0 {
            let with = rate(hard.address, workers, turn).await;
            (rate(off.address, workers, turn).await, with)
        } else {
            (rate(off.address, workers, turn).await, rate(hard.address, workers, turn).await)
        };
        println!("{number:>4}  {without:>11.0}  {with:>16.0}  {:>5.3}", with / without);
        ratios.push(with / without);
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio {:.3} (median of {TURNS})", (ratios[TURNS / 2 - 1] + ratios[TURNS / 2]) / 2.0);
}
