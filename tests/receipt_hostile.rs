//! Receipts that somebody put together to deceive, and what can be guessed from honest ones.
//!
//! Danger: parts of two honest receipts make a third that verifies; a proof carries more than it proves; a log that calls itself by
//! another's name is believed; a huge file stops the verifier; or a value with few possibilities is found by trying them.
//! Expected: each is refused, by the check that is there for it; trying finds nothing, and would where fields were not salted.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures time"
)]

mod world;

use std::time::{Duration, Instant};

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::disclosure;
use ledgerstone::entry::Entry;
use ledgerstone::hash::{Hash, hmac_sha256, leaf_hash};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{Commitment, Disclosure, FieldPath, Opening, RecordSecret, Value};
use ledgerstone::verify::{self, Report, Status, Verdict};

/// The golden log with a second decision of the same fields at index 7, whose record has another secret.
fn two_decisions() -> Vec<Vec<u8>> {
    let mut entries = world::golden_entries();
    let mut other = Entry::decode(&entries[7]).unwrap();
    other.commitment = Some(world::record().commit(&RecordSecret::from_bytes([9; 32])).commitment());
    entries[7] = other.encode().unwrap();
    entries
}

/// A receipt of the decision at `index`, whose record has the secret `secret`, showing the fields `shown`.
fn receipt(index: u64, secret: u8, shown: &[usize]) -> Receipt {
    let entries = two_decisions();
    let nodes: MemoryNodes = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let (index, size) = (LeafIndex::new(index), TreeSize::new(entries.len() as u64));
    let record = world::record();
    let disclosure = record.commit(&RecordSecret::from_bytes([secret; 32])).disclose(shown).unwrap();
    let proof = inclusion::prove(&nodes, index, size).unwrap();
    let note = world::keys().sign(&world::keys().checkpoint(size, nodes.root()));
    let entry = entries[usize::try_from(index.get()).unwrap()].clone();
    Receipt::new(entry, disclosure, index, proof, note).unwrap()
}

/// `receipt` with this disclosure in place of its own.
fn showing(receipt: &Receipt, disclosure: Disclosure) -> Receipt {
    let note = receipt.checkpoint().note().to_string();
    Receipt::new(receipt.entry_bytes().to_vec(), disclosure, receipt.index(), receipt.proof().to_vec(), note)
        .unwrap()
}

fn check(receipt: &Receipt, policy: &Policy) -> Report {
    verify::receipt(receipt.to_json().as_bytes(), Some(policy))
}

fn only_failure(report: &Report) -> CheckName {
    let failed: Vec<_> = report.checks().iter().filter(|check| check.status == Status::Failed).collect();
    assert_eq!(failed.len(), 1, "{report:#?}");
    failed[0].name
}

#[test]
fn fields_of_another_record_of_the_same_log_fail_whole_or_one_by_one() {
    let (one, other) = (receipt(6, 3, &[0, 8, 9]), receipt(7, 9, &[0, 8, 9]));
    let policy = world::policy();
    assert_eq!(check(&one, &policy).verdict(), Verdict::Verified);
    assert_eq!(check(&other, &policy).verdict(), Verdict::Verified);
    let whole = showing(&one, other.disclosure().clone());
    assert_eq!(only_failure(&check(&whole, &policy)), CheckName::ReceiptFields);
    for at in 0..3 {
        let mut mixed = one.disclosure().clone();
        mixed.openings[at] = other.disclosure().openings[at].clone();
        assert_eq!(only_failure(&check(&showing(&one, mixed), &policy)), CheckName::ReceiptFields, "{at}");
    }
    let mut proof = one.disclosure().clone();
    proof.proof[0] = other.disclosure().proof[0];
    assert_eq!(only_failure(&check(&showing(&one, proof), &policy)), CheckName::ReceiptFields);
}

#[test]
fn openings_for_another_index_and_paths_that_stand_twice_are_refused() {
    let (honest, policy) = (receipt(6, 3, &[0, 8, 9]), world::policy());
    let refused = |change: &dyn Fn(&mut Vec<Opening>)| {
        let mut disclosure = honest.disclosure().clone();
        change(&mut disclosure.openings);
        assert_eq!(only_failure(&check(&showing(&honest, disclosure), &policy)), CheckName::ReceiptFields);
    };
    refused(&|openings| openings[1].index = 7);
    refused(&|openings| openings[2].index = 10);
    refused(&|openings| openings[2].index = 12);
    refused(&|openings| openings[2].index = u32::MAX);
    // The value of one field at the place of the other.
    refused(&|openings| {
        let (one, other) = (openings[1].value.clone(), openings[2].value.clone());
        openings[1].value = other;
        openings[2].value = one;
    });
    refused(&|openings| {
        let path = openings[1].path.clone();
        openings[2].path = path;
    });
    refused(&|openings| openings.insert(1, openings[0].clone()));
    refused(&|openings| openings.swap(0, 1));
}

#[test]
fn a_field_proof_with_a_hash_too_many_or_far_too_many_is_refused() {
    let (honest, policy) = (receipt(6, 3, &[0, 8, 9]), world::policy());
    let needed = honest.disclosure().proof.len();
    for length in (0..needed).chain([needed + 1, needed * 2, 4_096, 50_000]) {
        let mut disclosure = honest.disclosure().clone();
        let filler = disclosure.proof[0];
        disclosure.proof.resize(length, filler);
        let started = Instant::now();
        let report = check(&showing(&honest, disclosure), &policy);
        assert_eq!(only_failure(&report), CheckName::ReceiptFields, "{length}");
        assert!(started.elapsed() < Duration::from_secs(5), "{length} hashes took {:?}", started.elapsed());
    }
}

#[test]
fn a_log_that_calls_itself_by_another_s_name_is_not_believed() {
    let honest = world::golden_receipt();
    let impostor = LogKeys::generate_from_seeds(world::keys().origin(), [21; 32], [22; 32]).unwrap();
    let note = impostor.sign(honest.checkpoint().checkpoint());
    let forged = Receipt::new(
        honest.entry_bytes().to_vec(),
        honest.disclosure().clone(),
        honest.index(),
        honest.proof().to_vec(),
        note,
    );
    let report = check(&forged.unwrap(), &world::policy());
    assert_eq!(only_failure(&report), CheckName::CheckpointSignatures);
    assert_eq!(report.check(CheckName::CheckpointSignatures).unwrap().code, Some(Code::Untrusted));
}

#[test]
fn an_older_checkpoint_of_the_same_log_proves_no_entry_that_came_after_it() {
    let (honest, policy) = (world::golden_receipt(), world::policy());
    let entries = world::golden_entries();
    for size in [1_u64, 3, 6, 7, 10] {
        let head = &entries[..usize::try_from(size).unwrap()];
        let nodes: MemoryNodes = head.iter().map(|entry| leaf_hash(entry)).collect();
        let note = world::keys().sign(&world::keys().checkpoint(TreeSize::new(size), nodes.root()));
        let old = |proof| {
            let entry = honest.entry_bytes().to_vec();
            Receipt::new(entry, honest.disclosure().clone(), honest.index(), proof, note.clone()).unwrap()
        };
        let report = check(&old(honest.proof().to_vec()), &policy);
        assert_eq!(only_failure(&report), CheckName::ReceiptInclusion, "{size}");
        // With the proof that belongs to it, an older tree that has the entry proves as much as a newer one.
        if let Ok(proof) = inclusion::prove(&nodes, honest.index(), TreeSize::new(size)) {
            assert_eq!(check(&old(proof), &policy).verdict(), Verdict::Verified, "{size}");
        }
    }
}

#[test]
fn a_file_of_100_mb_is_refused_before_it_is_read() {
    let mut file = world::golden_receipt().to_json().into_bytes();
    file.resize(100_000_000, b' ');
    let started = Instant::now();
    let report = verify::receipt(&file, Some(&world::policy()));
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    let check = report.check(CheckName::ReceiptFormat).unwrap();
    assert_eq!((check.status, check.code), (Status::Failed, Some(Code::Limit)));
}

/// What somebody with an entry and a receipt of it can try for the closed field at `index`: every value that comes into question,
/// with every salt that they have or can think of. The hash that they try to meet stands in the receipt.
fn guessed(
    receipt: &Disclosure,
    commitment: Commitment,
    index: u32,
    path: &str,
    among: &[Value],
) -> Option<Value> {
    let path = FieldPath::parse(path).unwrap();
    let mut salts: Vec<[u8; 32]> = receipt.openings.iter().map(|opening| opening.salt).collect();
    salts.extend([[0; 32], [0xff; 32], *Hash::of(b"").as_bytes(), *commitment.root.as_bytes()]);
    // Salts are derived from a secret and the path: perhaps from one that can be known.
    let secrets = [[0; 32], [0xff; 32], *commitment.root.as_bytes()];
    salts.extend(secrets.iter().map(|secret| hmac_sha256(secret, path.as_str().as_bytes())));
    let openings =
        salts.iter().copied().map(|salt| Opening { index, path: path.clone(), salt, value: Value::Null });
    for opening in openings {
        for value in among {
            let tried = Opening { value: value.clone(), ..opening.clone() };
            if receipt.proof.contains(&tried.leaf_hash(commitment.count)) {
                return Some(value.clone());
            }
        }
    }
    None
}

/// The record's tree as it would be if nothing were salted, and what discloses one field of it.
fn unsalted(shown: u32) -> (Disclosure, Commitment) {
    let record = world::record();
    let count = u32::try_from(record.fields().len()).unwrap();
    let opening = |(index, (path, value)): (u32, &(FieldPath, Value))| Opening {
        index,
        path: path.clone(),
        salt: [0; 32],
        value: value.clone(),
    };
    let openings: Vec<Opening> =
        (0..).zip(fields(&record)).map(|(index, field)| opening((index, &field))).collect();
    let nodes: MemoryNodes = openings.iter().map(|opening| opening.leaf_hash(count)).collect();
    let size = TreeSize::new(u64::from(count));
    let proof = inclusion::prove(&nodes, LeafIndex::new(u64::from(shown)), size).unwrap();
    let openings = vec![openings[shown as usize].clone()];
    (Disclosure { openings, proof }, Commitment { root: nodes.root(), count })
}

fn fields(record: &ledgerstone::record::Record) -> Vec<(FieldPath, Value)> {
    record.fields().iter().map(|field| (field.path.clone(), field.value.clone())).collect()
}

#[test]
fn trying_every_value_finds_a_closed_field_only_where_nothing_is_salted() {
    // The receipt shows `outcome/action`; its neighbour in the tree, `outcome/adverse`, stays closed and has two values.
    let (shown, closed, path) = (8_u32, 9, "outcome/adverse");
    let among = [Value::Bool(false), Value::Bool(true)];
    let (plain, plain_commitment) = unsalted(shown);
    disclosure::verify(&plain, &plain_commitment).unwrap();
    assert_eq!(guessed(&plain, plain_commitment, closed, path, &among), Some(Value::Bool(true)));

    let tree = world::record();
    let tree = tree.commit(&RecordSecret::from_bytes([3; 32]));
    let salted = tree.disclose(&[shown as usize]).unwrap();
    assert_eq!(salted.proof.len(), plain.proof.len(), "the same hashes stand in both");
    assert_eq!(guessed(&salted, tree.commitment(), closed, path, &among), None);
    // The hash that is tried for is there: with the field's own salt, which only the sealed record has, it is met.
    let own = tree.disclose(&[closed as usize]).unwrap().openings.remove(0);
    assert!(salted.proof.contains(&own.leaf_hash(tree.commitment().count)));
}

#[test]
fn trying_every_value_against_the_entry_alone_finds_nothing_either() {
    // Somebody knows every field but one, the amount in whole euros, and has the entry.
    let (record, hidden) = (world::record(), 4_usize);
    let all = fields(&record);
    let count = u32::try_from(all.len()).unwrap();
    let root = |value: &Value| -> Hash {
        let leaves = all.iter().enumerate().map(|(at, (path, known))| Opening {
            index: u32::try_from(at).unwrap(),
            path: path.clone(),
            salt: [0; 32],
            value: if at == hidden { value.clone() } else { known.clone() },
        });
        leaves.map(|opening| opening.leaf_hash(count)).collect::<MemoryNodes>().root()
    };
    let tried =
        |commitment: Commitment| (181_900..182_100).find(|n| root(&Value::Int(*n)) == commitment.root);
    assert_eq!(tried(unsalted(0).1), Some(182_000));
    assert_eq!(tried(record.commit(&RecordSecret::from_bytes([3; 32])).commitment()), None);
}
