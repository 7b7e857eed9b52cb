//! What the keyring learns from the log, and what fails meanwhile: nobody gets a key that is somebody's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::{BackUpRequest, GetKeyringRequest, HoldRequest};
use ledgerstone_sidecar::keyring::{
    FileKeyProvider, Follower, KeyId, KeyProvider, Keyring, KeyringError, RecordKey, RingError, WrappedKey,
};
use ledgerstone_sidecar::reader::LogReader;

use crate::world::{Files, World, record, subject};

/// A key file that does not answer while `is_away`.
struct Flaky {
    file: FileKeyProvider,
    is_away: AtomicBool,
}

impl Flaky {
    fn of(files: &Files) -> Arc<Self> {
        let file = FileKeyProvider::load(&files.folder.path().join("kek.key")).unwrap();
        Arc::new(Self { file, is_away: AtomicBool::new(false) })
    }

    fn answers(&self) -> Result<&FileKeyProvider, KeyringError> {
        if self.is_away.load(Ordering::Relaxed) { Err(KeyringError::Unreadable) } else { Ok(&self.file) }
    }
}

impl KeyProvider for Flaky {
    fn key_id(&self) -> &KeyId {
        self.file.key_id()
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        self.answers()?.wrap(key)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        self.answers()?.unwrap(id, wrapped)
    }
}

fn open(files: &Files, provider: Arc<Flaky>) -> Result<Arc<Keyring>, RingError> {
    Keyring::open(&files.store(), Hash::of(b"example.com/tests"), provider, 4096).map(Arc::new)
}

fn follower(files: &Files, ring: &Arc<Keyring>) -> Follower {
    Follower::new(Arc::clone(ring), LogReader::at_rest(&files.store()).unwrap())
}

/// A copy of the keyring as it is now, outside of the store, once every key of the pool is in it.
async fn copied(world: &World) -> PathBuf {
    let mut keyring = world.keyring().await;
    while keyring.get_keyring(GetKeyringRequest {}).await.unwrap().into_inner().pooled < 4000 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let managed = world.keyring().await.back_up(BackUpRequest {}).await.unwrap().into_inner().path;
    let copy = world.files.folder.path().join("copy.db");
    std::fs::copy(managed, &copy).unwrap();
    copy
}

/// Puts a copy in the place of the keyring, by hand.
fn put(files: &Files, copy: &PathBuf) {
    let keyring = files.store().join("keyring");
    std::fs::remove_dir_all(&keyring).unwrap();
    std::fs::create_dir(&keyring).unwrap();
    std::fs::copy(copy, keyring.join("keyring.db")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_learned_while_the_provider_is_away_so_that_no_key_goes_to_two_persons() {
    let world = World::new().await;
    let copy = copied(&world).await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let files = world.stop().await;
    // In the copy the key that ada was given is nobody's.
    put(&files, &copy);
    let provider = Flaky::of(&files);
    let ring = open(&files, Arc::clone(&provider)).unwrap();
    let known = *ring.covered().borrow();
    provider.is_away.store(true, Ordering::Relaxed);
    let refused = follower(&files, &ring).start().unwrap_err();
    assert!(matches!(refused, RingError::Keys(KeyringError::Unreadable)), "{refused:?}");
    assert_eq!(*ring.covered().borrow(), known, "it is learned at the next attempt");
    drop(ring);

    let world = files.run().await;
    let bob = world.decide("bob").await;
    assert!(world.erase(subject("bob")).await.unwrap().erased);
    assert_eq!(world.history(&bob).await, ["erased"]);
    assert_eq!(world.history(&ada).await, ["opened"], "bob has a key of his own");
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    assert_eq!(world.history(&ada).await, ["erased"], "and ada's is known to be hers");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_each_key_of_a_record_about_several_persons_is_can_be_learned_from_it() {
    let world = Files::of_batches("").await.run().await;
    let copy = copied(&world).await;
    let both = world.decide_together(&["ada", "bob"]).await;
    world.history(&both).await;
    let files = world.stop().await;
    put(&files, &copy);
    let world = files.run().await;
    assert_eq!(world.history(&both).await, ["opened"]);
    let erased = world.erase(subject("bob")).await.unwrap();
    assert_eq!((erased.erased, erased.keys, erased.records), (true, 1, 1), "bob's key alone");
    assert_eq!(world.history(&both).await, ["erased"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_without_the_provider_leaves_a_keyring_that_the_next_one_finishes() {
    let files = Files::new("").await;
    let provider = Flaky::of(&files);
    provider.is_away.store(true, Ordering::Relaxed);
    let refused = open(&files, Arc::clone(&provider)).unwrap_err();
    assert!(matches!(refused, RingError::Keys(KeyringError::Unreadable)), "{refused:?}");
    let world = files.run().await;
    let ada = world.decide("ada").await;
    assert_eq!(world.history(&ada).await, ["opened"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_made_anew_is_refused_also_after_an_attempt_that_was_cut_short() {
    let world = World::new().await;
    world.decide("ada").await;
    let files = world.stop().await;
    std::fs::remove_dir_all(files.store().join("keyring")).unwrap();
    let ring = open(&files, Flaky::of(&files)).unwrap();
    assert_eq!(follower(&files, &ring).catch_up().unwrap(), 1, "and the process ends here");
    drop(ring);
    for _ in 0..2 {
        let ring = open(&files, Flaky::of(&files)).unwrap();
        let refused = follower(&files, &ring).start().unwrap_err();
        assert!(matches!(refused, RingError::Missing { records: 1 }), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stands_although_the_record_that_it_is_about_is_lost() {
    let world = World::new().await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let copy = copied(&world).await;
    let hold = HoldRequest { target: Some(record(&ada)), operator: "counsel".to_owned() };
    world.keyring().await.hold(hold).await.unwrap();
    let files = world.stop().await;
    put(&files, &copy);
    let path = files.store().join("sealed/000");
    std::fs::write(&path, vec![0; std::fs::read(&path).unwrap().len()]).unwrap();
    let ring = open(&files, Flaky::of(&files)).unwrap();
    follower(&files, &ring).start().unwrap();
    drop(ring);
    let world = files.run().await;
    let standing = world.keyring().await.get_keyring(GetKeyringRequest {}).await.unwrap().into_inner();
    assert_eq!(standing.holds, 1);
    world.stop().await;
}
