//! COSE receipts (RFC 9942), alone and inside a receipt.
//!
//! Danger: a COSE receipt that somebody changed, took from elsewhere or signed with another key is taken for proof; or a receipt
//! that carries one loses its other checks. Expected: the golden one verifies, here and in an independent implementation of COSE;
//! every changed bit is refused by both; where no key is known the verdict stays open.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the golden files, starts programs and says what it skips"
)]

mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::cose::{
    CoseReceipt, CoseReceiptError, ReceiptKey, ReceiptKeyError, ReceiptSigningKey, ReceiptSigningKeyError,
};
use ledgerstone::cosignature::{self, CosignedAt, TreeHead};
use ledgerstone::encoding::{base64_encode, hex_encode};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::limits::{COSE_RECEIPT_BYTES_MAX, PROOF_HASHES_MAX};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::note::{KeyName, SignatureType, Signer as _, SigningKey};
use ledgerstone::policy::{LineFault, Policy, PolicyError};
use ledgerstone::receipt::{Receipt, ReceiptError, Rung};
use ledgerstone::verify::{self, Report, Status, Verdict};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden/receipt-cose.json");

fn golden() -> Receipt {
    world::with_cose(world::golden_receipt())
}

fn name(text: &str) -> KeyName {
    KeyName::new(text).unwrap()
}

/// The leaf of the golden receipt's entry.
fn leaf() -> Hash {
    leaf_hash(world::golden_receipt().entry_bytes())
}

fn check(receipt: &Receipt, policy: &Policy) -> Report {
    verify::receipt(receipt.to_json().as_bytes(), Some(policy))
}

fn only_failure(report: &Report) -> (CheckName, Option<Code>) {
    let failed: Vec<_> = report.checks().iter().filter(|check| check.status == Status::Failed).collect();
    assert_eq!(failed.len(), 1, "{report:#?}");
    (failed[0].name, failed[0].code)
}

/// Whether the bytes are a COSE receipt of the golden entry by the golden key.
fn holds(bytes: &[u8]) -> bool {
    let key = world::receipt_key();
    CoseReceipt::decode(bytes).is_ok_and(|receipt| receipt.verify(&leaf(), key.receipt_key()).is_ok())
}

/// The golden COSE receipt with the first `from` of its hexadecimal text replaced.
fn with(from: &str, to: &str) -> Result<CoseReceipt, CoseReceiptError> {
    let text = hex_encode(&golden().cose().unwrap().encode());
    assert!(text.contains(from), "{text} has no {from}");
    CoseReceipt::decode(&ledgerstone::encoding::hex_decode(&text.replacen(from, to, 1)).unwrap())
}

#[test]
fn the_golden_file_is_what_the_library_writes_and_verifies() {
    let receipt = golden().to_json();
    if std::env::var_os("LEDGERSTONE_BLESS").is_some() {
        fs::write("tests/golden/receipt-cose.json", &receipt).unwrap();
    }
    assert!(receipt == GOLDEN, "run again with LEDGERSTONE_BLESS=1 and look at the difference");
    let report = verify::receipt(GOLDEN.as_bytes(), Some(&world::policy()));
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    let check = report.check(CheckName::ReceiptCose).unwrap();
    assert!(check.detail.contains(&world::receipt_key().receipt_key().kid().to_string()), "{check:?}");
}

#[test]
fn a_receipt_without_one_keeps_its_bytes_and_has_no_such_check() {
    let plain = world::golden_receipt();
    assert!(!plain.to_json().contains("cose"));
    assert!(check(&plain, &world::policy()).check(CheckName::ReceiptCose).is_none());
}

#[test]
fn the_bytes_are_those_of_rfc_9942_with_a_detached_root() {
    let bytes = hex_encode(&golden().cose().unwrap().encode());
    let (kid, origin) =
        (world::receipt_key().receipt_key().kid().to_string(), world::keys().origin().to_string());
    // 18([<<{1: -19, 4: kid, 15: {1: origin, -65537: 11}, 395: 1}>>, {396: {-1: [<<[11, 6, [4 hashes]]>>]}}, null, signature])
    let protected =
        format!("a40132045820{kid}0fa2017818{}3a000100000b19018b01", hex_encode(origin.as_bytes()));
    let head = format!("d28458{:02x}{protected}a119018ca12081588c830b0684", protected.len() / 2);
    assert!(bytes.starts_with(&head), "{bytes}\n{head}");
    assert!(bytes[head.len() + 4 * 68..].starts_with("f65840"), "{bytes}");
}

#[test]
fn no_changed_bit_and_no_cut_leaves_a_cose_receipt_verified() {
    let bytes = golden().cose().unwrap().encode();
    assert!(holds(&bytes));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(!holds(&changed), "byte {at}, bit {bit}");
        }
        assert!(!holds(&bytes[..at]), "cut to {at}");
    }
    assert!(!holds(&[bytes.as_slice(), &[0]].concat()));
}

#[test]
fn no_changed_byte_leaves_the_receipt_around_it_verified() {
    let (policy, from) = (world::policy(), GOLDEN.find("cose_receipt").unwrap());
    let to = from + GOLDEN[from..].find('\n').unwrap();
    for at in from..=to {
        for change in [1, 0x20] {
            let mut file = GOLDEN.as_bytes().to_vec();
            file[at] ^= change;
            assert_ne!(verify::receipt(&file, Some(&policy)).verdict(), Verdict::Verified, "byte {at}");
        }
    }
}

#[test]
fn refuses_what_is_not_a_receipt_of_ours() {
    let header = Err(CoseReceiptError::Header);
    assert_eq!(with("d284", "84"), Err(CoseReceiptError::Tag));
    assert_eq!(with("d284", "d183"), Err(CoseReceiptError::Tag));
    // EdDSA (-8), ES256 (-7), another tree.
    for (from, to) in [("a40132", "a40127"), ("a40132", "a40126"), ("19018b01", "19018b02")] {
        assert_eq!(with(from, to), Err(CoseReceiptError::Algorithm), "{to}");
    }
    // A proof of consistency in place of inclusion, another label, a critical parameter, no key, a payload that is there.
    assert_eq!(with("a12081588c", "a12181588c"), header);
    assert_eq!(with("a119018ca1", "a119018aa1"), header);
    assert_eq!(with("a40132", "a40232"), header);
    assert!(with("f65840", "405840").is_err());
    // No hash at all: RFC 9942 has no form for it. Two proofs; an index in two bytes where one is enough.
    let path = hex_encode(&golden().cose().unwrap().path().concat_bytes());
    assert_eq!(path.len(), 4 * 68);
    assert_eq!(with(&format!("588c830b0684{path}"), "44830b0680"), Err(CoseReceiptError::Path));
    assert!(with("2081588c", "2082588c").is_err());
    assert!(with("588c830b0684", "588d830b180684").is_err());
    let long = vec![0; COSE_RECEIPT_BYTES_MAX + 1];
    assert!(matches!(CoseReceipt::decode(&long), Err(CoseReceiptError::TooLong { .. })));
}

/// The hashes as they stand in the proof, each behind its head.
trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for [Hash] {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|hash| [&[0x58, 0x20][..], hash.as_bytes()].concat()).collect()
    }
}

#[test]
fn another_place_tree_leaf_or_key_does_not_verify() {
    let key = world::receipt_key();
    for place in ["830b05", "830b07", "830706", "830606", "830d0b"] {
        let moved = with("830b06", place);
        assert!(moved.is_err() || moved.unwrap().verify(&leaf(), key.receipt_key()).is_err(), "{place}");
    }
    // A tree of ten leaves has the same path to leaf 6: nothing but the signed size tells the two apart.
    let sized = [TreeSize::new(11), TreeSize::new(10)];
    assert_eq!(
        with("830b06", "830a06"),
        Err(CoseReceiptError::OtherSize { stated: sized[0], proved: sized[1] })
    );
    let cose = golden().cose().unwrap().clone();
    assert!(cose.verify(&leaf_hash(b"another"), key.receipt_key()).is_err());
    let other = ReceiptSigningKey::from_seed(world::keys().origin().clone(), &[11; 32]).unwrap();
    assert_eq!(cose.verify(&leaf(), other.receipt_key()), Err(CoseReceiptError::OtherKey));
    let elsewhere = ReceiptSigningKey::from_seed(name("other"), &[10; 32]).unwrap();
    assert_eq!(cose.verify(&leaf(), elsewhere.receipt_key()), Err(CoseReceiptError::OtherKey));
}

#[test]
fn a_tree_of_one_leaf_and_a_path_of_another_length_get_no_receipt() {
    let (key, leaf) = (world::receipt_key(), leaf_hash(b"only"));
    let sign =
        |index, size, path| CoseReceipt::sign(&key, &leaf, LeafIndex::new(index), TreeSize::new(size), path);
    assert_eq!(sign(0, 1, vec![]), Err(CoseReceiptError::Path));
    assert_eq!(sign(0, 9, vec![leaf; PROOF_HASHES_MAX + 1]), Err(CoseReceiptError::Path));
    assert!(matches!(sign(0, 9, vec![leaf]), Err(CoseReceiptError::Inclusion(_))));
    assert!(matches!(sign(2, 2, vec![leaf]), Err(CoseReceiptError::Inclusion(_))));
}

#[test]
fn a_cose_receipt_of_another_log_or_tree_fails_its_own_check() {
    let (plain, policy) = (world::golden_receipt(), world::policy());
    let elsewhere = ReceiptSigningKey::from_seed(name("log.other.example"), &[10; 32]).unwrap();
    let sign = |key: &ReceiptSigningKey, size: u64| {
        let nodes: MemoryNodes = world::golden_entries()[..usize::try_from(size).unwrap()]
            .iter()
            .map(|entry| leaf_hash(entry))
            .collect();
        let path = inclusion::prove(&nodes, LeafIndex::new(6), TreeSize::new(size)).unwrap();
        CoseReceipt::sign(key, &leaf(), LeafIndex::new(6), TreeSize::new(size), path).unwrap()
    };
    // An older tree of the same log, signed by the right key; the same tree, issued by another log.
    for cose in [sign(&world::receipt_key(), 9), sign(&elsewhere, 11)] {
        let report = check(&plain.clone().with_cose(cose), &policy);
        assert_eq!(only_failure(&report), (CheckName::ReceiptCose, Some(Code::Inconsistent)));
    }
    let unknown = ReceiptSigningKey::from_seed(world::keys().origin().clone(), &[11; 32]).unwrap();
    let report = check(&plain.clone().with_cose(sign(&unknown, 11)), &policy);
    assert_eq!(only_failure(&report), (CheckName::ReceiptCose, Some(Code::Untrusted)));
}

#[test]
fn without_a_receipt_key_of_the_log_the_verdict_stays_open() {
    let plain = Policy::for_log(&world::keys().vkeys()).unwrap();
    let other = ReceiptSigningKey::from_seed(name("other"), &[12; 32]).unwrap();
    let others = plain.clone().with_receipt_keys(&[other.receipt_key().clone()]).unwrap();
    for policy in [None, Some(plain), Some(others)] {
        let report = verify::receipt(GOLDEN.as_bytes(), policy.as_ref());
        assert_eq!(report.verdict(), Verdict::Undecided, "{report:#?}");
        assert_eq!(report.check(CheckName::ReceiptCose).unwrap().status, Status::NotChecked);
    }
}

#[test]
fn one_of_several_receipt_keys_is_found_by_its_thumbprint() {
    let next = ReceiptSigningKey::from_seed(world::keys().origin().clone(), &[13; 32]).unwrap();
    let keys = [next.receipt_key().clone(), world::receipt_key().receipt_key().clone()];
    let policy = Policy::for_log(&world::keys().vkeys()).unwrap().with_receipt_keys(&keys).unwrap();
    assert_eq!(Policy::parse(&policy.to_bytes()).unwrap(), policy);
    assert_eq!(check(&golden(), &policy).verdict(), Verdict::Verified);
}

#[test]
fn a_policy_refuses_receipt_keys_that_are_none_or_have_another_purpose() {
    let policy = String::from_utf8(world::policy().to_bytes()).unwrap();
    let line = policy.lines().find(|line| line.starts_with("#receipt-key ")).unwrap();
    let [_, origin, key] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let log_key = ReceiptKey::new(name(origin), world::keys().vkeys()[0].public_key()).unwrap();
    let log_key = base64_encode(&log_key.to_cose());
    let fault = |from: &str, to: &str| match Policy::parse(policy.replacen(from, to, 1).as_bytes()) {
        Err(PolicyError::Line { fault, .. }) => fault,
        other => panic!("{to}: {other:?}"),
    };
    assert_eq!(fault(key, &log_key), LineFault::DuplicateKey);
    assert_eq!(fault(line, &format!("{line}\n{line}")), LineFault::DuplicateKey);
    for broken in [
        "#receipt-key".to_owned(),
        format!("#receipt-key {key}"),
        format!("{line} more"),
        line.replace(origin, "a+b"),
        line.replace("pAEB", "pAEC"),
        format!("{line}="),
        format!("#receipt-key {origin} {}", base64_encode(&[0; 42])),
    ] {
        assert_eq!(fault(line, &broken), LineFault::ReceiptKey, "{broken}");
    }
    // Any other word behind the mark is a comment, as readers of tlog-policy have it.
    for comment in ["# receipt-key", "#receipt-keys", "#"] {
        assert!(Policy::parse(policy.replacen(line, comment, 1).as_bytes()).is_ok(), "{comment}");
    }
}

#[test]
fn a_public_key_has_one_text_and_weak_ones_are_refused() {
    let key = world::receipt_key();
    let cose = key.receipt_key().to_cose();
    assert_eq!(hex_encode(&cose[..10]), "a4010103322006215820");
    assert_eq!(ReceiptKey::from_cose(name("a"), &cose).unwrap().kid(), key.receipt_key().kid());
    for at in 0..10 {
        let mut changed = cose.clone();
        changed[at] ^= 1;
        assert_eq!(ReceiptKey::from_cose(name("a"), &changed), Err(ReceiptKeyError::Form), "byte {at}");
    }
    assert_eq!(ReceiptKey::from_cose(name("a"), &cose[..41]), Err(ReceiptKeyError::Form));
    let weak = [&cose[..10], &[0; 32]].concat();
    assert!(matches!(ReceiptKey::from_cose(name("a"), &weak), Err(ReceiptKeyError::Key(_))));
}

#[test]
fn key_files_of_the_log_and_of_receipts_are_not_taken_for_each_other() {
    let key = world::receipt_key();
    let text = key.to_text();
    assert_eq!(ReceiptSigningKey::parse(&text).unwrap().receipt_key(), key.receipt_key());
    assert!(LogKeys::parse(&text).is_err());
    let log = world::keys().to_text();
    assert!(matches!(ReceiptSigningKey::parse(&log), Err(ReceiptSigningKeyError::Format)));
    assert!(format!("{key:?}").contains("hidden"));
}

#[test]
fn a_receipt_that_shows_less_or_was_anchored_keeps_it() {
    let narrowed = golden().narrowed(|path| path.as_str() == "outcome/action").unwrap();
    assert_eq!(narrowed.cose(), golden().cose());
    assert_eq!(check(&narrowed, &world::policy()).verdict(), Verdict::Verified);
    assert_eq!(golden().with_anchors(vec![]).unwrap().cose(), golden().cose());
}

#[test]
fn a_part_that_is_no_cose_receipt_is_refused_with_the_file() {
    let from = GOLDEN.find("0oRY").unwrap();
    let to = from + GOLDEN[from..].find('"').unwrap();
    for (part, is_base64) in [("0oRY", true), ("not base64", false), ("", true)] {
        let file = format!("{}{part}{}", &GOLDEN[..from], &GOLDEN[to..]);
        let error = Receipt::parse(file.as_bytes()).unwrap_err();
        assert_eq!(matches!(error, ReceiptError::Cose(_)), is_base64, "{error}");
        assert_eq!(only_failure(&verify::receipt(file.as_bytes(), None)).0, CheckName::ReceiptFormat);
    }
    let null = format!("{}null{}", &GOLDEN[..from - 1], &GOLDEN[to + 1..]);
    assert_eq!(Receipt::parse(null.as_bytes()).unwrap_err(), ReceiptError::NotCanonical);
}

#[test]
fn the_rung_is_the_highest_that_the_reader_s_own_trust_proves() {
    let (receipt, policy) = (golden(), world::policy());
    let rung = |policy: Option<&Policy>| verify::proved_rung(&receipt, policy, None);
    assert_eq!(rung(None), Rung::Sequenced);
    assert_eq!(rung(Some(&policy)), Rung::Included);
    let stranger = LogKeys::generate_from_seeds(&name("other"), [1; 32], [2; 32]).unwrap();
    assert_eq!(rung(Some(&Policy::for_log(&stranger.vkeys()).unwrap())), Rung::Sequenced);
    let witness = SigningKey::from_seed(name("witness.example"), SignatureType::Ed25519Cosignature, &[3; 32]);
    let witness = witness.unwrap();
    let text =
        policy.to_string().replace("quorum none", &format!("witness w {}\nquorum w", witness.verifier_key()));
    let witnessed = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(rung(Some(&witnessed)), Rung::Included, "nobody cosigned");
    let checkpoint = receipt.checkpoint().checkpoint();
    let head = TreeHead {
        text: &checkpoint.to_string(),
        origin: &checkpoint.origin,
        size: checkpoint.size,
        root: &checkpoint.root,
    };
    let line = cosignature::sign(&witness, CosignedAt::new(1_795_000_000).unwrap(), &head).unwrap();
    let cosigned = Receipt::new(
        receipt.entry_bytes().to_vec(),
        receipt.disclosure().clone(),
        receipt.index(),
        receipt.proof().to_vec(),
        format!("{}{line}\n", receipt.tlog_proof().checkpoint),
    );
    assert_eq!(verify::proved_rung(&cosigned.unwrap(), Some(&witnessed), None), Rung::Witnessed);
    let rungs = [Rung::Sequenced, Rung::Included, Rung::Witnessed, Rung::Timestamped, Rung::Anchored];
    assert!(rungs.is_sorted() && rungs.iter().all(|rung| rung.does_not_prove().len() > 20));
}

/// A Python that has what `requirements` names.
fn python_with(requirements: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made =
        Command::new(root.join("scripts/py-env")).arg(root.join("tests/oracle").join(requirements)).output();
    let python = made.as_ref().ok().filter(|made| made.status.success());
    let python = python.map(|made| String::from_utf8_lossy(&made.stdout).trim().to_owned());
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(python.is_some() || !ci, "Python and its packages are needed under CI=true: {made:?}");
    if python.is_none() {
        println!("skipped because a Python with its packages cannot be had");
    }
    python
}

#[test]
fn an_independent_implementation_accepts_the_golden_one_and_refuses_every_changed_byte() {
    let Some(python) = python_with("cose_requirements.txt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let receipt = golden();
    put("receipt.cose", &receipt.cose().unwrap().encode());
    put("entry.cbor", receipt.entry_bytes());
    put("key.cbor", &world::receipt_key().receipt_key().to_cose());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = Command::new(python)
        .args(["-W", "ignore"])
        .arg(root.join("tests/oracle/cose_receipt.py"))
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let bytes = receipt.cose().unwrap().encode().len();
    assert!(said.contains("verified") && said.contains(&format!("{bytes} changed bytes refused")), "{said}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(receipt) = CoseReceipt::decode(&bytes) {
            prop_assert_eq!(receipt.encode(), bytes);
        }
    }

    #[test]
    fn what_decodes_after_a_change_is_its_own_encoding(at in 0_usize..320, value in any::<u8>()) {
        let mut bytes = golden().cose().unwrap().encode();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        if let Ok(receipt) = CoseReceipt::decode(&bytes) {
            prop_assert_eq!(receipt.encode(), bytes);
        }
    }
}
