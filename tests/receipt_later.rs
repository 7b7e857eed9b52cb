//! Receipts that show what was added to a decision, and receipts that show less.
//!
//! Danger: an outcome or a notice of another decision, from another log, or never recorded is shown as this decision's; or a
//! receipt that shows less lets what it left out be guessed or exchanged. Expected: the golden file is what the library
//! writes and verifies; each part taken from elsewhere fails; every changed byte is found; a narrowed receipt verifies
//! and holds no salt of what it left out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking and reads the golden files"
)]

mod world;

use ledgerstone::code::CheckName;
use ledgerstone::disclosure::{Disclosure, DisclosureError};
use ledgerstone::encoding::base64_encode;
use ledgerstone::entry::{DecisionId, Entry, Kind, SessionId};
use ledgerstone::hash::leaf_hash;
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::receipt::{LaterEntry, LaterPartError, Receipt, ReceiptError};
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value};
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::{self, Report, Status, Verdict};

const GOLDEN: &str = include_str!("golden/receipt-later.json");

fn record(fields: &[(&str, Value)]) -> Record {
    let add = |builder: RecordBuilder, (path, value): &(&str, Value)| {
        builder.field(FieldPath::parse(path).unwrap(), value.clone()).unwrap()
    };
    fields.iter().fold(RecordBuilder::new(), add).build().unwrap()
}

fn review() -> Record {
    record(&[
        ("decision/id", Value::Text(world::decision_id().to_string())),
        ("review/[0]/action", "override".into()),
        ("review/[0]/at", Value::Int(1_795_000_100_000)),
        ("review/[0]/reason", "income proved by later papers".into()),
        ("review/[0]/reviewer", "u-17".into()),
    ])
}

fn notice() -> Record {
    record(&[
        ("decision/id", Value::Text(world::decision_id().to_string())),
        ("notice/[0]/delivered_at", Value::Int(1_795_000_200_000)),
        ("notice/[0]/kind", "adverse_action".into()),
    ])
}

fn secret(byte: u8) -> RecordSecret {
    RecordSecret::from_bytes([byte; 32])
}

/// An entry of `kind` about `decision` that links to `of`.
fn entry(kind: Kind, sequence: u64, decision: DecisionId, of: u64, record: &Record, byte: u8) -> Entry {
    let commitment = record.commit(&secret(byte)).commitment();
    let numbered = ("lending-2".parse().unwrap(), SessionId::from_bytes([8; 16]), sequence);
    let recorded_at = UnixMillis::new(1_795_000_100_000 + 100_000 * sequence);
    Entry { recorded_at, ..Entry::follow_up(kind, numbered, decision, LeafIndex::new(of), commitment) }
}

/// The golden log with a review at index 11 and a notice at index 12.
fn entries() -> Vec<Vec<u8>> {
    let mut entries = world::golden_entries();
    let later = [
        entry(Kind::Review, 0, world::decision_id(), 6, &review(), 4),
        entry(Kind::Notice, 1, world::decision_id(), 6, &notice(), 5),
    ];
    entries.extend(later.map(|entry| entry.encode().unwrap()));
    entries
}

fn opened(record: &Record, byte: u8, wanted: impl Fn(&str) -> bool) -> Disclosure {
    let indices = record.indices(|path| wanted(path.as_str()));
    record.commit(&secret(byte)).disclose(&indices).unwrap()
}

/// A receipt over `entries`, with the later entries at `places`.
fn receipt_of(entries: &[Vec<u8>], later: Vec<(u64, Disclosure)>) -> Result<Receipt, ReceiptError> {
    let nodes: MemoryNodes = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let size = TreeSize::new(entries.len() as u64);
    let prove = |index: u64| inclusion::prove(&nodes, LeafIndex::new(index), size).unwrap();
    let shown = opened(&world::record(), 3, |path| !path.starts_with("input/"));
    let note = world::keys().sign(&world::keys().checkpoint(size, nodes.root()));
    let receipt = Receipt::new(entries[6].clone(), shown, LeafIndex::new(6), prove(6), note).unwrap();
    let later = later.into_iter().map(|(index, disclosure)| {
        let bytes = entries[usize::try_from(index).unwrap()].clone();
        LaterEntry::new(bytes, disclosure, LeafIndex::new(index), prove(index)).unwrap()
    });
    receipt.with_later(later.collect())
}

fn golden() -> Receipt {
    let reviewed = opened(&review(), 4, |path| !path.ends_with("reviewer"));
    receipt_of(&entries(), vec![(12, opened(&notice(), 5, |_| true)), (11, reviewed)]).unwrap()
}

fn check(receipt: &Receipt) -> Report {
    verify::receipt(receipt.to_json().as_bytes(), Some(&world::policy()))
}

#[test]
fn the_golden_file_is_what_the_library_writes_and_verifies() {
    let text = golden().to_json();
    if std::env::var_os("LEDGERSTONE_BLESS").is_some() {
        std::fs::write("tests/golden/receipt-later.json", &text).unwrap();
    }
    assert!(text == GOLDEN, "run again with LEDGERSTONE_BLESS=1 and look at the difference");
    let report = check(&Receipt::parse(GOLDEN.as_bytes()).unwrap());
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    let later = report.check(CheckName::ReceiptLater).unwrap();
    assert_eq!(later.detail, "Added to the decision: review (entry 11), notice (entry 12).");
}

#[test]
fn a_receipt_without_later_entries_keeps_its_bytes() {
    let bare = golden().with_later(Vec::new()).unwrap();
    assert!(!bare.to_json().contains("later"));
    assert!(check(&bare).check(CheckName::ReceiptLater).is_none());
}

#[test]
fn what_is_not_the_decisions_is_refused_or_fails() {
    let golden = golden();
    let failed = |entries: &[Vec<u8>], later| {
        let report = check(&receipt_of(entries, later).unwrap());
        assert_eq!(report.check(CheckName::ReceiptLater).unwrap().status, Status::Failed, "{report:#?}");
        assert_eq!(report.check(CheckName::ReceiptInclusion).unwrap().status, Status::Passed);
    };
    let shown = || opened(&review(), 4, |_| true);
    // It links to another entry.
    let mut other = entries();
    other[11] = entry(Kind::Review, 0, world::decision_id(), 5, &review(), 4).encode().unwrap();
    failed(&other, vec![(11, shown())]);
    // Its fields are another record's.
    failed(&entries(), vec![(11, opened(&notice(), 5, |_| true))]);
    // It is in no tree that the log signed.
    let never = entry(Kind::Outcome, 2, world::decision_id(), 6, &review(), 4).encode().unwrap();
    let proof = golden.later()[0].proof().to_vec();
    let never = LaterEntry::new(never, shown(), LeafIndex::new(11), proof).unwrap();
    let report = check(&golden.clone().with_later(vec![never]).unwrap());
    assert_eq!(report.check(CheckName::ReceiptLater).unwrap().status, Status::Failed);
    // It is about another decision, or no addition at all.
    let elsewhere = DecisionId::from_bytes([9; 16]);
    let mut other = entries();
    other[11] = entry(Kind::Review, 0, elsewhere, 6, &review(), 4).encode().unwrap();
    let refused = receipt_of(&other, vec![(11, shown())]).unwrap_err();
    assert_eq!(refused, ReceiptError::Later { number: 1, fault: LaterPartError::NotOfDecision });
    let own = LaterEntry::new(entries()[6].clone(), shown(), LeafIndex::new(6), Vec::new());
    assert_eq!(own.unwrap_err(), LaterPartError::NotOfDecision);
    let twice = vec![golden.later()[0].clone(); 2];
    assert_eq!(golden.with_later(twice).unwrap_err(), ReceiptError::TooMuchLater);
}

#[test]
fn no_changed_byte_leaves_the_receipt_verified() {
    let bytes = GOLDEN.as_bytes();
    let begins = GOLDEN.find("\"later\"").unwrap();
    for at in begins..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let report = verify::receipt(&changed, Some(&world::policy()));
        assert_eq!(report.verdict(), Verdict::Failed, "byte {at}");
    }
}

#[test]
fn a_receipt_that_shows_less_verifies_and_holds_no_salt_of_what_it_left_out() {
    let golden = golden();
    let keep = |path: &FieldPath| matches!(path.as_str(), "outcome/action" | "review/[0]/action");
    let narrowed = golden.clone().narrowed(keep).unwrap();
    assert_eq!(check(&narrowed).verdict(), Verdict::Verified);
    let text = narrowed.to_json();
    assert!(text.contains("\"override\"") && !text.contains("adverse_action") && !text.contains("u-17"));
    assert_eq!(narrowed.later().len(), 1, "an entry of which nothing is kept is left out");
    let all = golden.disclosure().openings.iter().chain(&golden.later()[0].disclosure().openings);
    for opening in all.filter(|opening| !keep(&opening.path)) {
        assert!(!text.contains(&base64_encode(&opening.salt)), "{} can be guessed", opening.path);
    }
    let nothing = golden.narrowed(|_| false).unwrap_err();
    assert_eq!(nothing, DisclosureError::Nothing);
}

#[test]
fn a_receipt_with_twenty_fields_and_both_signatures_has_at_most_8_kib() {
    let fields: Vec<(String, Value)> =
        (0..50).map(|n| (format!("input/feature/f{n:02}"), Value::Int(n))).collect();
    let fields: Vec<(&str, Value)> =
        fields.iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
    let record = record(&fields);
    let mut entries = world::golden_entries();
    let mut own = Entry::decode(&entries[6]).unwrap();
    own.commitment = Some(record.commit(&secret(3)).commitment());
    entries[6] = own.encode().unwrap();
    let nodes: MemoryNodes = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let size = TreeSize::new(entries.len() as u64);
    let shown = record.commit(&secret(3)).disclose(&(0..20).collect::<Vec<_>>()).unwrap();
    let proof = inclusion::prove(&nodes, LeafIndex::new(6), size).unwrap();
    let note = world::keys().sign(&world::keys().checkpoint(size, nodes.root()));
    let receipt = Receipt::new(entries[6].clone(), shown, LeafIndex::new(6), proof, note).unwrap();
    assert_eq!(check(&receipt).verdict(), Verdict::Verified);
    let bytes = receipt.to_json().len();
    println!("{bytes} bytes");
    assert!(bytes <= 8 * 1024, "{bytes} bytes");
    // The COSE receipt says the same once more; it is counted by itself.
    let with_cose = world::with_cose(receipt);
    assert_eq!(check(&with_cose).verdict(), Verdict::Verified);
    let cose = with_cose.to_json().len() - bytes;
    println!("{cose} bytes more with a COSE receipt");
    assert!(cose <= 1024 && bytes + cose <= 9 * 1024, "{cose} bytes");
}
