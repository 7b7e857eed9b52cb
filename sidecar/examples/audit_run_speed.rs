//! Measures the export of a log's decisions and `audit run` on the bundle: decisions a second and memory, each in a process of its own.
//!
//! ```text
//! cargo run --release -p ledgerstone-sidecar --example audit_run_speed -- [DECISIONS [THREADS]]
//! ```
//! The lending example records its 1,989 applications; their records are committed and sealed again under ids and secrets of their own until there are DECISIONS
//! (1,000,000 unless told) in a log, which is exported with the model of 150 trees and run. Everything is in the page cache.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

#[path = "../../verifier/tests/support/log.rs"]
#[allow(dead_code, unused_results, reason = "shared with the tests, which use all of it")]
mod log;
#[path = "../../verifier/examples/support/measure.rs"]
#[allow(dead_code, reason = "shared with the other measuring programs")]
mod measure;
#[path = "../tests/support/tampers.rs"]
#[allow(dead_code, reason = "shared with the test, which uses all of it")]
mod tampers;

use std::path::Path;

use ledgerstone::entry::{Kind, SealedRef};
use ledgerstone::hash::Hash;
use ledgerstone::record::{Record, RecordSecret, Value, schema};
use ledgerstone_sidecar::evidence::{Exporter, Wanted, WantedEntries};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::reader::LogReader;
use ledgerstone_sidecar::seal::{SealedContent, seal};
use ledgerstone_verifier::audit::run::{self, Admitted, Options};
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::progress::Silent;

use log::{ORIGIN, decision_id};
use measure::{alone, say_costs, write_log};

/// Opens the records of the made log.
const KEY: [u8; 32] = [7; 32];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["export", store, model, bundle] => say_costs(|| export(store, model, bundle)),
        ["run", bundle, decisions, threads] => {
            let (decisions, threads) = (decisions.parse().unwrap(), threads.parse().unwrap());
            say_costs(|| audit(Path::new(bundle), decisions, threads));
        }
        _ => measure_all(
            words.first().map_or(1_000_000, |text| text.parse().expect("a number of decisions")),
            words.get(1).copied().unwrap_or("2"),
        ),
    }
}

fn measure_all(decisions: u64, threads: &str) {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| desk.path().join(name).display().to_string();
    let data = tampers::lending(usize::MAX, None);
    let recorded = tampers::audited(&data.honest, &data.honest, &data.rows);
    let (records, digest) = recorded.records();
    std::fs::create_dir(at("store")).expect("a directory");
    eprintln!("writing {decisions} decisions ...");
    write(Path::new(&at("store")), decisions, &records, digest);
    std::fs::write(at("store/log.policy"), log::policy(&log::keys(ORIGIN, 1)).to_string()).expect("a file");
    let model = recorded.model().display().to_string();
    let said = alone(&["export", &at("store"), &model, &at("bundle")]);
    let bytes = std::fs::metadata(at("bundle")).expect("a bundle").len();
    println!("export    {} {}", rate(decisions, &said), said);
    println!(
        "bundle    {:.1} MB, {:.0} bytes a decision",
        bytes as f64 / 1e6,
        bytes as f64 / decisions as f64
    );
    for turn in 1..=3 {
        let said = alone(&["run", &at("bundle"), &decisions.to_string(), threads]);
        println!("audit run {} {said} (turn {turn}, {threads} threads)", rate(decisions, &said));
    }
}

fn rate(decisions: u64, said: &str) -> String {
    let seconds: f64 = said.split_whitespace().next().unwrap().parse().expect("seconds");
    format!("{:>9.0} decisions/s", decisions as f64 / seconds)
}

/// Writes a log whose records are those given, again and again.
fn write(store: &Path, decisions: u64, records: &[Record], model: Hash) {
    let keys = keys();
    write_log(store, decisions, |recorder, number| {
        let id = decision_id(number);
        let record = &records[number as usize % records.len()];
        let record = tampers::with(record, &schema::DECISION_ID, Value::Text(id.to_string()));
        let mut secret = [0x5e; 32];
        secret[..8].copy_from_slice(&number.to_be_bytes());
        let secret = RecordSecret::from_bytes(secret);
        let mut drafted = recorder.decision_with(number, record.commit(&secret).commitment(), 0);
        let content = SealedContent { secret, record, request: None, response: None };
        drafted.sealed = seal(&keys, &id, Kind::Decision, &content).expect("a sealed record");
        drafted.entry.sealed = Some(SealedRef::of(&drafted.sealed));
        drafted.entry.model = Some(model);
        drafted
    });
}

fn keys() -> FileKeyProvider {
    FileKeyProvider::from_key(KeyId::new("measured").expect("a name"), &KEY)
}

fn export(store: &str, model: &str, bundle: &str) {
    let log = LogReader::at_rest(Path::new(store)).expect("a log");
    let wanted = Wanted {
        entries: WantedEntries::Range { first: 0, last: None },
        models: vec![model.into()],
        raw: false,
        recipients: Vec::new(),
        output: bundle.into(),
    };
    let keys = keys();
    let exported = Exporter::survey(&log, &keys, wanted).expect("a survey").write(|_| {}).expect("a bundle");
    assert!(exported.absent.is_empty(), "{:?}", exported.absent);
}

fn audit(bundle: &Path, decisions: u64, threads: usize) {
    let output = bundle.with_extension("jsonl");
    let _ = std::fs::remove_file(&output);
    let options = Options { bundle: bundle.to_owned(), output, threads, ..Options::default() };
    let policy = log::policy(&log::keys(ORIGIN, 1));
    let admit = |front: &ledgerstone_verifier::bundle::Front| {
        policy.check(&front.checkpoint).expect("the log's own checkpoint");
        Ok(Admitted { checkpoint_verified: true, listed: None })
    };
    let (_, tail) = run::run(&options, admit, &mut Silent).expect("results");
    assert_eq!((tail.verdicts.get(&Verdict::Exact), tail.exceptions), (Some(&decisions), 0));
}
