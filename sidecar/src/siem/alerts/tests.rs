use std::sync::atomic::{AtomicU64, Ordering};

use ledgerstone::entry::{LaneName, Mode};
use ledgerstone::siem::{Event, Log};
use ledgerstone::time::UnixMillis;

use super::*;

/// A clock that is set.
fn clock(now: &Arc<AtomicU64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || UnixMillis::new(now.load(Ordering::Relaxed)))
}

fn open(folder: &std::path::Path, now: &Arc<AtomicU64>) -> Arc<Alerts> {
    Alerts::open(folder, WriterName::parse("sidecar-0").unwrap(), clock(now))
}

fn late(sink: &str) -> Fact {
    Fact::SinkLate { sink: sink.to_owned(), next: LeafIndex::new(7), late_ms: 1 }
}

/// One of each.
fn every() -> Vec<Fact> {
    let hash = Hash::of(b"x");
    vec![
        Fact::Tamper { check: CHECK, detail: "a \"detail\"\nof two lines".into() },
        Fact::SplitView { other_size: TreeSize::new(9), other_root: hash, source: "witness".into() },
        Fact::RollbackRefused { outside_size: TreeSize::new(9), source: "lane".into() },
        Fact::AnchorLate {
            lane: LaneName::parse("tsa").unwrap(),
            anchored_size: TreeSize::new(3),
            late_ms: u64::MAX,
        },
        late("siem"),
        Fact::UnregisteredModel { route: "loans".into(), model: "credit".into(), digest: Some(hash) },
        Fact::UnregisteredModel { route: "loans".into(), model: "credit".into(), digest: None },
        Fact::KeyUse { key: "kek".into(), purpose: "rotation".into() },
        Fact::ModeDowngrade { route: "loans".into(), from: Mode::Strict, to: Mode::Observe },
        Fact::PolicyRefusal { route: "loans".into(), rule: "age".into() },
        Fact::Test,
    ]
}

const CHECK: Option<ledgerstone::code::CheckName> = Some(ledgerstone::code::CheckName::ReceiptFormat);

#[test]
fn every_fact_is_read_back_to_the_same_alert_and_so_the_same_event() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let alerts = open(folder.path(), &now);
    every().into_iter().for_each(|fact| alerts.raise(fact));
    alerts.write_now().unwrap();
    let log = Log::new(&ledgerstone::note::KeyName::new("example.com/tests").unwrap());
    let before = alerts.after(0, usize::MAX).0;
    drop(alerts);
    let after = open(folder.path(), &now).after(0, usize::MAX).0;
    assert_eq!((before.len(), &before), (every().len(), &after));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(Event::of_alert(&log, &before.alert).id(), Event::of_alert(&log, &after.alert).id());
    }
}

#[test]
fn the_same_is_not_told_again_within_a_time_not_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let alerts = open(folder.path(), &now);
    alerts.raise(late("one"));
    alerts.raise(late("one"));
    alerts.raise(late("two"));
    assert_eq!((alerts.newest(9).len(), alerts.held_back()), (2, 1));
    alerts.write_now().unwrap();
    drop(alerts);
    let again = open(folder.path(), &now);
    again.raise(late("one"));
    assert_eq!((again.newest(9).len(), again.held_back()), (2, 1));
    drop(again);
    now.fetch_add(u64::try_from(AGAIN.as_millis()).unwrap(), Ordering::Relaxed);
    let later = open(folder.path(), &now);
    later.raise(late("one"));
    assert_eq!((later.newest(9).len(), later.held_back()), (3, 0));
}

#[test]
fn so_many_are_kept_and_those_that_were_given_up_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = open(folder.path(), &Arc::new(AtomicU64::new(1_795_000_000_000)));
    let first = alerts.next();
    for n in 0..KEPT_MAX + 3 {
        alerts.raise(late(&format!("sink-{n}")));
    }
    let (kept, missed) = alerts.after(first, usize::MAX);
    assert_eq!((kept.len(), missed), (KEPT_MAX, first..first + 3));
    assert!(alerts.after(first + 5, 2).1.is_empty(), "a sink that is further missed nothing");
    alerts.write_now().unwrap();
}

#[test]
fn a_file_that_is_damaged_or_lost_uses_no_number_again() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let alerts = open(folder.path(), &now);
    alerts.raise(late("one"));
    alerts.write_now().unwrap();
    let next = alerts.next();
    drop(alerts);
    now.fetch_add(60_000, Ordering::Relaxed);
    for damage in [Some("{}\n"), Some("\u{0}"), Some("{\"number\":"), None] {
        let file = folder.path().join(FILE);
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert!(open(folder.path(), &now).next() > next, "{damage:?}");
    }
}

#[test]
fn numbers_that_no_alert_ever_had_are_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let cursor = open(folder.path(), &now).next();
    now.fetch_add(3_600_000, Ordering::Relaxed);
    let later = open(folder.path(), &now);
    later.raise(late("one"));
    assert!(later.after(cursor, 9).1.is_empty(), "nothing was raised before the restart");
    later.write_now().unwrap();
    drop(later);
    let (kept, missed) = open(folder.path(), &now).after(cursor, 9);
    assert_eq!((kept.len(), missed.is_empty()), (1, true), "nor is that known less after another one");
}

#[test]
fn what_was_given_up_before_a_restart_is_missed_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let alerts = open(folder.path(), &now);
    let first = alerts.next();
    for n in 0..KEPT_MAX + 3 {
        alerts.raise(late(&format!("sink-{n}")));
    }
    alerts.write_now().unwrap();
    drop(alerts);
    assert_eq!(open(folder.path(), &now).after(first, 9).1, first..first + 3);
}

#[test]
fn two_threads_that_write_at_once_leave_a_file_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let alerts = open(folder.path(), &now);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let alerts = &alerts;
            scope.spawn(move || {
                for n in 0..25 {
                    alerts.raise(late(&format!("sink-{writer}-{n}")));
                    alerts.write_now().unwrap();
                }
            });
        }
    });
    drop(alerts);
    assert_eq!(open(folder.path(), &now).newest(usize::MAX).len(), 100);
}

#[test]
fn two_split_views_of_one_source_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = open(folder.path(), &Arc::new(AtomicU64::new(1_795_000_000_000)));
    for root in [b"x", b"y", b"x"] {
        let (other_size, other_root) = (TreeSize::new(9), Hash::of(root));
        alerts.raise(Fact::SplitView { other_size, other_root, source: "witness".into() });
    }
    assert_eq!((alerts.newest(9).len(), alerts.held_back()), (2, 1));
}

#[test]
fn a_second_process_does_not_write_over_the_alerts_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_795_000_000_000));
    let first = open(folder.path(), &now);
    first.raise(late("one"));
    first.write_now().unwrap();
    let second = open(folder.path(), &now);
    second.raise(late("two"));
    second.write_now().unwrap_err();
    drop((first, second));
    assert_eq!(open(folder.path(), &now).newest(9).len(), 1);
}
