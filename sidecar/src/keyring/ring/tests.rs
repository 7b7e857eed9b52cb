//! The pool: each key is handed out once, whatever happens to the file meanwhile.

use std::collections::HashSet;

use super::*;
use crate::keyring::FileKeyProvider;

/// Wraps as the file provider does, in more bytes, as a key management service would; opens what an earlier key wrapped.
struct Longer(FileKeyProvider, FileKeyProvider);

impl KeyProvider for Longer {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        WrappedKey::new([KeyProvider::wrap(&self.0, key)?.as_bytes(), &[7; 60]].concat())
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if id == self.1.key_id() {
            return KeyProvider::unwrap(&self.1, id, wrapped);
        }
        let short = wrapped.as_bytes().get(..40).ok_or(KeyringError::BadWrappedKey)?;
        KeyProvider::unwrap(&self.0, id, &WrappedKey::new(short.to_vec())?)
    }
}

fn file(name: &str, byte: u8) -> FileKeyProvider {
    FileKeyProvider::from_key(KeyId::new(name).unwrap(), &[byte; 32])
}

fn nobody() -> About {
    About { subjects: Vec::new(), class: String::new(), month: 1 }
}

fn take(ring: &Keyring) -> SubjectKeyId {
    ring.take(&nobody()).unwrap().keys[0].id
}

#[test]
fn no_key_is_handed_out_twice_while_secrets_move_and_places_are_used_again() {
    let store = tempfile::tempdir().unwrap();
    let origin = Hash::of(b"log");
    let ring = Keyring::open(store.path(), origin, Arc::new(file("a", 1)), 600).unwrap();
    ring.begin().unwrap();
    let mut seen = HashSet::new();
    for _ in 0..200 {
        assert!(seen.insert(take(&ring)));
    }
    drop(ring);
    // Another provider, whose wrapped keys are longer: every secret moves behind the others.
    let longer = Longer(file("b", 2), file("a", 1));
    let ring = Keyring::open(store.path(), origin, Arc::new(longer), 600).unwrap();
    // The keys that were taken before are the file's again, because no record of theirs is in the log.
    let mut seen = HashSet::new();
    ring.begin().unwrap();
    for round in 0..6 {
        for _ in 0..100 {
            assert!(seen.insert(take(&ring)), "round {round}");
        }
        ring.rotate().unwrap();
        let mut database = ring.database();
        let change = database.begin().unwrap();
        for id in seen.iter().take(20 * (round + 1)) {
            change.destroy(id, 1, None).unwrap();
        }
        change.commit().unwrap();
        drop(database);
        ring.fill_up().unwrap();
    }
    while ring.pooled() > 0 {
        assert!(seen.insert(take(&ring)));
    }
}

#[test]
fn a_key_that_was_destroyed_is_said_to_be_and_one_that_never_was_is_not() {
    let store = tempfile::tempdir().unwrap();
    let ring = Keyring::open(store.path(), Hash::of(b"log"), Arc::new(file("a", 1)), 4).unwrap();
    ring.begin().unwrap();
    let taken = ring.take(&nobody()).unwrap();
    let kept = ring.keep(&taken, &RecordKey::new(Zeroizing::new([5; 32]))).unwrap();
    assert_eq!(ring.record_key(&kept).unwrap().expose(), &[5; 32]);
    let mut database = ring.database();
    let change = database.begin().unwrap();
    change.destroy(&taken.keys[0].id, 1, Some(9)).unwrap();
    change.commit().unwrap();
    drop(database);
    let erased = KeyringError::Erased { leaf: Some(LeafIndex::new(9)) };
    assert_eq!(ring.record_key(&kept).unwrap_err(), erased);
    assert_eq!(ring.take_again(&kept).unwrap_err(), erased);
    let unknown = KeptKey { under: Under::Subjects(vec![SubjectKeyId::from_bytes([3; 16])]), ..kept };
    let error = ring.record_key(&unknown).unwrap_err();
    assert!(matches!(error, KeyringError::UnknownSubjectKey { .. }), "{error}");
}

#[test]
fn the_key_provider_is_not_asked_while_records_are_sealed() {
    struct Counting(FileKeyProvider, AtomicU64);
    impl KeyProvider for Counting {
        fn key_id(&self) -> &KeyId {
            self.0.key_id()
        }
        fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            KeyProvider::wrap(&self.0, key)
        }
        fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            KeyProvider::unwrap(&self.0, id, wrapped)
        }
    }
    let store = tempfile::tempdir().unwrap();
    let provider = Arc::new(Counting(file("a", 1), AtomicU64::new(0)));
    let ring = Keyring::open(store.path(), Hash::of(b"log"), provider.clone(), 200).unwrap();
    ring.begin().unwrap();
    let before = provider.1.load(Ordering::Relaxed);
    assert!(before >= 200, "the pool was made");
    for n in 0..100 {
        let about = About { subjects: vec![format!("person-{}", n % 60)], ..nobody() };
        let taken = ring.take(&about).unwrap();
        ring.keep(&taken, &RecordKey::new(Zeroizing::new([5; 32]))).unwrap();
    }
    assert_eq!(provider.1.load(Ordering::Relaxed), before);
}
