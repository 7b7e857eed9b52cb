//! A small log with fixed keys, times and records, so that everything made from it is the same bytes each time.
#![allow(dead_code, reason = "each test and bench uses its part")]

use std::collections::BTreeMap;

use ledgerstone::checkpoint::{Checkpoint, LogKeys};
use ledgerstone::code::CheckName;
use ledgerstone::cose::{CoseReceipt, ReceiptSigningKey};
use ledgerstone::entry::{
    DecisionDetails, DecisionId, Entry, GapDetails, GapReason, HeartbeatDetails, Mode, SealedRef, SessionId,
    StartDetails, WriterName,
};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{Commitment, FieldPath, Record, RecordBuilder, RecordSecret, Value};
use ledgerstone::tile::{EntryBundle, TILE_WIDTH, TileEdge};
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::log::{DerivedTile, Walk};
use ledgerstone::verify::{Check, Status};

/// When the first entry was recorded: 2026-11-18T11:06:40Z.
const BEGIN: u64 = 1_795_000_000_000;

pub(crate) fn keys() -> LogKeys {
    LogKeys::generate_from_seeds(&"log.bank.example/lending".parse().unwrap(), [1; 32], [2; 32]).unwrap()
}

/// The key that signs COSE receipts.
pub(crate) fn receipt_key() -> ReceiptSigningKey {
    ReceiptSigningKey::from_seed(keys().origin().clone(), &[10; 32]).unwrap()
}

pub(crate) fn policy() -> Policy {
    let policy = Policy::for_log(&keys().vkeys()).unwrap();
    policy.with_receipt_keys(&[receipt_key().receipt_key().clone()]).unwrap()
}

/// The same receipt with its COSE receipt.
pub(crate) fn with_cose(receipt: Receipt) -> Receipt {
    let (leaf, size) = (leaf_hash(receipt.entry_bytes()), receipt.checkpoint().checkpoint().size);
    let cose =
        CoseReceipt::sign(&receipt_key(), &leaf, receipt.index(), size, receipt.proof().to_vec()).unwrap();
    receipt.with_cose(cose)
}

/// Writes the entries of one session, giving out its sequence numbers.
pub(crate) struct Session {
    writer: WriterName,
    id: SessionId,
    pub(crate) sequence: u64,
}

impl Session {
    pub(crate) fn new(writer: &str, id: u8) -> Self {
        Self { writer: writer.parse().unwrap(), id: SessionId::from_bytes([id; 16]), sequence: 0 }
    }

    /// The next sequence number.
    pub(crate) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    pub(crate) fn start(&mut self, previous: Option<u8>) -> Entry {
        assert_eq!(self.next(), 0);
        let details = StartDetails {
            version: "0.1.0".to_owned(),
            configuration: Hash::of(b"configuration"),
            previous_session: previous.map(|id| SessionId::from_bytes([id; 16])),
        };
        Entry::start(self.writer.clone(), self.id, details)
    }

    pub(crate) fn decision(&mut self) -> Entry {
        let sequence = self.next();
        self.decision_at(sequence)
    }

    pub(crate) fn decision_at(&self, sequence: u64) -> Entry {
        let mut id = [0; 16];
        id[0] = self.id.as_bytes()[0];
        id[8..].copy_from_slice(&sequence.to_be_bytes());
        let commitment = Commitment { root: Hash::of(&id), count: 12 };
        let details = DecisionDetails { status: 0 };
        let id = DecisionId::from_bytes(id);
        let mut entry = Entry::decision(self.writer.clone(), self.id, sequence, id, commitment, details);
        entry.model = Some(Hash::of(b"model"));
        entry.mode = Some(Mode::Strict);
        entry
    }

    pub(crate) fn heartbeat(&mut self, lowest_in_flight: u64) -> Entry {
        let sequence = self.next();
        let details = HeartbeatDetails { in_flight: sequence - lowest_in_flight, lowest_in_flight };
        Entry::heartbeat(self.writer.clone(), self.id, sequence, details)
    }

    pub(crate) fn gap(&mut self, first: u64, last: u64) -> Entry {
        let sequence = self.next();
        let details = GapDetails { first, last, reason: GapReason::NotRecorded };
        Entry::gap(self.writer.clone(), self.id, sequence, details)
    }

    pub(crate) fn stop(&mut self) -> Entry {
        let sequence = self.next();
        Entry::stop(self.writer.clone(), self.id, sequence)
    }
}

/// One session with `decisions` decisions between its start and its stop.
pub(crate) fn whole_session(id: u8, decisions: u64) -> Vec<Entry> {
    let mut session = Session::new("lending-1", id);
    let mut entries = vec![session.start(None)];
    entries.extend((0..decisions).map(|_| session.decision()));
    entries.push(session.stop());
    entries
}

/// A log as it lies on disk: every file under its path, and the checkpoint.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) checkpoint: Checkpoint,
}

/// Entries as the log appends them: each with a time a little later than the one before.
pub(crate) fn stamped(entries: &[Entry]) -> Vec<Vec<u8>> {
    let stamp = |(at, entry): (u64, &Entry)| {
        let entry = Entry { recorded_at: UnixMillis::new(BEGIN + at * 7), ..entry.clone() };
        entry.encode().unwrap()
    };
    (0..).zip(entries).map(stamp).collect()
}

impl Log {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        Self::of_bytes(&stamped(entries))
    }

    pub(crate) fn of_bytes(entries: &[Vec<u8>]) -> Self {
        let mut files = BTreeMap::new();
        let mut edge = TileEdge::empty();
        for entry in entries {
            edge.push(leaf_hash(entry), &mut |path, bytes| _ = files.insert(path.to_string(), bytes));
        }
        files.extend(edge.partials().map(|(path, bytes)| (path.to_string(), bytes)));
        let checkpoint = keys().checkpoint(edge.size(), edge.root());
        let mut walk = Walk::new(vec![checkpoint.clone()]);
        for bundle in entries.chunks(usize::from(TILE_WIDTH)) {
            let (path, bytes) = (walk.next_bundle().unwrap(), EntryBundle::encode(bundle).unwrap());
            walk.bundle(&bytes);
            files.insert(path.to_string(), bytes);
        }
        Self { files, checkpoint }
    }

    /// Walks the log as a verifier does.
    pub(crate) fn walk(&self) -> Vec<Check> {
        self.walk_with(vec![self.checkpoint.clone()])
    }

    pub(crate) fn walk_with(&self, checkpoints: Vec<Checkpoint>) -> Vec<Check> {
        let mut walk = Walk::new(checkpoints);
        while let Some(path) = walk.next_bundle() {
            match self.files.get(&path.to_string()) {
                Some(bytes) => {
                    let tiles = walk.bundle(bytes);
                    self.compare(&mut walk, tiles);
                }
                None => walk.bundle_missing("It is missing."),
            }
        }
        let tiles = walk.partial_tiles();
        self.compare(&mut walk, tiles);
        walk.finish()
    }

    fn compare(&self, walk: &mut Walk, tiles: Vec<DerivedTile>) {
        for tile in tiles {
            walk.tile(&tile, self.files.get(&tile.path.to_string()).map(Vec::as_slice));
        }
    }
}

pub(crate) fn failed(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.status == Status::Failed).collect()
}

/// The check of that name.
pub(crate) fn check(checks: &[Check], name: CheckName) -> &Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

/// The one check that failed.
pub(crate) fn only_failure(checks: &[Check]) -> &Check {
    let failed = failed(checks);
    assert_eq!(failed.len(), 1, "{checks:#?}");
    failed.into_iter().next().unwrap()
}

/// The record behind the golden receipt.
pub(crate) fn record() -> Record {
    let fields: [(&str, Value); 12] = [
        ("decision/id", Value::Text(decision_id().to_string())),
        ("decision/route", Value::Text("lending".to_owned())),
        ("delivery/mode", Value::Text("strict".to_owned())),
        ("input/feature/dti", Value::Float(0.36)),
        ("input/feature/loan_amount", Value::Int(182_000)),
        ("model/digest", Value::Bytes(Hash::of(b"model").as_bytes().to_vec())),
        ("model/name", Value::Text("lending".to_owned())),
        ("model/threshold", Value::Float(0.5)),
        ("outcome/action", Value::Text("deny".to_owned())),
        ("outcome/adverse", Value::Bool(true)),
        ("output/score/approve", Value::Float(0.1875)),
        ("time/decided", Value::Int(1_795_000_000_041)),
    ];
    let add = |builder: RecordBuilder, (path, value): (&str, Value)| {
        builder.field(FieldPath::parse(path).unwrap(), value).unwrap()
    };
    fields.into_iter().fold(RecordBuilder::new(), add).build().unwrap()
}

pub(crate) fn decision_id() -> DecisionId {
    "01a1ee56-5e1c-7c41-9c55-0f1e2d3c4b5a".parse().unwrap()
}

/// The log behind the golden receipt: eleven entries, the decision at index 6.
pub(crate) fn golden_entries() -> Vec<Vec<u8>> {
    let record = record();
    let commitment = record.commit(&RecordSecret::from_bytes([3; 32])).commitment();
    let mut entries = whole_session(7, 9);
    entries[6].decision = Some(decision_id());
    entries[6].commitment = Some(commitment);
    entries[6].sealed = Some(SealedRef { digest: Hash::of(b"sealed record"), length: 1_337 });
    stamped(&entries)
}

/// Discloses everything but the inputs, as a receipt for the person concerned does.
pub(crate) fn golden_receipt() -> Receipt {
    let entries = golden_entries();
    let nodes: MemoryNodes = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let (index, size) = (LeafIndex::new(6), TreeSize::new(entries.len() as u64));
    let proof = inclusion::prove(&nodes, index, size).unwrap();
    let record = record();
    let secret = RecordSecret::from_bytes([3; 32]);
    let shown = record.indices(|path| !path.as_str().starts_with("input/"));
    let disclosure = record.commit(&secret).disclose(&shown).unwrap();
    let note = keys().sign(&keys().checkpoint(size, nodes.root()));
    Receipt::new(entries[6].clone(), disclosure, index, proof, note).unwrap()
}
