//! Runs one target, or all, on mutations of its corpus for a while.

use std::path::Path;
use std::time::{Duration, Instant};

use ledgerstone_fuzz::mutate::{Rng, mutate};
use ledgerstone_fuzz::{TARGETS, Target};

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = option(&arguments, "--seconds").unwrap_or(10);
    let seed = option(&arguments, "--seed").unwrap_or(1);
    let name = arguments.first().filter(|first| !first.starts_with("--"));
    let chosen: Vec<&Target> = TARGETS.iter().filter(|t| name.is_none_or(|n| n == t.name)).collect();
    if chosen.is_empty() {
        eprintln!("no such target; choose one of:");
        TARGETS.iter().for_each(|target| eprintln!("  {}", target.name));
        return std::process::ExitCode::from(64);
    }
    for target in chosen {
        fuzz(target, Duration::from_secs(seconds), seed);
    }
    std::process::ExitCode::SUCCESS
}

fn option(arguments: &[String], name: &str) -> Option<u64> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

fn fuzz(target: &Target, time: Duration, seed: u64) {
    let corpus = ledgerstone_fuzz::targets::corpus(Path::new(env!("CARGO_MANIFEST_DIR")), target.name);
    let mut rng = Rng::new(seed);
    let start = Instant::now();
    let (mut runs, mut accepted) = (0_u64, 0_u64);
    while start.elapsed() < time {
        let pick = |rng: &mut Rng| corpus.get(rng.below(corpus.len())).cloned().unwrap_or_default();
        let (first, second) = (pick(&mut rng), pick(&mut rng));
        accepted += u64::from((target.run)(&mutate(&first, &second, &mut rng)));
        runs += 1;
    }
    println!("{}: {runs} inputs, {accepted} accepted, no failure (seed {seed})", target.name);
}
