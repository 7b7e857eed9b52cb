//! Receipts that say where the log was fixed outside.
//!
//! Scenario: a person has a receipt from the day of the decision. Weeks later the log's head has been fixed by an authority, in
//! Bitcoin and in a contract, and the receipt is upgraded from a copy of the store or from the sidecar's address. Danger: an
//! upgrade breaks a good receipt, takes anchors that prove nothing, or a changed anchor passes. End state: the upgraded file
//! says what it said before and verifies offline; whatever is wrong is refused, and the file is left as it was.

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
#[path = "support/web.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod web;

use std::fs;
use std::process::{Command, Output};

use ledgerstone::code::CheckName;
use ledgerstone::limits::RECEIPT_ANCHORS_MAX;
use ledgerstone::receipt::{AnchorPartError, Receipt, ReceiptAnchor, ReceiptError, Rung};
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{Report, Status, Verdict, receipt_with_anchors};
use ledgerstone_verifier::anchors::parse_trust;
use tempfile::TempDir;

use log::{LogWriter, ORIGIN, Recorder, copy};

const QUORUM: &str = "3 of ethereum, bitcoin, rfc3161";

/// A desk with `store`, `receipt.json` of the decision at entry 6 from before any anchor, `log.policy` and `trust.toml`.
fn desk() -> TempDir {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let store = desk.path().join("store");
    fs::create_dir(&store).unwrap();
    let published = log::small_log(&store, log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    fs::write(desk.path().join("receipt.json"), log::receipt(4, 6, &store).to_json()).unwrap();
    let notes: Vec<&str> = published.iter().map(|(_, note)| note.as_str()).collect();
    fs::write(desk.path().join("trust.toml"), anchors::write(&store, &notes).trust(QUORUM)).unwrap();
    fs::write(desk.path().join("log.policy"), policy().to_string()).unwrap();
    fs::write(store.join("anchors/lanes"), "bitcoin\nchain\nstamps\n").unwrap();
    desk
}

fn policy() -> ledgerstone::policy::Policy {
    log::policy(&log::keys(ORIGIN, 1))
}

fn trust(desk: &TempDir) -> AnchorTrust {
    let text = fs::read(desk.path().join("trust.toml")).unwrap();
    parse_trust(&text, &|_, _| panic!("the file names no other file")).expect("a trust file")
}

fn read(desk: &TempDir) -> Vec<u8> {
    fs::read(desk.path().join("receipt.json")).unwrap()
}

fn report(desk: &TempDir) -> Report {
    receipt_with_anchors(&read(desk), Some(&policy()), Some(&trust(desk)))
}

fn run(desk: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone"));
    command.args(arguments).current_dir(desk.path()).output().expect("the command runs")
}

fn upgrade(desk: &TempDir, more: &[&str]) -> Output {
    let trusted = ["--policy", "log.policy", "--anchor-trust", "trust.toml"];
    run(desk, &[&["receipt", "upgrade", "receipt.json"], &trusted[..], more].concat())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn status(report: &Report, name: CheckName) -> Vec<Status> {
    report.checks().iter().filter(|check| check.name == name).map(|check| check.status).collect()
}

#[test]
fn a_receipt_that_is_not_yet_anchored_says_so_and_does_not_fail() {
    let desk = desk();
    let report = receipt_with_anchors(&read(&desk), Some(&policy()), None);
    assert_eq!(report.verdict(), Verdict::Verified);
    assert!(
        report.not_proved().iter().any(|open| open.contains("not yet anchored")),
        "{:?}",
        report.not_proved()
    );
    let asked = self::report(&desk);
    assert_eq!(asked.verdict(), Verdict::Undecided, "the trust file asks for three kinds");
    assert_eq!(status(&asked, CheckName::AnchorQuorum), [Status::NotChecked]);
    assert!(asked.check(CheckName::AnchorQuorum).unwrap().detail.contains("not yet anchored"));
    let shown = said(&run(&desk, &["receipt", "show", "receipt.json"]));
    assert!(shown.contains("Anchored   not yet\n"), "{shown}");
}

#[test]
fn an_upgraded_receipt_verifies_offline_and_says_what_it_said_before() {
    let desk = desk();
    let before = Receipt::parse(&read(&desk)).unwrap();
    let output = upgrade(&desk, &["--from", "store"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let after = Receipt::parse(&read(&desk)).unwrap();
    assert_eq!(after.clone().with_anchors(Vec::new()).unwrap(), before);
    assert_eq!(after.rung(), Rung::Anchored);
    // Entry 6 is in the tree of 8 entries, and in that of 12; the first says more about the time.
    let sizes: Vec<_> = after.anchors().iter().map(|anchor| anchor.statement().to.size.get()).collect();
    assert_eq!(sizes, [8, 8, 8]);
    let report = report(&desk);
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    assert_eq!(status(&report, CheckName::ReceiptAnchor), [Status::Passed; 3]);
    assert_eq!(status(&report, CheckName::AnchorQuorum), [Status::Passed]);
    assert!(!report.not_proved().iter().any(|open| open.contains("not yet anchored")));
    let shown = said(&run(&desk, &["receipt", "show", "receipt.json"]));
    assert!(shown.contains("Anchored   by bitcoin (bitcoin) with the first 8 entries\n"), "{shown}");
    let again = upgrade(&desk, &["--from", "store"]);
    assert!(said(&again).contains("Nothing new: the receipt has 3 anchors already"), "{}", said(&again));
}

#[test]
fn a_receipt_is_upgraded_from_a_server_and_into_another_file() {
    let desk = desk();
    let served = tempfile::tempdir().unwrap();
    copy(&desk.path().join("store/log"), served.path());
    copy(&desk.path().join("store/anchors"), &served.path().join("anchors"));
    let url = web::serve(served.path(), &[]);
    let before = read(&desk);
    let output = upgrade(&desk, &["--from", &url, "-o", "new.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["written"], "new.json");
    assert_eq!(json["anchors"][2]["lane"], "stamps");
    assert_eq!(json["anchors"][2]["at"], "2026-11-18T14:00:00.000Z");
    assert_eq!(read(&desk), before, "the receipt itself is as it was");
    fs::rename(desk.path().join("new.json"), desk.path().join("receipt.json")).unwrap();
    assert_eq!(report(&desk).verdict(), Verdict::Verified);
    let whole =
        run(&desk, &["verify", "anchors", &url, "--policy", "log.policy", "--anchor-trust", "trust.toml"]);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
}

#[test]
fn of_many_statements_the_first_that_covers_the_entry_is_taken() {
    let desk = tempfile::tempdir().unwrap();
    let store = desk.path().join("store");
    fs::create_dir(&store).unwrap();
    let mut log = LogWriter::create(&store, log::keys(ORIGIN, 1), 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 8)]);
    for number in 2..=9 {
        log.batch(vec![recorder.decision(number, 8)]);
    }
    let published = log.stop();
    let notes: Vec<&str> = published.iter().map(|(_, note)| note.as_str()).collect();
    anchors::write(&store, &notes);
    for number in 1..=9 {
        let receipt = log::receipt(number, number, &store).to_json();
        fs::write(desk.path().join("receipt.json"), receipt).unwrap();
        let output = run(&desk, &["receipt", "upgrade", "receipt.json", "--from", "store"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let receipt = Receipt::parse(&read(&desk)).unwrap();
        let taken: Vec<u64> = receipt.anchors().iter().map(|anchor| anchor.statement().seq).collect();
        assert_eq!(taken, [number; 3]);
    }
}

#[test]
fn what_proves_nothing_is_not_taken() {
    let desk = desk();
    let before = read(&desk);
    let stamps = desk.path().join("store/anchors/stamps");
    // The authority's answer to another statement.
    fs::copy(stamps.join("00000001/proof.tsr"), stamps.join("00000002/proof.tsr")).unwrap();
    let output = upgrade(&desk, &["--from", "store"]);
    assert!(said(&output).contains("stamps: statement 2 does not hold"), "{}", said(&output));
    assert_eq!(Receipt::parse(&read(&desk)).unwrap().anchors().len(), 2);
    // No proof at all yet.
    fs::write(desk.path().join("receipt.json"), &before).unwrap();
    for lane in ["stamps", "bitcoin", "chain"] {
        fs::remove_dir_all(desk.path().join("store/anchors").join(lane)).unwrap();
    }
    fs::create_dir_all(&stamps).unwrap();
    fs::write(stamps.join("lane"), "{\"format\":\"ledgerstone-anchor-lane/v1\",\"kind\":\"rfc3161\"}\n")
        .unwrap();
    let output = upgrade(&desk, &["--from", "store"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("Not yet anchored: nothing has fixed the log"), "{}", said(&output));
    assert_eq!(read(&desk), before);
}

#[test]
fn another_log_an_older_copy_and_a_broken_receipt_are_refused_and_leave_the_file_alone() {
    let desk = desk();
    let before = read(&desk);
    let other = desk.path().join("other");
    fs::create_dir(&other).unwrap();
    log::small_log(&other, log::keys("log.example.org/hiring", 7), 64 * 1024 * 1024).stop();
    copy(&desk.path().join("store/anchors"), &other.join("anchors"));
    let output = upgrade(&desk, &["--from", "other"]);
    assert_eq!(output.status.code(), Some(64), "{}", said(&output));
    assert!(said(&output).contains("is the log log.example.org/hiring"), "{}", said(&output));
    let output = upgrade(&desk, &["--from", "nowhere"]);
    assert_ne!(output.status.code(), Some(0));
    let output = upgrade(&desk, &[]);
    assert!(said(&output).contains("nothing says where the log's anchors are"), "{}", said(&output));
    assert_eq!(read(&desk), before);
    let broken = String::from_utf8(before).unwrap().replace("\"text\": \"deny\"", "\"text\": \"approve\"");
    fs::write(desk.path().join("receipt.json"), &broken).unwrap();
    let output = upgrade(&desk, &["--from", "store"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(read(&desk), broken.as_bytes());
}

#[cfg(unix)]
#[test]
fn a_receipt_that_cannot_be_replaced_is_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk();
    let (before, receipt) = (read(&desk), desk.path().join("receipt.json"));
    fs::set_permissions(&receipt, fs::Permissions::from_mode(0o640)).unwrap();
    // A folder stands where the new file would be written, so the write fails whoever runs this.
    let output = upgrade(&desk, &["--from", "store", "-o", "store"]);
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(read(&desk), before);
    assert_eq!(upgrade(&desk, &["--from", "store"]).status.code(), Some(0));
    assert_eq!(fs::metadata(&receipt).unwrap().permissions().mode() & 0o777, 0o640, "who may read it stays");
    let left: Vec<_> = fs::read_dir(desk.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{left:?}");
}

/// The receipt with the anchors of these lanes only.
fn with_lanes(desk: &TempDir, lanes: &[&str]) -> Receipt {
    let output = upgrade(desk, &["--from", "store"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let receipt = Receipt::parse(&read(desk)).unwrap();
    let kept = receipt.anchors().iter().filter(|anchor| lanes.contains(&anchor.statement().lane.as_str()));
    let kept: Vec<ReceiptAnchor> = kept.cloned().collect();
    receipt.with_anchors(kept).unwrap()
}

#[test]
fn no_byte_of_an_anchored_receipt_can_change_unnoticed() {
    let desk = desk();
    let text = with_lanes(&desk, &["stamps"]).to_json().into_bytes();
    let trust_text =
        fs::read_to_string(desk.path().join("trust.toml")).unwrap().replace(QUORUM, "1 of rfc3161");
    let trust = parse_trust(trust_text.as_bytes(), &|_, _| panic!("no other file")).unwrap();
    let policy = policy();
    let verified = |bytes: &[u8]| {
        receipt_with_anchors(bytes, Some(&policy), Some(&trust)).verdict() == Verdict::Verified
    };
    assert!(verified(&text), "{:#?}", receipt_with_anchors(&text, Some(&policy), Some(&trust)));
    let start = text.windows(9).position(|part| part == b"\"anchors\"").expect("the anchors");
    for at in start..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1 << (at % 7);
        assert!(!verified(&changed), "byte {at}");
    }
    for at in (start..text.len()).step_by(31) {
        assert!(!verified(&text[..at]), "cut to {at} bytes");
    }
}

#[test]
fn parts_of_different_anchors_do_not_go_together() {
    let desk = desk();
    let receipt = with_lanes(&desk, &["stamps", "bitcoin"]);
    let [bitcoin, stamps] = receipt.anchors() else { panic!("two anchors") };
    let put = |kind: &str, statement: &ReceiptAnchor, inclusion: &ReceiptAnchor, proof: &ReceiptAnchor| {
        let anchor = ReceiptAnchor::new(
            kind,
            statement.statement_bytes().to_vec(),
            inclusion.inclusion().clone(),
            proof.proof().to_vec(),
            proof.headers().map(<[u8]>::to_vec),
        );
        let receipt = receipt.clone().with_anchors(vec![anchor.unwrap()]).unwrap();
        receipt_with_anchors(receipt.to_json().as_bytes(), Some(&policy()), Some(&trust(&desk)))
    };
    assert_eq!(
        put("rfc3161", stamps, bitcoin, stamps).verdict(),
        Verdict::Undecided,
        "one tree, one checkpoint: fits"
    );
    assert_eq!(status(&put("rfc3161", bitcoin, bitcoin, stamps), CheckName::ReceiptAnchor), [Status::Failed]);
    assert_eq!(status(&put("bitcoin", stamps, stamps, bitcoin), CheckName::ReceiptAnchor), [Status::Failed]);
    assert_eq!(status(&put("bitcoin", stamps, stamps, stamps), CheckName::ReceiptAnchor), [Status::Failed]);
    let unknown = put("notary", stamps, stamps, stamps);
    assert_eq!(
        (unknown.verdict(), status(&unknown, CheckName::ReceiptAnchor)),
        (Verdict::Undecided, vec![Status::NotChecked])
    );
    // The same tree, signed by the same keys, in another note than the one that the statement names.
    let mut renoted = stamps.inclusion().clone();
    renoted.checkpoint.push_str("— somebody.example AAAAAAAA\n");
    let renoted = ReceiptAnchor::new(
        "rfc3161",
        stamps.statement_bytes().to_vec(),
        renoted,
        stamps.proof().to_vec(),
        None,
    );
    let renoted = receipt.clone().with_anchors(vec![renoted.unwrap()]).unwrap();
    let report = receipt_with_anchors(renoted.to_json().as_bytes(), Some(&policy()), Some(&trust(&desk)));
    assert_eq!(status(&report, CheckName::ReceiptAnchor), [Status::Failed]);
    let mut other = stamps.inclusion().clone();
    other.hashes.pop();
    let short = ReceiptAnchor::new(
        "rfc3161",
        stamps.statement_bytes().to_vec(),
        other,
        stamps.proof().to_vec(),
        None,
    )
    .unwrap();
    let short = receipt.clone().with_anchors(vec![short]).unwrap();
    let report = receipt_with_anchors(short.to_json().as_bytes(), Some(&policy()), Some(&trust(&desk)));
    assert_eq!(status(&report, CheckName::ReceiptAnchor), [Status::Failed]);
}

#[test]
fn without_a_trust_file_anchors_are_not_checked_and_the_decision_still_is() {
    let desk = desk();
    let receipt = with_lanes(&desk, &["stamps"]).to_json();
    let report = receipt_with_anchors(receipt.as_bytes(), Some(&policy()), None);
    assert_eq!(report.verdict(), Verdict::Undecided);
    assert_eq!(status(&report, CheckName::ReceiptAnchor), [Status::NotChecked]);
    assert_eq!(status(&report, CheckName::CheckpointSignatures), [Status::Passed]);
    fs::write(desk.path().join("receipt.json"), receipt).unwrap();
    let output = run(&desk, &["verify", "receipt", "receipt.json", "--policy", "log.policy"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--anchor-trust"), "{}", said(&output));
    let unsigned = receipt_with_anchors(&read(&desk), None, Some(&trust(&desk)));
    assert_eq!(status(&unsigned, CheckName::ReceiptAnchor), [Status::NotChecked], "nobody signed");
}

#[test]
fn the_form_of_anchors_is_checked_before_anything_else() {
    let desk = desk();
    let receipt = with_lanes(&desk, &["stamps", "bitcoin"]);
    let text = receipt.to_json();
    let refused = |text: String| Receipt::parse(text.as_bytes()).unwrap_err();
    let replaced = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refused(text.replacen(from, to, 1))
    };
    assert_eq!(
        replaced("\"kind\": \"bitcoin\"", "\"kind\": \"Bitcoin\""),
        ReceiptError::Anchor { number: 1, fault: AnchorPartError::Kind }
    );
    assert!(matches!(replaced("\"kind\": \"bitcoin\"", "\"kinds\": \"bitcoin\""), ReceiptError::Json { .. }));
    assert!(matches!(
        replaced("\"statement\": \"", "\"statement\": \"AAAA"),
        ReceiptError::Anchor { number: 1, fault: AnchorPartError::Statement(_) }
    ));
    assert_eq!(
        replaced("\"statement\": \"", "\"statement\": \"?"),
        ReceiptError::Anchor { number: 1, fault: AnchorPartError::Base64 }
    );
    let at = text.rfind("\"tlog_proof\": \"c2sp.org").unwrap();
    let extra = format!("{}{}", &text[..at], text[at..].replacen("@v1\\n", "@v1\\nextra AAAA\\n", 1));
    assert_eq!(refused(extra), ReceiptError::Anchor { number: 2, fault: AnchorPartError::Extra });
    // An empty list is another spelling of none.
    let none = receipt.clone().with_anchors(Vec::new()).unwrap().to_json();
    let empty = none.replacen("\"\n}", "\",\n  \"anchors\": []\n}", 1);
    assert_ne!(empty, none);
    assert_eq!(refused(empty), ReceiptError::NotCanonical);
    let [bitcoin, stamps] = receipt.anchors() else { panic!("two anchors") };
    let twice = receipt.clone().with_anchors(vec![stamps.clone(), stamps.clone()]);
    assert_eq!(twice.unwrap_err(), ReceiptError::Anchors);
    assert_eq!(
        receipt.clone().with_anchors(vec![stamps.clone(), bitcoin.clone()]).unwrap(),
        receipt,
        "put in order"
    );
    let many = vec![stamps.clone(); RECEIPT_ANCHORS_MAX + 1];
    assert_eq!(receipt.clone().with_anchors(many).unwrap_err(), ReceiptError::Anchors);
}
