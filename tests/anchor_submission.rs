//! The lane of a timestamp authority or of calendars, rule by rule and by seeded fault scripts.
//!
//! Scenario: a log grows; one lane sends its statements to a service that may be silent, lose what it took, or never finish a proof;
//! files and journal may fail, and the process may die at any effect. Danger: a gap in the chain of statements, a statement that
//! is given up, memory that grows with what waits, or a service that is asked without pause. Expected: one chain without a
//! gap, every statement proved once the service answers, waits that grow and never come together, and a stop where going on
//! could do harm.

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

#[path = "anchor_world/mod.rs"]
mod anchor_world;

use std::collections::{BTreeMap, BTreeSet};

use anchor_world::{Rng, root_of};
use ledgerstone::anchor::schedule::{Build, Built, Schedule, Tip};
use ledgerstone::anchor::statement::{AnchorKind, Head, LaneName, NO_STATEMENT};
use ledgerstone::anchor::submission::{Config, Effect, Event, Record, State, Submission};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::time::UnixMillis;

const HOUR: u64 = 3_600_000;

fn config(kind: AnchorKind) -> Config {
    Config {
        lane: LaneName::parse(kind.as_str()).unwrap(),
        kind,
        schedule: Schedule { interval_ms: HOUR, entries_min: 1, entries_max: 1_000 },
        retry_ms_min: 1_000,
        retry_ms_max: 600_000,
        upgrade_interval_ms: HOUR,
        resubmit_after_ms: 72 * HOUR,
        pending_max: 8,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    NotDone,
    DoneButFailed,
}

struct Driver {
    config: Config,
    lane: Submission,
    rng: Rng,
    now: UnixMillis,
    log: u64,
    out: Vec<Effect>,
    journal: Vec<Vec<u8>>,
    files: BTreeMap<u64, (Head, Built)>,
    /// Proofs by what they hold: accepted, upgraded, with headers.
    proofs: BTreeMap<u64, [bool; 3]>,
    appended: Vec<u64>,
    submitted: Vec<(UnixMillis, u64)>,
    alarms: Vec<&'static str>,
    /// Whether calendars finish proofs.
    is_upgrading: bool,
}

impl Driver {
    fn new(kind: AnchorKind) -> Self {
        Self::with(config(kind), 1)
    }

    fn with(config: Config, seed: u64) -> Self {
        Self {
            lane: Submission::new(config.clone()),
            config,
            rng: Rng::new(seed),
            now: UnixMillis::new(1_795_000_000_000),
            log: 0,
            out: vec![],
            journal: vec![],
            files: BTreeMap::new(),
            proofs: BTreeMap::new(),
            appended: vec![],
            submitted: vec![],
            alarms: vec![],
            is_upgrading: true,
        }
    }

    fn tell(&mut self, event: Event) {
        let jitter = self.rng.bits();
        for effect in self.lane.handle(self.now, jitter, event) {
            if let Effect::Alarm(alarm) = effect {
                self.alarms.push(alarm.as_str());
                continue;
            }
            let is_out = self.out.iter().any(|effect| matches!(effect, Effect::Journal(_)));
            assert!(!is_out, "asked for behind a record that is not durable: {effect:?}");
            self.out.push(effect);
        }
    }

    fn grow(&mut self, entries: u64) {
        self.log += entries;
        self.tell(Event::Log(TreeSize::new(self.log)));
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.tell(Event::Tick);
    }

    fn perform(&mut self, effect: Effect, fault: Fault) {
        let is_done = fault != Fault::NotDone;
        let is_told = fault == Fault::None;
        let event = match effect {
            Effect::Build(build) => {
                let built = is_done.then(|| self.build(&build));
                built.filter(|_| is_told).map_or(Event::BuildFailed, Event::Built)
            }
            Effect::Journal(record) => {
                if is_done {
                    self.journal.push(record.encode());
                }
                if is_told { Event::Journaled } else { Event::JournalFailed }
            }
            Effect::Submit { seq, statement } => {
                assert_eq!(self.files[&seq].1.statement, statement);
                self.submitted.push((self.now, seq));
                if is_done {
                    self.proofs.entry(seq).or_default()[0] = true;
                }
                if is_told { Event::Accepted { seq } } else { Event::NotAccepted { seq } }
            }
            Effect::Upgrade { seq, .. } => {
                assert!(self.proofs[&seq][0], "nothing to upgrade");
                let is_done = is_done && self.is_upgrading;
                self.proofs.get_mut(&seq).unwrap()[1] |= is_done;
                if is_told && is_done { Event::Upgraded { seq } } else { Event::NotUpgraded { seq } }
            }
            Effect::Capture { seq, .. } => {
                assert!(self.proofs[&seq][1], "nothing to capture");
                self.proofs.get_mut(&seq).unwrap()[2] |= is_done;
                if is_told { Event::Captured { seq } } else { Event::CaptureFailed { seq } }
            }
            Effect::AppendEntry(details) => {
                let seq = details.seq;
                let whole = if self.config.kind == AnchorKind::Bitcoin { 2 } else { 0 };
                assert!(self.proofs[&seq][whole], "an entry speaks of a proof that is not whole");
                assert_eq!((details.kind, details.to_size), (self.config.kind, self.files[&seq].1.to.size));
                if is_done {
                    self.appended.push(seq);
                }
                if is_told { Event::Appended { seq } } else { Event::AppendFailed { seq } }
            }
            other => panic!("an effect that no driver knows: {other:?}"),
        };
        let is_stopped = event == Event::JournalFailed;
        self.tell(event);
        if is_stopped {
            assert!(self.lane.snapshot(self.now).is_stopped);
            assert_eq!(self.lane.handle(self.now, 0, Event::Tick), [], "goes on behind a failed record");
            self.restart();
        }
    }

    fn build(&mut self, build: &Build) -> Built {
        let Build { seq, from, previous, size, .. } = build.clone();
        let (_, built) = self.files.entry(seq).or_insert_with(|| {
            let to = Head { size, root: root_of(size.get()) };
            let statement = Hash::of(&[seq.to_be_bytes(), size.get().to_be_bytes()].concat());
            (from, Built { seq, to, statement, previous })
        });
        *built
    }

    fn records(&self) -> Vec<Record> {
        self.journal.iter().map(|bytes| Record::decode(bytes).unwrap()).collect()
    }

    fn crash(&mut self, is_record_whole: bool) {
        let records = std::mem::take(&mut self.out).into_iter();
        let record = records
            .filter_map(|effect| if let Effect::Journal(record) = effect { Some(record) } else { None });
        self.journal.extend(record.filter(|_| is_record_whole).map(|record| record.encode()));
        self.restart();
    }

    fn restart(&mut self) {
        self.out.clear();
        self.lane = Submission::recover(self.config.clone(), self.records()).unwrap();
        let again = Submission::recover(self.config.clone(), self.records()).unwrap();
        assert!(self.lane.is_at_the_state_of(&again), "INV-6: recovery reaches one state");
        self.tell(Event::Log(TreeSize::new(self.log)));
        self.tell(Event::Tick);
    }

    fn settle(&mut self, fault: Fault) {
        for _ in 0..1_000 {
            if self.out.is_empty() {
                return;
            }
            let effect = self.out.remove(0);
            let is_service =
                matches!(effect, Effect::Submit { .. } | Effect::Upgrade { .. } | Effect::Capture { .. });
            self.perform(effect, if is_service { fault } else { Fault::None });
        }
        panic!("the lane never comes to rest: a service is asked without pause");
    }

    fn hours(&mut self, hours: u64) {
        for _ in 0..hours {
            self.settle(Fault::None);
            self.pass(HOUR);
            self.settle(Fault::None);
        }
    }

    fn words(&self) -> Vec<&'static str> {
        self.lane.alarms().iter().map(|alarm| alarm.as_str()).collect()
    }

    fn check_story(&self) {
        let snapshot = self.lane.snapshot(self.now);
        let mut before = Tip::none();
        for seq in 1..=snapshot.accepted.seq {
            let (from, built) = self.files[&seq];
            assert_eq!((from, built.previous), (before.head, before.statement), "a gap before {seq}");
            before = Tip { seq, head: built.to, statement: built.statement };
            assert!(self.proofs[&seq][0], "{seq} is said to be accepted");
        }
        assert_eq!(before, snapshot.accepted);
        let whole = if self.config.kind == AnchorKind::Bitcoin { 2 } else { 0 };
        for seq in 1..=snapshot.anchored.seq {
            assert!(self.proofs[&seq][whole], "{seq} is said to be whole");
        }
        assert!(snapshot.pending <= self.config.pending_max, "INV-7: what waits is bounded");
    }

    fn is_finished(&self) -> bool {
        let snapshot = self.lane.snapshot(self.now);
        snapshot.state == State::Idle && snapshot.anchored.head.size.get() >= self.log && self.out.is_empty()
    }
}

fn names(driver: &Driver) -> Vec<String> {
    let name = |record: &Record| format!("{record:?}").split(' ').next().unwrap().to_lowercase();
    driver.records().iter().map(name).collect()
}

#[test]
fn an_authoritys_reply_is_the_whole_proof() {
    let mut driver = Driver::new(AnchorKind::Rfc3161);
    driver.grow(10);
    driver.settle(Fault::None);
    assert_eq!(names(&driver), ["planned", "accepted", "appended"]);
    assert_eq!(driver.appended, [1]);
    assert!(driver.is_finished());
    let snapshot = driver.lane.snapshot(driver.now);
    assert_eq!((snapshot.lag_entries, snapshot.lag_ms, snapshot.pending), (0, 0, 0));
}

#[test]
fn a_calendars_proof_is_upgraded_then_its_headers_captured_then_its_entry_appended() {
    let mut driver = Driver::new(AnchorKind::Bitcoin);
    driver.is_upgrading = false;
    driver.grow(10);
    driver.hours(5);
    assert_eq!(names(&driver), ["planned", "accepted"]);
    assert_eq!(driver.lane.snapshot(driver.now).state, State::Accepted);
    assert_eq!(driver.lane.snapshot(driver.now).lag_entries, 0, "accepted, though not upgraded");
    driver.is_upgrading = true;
    driver.hours(1);
    assert_eq!(names(&driver), ["planned", "accepted", "upgraded", "captured", "appended"]);
    assert!(driver.is_finished());
}

#[test]
fn the_next_statement_does_not_wait_for_the_upgrade_but_their_number_is_bounded() {
    let mut driver = Driver::new(AnchorKind::Bitcoin);
    driver.is_upgrading = false;
    for _ in 0..20 {
        driver.grow(10);
        driver.hours(1);
    }
    let snapshot = driver.lane.snapshot(driver.now);
    assert_eq!((snapshot.accepted.seq, snapshot.pending, snapshot.anchored.seq), (8, 8, 0));
    assert_eq!(driver.words(), ["pending_full"]);
    driver.is_upgrading = true;
    driver.hours(3);
    assert!(driver.is_finished(), "{:?}", driver.lane.snapshot(driver.now));
    assert_eq!(driver.files.len(), 9, "the entries that came meanwhile are one statement");
    assert_eq!(driver.words(), Vec::<&str>::new());
    driver.check_story();
}

#[test]
fn calendars_that_are_gone_are_an_alarm_and_the_statement_is_sent_again() {
    let mut driver = Driver::new(AnchorKind::Bitcoin);
    driver.is_upgrading = false;
    driver.grow(10);
    driver.hours(200);
    let sent: Vec<u64> = driver.submitted.iter().map(|(_, seq)| *seq).collect();
    assert_eq!(sent, [1, 1, 1], "once, and every three days again");
    assert_eq!(driver.words(), ["not_upgraded"]);
    assert_eq!(names(&driver), ["planned", "accepted"], "sending again is no new step");
    driver.is_upgrading = true;
    driver.hours(2);
    assert!(driver.is_finished());
    assert_eq!(driver.words(), Vec::<&str>::new());
}

#[test]
fn a_silent_service_is_asked_ever_more_seldom_and_a_backlog_becomes_one_statement() {
    for kind in [AnchorKind::Rfc3161, AnchorKind::Bitcoin] {
        let mut driver = Driver::new(kind);
        driver.grow(10);
        for _ in 0..20_000 {
            driver.settle(Fault::NotDone);
            driver.pass(1_000);
            driver.log += 1;
            driver.tell(Event::Log(TreeSize::new(driver.log)));
        }
        assert_eq!(driver.words(), ["not_accepted"]);
        let at: Vec<u64> = driver.submitted.iter().map(|(at, _)| at.get()).collect();
        let waits: Vec<u64> = at.iter().zip(&at[1..]).map(|(before, after)| after - before).collect();
        assert!(waits.len() < 70, "{} attempts in 20,000 seconds", waits.len());
        assert!(waits.iter().all(|wait| *wait <= 601_000), "{waits:?}");
        assert!(waits[10..].iter().all(|wait| *wait >= 300_000), "half of the wait is fixed: {waits:?}");
        assert!(waits[10..].iter().collect::<BTreeSet<_>>().len() > 5, "and half is chance: {waits:?}");
        driver.pass(600_000);
        driver.hours(3);
        assert!(driver.is_finished(), "{:?}", driver.lane.snapshot(driver.now));
        assert_eq!(driver.files.len(), 2, "one that waited, and one for all that came meanwhile");
        assert_eq!(driver.words(), Vec::<&str>::new());
        driver.check_story();
    }
}

#[test]
fn a_log_smaller_than_what_is_fixed_stops_the_lane() {
    let mut driver = Driver::new(AnchorKind::Rfc3161);
    driver.grow(300);
    driver.hours(1);
    driver.log = 299;
    driver.crash(true);
    driver.hours(10);
    assert_eq!((driver.words(), driver.submitted.len()), (vec!["log_behind"], 1));
    driver.grow(2);
    driver.hours(2);
    assert_eq!(driver.words(), Vec::<&str>::new());
    assert!(driver.is_finished());
}

#[test]
fn files_that_do_not_fit_are_an_alarm_and_not_submitted() {
    let mut driver = Driver::new(AnchorKind::Rfc3161);
    driver.grow(300);
    let Effect::Build(build) = driver.out.remove(0) else { panic!() };
    let mut built = driver.build(&build);
    built.previous = Hash::of(b"another chain");
    driver.tell(Event::Built(built));
    assert_eq!((driver.words(), driver.out.len()), (vec!["wrong_statement"], 0));
    built.previous = NO_STATEMENT;
    built.to.size = TreeSize::new(301);
    driver.pass(600_000);
    assert!(matches!(driver.out.remove(0), Effect::Build(_)));
    driver.tell(Event::Built(built));
    assert_eq!(driver.words(), ["log_behind"], "a statement over more than the log has");
    driver.pass(600_000);
    driver.hours(1);
    assert!(driver.is_finished());
    assert_eq!(driver.words(), Vec::<&str>::new());
}

#[test]
fn a_crash_at_every_effect_loses_nothing() {
    for kind in [AnchorKind::Rfc3161, AnchorKind::Bitcoin] {
        let run = |crash: Option<(usize, bool)>| {
            let mut driver = Driver::new(kind);
            let mut count = 0;
            driver.grow(10);
            for hour in 0..12 {
                while !driver.out.is_empty() {
                    if let Some((_, is_whole)) = crash.filter(|(at, _)| *at == count) {
                        driver.crash(is_whole);
                    } else {
                        let effect = driver.out.remove(0);
                        driver.perform(effect, Fault::None);
                    }
                    count += 1;
                }
                if hour < 2 {
                    driver.grow(10);
                }
                driver.pass(HOUR);
            }
            driver.hours(3);
            assert!(driver.is_finished(), "{crash:?}: {:?}", driver.lane.snapshot(driver.now));
            driver.check_story();
            count
        };
        let count = run(None);
        assert!(count > 15, "{count} effects");
        for at in 0..count {
            run(Some((at, true)));
            run(Some((at, false)));
        }
    }
}

#[test]
fn after_any_fault_script_the_statements_form_one_chain_and_all_are_proved() {
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => seed.parse().unwrap()..seed.parse::<u64>().unwrap() + 1,
        Err(_) => 0..2_000,
    };
    for seed in seeds {
        let kind = if seed % 2 == 0 { AnchorKind::Bitcoin } else { AnchorKind::Rfc3161 };
        let mut driver = Driver::with(config(kind), seed);
        let fault_percent = driver.rng.below(40);
        driver.grow(1);
        for _ in 0..300 {
            match driver.rng.below(20) {
                0..=12 if !driver.out.is_empty() => {
                    let at = usize::try_from(driver.rng.below(driver.out.len() as u64)).unwrap();
                    let effect = driver.out.remove(at);
                    let fault = match driver.rng.chance(fault_percent) {
                        false => Fault::None,
                        true if driver.rng.chance(50) => Fault::NotDone,
                        true => Fault::DoneButFailed,
                    };
                    driver.perform(effect, fault);
                }
                13..=15 => {
                    let ms = driver.rng.below(HOUR);
                    driver.pass(ms);
                }
                16 | 17 => {
                    let entries = 1 + driver.rng.below(400);
                    driver.grow(entries);
                }
                18 => {
                    let is_whole = driver.rng.chance(50);
                    driver.crash(is_whole);
                }
                _ => driver.is_upgrading = driver.rng.chance(60),
            }
            driver.check_story();
        }
        driver.is_upgrading = true;
        driver.hours(6);
        assert!(driver.is_finished(), "SIM_SEED={seed}: {:?}", driver.lane.snapshot(driver.now));
        driver.check_story();
        let appended: BTreeSet<u64> = driver.appended.iter().copied().collect();
        assert_eq!(
            appended,
            (1..=driver.lane.snapshot(driver.now).anchored.seq).collect(),
            "SIM_SEED={seed}"
        );
    }
}
