//! Another key-encryption key comes into force once it is approved, and not before.

use std::fs;

use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::Kind;
use ledgerstone::proto::ledgerstone_v1::GetKeyringRequest;
use ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient;
use ledgerstone_sidecar::keyring::{FileKeyProvider, KEY_BYTES, KeyId};
use tonic::Code;

use crate::support::free_port;
use crate::world::{Files, RULES, World, everybody, text};

/// A log whose key-encryption key takes two, and that was started once.
async fn begun() -> Files {
    let files = Files::bare().await;
    files.ask(&format!("{RULES}key = \"2 of alice, bob, carol\"\n"), &everybody());
    files.run().await.stop().await
}

/// Puts another key into force in the configuration, the one before beside it.
fn turn_key(files: &Files) {
    FileKeyProvider::create(&files.path("next.key"), KeyId::new("next").unwrap(), &[7; KEY_BYTES]).unwrap();
    files.change("file = \"kek.key\"", "file = \"next.key\"");
    files.add("[[keys.previous]]\nprovider = \"file\"\nfile = \"kek.key\"\n");
}

async fn in_force(world: &World) -> String {
    let address = format!("http://{}", world.app.recorder_addr.unwrap());
    let mut client = KeyringClient::connect(address).await.unwrap();
    client.get_keyring(GetKeyringRequest {}).await.unwrap().into_inner().key_encryption_key
}

/// The statement of the change, proposed by the sidecar and signed by `names`.
fn note(files: &Files, names: &[&str]) -> Vec<u8> {
    files.approve(names);
    let count = fs::read_dir(files.path("approved")).unwrap().count();
    let path = files.path("approved").join(format!("{}.note", count - 1));
    let note = fs::read(&path).unwrap();
    // It is sent, and does not lie there for the next start.
    fs::remove_file(path).unwrap();
    note
}

#[tokio::test]
async fn the_key_before_stays_in_force_until_two_have_approved_the_next() {
    let files = begun().await;
    turn_key(&files);
    let (one, two) = (note(&files, &["alice"]), note(&files, &["alice", "carol"]));
    let world = files.run().await;
    let before = in_force(&world).await;
    assert_ne!(before, "next", "nobody has approved it");
    assert_eq!(world.rotate(b"").await.unwrap_err().code(), Code::PermissionDenied);
    let refused = world.rotate(&one).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("1 of 2 approvers have signed"), "{refused}");
    let approved = world.rotate(&two).await.unwrap();
    let index = approved.approved_at.expect("the log says so");
    assert_eq!((approved.keys, in_force(&world).await), (0, before), "it comes into force at the next start");
    assert_eq!(
        world.rotate(&two).await.unwrap().approved_at,
        Some(index),
        "asking again makes no second entry"
    );
    assert_eq!(world.rotate(b"").await.unwrap().approved_at, Some(index));
    let world = world.stop().await.run().await;
    assert_eq!(in_force(&world).await, "next");
    while world.rotate(b"").await.map(|rotated| (rotated.left, rotated.approved_at)).unwrap() != (0, None) {}
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Key).len(), 2, "the one that the roster began with, and the next");
    assert_eq!(files.verify().status, CheckStatus::Passed);
}

#[tokio::test]
async fn an_approval_in_the_folder_puts_the_next_key_into_force_at_the_start() {
    let files = begun().await;
    turn_key(&files);
    files.approve(&["bob", "carol"]);
    let world = files.run().await;
    assert_eq!(in_force(&world).await, "next");
    let files = world.stop().await;
    assert_eq!(files.verify().detail, "1 change was approved as the roster in force asked.");
    // Back again is a change of its own.
    files.change("file = \"next.key\"", "file = \"kek.key\"");
    files.change("file = \"kek.key\"\n\n[[route]]", "file = \"next.key\"\n\n[[route]]");
    let world = files.run().await;
    assert_eq!(in_force(&world).await, "next");
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_is_not_approved_and_has_none_before_it_stops_the_start() {
    let files = begun().await;
    FileKeyProvider::create(&files.path("next.key"), KeyId::new("next").unwrap(), &[7; KEY_BYTES]).unwrap();
    files.change("file = \"kek.key\"", "file = \"next.key\"");
    let refused = files.refused().await;
    assert!(refused.contains("key: from") && refused.contains("takes the approval of 2 of 3"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sends_the_approval() {
    let files = begun().await;
    files.add(&format!("[recorder]\nlisten = \"127.0.0.1:{}\"", free_port()));
    turn_key(&files);
    let path = files.path("key.note");
    fs::write(&path, note(&files, &["alice", "bob"])).unwrap();
    let mut running = files.sidecar.start();
    drop(files.sidecar.client().await);
    let (done, said) = files.type_in(&["keyring", "rotate"]);
    assert!(!done && said.contains("takes the approval of 2 of 3"), "{said}");
    let (done, said) = files.type_in(&["keyring", "rotate", "--approval", text(&path)]);
    assert!(done && said.contains("restart the sidecar"), "{said}");
    assert!(running.stop().success());
    let mut running = files.sidecar.start();
    drop(files.sidecar.client().await);
    let (done, said) = files.type_in(&["keyring", "status"]);
    assert!(done && said.contains("key-encryption key   next"), "{said}");
    assert!(running.stop().success());
    assert_eq!(files.verify().status, CheckStatus::Passed);
}
