//! Malformed segments: each byte changed, each length cut, records from elsewhere.

use super::*;
use crate::merkle::TreeSize;
use crate::merkle::range::CompactRange;
use crate::store::batch::{Batch, BatchEntry};
use crate::time::UnixMillis;

const ORIGIN: Hash = Hash::from_bytes([9; 32]);

fn batch(before: &CompactRange, time: u64, sizes: &[(usize, usize)]) -> Batch {
    let entries = sizes
        .iter()
        .map(|(bytes, sealed)| BatchEntry { bytes: vec![b'e'; *bytes], sealed: vec![b's'; *sealed] })
        .collect();
    Batch::build(before, UnixMillis::new(time), entries).unwrap()
}

/// A segment with these batches and where each of its records ends.
fn segment(batches: &[Batch]) -> (Vec<u8>, Vec<usize>) {
    let header = SegmentHeader { origin: ORIGIN, number: 3, settled: true, base: Base::empty() };
    let mut bytes = header.encode();
    let mut ends = vec![bytes.len()];
    let mut checksum = FIRST_CHECKSUM;
    for (sequence, batch) in (0..).zip(batches) {
        let (record, own) = encode_record(batch, sequence, &checksum, &ORIGIN).unwrap();
        assert_eq!(record.len(), record_bytes(batch));
        bytes.extend_from_slice(&record);
        checksum = own;
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn three_batches() -> Vec<Batch> {
    let first = batch(&CompactRange::empty(), 5, &[(3, 0), (4, 7)]);
    let second = batch(first.after(), 5, &[(1, 1)]);
    let third = batch(second.after(), 8, &[(2, 0), (2, 9), (2, 2)]);
    vec![first, second, third]
}

/// What a reader makes of a segment: the roots it read and what it says about the rest.
fn read(bytes: &[u8]) -> Result<(Vec<Hash>, Tail), JournalError> {
    let mut reader = Reader::open(bytes, &ORIGIN)?;
    let mut roots = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        roots.push(batch.root());
    }
    Ok((roots, reader.tail()?))
}

#[test]
fn reads_what_was_written() {
    let batches = three_batches();
    let (bytes, _) = segment(&batches);
    let mut reader = Reader::open(&bytes, &ORIGIN).unwrap();
    for batch in &batches {
        let found = reader.next_batch().unwrap().unwrap();
        assert_eq!(found.entries(), batch.entries());
        assert_eq!((found.first(), found.time(), found.root()), (batch.first(), batch.time(), batch.root()));
    }
    assert!(reader.next_batch().unwrap().is_none());
    assert_eq!(reader.tail().unwrap(), Tail::Clean);
    assert_eq!(reader.at().sequence, 3);
    assert_eq!(reader.at().range, *batches[2].after());
}

#[test]
fn never_reads_a_changed_byte_as_if_it_were_right() {
    let batches = three_batches();
    let roots: Vec<Hash> = batches.iter().map(Batch::root).collect();
    let (bytes, ends) = segment(&batches);
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            // Before the last record a change is damage; in it, the remains of a write that may have been torn.
            if position < ends[2] {
                read(&changed).expect_err("a change before the last record is damage");
            } else {
                let (found, tail) = read(&changed).unwrap();
                assert_eq!(found, roots[..2], "byte {position} bit {bit}");
                assert_eq!(tail, Tail::Torn { offset: ends[2], bytes: ends[3] - ends[2] });
            }
        }
    }
}

#[test]
fn reads_a_segment_cut_anywhere_as_its_whole_records_and_a_torn_rest() {
    let batches = three_batches();
    let (bytes, ends) = segment(&batches);
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        if length < ends[0] {
            assert_eq!(read(cut), Err(JournalError::Header));
            continue;
        }
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        let (found, tail) = read(cut).unwrap();
        assert_eq!(found.len(), whole);
        let torn = length - ends[whole];
        let expected = if torn == 0 { Tail::Clean } else { Tail::Torn { offset: ends[whole], bytes: torn } };
        assert_eq!(tail, expected);
    }
}

#[test]
fn reads_sectors_written_out_of_order_as_torn() {
    let batches = three_batches();
    let (bytes, ends) = segment(&batches);
    let mut torn = bytes.clone();
    torn[ends[2]..ends[2] + 30].fill(0);
    let (found, tail) = read(&torn).unwrap();
    assert_eq!((found.len(), tail), (2, Tail::Torn { offset: ends[2], bytes: ends[3] - ends[2] }));
}

#[test]
fn adopts_no_record_from_another_history() {
    let batches = three_batches();
    let (bytes, ends) = segment(&batches);
    // The same places and sizes, but another first batch: the checksum chain differs from there on.
    let other_first = batch(&CompactRange::empty(), 4, &[(3, 0), (4, 7)]);
    let other_second = batch(other_first.after(), 5, &[(1, 1)]);
    let (other, other_ends) = segment(&[other_first, other_second]);
    assert_eq!(ends[..3], other_ends[..]);
    let mut mixed = bytes[..ends[1]].to_vec();
    mixed.extend_from_slice(&other[ends[1]..]);
    let (found, tail) = read(&mixed).unwrap();
    assert_eq!((found.len(), tail), (1, Tail::Torn { offset: ends[1], bytes: ends[2] - ends[1] }));
}

#[test]
fn adopts_no_record_of_another_log() {
    let batches = three_batches();
    let (bytes, ends) = segment(&batches);
    assert!(matches!(
        Reader::open(&bytes, &Hash::from_bytes([8; 32])),
        Err(JournalError::OtherOrigin { found }) if found == ORIGIN
    ));
    assert_eq!(RecordHeader::decode(&bytes[ends[0]..], &Hash::from_bytes([8; 32])), None);
}

#[test]
fn says_that_a_record_before_others_is_damaged_rather_than_torn() {
    let (bytes, ends) = segment(&three_batches());
    let mut without_second = bytes[..ends[1]].to_vec();
    without_second.extend_from_slice(&bytes[ends[2]..]);
    assert_eq!(read(&without_second), Err(JournalError::Damaged { offset: ends[1] }));
}

#[test]
fn refuses_a_whole_record_that_contradicts_the_tree() {
    let first = batch(&CompactRange::empty(), 5, &[(3, 0)]);
    let header = SegmentHeader { origin: ORIGIN, number: 0, settled: true, base: Base::empty() };
    // Chained and checksummed as it should be, yet with a sequence, a time or a place that cannot follow.
    let elsewhere = CompactRange::from_parts(TreeSize::new(1), vec![ORIGIN]).unwrap();
    for (batch, sequence) in [(&first, 1), (&batch(&elsewhere, 5, &[(3, 0)]), 0)] {
        let mut bytes = header.encode();
        let offset = bytes.len();
        bytes.extend_from_slice(&encode_record(batch, sequence, &FIRST_CHECKSUM, &ORIGIN).unwrap().0);
        assert_eq!(read(&bytes), Err(JournalError::Contradiction { offset }));
    }
    let late = Base { time: UnixMillis::new(6), ..Base::empty() };
    let mut bytes = SegmentHeader { base: late, ..header }.encode();
    let offset = bytes.len();
    bytes.extend_from_slice(&encode_record(&first, 0, &FIRST_CHECKSUM, &ORIGIN).unwrap().0);
    assert_eq!(read(&bytes), Err(JournalError::Contradiction { offset }));
}

#[test]
fn refuses_an_impossible_tree_in_a_header() {
    let mut range_size =
        SegmentHeader { origin: ORIGIN, number: 0, settled: true, base: Base::empty() }.encode();
    let size_at = range_size.len() - Hash::LEN - 1 - 8;
    range_size[size_at..size_at + 8].copy_from_slice(&5_u64.to_be_bytes());
    let covered = range_size.len() - Hash::LEN;
    let check = Hash::of(&range_size[..covered]);
    range_size[covered..].copy_from_slice(check.as_ref());
    assert!(matches!(Reader::open(&range_size, &ORIGIN), Err(JournalError::Range(_))));
}

/// The worked example of `docs/spec/store.md` is what this code writes.
#[test]
fn writes_the_worked_example_of_the_specification() {
    let origin = Hash::of(b"example.com/log");
    let page = include_str!("../../../docs/spec/store.md");
    let header = SegmentHeader { origin, number: 0, settled: true, base: Base::empty() };
    let entries = vec![BatchEntry { bytes: b"entry".to_vec(), sealed: b"sealed".to_vec() }];
    let batch = Batch::build(&CompactRange::empty(), UnixMillis::new(1_795_000_000_000), entries).unwrap();
    let (record, _) = encode_record(&batch, 0, &FIRST_CHECKSUM, &origin).unwrap();
    let shown: String = page
        .lines()
        .skip_while(|line| *line != "<!-- example -->")
        .take_while(|line| *line != "<!-- end of example -->")
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let written = [header.encode(), record].concat();
    let written: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown.replace(' ', ""), written);
}

#[test]
fn tells_a_later_format_from_damage() {
    let (mut bytes, _) = segment(&three_batches());
    bytes[7] = 2;
    assert_eq!(read(&bytes), Err(JournalError::Newer { found: 2 }));
    bytes[7] = 0;
    assert_eq!(read(&bytes), Err(JournalError::Header));
    bytes[7] = 2;
    bytes[6] = 1;
    assert_eq!(read(&bytes), Err(JournalError::Header));
}
