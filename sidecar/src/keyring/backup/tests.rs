//! Managed copies beside a keyring that goes on, and their end.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ledgerstone::hash::Hash;

use super::*;
use crate::keyring::{FileKeyProvider, KeyId, ring};

fn keyring(store: &Path) -> Arc<Keyring> {
    let provider = FileKeyProvider::from_key(KeyId::new("a").unwrap(), &[1; 32]);
    let ring = Keyring::open(store, Hash::of(b"log"), Arc::new(provider), 50).unwrap();
    ring.begin().unwrap();
    Arc::new(ring)
}

/// Whether a copy is a whole keyring.
fn is_whole(path: &Path) -> bool {
    Database::open_to_read(path, Hash::of(b"log")).is_ok_and(|database| database.check_whole().is_ok())
}

#[test]
fn the_keyring_is_read_and_changed_while_a_copy_is_written() {
    let store = tempfile::tempdir().unwrap();
    let ring = keyring(store.path());
    let copying = Arc::clone(&ring);
    let path = store.path().join("copy.db");
    let target = path.clone();
    let mut database = ring.database();
    let change = database.begin().unwrap();
    change.set_meta("begun", &[1]).unwrap();
    let (copied, done) = mpsc::channel();
    thread::spawn(move || copied.send(copying.copy_to(&target)).unwrap());
    done.recv_timeout(Duration::from_secs(20)).expect("the copy waits for nobody").unwrap();
    change.commit().unwrap();
    drop(database);
    assert!(is_whole(&path));
    assert!(Database::open_to_read(&path, Hash::of(b"log")).unwrap().meta("begun").unwrap().is_none());
}

#[test]
fn an_erasure_beside_a_copy_fails_neither_and_leaves_none() {
    let store = tempfile::tempdir().unwrap();
    let ring = keyring(store.path());
    let copying = Arc::clone(&ring);
    let copies = thread::spawn(move || {
        for at in 0..60 {
            let path = copying.back_up(at).expect("a copy is written");
            // It is whole, or an erasure has deleted it meanwhile; one that is deleting it has its turn.
            let _turn = copying.copies();
            assert!(is_whole(&path) || !path.exists(), "{}", path.display());
        }
    });
    let mut erased = 0;
    while !copies.is_finished() || erased == 0 {
        ring.wipe_everywhere().expect("an erasure waits for the copy");
        erased += 1;
    }
    copies.join().unwrap();
    ring.back_up(100).unwrap();
    ring.wipe_everywhere().unwrap();
    assert_eq!(ring.backups().unwrap(), 0);
}

#[test]
fn the_newest_copies_are_kept_and_half_written_ones_are_not() {
    let store = tempfile::tempdir().unwrap();
    let ring = keyring(store.path());
    for at in 1..=SLOTS_MAX {
        ring.back_up(at as u64).unwrap();
    }
    let slots_folder = ring.folder().join(SLOTS);
    fs::write(slots_folder.join(format!("{:020}.db.partial", 0)), b"torn").unwrap();
    ring.back_up(100).unwrap();
    let names: Vec<_> = slots(ring.folder()).unwrap();
    let expected: Vec<_> = [2, 3, 100].map(|at| slots_folder.join(format!("{at:020}.db"))).into();
    assert_eq!(names, expected);
    assert!(names.iter().all(|path| is_whole(path)));
}

#[test]
fn a_second_name_of_the_keyring_itself_is_not_overwritten() {
    let store = tempfile::tempdir().unwrap();
    let ring = keyring(store.path());
    ring.database().wipe().unwrap();
    let file = ring::file(store.path());
    let before = fs::read(&file).unwrap();
    fs::hard_link(&file, replaced(ring.folder(), 1)).unwrap();
    fs::write(replaced(ring.folder(), 2), b"another").unwrap();
    fs::write(ring.folder().join(RESTORING), b"begun").unwrap();
    ring.wipe_everywhere().unwrap();
    assert!(!ring.folder().join(RESTORING).exists());
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!replaced(ring.folder(), 1).exists() && !replaced(ring.folder(), 2).exists());
}

#[test]
fn no_copy_appears_once_the_keyring_is_closed() {
    let store = tempfile::tempdir().unwrap();
    let ring = keyring(store.path());
    let turn = ring.copies();
    let (closing, (closed, is_closed)) = (Arc::clone(&ring), mpsc::channel());
    thread::spawn(move || closed.send(closing.close()).unwrap());
    let early = is_closed.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err(), "a copy that is being written is waited for");
    drop(turn);
    is_closed.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    // The file is there for whoever has it next, who may erase.
    assert!(ring::file(store.path()).exists() && ring.back_up(1).is_err());
    assert!(slots(ring.folder()).unwrap().is_empty());
}
