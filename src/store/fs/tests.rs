//! What a store refuses, and what it keeps.

use std::sync::Arc;

use super::*;
use crate::checkpoint::{Checkpoint, LogVerifier};
use crate::code::Code;
use crate::entry::{Entry, HeartbeatDetails, SessionId, WriterName};
use crate::hash::{Hash, empty_root};
use crate::merkle::range::CompactRange;
use crate::merkle::{LeafIndex, TreeSize};
use crate::note::{KeyName, SignatureType, Signer, SigningKey};
use crate::store::batch::{Batch, BatchEntry};
use crate::store::journal::JournalError;
use crate::store::memory::{Fate, MemoryDisk};
use crate::store::{ApplyStore, CommitStore, Outcome};
use crate::time::UnixMillis;

fn key(origin: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(KeyName::new(origin).unwrap(), SignatureType::Ed25519, &[seed; 32]).unwrap()
}

fn identity(key: &SigningKey) -> Identity {
    Identity::new(LogVerifier::new(vec![key.verifier_key().clone()]).unwrap()).unwrap()
}

fn note(key: &SigningKey, size: TreeSize, root: Hash) -> (Checkpoint, String) {
    let checkpoint = Checkpoint { origin: key.verifier_key().name().clone(), size, root };
    let note = checkpoint.sign(&[key]).unwrap_or_else(|never| match never {});
    (checkpoint, note)
}

fn our_key() -> SigningKey {
    key("example.com/log", 1)
}

fn new_log<D: Disk>(disk: &D) {
    let key = our_key();
    init(disk, &identity(&key), &note(&key, TreeSize::EMPTY, empty_root()).1).unwrap();
}

fn open_log<D: Disk>(disk: &D) -> Result<Opened<D>, OpenError> {
    open(disk.clone(), &identity(&our_key()), &Options::default())
}

fn batch(before: &CompactRange, count: u64) -> Arc<Batch> {
    let first = before.size().get();
    let entries = (first..first + count).map(|sequence| {
        let writer = WriterName::parse("test").unwrap();
        let details = HeartbeatDetails { in_flight: 0, lowest_in_flight: sequence };
        let entry = Entry::heartbeat(writer, SessionId::from_bytes([1; 16]), sequence, details);
        BatchEntry { bytes: entry.encode().unwrap(), sealed: Vec::new() }
    });
    Arc::new(Batch::build(before, UnixMillis::new(first + 1), entries.collect()).unwrap())
}

fn assert_stored(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Stored), "{outcome:?}");
}

/// Commits batches of these sizes, and publishes after each where `publish`.
fn append<D: Disk>(opened: &mut Opened<D>, sizes: &[u64], publish: bool) {
    for size in sizes {
        let batch = batch(&opened.head.range, *size);
        assert_stored(&opened.journal.stage(&batch));
        assert_stored(&opened.journal.commit());
        opened.head.range = batch.after().clone();
        assert_stored(&opened.tiles.apply(&[Arc::clone(&batch)]));
        if publish {
            let (checkpoint, note) = note(&our_key(), batch.size(), batch.root());
            assert_stored(&opened.tiles.publish(&checkpoint, &note));
        }
    }
}

/// A log of these batches on a disk in memory, all public, not running.
fn log_of(sizes: &[u64]) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    append(&mut open_log(&disk).unwrap(), sizes, true);
    disk
}

fn segment_of(disk: &MemoryDisk) -> (String, Vec<u8>) {
    let mut segments = disk.files().into_iter().filter(|(path, _)| path.starts_with("journal/"));
    let segment = segments.next().unwrap();
    assert!(segments.next().is_none(), "one segment");
    segment
}

#[test]
fn opens_only_what_init_created_and_creates_nothing_by_opening() {
    let disk = MemoryDisk::new(1);
    assert!(matches!(open_log(&disk), Err(OpenError::NotInitialised)));
    assert!(disk.files().is_empty());
    new_log(&disk);
    let opened = open_log(&disk).unwrap();
    assert_eq!(opened.report, RecoveryReport::default());
    assert_eq!(opened.head.range.size(), TreeSize::EMPTY);
}

#[test]
fn creates_no_log_over_a_log_or_its_remains() {
    let key = our_key();
    let first = note(&key, TreeSize::EMPTY, empty_root()).1;
    let disk = log_of(&[3]);
    assert!(matches!(init(&disk, &identity(&key), &first), Err(InitError::Initialised)));
    disk.erase("log.policy");
    assert!(matches!(init(&disk, &identity(&key), &first), Err(InitError::Remains)));
    for (path, _) in disk.files().into_iter().filter(|(path, _)| path.starts_with("log/")) {
        disk.erase(&path);
    }
    assert!(matches!(init(&disk, &identity(&key), &first), Err(InitError::Remains)));
}

#[test]
fn starts_a_log_with_its_own_checkpoint_of_size_0_only() {
    let (ours, other) = (our_key(), key("example.com/log", 2));
    let disk = MemoryDisk::new(1);
    let foreign = note(&other, TreeSize::EMPTY, empty_root()).1;
    assert!(matches!(init(&disk, &identity(&ours), &foreign), Err(InitError::Checkpoint(_))));
    let late = note(&ours, TreeSize::new(1), Hash::of(b"leaf")).1;
    assert!(matches!(init(&disk, &identity(&ours), &late), Err(InitError::NotEmpty { .. })));
    assert!(disk.files().keys().all(|path| path == "lock"));
}

#[test]
fn can_be_created_again_after_creating_it_failed_at_any_operation() {
    let key = our_key();
    let first = note(&key, TreeSize::EMPTY, empty_root()).1;
    for at in 0.. {
        let disk = MemoryDisk::new(at);
        let mut count = 0;
        disk.set_fates(Some(Box::new(move |_, _| {
            count += 1;
            if count > at { Fate::PowerLostAmid } else { Fate::Succeed }
        })));
        let created = init(&disk, &identity(&key), &first);
        disk.set_fates(None);
        disk.lose_power();
        disk.restore_power();
        if created.is_err() && open_log(&disk).is_err() {
            init(&disk, &identity(&key), &first).unwrap();
        }
        open_log(&disk).unwrap();
        if created.is_ok() {
            assert!(at > 10, "only {at} operations were met");
            return;
        }
    }
}

#[test]
fn refuses_another_origin_and_other_keys() {
    let disk = log_of(&[3]);
    for key in [key("example.com/other", 1), key("example.com/log", 2)] {
        let refused = open(disk.clone(), &identity(&key), &Options::default()).unwrap_err();
        assert!(matches!(refused, OpenError::OtherLog { .. }), "{refused}");
        assert_eq!(refused.code(), Code::Misuse);
    }
}

#[test]
fn refuses_a_journal_put_here_from_another_log() {
    let disk = log_of(&[3]);
    let elsewhere = MemoryDisk::new(1);
    let other = key("example.com/other", 1);
    init(&elsewhere, &identity(&other), &note(&other, TreeSize::EMPTY, empty_root()).1).unwrap();
    let (path, bytes) = segment_of(&elsewhere);
    disk.plant(&path, &bytes);
    let refused = open_log(&disk).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Journal { source: JournalError::OtherOrigin { .. }, .. }),
        "{refused}"
    );
}

#[test]
fn lets_one_process_at_a_time_have_the_store() {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    let Opened { journal, tiles, .. } = open_log(&disk).unwrap();
    assert!(matches!(open_log(&disk), Err(OpenError::Locked)));
    drop(journal);
    assert!(matches!(open_log(&disk), Err(OpenError::Locked)), "either half keeps the lock");
    drop(tiles);
    assert!(open_log(&disk).is_ok());
}

#[test]
fn refuses_a_journal_that_ends_before_what_is_public() {
    let disk = log_of(&[2, 3]);
    let (path, bytes) = segment_of(&disk);
    disk.plant(&path, &bytes[..bytes.len() - 1]);
    let refused = open_log(&disk).unwrap_err();
    assert!(
        matches!(refused, OpenError::JournalBehind { journal, published }
            if (journal.get(), published.get()) == (2, 5)),
        "{refused}"
    );
    assert_eq!(refused.code(), Code::Inconsistent);
    disk.plant(&path, &bytes);
    open_log(&disk).expect("the journal that reaches it opens");
}

#[test]
fn drops_a_torn_write_and_says_how_much_it_was() {
    let disk = log_of(&[2, 3]);
    let (path, mut bytes) = segment_of(&disk);
    bytes.extend_from_slice(b"the beginning of a record");
    disk.plant(&path, &bytes);
    let opened = open_log(&disk).unwrap();
    assert_eq!(opened.report.torn_bytes, 25);
    assert_eq!(opened.report.size, TreeSize::new(5));
}

#[test]
fn refuses_a_damaged_record_that_others_follow() {
    let disk = log_of(&[2, 3]);
    let (path, bytes) = segment_of(&disk);
    let mut damaged = bytes.clone();
    damaged[150] ^= 1;
    disk.plant(&path, &damaged);
    let refused = open_log(&disk).unwrap_err();
    assert!(matches!(&refused, OpenError::Journal { source: JournalError::Damaged { .. }, .. }), "{refused}");
}

#[test]
fn refuses_missing_and_misnamed_segments() {
    let disk = log_of(&[2]);
    let (path, bytes) = segment_of(&disk);
    disk.erase(&path);
    assert!(matches!(open_log(&disk), Err(OpenError::NoSegment)));
    disk.plant("journal/0000000000000007.journal", &bytes);
    assert!(matches!(open_log(&disk), Err(OpenError::SegmentMissing { number: 7 })));
}

#[test]
fn refuses_a_gap_between_segments() {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    let options = Options { segment_bytes_max: 1 };
    let mut opened = open(disk.clone(), &identity(&our_key()), &options).unwrap();
    append(&mut opened, &[1, 1, 1], false);
    drop(opened);
    disk.erase(&layout::segment(1));
    assert!(matches!(open_log(&disk), Err(OpenError::SegmentMissing { number: 1 })));
}

#[test]
fn refuses_a_checkpoint_that_is_gone_damaged_or_of_another_tree() {
    let key = our_key();
    let disk = log_of(&[2, 3]);
    let public = disk.files()[layout::CHECKPOINT].clone();
    disk.erase(layout::CHECKPOINT);
    assert!(matches!(open_log(&disk), Err(OpenError::Store(_))));
    let mut damaged = public.clone();
    damaged[20] ^= 1;
    disk.plant(layout::CHECKPOINT, &damaged);
    assert!(matches!(open_log(&disk), Err(OpenError::Checkpoint(_))));
    disk.plant(layout::CHECKPOINT, note(&key, TreeSize::new(5), Hash::of(b"fork")).1.as_bytes());
    assert!(matches!(open_log(&disk), Err(OpenError::Fork { .. })));
    disk.plant(layout::CHECKPOINT, note(&key, TreeSize::new(4), Hash::of(b"never")).1.as_bytes());
    assert!(matches!(open_log(&disk), Err(OpenError::CheckpointUnknown { .. })));
    disk.plant(layout::CHECKPOINT, note(&key, TreeSize::new(6), Hash::of(b"later")).1.as_bytes());
    assert!(matches!(open_log(&disk), Err(OpenError::JournalBehind { .. })));
    disk.plant(layout::CHECKPOINT, &public);
    open_log(&disk).expect("the right one opens");
}

#[test]
fn holds_an_older_checkpoint_against_the_tiles() {
    let key = our_key();
    let disk = log_of(&[2, 3]);
    drop(open_log(&disk).unwrap());
    // The journal now starts at size 5, so the tiles alone know the tree of size 2.
    let (_, bytes) = disk.files().into_iter().rfind(|(path, _)| path.starts_with("journal/")).unwrap();
    assert!(bytes.len() < 400, "the newest segment has no record");
    let tree = batch(&CompactRange::empty(), 2);
    disk.plant(layout::CHECKPOINT, note(&key, tree.size(), tree.root()).1.as_bytes());
    open_log(&disk).expect("an older checkpoint of the same tree opens");
    disk.plant(layout::CHECKPOINT, note(&key, tree.size(), Hash::of(b"fork")).1.as_bytes());
    assert!(matches!(open_log(&disk), Err(OpenError::Fork { .. })));
}

#[test]
fn refuses_an_edge_that_is_not_the_trees() {
    for path in ["log/tile/0/000.p/5", "log/tile/entries/000.p/5"] {
        let disk = log_of(&[2, 3]);
        drop(open_log(&disk).unwrap());
        let mut bytes = disk.files()[path].clone();
        bytes[3] ^= 1;
        disk.plant(path, &bytes);
        let refused = open_log(&disk).unwrap_err();
        assert!(matches!(refused, OpenError::Edge(_)), "{path}: {refused}");
    }
}

#[test]
fn never_replaces_other_bytes_in_a_file_that_cannot_change() {
    let disk = log_of(&[200]);
    let mut opened = open_log(&disk).unwrap();
    append(&mut opened, &[56], true);
    drop(opened);
    // Recovery settles the full tile; from then on it can only be compared.
    drop(open_log(&disk).unwrap());
    let mut opened = open_log(&disk).unwrap();
    let (checkpoint, note) = note(&our_key(), opened.head.range.size(), opened.head.range.root());
    assert_stored(&opened.tiles.publish(&checkpoint, &note));
    let path = "log/tile/1/000.p/1";
    let mut bytes = disk.files()[path].clone();
    bytes[0] ^= 1;
    disk.plant(path, &bytes);
    let outcome = opened.tiles.publish(&checkpoint, &note);
    assert!(matches!(outcome, Outcome::Unknown(Fault::Conflict { .. })), "{outcome:?}");
    assert_eq!(disk.files()[path], bytes, "the evidence stays");
}

#[test]
fn writes_a_batch_with_one_write_and_one_sync() {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    let mut opened = open_log(&disk).unwrap();
    let batch = batch(&opened.head.range, 256);
    let operations = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&operations);
    disk.set_fates(Some(Box::new(move |operation, _| {
        seen.lock().unwrap().push(operation);
        Fate::Succeed
    })));
    assert_stored(&opened.journal.stage(&batch));
    assert_stored(&opened.journal.commit());
    assert_eq!(*operations.lock().unwrap(), [Operation::Write, Operation::Sync]);
}

#[test]
fn takes_nothing_more_after_a_sync_that_failed() {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    let mut opened = open_log(&disk).unwrap();
    let batch = batch(&opened.head.range, 1);
    assert_stored(&opened.journal.stage(&batch));
    disk.set_fates(Some(Box::new(|_, _| Fate::NotStored)));
    assert!(matches!(opened.journal.commit(), Outcome::Unknown(Fault::Io { .. })));
    disk.set_fates(None);
    assert!(matches!(opened.journal.stage(&batch), Outcome::Unknown(Fault::OutOfOrder)));
    assert!(matches!(opened.journal.commit(), Outcome::Unknown(Fault::OutOfOrder)));
}

#[test]
fn leaves_nothing_of_a_batch_that_found_no_room() {
    let disk = log_of(&[2]);
    let mut opened = open_log(&disk).unwrap();
    let before = disk.files();
    let refused = batch(&opened.head.range, 5);
    disk.set_fates(Some(Box::new(|operation, _| match operation {
        Operation::Write => Fate::Full,
        _ => Fate::Succeed,
    })));
    assert!(matches!(opened.journal.stage(&refused), Outcome::NotStored(_)));
    disk.set_fates(None);
    assert_eq!(disk.files(), before);
    append(&mut opened, &[1], true);
    drop(opened);
    assert_eq!(open_log(&disk).unwrap().head.range.size(), TreeSize::new(3));
}

#[test]
fn keeps_one_segment_once_all_is_public_and_drops_partial_files_of_full_ones() {
    let disk = MemoryDisk::new(1);
    new_log(&disk);
    let options = Options { segment_bytes_max: 4_000 };
    let mut opened = open(disk.clone(), &identity(&our_key()), &options).unwrap();
    for _ in 0..45 {
        append(&mut opened, &[10], true);
        assert_stored(&opened.tiles.recycle());
    }
    let files = disk.files();
    let segments = files.keys().filter(|path| path.starts_with("journal/")).count();
    assert!(segments <= 2, "{segments} segments");
    assert!(files.contains_key("log/tile/0/000"));
    assert!(
        files.keys().all(|path| !path.contains("/000.p/") || path.contains("tile/1/")),
        "{:?}",
        files.keys()
    );
    assert!(files.contains_key("log/tile/entries/001.p/194"));
}

/// The partial files of the public log.
fn partials(disk: &MemoryDisk) -> Vec<String> {
    let files = disk.files().into_keys();
    files.filter(|path| path.starts_with("log/") && path.contains(".p/")).collect()
}

/// A running log of 302 entries in segments of one batch each, none of them recycled yet.
fn running_log(disk: &MemoryDisk) -> Opened<MemoryDisk> {
    new_log(disk);
    let options = Options { segment_bytes_max: 1 };
    let mut opened = open(disk.clone(), &identity(&our_key()), &options).unwrap();
    append(&mut opened, &[100, 100, 100, 1, 1], true);
    opened
}

#[test]
fn partial_files_that_somebody_deleted_are_written_again() {
    let keep = |kept: fn(&str) -> bool| move |path: &String| !kept(path);
    let nobody = keep(|_| false);
    let newest = keep(|path| path.ends_with("001.p/46") || path.ends_with("1/000.p/1"));
    let older = keep(|path| path.contains("000.p/") && !path.contains("/1/"));
    for (number, deletes) in [nobody, newest, older].into_iter().enumerate() {
        let disk = MemoryDisk::new(1);
        let mut opened = running_log(&disk);
        let whole = disk.files();
        let deleted: Vec<String> = partials(&disk).into_iter().filter(deletes).collect();
        assert!(deleted.len() > 3, "case {number}: {deleted:?}");
        deleted.iter().for_each(|path| disk.erase(path));
        assert_stored(&opened.tiles.recycle());
        for path in ["log/tile/entries/001.p/46", "log/tile/0/001.p/46", "log/tile/1/000.p/1"] {
            assert_eq!(disk.files().get(path), whole.get(path), "case {number}: {path}");
        }
        append(&mut opened, &[1], true);
        assert_stored(&opened.tiles.settle());
        drop(opened);
        disk.lose_power();
        disk.restore_power();
        let opened = open_log(&disk).expect("what the oldest segment builds on is durable");
        assert_eq!(opened.head.range.size(), TreeSize::new(303), "case {number}");
    }
}

#[test]
fn a_full_file_that_somebody_deleted_is_an_error_and_named() {
    for path in ["log/tile/0/000", "log/tile/entries/000"] {
        let disk = MemoryDisk::new(1);
        let mut opened = running_log(&disk);
        disk.erase(path);
        partials(&disk).iter().for_each(|path| disk.erase(path));
        match opened.tiles.settle() {
            Outcome::Unknown(fault @ Fault::Io { operation: Operation::Sync, .. }) => {
                assert!(fault.to_string().starts_with(&format!("syncing {path}: ")), "{fault}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn reads_entries_of_the_public_tree_and_no_others() {
    let disk = log_of(&[2, 3]);
    let reader = FsReader::new(disk.clone());
    let size = reader.size().unwrap();
    let entry = Entry::decode(&reader.entry(LeafIndex::new(4), size).unwrap()).unwrap();
    assert_eq!(entry.sequence, 4);
    assert_eq!(reader.sealed(LeafIndex::new(4)).unwrap(), None);
    let missing = reader.entry(LeafIndex::new(5), size).unwrap_err();
    assert!(matches!(missing, ReadError::NotPublished { .. }), "{missing}");
    assert!(matches!(reader.sealed(LeafIndex::new(5)), Err(ReadError::NotPublished { .. })));
    assert!(reader.policy().unwrap().contains("example.com/log"));
}

#[test]
fn runs_the_same_protocol_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = StdDisk::new(folder.path());
    new_log(&disk);
    let options = Options { segment_bytes_max: 4_000 };
    let mut opened = open(disk.clone(), &identity(&our_key()), &options).unwrap();
    assert!(matches!(open_log(&disk), Err(OpenError::Locked)));
    for _ in 0..30 {
        append(&mut opened, &[10], true);
        assert_stored(&opened.tiles.recycle());
    }
    append(&mut opened, &[1], false);
    drop(opened);
    let opened = open_log(&disk).unwrap();
    assert_eq!((opened.report.size.get(), opened.report.published.get()), (301, 300));
    // The same operations on a disk in memory leave the same public files.
    let memory = MemoryDisk::new(1);
    new_log(&memory);
    append(&mut open_log(&memory).unwrap(), &[300], true);
    for path in crate::tile::paths(TreeSize::new(300)) {
        let path = layout::tile(&path);
        assert_eq!(disk.read(&path, 1 << 20).unwrap(), memory.read(&path, 1 << 20).unwrap(), "{path}");
    }
}
