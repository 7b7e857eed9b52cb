//! The golden receipt, once a timestamp authority was shown the log's head.
//!
//! Danger: another implementation of the receipt check has nothing to hold itself against, or the format drifts unseen.
//! Expected: the golden file is what the library writes, verifies under its policy and the authority's root, and the receipt
//! without anchors keeps its bytes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking and reads the golden files"
)]

mod world;

use ledgerstone::anchor::rfc3161::authority::Authority;
use ledgerstone::anchor::rfc3161::{Imprint, Request, Trust};
use ledgerstone::anchor::statement::{Head, LaneName, NO_STATEMENT, Statement};
use ledgerstone::code::CheckName;
use ledgerstone::hash::Hash;
use ledgerstone::receipt::{Receipt, ReceiptAnchor, Rung};
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{Status, Verdict, receipt_with_anchors};

const GOLDEN: &str = include_str!("golden/receipt.json");
const ANCHORED: &str = include_str!("golden/receipt-anchored.json");
const ROOT: &str = include_str!("golden/authority-root.pem");

fn authority() -> Authority {
    let (from, to) = (UnixMillis::new(1_790_000_000_000), UnixMillis::new(2_105_000_000_000));
    Authority::create(&[0x3a; 32], "Example timestamps", from, to).unwrap()
}

/// The golden receipt with the timestamp of the very tree that it leads to.
fn anchored() -> Receipt {
    let receipt = world::golden_receipt();
    let checkpoint = receipt.checkpoint().checkpoint().clone();
    let inclusion = receipt.tlog_proof();
    let statement = Statement {
        origin: checkpoint.origin,
        lane: LaneName::parse("timestamps").unwrap(),
        seq: 1,
        from: Head::empty(),
        to: Head { size: checkpoint.size, root: checkpoint.root },
        previous: NO_STATEMENT,
        checkpoint: Hash::of(inclusion.checkpoint.as_bytes()),
    };
    let bytes = statement.encode().unwrap();
    let request = Request::new(Imprint::of(&bytes), 7).encode();
    let reply = authority().answer(&request, UnixMillis::new(1_795_003_200_000), 1);
    let anchor = ReceiptAnchor::new("rfc3161", bytes, inclusion, reply, None).unwrap();
    receipt.with_anchors(vec![anchor]).unwrap()
}

fn trust() -> AnchorTrust {
    let mut authorities = Trust::default();
    authorities.add_roots(ROOT.as_bytes()).unwrap();
    AnchorTrust { rfc3161: Some(authorities), ..AnchorTrust::default() }
}

#[test]
fn the_golden_files_are_what_the_library_writes() {
    let (receipt, root) = (anchored().to_json(), authority().root_pem());
    if std::env::var_os("LEDGERSTONE_BLESS").is_some() {
        std::fs::write("tests/golden/receipt-anchored.json", &receipt).unwrap();
        std::fs::write("tests/golden/authority-root.pem", &root).unwrap();
    }
    assert!(
        receipt == ANCHORED && root == ROOT,
        "run again with LEDGERSTONE_BLESS=1 and look at the difference"
    );
}

#[test]
fn the_golden_anchored_receipt_verifies_and_says_when_it_was_fixed() {
    let report = receipt_with_anchors(ANCHORED.as_bytes(), Some(&world::policy()), Some(&trust()));
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    let anchor = report.check(CheckName::ReceiptAnchor).unwrap();
    assert!(anchor.detail.contains("fixed at 2026-11-18T12:00:00.000Z at the latest"), "{}", anchor.detail);
    let certificate = report.check(CheckName::AnchorTimestampCertificate).unwrap();
    assert!(certificate.rests_on.as_ref().unwrap().contains("Example timestamps root"), "{certificate:?}");
    assert!(!report.not_proved().iter().any(|open| open.contains("not yet anchored")));
}

#[test]
fn a_receipt_without_anchors_keeps_its_bytes() {
    let anchored = Receipt::parse(ANCHORED.as_bytes()).unwrap();
    assert_eq!(anchored.rung(), Rung::Timestamped);
    let bare = anchored.with_anchors(Vec::new()).unwrap();
    assert_eq!((bare.to_json().as_str(), bare.rung()), (GOLDEN, Rung::Included));
}

#[test]
fn a_receipt_with_a_wrong_anchor_fails_although_the_decision_is_right() {
    let at = ANCHORED.rfind("\"proof\": \"").unwrap() + 600;
    let letter = if &ANCHORED[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{letter}{}", &ANCHORED[..at], &ANCHORED[at + 1..]);
    let report = receipt_with_anchors(changed.as_bytes(), Some(&world::policy()), Some(&trust()));
    assert_eq!(report.verdict(), Verdict::Failed, "{report:#?}");
    assert_eq!(report.check(CheckName::ReceiptAnchor).unwrap().status, Status::Failed);
    assert_eq!(report.check(CheckName::ReceiptInclusion).unwrap().status, Status::Passed);
}
