//! Draws from a log behind a web server.
//!
//! Scenario: a log of 302 entries has a full bundle and a partial one; one of them, or a hash file, is gone or changed. Danger: the draw
//! reads the whole log, or takes an entry that is not the log's for one that is. Expected: a draw over HTTP is that from the directory,
//! byte for byte; a bundle that is not needed is not read; whatever is needed and wrong stops the draw before a file is written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;
#[path = "support/web.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod web;

use std::fs;
use std::process::{Command, Output};

use ledgerstone::hash::Hash;
use tempfile::TempDir;

use log::{LogWriter, ORIGIN, Recorder};
use web::Fault;

/// A log of 300 decisions, stopped, its policy, and a plan of 29 decisions from the entries `range`.
struct Desk(TempDir);

impl Desk {
    fn new(range: (u64, u64)) -> Self {
        let desk = tempfile::tempdir().unwrap();
        let store = desk.path().join("store");
        fs::create_dir(&store).unwrap();
        let mut log = LogWriter::create(&store, log::keys(ORIGIN, 1), 64 * 1024 * 1024);
        let mut recorder = Recorder::new(1);
        log.batch(vec![recorder.start(None)]);
        log.batch((0..300).map(|number| recorder.decision(number, 8)).collect());
        log.batch(vec![recorder.stop()]);
        log.stop();
        let desk = Self(desk);
        desk.write("log.policy", &log::policy(&log::keys(ORIGIN, 1)).to_string());
        desk.write("secret", &Hash::of(b"secret").to_string());
        let commitment = Hash::of(Hash::of(b"secret").as_bytes());
        let (from, to) = range;
        let planned = desk.run(&format!(
            "audit plan --checkpoint store/log/checkpoint --policy log.policy --tolerable 10% --from {from} --to {to} \
             --nonce-commitment a:{commitment} -o plan"
        ));
        assert!(planned.status.success(), "{planned:?}");
        desk
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone"));
        command.args(line.split_ascii_whitespace()).current_dir(self.0.path()).output().unwrap()
    }

    fn draw(&self, source: &str, output: &str) -> Output {
        self.run(&format!("audit draw {source} --plan plan --unsigned --nonce a=secret -o {output}"))
    }

    fn served(&self, faults: &[(&str, Fault)]) -> String {
        web::serve(&self.0.path().join("store/log"), faults)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }
}

const FULL: &str = "tile/entries/000";
const PARTIAL: &str = "tile/entries/001.p/46";

#[test]
fn a_served_log_gives_the_draw_of_the_directory() {
    let desk = Desk::new((0, 301));
    assert!(desk.draw("store", "here").status.success());
    assert!(desk.draw(&desk.served(&[]), "there").status.success());
    assert_eq!(desk.bytes("here"), desk.bytes("there"));
}

#[test]
fn reads_no_bundle_that_holds_nothing_drawn() {
    let gone = |path| [(path, Fault::Status(404))];
    let first = Desk::new((0, 255));
    assert!(first.draw(&first.served(&gone(PARTIAL)), "draw").status.success());
    assert_eq!(first.draw(&first.served(&gone(FULL)), "no").status.code(), Some(2));
    let last = Desk::new((256, 301));
    assert!(last.draw(&last.served(&gone(FULL)), "draw").status.success());
    assert_eq!(last.draw(&last.served(&gone(PARTIAL)), "no").status.code(), Some(2));
}

/// The bytes of a bundle whose first two entries have changed places.
fn turned(bundle: &[u8]) -> Vec<u8> {
    let length = |at: usize| 2 + usize::from(u16::from_be_bytes([bundle[at], bundle[at + 1]]));
    let first = length(0);
    let second = first + length(first);
    [&bundle[first..second], &bundle[..first], &bundle[second..]].concat()
}

#[test]
fn nothing_is_drawn_from_entries_that_are_not_the_logs() {
    // As many entries as the plan draws, so that each of them is looked at: entry 0 is the session's start, all others are decisions.
    for (range, path, start) in [((0, 28), FULL, 0), ((256, 284), PARTIAL, 256)] {
        let desk = Desk::new(range);
        let drawn = |path: &str, bytes: Vec<u8>| {
            let output = desk.draw(&desk.served(&[(path, Fault::Bytes(bytes))]), "no");
            assert!(fs::metadata(desk.0.path().join("no")).is_err(), "no file is left");
            output.status.code()
        };
        let bundle = desk.bytes(&format!("store/log/{path}"));
        assert_eq!(
            drawn(path, turned(&bundle)),
            Some(1),
            "two entries of the log, each in the other's place"
        );
        let mut changed = bundle.clone();
        changed[40] ^= 1;
        assert_eq!(drawn(path, changed), Some(1), "an entry that was changed");
        let first = 2 + usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
        assert_eq!(drawn(path, bundle[..first].to_vec()), Some(65), "one entry of many");
        assert_eq!(drawn(path, bundle[..first + 9].to_vec()), Some(65), "half an entry");
        assert_eq!(drawn(path, Vec::new()), Some(65));
        let tile = if start == 0 { "tile/0/000" } else { "tile/0/001.p/46" };
        let mut hashes = desk.bytes(&format!("store/log/{tile}"));
        hashes[14 * 32] ^= 1;
        assert_eq!(drawn(tile, hashes), Some(1), "a hash beside the way of the others");
        assert_eq!(drawn(tile, vec![0; 31]), Some(2), "no hash file");
        assert!(desk.draw(&desk.served(&[]), "draw").status.success());
    }
}
