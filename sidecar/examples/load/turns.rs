//! Sidecars of the installed kind, which take the same calls in turns.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::peers::{self, Body};

/// Turns of each.
pub(crate) const TURNS: usize = 6;

/// A sidecar that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
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

/// Starts `program` in front of `upstream`, with `more` in its configuration.
pub(crate) fn start(program: &str, folder: &Path, upstream: SocketAddr, more: &str) -> Running {
    std::fs::create_dir_all(folder).unwrap();
    let (address, http, admin) = (free_port(), free_port(), free_port());
    let config = folder.join("sidecar.toml");
    let text = format!(
        "log = {{ origin = \"example.com/cost\", store = \"store\", key_file = \"log.key\" }}\n\
         server = {{ listen = \"{address}\", http_listen = \"{http}\", admin_listen = \"{admin}\" }}\n\
         upstream = {{ address = \"http://{upstream}\" }}\nkeys = {{ file = \"kek.key\" }}\n\
         {more}\n\
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
pub(crate) async fn rate(address: SocketAddr, workers: usize, time: Duration) -> f64 {
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

/// Calls per second of each, in turns: who comes first changes, so that none has the warmer disk. Prints the rates of each turn.
pub(crate) async fn in_turns(all: &[&Running], workers: usize, turn: Duration) -> Vec<Vec<f64>> {
    for running in all {
        rate(running.address, workers, Duration::from_secs(1)).await;
    }
    let mut rates = vec![Vec::new(); all.len()];
    for number in 0..TURNS {
        for place in 0..all.len() {
            let which = (number + place) % all.len();
            rates[which].push(rate(all[which].address, workers, turn).await);
        }
        let shown: Vec<_> = rates.iter().map(|rates| format!("{:>12.0}", rates[number])).collect();
        println!("{:>4}{}", number + 1, shown.concat());
    }
    rates
}

/// The median of the ratios of the turns.
pub(crate) fn ratio(with: &[f64], without: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = with.iter().zip(without).map(|(with, without)| with / without).collect();
    ratios.sort_by(f64::total_cmp);
    f64::midpoint(ratios[TURNS / 2 - 1], ratios[TURNS / 2])
}
