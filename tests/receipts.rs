//! Receipts, from the file's bytes to the verdict.
//!
//! Danger: a receipt that somebody changed, cut or put together from parts is taken for proof. Expected: the golden receipt
//! verifies under its policy; every changed byte and every truncation of it is refused or fails; without a policy the
//! verdict stays open.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the golden files and says what it skips"
)]

mod world;

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::disclosure::Disclosure;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, consistency, inclusion};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::{Receipt, ReceiptError};
use ledgerstone::record::{RecordSecret, Value};
use ledgerstone::verify::{self, Report, Status, Verdict};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden/receipt.json");
const POLICY: &str = include_str!("golden/log.policy");

fn policy() -> Policy {
    Policy::parse(POLICY.as_bytes()).unwrap()
}

fn status(report: &Report, name: CheckName) -> Status {
    report.check(name).unwrap().status
}

#[test]
fn the_golden_files_are_what_the_library_writes() {
    let (receipt, policy) = (world::golden_receipt().to_json(), world::policy().to_string());
    if std::env::var_os("LEDGERSTONE_BLESS").is_some() {
        std::fs::create_dir_all("tests/golden").unwrap();
        std::fs::write("tests/golden/receipt.json", &receipt).unwrap();
        std::fs::write("tests/golden/log.policy", &policy).unwrap();
    }
    assert!(
        receipt == GOLDEN && policy == POLICY,
        "run again with LEDGERSTONE_BLESS=1 and look at the difference"
    );
}

#[test]
fn the_golden_receipt_verifies_and_says_what_it_does_not_prove() {
    let report = verify::receipt(GOLDEN.as_bytes(), Some(&policy()));
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    let names: Vec<&str> = report.checks().iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "receipt.format",
            "receipt.entry",
            "receipt.fields",
            "receipt.inclusion",
            "checkpoint.format",
            "checkpoint.signatures"
        ]
    );
    assert!(report.checks().iter().all(|check| check.status == Status::Passed && check.code.is_none()));
    assert_eq!(report.subject(), "receipt for decision 01a1ee56-5e1c-7c41-9c55-0f1e2d3c4b5a");
    assert_eq!(report.not_proved().len(), 5, "no witness, no anchor: {:?}", report.not_proved());
}

#[test]
fn a_report_reads_as_json_with_its_version_first() {
    let report = verify::receipt(GOLDEN.as_bytes(), None);
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.starts_with(r#"{"format":"ledgerstone-report/v1","subject":"receipt for"#), "{json}");
    assert!(
        json.contains(r#""verdict":"undecided""#) && json.contains(r#""status":"not_checked""#),
        "{json}"
    );
}

#[test]
fn without_a_policy_the_verdict_stays_open() {
    let report = verify::receipt(GOLDEN.as_bytes(), None);
    assert_eq!(report.verdict(), Verdict::Undecided);
    assert_eq!(status(&report, CheckName::CheckpointSignatures), Status::NotChecked);
    assert_eq!(status(&report, CheckName::ReceiptInclusion), Status::Passed);
}

#[test]
fn another_log_s_policy_does_not_believe_it() {
    let other = LogKeys::generate_from_seeds(world::keys().origin(), [8; 32], [9; 32]).unwrap();
    let stranger = LogKeys::generate_from_seeds(&"other".parse().unwrap(), [1; 32], [2; 32]).unwrap();
    for keys in [other, stranger] {
        let report = verify::receipt(GOLDEN.as_bytes(), Some(&Policy::for_log(&keys.vkeys()).unwrap()));
        assert_eq!(report.verdict(), Verdict::Failed);
        let check = report.check(CheckName::CheckpointSignatures).unwrap();
        assert_eq!((check.status, check.code), (Status::Failed, Some(Code::Untrusted)));
    }
}

/// The file with one byte set to `value`.
fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut file = GOLDEN.as_bytes().to_vec();
    file[at] = value;
    file
}

#[test]
fn no_changed_byte_leaves_the_receipt_verified() {
    let (policy, mut tried) = (policy(), 0);
    for (at, byte) in GOLDEN.bytes().enumerate() {
        // One neighbouring value that stays in base64 and text, one that may leave them, and a space.
        for value in [byte ^ 1, byte ^ 0x20, b' '] {
            if value != byte {
                let verdict = verify::receipt(&changed(at, value), Some(&policy)).verdict();
                assert_ne!(verdict, Verdict::Verified, "byte {at}: {byte:#x} -> {value:#x}");
                tried += 1;
            }
        }
    }
    assert!(tried > 2 * GOLDEN.len(), "{tried}");
}

#[test]
fn no_truncation_and_no_addition_leaves_the_receipt_verified() {
    let policy = policy();
    for len in 0..GOLDEN.len() {
        let report = verify::receipt(&GOLDEN.as_bytes()[..len], Some(&policy));
        assert_eq!(report.verdict(), Verdict::Failed, "{len} bytes");
    }
    for more in [" ", "\n", "x", "{}", "\0"] {
        let report = verify::receipt(format!("{GOLDEN}{more}").as_bytes(), Some(&policy));
        assert_eq!(report.verdict(), Verdict::Failed, "{more:?}");
    }
}

#[test]
fn a_line_left_out_twice_or_out_of_place_is_refused() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        let mut swapped = lines.clone();
        swapped.swap(at, (at + 1) % lines.len());
        for (what, changed) in [("without", without), ("twice", twice), ("swapped", swapped)] {
            let file = changed.join("\n") + "\n";
            if file != GOLDEN {
                let verdict = verify::receipt(file.as_bytes(), Some(&policy())).verdict();
                assert_ne!(verdict, Verdict::Verified, "line {} {what}", at + 1);
            }
        }
    }
}

#[test]
fn unknown_keys_other_versions_and_other_spellings_are_refused() {
    let reject = |from: &str, to: &str, expected: fn(&ReceiptError) -> bool| {
        assert!(GOLDEN.contains(from), "{from}");
        let error = Receipt::parse(GOLDEN.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(expected(&error), "{from} -> {to}: {error:?}");
    };
    let json = |error: &ReceiptError| matches!(error, ReceiptError::Json { .. });
    let canonical = |error: &ReceiptError| *error == ReceiptError::NotCanonical;
    reject("\"origin\"", "\"note\": \"paid\",\n  \"origin\"", json);
    reject("\"format\"", "\"format\": \"x\",\n  \"format\"", json);
    reject("\"origin\"", "\"Origin\"", json);
    reject("receipt/v1", "receipt/v2", |error| *error == ReceiptError::Format);
    reject("  \"origin\"", "   \"origin\"", canonical);
    reject("\n", "\r\n", canonical);
    reject("\"deny\"", "\"\\u0064eny\"", canonical);
    reject("\"float\": 0.1875", "\"float\": 1.875e-1", canonical);
    reject("\"float\": 0.1875", "\"float\": 0.18750", canonical);
    reject("\"int\": \"1795000000041\"", "\"int\": \"+1795000000041\"", canonical);
    reject("\"int\": \"1795000000041\"", "\"int\": 1795000000041", json);
    reject("\"bool\": true", "\"null\": false", |error| matches!(error, ReceiptError::Field { .. }));
    reject("c2sp.org/tlog-proof@v1\\n", "c2sp.org/tlog-proof@v1\\nextra YQ==\\n", |error| {
        *error == ReceiptError::Extra
    });
    reject("log.bank.example/lending", "log.bank.example/landing", |error| {
        *error == ReceiptError::OtherOrigin
    });
    reject("0f1e2d3c4b5a", "0f1e2d3c4b5b", |error| *error == ReceiptError::OtherDecision);
    let long = vec![b' '; RECEIPT_BYTES_MAX + 1];
    assert_eq!(Receipt::parse(&long).unwrap_err().code(), Code::Limit);
}

/// The golden receipt with some of its parts exchanged for others that are well formed.
fn with(
    entry: Option<Vec<u8>>,
    disclosure: Option<Disclosure>,
    index: Option<u64>,
    proof: Option<Vec<Hash>>,
) -> Report {
    let golden = world::golden_receipt();
    let receipt = Receipt::new(
        entry.unwrap_or_else(|| golden.entry_bytes().to_vec()),
        disclosure.unwrap_or_else(|| golden.disclosure().clone()),
        index.map_or(golden.index(), LeafIndex::new),
        proof.unwrap_or_else(|| golden.proof().to_vec()),
        golden.checkpoint().note().to_string(),
    );
    verify::receipt(receipt.unwrap().to_json().as_bytes(), Some(&policy()))
}

fn only_failure(report: &Report) -> CheckName {
    let failed: Vec<_> = report.checks().iter().filter(|check| check.status == Status::Failed).collect();
    assert_eq!(failed.len(), 1, "{report:#?}");
    failed[0].name
}

#[test]
fn each_part_taken_from_elsewhere_fails_its_own_check() {
    assert_eq!(with(None, None, None, None).verdict(), Verdict::Verified);

    let mut values = world::golden_receipt().disclosure().clone();
    values.openings[0].value = Value::Text("approve".to_owned());
    assert_eq!(only_failure(&with(None, Some(values), None, None)), CheckName::ReceiptFields);

    let record = world::record();
    let other_salts = record.commit(&RecordSecret::from_bytes([4; 32])).disclose(&[0, 1]).unwrap();
    assert_eq!(only_failure(&with(None, Some(other_salts), None, None)), CheckName::ReceiptFields);

    assert_eq!(only_failure(&with(None, None, Some(7), None)), CheckName::ReceiptInclusion);
    assert_eq!(only_failure(&with(None, None, None, Some(Vec::new()))), CheckName::ReceiptInclusion);

    let mut other_proof = world::golden_receipt().proof().to_vec();
    other_proof.swap(0, 1);
    assert_eq!(only_failure(&with(None, None, None, Some(other_proof))), CheckName::ReceiptInclusion);

    let neighbour = with(Some(world::golden_entries()[5].clone()), None, Some(5), None);
    let failed: Vec<_> = neighbour.checks().iter().filter(|check| check.status == Status::Failed).collect();
    assert_eq!(failed.len(), 2, "another decision's entry has neither these fields nor this proof");
}

#[test]
fn a_receipt_may_show_no_field_but_then_has_no_field_proof() {
    let nothing = Disclosure { openings: Vec::new(), proof: Vec::new() };
    assert_eq!(with(None, Some(nothing), None, None).verdict(), Verdict::Verified);
    let hash_without_field = Disclosure { openings: Vec::new(), proof: vec![Hash::of(b"x")] };
    assert_eq!(only_failure(&with(None, Some(hash_without_field), None, None)), CheckName::ReceiptFields);
}

#[test]
fn only_decisions_have_receipts() {
    let golden = world::golden_receipt();
    let start = world::golden_entries()[0].clone();
    let note = golden.checkpoint().note().to_string();
    let made =
        Receipt::new(start, golden.disclosure().clone(), golden.index(), golden.proof().to_vec(), note);
    assert_eq!(made.unwrap_err(), ReceiptError::NotADecision);
}

#[test]
fn every_type_of_value_survives_the_file() {
    let values = [
        Value::Null,
        Value::Bool(false),
        Value::Int(-(1 << 64)),
        Value::Int((1 << 64) - 1),
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        Value::Float(-0.0),
        Value::Float(5e-324),
        Value::Float(f64::MAX),
        Value::Float(1e21),
        Value::Float(0.1 + 0.2),
        Value::Text("\"\\/\u{8}\u{c}\n\r\t\0\u{7f}é\u{1f600}</script>".to_owned()),
        Value::Bytes(vec![0, 255, 62]),
        Value::Bytes(Vec::new()),
        Value::Array(vec![Value::Int(1), Value::Array(Vec::new()), Value::Text(String::new())]),
    ];
    for value in values {
        let golden = world::golden_receipt();
        let mut disclosure = golden.disclosure().clone();
        disclosure.openings[0].value = value.clone();
        let note = golden.checkpoint().note().to_string();
        let receipt = Receipt::new(
            golden.entry_bytes().to_vec(),
            disclosure,
            golden.index(),
            golden.proof().to_vec(),
            note,
        )
        .unwrap();
        let read = Receipt::parse(receipt.to_json().as_bytes()).unwrap();
        assert_eq!(read.disclosure().openings[0].value, value);
        assert_eq!(read.to_json(), receipt.to_json());
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = "{\"array\": [".repeat(5_000);
    let file = GOLDEN.replacen("{\n        \"bool\"", &deep, 1);
    assert!(matches!(Receipt::parse(file.as_bytes()), Err(ReceiptError::Json { .. })));
}

#[test]
fn a_checkpoint_is_checked_on_its_own_too() {
    let note = world::golden_receipt().checkpoint().note().to_string();
    let (report, checkpoint) = verify::checkpoint(note.as_bytes(), Some(&policy()));
    assert_eq!((report.verdict(), checkpoint.unwrap().size.get()), (Verdict::Verified, 11));
    let (report, checkpoint) = verify::checkpoint(note.as_bytes(), None);
    assert_eq!((report.verdict(), checkpoint.is_some()), (Verdict::Undecided, true));
    let (report, checkpoint) = verify::checkpoint(note.trim_end().as_bytes(), Some(&policy()));
    assert_eq!((report.verdict(), checkpoint), (Verdict::Failed, None));
}

/// The fenced block of a page that is labelled so.
fn block(page: &str, label: &str) -> String {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let start = format!("```{label}\n");
    text.split(&start)
        .nth(1)
        .unwrap_or_else(|| panic!("{page} has no {label}"))
        .split("```")
        .next()
        .unwrap()
        .to_owned()
}

/// Whether `shown` is `whole`, with or without a middle that stands as `…`.
fn shows(shown: &str, whole: &str) -> bool {
    match shown.split_once('…') {
        Some((start, end)) => whole.starts_with(start) && whole.ends_with(end),
        None => shown == whole,
    }
}

#[test]
fn the_specification_shows_the_golden_receipt() {
    let mut lines = GOLDEN.lines();
    for shown in block("spec/receipt.md", "json receipt").lines() {
        assert!(lines.any(|line| shows(shown, line)), "{shown} is not in the golden receipt, or not there");
    }
    let proof = world::golden_receipt().tlog_proof().to_string();
    let shown = block("spec/receipt.md", "text tlog-proof");
    assert_eq!(shown.lines().count(), proof.lines().count());
    assert!(shown.lines().zip(proof.lines()).all(|(shown, line)| shows(shown, line)), "{proof}");
}

#[test]
fn the_table_of_codes_is_the_one_in_the_code() {
    let page = std::fs::read_to_string(format!("{}/docs/spec/codes.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let rows = |page: &str| -> Vec<String> {
        page.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
    };
    let (codes, checks) = page.split_once("## Checks").unwrap();
    let names: Vec<String> =
        rows(codes).iter().map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(names, Code::ALL.map(|code| code.as_str().to_owned()));
    let expected: Vec<String> =
        CheckName::ALL.iter().map(|check| format!("| `{check}` | {} |", check.proves())).collect();
    assert_eq!(rows(checks), expected, "copy the rows:\n{}", expected.join("\n"));
}

/// INV-4: what was once proved stays proved, whatever is appended.
#[test]
fn inv_4_a_decision_has_a_receipt_in_every_later_tree_that_extends_its_own() {
    let golden = world::golden_receipt();
    let mut entries = world::golden_entries();
    let mut nodes: MemoryNodes = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let (first_size, first_root) = (nodes.size(), nodes.root());
    for more in 0..300_u32 {
        entries.push(more.to_be_bytes().to_vec());
        nodes.push(leaf_hash(entries.last().unwrap()));
        let (size, root) = (nodes.size(), nodes.root());
        let proof = inclusion::prove(&nodes, golden.index(), size).unwrap();
        assert_eq!(
            inclusion::verify(&leaf_hash(golden.entry_bytes()), golden.index(), size, &proof, &root),
            Ok(())
        );
        let extends = consistency::prove(&nodes, first_size, size).unwrap();
        assert_eq!(consistency::verify(first_size, &first_root, size, &root, &extends), Ok(()));
        if more % 50 == 0 {
            let note = world::keys().sign(&world::keys().checkpoint(size, root));
            let later = Receipt::new(
                golden.entry_bytes().to_vec(),
                golden.disclosure().clone(),
                golden.index(),
                proof,
                note,
            );
            let report = verify::receipt(later.unwrap().to_json().as_bytes(), Some(&policy()));
            assert_eq!(report.verdict(), Verdict::Verified, "{size} entries");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_the_receipt_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Receipt::parse(&bytes).is_err());
    }

    #[test]
    fn no_two_changes_leave_the_receipt_verified(
        first in 0..GOLDEN.len(), second in 0..GOLDEN.len(), to in any::<[u8; 2]>(), cut in 0..8_usize,
    ) {
        let mut file = GOLDEN.as_bytes().to_vec();
        file[first] = to[0];
        file[second] = to[1];
        file.drain(first..(first + cut).min(GOLDEN.len()));
        if file != GOLDEN.as_bytes() {
            prop_assert_ne!(verify::receipt(&file, Some(&policy())).verdict(), Verdict::Verified);
        }
    }
}
