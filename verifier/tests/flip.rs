//! Every byte of a log and of a receipt matters.
//!
//! Scenario: a small log, written by the real store and stopped in order, and a receipt of one of its decisions. Danger:
//! a byte of some file is looked at by nobody, so whoever changes it goes unnoticed. End state: whichever single bit is
//! flipped in whichever byte of whichever file, and wherever a file is cut off, nothing says *verified* any more. The
//! files that are derived and not looked at (`lock`, `index/`) are named in `docs/spec/store.md`.

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

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ledgerstone::policy::Policy;
use ledgerstone::verify::{Status, Verdict};
use ledgerstone_verifier::command::{verify_log, verify_receipt};
use ledgerstone_verifier::progress::Silent;

fn options() -> verify_log::Options {
    verify_log::Options { policy: Some(log::policy(&log::keys(log::ORIGIN, 1))), ..Default::default() }
}

/// The verdict on a store, and what to call a refusal.
fn verdict(store: &Path, options: &verify_log::Options) -> Option<Verdict> {
    verify_log::run_on_dir(store, options, &mut Silent).ok().map(|answer| answer.report.verdict())
}

/// Where a change went unnoticed.
fn unnoticed(store: &Path) -> Vec<String> {
    let options = options();
    let mut missed = Vec::new();
    for path in log::files(store) {
        let name = path.strip_prefix(store).expect("a path below the store").display().to_string();
        let original = fs::read(&path).expect("a file");
        let mut changed = original.clone();
        for at in 0..original.len() {
            let bit = 1 << (at % 8);
            changed[at] ^= bit;
            fs::write(&path, &changed).expect("a file");
            if verdict(store, &options) == Some(Verdict::Verified) {
                missed.push(format!("{name}: byte {at}, bit {bit:#04x}"));
            }
            changed[at] ^= bit;
        }
        let nearly_all = original.len().saturating_sub(4)..original.len();
        for length in (0..original.len()).step_by(13).chain(nearly_all) {
            fs::write(&path, &original[..length]).expect("a file");
            if verdict(store, &options) == Some(Verdict::Verified) {
                missed.push(format!("{name}: cut to {length} bytes"));
            }
        }
        fs::write(&path, &original).expect("a file");
    }
    missed
}

#[test]
fn no_byte_of_a_stopped_store_can_change_unnoticed() {
    let store = tempfile::tempdir().expect("a temporary directory");
    log::small_log(store.path(), log::keys(log::ORIGIN, 1), 64 * 1024 * 1024).stop();
    let names: BTreeSet<_> = log::files(store.path())
        .iter()
        .map(|path| path.strip_prefix(store.path()).expect("below the store").display().to_string())
        .collect();
    for needed in
        ["log.policy", "log/checkpoint", "log/tile/0/000.p/12", "log/tile/entries/000.p/8", "sealed/000"]
    {
        assert!(names.contains(needed), "{needed} is not among {names:?}");
    }
    assert_eq!(verdict(store.path(), &options()), Some(Verdict::Verified), "the untouched store");
    assert_eq!(unnoticed(store.path()), Vec::<String>::new());
}

#[test]
fn no_byte_of_any_of_several_journal_segments_can_change_unnoticed() {
    let store = tempfile::tempdir().expect("a temporary directory");
    log::small_log(store.path(), log::keys(log::ORIGIN, 1), 1).stop();
    let journal = store.path().join("journal");
    assert_eq!(log::files(&journal).len(), 3, "a segment for each batch");
    assert_eq!(verdict(store.path(), &options()), Some(Verdict::Verified), "the untouched store");
    let options = options();
    for path in log::files(&journal) {
        let original = fs::read(&path).expect("a segment");
        for at in 0..original.len() {
            let mut changed = original.clone();
            changed[at] ^= 0x10;
            fs::write(&path, &changed).expect("a segment");
            assert_ne!(
                verdict(store.path(), &options),
                Some(Verdict::Verified),
                "{}, byte {at}",
                path.display()
            );
        }
        fs::remove_file(&path).expect("a segment");
        let first_is_gone = path == files_before(&path);
        assert_eq!(
            verdict(store.path(), &options) == Some(Verdict::Verified),
            first_is_gone,
            "{}",
            path.display()
        );
        fs::write(&path, &original).expect("a segment");
    }
}

/// The oldest segment: it alone may be gone, because a log drops its journal from that end.
fn files_before(path: &Path) -> PathBuf {
    path.with_file_name("0000000000000000.journal")
}

#[test]
fn no_byte_of_a_receipt_can_change_unnoticed() {
    let store = tempfile::tempdir().expect("a temporary directory");
    log::small_log(store.path(), log::keys(log::ORIGIN, 1), 64 * 1024 * 1024).stop();
    let receipt = log::receipt(2, 2, store.path()).to_json().into_bytes();
    let policy = log::policy(&log::keys(log::ORIGIN, 1));
    let verified = |bytes: &[u8], policy: &Policy| {
        verify_receipt::run_on_bytes("receipt", bytes, Some(policy))
            .is_ok_and(|answer| answer.report.verdict() == Verdict::Verified)
    };
    assert!(verified(&receipt, &policy), "the untouched receipt");
    for at in 0..receipt.len() {
        // One bit that moves along, and the one that turns small letters into large ones.
        for bit in [1 << (at % 8), 0x20] {
            let mut changed = receipt.clone();
            changed[at] ^= bit;
            assert!(!verified(&changed, &policy), "byte {at}, bit {bit:#04x}");
        }
        assert!(!verified(&receipt[..at], &policy), "cut to {at} bytes");
    }
    let mut longer = receipt;
    longer.push(b'\n');
    assert!(!verified(&longer, &policy), "one line feed more");
}

#[test]
fn a_changed_entry_is_named_with_its_place() {
    let store = tempfile::tempdir().expect("a temporary directory");
    log::small_log(store.path(), log::keys(log::ORIGIN, 1), 64 * 1024 * 1024).stop();
    let path = store.path().join("log/tile/entries/000.p/12");
    let mut bytes = fs::read(&path).expect("a bundle");
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).expect("a bundle");
    let answer = verify_log::run_on_dir(store.path(), &options(), &mut Silent).expect("a report");
    assert_eq!(answer.report.verdict(), Verdict::Failed);
    let places: Vec<_> = answer
        .report
        .checks()
        .iter()
        .filter(|check| check.status == Status::Failed)
        .flat_map(|check| &check.places)
        .filter_map(|place| place.leaf_index)
        .map(ledgerstone::merkle::LeafIndex::get)
        .collect();
    assert!(places.contains(&11), "{:?}", answer.report);
}
