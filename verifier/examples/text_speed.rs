//! Texts a second of recomputation against onnxruntime in f32, in turns in one run on the same threads, with all-MiniLM-L6-v2.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p ledgerstone-verifier --example text_speed -- TURNS
//!
//! Both compute the same texts, alone and in a batch of 32 filled up to its longest; this program cuts the tokens within the time, onnxruntime gets them cut.
//! Every vector must lie within a hundred-thousandth of the other's.

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

use std::process::Command;
use std::time::{Duration, Instant};

use ledgerstone_verifier::recompute::neural::{Files, TextModel};

use crate::peer::Peer;

/// Texts of a large batch.
const BATCH: usize = 32;

/// Runs of one turn, by the number of texts.
const RUNS: [(usize, usize); 2] = [(1, 100), (BATCH, 4)];

/// After which the threads of both have stopped to look out for work, which would keep the other from its core.
const CALM: Duration = Duration::from_millis(200);

/// How far apart two right answers may lie.
const APART: f64 = 1e-5;

fn main() {
    let turns = std::env::args().nth(1).map_or(5, |turns| turns.parse().expect("a number of turns"));
    let (threads, folder) = (peer::threads(), peer::filled("text_minilm.py"));
    let texts: Vec<String> = (0..BATCH).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let read = |name: &str| {
        let inside = folder.path().join(if name.starts_with("head.") { "" } else { "model" });
        Ok::<_, std::io::Error>(std::fs::read(inside.join(name)).ok())
    };
    let model = TextModel::load(&Files::read(|name, _| read(name)).unwrap()).unwrap();
    let vectors: Vec<u8> =
        texts.iter().flat_map(|text| model.score(text).unwrap().vector).flat_map(f32::to_le_bytes).collect();
    std::fs::write(folder.path().join("vectors.f32"), vectors).unwrap();
    std::fs::write(folder.path().join("texts.json"), serde_json::to_vec(&texts).unwrap()).unwrap();
    let (mut peer, ready) = Peer::start(
        Command::new(peer::python("onnx-requirements.txt", &[]))
            .arg(peer::library("text_speed.py"))
            .arg(folder.path())
            .arg(&threads),
    );
    assert_eq!(ready, "ready");
    for (count, runs) in RUNS {
        let ratios = (0..turns).map(|turn| one(&mut peer, &model, &texts[..count], runs, turn)).collect();
        let [median, ..] = peer::spread(ratios);
        println!("{count} texts, {threads} threads: {median:.2} times onnxruntime's time (median)");
    }
}

/// One turn of both; gives how many times as long it took here. The first turn warms up both, and counts like the others.
fn one(peer: &mut Peer, model: &TextModel, texts: &[&str], runs: usize, turn: usize) -> f64 {
    let (mut theirs, mut said) = (0.0, String::new());
    std::thread::sleep(CALM);
    for _ in 0..runs {
        said = peer.ask(&texts.len().to_string());
        let mut words = said.split(' ').map(|word| word.parse::<f64>().unwrap());
        theirs += words.next().unwrap();
        assert!(words.next().unwrap() < APART, "{said}");
    }
    std::thread::sleep(CALM);
    let start = Instant::now();
    for _ in 0..runs {
        assert_eq!(model.score_batch(texts, None).unwrap().len(), texts.len());
    }
    let ours = start.elapsed().as_secs_f64();
    let count = (texts.len() * runs) as f64;
    println!(
        "{} texts of {} tokens, turn {turn}: {:.1} texts/s here, {:.1} texts/s there",
        texts.len(),
        said.rsplit(' ').next().unwrap(),
        count / ours,
        count / theirs
    );
    ours / theirs
}

/// A made-up résumé of about forty tokens.
fn text(number: usize) -> String {
    let job = ["office clerk", "manager", "retail sales clerk", "sales representative"][number % 4];
    format!(
        "Application as {job}. Education: {} years of college. Work experience: {} years, {} gaps. Computer skills. \
         Volunteer work in the community. Contact by e-mail or telephone.",
        number % 5,
        number + 1,
        if number.is_multiple_of(3) { "with" } else { "without" }
    )
}
