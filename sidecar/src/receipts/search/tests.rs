//! A log whose clock is a number, and ids that are in it, or are not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledgerstone::entry::{DecisionDetails, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;

use super::*;
use crate::driver::{self, Draft};
use crate::log_keys;

const BEGIN: u64 = 1_800_000_000_000;

/// Milliseconds from one entry to the next.
const STEP: u64 = 50;

/// The id that was drawn at `drawn` for the entry numbered `n`.
fn id(drawn: u64, n: u64) -> DecisionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(drawn << 16 | 0x7000).to_be_bytes());
    bytes[8..].copy_from_slice(&(0x8000_0000_0000_0000 | n).to_be_bytes());
    DecisionId::from_bytes(bytes)
}

/// A log of decisions with these ids, a batch of `at_once` every `STEP`; and where each of them stands.
async fn log(folder: &Path, ids: &[DecisionId], at_once: usize) -> (LogReader, Vec<LeafIndex>) {
    let origin = KeyName::new("example.com/search").unwrap();
    let keys = log_keys::create(&folder.join("log.key"), &origin).unwrap();
    let store = folder.join("store");
    driver::init(&store, &keys).unwrap();
    let clock = Arc::new(AtomicU64::new(BEGIN));
    let read = Arc::clone(&clock);
    let options = driver::Options {
        clock: Arc::new(move || UnixMillis::new(read.load(Ordering::SeqCst))),
        ..driver::Options::default()
    };
    let (log, _) = driver::open(&store, keys, options).unwrap();
    let mut places = Vec::new();
    for batch in ids.chunks(at_once) {
        let appends = batch.iter().map(|id| {
            let (log, entry) = (log.clone(), entry(*id));
            tokio::spawn(async move { log.append(Draft { entry, sealed: None }).await.unwrap().index() })
        });
        for append in appends.collect::<Vec<_>>() {
            places.push(append.await.unwrap());
        }
        clock.fetch_add(STEP, Ordering::SeqCst);
    }
    log.stop().await.unwrap();
    (LogReader::at_rest(&store).unwrap(), places)
}

fn entry(id: DecisionId) -> Entry {
    let (writer, session) = (WriterName::parse("w").unwrap(), SessionId::from_bytes([1; 16]));
    let commitment = Commitment { root: Hash::of(b"record"), count: 1 };
    Entry::decision(writer, session, 1, id, commitment, DecisionDetails { status: 0 })
}

#[tokio::test]
async fn finds_every_decision_by_the_time_in_its_id_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    // Each took 400 ms from its request to its entry, so ids lie eight batches ahead of the log's times.
    let ids: Vec<DecisionId> = (0..800).map(|n| id(BEGIN + n / 20 * STEP - 400, n)).collect();
    let (log, places) = log(folder.path(), &ids, 20).await;
    let size = log.published().size;
    assert_eq!(size, TreeSize::new(800));
    for (known, place) in ids.iter().zip(&places) {
        assert_eq!(decision(&log, *known, size).unwrap(), Some(*place));
        // Only what was asked about is searched.
        let before = TreeSize::new(place.get());
        assert_eq!(decision(&log, *known, before).unwrap(), None);
    }
    for drawn in [0, BEGIN - 400, BEGIN + 1_000, BEGIN + 40 * STEP, BEGIN * 2, (1 << 48) - 1] {
        assert_eq!(decision(&log, id(drawn, 9_999), size).unwrap(), None, "{drawn}");
    }
}

#[tokio::test]
async fn finds_what_was_recorded_late_or_under_a_clock_that_stepped_back_and_gives_up_after_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = [BEGIN + STEPPED_BACK_MS, BEGIN - SEARCHED_MS, BEGIN + 2 * STEP - SEARCHED_MS - 1];
    let ids: Vec<DecisionId> = (0..).zip(drawn).map(|(n, drawn)| id(drawn, n)).collect();
    let (log, _) = log(folder.path(), &ids, 1).await;
    let found: Vec<Option<u64>> = ids
        .iter()
        .map(|known| decision(&log, *known, log.published().size).unwrap().map(LeafIndex::get))
        .collect();
    assert_eq!(found, [Some(0), None, None], "{ids:?}");
}

#[tokio::test]
async fn an_empty_log_has_no_decision() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = log(folder.path(), &[], 1).await;
    assert_eq!(decision(&log, id(BEGIN, 0), TreeSize::EMPTY).unwrap(), None);
}
