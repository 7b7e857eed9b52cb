//! Receipts of random logs, signed with the golden log's keys, some with witnesses.

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::cosignature::{self, CosignedAt, TreeHead};
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SealedRef, SessionId};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::note::{SignatureType, SigningKey};
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value};
use ledgerstone::time::UnixMillis;

use super::{Rng, Subject};
use crate::world;

pub fn golden_policy() -> Vec<u8> {
    world::policy().to_bytes()
}

pub fn golden(text: &str) -> Subject {
    Subject { file: text.as_bytes().to_vec(), policy: Some(golden_policy()), how: vec!["golden"] }
}

/// A receipt of a log of its own, with fields of every type.
pub fn receipt(rng: &mut Rng) -> Subject {
    let (file, _) = random(rng);
    Subject { file: file.to_json().into_bytes(), policy: Some(golden_policy()), how: vec!["random log"] }
}

/// The same, cosigned by some of three witnesses, with a policy that asks for some of them.
pub fn witnessed(rng: &mut Rng) -> Subject {
    let (receipt, checkpoint) = random(rng);
    let names = ["witness.example/a", "witness.example/b", "witness.example/c"];
    let types = [SignatureType::Ed25519Cosignature, SignatureType::MlDsa44Cosignature];
    let mut note = receipt.tlog_proof().checkpoint;
    let mut policy = String::from_utf8(golden_policy()).unwrap().replace("quorum none\n", "");
    let text = checkpoint.to_string();
    let head =
        TreeHead { text: &text, origin: &checkpoint.origin, size: checkpoint.size, root: &checkpoint.root };
    for (at, name) in names.iter().enumerate() {
        let key = SigningKey::from_seed(name.parse().unwrap(), types[at % 2], &[40 + at as u8; 32]).unwrap();
        policy.push_str(&format!("witness w{at} {}\n", ledgerstone::note::Signer::verifier_key(&key)));
        if rng.percent(70) {
            let time = CosignedAt::new(rng.u64() >> rng.one_of(&[1, 20, 33])).unwrap();
            note.push_str(&format!("{}\n", cosignature::sign(&key, time, &head).unwrap()));
        }
    }
    policy.push_str(&format!(
        "group some {} w0 w1\ngroup all all some w2\n",
        rng.one_of(&["any", "1", "2", "all"])
    ));
    policy.push_str(&format!("quorum {}\n", rng.one_of(&["w0", "some", "some", "all", "none"])));
    let tlog = receipt.tlog_proof();
    let disclosure = receipt.disclosure().clone();
    let receipt =
        Receipt::new(receipt.entry_bytes().to_vec(), disclosure, tlog.index, tlog.hashes, note).unwrap();
    let how = vec!["random log with witnesses"];
    Subject { file: receipt.to_json().into_bytes(), policy: Some(policy.into_bytes()), how }
}

fn random(rng: &mut Rng) -> (Receipt, Checkpoint) {
    let record = record(rng);
    let secret = RecordSecret::from_bytes([rng.below(256) as u8; 32]);
    let tree = record.commit(&secret);
    let mut entry = entry(rng);
    entry.commitment = Some(tree.commitment());
    let entry = entry.encode().unwrap();
    let size = rng.one_of(&[1, 2, 3, 7, 8, 9, 100, 257, 1000]);
    let index = rng.below(size);
    let leaves =
        (0..size).map(|leaf| if leaf == index { leaf_hash(&entry) } else { Hash::of(&leaf.to_be_bytes()) });
    let nodes: MemoryNodes = leaves.collect();
    let (index, size) = (LeafIndex::new(index as u64), TreeSize::new(size as u64));
    let proof = inclusion::prove(&nodes, index, size).unwrap();
    let chance = rng.one_of(&[10, 50, 90, 100]);
    let mut shown: Vec<usize> = (0..record.fields().len()).filter(|_| rng.percent(chance)).collect();
    if shown.is_empty() {
        shown.push(rng.below(record.fields().len()));
    }
    let disclosure = tree.disclose(&shown).unwrap();
    let checkpoint = world::keys().checkpoint(size, nodes.root());
    let note = world::keys().sign(&checkpoint);
    let receipt = Receipt::new(entry, disclosure, index, proof, note).unwrap();
    let with_cose = size.get() > 1 && rng.percent(40);
    (if with_cose { world::with_cose(receipt) } else { receipt }, checkpoint)
}

fn entry(rng: &mut Rng) -> Entry {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&rng.u64().to_be_bytes());
    let session = SessionId::from_bytes([rng.below(256) as u8; 16]);
    let details = DecisionDetails { status: rng.one_of(&[0, 1, 13, u32::MAX]) };
    let commitment = ledgerstone::record::Commitment { root: Hash::of(b""), count: 1 };
    let id = DecisionId::from_bytes(id);
    let writer = rng.one_of(&["a", "lending-1", "a.b_c-9"]).parse().unwrap();
    let mut entry = Entry::decision(writer, session, rng.u64() >> rng.below(64), id, commitment, details);
    entry.recorded_at = UnixMillis::new(rng.u64() >> rng.below(64));
    entry.model = rng.percent(50).then(|| Hash::of(b"model"));
    entry.policy = rng.percent(30).then(|| Hash::of(b"policy"));
    entry.mode = rng.percent(50).then(|| rng.one_of(&[Mode::Strict, Mode::Bounded, Mode::Observe]));
    if rng.percent(30) {
        entry.sealed = Some(SealedRef { digest: Hash::of(b"sealed"), length: rng.u64() >> rng.below(64) });
    }
    if rng.percent(20) {
        let first = rng.below(1 << 20) as u64;
        entry.links = (0..1 + rng.below(32) as u64).map(|at| LeafIndex::new(first + at * 300)).collect();
    }
    entry
}

fn record(rng: &mut Rng) -> Record {
    let width = rng.one_of(&[1, 2, 3, 8, 20, 70]);
    let count = 1 + rng.below(width);
    let mut builder = RecordBuilder::new();
    for at in 0..count {
        let path = match rng.below(4) {
            0 => FieldPath::parse("explanation/reason")
                .unwrap()
                .place(at as u32)
                .unwrap()
                .child("text")
                .unwrap(),
            1 => FieldPath::parse("input/feature")
                .unwrap()
                .child(&format!("öl & <b>{at}</b>\u{202e}"))
                .unwrap(),
            _ => FieldPath::parse("output/score").unwrap().child(&format!("s{at}")).unwrap(),
        };
        builder = builder.field(path, value(rng, 0)).unwrap();
    }
    builder.build().unwrap()
}

pub fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth < 4 { 7 } else { 6 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.percent(50)),
        2 => {
            let size = i128::from(rng.u64() >> rng.below(64));
            Value::Int(if rng.percent(50) { size } else { -1 - size })
        }
        3 => Value::Float(float(rng)),
        4 => Value::Text(text(rng)),
        5 => Value::Bytes((0..rng.below(40)).map(|_| rng.below(256) as u8).collect()),
        _ => Value::Array((0..rng.below(4)).map(|_| value(rng, depth + 1)).collect()),
    }
}

pub fn float(rng: &mut Rng) -> f64 {
    match rng.below(6) {
        0 => rng.one_of(&[
            0.0,
            -0.0,
            1.0,
            1e15,
            1e16,
            1e17,
            1e-4,
            1e-5,
            1e-6,
            123_456_789_012_345_680.0,
            5e-324,
        ]),
        1 => rng.one_of(&[
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            0.1,
            2.5e-7,
        ]),
        2 => (rng.u64() >> 12) as f64 / 1024.0,
        3 => (rng.u64() >> rng.below(64)) as f64,
        _ => f64::from_bits(rng.u64()),
    }
}

fn text(rng: &mut Rng) -> String {
    let parts = [
        "deny",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "\t",
        "\u{8}",
        "\u{c}",
        "\u{0}",
        "\u{1f}",
        "\u{7f}",
        "é",
        "☂",
        "😀",
        "\u{202e}",
        "</script>",
        "/",
    ];
    (0..rng.below(6)).map(|_| rng.one_of(&parts)).collect()
}
