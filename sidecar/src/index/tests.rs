//! The index is derived: whatever happens to it, it is either right or empty.

use std::fs;

use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Kind, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::time::UnixMillis;

use super::*;

/// The key of a person.
fn key(person: u64) -> SubjectKeyId {
    SubjectKeyId::from_bytes([u8::try_from(person).unwrap(); 16])
}

fn decision_id(n: u8) -> DecisionId {
    DecisionId::from_bytes([n; 16])
}

/// The entry at `index`: a decision of its own, recorded at `1000 + index`, by one of two models, about one of three
/// persons.
fn indexed(index: u64) -> Indexed {
    let writer = WriterName::parse("w").unwrap();
    let mut entry = Entry::new(Kind::Decision, writer, SessionId::from_bytes([1; 16]), index);
    entry.decision = Some(decision_id(u8::try_from(index % 251).unwrap()));
    entry.recorded_at = UnixMillis::new(1000 + index);
    entry.model = Some(Hash::of(&[u8::try_from(index % 2).unwrap()]));
    entry.details = DecisionDetails { status: 0 }.into();
    Indexed { index: LeafIndex::new(index), entry, keys: vec![key(index % 3)] }
}

struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The directory of the one database.
    fn database(&self) -> PathBuf {
        let mut generations = fs::read_dir(self.dir.path().join("index")).unwrap();
        let path = generations.next().unwrap().unwrap().path();
        assert!(generations.next().is_none(), "two generations are left");
        path
    }

    fn open(&self, size: u64) -> Index {
        self.open_as(Hash::of(b"log"), size)
    }

    fn open_as(&self, origin: Hash, size: u64) -> Index {
        Index::open(&self.dir.path().join("index"), origin, TreeSize::new(size)).unwrap()
    }

    fn with(self, entries: u64) -> Self {
        let index = self.open(0);
        index.add(&(0..entries).map(indexed).collect::<Vec<_>>()).unwrap();
        self
    }
}

fn covered(index: &Index) -> u64 {
    index.covered().borrow().get()
}

fn leaves(found: &[LeafIndex]) -> Vec<u64> {
    found.iter().map(|index| index.get()).collect()
}

#[test]
fn finds_entries_by_decision_subject_model_and_time() {
    let disk = Disk::new();
    let index = disk.open(0);
    index.add(&(0..4).map(indexed).collect::<Vec<_>>()).unwrap();
    let mut later = indexed(4);
    later.entry.kind = Kind::Review;
    later.entry.decision = Some(decision_id(1));
    later.keys.clear();
    index.add(&[later]).unwrap();
    assert_eq!(
        index.by_decision(&decision_id(1)).unwrap(),
        [(LeafIndex::new(1), Kind::Decision), (LeafIndex::new(4), Kind::Review)]
    );
    assert_eq!(index.by_decision(&decision_id(9)).unwrap(), []);
    assert_eq!(leaves(&index.by_key(&key(0)).unwrap()), [0, 3]);
    assert_eq!(leaves(&index.by_key(&key(9)).unwrap()), [0_u64; 0]);
    assert_eq!(leaves(&index.by_model(&Hash::of(&[1])).unwrap()), [1, 3]);
    let (from, until) = (UnixMillis::new(1001), UnixMillis::new(1003));
    assert_eq!(leaves(&index.by_time(from, until).unwrap()), [1, 2]);
    assert_eq!(covered(&index), 5);
}

#[test]
fn finds_what_registers_a_model_or_a_policy() {
    let disk = Disk::new();
    let index = disk.open(0);
    let kinds = [Kind::Decision, Kind::Model, Kind::Heartbeat, Kind::Policy, Kind::Key];
    let entries = kinds.into_iter().zip(0..).map(|(kind, place)| {
        let mut indexed = indexed(place);
        indexed.entry.kind = kind;
        indexed
    });
    index.add(&entries.collect::<Vec<_>>()).unwrap();
    assert_eq!(leaves(&index.registrations().unwrap()), [1, 3]);
}

#[test]
fn keeps_what_it_covers_when_opened_again() {
    let disk = Disk::new().with(300);
    let index = disk.open(300);
    assert_eq!(covered(&index), 300);
    assert_eq!(index.by_key(&key(1)).unwrap().len(), 100);
}

#[test]
fn refuses_entries_out_of_order() {
    let disk = Disk::new().with(3);
    let index = disk.open(3);
    assert!(matches!(index.add(&[indexed(4)]), Err(IndexError::OutOfOrder)));
    assert!(matches!(index.add(&[indexed(2)]), Err(IndexError::OutOfOrder)));
    index.add(&[indexed(3)]).unwrap();
}

#[test]
fn starts_again_when_ahead_of_the_log() {
    let disk = Disk::new().with(10);
    let index = disk.open(9);
    assert_eq!(covered(&index), 0);
    assert_eq!(index.by_decision(&decision_id(1)).unwrap(), []);
    index.add(&[indexed(0)]).unwrap();
}

#[test]
fn starts_again_when_it_is_another_logs() {
    let disk = Disk::new().with(10);
    let index = disk.open_as(Hash::of(b"another log"), 10);
    assert_eq!(covered(&index), 0);
}

#[test]
fn starts_again_or_stays_right_when_a_file_is_damaged() {
    let mut started_again = 0;
    for damage in 0..24 {
        let disk = Disk::new().with(200);
        let path = disk.database();
        let file = if damage % 3 == 0 { path.join("conf") } else { path.join("db") };
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.len() * damage / 24;
        match damage % 2 {
            0 => bytes[at] ^= 0x55,
            _ => bytes.truncate(at),
        }
        fs::write(&file, bytes).unwrap();
        let index = disk.open(200);
        let size = covered(&index);
        if size < 200 {
            started_again += 1;
        }
        index.add(&(size..200).map(indexed).collect::<Vec<_>>()).unwrap();
        for n in 0..200 {
            let found = index.by_decision(&decision_id(n)).unwrap();
            assert_eq!(found, [(LeafIndex::new(u64::from(n)), Kind::Decision)], "damage {damage}");
        }
    }
    assert!(started_again > 0, "no damage was noticed: the test damages nothing");
}

#[test]
fn an_index_with_foreign_content_is_unusable_until_it_is_reset() {
    let disk = Disk::new().with(3);
    let database = loop {
        if let Ok(database) = sled::open(disk.database()) {
            break database;
        }
    };
    let mut key = keys::decision(&decision_id(1));
    key.push(0);
    database.insert(key, &[]).unwrap();
    drop(database);
    let index = disk.open(3);
    assert!(matches!(index.by_decision(&decision_id(1)), Err(IndexError::Damaged)));
    assert!(!index.is_usable());
    assert!(matches!(index.by_decision(&decision_id(2)), Err(IndexError::Unusable)));
    index.reset().unwrap();
    assert_eq!(covered(&index), 0);
    index.add(&[indexed(0), indexed(1)]).unwrap();
    assert_eq!(index.by_decision(&decision_id(1)).unwrap().len(), 1);
}
