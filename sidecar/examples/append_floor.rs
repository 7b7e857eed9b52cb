//! How many appends a second become durable, against what the disk could do at best.
//!
//! The log: 256 writers append 1 KiB sealed records, each waiting for its answer before the next. An answer means that
//! the `fdatasync` of the entry's batch has returned and its checkpoint is signed.
//! The floor: a plain file that takes the bytes of 256 such records with one write and one `fdatasync`, again and again.
//!
//! Both run in turns on the same disk, in the folder given as the first argument, or the current one.
//! The second argument is how many seconds each turn lasts.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;
use ledgerstone_sidecar::driver::{self, Draft, LogHandle, Options};

/// Writers that wait for their answers; also the entries of the floor's batches.
const WRITERS: u64 = 256;
/// Bytes of a sealed record.
const SEALED_BYTES: usize = 1024;
/// Turns of each of the two.
const TURNS: usize = 4;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned())).join("append_floor.tmp");
    let seconds = arguments.next().map_or(Ok(3), |seconds| seconds.parse()).context("the second argument")?;
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder, Duration::from_secs(seconds));
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, turn: Duration) -> anyhow::Result<()> {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let (runtime, log) = start(&folder.join("store"), &batches)?;
    runtime.block_on(appends(&log, Duration::from_millis(500)));
    batches.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?.clear();
    let record = record_bytes()?;
    let mut ratios = Vec::new();
    println!("turn  log appends/s  floor appends/s  ratio");
    for number in 1..=TURNS {
        let log_rate = runtime.block_on(appends(&log, turn));
        let floor_rate = floor(&folder.join("floor"), record * usize::try_from(WRITERS)?, turn)?;
        println!("{number:>4}  {log_rate:>13.0}  {floor_rate:>15.0}  {:>5.2}", log_rate / floor_rate);
        ratios.push(log_rate / floor_rate);
    }
    runtime.block_on(log.stop())?;
    ratios.sort_by(f64::total_cmp);
    let median = ratios.iter().skip((TURNS - 1) / 2).take(2).sum::<f64>() / 2.0;
    println!("ratio {median:.2} (median of {TURNS}), {record} bytes an append");
    println!("durability point: an append is answered after the fdatasync of its batch has returned");
    print_batches(&batches.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?);
    Ok(())
}

type Batches = Arc<Mutex<Vec<(usize, Duration)>>>;

fn start(store: &Path, batches: &Batches) -> anyhow::Result<(tokio::runtime::Runtime, LogHandle)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let keys = LogKeys::generate_from_seeds(&KeyName::new("floor.example/log")?, [1; 32], [2; 32])?;
    driver::init(store, &keys)?;
    let batches = Arc::clone(batches);
    let on_batch = move |entries, sync| {
        if let Ok(mut batches) = batches.lock() {
            batches.push((entries, sync));
        }
    };
    let told_in = runtime.handle().clone();
    let options =
        Options { on_batch: Some(Arc::new(on_batch)), runtime: Some(told_in), ..Options::default() };
    let (log, _) = driver::open(store, keys, options)?;
    Ok((runtime, log))
}

/// Appends a second by all writers together.
async fn appends(log: &LogHandle, turn: Duration) -> f64 {
    let over = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (log, over) = (log.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut appended = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    let Some(draft) = draft(writer, appended) else { break };
                    if log.append(draft).await.is_err() {
                        break;
                    }
                    appended += 1;
                }
                appended
            })
        })
        .collect();
    tokio::time::sleep(turn).await;
    over.store(true, Ordering::Relaxed);
    let mut appended = 0;
    for writer in writers {
        appended += writer.await.unwrap_or(0);
    }
    #[expect(clippy::cast_precision_loss, reason = "no run appends 2^52 entries")]
    let appended = appended as f64;
    appended / started.elapsed().as_secs_f64()
}

fn draft(writer: u64, number: u64) -> Option<Draft> {
    let mut sealed = vec![u8::try_from(writer).unwrap_or(0); SEALED_BYTES];
    for (place, byte) in sealed.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    let commitment = Commitment { root: Hash::of(&number.to_be_bytes()), count: 20 };
    let mut entry = Entry::decision(
        WriterName::parse("floor").ok()?,
        SessionId::from_bytes([1; 16]),
        number,
        DecisionId::from_bytes([2; 16]),
        commitment,
        DecisionDetails { status: 0 },
    );
    entry.model = Some(commitment.root);
    entry.policy = Some(commitment.root);
    entry.mode = Some(Mode::Strict);
    Some(Draft { entry, sealed: Some(Bytes::from(sealed)) })
}

/// Bytes that one append takes in the journal.
fn record_bytes() -> anyhow::Result<usize> {
    let draft = draft(0, 0).context("the entry's names are valid")?;
    Ok(draft.entry.encode()?.len() + SEALED_BYTES + 6)
}

/// Appends a second that one write and one `fdatasync` for each 256 of them reach.
fn floor(path: &Path, bytes: usize, turn: Duration) -> anyhow::Result<f64> {
    let batch = vec![7_u8; bytes];
    let mut file = File::create(path)?;
    let mut batches = 0_u32;
    let started = Instant::now();
    while started.elapsed() < turn {
        file.write_all(&batch)?;
        file.sync_data()?;
        batches += 1;
    }
    let took = started.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(f64::from(batches) * 256.0 / took)
}

fn print_batches(batches: &[(usize, Duration)]) {
    let mut sizes: Vec<usize> = batches.iter().map(|(size, _)| *size).collect();
    let mut syncs: Vec<Duration> = batches.iter().map(|(_, sync)| *sync).collect();
    sizes.sort_unstable();
    syncs.sort_unstable();
    let at = |percent: usize| batches.len().saturating_sub(1) * percent / 100;
    for (name, percent) in [("p1", 1), ("p10", 10), ("p50", 50), ("p90", 90), ("p99", 99)] {
        let (size, sync) = (sizes.get(at(percent)).copied(), syncs.get(at(percent)).copied());
        println!(
            "{name:>4}: batch {:>4} entries, fdatasync {:?}",
            size.unwrap_or(0),
            sync.unwrap_or_default()
        );
    }
    println!("{} batches", batches.len());
}
