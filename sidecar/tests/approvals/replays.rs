//! An approval is used once: while the sidecar runs, after a restart, after its index is gone.

use std::fs;

use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::Kind;
use tonic::Code;

use crate::world::{World, approval, model};

/// Registers version 1 and then version 2; the approval of version 1.
async fn superseded(world: &World) -> Vec<u8> {
    let (first, second) = (model("1"), model("2"));
    let note = approval(&first, &["alice", "bob"]);
    world.register(&first, &note).await.unwrap();
    world.register(&second, &approval(&second, &["bob", "carol"])).await.unwrap();
    note
}

async fn is_refused(world: &World, note: &[u8]) {
    let refused = world.register(&model("1"), note).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    assert!(refused.message().contains("was used at leaf index"), "{refused}");
}

#[tokio::test]
async fn a_used_approval_does_not_bring_an_older_model_back() {
    let world = World::new().await;
    let note = superseded(&world).await;
    is_refused(&world, &note).await;
    // After a restart.
    let world = world.stop().await.run().await;
    is_refused(&world, &note).await;
    // With the index gone, before it is built again.
    let files = world.stop().await;
    fs::remove_dir_all(files.sidecar.store().join("index")).unwrap();
    let world = files.run().await;
    is_refused(&world, &note).await;
    // With the index built again.
    let files = world.stop().await;
    let (done, said) = files.type_in(&["index", "rebuild"]);
    assert!(done, "{said}");
    let world = files.run().await;
    is_refused(&world, &note).await;
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Model).len(), 2);
    assert_eq!(files.entries(Kind::Roster).len(), 1, "a roster that is in force is not said again");
    assert_eq!(files.verify().status, CheckStatus::Passed);
}

#[tokio::test]
async fn asking_again_finds_the_entry_that_was_made() {
    let world = World::new().await;
    let change = model("1");
    let note = approval(&change, &["alice", "bob"]);
    let first = world.register(&change, &note).await.unwrap();
    let again = world.register(&change, &note).await.unwrap();
    assert_eq!((first.leaf_index, first.entry.clone()), (again.leaf_index, again.entry));
    let world = world.stop().await.run().await;
    let later = world.register(&change, &note).await.unwrap();
    assert_eq!((first.leaf_index, first.entry), (later.leaf_index, later.entry));
    assert_eq!(world.stop().await.entries(Kind::Model).len(), 1);
}

#[tokio::test]
async fn the_index_may_be_behind_or_wrong_and_nothing_is_forgotten() {
    let world = World::new().await;
    let note = superseded(&world).await;
    let files = world.stop().await;
    // The index of before the changes, as a crash leaves it.
    let index = files.sidecar.store().join("index");
    let kept = files.path("index-before");
    crate::support::copy(&index, &kept);
    let world = files.run().await;
    let third = model("3");
    let newest = approval(&third, &["alice", "carol"]);
    world.register(&third, &newest).await.unwrap();
    let files = world.stop().await;
    fs::remove_dir_all(&index).unwrap();
    crate::support::copy(&kept, &index);
    let world = files.run().await;
    is_refused(&world, &note).await;
    let made = world.register(&third, &newest).await.unwrap();
    assert_eq!(made.leaf_index, world.stop().await.entries(Kind::Model)[2].0);
}

#[tokio::test]
async fn what_another_program_appends_without_approval_fails_the_check_of_the_log() {
    let world = World::new().await;
    let change = model("1");
    world.register(&change, &approval(&change, &["alice", "bob"])).await.unwrap();
    let files = world.stop().await;
    assert_eq!(files.verify().status, CheckStatus::Passed);
    crate::configured::append_unapproved(&files, &model("2")).await;
    let check = files.fails();
    assert_eq!(check.status, CheckStatus::Failed);
    assert!(check.detail.contains("a change of kind `model` needed the approval of 2"), "{}", check.detail);
    // The next sidecar goes on from what the log says, and still asks.
    let world = files.run().await;
    assert_eq!(world.register(&model("3"), b"").await.unwrap_err().code(), Code::PermissionDenied);
    world.stop().await;
}
