//! Whether a log says of every request that a recorder saw what became of it (INV-10).
//!
//! Scenario: sessions that lose entries, declare gaps, die, go on after they were called dead, or name one another wrongly.
//! Danger: a record disappears and nothing says so, or a crash is called tampering. Expected: every hole in a session is
//! named unless a signed gap entry covers it; a session without a stop passes only where the log itself says that it ended.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the golden files and says what it skips"
)]

mod world;

use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::{AnchorDetails, AnchorKind, Entry, LaneName, SessionId};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::verify::{Status, Verdict};
use proptest::prelude::*;
use world::{Log, Session, check, failed, only_failure, whole_session};

#[test]
fn a_session_s_entries_may_stand_in_any_order() {
    let mut entries = whole_session(1, 40);
    entries[1..].reverse();
    assert_eq!(Verdict::of(&Log::of(&entries).walk()), Verdict::Verified);
}

/// An entry of the session's next sequence number that says what was anchored.
fn anchored(session: &mut Session, seq: u64) -> Entry {
    let details = AnchorDetails {
        lane: LaneName::parse("ethereum").unwrap(),
        kind: AnchorKind::Ethereum,
        seq,
        to_size: TreeSize::new(seq),
        statement: Hash::of(&seq.to_be_bytes()),
    };
    let like = session.decision();
    Entry::anchor(like.writer, like.session, like.sequence, details)
}

#[test]
fn anchor_entries_count_in_the_session_that_appends_them_and_may_stand_there_twice() {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None), session.decision(), anchored(&mut session, 1)];
    entries.extend([session.decision(), anchored(&mut session, 2), session.stop()]);
    let mut next = Session::new("lending-1", 2);
    entries.extend([next.start(Some(1)), anchored(&mut next, 2), next.decision(), next.stop()]);
    assert_eq!(Verdict::of(&Log::of(&entries).walk()), Verdict::Verified);
    entries.remove(2);
    let checks = Log::of(&entries).walk();
    assert!(only_failure(&checks).detail.contains("number 2 is"), "{checks:#?}");
}

#[test]
fn a_hole_in_the_sequence_is_named() {
    for (dropped, words) in [(1, "number 1 is"), (20, "number 20 is"), (40, "number 40 is")] {
        let mut entries = whole_session(1, 40);
        entries.remove(dropped);
        let checks = Log::of(&entries).walk();
        let failure = only_failure(&checks);
        assert_eq!((failure.name, failure.code), (CheckName::LogSessions, Some(Code::Inconsistent)));
        assert!(failure.detail.contains(words), "{}", failure.detail);
    }
    let mut entries = whole_session(1, 40);
    entries.drain(5..9);
    let checks = Log::of(&entries).walk();
    assert!(only_failure(&checks).detail.contains("numbers 5 to 8 are missing"), "{checks:#?}");
}

#[test]
fn a_session_without_its_start_misses_number_zero() {
    let mut entries = whole_session(1, 5);
    entries.remove(0);
    let checks = Log::of(&entries).walk();
    assert!(only_failure(&checks).detail.contains("sequence number 0 is missing"));
}

#[test]
fn a_gap_entry_covers_the_hole_it_names_and_no_other() {
    let with_gap = |first, last| {
        let mut session = Session::new("lending-1", 1);
        let mut entries = vec![session.start(None)];
        entries.extend((0..9).map(|_| session.decision()));
        entries.drain(4..7);
        entries.push(session.gap(first, last));
        entries.push(session.stop());
        Log::of(&entries).walk()
    };
    let checks = with_gap(4, 6);
    assert_eq!(Verdict::of(&checks), Verdict::Verified);
    assert!(
        check(&checks, CheckName::LogSessions).detail.contains("3 more are declared as gaps"),
        "{checks:#?}"
    );
    for (first, last, words) in [(4, 5, "number 6 is"), (5, 6, "number 4 is"), (7, 8, "numbers 4 to 6 are")] {
        let checks = with_gap(first, last);
        assert!(only_failure(&checks).detail.contains(words), "{first} to {last}: {checks:#?}");
    }
}

#[test]
fn a_gap_excuses_nothing_in_advance() {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None), session.decision(), session.gap(2, 5)];
    session.sequence = 6;
    entries.push(session.stop());
    let checks = Log::of(&entries).walk();
    assert!(failed(&checks)[0].detail.contains("covers numbers from its own 2 on"), "{checks:#?}");
}

#[test]
fn a_sequence_number_used_twice_is_found() {
    let mut entries = whole_session(1, 5);
    entries[3].sequence = 2;
    let checks = Log::of(&entries).walk();
    let failure = only_failure(&checks);
    assert!(failure.detail.contains("sequence number 2 is used a second time"), "{}", failure.detail);
    assert_eq!(failure.places.len(), 2, "and number 3 is missing");
}

#[test]
fn entries_after_the_stop_and_second_stops_are_found() {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None), session.decision(), session.stop(), session.decision()];
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("3 comes after the stop at 2"));
    entries.swap(2, 3);
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("sequence number 3 is recorded"));
    entries.swap(2, 3);
    entries[3] = session.stop();
    entries[3].sequence = 3;
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("stopped the session already"));
}

#[test]
fn number_zero_belongs_to_the_start_and_a_session_to_one_writer() {
    let mut entries = whole_session(1, 3);
    let mut impostor = Session::new("lending-1", 1).decision();
    impostor.sequence = 0;
    entries[0] = impostor;
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("belongs to the start entry"));

    let mut entries = whole_session(1, 3);
    entries[2].writer = "lending-2".parse().unwrap();
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("the session is that of lending-1"));
}

#[test]
fn a_session_before_that_is_not_in_the_log_is_found() {
    let mut later = Session::new("lending-1", 2);
    let mut entries = whole_session(1, 3);
    entries.extend([later.start(Some(1)), later.decision(), later.stop()]);
    assert_eq!(Verdict::of(&Log::of(&entries).walk()), Verdict::Verified);
    let only_later = &entries[5..];
    let checks = Log::of(only_later).walk();
    let failure = only_failure(&checks);
    let earlier = SessionId::from_bytes([1; 16]).to_string();
    assert!(
        failure.detail.contains(&earlier) && failure.name == CheckName::LogSessions,
        "{}",
        failure.detail
    );
}

#[test]
fn a_session_that_is_still_open_passes_and_is_said_to_be() {
    let mut entries = whole_session(1, 5);
    entries.pop();
    let checks = Log::of(&entries).walk();
    assert_eq!(Verdict::of(&checks), Verdict::Verified);
    assert!(check(&checks, CheckName::LogStops).detail.contains("1 session was still open"), "{checks:#?}");
}

/// A session that died with numbers 3 and 5 of 0 to 6 in its hands, then another of the same writer that names `previous`.
fn crashed(heartbeat: Option<u64>, previous: Option<u8>) -> Vec<Entry> {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None)];
    entries.extend((0..6).map(|_| session.decision()));
    entries.remove(5);
    entries.remove(3);
    entries.extend(heartbeat.map(|lowest| session.heartbeat(lowest)));
    let mut next = Session::new("lending-1", 2);
    entries.extend([next.start(previous), next.stop()]);
    entries
}

#[test]
fn a_session_that_died_passes_once_the_next_start_says_so_and_what_is_not_known_is_told() {
    let checks = Log::of(&crashed(None, Some(1))).walk();
    assert_eq!(Verdict::of(&checks), Verdict::Verified, "{checks:#?}");
    let stops = check(&checks, CheckName::LogStops);
    for words in [
        "1 session ended with a stop entry. 1 of 2 sessions ended without one",
        "number is 6, its last entry is of 2026-11-18T11:06:40.028Z",
        "entry 5 of 2026-11-18T11:06:40.035Z says that it had ended",
        "in between nobody can know",
        "sequence number 3 is not recorded, the first of 2 such",
    ] {
        assert!(stops.detail.contains(words), "{words}: {}", stops.detail);
    }
    assert_eq!(stops.places.len(), 1);
    assert_eq!(check(&checks, CheckName::LogSessions).status, Status::Passed);
}

#[test]
fn a_session_that_died_and_that_no_start_names_leaves_the_verdict_open() {
    let checks = Log::of(&crashed(None, None)).walk();
    assert_eq!(Verdict::of(&checks), Verdict::Undecided, "{checks:#?}");
    let stops = check(&checks, CheckName::LogStops);
    assert_eq!(stops.status, Status::NotChecked);
    for words in ["1 of 2 sessions", "no later start entry says so", "number is 6", "nobody can know"] {
        assert!(stops.detail.contains(words), "{words}: {}", stops.detail);
    }
}

#[test]
fn only_the_session_that_is_named_is_closed() {
    let mut entries = crashed(None, Some(1));
    entries.pop();
    let mut third = Session::new("lending-1", 3);
    entries.extend([third.start(Some(1)), third.stop()]);
    let checks = Log::of(&entries).walk();
    assert_eq!(Verdict::of(&checks), Verdict::Undecided, "session 2 ended and nothing says so: {checks:#?}");
    let stops = check(&checks, CheckName::LogStops);
    assert_eq!(stops.places.len(), 1);
    assert!(stops.detail.contains(&SessionId::from_bytes([2; 16]).to_string()), "{}", stops.detail);
}

#[test]
fn a_session_that_goes_on_after_it_was_called_ended_is_found() {
    let mut entries = crashed(None, Some(1));
    let mut alive = Session::new("lending-1", 1);
    alive.sequence = 7;
    entries.push(alive.decision());
    let checks = Log::of(&entries).walk();
    let failure = only_failure(&checks);
    assert_eq!((failure.name, failure.code), (CheckName::LogSessions, Some(Code::Inconsistent)));
    assert!(failure.detail.contains("goes on after entry 5 said that it had ended"), "{}", failure.detail);
    entries.pop();
    entries.push(alive.stop());
    assert_eq!(
        only_failure(&Log::of(&entries).walk()).name,
        CheckName::LogSessions,
        "a late stop is no excuse"
    );
}

#[test]
fn a_start_entry_may_only_close_an_earlier_session_of_its_own_writer() {
    let mut itself = Session::new("lending-1", 1);
    let checks = Log::of(&[itself.start(Some(1)), itself.stop()]).walk();
    assert!(only_failure(&checks).detail.contains("names itself"), "{checks:#?}");

    let (mut other, mut next) = (Session::new("lending-2", 1), Session::new("lending-1", 2));
    let checks = Log::of(&[other.start(None), next.start(Some(1)), next.stop()]).walk();
    assert!(only_failure(&checks).detail.contains("that is one of lending-2"), "{checks:#?}");
    assert!(check(&checks, CheckName::LogStops).detail.contains("1 session was still open"), "{checks:#?}");

    let mut entries = crashed(None, Some(1));
    entries.rotate_left(5);
    let checks = Log::of(&entries).walk();
    assert!(only_failure(&checks).detail.contains("the log has no entry of that"), "too early: {checks:#?}");
}

#[test]
fn what_a_heartbeat_called_settled_cannot_have_been_in_flight() {
    let crashed = |lowest| Log::of(&crashed(Some(lowest), Some(1))).walk();
    assert_eq!(Verdict::of(&crashed(3)), Verdict::Verified, "3 was in flight when the heartbeat was made");
    let checks = crashed(5);
    assert!(only_failure(&checks).detail.contains("sequence number 3 is missing"), "{checks:#?}");
    let checks = crashed(7);
    assert_eq!(only_failure(&checks).places.len(), 2, "{checks:#?}");
}

#[test]
fn an_open_session_s_heartbeats_count_too() {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None), session.decision(), session.decision()];
    entries.remove(1);
    entries.push(session.heartbeat(1));
    assert_eq!(Verdict::of(&Log::of(&entries).walk()), Verdict::Verified, "1 is in flight");
    entries.push(session.heartbeat(4));
    assert!(only_failure(&Log::of(&entries).walk()).detail.contains("sequence number 1 is missing"));
}

#[test]
fn writers_do_not_mix() {
    let (mut a, mut b) = (Session::new("lending-1", 1), Session::new("lending-2", 2));
    let mut entries = vec![a.start(None), b.start(None)];
    for _ in 0..50 {
        entries.extend([a.decision(), b.decision(), b.decision()]);
    }
    entries.extend([b.stop(), a.decision(), a.stop()]);
    let checks = Log::of(&entries).walk();
    assert_eq!(Verdict::of(&checks), Verdict::Verified, "{checks:#?}");
    assert!(check(&checks, CheckName::LogSessions).detail.contains("2 sessions with 155 sequence numbers"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_subset_of_a_session_is_complete_only_if_it_is_whole(kept in proptest::collection::vec(any::<bool>(), 20)) {
        let entries: Vec<Entry> = whole_session(1, 18)
            .into_iter()
            .zip(&kept)
            .enumerate()
            .filter(|(at, (_, kept))| **kept || *at == 19)
            .map(|(_, (entry, _))| entry)
            .collect();
        let whole = entries.len() == 20;
        let checks = Log::of(&entries).walk();
        prop_assert_eq!(check(&checks, CheckName::LogSessions).status == Status::Passed, whole);
    }
}
