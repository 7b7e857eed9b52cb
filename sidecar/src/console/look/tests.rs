//! A log on a real disk, changed under the look.

use std::path::PathBuf;

use bytes::Bytes;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, SealedRef, SessionId, WriterName};
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;
use ledgerstone::tile::EntryBundle;
use tempfile::TempDir;

use super::*;
use crate::driver::{self, Draft, LogHandle, Options};

struct World {
    folder: TempDir,
    log: LogHandle,
    reader: LogReader,
    next: u64,
}

fn entry(sequence: u64) -> Draft {
    let sealed = sequence.to_be_bytes();
    let commitment = Commitment { root: Hash::of(&sealed), count: 1 };
    let (writer, session) = (WriterName::parse("w").unwrap(), SessionId::from_bytes([1; 16]));
    let details = DecisionDetails { status: 0 };
    let decision = DecisionId::from_bytes([2; 16]);
    let mut entry = Entry::decision(writer, session, sequence, decision, commitment, details);
    entry.sealed = Some(SealedRef::of(&sealed));
    Draft { entry, sealed: Some(Bytes::copy_from_slice(&sealed)) }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = KeyName::new("look.example/log").unwrap();
        let keys = || LogKeys::generate_from_seeds(&origin, [1; 32], [2; 32]).unwrap();
        driver::init(folder.path(), &keys()).unwrap();
        let log = driver::open(folder.path(), keys(), Options::default()).unwrap().0;
        let reader = LogReader::open(folder.path(), log.published()).unwrap();
        Self { folder, log, reader, next: 0 }
    }

    /// Appends until the log has `size` entries, and waits until they are public.
    async fn grow(&mut self, size: u64) {
        let appends = (self.next..size).map(|sequence| self.log.append(entry(sequence)));
        for append in appends.map(Box::pin).collect::<Vec<_>>() {
            append.await.unwrap();
        }
        self.next = size;
        self.log.published().wait_for(|published| published.size.get() >= size).await.unwrap();
    }

    fn bundle(&self, number: u64) -> PathBuf {
        self.folder.path().join(format!("log/tile/entries/{number:03}"))
    }

    /// Changes a byte of entry `index`, which is in a full bundle; the file as it was.
    fn change(&self, index: u64) -> Vec<u8> {
        let path = self.bundle(index / WIDTH);
        let honest = std::fs::read(&path).unwrap();
        let mut entries: Vec<Vec<u8>> =
            EntryBundle::decode(&honest).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        let entry = &mut entries[usize::try_from(index % WIDTH).unwrap()];
        let at = entry.len() - 10;
        entry[at] ^= 1;
        std::fs::write(path, EntryBundle::encode(&entries).unwrap()).unwrap();
        honest
    }
}

/// What a look says: how far it came, and the leaf that is altered.
fn told(look: &mut Look, world: &World) -> (u64, Option<Option<u64>>) {
    look.on(&world.reader);
    (look.position(), look.altered.as_ref().map(|altered| altered.index))
}

#[tokio::test]
async fn follows_a_log_that_grows_and_finds_nothing() {
    let (mut world, mut look) = (World::new(), Look::new(1_000));
    assert_eq!(told(&mut look, &world), (0, None));
    for size in [1, 2, 255, 256, 257, 512, 700] {
        world.grow(size).await;
        assert_eq!(told(&mut look, &world), (size, None));
        assert_eq!(told(&mut look, &world), (size, None), "nothing new");
    }
    assert_eq!((look.full.len(), look.tail.len()), (2, 700 - 512));
}

#[tokio::test]
async fn finds_what_was_changed_before_it_looked_and_after() {
    let mut world = World::new();
    world.grow(600).await;
    let mut before = Look::new(1_000);
    assert_eq!(told(&mut before, &world), (600, None));
    for index in [0, 255, 256, 300] {
        let honest = world.change(index);
        assert_eq!(told(&mut before, &world).1, Some(Some(index)), "read before the change");
        assert_eq!(told(&mut before, &world).1, Some(Some(index)), "and still");
        assert_eq!(told(&mut Look::new(1_000), &world).1, Some(Some(index)), "read after the change");
        let first = before.found.as_ref().unwrap().at;
        assert_eq!(before.looked(TreeSize::new(600)).altered.unwrap().at, first, "since it was first found");
        std::fs::write(world.bundle(index / WIDTH), honest).unwrap();
        assert_eq!(told(&mut before, &world), (600, None), "put back");
        assert!(before.found.is_some(), "what was found is not forgotten");
    }
}

#[tokio::test]
async fn finds_bundles_that_are_gone_cut_off_or_no_bundles() {
    let mut world = World::new();
    world.grow(520).await;
    let mut look = Look::new(1_000);
    assert_eq!(told(&mut look, &world), (520, None));
    let path = world.bundle(1);
    let honest = std::fs::read(&path).unwrap();
    let cut = honest[..honest.len() - 1].to_vec();
    for bytes in [
        None,
        Some(Vec::new()),
        Some(cut),
        Some(vec![0xff; honest.len()]),
        Some([&honest[..], b"x"].concat()),
    ] {
        match &bytes {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let len = bytes.map(|bytes| bytes.len());
        assert!(told(&mut look, &world).1.is_some(), "{len:?}");
        assert!(told(&mut Look::new(1_000), &world).1.is_some(), "{len:?}");
        std::fs::write(&path, &honest).unwrap();
        assert_eq!(told(&mut look, &world), (520, None), "{len:?}");
    }
}

#[tokio::test]
async fn finds_bundles_that_were_cut_off_between_two_entries_or_got_one_more() {
    let mut world = World::new();
    world.grow(520).await;
    let mut look = Look::new(1_000);
    assert_eq!(told(&mut look, &world), (520, None));
    let newest = world.folder.path().join("log/tile/entries/002.p/8");
    for path in [world.bundle(1), newest] {
        let honest = std::fs::read(&path).unwrap();
        let entries = EntryBundle::decode(&honest).unwrap();
        let (last, before) = entries.split_last().unwrap();
        let other = [before, &[*last, *last]].concat();
        for spoiled in [before, &other].into_iter().filter(|entries| entries.len() <= 256) {
            std::fs::write(&path, EntryBundle::encode(spoiled).unwrap()).unwrap();
            let (path, entries) = (path.display(), spoiled.len());
            assert!(told(&mut look, &world).1.is_some(), "{path} with {entries}, read before");
            assert!(told(&mut Look::new(1_000), &world).1.is_some(), "{path} with {entries}, read after");
        }
        std::fs::write(&path, &honest).unwrap();
        assert_eq!(told(&mut look, &world), (520, None), "put back");
    }
}

#[tokio::test]
async fn begins_at_a_later_bundle_from_the_tiles_and_still_reaches_the_signed_root() {
    let mut world = World::new();
    world.grow(900).await;
    for from in [256, 512, 768] {
        let mut look = Look::new(1_000);
        look.begin_again(from, &world.reader).unwrap();
        assert_eq!(told(&mut look, &world), (900, None), "from {from}");
        assert_eq!(look.from, from);
        // An entry before it is not looked at, and one behind it is.
        let honest = world.change(from - 1);
        assert_eq!(told(&mut look, &world).1, None);
        std::fs::write(world.bundle((from - 1) / WIDTH), honest).unwrap();
    }
}

#[tokio::test]
async fn tiles_that_are_gone_are_told_and_not_passed_over() {
    let mut world = World::new();
    world.grow(900).await;
    let mut look = Look::new(1_000);
    look.begin_again(512, &world.reader).unwrap();
    assert_eq!(told(&mut look, &world), (900, None));
    let tiles = world.folder.path().join("log/tile");
    let aside = world.folder.path().join("aside");
    std::fs::create_dir(&aside).unwrap();
    for level in ["0", "1"] {
        std::fs::rename(tiles.join(level), aside.join(level)).unwrap();
    }
    look.is_stale = true;
    for _ in 0..3 {
        assert!(told(&mut look, &world).1.is_some(), "where it began cannot be told any more");
        assert_eq!(look.from, 512);
    }
    for level in ["0", "1"] {
        std::fs::rename(aside.join(level), tiles.join(level)).unwrap();
    }
    assert_eq!(told(&mut look, &world), (900, None), "put back");
}

#[tokio::test]
async fn the_disk_is_not_read_twice_in_a_moment() {
    let mut world = World::new();
    world.grow(300).await;
    let mut look = Look::new(1_000);
    assert_eq!(look.when_due(&world.reader).to, 300);
    world.grow(310).await;
    look.last = Some(Instant::now());
    assert_eq!(look.when_due(&world.reader).to, 300);
    look.last = Instant::now().checked_sub(LOOK_INTERVAL);
    assert_eq!(look.when_due(&world.reader).to, 310);
}
