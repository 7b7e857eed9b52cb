//! A log on a real disk, driven by its threads and many callers at once.
//!
//! Danger: an answered entry that is not there after a restart; two writers on one store; keys or a folder mixed up and
//! taken all the same; a full disk that loses or corrupts something. Expected: everything answered is public and proved
//! after a restart, everything mixed up is refused with an error that says what to do, and nothing is lost.

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

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SealedRef, SessionId, WriterName};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::log::{Bounds, Refusal};
use ledgerstone::merkle::inclusion;
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;
use ledgerstone::store::fs::{self, FsReader};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::driver::{
    self, AppendError, Appended, Draft, InitError, LogHandle, OpenError, Options,
};

fn keys(origin: &str, seed: u8) -> LogKeys {
    LogKeys::generate_from_seeds(&KeyName::new(origin).unwrap(), [seed; 32], [seed + 100; 32]).unwrap()
}

fn our_keys() -> LogKeys {
    keys("driver.example/log", 1)
}

fn draft(sequence: u64, sealed: &[u8]) -> Draft {
    let commitment = Commitment { root: Hash::of(sealed), count: 1 };
    let mut entry = Entry::decision(
        WriterName::parse("driver").unwrap(),
        SessionId::from_bytes([1; 16]),
        sequence,
        DecisionId::from_bytes([2; 16]),
        commitment,
        DecisionDetails { status: 0 },
    );
    entry.mode = Some(Mode::Strict);
    entry.sealed = Some(SealedRef::of(sealed));
    Draft { entry, sealed: Some(Bytes::copy_from_slice(sealed)) }
}

fn new_log(store: &Path) -> LogHandle {
    driver::init(store, &our_keys()).unwrap();
    open(store)
}

fn open(store: &Path) -> LogHandle {
    driver::open(store, our_keys(), Options::default()).unwrap().0
}

fn refused(store: &Path, keys: LogKeys) -> OpenError {
    driver::open(store, keys, Options::default()).map(drop).unwrap_err()
}

fn verify(answer: &Appended, bytes: &[u8]) {
    let head = our_keys().verifier().verify(answer.checkpoint().as_bytes()).unwrap();
    assert_eq!((head.size, head.root), (answer.size(), answer.root()));
    inclusion::verify(&leaf_hash(bytes), answer.index(), head.size, &answer.proof().unwrap(), &head.root)
        .unwrap();
}

/// Waits until everything appended is public.
async fn published(log: &LogHandle, size: u64) {
    let mut published = log.published();
    published.wait_for(|published| published.size.get() >= size).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_256_callers_at_once_appended() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    let callers: Vec<_> = (0..256_u64)
        .map(|caller| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for round in 0..4 {
                    let sequence = caller * 4 + round;
                    answers.push((
                        sequence,
                        log.append(draft(sequence, &sequence.to_be_bytes())).await.unwrap(),
                    ));
                }
                answers
            })
        })
        .collect();
    let mut by_index = BTreeMap::new();
    for caller in callers {
        for (sequence, answer) in caller.await.unwrap() {
            assert!(
                by_index.insert(answer.index(), (sequence, answer)).is_none(),
                "INV-5: one index, one entry"
            );
        }
    }
    assert_eq!(by_index.len(), 1024);
    log.stop().await.unwrap();

    let (log, report) = driver::open(store.path(), our_keys(), Options::default()).unwrap();
    assert_eq!((report.size.get(), report.published.get(), report.torn_bytes), (1024, 1024, 0));
    let reader = FsReader::open(store.path());
    let size = reader.size().unwrap();
    let mut last = UnixMillis::default();
    for (index, (sequence, answer)) in by_index {
        let bytes = reader.entry(index, size).unwrap();
        verify(&answer, &bytes);
        let entry = Entry::decode(&bytes).unwrap();
        assert_eq!(entry.sequence, sequence);
        assert!(entry.recorded_at >= last, "INV-2: time never decreases");
        last = entry.recorded_at;
        assert_eq!(reader.sealed(index).unwrap().unwrap(), sequence.to_be_bytes());
    }
    log.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_soon_what_it_answered() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    let answer = log.append(draft(1, b"one")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), published(&log, 1)).await.expect("it is published");
    let public = FsReader::open(store.path()).checkpoint().unwrap();
    assert_eq!(public, answer.checkpoint().as_bytes(), "the checkpoint of the answer is the public one");
    log.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_by_itself_when_the_last_handle_is_gone() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    log.append(draft(1, b"one")).await.unwrap();
    let mut published = log.published();
    drop(log);
    // The sender goes away with the threads.
    while published.changed().await.is_ok() {}
    let (log, report) = loop {
        match driver::open(store.path(), our_keys(), Options::default()) {
            Err(OpenError::Store(fs::OpenError::Locked)) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!((report.size.get(), report.published.get()), (1, 1));
    log.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_one_process_write() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    let error = refused(store.path(), our_keys());
    assert!(matches!(error, OpenError::Store(fs::OpenError::Locked)), "{error}");
    assert_eq!(error.code(), Code::Unavailable);
    log.append(draft(1, b"the first one is not disturbed")).await.unwrap();
    log.stop().await.unwrap();
    open(store.path()).stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_other_keys_another_origin_and_a_second_init() {
    let store = tempfile::tempdir().unwrap();
    new_log(store.path()).stop().await.unwrap();
    for other in [keys("driver.example/log", 2), keys("driver.example/other", 1)] {
        let error = refused(store.path(), other);
        assert!(matches!(error, OpenError::Store(fs::OpenError::OtherLog { .. })), "{error}");
    }
    let again = driver::init(store.path(), &our_keys()).unwrap_err();
    assert!(matches!(again, InitError::Store(fs::InitError::Initialised)), "{again}");
    let empty = tempfile::tempdir().unwrap();
    let error = refused(empty.path(), our_keys());
    assert!(matches!(error, OpenError::Store(fs::OpenError::NotInitialised)), "{error}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "opening creates nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn detects_a_changed_byte_at_the_edge_of_the_tree() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    for sequence in 0..3 {
        log.append(draft(sequence, b"sealed")).await.unwrap();
    }
    log.stop().await.unwrap();
    // This start settles the tree: from now on its files are the truth.
    open(store.path()).stop().await.unwrap();
    for name in ["log/tile/0/000.p/3", "log/tile/entries/000.p/3"] {
        let path = store.path().join(name);
        let right = std::fs::read(&path).unwrap();
        let mut wrong = right.clone();
        wrong[10] ^= 1;
        std::fs::write(&path, &wrong).unwrap();
        let error = refused(store.path(), our_keys());
        assert!(matches!(error, OpenError::Store(fs::OpenError::Edge(_))), "{name}: {error}");
        std::fs::write(&path, &right).unwrap();
    }
    open(store.path()).stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_store_that_was_set_back() {
    let store = tempfile::tempdir().unwrap();
    let log = new_log(store.path());
    log.append(draft(1, b"one")).await.unwrap();
    published(&log, 1).await;
    let journal = store.path().join("journal/0000000000000000.journal");
    let backup = std::fs::read(&journal).unwrap();
    log.append(draft(2, b"two")).await.unwrap();
    log.stop().await.unwrap();
    let newest = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &backup).unwrap();
    let error = refused(store.path(), our_keys());
    assert!(matches!(error, OpenError::Store(fs::OpenError::JournalBehind { .. })), "{error}");
    std::fs::write(&journal, &newest).unwrap();
    open(store.path()).stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_when_too_much_waits_and_says_so() {
    let store = tempfile::tempdir().unwrap();
    driver::init(store.path(), &our_keys()).unwrap();
    let bounds = Bounds { pending_entries_max: 8, ..Bounds::default() };
    let options = Options { bounds, ..Options::default() };
    let (log, _) = driver::open(store.path(), our_keys(), options).unwrap();
    let (answered, busy) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..200)
        .map(|sequence| {
            let (log, answered, busy) = (log.clone(), Arc::clone(&answered), Arc::clone(&busy));
            tokio::spawn(async move {
                match log.append(draft(sequence, b"sealed")).await {
                    Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        assert!(matches!(error, AppendError::Refused(Refusal::Busy)), "{error}");
                        assert_eq!(error.code(), Code::Limit);
                        busy.fetch_add(1, Ordering::Relaxed)
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let (answered, busy) = (answered.load(Ordering::Relaxed), busy.load(Ordering::Relaxed));
    assert!(answered >= 8 && busy > 0, "{answered} answered, {busy} busy");
    log.stop().await.unwrap();
    assert_eq!(FsReader::open(store.path()).size().unwrap().get(), answered, "what was refused is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_out_a_clock_that_was_set_back() {
    let store = tempfile::tempdir().unwrap();
    driver::init(store.path(), &our_keys()).unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let clock = Arc::clone(&now);
    let options = Options {
        clock: Arc::new(move || UnixMillis::new(clock.load(Ordering::Relaxed))),
        ..Options::default()
    };
    let (log, _) = driver::open(store.path(), our_keys(), options).unwrap();
    log.append(draft(1, b"one")).await.unwrap();
    now.fetch_sub(60_000, Ordering::Relaxed);
    let error = log.append(draft(2, b"two")).await.unwrap_err();
    assert!(matches!(error, AppendError::Refused(Refusal::ClockBehind { .. })), "{error}");
    now.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(log.append(draft(3, b"three")).await.unwrap().index().get(), 1);
    log.stop().await.unwrap();
}

/// A file system of `kib` KiB, unmounted when dropped; `None`, said aloud, where it cannot be mounted.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI mounts a small file system");
        println!("skipped: no small file system can be mounted here");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_the_disk_is_full_loses_nothing_and_goes_on_once_there_is_room() {
    let Some(small) = Small::mount(2_048) else { return };
    let store = small.0.path().join("store");
    let filler = small.0.path().join("filler");
    let log = new_log(&store);
    let mut appended = 0;
    let refusal = loop {
        match log.append(draft(appended, &[7; 50_000])).await {
            Ok(answer) => {
                assert_eq!(answer.index().get(), appended);
                appended += 1;
            }
            Err(error) => break error,
        }
        assert!(appended < 100, "the disk never gets full");
    };
    assert!(matches!(refusal, AppendError::Refused(Refusal::NotStored(_))), "{refusal}");
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(log.halted().is_none(), "a full disk halts nothing");
    // Still full: the next one is refused as well, and nothing is lost.
    assert!(log.append(draft(appended, &[7; 50_000])).await.is_err());
    assert!(!filler.exists());
    let grown = std::process::Command::new("mount")
        .args(["-o", "remount,size=65536k"])
        .arg(small.0.path())
        .status()
        .unwrap();
    assert!(grown.success());
    assert_eq!(log.append(draft(appended, &[7; 50_000])).await.unwrap().index().get(), appended);
    log.stop().await.unwrap();
    let reader = FsReader::open(&store);
    assert_eq!(reader.size().unwrap().get(), appended + 1);
    for index in 0..=appended {
        let sealed = reader.sealed(ledgerstone::merkle::LeafIndex::new(index)).unwrap();
        assert_eq!(sealed, Some(vec![7; 50_000]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_the_file_system_is_read_only() {
    let Some(small) = Small::mount(4_096) else { return };
    let store = small.0.path().join("store");
    let log = new_log(&store);
    log.append(draft(0, b"one")).await.unwrap();
    log.stop().await.unwrap();
    let remount = |how: &str| {
        let status = std::process::Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(small.0.path())
            .status();
        assert!(status.unwrap().success());
    };
    remount("ro");
    let error = refused(&store, our_keys());
    assert!(matches!(error, OpenError::Store(fs::OpenError::Store(_))), "{error}");
    assert!(driver::init(&small.0.path().join("another"), &our_keys()).is_err());
    remount("rw");
    let (log, report) = driver::open(&store, our_keys(), Options::default()).unwrap();
    assert_eq!(report.size.get(), 1);
    log.stop().await.unwrap();
}
