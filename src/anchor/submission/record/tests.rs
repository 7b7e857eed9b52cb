//! One spelling per record, and no record out of its turn.

use super::*;
use crate::anchor::schedule::Schedule;
use crate::merkle::TreeSize;

fn config(kind: AnchorKind) -> Config {
    Config {
        lane: LaneName::parse("bitcoin").unwrap(),
        kind,
        schedule: Schedule { interval_ms: 1, entries_min: 1, entries_max: 1 },
        retry_ms_min: 1,
        retry_ms_max: 1,
        upgrade_interval_ms: 1,
        resubmit_after_ms: 1,
        pending_max: 4,
    }
}

const AT: UnixMillis = UnixMillis::new(1_795_000_000_000);

fn planned(seq: u64) -> Record {
    let to = Head { size: TreeSize::new(seq * 10), root: Hash::of(b"root") };
    Record::Planned { seq, to, statement: Hash::of(b"statement"), at: AT }
}

fn one_of_each() -> Vec<Record> {
    let tip = Tip {
        seq: 6,
        head: Head { size: TreeSize::new(60), root: Hash::of(b"r") },
        statement: Hash::of(b"s"),
    };
    vec![
        Record::Resumed { tip, planned_at: AT },
        planned(7),
        Record::Accepted { seq: 7, at: AT },
        Record::Upgraded { seq: 7, at: AT },
        Record::Captured { seq: 7, at: AT },
        Record::Appended { seq: 7 },
    ]
}

#[test]
fn reads_back_every_record_and_no_other_bytes() {
    for record in one_of_each() {
        let mut bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        for at in 0..bytes.len() {
            assert!(Record::decode(&bytes[..at]).is_err(), "{record:?} cut to {at} bytes");
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                if let Ok(read) = Record::decode(&changed) {
                    assert_ne!(read, record);
                    assert_eq!(read.encode(), changed);
                }
            }
        }
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err(), "{record:?}");
    }
    assert_eq!(Record::decode(&[0x81, 0x07]), Err(RecordError::Unknown { found: 7 }));
}

fn take(kind: AnchorKind, records: &[Record]) -> Result<Course, RecoverError> {
    let mut course = Course::new(&config(kind));
    records.iter().try_for_each(|record| course.apply(record)).map(|()| course)
}

#[test]
fn takes_a_whole_course_of_either_kind() {
    let course = take(AnchorKind::Bitcoin, &one_of_each()).unwrap();
    assert_eq!((course.accepted.seq, course.anchored.seq), (7, 7));
    let course = take(AnchorKind::Rfc3161, &[planned(1), Record::Accepted { seq: 1, at: AT }]).unwrap();
    assert_eq!((course.accepted.seq, course.anchored.seq, course.pending.len()), (1, 1, 0));
    assert_eq!(course.unappended.len(), 1);
}

#[test]
fn a_later_proof_that_is_whole_first_waits_for_the_earlier_one() {
    let mut records = Vec::new();
    for seq in 1..=3 {
        records.extend([planned(seq), Record::Accepted { seq, at: AT }]);
    }
    let whole = |seq| [Record::Upgraded { seq, at: AT }, Record::Captured { seq, at: AT }];
    records.extend(whole(2).into_iter().chain(whole(3)));
    let course = take(AnchorKind::Bitcoin, &records).unwrap();
    assert_eq!((course.anchored.seq, course.pending.len(), course.unappended.len()), (0, 1, 2));
    records.extend(whole(1));
    let course = take(AnchorKind::Bitcoin, &records).unwrap();
    assert_eq!((course.anchored.seq, course.pending.len(), course.unappended.len()), (3, 0, 3));
}

#[test]
fn refuses_records_that_do_not_follow_from_those_before() {
    let accepted = |seq| Record::Accepted { seq, at: AT };
    let order = |seq| Err(RecoverError::Order { seq });
    let refused = |records: &[Record]| take(AnchorKind::Bitcoin, records).map(drop);
    assert_eq!(refused(&[planned(2)]), order(2));
    assert_eq!(refused(&[planned(1), planned(2)]), order(2));
    assert_eq!(refused(&[accepted(1)]), order(1));
    assert_eq!(refused(&[planned(1), accepted(2)]), order(2));
    assert_eq!(refused(&[planned(1), Record::Upgraded { seq: 1, at: AT }]), order(1));
    assert_eq!(refused(&[planned(1), accepted(1), Record::Captured { seq: 1, at: AT }]), order(1));
    let upgraded = Record::Upgraded { seq: 1, at: AT };
    assert_eq!(refused(&[planned(1), accepted(1), upgraded.clone(), upgraded]), order(1));
    assert_eq!(refused(&[planned(1), accepted(1), Record::Appended { seq: 1 }]), order(1));
    assert_eq!(refused(&[planned(1), one_of_each()[0].clone()]), Err(RecoverError::ResumedLate));
}
