use super::*;
use crate::entry::{DecisionDetails, DecisionId, Kind, SealedRef, SessionId, WriterName};
use crate::merkle::memory::MemoryNodes;
use crate::record::{FieldPath, RecordBuilder, RecordSecret, encode_contents};
use crate::time::UnixMillis;

fn contents(number: u64) -> (RecordSecret, Zeroizing<Vec<u8>>, crate::record::Commitment) {
    let secret = RecordSecret::from_bytes([7; 32]);
    let record = RecordBuilder::new().field(FieldPath::parse("input/feature/x").unwrap(), number).unwrap();
    let record = record.build().unwrap();
    let commitment = record.commit(&secret).commitment();
    let bytes = encode_contents(&secret, &record, Some(b"asked"), None);
    (secret, bytes, commitment)
}

fn entry(number: u64) -> Entry {
    Entry {
        kind: Kind::Decision,
        writer: WriterName::parse("w").unwrap(),
        session: SessionId::from_bytes([1; 16]),
        sequence: number + 1,
        recorded_at: UnixMillis::new(number),
        decision: Some(DecisionId::from_bytes([number.to_be_bytes()[7]; 16])),
        links: Vec::new(),
        commitment: Some(contents(number).2),
        sealed: Some(SealedRef::of(b"sealed")),
        model: None,
        policy: None,
        mode: None,
        details: DecisionDetails { status: 0 }.into(),
    }
}

/// A tree of `size` decisions, and the run over some of them.
fn world(size: u64, first: u64, count: u64) -> (Run, Hash) {
    let entries: Vec<Vec<u8>> = (0..size).map(|number| entry(number).encode().unwrap()).collect();
    let mut tree = MemoryNodes::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    let subtree = Subtree::new(LeafIndex::new(first), TreeSize::new(first + count)).unwrap();
    let proof = subtree::prove_consistency(&tree, subtree, TreeSize::new(size)).unwrap();
    let entries = (0..size)
        .zip(entries)
        .filter(|(number, _)| (first..first + count).contains(number))
        .map(|(number, entry)| (entry, RecordPart::Opened(contents(number).1)))
        .collect();
    let root = crate::merkle::root(&tree, TreeSize::new(size)).unwrap();
    (Run { first: LeafIndex::new(first), entries, proof }, root)
}

const RUNS: [(u64, u64, u64); 7] =
    [(1, 0, 1), (9, 0, 9), (9, 8, 1), (9, 4, 4), (9, 4, 2), (300, 256, 44), (300, 0, 256)];

#[test]
fn a_run_verifies_in_its_tree_and_its_records_open() {
    for (size, first, count) in RUNS {
        let (run, root) = world(size, first, count);
        let read = Run::decode(&run.encode()).unwrap();
        assert_eq!(read, run);
        let entries = read.verify(TreeSize::new(size), &root).unwrap();
        assert_eq!(entries.len() as u64, count);
        for ((index, entry), (_, record)) in entries.iter().zip(&read.entries) {
            let contents = record.contents(entry).unwrap();
            assert_eq!(entry.recorded_at.get(), index.get());
            assert_eq!(contents.request, Some(b"asked".as_slice()));
        }
    }
}

#[test]
fn a_run_verifies_nowhere_else() {
    for (size, first, count) in RUNS {
        let (run, root) = world(size, first, count);
        let size = TreeSize::new(size);
        let other = Hash::of(b"another tree");
        assert!(run.verify(size, &other).is_err());
        let mut moved = run.clone();
        moved.first = LeafIndex::new(first + 1);
        assert!(moved.verify(size, &root).is_err(), "{first} {count}");
        let mut longer = run.clone();
        longer.proof.push(other);
        assert!(matches!(longer.verify(size, &root), Err(RunError::Proof(_))));
        let mut fewer = run.clone();
        fewer.entries.pop();
        assert!(fewer.verify(size, &root).is_err());
        for (number, _) in run.entries.iter().enumerate() {
            let mut changed = run.clone();
            let last = changed.entries[number].0.len() - 1;
            changed.entries[number].0[last] ^= 1;
            assert!(changed.verify(size, &root).is_err());
        }
    }
}

#[test]
fn a_record_of_another_decision_is_refused() {
    let (run, _) = world(9, 0, 2);
    let entry = Entry::decode(&run.entries[0].0).unwrap();
    assert_eq!(run.entries[1].1.contents(&entry).unwrap_err(), RecordPartError::Commitment);
    assert_eq!(RecordPart::None.contents(&entry).unwrap_err(), RecordPartError::None);
    let absent = RecordPart::Absent(Absence::Erased);
    assert_eq!(absent.contents(&entry).unwrap_err(), RecordPartError::Absent(Absence::Erased));
}

#[test]
fn truncated_and_padded_runs_are_refused() {
    let bytes = world(9, 4, 4).0.encode();
    for length in 0..bytes.len() {
        assert!(Run::decode(&bytes[..length]).is_err(), "{length}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(Run::decode(&longer).is_err());
    assert_eq!(Run::decode(&[0xa0]).unwrap_err(), RunError::Form);
}

#[test]
fn every_absence_has_its_number() {
    for absence in [Absence::Erased, Absence::Lost, Absence::Locked] {
        let (mut run, _) = world(2, 0, 2);
        run.entries[1].1 = RecordPart::Absent(absence);
        run.entries[0].1 = RecordPart::None;
        assert_eq!(Run::decode(&run.encode()).unwrap(), run);
    }
}
