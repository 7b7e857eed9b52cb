//! The keyring's file: copied, restored, wrapped anew, lost and spoiled.

use std::path::Path;

use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::proto::ledgerstone_v1::{BackUpRequest, GetKeyringRequest, RotateRequest};
use ledgerstone_sidecar::cli::erasure::{ErasureCommand, KeyringCommand};
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};

use crate::restores::{refused, restore};
use crate::world::{World, copy_folder, every_file, open, subject};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_an_erasure_does_not_bring_it_back() {
    let world = World::new().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    let of_ada = world.decide("ada").await;
    world.history(&of_ada).await;
    let managed = world.keyring().await.back_up(BackUpRequest {}).await.unwrap().into_inner().path;
    let copy = world.files.folder.path().join("copy.db");
    std::fs::copy(&managed, &copy).unwrap();
    let refused = restore(&world.files, &copy).unwrap_err();
    assert!(refused.contains("running"), "{refused}");
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    assert!(!Path::new(&managed).exists(), "the managed copy went with the keys");
    let files = world.stop().await;

    // Restored by the command, and put into its place by hand.
    let said = restore(&files, &copy).unwrap();
    assert!(!said.contains("never open"), "{said}");
    for decision in [&ada, &of_ada] {
        assert!(files.open(decision).unwrap_err().contains("erased"));
    }
    files.open(&bob).unwrap();
    let keyring = files.store().join("keyring");
    std::fs::remove_dir_all(&keyring).unwrap();
    std::fs::create_dir(&keyring).unwrap();
    std::fs::copy(&copy, keyring.join("keyring.db")).unwrap();
    files.open(&ada).expect("the copy still has the key: what closes the record is the start");
    let world = files.run().await;
    assert_eq!(world.history(&ada).await, ["erased"]);
    assert_eq!(world.history(&bob).await, ["opened"]);
    let later = world.decide("ada").await;
    assert_eq!(world.history(&later).await, ["opened"]);
    let files = world.stop().await;
    for decision in [&ada, &of_ada] {
        assert!(files.open(decision).unwrap_err().contains("erased"));
    }
    files.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_encryption_key_comes_into_force_without_touching_a_record() {
    let world = World::new().await;
    let mut decisions = Vec::new();
    for n in 0..20 {
        decisions.push(world.decide(&format!("person-{}", n % 7)).await);
    }
    world.history(&decisions[19]).await;
    let files = world.stop().await;
    let sealed = every_file(&files.store().join("sealed"));
    let folder = files.folder.path().to_owned();
    std::fs::rename(folder.join("kek.key"), folder.join("old.key")).unwrap();
    FileKeyProvider::create(&folder.join("kek.key"), KeyId::new("kek-new").unwrap(), &[9; 32]).unwrap();
    // Without the old one nothing starts, and the message names it.
    let said = refused(&files);
    assert!(said.contains("key provider"), "{said}");
    let old = folder.join("old.key");
    let config = files.sidecar.config();
    let alone = std::fs::read_to_string(&config).unwrap();
    let previous = format!("{alone}\n[[keys.previous]]\nprovider = \"file\"\nfile = {old:?}\n");
    std::fs::write(&config, previous).unwrap();
    let world = files.run().await;
    let during = world.decide("person-1").await;
    loop {
        let rotated = world.keyring().await.rotate(RotateRequest::default()).await.unwrap().into_inner();
        if rotated.left == 0 {
            break;
        }
    }
    let standing = world.keyring().await.get_keyring(GetKeyringRequest {}).await.unwrap().into_inner();
    assert_eq!((standing.key_encryption_key.as_str(), standing.to_rotate), ("kek-new", 0));
    assert_eq!(world.history(&during).await, ["opened"]);
    let files = world.stop().await;
    assert!(sealed.iter().all(|(path, bytes)| std::fs::read(path).unwrap().starts_with(bytes)));
    // The old key-encryption key is needed for nothing more.
    std::fs::remove_file(&old).unwrap();
    std::fs::write(&config, alone).unwrap();
    let world = files.run().await;
    for decision in &decisions {
        assert_eq!(world.history(decision).await, ["opened"]);
    }
    assert!(world.erase(subject("person-1")).await.unwrap().erased);
    world.stop().await.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_erasure_nothing_that_the_operator_has_opens_the_record() {
    let world = World::new().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    world.history(&bob).await;
    let before = tempfile::tempdir().unwrap();
    copy_folder(world.files.folder.path(), before.path());
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    // While it runs: the folder as it is, write-ahead logs and all.
    let after = tempfile::tempdir().unwrap();
    copy_folder(world.files.folder.path(), after.path());
    let files = world.stop().await;
    let KindDetails::Erasure(details) = files.entries(Kind::Erasure)[0].1.kind_details().unwrap() else {
        panic!("an erasure")
    };
    let config = |folder: &Path| {
        let inputs = ledgerstone_sidecar::config::Inputs {
            file: Some(folder.join("sidecar.toml")),
            ..Default::default()
        };
        ledgerstone_sidecar::config::Config::load(&inputs).unwrap()
    };
    open(&config(before.path()), &ada).expect("the copy from before opens it: the test can fail");
    assert!(open(&config(after.path()), &ada).unwrap_err().contains("erased"));
    open(&config(after.path()), &bob).unwrap();
    // The wrapped key, which the keyring had, is in no file of it, its write-ahead log or the index any more.
    let wrapped = wrapped_key(before.path(), details.keys[0].as_bytes());
    let holds = |folder: &Path| {
        let holds = |(_, bytes): &(_, Vec<u8>)| bytes.windows(wrapped.len()).any(|window| window == wrapped);
        every_file(&folder.join("store")).iter().filter(|file| holds(file)).count()
    };
    assert!(holds(before.path()) > 0, "the search finds it where it is");
    assert_eq!((holds(after.path()), holds(files.folder.path())), (0, 0));
}

/// The wrapped subject key of that name, read from the keyring in a folder.
fn wrapped_key(folder: &Path, id: &[u8]) -> Vec<u8> {
    let ring = rusqlite::Connection::open(folder.join("store/keyring/keyring.db")).unwrap();
    let sql = "SELECT s.bytes FROM keys k JOIN secrets s ON s.slot = k.slot WHERE k.id = ?1";
    let secret: Vec<u8> = ring.query_row(sql, [id], |row| row.get(0)).unwrap();
    secret[34..74].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_keyring_is_not_replaced_in_silence() {
    let world = World::new().await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let files = world.stop().await;
    std::fs::remove_dir_all(files.store().join("keyring")).unwrap();
    for _ in 0..2 {
        let said = refused(&files);
        assert!(said.contains("1 records") && said.contains("keyring restore"), "{said}");
    }
    let again = KeyringCommand::Restore { from: None, without_backup: true, discard_current: false };
    let mut said = Vec::new();
    commands::erasure(&files.config(&[]), ErasureCommand::Keyring(again), &mut said).unwrap();
    assert!(String::from_utf8(said).unwrap().contains("1 records"));
    let world = files.run().await;
    assert_eq!(world.history(&ada).await, ["closed"], "lost is not erased");
    let later = world.decide("ada").await;
    assert_eq!(world.history(&later).await, ["opened"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_keyring_is_refused_with_what_to_do() {
    let world = World::new().await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let files = world.stop().await;
    let path = files.store().join("keyring/keyring.db");
    assert!(!path.with_file_name("keyring.db-wal").exists(), "after a stop the one file is all there is");
    let good = std::fs::read(&path).unwrap();
    let copy = files.folder.path().join("copy.db");
    for spoiled in [
        b"this is not a database, whatever its name says".to_vec(),
        good[..200].to_vec(),
        good[..good.len() / 2].to_vec(),
        vec![0; 8192],
    ] {
        std::fs::write(&path, &spoiled).unwrap();
        let said = refused(&files);
        assert!(said.contains("restore it from a backup"), "{said}");
        std::fs::write(&copy, &spoiled).unwrap();
        for beside in ["keyring.db-wal", "keyring.db-shm"] {
            _ = std::fs::remove_file(path.with_file_name(beside));
        }
        std::fs::write(&path, &good).unwrap();
        restore(&files, &copy).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), good, "a refused restore changes nothing");
    }
    let world = files.run().await;
    assert_eq!(world.history(&ada).await, ["opened"]);
    world.stop().await;
}
