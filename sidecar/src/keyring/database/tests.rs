//! The file: what it refuses, and that a destroyed secret is nowhere in it.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::*;

fn origin() -> Hash {
    Hash::of(b"log")
}

fn id(n: u32) -> SubjectKeyId {
    SubjectKeyId::from_bytes(Hash::of(&n.to_be_bytes()).as_bytes()[..16].try_into().unwrap())
}

/// Wrapped keys of 40 bytes that a search finds.
fn wrapped(n: u32) -> WrappedKey {
    let digest = Hash::of(&[b"wrapped".as_slice(), &n.to_be_bytes()].concat());
    WrappedKey::new([digest.as_bytes().as_slice(), &n.to_be_bytes(), &[0; 4]].concat()).unwrap()
}

fn tag(n: u32) -> Tag {
    *Hash::of(&[b"tag".as_slice(), &n.to_be_bytes()].concat()).as_bytes()
}

fn kek(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn given(n: u32) -> Given {
    Given { tag: Some(tag(n)), class: format!("class-{}", n % 3), month: 24_000 + n % 40 }
}

/// Every byte of every file in the folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().concat()
}

fn filled(folder: &Path, count: u32) -> Database {
    let (mut database, is_new) = Database::open(&folder.join("k.db"), origin()).unwrap();
    assert!(is_new);
    for chunk in (0..count).collect::<Vec<_>>().chunks(100) {
        let change = database.begin().unwrap();
        for n in chunk {
            change.insert(&id(*n), &kek("a"), &wrapped(*n)).unwrap();
        }
        change.commit().unwrap();
        let change = database.begin().unwrap();
        for n in chunk {
            change.assign(&id(*n), &given(*n)).unwrap();
            assert!(change.count(&id(*n), 1).unwrap());
        }
        change.commit().unwrap();
    }
    database
}

#[test]
fn gives_back_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path(), 500);
    drop(database);
    let (database, is_new) = Database::open(&folder.path().join("k.db"), origin()).unwrap();
    assert!(!is_new);
    for n in 0..500 {
        let key = database.key(&id(n)).unwrap().unwrap();
        assert_eq!((key.id, key.wrapped, key.tag, key.records), (id(n), wrapped(n), tag(n), 1));
        assert_eq!((key.class, key.month), (Some(given(n).class), given(n).month));
        let of = database.keys_of(&tag(n)).unwrap();
        assert_eq!(of.iter().map(|key| key.id).collect::<Vec<_>>(), [id(n)]);
    }
    assert!(database.key(&id(500)).unwrap().is_none());
    let counts = database.counts().unwrap();
    assert_eq!((counts.assigned, counts.pooled, counts.destroyed), (500, 0, 0));
}

#[test]
fn persons_whose_tags_begin_alike_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = filled(folder.path(), 3);
    let (mut one, mut other) = (tag(7), tag(7));
    (one[3], other[31]) = (0x55, other[31] ^ 1);
    assert_eq!((bucket(&one), bucket(&other)), (bucket(&tag(7)), bucket(&tag(7))));
    let change = database.begin().unwrap();
    for (n, tag) in [(10, tag(7)), (11, one), (12, other), (13, one)] {
        change.insert(&id(n), &kek("a"), &wrapped(n)).unwrap();
        change.assign(&id(n), &Given { tag: Some(tag), ..given(n) }).unwrap();
    }
    change.commit().unwrap();
    for (tag, expected) in [(tag(7), vec![id(10)]), (one, vec![id(11), id(13)]), (other, vec![id(12)])] {
        let found: Vec<_> = database.keys_of(&tag).unwrap().iter().map(|key| key.id).collect();
        assert_eq!(found, expected);
    }
}

/// Which of the needles, 32 bytes each, the files in the folder hold.
fn found(folder: &Path, needles: &[[u8; 32]]) -> HashSet<usize> {
    let mut by_first: HashMap<[u8; 8], Vec<usize>> = HashMap::new();
    for (place, needle) in needles.iter().enumerate() {
        by_first.entry(needle[..8].try_into().unwrap()).or_default().push(place);
    }
    let all = bytes(folder);
    let mut found = HashSet::new();
    for (at, window) in all.windows(32).enumerate() {
        let Some(candidates) = by_first.get(&window[..8]) else { continue };
        found.extend(candidates.iter().filter(|place| all[at..].starts_with(&needles[**place])));
    }
    found
}

/// The part of a wrapped key that a search looks for.
fn needle(n: u32) -> [u8; 32] {
    wrapped(n).as_bytes()[..32].try_into().unwrap()
}

#[test]
fn a_destroyed_key_is_in_no_file_and_its_owner_in_none_either() {
    let folder = tempfile::tempdir().unwrap();
    let count = 5000;
    let mut database = filled(folder.path(), count);
    let all: Vec<[u8; 32]> = (0..count).flat_map(|n| [needle(n), tag(n)]).collect();
    assert_eq!(found(folder.path(), &all).len(), all.len(), "the search finds what is there");
    // Every third one, scattered over all pages; others come into their places.
    let gone: Vec<u32> = (0..count).filter(|n| n % 3 == 1).collect();
    for chunk in gone.chunks(7) {
        let change = database.begin().unwrap();
        for n in chunk {
            assert!(change.destroy(&id(*n), 1, None).unwrap());
            if n % 2 == 0 {
                change.insert(&id(count + *n), &kek("a"), &wrapped(count + *n)).unwrap();
            }
        }
        change.commit().unwrap();
    }
    database.wipe().unwrap();
    let left = found(folder.path(), &all);
    let expected = (0..all.len()).filter(|place| (place / 2) % 3 != 1).collect();
    assert_eq!(left, expected, "what was destroyed is gone, and nothing else");
    for n in &gone {
        assert!(database.key(&id(*n)).unwrap().is_none());
        assert!(database.keys_of(&tag(*n)).unwrap().is_empty());
    }
    // Places are used again: the file does not grow for ever.
    assert_eq!(database.counts().unwrap().destroyed, gone.len() as u64);
    let places: i64 =
        database.connection().query_row("SELECT count(*) FROM secrets", [], |row| row.get(0)).unwrap();
    assert_eq!(places, i64::from(count));
}

#[test]
fn a_secret_of_another_size_moves_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = filled(folder.path(), 300);
    let long = WrappedKey::new(vec![7; 200]).unwrap();
    for n in 0..300 {
        let key = database.key(&id(n)).unwrap().unwrap();
        let change = database.begin().unwrap();
        if n % 2 == 0 {
            change.rewrap(&key, &kek("b"), &long).unwrap();
        } else {
            change.rewrap(&key, &kek("b"), &wrapped(1000 + n)).unwrap();
        }
        change.commit().unwrap();
    }
    database.wipe().unwrap();
    let old: Vec<[u8; 32]> = (0..300).map(needle).collect();
    assert_eq!(found(folder.path(), &old), HashSet::new(), "old secrets are still there");
    for n in 0..300 {
        let key = database.key(&id(n)).unwrap().unwrap();
        assert_eq!(key.wrapped, if n % 2 == 0 { long.clone() } else { wrapped(1000 + n) });
        assert_eq!((key.kek, key.tag), (kek("b"), tag(n)));
        assert_eq!(key.number, i64::from(n) + 1, "it is found in its place among the others");
    }
    assert!(database.not_under(&kek("b"), 10).unwrap().is_empty());
    assert_eq!(database.not_under(&kek("c"), 10).unwrap().len(), 10);
}

#[test]
fn nothing_holds_of_a_change_that_was_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = filled(folder.path(), 10);
    let change = database.begin().unwrap();
    change.destroy(&id(3), 1, None).unwrap();
    drop(change);
    assert!(database.key(&id(3)).unwrap().is_some());
}

#[test]
fn refuses_files_that_are_no_keyring_of_this_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    drop(filled(folder.path(), 20));
    let good = fs::read(&path).unwrap();
    let open = |content: &[u8]| {
        for file in ["k.db-wal", "k.db-shm"] {
            _ = fs::remove_file(folder.path().join(file));
        }
        fs::write(&path, content).unwrap();
        Database::open(&path, origin()).map(|(database, is_new)| (database.check_whole(), is_new))
    };
    assert!(matches!(open(&good), Ok((Ok(()), false))));
    // Not SQLite, cut short, another program's, an empty one where there was one.
    assert!(open(b"hello, this is no database at all").is_err());
    assert!(open(&good[..100]).is_err());
    assert!(!matches!(open(&good[..good.len() / 2 / 4096 * 4096]), Ok((Ok(()), _))));
    let mut other = good.clone();
    other[68] ^= 1; // application_id
    assert!(matches!(open(&other), Err(RingError::NoKeyring { .. })));
    let mut newer = good.clone();
    newer[63] = 2; // user_version
    assert!(matches!(open(&newer), Err(RingError::Format { found: 2 })));
    fs::write(&path, &good).unwrap();
    assert!(matches!(Database::open(&path, Hash::of(b"other")), Err(RingError::OtherLog)));
}

#[test]
fn refuses_a_schema_with_something_added() {
    for sql in [
        "CREATE TRIGGER t AFTER DELETE ON keys BEGIN INSERT INTO meta VALUES('x', old.id); END",
        "CREATE VIEW v AS SELECT * FROM keys",
        "CREATE TABLE more(x)",
        "CREATE INDEX i ON keys(month)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 1));
        let path = folder.path().join("k.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let error = Database::open(&path, origin()).unwrap_err();
        assert!(matches!(error, RingError::Damaged { .. }), "{sql}: {error}");
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    drop(filled(folder.path(), 400));
    let good = fs::read(&path).unwrap();
    let mut refused = 0;
    for damage in 0..200 {
        let mut bytes = good.clone();
        let at = bytes.len() * damage / 200;
        bytes[at] ^= 0x55;
        bytes[at + 1..].iter_mut().take(3).for_each(|byte| *byte = 0xff);
        for file in ["k.db-wal", "k.db-shm"] {
            _ = fs::remove_file(folder.path().join(file));
        }
        fs::write(&path, bytes).unwrap();
        let Ok((mut database, _)) = Database::open(&path, origin()) else {
            refused += 1;
            continue;
        };
        let whole = database.check_whole().is_ok();
        for n in 0..400 {
            _ = database.key(&id(n));
            _ = database.keys_of(&tag(n));
        }
        if let Ok(change) = database.begin() {
            _ = change.destroy(&id(7), 1, None);
        }
        refused += usize::from(!whole);
    }
    assert!(refused > 20, "only {refused} of 200 damages were noticed");
}

#[test]
fn a_key_that_a_record_is_under_is_nobody_elses_even_if_nobody_knows_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut database, _) = Database::open(&folder.path().join("k.db"), origin()).unwrap();
    let change = database.begin().unwrap();
    for n in 0..3 {
        change.insert(&id(n), &KeyId::new("kek").unwrap(), &wrapped(n)).unwrap();
    }
    assert!(change.count(&id(1), 1).unwrap());
    change.commit().unwrap();
    let pooled = database.pooled_after(0, 10).unwrap();
    assert_eq!(pooled.iter().map(|key| key.id).collect::<Vec<_>>(), [id(0), id(2)]);
}

#[test]
fn a_copy_holds_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path(), 50);
    let copy = folder.path().join("copy.db");
    database.copy_to(&copy).unwrap();
    assert!(database.copy_to(&copy).is_err(), "nothing is overwritten");
    let (copied, is_new) = Database::open(&copy, origin()).unwrap();
    assert!(!is_new);
    assert_eq!(copied.key(&id(49)).unwrap().unwrap().wrapped, wrapped(49));
}
