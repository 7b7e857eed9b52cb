//! A lane's journal on a disk that loses power.

use ledgerstone::store::memory::{Fate, MemoryDisk};

use super::*;

const PATH: &str = "anchors/journal/tsa";

fn ours() -> Hash {
    identity("example.com/log", "tsa")
}

fn open(disk: &MemoryDisk) -> Result<(Journal<MemoryDisk>, Recovered), JournalError> {
    Journal::open(disk, PATH, ours())
}

fn records(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![n; usize::from(n) * 40 + 1]).collect()
}

fn journal_of(count: u8) -> (MemoryDisk, Vec<u8>) {
    let disk = MemoryDisk::new(1);
    let (mut journal, _) = open(&disk).unwrap();
    records(count).iter().for_each(|record| journal.append(record).unwrap());
    let bytes = disk.files().remove(PATH).unwrap();
    (disk, bytes)
}

#[test]
fn gives_back_what_was_appended_in_order() {
    let (disk, _) = journal_of(5);
    let (mut journal, recovered) = open(&disk).unwrap();
    assert_eq!(recovered, Recovered { records: records(5), torn_bytes: 0 });
    journal.append(b"more").unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.records.len(), 6);
    assert_eq!(read(&disk, PATH, ours()).unwrap(), recovered, "a look from outside sees the same");
}

#[test]
fn drops_a_torn_end_wherever_it_is_torn_and_goes_on() {
    let (_, whole) = journal_of(3);
    let (_, two) = journal_of(2);
    for end in two.len()..whole.len() {
        let disk = MemoryDisk::new(1);
        disk.plant(PATH, &whole[..end]);
        let (mut journal, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.records, records(2), "{end} bytes");
        assert_eq!(recovered.torn_bytes, (end - two.len()) as u64);
        journal.append(&records(3)[2]).unwrap();
        assert_eq!(disk.files()[PATH], whole, "the same record again gives the same bytes");
    }
}

#[test]
fn refuses_a_journal_with_any_byte_changed_before_its_last_record() {
    let (_, whole) = journal_of(4);
    let (_, three) = journal_of(3);
    for at in 0..three.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let disk = MemoryDisk::new(1);
        disk.plant(PATH, &bytes);
        let refused = open(&disk).map(|(_, recovered)| recovered.records.len());
        assert!(
            matches!(refused, Err(JournalError::Other { .. } | JournalError::Damaged { .. })),
            "byte {at} changed: {refused:?}"
        );
        assert_eq!(disk.files()[PATH], bytes, "a refusal changes nothing");
    }
}

#[test]
fn refuses_the_journal_of_another_lane_or_log() {
    let (disk, _) = journal_of(2);
    for other in [identity("example.com/log", "other"), identity("example.com/other", "tsa")] {
        let refused = Journal::open(&disk, PATH, other).map(drop);
        assert!(matches!(refused, Err(JournalError::Other { .. })), "{refused:?}");
    }
}

#[test]
fn takes_no_record_of_another_journal_in_its_place() {
    let (_, ours_of_two) = journal_of(2);
    let disk = MemoryDisk::new(1);
    let (mut other, _) = Journal::open(&disk, PATH, identity("example.com/log", "other")).unwrap();
    records(3).iter().for_each(|record| other.append(record).unwrap());
    let others = disk.files().remove(PATH).unwrap();
    let spliced = [ours_of_two.as_slice(), &others[ours_of_two.len()..]].concat();
    disk.plant(PATH, &spliced);
    assert_eq!(open(&disk).unwrap().1.records, records(2), "it is none of ours, so it is a torn end");
}

#[test]
fn appends_nothing_after_a_write_that_failed() {
    let (disk, _) = journal_of(1);
    let (mut journal, _) = open(&disk).unwrap();
    disk.set_fates(Some(Box::new(|_, _| Fate::NotStored)));
    assert!(matches!(journal.append(b"lost"), Err(JournalError::Append { .. })));
    disk.set_fates(None);
    assert!(matches!(journal.append(b"next"), Err(JournalError::Broken)));
    assert_eq!(open(&disk).unwrap().1.records, records(1));
}

#[test]
fn refuses_a_record_past_its_bound() {
    let (disk, _) = journal_of(0);
    let (mut journal, _) = open(&disk).unwrap();
    let refused = journal.append(&vec![0; ANCHOR_RECORD_BYTES_MAX + 1]);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })), "{refused:?}");
    journal.append(&vec![0; ANCHOR_RECORD_BYTES_MAX]).unwrap();
}

#[test]
fn keeps_what_was_answered_when_the_power_goes_at_any_operation() {
    for fate in [Fate::PowerLostBefore, Fate::PowerLostAmid, Fate::PowerLostAfter] {
        let mut met = 0;
        for at in 0..200_u64 {
            let disk = MemoryDisk::new(at);
            let mut count = 0;
            disk.set_fates(Some(Box::new(move |_, _| {
                count += 1;
                if count > at { fate } else { Fate::Succeed }
            })));
            let mut answered = 0;
            // Opened again in the middle, as a restart does.
            for round in records(6).chunks(2) {
                let Ok((mut journal, _)) = open(&disk) else { break };
                for record in round {
                    if journal.append(record).is_err() {
                        break;
                    }
                    answered += 1;
                }
            }
            met += usize::from(!disk.is_powered());
            disk.set_fates(None);
            disk.lose_power();
            disk.restore_power();
            let (_, recovered) = open(&disk).unwrap();
            let kept = recovered.records.len();
            assert!(kept >= answered && kept <= answered + 1, "{fate:?} at {at}: {kept} of {answered}");
            assert_eq!(recovered.records, records(6)[..kept]);
        }
        assert!(met > 15, "only {met} operations were met");
    }
}
