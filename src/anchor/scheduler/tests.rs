//! What a lane is configured with in tests; the scenarios are in `tests/anchor_scheduler.rs`.

use super::*;
use crate::anchor::schedule::Schedule;
use crate::anchor::statement::{Head, LaneName};
use crate::hash::Hash;
use course::RecoverError;

const GWEI: u128 = 1_000_000_000;

pub(super) fn config() -> Config {
    Config {
        lane: LaneName::parse("ethereum").unwrap(),
        schedule: Schedule { interval_ms: 3_600_000, entries_min: 1, entries_max: 10_000 },
        chain_id: 1,
        code: CodeHash::from_bytes([1; 32]),
        key: Address::from_bytes([2; 20]),
        gas: 100_000,
        gas_budget_day: 5_000_000,
        fee_cap: 100 * GWEI,
        tip_cap: 5 * GWEI,
        balance_floor: GWEI * GWEI / 100,
        observe_interval_ms: 12_000,
        replace_after_ms: 60_000,
        retry_ms: 5_000,
    }
}

fn attempt(seq: u64, nonce: u64, transaction: u8) -> Record {
    Record::Signed(Attempt {
        seq,
        nonce,
        fees: Fees { max: 1, tip: 1 },
        gas: 100_000,
        transaction: TransactionHash::from_bytes([transaction; 32]),
        raw: vec![transaction],
        at: UnixMillis::new(5),
    })
}

fn planned(seq: u64) -> Record {
    let to = Head { size: TreeSize::new(seq * 10), root: Hash::of(b"root") };
    Record::Planned { seq, to, statement: Hash::of(&seq.to_be_bytes()), at: UnixMillis::new(seq) }
}

fn captured(seq: u64) -> [Record; 2] {
    let block = Block { number: seq, hash: BlockHash::from_bytes([3; 32]) };
    [
        Record::Finalized(Place { block, transaction: None }),
        Record::Captured { seq, at: UnixMillis::new(seq) },
    ]
}

fn recover(records: &[Record]) -> Result<Scheduler, RecoverError> {
    Scheduler::recover(config(), records.iter().cloned())
}

#[test]
fn refuses_a_journal_that_signs_one_nonce_for_two_statements() {
    let mut records = vec![planned(1), attempt(1, 7, 1), attempt(1, 7, 2), attempt(1, 9, 3)];
    records.extend(captured(1));
    records.push(planned(2));
    assert!(recover(&records).is_ok());
    for nonce in [0, 7, 8, 9] {
        records.push(attempt(2, nonce, 4));
        assert_eq!(recover(&records).map(drop), Err(RecoverError::NonceReused { seq: 2, nonce }));
        records.pop();
    }
    records.push(attempt(2, 10, 4));
    assert!(recover(&records).is_ok());
}

#[test]
fn refuses_records_that_do_not_follow_from_those_before() {
    let order = |seq| Err(RecoverError::Order { seq });
    assert_eq!(recover(&[planned(2)]).map(drop), order(2));
    assert_eq!(recover(&[planned(1), planned(1)]).map(drop), order(1));
    assert_eq!(recover(&[attempt(1, 0, 1)]).map(drop), order(1));
    assert_eq!(recover(&[planned(1), attempt(2, 0, 1)]).map(drop), order(2));
    assert_eq!(recover(&[planned(1), attempt(1, 0, 1), attempt(1, 1, 1)]).map(drop), order(1));
    assert_eq!(recover(&captured(1)).map(drop), Err(RecoverError::NotInFlight));
    assert_eq!(recover(&[planned(1), captured(1)[1].clone()]).map(drop), order(1));
    assert_eq!(recover(&[Record::Appended { seq: 1 }]).map(drop), order(1));
    let transaction = TransactionHash::from_bytes([1; 32]);
    assert_eq!(recover(&[planned(1), Record::Broadcast { transaction }]).map(drop), order(1));
    let block = Block { number: 1, hash: BlockHash::from_bytes([3; 32]) };
    assert_eq!(recover(&[planned(1), Record::Unmined { block }]).map(drop), order(1));
}

#[test]
fn a_shortened_journal_reaches_the_same_chain_budget_and_nonces() {
    let mut records = vec![planned(1), attempt(1, 7, 1)];
    records.extend(captured(1));
    assert_eq!(recover(&records).unwrap().resumed(), None, "its entry is not in the log yet");
    records.push(Record::Appended { seq: 1 });
    let whole = recover(&records).unwrap();
    let first = whole.resumed().unwrap();
    let short = recover(std::slice::from_ref(&first)).unwrap();
    assert_eq!(short.tip(), whole.tip());
    let now = UnixMillis::new(6);
    assert_eq!(short.snapshot(now).gas_spent, 100_000);
    assert_eq!(recover(&[first.clone(), planned(2), attempt(2, 7, 2)]).map(drop), {
        Err(RecoverError::NonceReused { seq: 2, nonce: 7 })
    });
    assert_eq!(recover(&[planned(1), first]).map(drop), Err(RecoverError::ResumedLate));
}
