//! Rows a second of recomputation against the Python libraries' own batch prediction (of ONNX, onnxruntime's), in turns in one run on the same cores.
//!
//!     cargo run --release -p ledgerstone-verifier --example model_speed -- ROWS THREADS TURNS
//!
//! Both score the same rows in memory with the same models (200 trees, a forest of 100, on lending_club), and every margin must have the same bits. So
//! must contributions, of the first rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement fails by panicking, and prints"
)]

#[path = "support/peer.rs"]
mod peer;

use std::process::{Command, Stdio};
use std::time::Instant;

use ledgerstone_verifier::recompute::Model;

use crate::peer::Peer;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().expect("a number"));
    let mut next = |default| arguments.next().unwrap_or(default);
    let (count, threads, turns) = (next(100_000), next(2), next(5));
    println!("{count} rows, {threads} threads, {turns} turns");
    let libraries = [("xgboost", "xgboost.json"), ("lightgbm", "lightgbm.txt")];
    compare(
        ["requirements.txt", "speed.py"],
        &libraries,
        &["margins", "contributions"],
        (count, threads, turns),
    );
    let graphs = ["onnx_xgboost", "onnx_lightgbm", "onnx_forest"].map(|name| (name, format!("{name}.onnx")));
    let graphs = graphs.each_ref().map(|(name, file)| (*name, file.as_str()));
    compare(["onnx-requirements.txt", "onnx_speed.py"], &graphs, &["margins"], (count, threads, turns));
}

/// Measures the models that a script of `tests/library` writes, each a name and a file, against the script's own prediction.
fn compare(
    [requirements, script]: [&str; 2],
    models: &[(&str, &str)],
    parts: &[&str],
    (count, threads, turns): (usize, usize, usize),
) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut peer, ready) = Peer::start(
        Command::new(peer::python(requirements, &[]))
            .arg(peer::library(script))
            .arg(folder.path())
            .args([count.to_string(), threads.to_string()])
            .stderr(Stdio::null()),
    );
    assert_eq!(ready, "ready");
    let doubles = |name: &str| -> Vec<f64> {
        let bytes = std::fs::read(folder.path().join(name)).expect(name);
        bytes.chunks_exact(8).map(|number| f64::from_le_bytes(number.try_into().unwrap())).collect()
    };
    let rows = doubles("rows.f64");
    for ((name, file), part) in models.iter().flat_map(|model| parts.iter().map(move |part| (model, part))) {
        let model = Model::parse(&std::fs::read(folder.path().join(file)).unwrap()).unwrap();
        let expected = doubles(&format!("{name}.{part}"));
        let about = model.about();
        let numbers = if *part == "margins" { about.margins } else { about.margins * (about.features + 1) };
        let rows = &rows[..expected.len() / numbers * about.features];
        for turn in 1..=turns {
            let theirs: f64 = peer.ask(&format!("{name} {part}")).parse().unwrap();
            let start = Instant::now();
            let ours = match *part {
                "margins" => model.margins_of_rows(rows, threads).unwrap(),
                _ => contributions(&model, rows, threads),
            };
            let seconds = start.elapsed().as_secs_f64();
            assert!(ours.iter().map(|m| m.to_bits()).eq(expected.iter().map(|m| m.to_bits())), "bits differ");
            let count = (rows.len() / about.features) as f64;
            println!(
                "{name} {part} turn {turn}: {:.0} rows/s here, {:.0} rows/s there, {:.2} times, every bit equal",
                count / seconds,
                count / theirs,
                theirs / seconds
            );
        }
    }
}

/// The contributions of every row, computed row by row on some threads.
fn contributions(model: &Model, rows: &[f64], threads: usize) -> Vec<f64> {
    let columns = model.about().features;
    let share = (rows.len() / columns).div_ceil(threads) * columns;
    std::thread::scope(|scope| {
        let explain = |part: &[f64]| -> Vec<f64> {
            part.chunks_exact(columns).flat_map(|row| model.contributions(row).unwrap().concat()).collect()
        };
        let running: Vec<_> = rows.chunks(share).map(|part| scope.spawn(move || explain(part))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
