//! One spelling per record.

use super::*;
use crate::limits::ANCHOR_RECORD_BYTES_MAX;
use crate::merkle::TreeSize;

const BLOCK: Block = Block { number: 1_000, hash: BlockHash::from_bytes([1; 32]) };
const TRANSACTION: TransactionHash = TransactionHash::from_bytes([2; 32]);

fn head() -> Head {
    Head { size: TreeSize::new(300), root: Hash::of(b"root") }
}

fn attempt(raw: usize) -> Attempt {
    let fees = Fees { max: u128::MAX, tip: 1 << 70 };
    let at = UnixMillis::new(u64::MAX);
    Attempt { seq: 7, nonce: u64::MAX, fees, gas: u64::MAX, transaction: TRANSACTION, raw: vec![3; raw], at }
}

fn one_of_each() -> Vec<Record> {
    let place = Place { block: BLOCK, transaction: Some(TRANSACTION) };
    let tip = Tip { seq: 6, head: head(), statement: Hash::of(b"six") };
    let at = UnixMillis::new(1_795_000_000_000);
    let resumed = Resumed { tip, planned_at: at, nonce_floor: 9, gas_day: 20_775, gas_spent: 80_000 };
    vec![
        Record::Resumed(resumed),
        Record::Resumed(Resumed { tip: Tip::none(), ..resumed }),
        Record::Planned { seq: 7, to: head(), statement: Hash::of(b"seven"), at },
        Record::Signed(attempt(320)),
        Record::Broadcast { transaction: TRANSACTION },
        Record::Mined(place),
        Record::Unmined { block: BLOCK },
        Record::Safe(Place { transaction: None, ..place }),
        Record::Finalized(place),
        Record::Captured { seq: 7, at },
        Record::Appended { seq: 7 },
    ]
}

#[test]
fn reads_back_every_record() {
    for record in one_of_each() {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

#[test]
fn refuses_every_record_cut_short_or_with_a_byte_more() {
    for record in one_of_each() {
        let mut bytes = record.encode();
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "{record:?} cut to {len} bytes");
        }
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err(), "{record:?}");
    }
}

#[test]
fn no_changed_byte_reads_as_the_same_record() {
    for record in one_of_each() {
        let bytes = record.encode();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                if let Ok(read) = Record::decode(&changed) {
                    assert_ne!(read, record);
                    assert_eq!(read.encode(), changed);
                }
            }
        }
    }
}

#[test]
fn refuses_a_transaction_above_its_limit_and_the_largest_record_fits() {
    let largest = Record::Signed(attempt(ANCHOR_TRANSACTION_BYTES_MAX));
    assert!(largest.encode().len() <= ANCHOR_RECORD_BYTES_MAX);
    assert_eq!(Record::decode(&largest.encode()), Ok(largest));
    let larger = Record::Signed(attempt(ANCHOR_TRANSACTION_BYTES_MAX + 1)).encode();
    assert_eq!(Record::decode(&larger), Err(RecordError::Range));
    let len = ANCHOR_RECORD_BYTES_MAX + 1;
    assert_eq!(Record::decode(&vec![0; len]), Err(RecordError::TooLarge { len }));
}

#[test]
fn refuses_numbers_that_cannot_be() {
    assert_eq!(Record::decode(&[0x81, 0x0b]), Err(RecordError::Unknown { found: 11 }));
    assert_eq!(Record::decode(&[0x80]), Err(RecordError::Range));
    assert_eq!(Record::decode(&[0x82, 0x0a, 0x00]), Err(RecordError::Range), "statement 0");
    assert_eq!(Record::decode(&[0x83, 0x0a, 0x01, 0x01]), Err(RecordError::Range), "a value more");
    assert_eq!(Record::decode(&[0x81, 0x0a]), Err(RecordError::Range), "a value less");
    let seq = crate::limits::ANCHOR_SEQ_MAX + 1;
    assert_eq!(Record::decode(&Record::Appended { seq }.encode()), Err(RecordError::Range));
}
