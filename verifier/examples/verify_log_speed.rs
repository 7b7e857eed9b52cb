//! Measures `verify log`: entries per second, and how that compares with hashing the same bytes and nothing else.
//!
//! ```text
//! cargo run --release -p ledgerstone-verifier --example verify_log_speed -- [ENTRIES]
//! ```
//! Writes a log of ENTRIES decisions (200,000 unless told) with the library's own store into a temporary directory,
//! then reads it from the page cache: the public part, the whole store, and the entry files through SHA-256 alone.

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
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

#[path = "../tests/support/log.rs"]
#[allow(dead_code, unused_results, reason = "shared with the tests, which use all of it")]
mod log;
#[path = "support/measure.rs"]
#[allow(dead_code, reason = "shared with the programs that measure in a process of its own")]
mod measure;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ledgerstone::hash::Hash;
use ledgerstone::verify::Verdict;
use ledgerstone_verifier::command::verify_log::{self, Options};
use ledgerstone_verifier::progress::Silent;

use log::ORIGIN;
use measure::{SEALED_BYTES, write_log};

/// How often each measurement is taken; the best counts.
const ROUNDS: usize = 3;

fn main() {
    let entries: u64 =
        std::env::args().nth(1).map_or(200_000, |text| text.parse().expect("a number of entries"));
    let store = tempfile::tempdir().expect("a temporary directory");
    eprintln!("writing {entries} decisions ...");
    write_log(store.path(), entries, |recorder, number| recorder.decision(number, SEALED_BYTES));
    let options = Options { policy: Some(log::policy(&log::keys(ORIGIN, 1))), ..Default::default() };
    let bundles = files(&store.path().join("log/tile/entries"));
    let bytes: usize = bundles.iter().map(|path| fs::read(path).expect("a bundle").len()).sum();
    let floor = best(|| {
        let hashes = bundles.iter().map(|path| Hash::of(&fs::read(path).expect("a bundle")));
        assert_eq!(hashes.count(), bundles.len());
    });
    let public = best(|| verified(&store.path().join("log"), &options));
    let whole = best(|| verified(store.path(), &options));
    println!("{entries} entries, {:.1} MB of entry files", bytes as f64 / 1e6);
    for (name, time) in [
        ("SHA-256 of the entry files", floor),
        ("verify log, public part", public),
        ("verify log, store", whole),
    ] {
        println!(
            "{name:<28} {:>8.3} s {:>12.0} entries/s {:>6.2} x SHA-256",
            time.as_secs_f64(),
            entries as f64 / time.as_secs_f64(),
            time.as_secs_f64() / floor.as_secs_f64()
        );
    }
}

fn verified(directory: &Path, options: &Options) {
    let answer = verify_log::run_on_dir(directory, options, &mut Silent).expect("a report");
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
}

fn best(mut work: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().expect("at least one round")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("a directory entry").path();
        if path.is_file() {
            found.push(path);
        } else if path.extension().is_none() {
            found.extend(files(&path));
        }
    }
    found
}
