use ledgerstone::entry::{DecisionDetails, DecisionId, HeartbeatDetails, StartDetails, WriterName};
use ledgerstone::record::Commitment;
use ledgerstone::time::UnixMillis;

use super::*;

const HEARTBEAT_MS: u64 = 10_000;

/// Heartbeats may come this late.
const LATE_MS: u64 = 3 * HEARTBEAT_MS + 5_000;

/// Entries of sessions, in the order of a log.
struct Teller {
    summary: Summary,
    index: u64,
    at: u64,
}

impl Teller {
    fn new() -> Self {
        Self { summary: Summary::new(HEARTBEAT_MS), index: 0, at: 1_000_000 }
    }

    fn take(&mut self, mut entry: Entry) {
        entry.recorded_at = UnixMillis::new(self.at);
        self.summary.take(LeafIndex::new(self.index), &entry);
        self.index += 1;
    }
}

fn writer() -> WriterName {
    WriterName::parse("w").unwrap()
}

fn session(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

fn start(n: u8) -> Entry {
    let details =
        StartDetails { version: "1.0".to_owned(), configuration: Hash::of(b"c"), previous_session: None };
    Entry::start(writer(), session(n), details)
}

fn decision(n: u8, sequence: u64, status: u32) -> Entry {
    let commitment = Commitment { root: Hash::of(b"r"), count: 1 };
    let details = DecisionDetails { status };
    Entry::decision(writer(), session(n), sequence, DecisionId::from_bytes([9; 16]), commitment, details)
}

fn gap(n: u8, sequence: u64, first: u64, last: u64) -> Entry {
    Entry::gap(writer(), session(n), sequence, GapDetails { first, last, reason: GapReason::Dropped })
}

fn heartbeat(n: u8, sequence: u64) -> Entry {
    let details = HeartbeatDetails { in_flight: 2, lowest_in_flight: sequence };
    Entry::heartbeat(writer(), session(n), sequence, details)
}

#[test]
fn numbers_of_a_session_are_entries_or_stand_in_gaps() {
    let mut teller = Teller::new();
    teller.take(start(1));
    teller.take(decision(1, 1, 0));
    teller.take(decision(1, 2, 14));
    teller.take(gap(1, 6, 3, 5));
    teller.take(Entry::stop(writer(), session(1), 7));
    let summary = &teller.summary;
    let seen = &summary.sessions[0];
    assert_eq!((seen.entries, seen.in_gaps, seen.highest), (5, 3, 7));
    assert_eq!(seen.highest + 1, seen.entries + seen.in_gaps);
    assert!(seen.stopped.is_some() && seen.began.is_some());
    assert_eq!((summary.gap_requests, summary.gap_entries), (3, 1));
    let bucket = summary.seconds[0];
    assert_eq!((bucket.decisions, bucket.failed, bucket.gaps), (2, 1, 3));
    assert_eq!(summary.kinds["decision"], 2);
    assert_eq!(summary.events.len(), 1);
    assert!(summary.events[0].what.starts_with("3 requests without a record"), "{:?}", summary.events);
}

#[test]
fn a_session_without_heartbeats_for_three_of_them_was_silent() {
    let mut teller = Teller::new();
    teller.take(start(1));
    for (sequence, wait) in [(1, HEARTBEAT_MS), (2, LATE_MS), (3, LATE_MS + 1), (4, HEARTBEAT_MS)] {
        teller.at += wait;
        teller.take(heartbeat(1, sequence));
    }
    let seen = &teller.summary.sessions[0];
    let end = teller.at - HEARTBEAT_MS;
    assert_eq!(seen.silences, [(end - LATE_MS - 1, end)]);
    assert_eq!(seen.heartbeat, Some(teller.at));
    assert_eq!(teller.summary.events.len(), 1);
}

#[test]
fn what_is_kept_is_bounded_and_the_rest_is_counted() {
    let mut teller = Teller::new();
    for n in 0..=200_u8 {
        teller.at += 60_000;
        teller.take(start(n));
        let mut made = decision(n, 1, 0);
        made.model = Some(Hash::of(&[n]));
        teller.take(made);
        teller.take(gap(n, 3, 2, 2));
        if n % 2 == 0 {
            teller.take(Entry::stop(writer(), session(n), 4));
        }
    }
    for _ in 0..2 * MINUTES_MAX {
        teller.at += 60_000;
        teller.take(heartbeat(200, 5));
    }
    let summary = &teller.summary;
    assert_eq!((summary.sessions.len(), summary.sessions_before), (SESSIONS_MAX, 201 - SESSIONS_MAX as u64));
    assert_eq!(summary.unstopped_before, (201 - SESSIONS_MAX as u64) / 2);
    assert_eq!((summary.events.len(), summary.gap_entries), (EVENTS_MAX, 201));
    assert_eq!((summary.seconds.len(), summary.minutes.len()), (SECONDS_MAX, MINUTES_MAX));
    assert_eq!((summary.models.len(), summary.other_models), (MODELS_MAX, 201 - MODELS_MAX as u64));
    assert!(summary.sessions.back().unwrap().silences.len() <= SILENCES_MAX);
    assert!(serde_json::to_vec(summary).unwrap().len() < 300 * 1024, "an answer stays small");
}

#[test]
fn a_session_whose_start_was_not_read_has_no_beginning() {
    let mut teller = Teller::new();
    teller.take(decision(1, 500, 0));
    assert_eq!((teller.summary.sessions[0].began, teller.summary.sessions[0].highest), (None, 500));
}

/// Every number in it.
fn numbers(json: &serde_json::Value) -> Vec<u64> {
    match json {
        serde_json::Value::Number(number) => vec![number.as_u64().unwrap()],
        serde_json::Value::Array(items) => items.iter().flat_map(numbers).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn entries_that_say_any_number_stay_numbers_that_the_page_can_read() {
    let mut teller = Teller::new();
    teller.take(start(1));
    teller.take(gap(1, 1, 0, u64::MAX));
    teller.take(gap(1, u64::MAX, 0, u64::MAX));
    teller.at = u64::MAX;
    teller.take(decision(1, u64::MAX, 0));
    teller.take(heartbeat(1, u64::MAX));
    teller.take(start(2));
    let found = numbers(&serde_json::to_value(&teller.summary).unwrap());
    assert_eq!(found.iter().max(), Some(&NUMBER_MAX));
}
