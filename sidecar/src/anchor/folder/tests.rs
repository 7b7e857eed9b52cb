//! A lane's files on a disk that loses power.

use ledgerstone::anchor::statement::{Head, NO_STATEMENT};
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use ledgerstone::store::memory::{Fate, MemoryDisk};

use super::*;

fn lane() -> LaneName {
    LaneName::parse("tsa").unwrap()
}

fn link(seq: u64, size: u64) -> Link {
    let head = |size: u64| Head { size: TreeSize::new(size), root: Hash::of(&size.to_be_bytes()) };
    let first = seq == 1;
    let statement = Statement {
        origin: KeyName::new("example.com/log").unwrap(),
        lane: lane(),
        seq,
        from: if first { Head::empty() } else { head(size - 1) },
        to: head(size),
        previous: if first { NO_STATEMENT } else { Hash::of(b"before") },
        checkpoint: Hash::of(b"note"),
    };
    Link {
        statement: statement.encode().unwrap(),
        checkpoint: b"note".to_vec(),
        consistency: if first { vec![] } else { vec![Hash::of(b"a"), Hash::of(b"b")] },
    }
}

fn folder(disk: &MemoryDisk) -> LaneFolder<MemoryDisk> {
    LaneFolder::new(disk.clone(), lane())
}

#[test]
fn keeps_the_statement_that_was_there_first() {
    let disk = MemoryDisk::new(1);
    let folder = folder(&disk);
    assert_eq!(folder.put(1, link(1, 5)).unwrap(), link(1, 5));
    assert_eq!(folder.put(1, link(1, 9)).unwrap(), link(1, 5), "the first one wins");
    assert_eq!(folder.link(1).unwrap(), Some(link(1, 5)));
    assert_eq!(folder.put(2, link(2, 9)).unwrap(), link(2, 9));
    assert_eq!(folder.last().unwrap(), 2);
    let files = disk.files();
    let text = String::from_utf8(files["anchors/tsa/00000002/consistency"].clone()).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(files["anchors/tsa/00000001/consistency"].is_empty(), "nothing is proved of the empty tree");
}

#[test]
fn a_statement_is_whole_or_not_there_when_the_power_goes_at_any_operation() {
    for fate in [Fate::PowerLostBefore, Fate::PowerLostAmid, Fate::PowerLostAfter] {
        let mut is_done = false;
        for at in 0..100_u64 {
            let disk = MemoryDisk::new(at);
            let mut count = 0;
            disk.set_fates(Some(Box::new(move |_, _| {
                count += 1;
                if count > at { fate } else { Fate::Succeed }
            })));
            is_done = folder(&disk).put(1, link(1, 5)).is_ok();
            disk.set_fates(None);
            disk.lose_power();
            disk.restore_power();
            let found = folder(&disk).link(1).unwrap();
            assert!(found.is_none() || found == Some(link(1, 5)), "{fate:?} at {at}");
            assert!(found.is_some() || !is_done, "{fate:?} at {at}: what was answered is there");
            assert_eq!(folder(&disk).put(1, link(1, 5)).unwrap(), link(1, 5), "it can be begun again");
        }
        assert!(is_done, "more than 100 operations");
    }
}

#[test]
fn refuses_a_hole_and_a_statement_under_another_number() {
    let disk = MemoryDisk::new(1);
    folder(&disk).put(1, link(1, 5)).unwrap();
    folder(&disk).put(3, link(3, 9)).unwrap();
    assert!(matches!(folder(&disk).last(), Err(FolderError::Hole { missing: 2, next: 3, .. })));
    disk.plant("anchors/tsa/00000002/statement", &link(1, 5).statement);
    disk.plant("anchors/tsa/00000002/checkpoint", b"note");
    disk.plant("anchors/tsa/00000002/consistency", b"");
    assert!(matches!(folder(&disk).link(2), Err(FolderError::Damaged { .. })));
}

#[test]
fn refuses_a_statement_with_a_part_missing_or_damaged() {
    for file in ["checkpoint", "consistency"] {
        let disk = MemoryDisk::new(1);
        folder(&disk).put(1, link(1, 5)).unwrap();
        disk.erase(&format!("anchors/tsa/00000001/{file}"));
        assert!(matches!(folder(&disk).link(1), Err(FolderError::Damaged { .. })), "{file}");
    }
    for text in ["x\n", "QUJD\n", "\n", "no end of line"] {
        let disk = MemoryDisk::new(1);
        folder(&disk).put(1, link(1, 5)).unwrap();
        disk.plant("anchors/tsa/00000001/consistency", text.as_bytes());
        assert!(matches!(folder(&disk).link(1), Err(FolderError::Damaged { .. })), "{text:?}");
    }
    let disk = MemoryDisk::new(1);
    disk.plant("anchors/tsa/00000001/statement", b"nothing");
    assert!(matches!(folder(&disk).link(1), Err(FolderError::Statement { .. })));
}

#[test]
fn proves_only_what_was_stated_and_replaces_a_proof_whole() {
    let disk = MemoryDisk::new(1);
    let folder = folder(&disk);
    assert!(folder.prove(1, Proof::Ots, b"pending").is_err(), "there is no statement");
    folder.put(1, link(1, 5)).unwrap();
    assert_eq!(folder.proof(1, Proof::Ots).unwrap(), None);
    folder.prove(1, Proof::Ots, b"pending").unwrap();
    folder.prove(1, Proof::Ots, b"upgraded").unwrap();
    assert_eq!(folder.proof(1, Proof::Ots).unwrap().unwrap(), b"upgraded");
    let large = vec![0; usize::try_from(PROOF_BYTES_MAX).unwrap() + 1];
    assert!(matches!(folder.prove(1, Proof::Headers, &large), Err(FolderError::TooLarge { .. })));
    assert!(disk.files().keys().all(|path| !path.ends_with(".tmp")), "{:?}", disk.files().keys());
}
