//! Measures `audit draw`: time and memory for samples of three sizes from a large log.
//!
//! ```text
//! cargo run --release -p ledgerstone-verifier --example audit_draw_speed -- [ENTRIES]
//! ```
//! Writes a log of ENTRIES decisions (1,000,000 unless told) with the library's own store into a temporary directory, then draws in a
//! process of its own each time, from the page cache.

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
mod measure;

use std::fs;
use std::path::Path;

use clap::Parser;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::output::Output;

use log::ORIGIN;
use measure::{SEALED_BYTES, alone, say_costs, write_log};

/// Round 42 of quicknet, from docs.drand.love/developer/http-api.
const ROUND: &str = r#"{"round":42,"signature":"95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a"}"#;
const SOURCE: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971:42";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "draw") {
        return say_costs(|| run(&arguments[1..].join(" ")));
    }
    let entries: u64 = arguments.first().map_or(1_000_000, |text| text.parse().expect("a number of entries"));
    let desk = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| desk.path().join(name).display().to_string();
    fs::create_dir(at("store")).expect("a directory");
    eprintln!("writing {entries} decisions ...");
    write_log(Path::new(&at("store")), entries, |recorder, number| recorder.decision(number, SEALED_BYTES));
    fs::write(at("policy"), log::policy(&log::keys(ORIGIN, 1)).to_string()).expect("a file");
    fs::write(at("round"), ROUND).expect("a file");
    let checkpoint = at("store/log/checkpoint");
    for tolerable in ["1%", "0.1%", "0.003%"] {
        let (plan, drawn) = (at(&format!("{tolerable}.plan")), at(&format!("{tolerable}.draw")));
        run(&format!(
            "ledgerstone audit plan --checkpoint {checkpoint} --policy {} --tolerable {tolerable} --drand {SOURCE} -o {plan} --json",
            at("policy")
        ));
        let line = format!(
            "ledgerstone audit draw {} --plan {plan} --unsigned --drand {} -o {drawn} --json",
            at("store"),
            at("round")
        );
        let arguments: Vec<&str> = std::iter::once("draw").chain(line.split(' ')).collect();
        let said = alone(&arguments);
        let written = fs::metadata(&drawn).expect("a draw").len();
        println!("below {tolerable:<7} {said} {written:>9} bytes of draw");
    }
}

fn run(line: &str) {
    let arguments = Arguments::try_parse_from(line.split(' ')).expect("a command line");
    let mut output = Output::standard(arguments.output);
    let exit = command::run(&arguments.command, &mut output).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(exit, Exit::Verified);
}
