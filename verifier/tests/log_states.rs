//! Logs in every state that a sidecar can leave behind.
//!
//! Scenario: a store that was not stopped in order, or was changed on purpose where a checksum alone would not tell.
//! Danger: what a crash leaves is called tampering, or tampering is called a crash. End state: each state gets the verdict
//! that is true of it, and the check that says why.

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

#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use ledgerstone::code::CheckName;
use ledgerstone::verify::{Check, Status, Verdict};
use ledgerstone_verifier::command::verify_log::{self, GivenCheckpoint, Options};
use ledgerstone_verifier::output::Answer;
use ledgerstone_verifier::progress::Silent;
use tempfile::TempDir;

use log::{LogWriter, ORIGIN, Recorder};

/// Larger than any segment here.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

fn store() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn create(store: &TempDir) -> LogWriter {
    LogWriter::create(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES)
}

fn options() -> Options {
    Options { policy: Some(log::policy(&log::keys(ORIGIN, 1))), ..Default::default() }
}

fn verify(store: &Path) -> Answer {
    verify_log::run_on_dir(store, &options(), &mut Silent).expect("a report")
}

fn check(answer: &Answer, name: CheckName) -> &Check {
    answer.report.check(name).expect("the check is in the report")
}

#[track_caller]
fn assert_only(answer: &Answer, name: CheckName, status: Status) {
    let other = answer.report.checks().iter().find(|check| (check.name == name) != (check.status == status));
    assert!(other.is_none(), "{other:?}");
}

/// A log of 600 decisions in batches of 150, stopped.
fn larger_log(store: &TempDir) -> Vec<String> {
    let mut log = create(store);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None)]);
    for batch in 0..4 {
        log.batch((0..150).map(|at| recorder.decision(batch * 150 + at, 16)).collect());
    }
    log.batch(vec![recorder.stop()]);
    log.stop().into_iter().map(|(_, note)| note).collect()
}

#[test]
fn verifies_a_log_of_several_bundles_and_the_statements_about_every_size() {
    let store = store();
    let notes = larger_log(&store);
    let given = notes.iter().enumerate().map(|(at, note)| GivenCheckpoint {
        name: format!("checkpoint {at}"),
        note: note.clone().into_bytes(),
    });
    let options = Options { checkpoints: given.collect(), ..options() };
    let answer = verify_log::run_on_dir(store.path(), &options, &mut Silent).expect("a report");
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    assert!(check(&answer, CheckName::LogRoot).detail.contains("6 earlier sizes"));
}

#[test]
fn a_recycled_journal_verifies() {
    let store = store();
    let mut log = LogWriter::create(store.path(), log::keys(ORIGIN, 1), 1);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 30)]);
    log.batch(vec![recorder.decision(2, 30), recorder.stop()]);
    log.recycle();
    log.stop();
    assert!(!store.path().join("journal/0000000000000000.journal").exists(), "the first segment was dropped");
    assert_eq!(verify(store.path()).report.verdict(), Verdict::Verified);
}

#[test]
fn entries_committed_but_not_published_are_said_and_do_not_fail() {
    let store = store();
    let mut log = create(&store);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 30)]);
    log.commit(vec![recorder.decision(2, 30)]);
    drop(log);
    let answer = verify(store.path());
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    assert!(
        check(&answer, CheckName::LogJournal).detail.contains("1 entry was committed after this checkpoint")
    );
}

#[test]
fn a_torn_write_at_the_journals_end_is_said_and_does_not_fail() {
    let store = store();
    let mut log = create(&store);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 30)]);
    log.stop();
    let segment = store.path().join("journal/0000000000000000.journal");
    let mut file = OpenOptions::new().append(true).open(segment).expect("the segment");
    file.write_all(b"the beginning of a record that never counted").expect("bytes");
    let answer = verify(store.path());
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    assert!(
        check(&answer, CheckName::LogJournal).detail.contains("44 bytes of a write that was interrupted")
    );
}

#[test]
fn a_journal_that_ends_before_the_checkpoint_fails() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    let segment = store.path().join("journal/0000000000000000.journal");
    let length = fs::metadata(&segment).expect("the segment").len();
    OpenOptions::new().write(true).open(&segment).expect("the segment").set_len(length - 1).expect("cut");
    let answer = verify(store.path());
    assert_only(&answer, CheckName::LogJournal, Status::Failed);
    assert!(check(&answer, CheckName::LogJournal).detail.contains("ends at 8 entries"));
}

#[test]
fn another_logs_journal_fails() {
    let (store, other) = (store(), store());
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    log::small_log(other.path(), log::keys("log.example.org/hiring", 7), SEGMENT_BYTES).stop();
    let segment = "journal/0000000000000000.journal";
    fs::copy(other.path().join(segment), store.path().join(segment)).expect("the segment");
    assert_only(&verify(store.path()), CheckName::LogJournal, Status::Failed);
}

#[test]
fn another_logs_directory_fails_under_this_logs_policy() {
    let other = store();
    log::small_log(other.path(), log::keys("log.example.org/hiring", 7), SEGMENT_BYTES).stop();
    assert_only(&verify(other.path()), CheckName::CheckpointSignatures, Status::Failed);
}

#[test]
fn keys_of_the_same_name_that_are_not_trusted_fail() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 9), SEGMENT_BYTES).stop();
    let answer = verify(store.path());
    assert_eq!(answer.report.verdict(), Verdict::Failed);
    assert_eq!(check(&answer, CheckName::CheckpointSignatures).status, Status::Failed);
    assert_eq!(
        check(&answer, CheckName::LogIdentity).status,
        Status::Failed,
        "its log.policy lacks the trusted keys"
    );
}

fn crashed_log(store: &TempDir, previous: Option<u8>) -> Answer {
    log::crashed_log(store.path(), log::keys(ORIGIN, 1), previous).stop();
    verify(store.path())
}

#[test]
fn a_session_that_died_verifies_once_the_next_start_names_it_and_the_report_says_what_is_not_known() {
    let store = store();
    let answer = crashed_log(&store, Some(1));
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    let stops = check(&answer, CheckName::LogStops);
    assert!(stops.detail.contains("1 of 2 sessions ended without one"), "{}", stops.detail);
    assert!(answer.meaning.contains("says where a recorder was cut off"), "{}", answer.meaning);
    let open = answer.report.not_proved();
    assert!(open.iter().any(|open| open.starts_with("What a recorder that was cut off")), "{open:?}");
    let next = &answer.next;
    assert!(next.iter().any(|step| step.contains("what interrupted the recorder")), "{next:?}");
}

#[test]
fn a_session_that_died_and_that_no_start_names_leaves_the_verdict_open() {
    let store = store();
    let answer = crashed_log(&store, None);
    assert_only(&answer, CheckName::LogStops, Status::NotChecked);
    assert_eq!(answer.report.verdict(), Verdict::Undecided);
    let next = &answer.next;
    assert!(next.iter().any(|step| step.contains("what interrupted the recorder")), "{next:?}");
}

#[test]
fn a_log_without_a_crash_says_nothing_of_one() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    let answer = verify(store.path());
    assert_eq!(answer.meaning, "the log is whole and unchanged since it was signed");
    assert!(!format!("{:?}", answer.report).contains("cut off"), "{:?}", answer.report);
}

#[test]
fn a_decision_left_out_without_a_gap_fails() {
    let store = store();
    let mut log = create(&store);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 30)]);
    recorder.skip();
    log.batch(vec![recorder.decision(2, 30), recorder.stop()]);
    log.stop();
    let answer = verify(store.path());
    assert_only(&answer, CheckName::LogSessions, Status::Failed);
    assert!(check(&answer, CheckName::LogSessions).detail.contains("sequence number 2 is missing"));
}

#[test]
fn files_of_entries_after_an_older_checkpoint_are_named_and_do_not_fail() {
    let store = store();
    let notes = larger_log(&store);
    fs::write(store.path().join("log/checkpoint"), &notes[2]).expect("the checkpoint");
    let answer = verify(store.path());
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    let files = &check(&answer, CheckName::LogFiles).detail;
    assert!(
        files.contains("Of entries after this checkpoint") && files.contains("log/tile/0/001"),
        "{files}"
    );
}

#[test]
fn an_outgrown_partial_file_that_was_changed_fails() {
    let store = store();
    larger_log(&store);
    for path in ["log/tile/0/001.p/195", "log/tile/entries/001.p/195", "log/tile/1/000.p/1"] {
        let path = store.path().join(path);
        let original = fs::read(&path).expect("a partial file of an earlier size");
        let mut changed = original.clone();
        changed[7] ^= 1;
        fs::write(&path, changed).expect("the file");
        assert_only(&verify(store.path()), CheckName::LogFiles, Status::Failed);
        fs::write(&path, original).expect("the file");
    }
    assert_eq!(verify(store.path()).report.verdict(), Verdict::Verified);
}

#[test]
fn a_full_file_stands_in_for_a_partial_one_that_is_gone() {
    let store = store();
    let notes = larger_log(&store);
    fs::write(store.path().join("log/checkpoint"), &notes[1]).expect("the checkpoint");
    for folder in ["log/tile/0/000.p", "log/tile/entries/000.p"] {
        fs::remove_dir_all(store.path().join(folder)).expect("the partial files");
    }
    assert_eq!(verify(store.path()).report.verdict(), Verdict::Verified);
    fs::remove_file(store.path().join("log/tile/entries/000")).expect("the bundle");
    let answer = verify(store.path());
    assert_eq!(check(&answer, CheckName::LogBundles).status, Status::Failed);
    assert_eq!(check(&answer, CheckName::LogEntries).status, Status::NotChecked);
    assert_eq!(check(&answer, CheckName::LogSealed).status, Status::NotChecked);
}

#[test]
fn a_statement_about_more_entries_than_anybody_can_read_ends() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    let keys = log::keys(ORIGIN, 1);
    let size = ledgerstone::merkle::TreeSize::new(1 << 62);
    let note = keys.sign(&keys.checkpoint(size, ledgerstone::hash::Hash::of(b"no such tree")));
    fs::write(store.path().join("log/checkpoint"), note).expect("the checkpoint");
    assert_eq!(verify(store.path()).report.verdict(), Verdict::Failed);
}

#[test]
#[cfg(unix)]
fn a_named_pipe_in_place_of_a_file_does_not_hang_the_verifier() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    let path = store.path().join("log/tile/0/000.p/12");
    fs::remove_file(&path).expect("the tile");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    assert_eq!(verify(store.path()).report.verdict(), Verdict::Failed);
}

#[test]
fn a_sealed_file_that_is_longer_or_gone_fails() {
    let store = store();
    log::small_log(store.path(), log::keys(ORIGIN, 1), SEGMENT_BYTES).stop();
    let path = store.path().join("sealed/000");
    let original = fs::read(&path).expect("the sealed records");
    let longer: Vec<u8> = original.iter().copied().chain([0]).collect();
    fs::write(&path, longer).expect("the sealed records");
    assert_only(&verify(store.path()), CheckName::LogSealed, Status::Failed);
    fs::remove_file(&path).expect("the sealed records");
    let answer = verify(store.path());
    assert_only(&answer, CheckName::LogSealed, Status::Failed);
    assert_eq!(check(&answer, CheckName::LogSealed).places.len(), 6, "each of them is named");
}
