//! `ledgerstone siem reconcile` on what SIEMs give out.
//!
//! Scenario: a log's events went to a SIEM in any format, and come back compressed, wrapped, framed, out of order and among other lines.
//! Danger: an event that was deleted or changed is not noticed because of how the export is written; a line made by somebody else steers
//! the terminal, or fills the memory. End state: whatever the export looks like, exactly the deleted and the changed event are told.

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

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use ledgerstone::siem::Format;
use serde_json::Value;

use log::{ORIGIN, Recorder};

/// Entries of the log: more than one bundle.
const ENTRIES: usize = 300;

struct Bench {
    folder: tempfile::TempDir,
}

/// How the command ended, and what it said.
struct Said {
    status: i32,
    out: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let mut writer = log::LogWriter::create(&folder.path().join("store"), log::keys(ORIGIN, 1), 64 << 20);
        let mut recorder = Recorder::new(1);
        let mut entries = vec![recorder.start(None)];
        entries.extend((1..ENTRIES as u64).map(|number| recorder.decision(number, 0)));
        writer.batch(entries);
        drop(writer.stop());
        std::fs::write(folder.path().join("policy"), log::policy(&log::keys(ORIGIN, 1)).to_string()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn lines(&self, format: Format) -> Vec<String> {
        log::events(&self.path("store"), format).lines().map(str::to_owned).collect()
    }

    /// Reconciles one export.
    fn reconcile(&self, export: &[u8], flags: &[&str]) -> Said {
        std::fs::write(self.path("export"), export).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .args(["siem", "reconcile", "store", "export", "--policy", "policy"])
            .args(flags)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        Said { status: run.status.code().unwrap(), out: String::from_utf8(run.stdout).unwrap() }
    }

    fn counts(&self, export: &[u8]) -> (i32, Value) {
        let said = self.reconcile(export, &["--json"]);
        let document: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.out));
        (said.status, document["reconciliation"].clone())
    }
}

fn joined(lines: &[String]) -> Vec<u8> {
    (lines.join("\n") + "\n").into_bytes()
}

/// The same lines as a relay, a SIEM or a transport hands them over.
fn carried(lines: &[String], format: Format) -> Vec<(&'static str, Vec<u8>)> {
    let plain = joined(lines);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    let quoted = |line: &String| serde_json::to_string(line).unwrap();
    let hec = |line: &String| {
        let event = if format.is_json() { line.clone() } else { quoted(line) };
        format!("{{\"time\":1795000000,\"host\":\"h\",\"event\":{event}}}")
    };
    let raw = |line: &String| format!("{{\"result\":{{\"_raw\":{}}}}}", quoted(line));
    let message = |line: &String| format!("<110>1 2026-11-18T11:06:40Z h app - - - {line}");
    let messages: Vec<_> = lines.iter().map(message).collect();
    let counted: String = messages.iter().map(|line| format!("{} {line}", line.len())).collect();
    let mut all = vec![
        ("plain", plain.clone()),
        ("without a last line feed", plain[..plain.len() - 1].to_vec()),
        ("carriage returns", joined(&lines.iter().map(|line| format!("{line}\r")).collect::<Vec<_>>())),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(plain.as_slice(), 1).unwrap()),
        ("backwards", joined(&lines.iter().rev().cloned().collect::<Vec<_>>())),
        ("hec", joined(&lines.iter().map(hec).collect::<Vec<_>>())),
        ("search results", joined(&lines.iter().map(raw).collect::<Vec<_>>())),
    ];
    if !format.is_json() {
        all.push(("messages of another application", joined(&messages)));
        all.push(("counted messages", counted.into_bytes()));
    }
    all
}

#[test]
fn the_deleted_and_the_altered_event_are_told_in_every_format_and_carrier() {
    let bench = Bench::new();
    for format in [Format::Ocsf, Format::Ecs, Format::Cef, Format::Leef, Format::Otlp] {
        let whole = bench.lines(format);
        let mut changed = whole.clone();
        let mode = changed[280].replace("strict", "bounded");
        assert_ne!(mode, changed[280]);
        changed[280] = mode;
        changed.remove(7);
        for ((name, whole), (_, changed)) in
            carried(&whole, format).into_iter().zip(carried(&changed, format))
        {
            let (status, counts) = bench.counts(&whole);
            let told =
                ["missing", "altered_events", "unaltered_events"].map(|name| counts[name].as_u64().unwrap());
            assert_eq!((status, told), (0, [0, 0, ENTRIES as u64]), "{format}, {name}: {counts}");
            let (status, counts) = bench.counts(&changed);
            assert_eq!(status, 1, "{format}, {name}");
            assert_eq!(counts["missing_ranges"], serde_json::json!([[7, 7]]), "{format}, {name}");
            assert_eq!(counts["altered_events"], 1, "{format}, {name}: {counts}");
            assert_eq!(counts["altered"][0]["leaf_index"], 280, "{format}, {name}");
            assert_eq!(counts["altered"][0]["fields"].as_array().unwrap().len(), 1, "{format}, {name}");
        }
    }
}

#[test]
fn copies_and_other_lines_do_no_harm_and_are_counted() {
    let bench = Bench::new();
    let mut lines = bench.lines(Format::Ecs);
    lines.extend(bench.lines(Format::Cef).into_iter().take(10));
    lines.extend(bench.lines(Format::Ecs).into_iter().take(5));
    lines.insert(3, "{\"message\":\"somebody else\"}".to_owned());
    lines.insert(9, String::new());
    let (status, counts) = bench.counts(&joined(&lines));
    assert_eq!(status, 0, "{counts}");
    assert_eq!((&counts["duplicate_events"], &counts["other_lines"]), (&15.into(), &1.into()), "{counts}");
}

#[test]
fn stretches_are_told_as_such_and_within_the_range_asked_for() {
    let bench = Bench::new();
    let lines = bench.lines(Format::Leef);
    let kept: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| !(20..=29).contains(index) && *index != 31 && *index < 290)
        .map(|(_, line)| line.clone())
        .collect();
    let (_, counts) = bench.counts(&joined(&kept));
    assert_eq!(counts["missing_ranges"], serde_json::json!([[20, 29], [31, 31], [290, 299]]));
    assert_eq!(counts["missing"], 21);
    let said = bench.reconcile(&joined(&kept), &[]);
    assert!(
        said.out.contains("21 of 300 entries, from 0 to 299, are missing: 20 to 29, 31, 290 to 299."),
        "{}",
        said.out
    );
    let said = bench.reconcile(&joined(&kept), &["--from", "32", "--to", "289"]);
    assert_eq!(said.status, 0, "{}", said.out);
}

#[test]
fn an_event_that_names_another_entry_is_altered_there_and_missing_here() {
    let bench = Bench::new();
    let mut lines = bench.lines(Format::Ocsf);
    lines[5] = lines[5].replace("\"leaf_index\":5,", "\"leaf_index\":6,");
    let (status, counts) = bench.counts(&joined(&lines));
    assert_eq!((status, &counts["missing_ranges"]), (1, &serde_json::json!([[5, 5]])));
    assert_eq!((&counts["altered_events"], &counts["altered_entries"]), (&1.into(), &0.into()), "{counts}");
}

#[test]
fn a_log_that_is_not_the_signed_one_is_not_held_against_anything() {
    let bench = Bench::new();
    let lines = joined(&bench.lines(Format::Ocsf));
    let bundle = bench.path("store/log/tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&bundle).unwrap();
    std::fs::write(&bundle, bytes).unwrap();
    let said = bench.reconcile(&lines, &[]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("this is not a log that a SIEM could be held against"), "{}", said.out);
    assert!(!said.out.contains("passed       The SIEM"), "{}", said.out);
}

#[test]
fn nothing_in_an_export_steers_the_terminal() {
    let bench = Bench::new();
    let escape = "\u{1b}]0;title\u{7}\u{9b}31m\u{202e}";
    let mut lines = bench.lines(Format::Cef);
    lines[4] = lines[4].replace("gateway", "g") + &format!(" {escape}=1");
    lines.push(format!("{{\"class_uid\": {escape}"));
    lines.push(lines[2].replace("cs1=", &format!("cs1={escape}")));
    let export = joined(&lines);
    std::fs::write(bench.path(&format!("ex{}port", "\u{1b}[2J")), &export).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
        .args(["siem", "reconcile", "store", "ex\u{1b}[2Jport", "--policy", "policy"])
        .current_dir(bench.folder.path())
        .output()
        .unwrap();
    for said in [run.stdout, run.stderr] {
        let said = String::from_utf8(said).unwrap();
        let steers = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
        assert!(!said.contains(steers), "{said:?}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_told_and_the_others_count() {
    let bench = Bench::new();
    let mut export = joined(&bench.lines(Format::Ocsf));
    export.extend(b"\xff\xfe not text\n");
    export.extend(vec![b'x'; 9 * 1024 * 1024]);
    export.extend(b"\n{\"half\":\n99999999 <110>1 cut off");
    let (status, counts) = bench.counts(&export);
    assert_eq!((status, &counts["unaltered_events"]), (0, &300.into()), "{counts}");
    assert_eq!(counts["unreadable_lines"], 3, "{counts}");
    let why: Vec<_> =
        counts["unreadable"].as_array().unwrap().iter().map(|line| line["why"].clone()).collect();
    assert_eq!(why[..2], ["it is not UTF-8", "it is longer than 8 MiB"]);
    for broken in [&b"\x1f\x8b\x08\x00 cut"[..], b"\x28\xb5\x2f\xfd cut"] {
        let said = bench.reconcile(broken, &[]);
        assert_eq!(said.status, 2, "{}", said.out);
    }
}

#[test]
fn a_missing_store_or_export_is_no_verdict() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .args(["siem", "reconcile"])
            .args(arguments)
            .current_dir(bench.folder.path())
            .output()
            .unwrap();
        run.status.code().unwrap()
    };
    assert_eq!(run(&["store", "nowhere"]), 2);
    assert_eq!(run(&["store", "store"]), 2);
    assert_eq!(run(&["nowhere", "policy"]), 2);
    assert!(Path::new(&bench.path("store")).is_dir());
}
