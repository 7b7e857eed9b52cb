//! Anchors, from the files that lie beside a log to the verdict.
//!
//! Scenario: an auditor has a log of twelve entries and, beside it, three lanes that fixed its head outside: timestamps of an
//! authority, blocks of a Bitcoin test chain, a contract's storage. Danger: a changed, missing, swapped or foreign file, a
//! statement left out, or an older copy of the log passes; what nobody could check counts as proved. End state: only the
//! untouched evidence under a policy and a trust file verifies, and whatever is wrong is named with its place.

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

#[path = "support/anchors.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod anchors;
#[path = "../../tests/support/ethereum.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod ethereum;
#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;

use std::fs;
use std::path::{Path, PathBuf};

use ledgerstone::anchor::statement::Statement;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::{AnchorDetails, AnchorKind, Entry};
use ledgerstone::hash::Hash;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{Check, Status, Verdict};
use ledgerstone_verifier::anchors::parse_trust;
use ledgerstone_verifier::command::{verify_anchors, verify_log};
use ledgerstone_verifier::exit::Refusal;
use ledgerstone_verifier::output::Answer;
use ledgerstone_verifier::progress::Silent;
use tempfile::TempDir;

use log::{LogWriter, ORIGIN, Recorder, copy, files};

const QUORUM: &str = "3 of ethereum, bitcoin, rfc3161, witnesses";

/// A store with its anchors, and the trust file for them.
struct Desk {
    dir: TempDir,
    trust: String,
}

impl Desk {
    /// The small log, anchored at each of `sizes`, which are among 3, 8 and 12.
    fn anchored_at(sizes: &[u64]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let published = log::small_log(dir.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
        let notes: Vec<&str> = published
            .iter()
            .filter(|(batch, _)| sizes.contains(&batch.size().get()))
            .map(|(_, note)| note.as_str())
            .collect();
        assert_eq!(notes.len(), sizes.len());
        let trust = anchors::write(dir.path(), &notes).trust(QUORUM);
        Self { dir, trust }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join("anchors").join(path)
    }

    fn options(&self) -> verify_anchors::Options {
        verify_anchors::Options { policy: Some(policy()), trust: Some(trust(&self.trust)) }
    }

    fn verify(&self) -> Answer {
        verify(self.path(), &self.options()).expect("a report")
    }

    fn verify_log(&self) -> Answer {
        let options = verify_log::Options {
            policy: Some(policy()),
            anchor_trust: Some(trust(&self.trust)),
            ..Default::default()
        };
        verify_log::run_on_dir(self.path(), &options, &mut Silent).expect("a report")
    }
}

fn policy() -> ledgerstone::policy::Policy {
    log::policy(&log::keys(ORIGIN, 1))
}

fn trust(text: &str) -> AnchorTrust {
    parse_trust(text.as_bytes(), &|_, _| panic!("the file names no other file")).expect("a trust file")
}

fn verify(place: &Path, options: &verify_anchors::Options) -> Result<Answer, Refusal> {
    verify_anchors::run_on_dir(place, options, &mut Silent)
}

/// The checks of that name about the lane.
fn of<'a>(answer: &'a Answer, name: CheckName, lane: &str) -> &'a Check {
    let checks = answer.report.checks().iter();
    let found = checks.filter(|check| check.name == name).find(|check| check.detail.contains(lane));
    found.unwrap_or_else(|| panic!("no {name} of {lane}: {:#?}", answer.report))
}

fn check(answer: &Answer, name: CheckName) -> &Check {
    answer.report.check(name).unwrap_or_else(|| panic!("no {name}: {:#?}", answer.report))
}

/// The first check that failed, with its place.
fn failure(answer: &Answer) -> (CheckName, Option<Code>, String) {
    assert_eq!(answer.report.verdict(), Verdict::Failed, "{:#?}", answer.report);
    let failed = answer.report.checks().iter().find(|check| check.status == Status::Failed).unwrap();
    let place = failed.places.first().and_then(|place| place.path.clone()).unwrap_or_default();
    (failed.name, failed.code, place)
}

#[test]
fn untouched_anchors_verify_and_say_what_they_rest_on() {
    let desk = Desk::anchored_at(&[3, 8, 12]);
    let answer = desk.verify();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
    let names: Vec<&str> = answer.report.checks().iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "anchor.statements",
            "anchor.bitcoin.path",
            "anchor.bitcoin.work",
            "anchor.statements",
            "anchor.evm.storage",
            "anchor.evm.header",
            "anchor.statements",
            "anchor.rfc3161.token",
            "anchor.rfc3161.certificate",
            "checkpoint.signatures",
            "anchor.log",
            "anchor.quorum",
        ]
    );
    for (name, lane, basis) in [
        (CheckName::AnchorBitcoinWork, "bitcoin", "pinned Bitcoin block 1030"),
        (CheckName::AnchorEvmHeader, "chain", "pinned block 1003"),
        (CheckName::AnchorTimestampCertificate, "stamps", "Example authority root"),
    ] {
        let rests_on = of(&answer, name, lane).rests_on.clone().unwrap_or_default();
        assert!(rests_on.contains(basis), "{name}: {rests_on}");
    }
    for (lane, at) in [("bitcoin", "2026-11-18T18:53:20.000Z"), ("stamps", "2026-11-18T15:00:00.000Z")] {
        let detail = &of(&answer, CheckName::AnchorStatements, lane).detail;
        assert!(detail.contains(&format!("Proved up to 12 entries at {at}")), "{detail}");
    }
    let quorum = &check(&answer, CheckName::AnchorQuorum).detail;
    assert!(quorum.contains("It is met for the first 12 entries"), "{quorum}");
}

#[test]
fn the_log_s_own_check_takes_the_anchors_in() {
    let desk = Desk::anchored_at(&[3, 12]);
    let answer = desk.verify_log();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
    assert!(check(&answer, CheckName::AnchorLog).detail.contains("extends what was fixed"));
    let files = &check(&answer, CheckName::LogFiles).detail;
    assert!(!files.contains("not belong"), "{files}");
    let options = verify_log::Options { policy: Some(policy()), ..Default::default() };
    let without = verify_log::run_on_dir(desk.path(), &options, &mut Silent).expect("a report");
    assert_eq!(without.report.verdict(), Verdict::Verified, "{:#?}", without.report);
    assert!(without.report.check(CheckName::AnchorTimestampToken).is_none(), "nobody is trusted about it");
    assert!(without.report.not_proved().iter().any(|open| open.contains("--anchor-trust")));
}

/// Checks one lane on its own, so that trying every byte of it takes seconds.
fn lane_alone(desk: &Desk, lane: &str) -> TempDir {
    let alone = tempfile::tempdir().expect("a temporary directory");
    copy(&desk.at(lane), &alone.path().join("anchors").join(lane));
    alone
}

fn no_byte_of_a_lane_can_change_unnoticed(lane: &str) {
    let desk = Desk::anchored_at(&[12]);
    let alone = lane_alone(&desk, lane);
    let options = verify_anchors::Options {
        policy: Some(policy()),
        trust: Some(trust(&desk.trust.replace(QUORUM, "1 of ethereum, bitcoin, rfc3161"))),
    };
    let verified =
        || verify(alone.path(), &options).is_ok_and(|answer| answer.report.verdict() == Verdict::Verified);
    assert!(verified(), "the untouched lane: {:#?}", verify(alone.path(), &options));
    let (mut missed, mut tried) = (Vec::new(), 0);
    for path in files(alone.path()) {
        let original = fs::read(&path).expect("a file");
        for at in 0..original.len() {
            let mut changed = original.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).expect("a file");
            if verified() {
                missed.push(format!("{}: byte {at}", path.display()));
            }
            tried += 1;
        }
        for length in (0..original.len()).step_by(97) {
            fs::write(&path, &original[..length]).expect("a file");
            if verified() {
                missed.push(format!("{}: cut to {length}", path.display()));
            }
        }
        fs::write(&path, [&original[..], b"\n"].concat()).expect("a file");
        // White space around the description's JSON says nothing.
        if verified() && !path.ends_with("lane") {
            missed.push(format!("{}: one byte more", path.display()));
        }
        fs::remove_file(&path).expect("a file");
        if verified() {
            missed.push(format!("{}: gone", path.display()));
        }
        fs::write(&path, &original).expect("a file");
    }
    assert!(tried > 3900, "{tried}");
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn no_byte_of_a_timestamp_lane_can_change_unnoticed() {
    no_byte_of_a_lane_can_change_unnoticed("stamps");
}

#[test]
fn no_byte_of_a_bitcoin_lane_can_change_unnoticed() {
    no_byte_of_a_lane_can_change_unnoticed("bitcoin");
}

#[test]
fn no_byte_of_an_evm_lane_can_change_unnoticed() {
    no_byte_of_a_lane_can_change_unnoticed("chain");
}

#[test]
fn a_statement_that_was_left_out_is_missed() {
    let desk = Desk::anchored_at(&[3, 8, 12]);
    fs::remove_dir_all(desk.at("stamps/00000002")).unwrap();
    let expected = (
        CheckName::AnchorStatements,
        Some(Code::Inconsistent),
        "anchors/stamps/00000002/statement".to_owned(),
    );
    assert_eq!(failure(&desk.verify()), expected);
    assert_eq!(failure(&desk.verify_log()), expected);
    // Moving the later one into its place does not help.
    fs::rename(desk.at("stamps/00000003"), desk.at("stamps/00000002")).unwrap();
    assert_eq!(failure(&desk.verify()), expected);
}

#[test]
fn a_last_statement_that_the_log_names_and_that_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogWriter::create(dir.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 40)]);
    log.batch(vec![recorder.decision(2, 40)]);
    let notes: Vec<String> = log.published.iter().map(|(_, note)| note.clone()).collect();
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    anchors::write(dir.path(), &notes);
    let last = fs::read(dir.path().join("anchors/stamps/00000002/statement")).unwrap();
    log.batch(vec![recorder.anchor(&last), recorder.stop()]);
    log.stop();
    let options = verify_log::Options { policy: Some(policy()), ..Default::default() };
    let verdict = || verify_log::run_on_dir(dir.path(), &options, &mut Silent).expect("a report");
    assert_eq!(verdict().report.verdict(), Verdict::Verified, "{:#?}", verdict().report);
    fs::remove_dir_all(dir.path().join("anchors/stamps/00000002")).unwrap();
    let answer = verdict();
    assert_eq!(
        failure(&answer),
        (CheckName::AnchorStatements, Some(Code::Inconsistent), "anchors/stamps".to_owned())
    );
    let named = answer.report.checks().iter().find(|check| check.status == Status::Failed).unwrap();
    assert_eq!(named.places[0].leaf_index.map(ledgerstone::merkle::LeafIndex::get), Some(3));
}

#[test]
fn an_older_copy_of_the_log_is_not_the_one_that_was_fixed() {
    let desk = Desk::anchored_at(&[3, 12]);
    let older = tempfile::tempdir().unwrap();
    let mut log = LogWriter::create(older.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 40), recorder.decision(2, 25)]);
    log.stop();
    copy(&desk.path().join("anchors"), &older.path().join("anchors"));
    let answer = verify(older.path(), &desk.options()).unwrap();
    assert_eq!(failure(&answer).0, CheckName::AnchorLog);
    let detail = &check(&answer, CheckName::AnchorLog).detail;
    assert!(detail.contains("fixed with 12 entries, but the one at hand has only 3"), "{detail}");
    assert_eq!(answer.meaning, "this is not the log whose head was fixed outside");
}

#[test]
fn another_history_of_the_same_size_is_not_the_one_that_was_fixed() {
    let desk = Desk::anchored_at(&[3, 12]);
    let forked = tempfile::tempdir().unwrap();
    let mut log = LogWriter::create(forked.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None)]);
    log.batch((0..20).map(|number| recorder.decision(number, 10)).collect());
    log.stop();
    copy(&desk.path().join("anchors"), &forked.path().join("anchors"));
    let answer = verify(forked.path(), &desk.options()).unwrap();
    assert_eq!(
        failure(&answer),
        (CheckName::AnchorLog, Some(Code::Inconsistent), "anchors/bitcoin".to_owned())
    );
}

#[test]
fn lanes_and_statements_that_changed_places_fail() {
    let desk = Desk::anchored_at(&[3, 8, 12]);
    fs::rename(desk.at("stamps"), desk.at("moved")).unwrap();
    assert_eq!(failure(&desk.verify()).2, "anchors/moved/00000001/statement");
    let desk = Desk::anchored_at(&[3, 8, 12]);
    fs::rename(desk.at("stamps/00000001"), desk.at("aside")).unwrap();
    fs::rename(desk.at("stamps/00000002"), desk.at("stamps/00000001")).unwrap();
    fs::rename(desk.at("aside"), desk.at("stamps/00000002")).unwrap();
    assert_eq!(failure(&desk.verify()).2, "anchors/stamps/00000001/statement");
    let desk = Desk::anchored_at(&[3, 8]);
    let (one, two) = (desk.at("stamps/00000001/proof.tsr"), desk.at("stamps/00000002/proof.tsr"));
    let kept = fs::read(&one).unwrap();
    fs::copy(&two, &one).unwrap();
    fs::write(&two, kept).unwrap();
    let (name, _, place) = failure(&desk.verify());
    assert_eq!(
        (name, place.as_str()),
        (CheckName::AnchorTimestampToken, "anchors/stamps/00000001/proof.tsr")
    );
}

#[test]
fn a_proof_of_another_kind_in_a_lane_is_named_and_proves_nothing() {
    let desk = Desk::anchored_at(&[12]);
    fs::rename(desk.at("stamps/00000001/proof.tsr"), desk.at("stamps/00000001/proof.ots")).unwrap();
    let answer = desk.verify();
    assert_eq!(answer.report.verdict(), Verdict::Undecided, "{:#?}", answer.report);
    assert_eq!(of(&answer, CheckName::AnchorTimestampToken, "stamps").status, Status::NotChecked);
    let strangers = check(&answer, CheckName::LogFiles);
    assert_eq!(strangers.places[0].path.as_deref(), Some("anchors/stamps/00000001/proof.ots"));
}

#[test]
fn statements_that_wait_for_their_proof_leave_the_earlier_ones_proved() {
    let desk = Desk::anchored_at(&[3, 8, 12]);
    fs::remove_file(desk.at("stamps/00000003/proof.tsr")).unwrap();
    let answer = desk.verify();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
    let detail = &of(&answer, CheckName::AnchorStatements, "stamps").detail;
    assert!(
        detail.contains("Proved up to 8 entries") && detail.contains("1 statement does not have"),
        "{detail}"
    );
    assert!(check(&answer, CheckName::AnchorQuorum).detail.contains("met for the first 8 entries"));
    for seq in 1..=2 {
        fs::remove_file(desk.at(&format!("stamps/0000000{seq}/proof.tsr"))).unwrap();
    }
    let answer = desk.verify();
    assert_eq!(answer.report.verdict(), Verdict::Undecided);
    assert_eq!(check(&answer, CheckName::AnchorQuorum).status, Status::NotChecked, "two of three kinds");
}

#[test]
fn an_unfinished_last_folder_is_no_statement_and_one_with_a_proof_is_a_missing_one() {
    let desk = Desk::anchored_at(&[3, 12]);
    fs::create_dir(desk.at("stamps/00000003")).unwrap();
    fs::write(desk.at("stamps/00000003/checkpoint"), b"begun").unwrap();
    assert_eq!(desk.verify().report.verdict(), Verdict::Verified, "{:#?}", desk.verify().report);
    fs::remove_file(desk.at("stamps/00000002/statement")).unwrap();
    assert_eq!(failure(&desk.verify()).2, "anchors/stamps/00000002/statement");
}

#[test]
fn what_nobody_was_trusted_for_is_not_checked_and_says_what_it_needs() {
    let desk = Desk::anchored_at(&[12]);
    let nothing = verify(desk.path(), &verify_anchors::Options::default()).unwrap();
    assert_eq!(nothing.report.verdict(), Verdict::Undecided);
    assert!(nothing.next.iter().any(|step| step.contains("--policy")), "{:?}", nothing.next);
    assert!(nothing.next.iter().any(|step| step.contains("--anchor-trust")), "{:?}", nothing.next);
    let policy = verify_anchors::Options { policy: Some(policy()), trust: None };
    let answer = verify(desk.path(), &policy).unwrap();
    assert_eq!(answer.report.verdict(), Verdict::Undecided);
    for (name, lane) in [
        (CheckName::AnchorBitcoinWork, "bitcoin"),
        (CheckName::AnchorEvmStorage, "chain"),
        (CheckName::AnchorTimestampCertificate, "stamps"),
    ] {
        assert_eq!(of(&answer, name, lane).status, Status::NotChecked, "{name}");
    }
    assert_eq!(of(&answer, CheckName::AnchorStatements, "stamps").status, Status::Passed);
    let unsigned = verify(desk.path(), &verify_anchors::Options { policy: None, ..desk.options() }).unwrap();
    assert_eq!(unsigned.report.verdict(), Verdict::Undecided);
    assert_eq!(
        check(&unsigned, CheckName::AnchorQuorum).status,
        Status::NotChecked,
        "nobody says that it is the log's"
    );
    fs::rename(desk.at("stamps"), desk.at("moved")).unwrap();
    assert_eq!(
        failure(&verify(desk.path(), &verify_anchors::Options::default()).unwrap()).2,
        "anchors/moved/00000001/statement"
    );
    fs::rename(desk.at("moved"), desk.at("stamps")).unwrap();
    let stranger = verify_anchors::Options {
        policy: Some(log::policy(&log::keys("log.example.org/hiring", 7))),
        ..desk.options()
    };
    let answer = verify(desk.path(), &stranger).unwrap();
    assert_eq!(failure(&answer).1, Some(Code::Untrusted));
}

#[test]
fn a_kind_that_is_not_known_is_not_checked() {
    let desk = Desk::anchored_at(&[12]);
    let about = b"{\"format\":\"ledgerstone-anchor-lane/v1\",\"kind\":\"notary\"}\n";
    fs::write(desk.at("stamps/lane"), about).unwrap();
    let answer = desk.verify();
    assert_eq!(answer.report.verdict(), Verdict::Undecided, "{:#?}", answer.report);
    let detail = &of(&answer, CheckName::AnchorStatements, "stamps").detail;
    assert!(detail.contains("\"notary\"") && detail.contains("newer"), "{detail}");
}

#[test]
fn other_roots_blocks_and_contracts_do_not_believe_the_anchors() {
    let desk = Desk::anchored_at(&[12]);
    let other = |from: &str, to: &str| {
        assert!(desk.trust.contains(from), "{from}");
        let trust = Some(trust(&desk.trust.replace(from, to)));
        verify(desk.path(), &verify_anchors::Options { trust, ..desk.options() }).unwrap()
    };
    let contract = other(&"c0".repeat(20), &"c1".repeat(20));
    assert_eq!(
        failure(&contract),
        (CheckName::AnchorEvmStorage, Some(Code::Untrusted), "anchors/chain/00000001/proof.evm".to_owned())
    );
    let key = other(&"a1".repeat(20), &"a2".repeat(20));
    assert_eq!(failure(&key).0, CheckName::AnchorEvmStorage);
    let start = desk.trust.find("[{ height = 1010").unwrap();
    let pins = &desk.trust[start..start + desk.trust[start..].find(']').unwrap() + 1];
    let unpinned = other(pins, "[]");
    assert_eq!(of(&unpinned, CheckName::AnchorBitcoinWork, "bitcoin").status, Status::NotChecked);
    let chain = other("chain_id = 31337", "chain_id = 1");
    assert_eq!(of(&chain, CheckName::AnchorEvmStorage, "chain").status, Status::NotChecked);
    assert_eq!(check(&chain, CheckName::AnchorQuorum).status, Status::NotChecked);
}

#[test]
fn files_past_their_size_are_refused_before_they_are_read() {
    for (file, bytes, found) in [
        ("stamps/00000001/statement", 513, CheckName::AnchorStatements),
        ("stamps/00000001/checkpoint", 64 * 1024 + 1, CheckName::AnchorStatements),
        ("stamps/00000001/consistency", 65 * 45, CheckName::AnchorStatements),
        ("stamps/00000001/proof.tsr", 4 * 1024 * 1024 + 1, CheckName::AnchorStatements),
        ("stamps/lane", 64 * 1024 + 1, CheckName::AnchorStatements),
    ] {
        let desk = Desk::anchored_at(&[12]);
        fs::write(desk.at(file), vec![b'x'; bytes]).unwrap();
        let (name, _, place) = failure(&desk.verify());
        assert_eq!(name, found, "{file}");
        assert!(place.starts_with("anchors/stamps"), "{place}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_not_followed() {
    use std::os::unix::fs::symlink;
    let desk = Desk::anchored_at(&[12]);
    let outside = desk.path().join("elsewhere");
    for file in ["stamps/00000001/statement", "stamps/00000001/proof.tsr", "stamps/lane"] {
        fs::rename(desk.at(file), &outside).unwrap();
        symlink(&outside, desk.at(file)).unwrap();
        assert_ne!(desk.verify().report.verdict(), Verdict::Verified, "{file}");
        fs::remove_file(desk.at(file)).unwrap();
        fs::rename(&outside, desk.at(file)).unwrap();
    }
    fs::rename(desk.at("stamps/00000001"), &outside).unwrap();
    symlink(&outside, desk.at("stamps/00000001")).unwrap();
    assert_ne!(desk.verify().report.verdict(), Verdict::Verified, "a linked folder");
    fs::remove_file(desk.at("stamps/00000001")).unwrap();
    fs::rename(&outside, desk.at("stamps/00000001")).unwrap();
    assert_eq!(desk.verify().report.verdict(), Verdict::Verified);
    let pipe = desk.at("stamps/00000001/headers");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    assert_ne!(desk.verify().report.verdict(), Verdict::Verified, "a pipe");
}

#[test]
fn anchors_alone_verify_and_say_that_there_was_no_log() {
    let desk = Desk::anchored_at(&[3, 12]);
    let alone = tempfile::tempdir().unwrap();
    copy(&desk.path().join("anchors"), alone.path());
    let answer = verify(alone.path(), &desk.options()).unwrap();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
    assert!(answer.report.check(CheckName::AnchorLog).is_none());
    assert!(answer.report.not_proved().iter().any(|open| open.contains("no log was at hand")));
    // With a later checkpoint and no hash files, how the log grew cannot be seen.
    let desk = Desk::anchored_at(&[3, 8]);
    let beside = tempfile::tempdir().unwrap();
    copy(&desk.path().join("anchors"), &beside.path().join("anchors"));
    fs::copy(desk.path().join("log/checkpoint"), beside.path().join("checkpoint")).unwrap();
    let answer = verify(beside.path(), &desk.options()).unwrap();
    assert_eq!(check(&answer, CheckName::AnchorLog).status, Status::NotChecked, "{:#?}", answer.report);
    assert!(answer.next.iter().any(|step| step.contains("`tile`")), "{:?}", answer.next);
    copy(&desk.path().join("log/tile"), &beside.path().join("tile"));
    assert_eq!(verify(beside.path(), &desk.options()).unwrap().report.verdict(), Verdict::Verified);
}

#[test]
fn a_place_without_anchors_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    log::small_log(dir.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    let refusal = verify(dir.path(), &verify_anchors::Options::default()).unwrap_err();
    assert_eq!(refusal.code, Code::Malformed);
    assert!(refusal.message.contains("holds no anchors"), "{refusal}");
    let refusal = verify(&dir.path().join("nowhere"), &verify_anchors::Options::default()).unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable, "{refusal}");
}

#[test]
fn files_that_belong_to_no_anchor_are_named() {
    let desk = Desk::anchored_at(&[12]);
    fs::create_dir_all(desk.at("journal")).unwrap();
    fs::write(desk.at("journal/stamps"), b"the driver's own").unwrap();
    fs::write(desk.at("lanes"), b"bitcoin\nchain\nstamps\n").unwrap();
    let files = check(&desk.verify_log(), CheckName::LogFiles).detail.clone();
    assert!(!files.contains("not belong"), "{files}");
    for path in
        ["note.txt", "stamps/00000001/statement.tmp", "stamps/1/statement", "stamps/00000000/statement"]
    {
        fs::create_dir_all(desk.at(path).parent().unwrap()).unwrap();
        fs::write(desk.at(path), b"stray").unwrap();
    }
    let answer = desk.verify_log();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
    let files = &check(&answer, CheckName::LogFiles).detail;
    for path in [
        "anchors/note.txt",
        "anchors/stamps/00000001/statement.tmp",
        "anchors/stamps/1",
        "anchors/stamps/00000000",
    ] {
        assert!(files.contains(path), "{path}: {files}");
    }
}

impl Recorder {
    /// Says that a statement was fixed.
    fn anchor(&mut self, statement: &[u8]) -> log::Drafted {
        let decoded = Statement::decode(statement).unwrap();
        let details = AnchorDetails {
            lane: decoded.lane,
            kind: AnchorKind::Rfc3161,
            seq: decoded.seq,
            to_size: decoded.to.size,
            statement: Hash::of(statement),
        };
        let mut drafted = self.heartbeat();
        let Entry { writer, session, sequence, .. } = drafted.entry;
        drafted.entry = Entry::anchor(writer, session, sequence, details);
        drafted
    }
}
