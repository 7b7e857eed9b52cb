//! How much a recorded decision costs its caller: the same calls to one model server, directly, through nginx, and
//! through the sidecar in `strict` mode, round after round in one run.
//!
//! ```text
//! cargo run --release -p ledgerstone-sidecar --example load -- --concurrency 1,16,128
//! ```
//!
//! Closed loop: each of `--concurrency` workers sends its next call when the last is answered. Durability point of the
//! sidecar's answers: the `fdatasync` of the journal record that holds the entry and its sealed record has returned. The
//! store lies where `--store` says; a memory file system there would measure nothing. nginx takes part where it is on PATH.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement that cannot be made stops"
)]

mod load {
    pub(crate) mod nginx;
    pub(crate) mod peers;
    pub(crate) mod report;
    pub(crate) mod tls;
}

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use load::nginx::Nginx;
use load::peers::{self, Body};
use load::report::{Measured, print, print_ratio};
use tonic::transport::ClientTlsConfig;

/// Measures what the sidecar adds to a call.
#[derive(Debug, Parser)]
struct Options {
    /// Workers that send at the same time; one table for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    concurrency: Vec<usize>,
    /// Seconds that each path is under load in each round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Rounds; in each the paths take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections of the clients to each path; workers share them.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Size of a request.
    #[arg(long, value_enum, default_value_t = Body::Features)]
    body: Body,
    /// Microseconds that the model server takes for each call.
    #[arg(long, default_value_t = 0)]
    model_us: u64,
    /// Folder of the store; a new folder is made in it and removed at the end.
    #[arg(long, default_value = "target")]
    store: PathBuf,
    /// An OIP model server to use instead of the built-in one, as HOST:PORT.
    #[arg(long)]
    upstream: Option<SocketAddr>,
    /// Leave nginx out.
    #[arg(long)]
    no_nginx: bool,
    /// Measure the strict route over mutual TLS too, and say what that costs.
    #[arg(long)]
    mtls: bool,
}

/// One way from the client to the model server.
struct Way {
    name: &'static str,
    addr: SocketAddr,
    tls: Option<ClientTlsConfig>,
}

fn main() {
    let options = Options::parse();
    std::fs::create_dir_all(&options.store).unwrap();
    let store = tempfile::tempdir_in(&options.store).unwrap();
    // Model server, sidecar and clients have a runtime each, as they would have a process each.
    let (model, front, clients) = (runtime(), runtime(), runtime());
    let upstream = options.upstream.unwrap_or_else(|| model.block_on(peers::model(options.model_us)));
    let certificates = options.mtls.then(|| load::tls::certificates(store.path()));
    let sidecar = front.block_on(peers::sidecar(store.path(), upstream, certificates.as_ref()));
    let nginx = if options.no_nginx { None } else { Nginx::start(store.path(), upstream) };
    let plain = |name, addr| Way { name, addr, tls: None };
    let mut ways = vec![plain("direct", upstream)];
    ways.extend(nginx.as_ref().map(|nginx| plain("nginx", nginx.addr)));
    ways.push(plain("strict", sidecar.addr));
    let secured = sidecar.tls_addr.zip(certificates);
    ways.extend(secured.map(|(addr, both)| Way { name: "mtls", addr, tls: Some(both.client) }));
    if nginx.is_none() {
        println!("nginx: left out (not on PATH, or --no-nginx)");
    }
    println!(
        "{} byte requests, model server takes {} us, {} connections, {} rounds of {} s",
        options.body.request().len(),
        options.model_us,
        options.connections,
        options.rounds,
        options.seconds
    );
    println!(
        "store on {}, one fdatasync of 4 KiB there takes {:.0} us",
        filesystem(store.path()),
        sync_us(store.path())
    );
    for &concurrency in &options.concurrency {
        let measured = measure(&clients, &options, &ways, concurrency);
        print(concurrency, &measured);
        print_ratio(&measured);
    }
    let answered = front.block_on(sidecar.stop());
    println!("\nthe log holds a decision for each of the {answered} answers of the strict route");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn measure(
    clients: &tokio::runtime::Runtime,
    options: &Options,
    ways: &[Way],
    concurrency: usize,
) -> Vec<Measured> {
    let mut measured: Vec<Measured> = ways.iter().map(|way| Measured::new(way.name)).collect();
    for round in 0..=options.rounds {
        for (way, measured) in ways.iter().zip(&mut measured) {
            // The first round warms up connections and caches.
            let seconds = if round == 0 { 1 } else { options.seconds };
            let (latencies, took) =
                clients.block_on(run(way, options, concurrency, Duration::from_secs(seconds)));
            if round > 0 {
                measured.add(latencies, took);
            }
        }
    }
    measured
}

/// Latencies of all calls within `time`, and how long they took together.
async fn run(way: &Way, options: &Options, concurrency: usize, time: Duration) -> (Vec<Duration>, Duration) {
    let connections = options.connections.min(concurrency);
    let channels: Vec<_> = (0..connections).map(|_| peers::channel(way.addr, way.tls.as_ref())).collect();
    let request = options.body.request();
    let begin = Instant::now();
    let end = begin + time;
    let workers: Vec<_> = (0..concurrency)
        .map(|worker| {
            let channel = channels[worker % connections].clone();
            let request = request.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let sent = Instant::now();
                    peers::call(&channel, request.clone()).await;
                    latencies.push(sent.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    (all, begin.elapsed())
}

/// Median microseconds of one write and `fdatasync` of 4 KiB at the end of a file in `folder`.
fn sync_us(folder: &Path) -> f64 {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("sync")).unwrap();
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let begin = Instant::now();
            file.write_all(&[1; 4096]).unwrap();
            file.sync_data().unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[50].as_secs_f64() * 1e6
}

/// The type of the file system that holds `path`, as `stat` tells it.
fn filesystem(path: &Path) -> String {
    let output = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
