//! What exporting costs: a log is made, then a syslog receiver on this machine gets it, and the processor time of this process is counted.
//!
//! `cargo run --release -p ledgerstone-sidecar --example siem_speed -- ENTRIES [FORMAT [FOLDER]]` prints events a second, processor time an
//! event, and how many cores 50,000 events a second would take. With FOLDER the receiver breaks off its connections at random, and what it
//! has whole is left there as `siem`, beside the log as `store` and its `policy`: what `ledgerstone siem reconcile` is to be asked about.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "an example that measures, and may fail by panicking"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::log::Bounds;
use ledgerstone::note::KeyName;
use ledgerstone::policy::Policy;
use ledgerstone::record::Commitment;
use ledgerstone_sidecar::config::Config;
use ledgerstone_sidecar::driver::{self, Draft, LogHandle, Options};
use ledgerstone_sidecar::reader::LogReader;
use ledgerstone_sidecar::siem::Export;
use tokio::task::JoinSet;

const ORIGIN: &str = "example.com/speed";

/// Appends at once, so that batches are as large as they may be.
const APPENDERS: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "receive") {
        return receive(arguments.get(1).map(|path| File::create(path).unwrap()));
    }
    let entries: u64 = arguments.first().map_or(200_000, |text| text.parse().unwrap());
    let format = arguments.get(1).map_or("ocsf", String::as_str);
    let folder = arguments.get(2).map(PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(entries, format, folder));
}

async fn measure(entries: u64, format: &str, kept: Option<PathBuf>) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).unwrap();
    let store = folder.join("store");
    let log = make(&store, entries).await;
    std::fs::write(folder.join("policy"), Policy::for_log(&keys().vkeys()).unwrap().to_string()).unwrap();
    let mut receiver = Command::new(std::env::current_exe().unwrap())
        .arg("receive")
        .args(kept.is_some().then(|| folder.join("siem")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(receiver.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let config = config(folder, format, port.trim());
    let reader = LogReader::open(&store, log.published()).unwrap();
    let (started, used) = (Instant::now(), used());
    let export = Export::build(&config).unwrap();
    let followers = export.follow(&reader);
    while export.shown()[0].next_leaf_index < entries {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (took, used) = (started.elapsed().as_secs_f64(), self::used() - used);
    let (rate, each) = (entries as f64 / took, used / entries as f64);
    println!(
        "{entries} events as {format}: {rate:.0} a second, {:.2} microseconds of processor time each; 50,000 a second take {:.2} cores; {} attempts failed",
        each * 1e6,
        each * 50_000.0,
        export.shown()[0].retries,
    );
    followers.close().await;
    drop(receiver.stdin.take());
    assert!(receiver.wait().unwrap().success());
    log.stop().await.unwrap();
}

fn keys() -> LogKeys {
    LogKeys::generate_from_seeds(&KeyName::new(ORIGIN).unwrap(), [1; 32], [2; 32]).unwrap()
}

/// A log of `entries` decisions.
async fn make(store: &Path, entries: u64) -> LogHandle {
    driver::init(store, &keys()).unwrap();
    let options = Options {
        bounds: Bounds { publish_interval_ms: 250, ..Bounds::default() },
        runtime: Some(tokio::runtime::Handle::current()),
        ..Options::default()
    };
    let (log, _) = driver::open(store, keys(), options).unwrap();
    let started = Instant::now();
    let appenders: JoinSet<()> = (0..entries.min(APPENDERS as u64))
        .map(|appender| {
            let log = log.clone();
            async move {
                for sequence in (appender..entries).step_by(APPENDERS) {
                    log.append(draft(sequence)).await.unwrap();
                }
            }
        })
        .collect();
    appenders.join_all().await;
    log.published().wait_for(|published| published.size.get() >= entries).await.unwrap();
    println!(
        "{entries} entries were recorded, {:.0} a second",
        entries as f64 / started.elapsed().as_secs_f64()
    );
    log
}

fn draft(sequence: u64) -> Draft {
    let mut id = [0x70; 16];
    id[..8].copy_from_slice(&sequence.to_be_bytes());
    let commitment = Commitment { root: Hash::of(&id), count: 12 };
    let (writer, session) = (WriterName::parse("speed").unwrap(), SessionId::from_bytes([1; 16]));
    let details = DecisionDetails { status: 0 };
    let decision = DecisionId::from_bytes(id);
    let mut entry = Entry::decision(writer, session, sequence, decision, commitment, details);
    entry.mode = Some(Mode::Strict);
    entry.model = Some(Hash::of(b"model"));
    Draft { entry, sealed: None }
}

fn config(folder: &Path, format: &str, port: &str) -> Config {
    let text = format!(
        r#"
[log]
origin = "{ORIGIN}"
store = "store"
key_file = "log.key"
[upstream]
address = "http://127.0.0.1:1"
[keys]
file = "kek.key"
[[siem]]
name = "speed"
kind = "syslog"
format = "{format}"
address = "tcp://127.0.0.1:{port}"
confirm_interval = "1s"
retry_max = "50ms"
"#
    );
    Config::from_toml(&text, folder).unwrap()
}

/// Seconds of processor time that this process has used.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every platform that Linux has.
    ticks as f64 / 100.0
}

/// Takes frames on a port that it says, until its standard input ends. Where it keeps them, it writes each whole one, and breaks off
/// connections at random.
fn receive(mut kept: Option<File>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let mut seed = 88_172_645_463_325_252;
        for stream in listener.incoming() {
            take(stream.unwrap(), kept.as_mut(), &mut seed);
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn take(mut stream: TcpStream, mut kept: Option<&mut File>, seed: &mut u64) {
    let mut chunk = vec![0; 1 << 20];
    let mut bytes = Vec::new();
    loop {
        let count = stream.read(&mut chunk).unwrap_or(0);
        if count == 0 {
            break;
        }
        let Some(kept) = kept.as_mut() else { continue };
        bytes.extend_from_slice(&chunk[..count]);
        let mut out = BufWriter::new(kept);
        let mut at = 0;
        while let Some(end) = frame(&bytes[at..]) {
            out.write_all(&bytes[at..at + end]).unwrap();
            at += end;
        }
        out.flush().unwrap();
        bytes.drain(..at);
        // xorshift64: one read of 64 is the last.
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        if seed.is_multiple_of(64) {
            break;
        }
    }
    _ = stream.shutdown(Shutdown::Both);
}

/// Where the first whole frame ends (RFC 6587, section 3.4.1).
fn frame(bytes: &[u8]) -> Option<usize> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
    let end = space + 1 + length;
    (bytes.len() >= end).then_some(end)
}
