//! Measures `siem reconcile`: events per second in each format, with one event deleted and one altered.
//!
//! ```text
//! cargo run --release -p ledgerstone-verifier --example siem_reconcile_speed -- [ENTRIES]
//! ```
//! Writes a log of ENTRIES decisions (200,000 unless told) and what a SIEM would hold of it into a temporary directory.

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

use std::io::Write as _;
use std::time::Instant;

use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::siem::{Event, Format, Log};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::{EntryBundle, TileKind, TilePath};
use ledgerstone_verifier::cli::{Arguments, OutputArguments};
use ledgerstone_verifier::output::Output;

use log::ORIGIN;
use measure::write_log;

fn main() {
    let entries: u64 =
        std::env::args().nth(1).map_or(200_000, |text| text.parse().expect("a number of entries"));
    let folder = tempfile::tempdir().expect("a temporary directory");
    let store = folder.path().join("store");
    std::fs::create_dir(&store).expect("a directory");
    eprintln!("writing {entries} decisions ...");
    write_log(&store, entries, |recorder, number| recorder.decision(number, 0));
    let policy = folder.path().join("policy");
    std::fs::write(&policy, log::policy(&log::keys(ORIGIN, 1)).to_string()).expect("a policy");
    for (name, format, is_wrapped) in [
        ("OCSF", Format::Ocsf, false),
        ("OCSF within HEC", Format::Ocsf, true),
        ("CEF", Format::Cef, false),
        ("OTLP", Format::Otlp, false),
    ] {
        let export = folder.path().join("export");
        let bytes = write_export(&store, &export, format, is_wrapped);
        let started = Instant::now();
        let (status, said) = reconcile(&[&store, &export], &policy);
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(status, 1, "{said}");
        assert!(said.contains(" are missing: 7.") && said.contains("line 11 differs in "), "{said}");
        println!(
            "{name:<16} {entries} events, {:.0} MB: {seconds:.2} s, {:.0} events/s",
            bytes as f64 / 1e6,
            entries as f64 / seconds
        );
    }
}

/// Writes every event but that of leaf 7, and that of leaf 11 with another mode; gives back how many bytes.
fn write_export(store: &std::path::Path, export: &std::path::Path, format: Format, is_wrapped: bool) -> u64 {
    let log = Log::new(&KeyName::new(ORIGIN).expect("an origin"));
    let mut file = std::io::BufWriter::new(std::fs::File::create(export).expect("a file"));
    let (reader, mut index, mut text) = (FsReader::open(store), 0, String::new());
    let size = reader.size().expect("a published size").get();
    for bundle in 0..size.div_ceil(256) {
        let width = u16::try_from((size - bundle * 256).min(256)).expect("a width");
        let path = if width == 256 {
            TilePath::full(TileKind::Entries, bundle)
        } else {
            TilePath::partial(TileKind::Entries, bundle, width).expect("a path")
        };
        let bundle = std::fs::read(store.join("log").join(path.to_string())).expect("a bundle");
        for bytes in EntryBundle::decode(&bundle).expect("a bundle") {
            text.clear();
            format.render(&Event::of_entry(&log, LeafIndex::new(index), bytes).expect("an event"), &mut text);
            let text = if index == 11 { text.replace("strict", "bounded") } else { text.clone() };
            match (index, is_wrapped) {
                (7, _) => {}
                (_, true) => writeln!(file, "{{\"time\":1,\"event\":{text}}}").expect("a line"),
                (_, false) => writeln!(file, "{text}").expect("a line"),
            }
            index += 1;
        }
    }
    file.flush().expect("the file");
    std::fs::metadata(export).expect("the file").len()
}

fn reconcile(paths: &[&std::path::Path], policy: &std::path::Path) -> (u8, String) {
    use clap::Parser as _;
    let mut arguments = vec!["ledgerstone".into(), "siem".into(), "reconcile".into()];
    arguments.extend(paths.iter().map(|path| path.as_os_str().to_owned()));
    arguments.extend(["--policy".into(), policy.as_os_str().to_owned()]);
    let arguments = Arguments::try_parse_from(arguments).expect("a command line");
    let (out, said) = (Shared::default(), Shared::default());
    let mut output = Output::into(OutputArguments::default(), Box::new(out.clone()), Box::new(said));
    let exit = ledgerstone_verifier::command::run(&arguments.command, &mut output).expect("a verdict");
    output.flush().expect("text");
    (exit.status(), String::from_utf8(out.0.lock().expect("no panic").clone()).expect("text"))
}

#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
