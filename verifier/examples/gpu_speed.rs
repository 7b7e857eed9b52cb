//! What a processor does for recomputation: agreement with the scalar walk and the main processor, two runs of the same bits, and time.
//!
//!     cargo run --release -p ledgerstone-verifier --example gpu_speed -- --device cpu
//!
//! `scripts/gpu-checks` runs it, and `docs/gpu.md` says how to read it. Options: `--device cpu|cuda`, `--rows N`, `--trees N`, `--turns N`, `--model FILE`
//! (repeated: further forests), `--text FOLDER` (a text model), `--texts N`, `--torch COMMAND` (a PyTorch program that answers in turns).
//! It stops at the first number that differs where it must not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a measurement fails by panicking, and prints"
)]

#[path = "gpu_speed/floor.rs"]
mod floor;
#[path = "gpu_speed/forests.rs"]
mod forests;
#[path = "support/peer.rs"]
mod peer;
#[path = "gpu_speed/texts.rs"]
mod texts;

use std::path::PathBuf;
use std::time::Instant;

use floor::Floor;
use ledgerstone_verifier::recompute::Model;
use ledgerstone_verifier::recompute::processor::Processor;

/// What was asked for.
struct Options {
    device: Processor,
    rows: usize,
    trees: usize,
    turns: usize,
    models: Vec<PathBuf>,
    text: Option<PathBuf>,
    texts: usize,
    torch: Option<String>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            device: Processor::Cpu,
            rows: 100_000,
            trees: 200,
            turns: 3,
            models: Vec::new(),
            text: None,
            texts: 256,
            torch: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(key) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{key} lacks its value"));
            let number = || value.parse().unwrap_or_else(|_| panic!("{key} {value} is not a number"));
            match key.as_str() {
                "--device" if value == "cpu" => options.device = Processor::Cpu,
                "--device" if value == "cuda" => options.device = Processor::Cuda,
                "--rows" => options.rows = number(),
                "--trees" => options.trees = number(),
                "--turns" => options.turns = number(),
                "--texts" => options.texts = number(),
                "--model" => options.models.push(value.into()),
                "--text" => options.text = Some(value.into()),
                "--torch" => options.torch = Some(value),
                _ => panic!("{key} {value} is not known; the head of gpu_speed.rs lists the options"),
            }
        }
        options
    }
}

fn main() {
    let options = Options::read();
    let device = match options.device {
        Processor::Cpu => "cpu: this run says nothing about a graphics processor",
        Processor::Cuda => "cuda: the first graphics processor",
    };
    println!("device {device}; {} turns, the fastest of which is given", options.turns);
    let floor = Floor::measure(options.device, options.turns);
    for (name, text) in forests::texts(options.trees) {
        let model = Model::parse(text.as_bytes()).expect("a generated forest is read");
        forests::measure(name, &model, &options, &floor);
    }
    for file in &options.models {
        let model = Model::parse(&std::fs::read(file).expect("the model file can be read"));
        let name = file.display().to_string();
        forests::measure(&name, &model.unwrap_or_else(|error| panic!("{name}: {error}")), &options, &floor);
    }
    if let Some(folder) = &options.text {
        texts::measure(folder, &options, &floor);
    }
    println!("every comparison held");
}

/// Runs something several times; gives the last result and the shortest time.
fn fastest<T>(turns: usize, mut work: impl FnMut() -> T) -> (T, f64) {
    let mut best = f64::INFINITY;
    let mut turn = || {
        let start = Instant::now();
        let result = work();
        best = best.min(start.elapsed().as_secs_f64());
        result
    };
    let mut last = turn();
    for _ in 1..turns {
        last = turn();
    }
    (last, best)
}

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// From 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
