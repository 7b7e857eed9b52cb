//! How long `packs check --log` takes, and how much memory, over a log of many decisions.
//!
//! Writes a log of N decisions under Regulation B and the Colorado act, half of them adverse, and after the last of them a notice for each
//! fourth one: every notice is as far from its decision as it can be. Then checks it, and prints seconds and the most memory held.
//!
//! `cargo run --release -p ledgerstone-sidecar --example packs_check -- FOLDER 1000000`

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Kind, SessionId, WriterName};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::pack::Pack;
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret, Value};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::driver::{self, Draft, LogHandle, Options as DriverOptions};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::packs::Shelf;
use ledgerstone_sidecar::packs::check::{Options, Progress, WINDOW_BYTES, check};
use ledgerstone_sidecar::reader::LogReader;
use ledgerstone_sidecar::seal::{self, SealedContent};

/// Appends at one time.
const AT_ONCE: usize = 1024;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned())).join("packs_check.tmp");
    let count = arguments.next().map_or(Ok(10_000), |count| count.parse()).context("the second argument")?;
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder, count);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, count: u64) -> anyhow::Result<()> {
    let store = folder.join("store");
    let keys = FileKeyProvider::from_key(KeyId::new("example")?, &[7; 32]);
    let packs: Vec<Arc<Pack>> =
        ["reg-b", "colorado-sb26-189"].into_iter().filter_map(Pack::built_in).map(Arc::new).collect();
    let (started, runtime) = (Instant::now(), tokio::runtime::Runtime::new()?);
    runtime.block_on(write(&store, &keys, &packs, count))?;
    println!("wrote {count} decisions and {} notices in {:.1} s", count / 4, started.elapsed().as_secs_f64());
    drop(runtime);

    let before = memory("VmRSS")?;
    fs::write("/proc/self/clear_refs", "5").context("the highest mark of memory cannot be set back")?;
    let log = LogReader::at_rest(&store)?;
    let at = UnixMillis::new(4_000_000_000_000);
    let options = Options { at, early: true, named: 3, window_bytes: WINDOW_BYTES };
    let (started, mut windows, mut last) = (Instant::now(), 1, Progress::Decisions(0));
    let tally = check(&log, &keys, &Shelf::new(packs), options, |progress, _| {
        windows += u32::from(matches!((last, progress), (Progress::Later(_), Progress::Decisions(_))));
        last = progress;
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let lacking: u64 = tally.rules.values().map(|found| found.lacking.decisions).sum();
    let overdue: u64 = tally.rules.values().map(|found| found.overdue.decisions).sum();
    println!(
        "checked {} decisions in {seconds:.1} s, {:.0} a second, {windows} windows, {lacking} lacking, {overdue} overdue",
        tally.decisions,
        tally.decisions as f64 / seconds
    );
    println!("memory before {before} KiB, at most {} KiB", memory("VmHWM")?);
    Ok(())
}

/// A line of what the kernel says of this process's memory, in KiB.
fn memory(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("the kernel does not say")?;
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

async fn write(store: &Path, keys: &FileKeyProvider, packs: &[Arc<Pack>], count: u64) -> anyhow::Result<()> {
    let log_keys = LogKeys::generate_from_seeds(&KeyName::new("packs.example/log")?, [1; 32], [2; 32])?;
    driver::init(store, &log_keys)?;
    let told_in = Some(tokio::runtime::Handle::current());
    let (log, _) = driver::open(store, log_keys, DriverOptions { runtime: told_in, ..Default::default() })?;
    let names = packs.iter().map(|pack| Value::from(pack.reference.to_string().as_str())).collect();
    let names = Value::Array(names);
    let places = append(&log, (0..count).map(|number| decision(keys, &names, number))).await?;
    let told = (0..count).zip(places).step_by(4);
    append(&log, told.map(|(number, of)| notice(keys, number, of))).await?;
    log.stop().await?;
    Ok(())
}

/// Appends, up to [`AT_ONCE`] at one time, and says where each went.
async fn append(
    log: &LogHandle,
    drafts: impl Iterator<Item = anyhow::Result<Draft>>,
) -> anyhow::Result<Vec<LeafIndex>> {
    let (mut drafts, mut places) = (drafts.peekable(), Vec::new());
    while drafts.peek().is_some() {
        let batch: Vec<Draft> = drafts.by_ref().take(AT_ONCE).collect::<anyhow::Result<_>>()?;
        let mut waiting = Vec::with_capacity(batch.len());
        for draft in batch {
            let log = log.clone();
            waiting.push(tokio::spawn(async move { log.append(draft).await }));
        }
        for appended in waiting {
            places.push(appended.await??.index());
        }
    }
    Ok(places)
}

fn id(number: u64) -> DecisionId {
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    DecisionId::from_bytes(bytes)
}

/// A record of about 30 fields, half of them adverse.
fn decision(keys: &FileKeyProvider, names: &Value, number: u64) -> anyhow::Result<Draft> {
    let is_adverse = number.is_multiple_of(2);
    let mut fields = vec![
        ("decision/packs".to_owned(), names.clone()),
        ("time/decided".to_owned(), Value::from(number)),
        ("model/version".to_owned(), Value::from("2026.1")),
        ("outcome/action".to_owned(), Value::from(if is_adverse { "deny" } else { "approve" })),
        ("outcome/adverse".to_owned(), Value::Bool(is_adverse)),
        ("output/score/predict".to_owned(), Value::Float(0.25)),
    ];
    fields.extend((0..20).map(|place| (format!("input/feature/f{place}"), Value::Float(1.5))));
    if !number.is_multiple_of(8) {
        fields.push(("explanation/reason/[0]/text".to_owned(), Value::from("income too low")));
    }
    let content = content(fields)?;
    let commitment = content.record.commit(&content.secret).commitment();
    let sealed = seal::seal(keys, &id(number), Kind::Decision, &content)?;
    let details = DecisionDetails { status: 0 };
    let entry = Entry::decision(writer()?, session(), number, id(number), commitment, details);
    Ok(Draft { entry, sealed: Some(Bytes::from(sealed)) })
}

/// A notice about the decision at `of`.
fn notice(keys: &FileKeyProvider, number: u64, of: LeafIndex) -> anyhow::Result<Draft> {
    let fields = vec![
        ("notice/[0]/kind".to_owned(), Value::from("adverse_action")),
        ("notice/[0]/delivered_at".to_owned(), Value::from(number)),
    ];
    let content = content(fields)?;
    let commitment = content.record.commit(&content.secret).commitment();
    let sealed = seal::seal(keys, &id(number), Kind::Notice, &content)?;
    let numbered = (writer()?, session(), number);
    let entry = Entry::follow_up(Kind::Notice, numbered, id(number), of, commitment);
    Ok(Draft { entry, sealed: Some(Bytes::from(sealed)) })
}

fn content(fields: Vec<(String, Value)>) -> anyhow::Result<SealedContent> {
    let mut builder = RecordBuilder::new();
    for (path, value) in fields {
        builder.add(FieldPath::parse(&path)?, value)?;
    }
    let secret = RecordSecret::from_bytes([9; 32]);
    Ok(SealedContent { secret, record: builder.build()?, request: None, response: None })
}

fn writer() -> anyhow::Result<WriterName> {
    WriterName::parse("example").context("the writer's name")
}

fn session() -> SessionId {
    SessionId::from_bytes([1; 16])
}
