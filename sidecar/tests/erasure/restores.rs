//! Copies of the keyring in its place: older than the log, newer than it, and beside what only the keyring knew.
//!
//! Danger: a restore brings back what was erased, calls erased what is only lost, or loses what could be kept.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::proto::ledgerstone_v1::{HoldRequest, ReleaseRequest};
use ledgerstone_sidecar::cli::erasure::{ErasureCommand, KeyringCommand};
use ledgerstone_sidecar::commands;
use rusqlite::Connection;
use serde_json::json;

use crate::world::{Files, World, copy_folder, http, record, subject};

/// Runs `keyring restore --from`; what it says, or why not.
pub(crate) fn restore(files: &Files, from: &Path) -> Result<String, String> {
    restore_with(files, from, false)
}

fn restore_with(files: &Files, from: &Path, discard_current: bool) -> Result<String, String> {
    let from = Some(from.to_owned());
    let command = KeyringCommand::Restore { from, without_backup: false, discard_current };
    let mut out = Vec::new();
    match commands::erasure(&files.config(&[]), ErasureCommand::Keyring(command), &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Starts the sidecar, which must refuse; what it says.
pub(crate) fn refused(files: &Files) -> String {
    let mut process = files.sidecar.command("run").stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while process.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let has_ended = process.try_wait().unwrap().is_some();
    process.kill().unwrap();
    let ended = process.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(has_ended && !ended.status.success(), "it started: {said}");
    said
}

/// Writes a copy that the sidecar does not manage.
fn back_up(files: &Files, name: &str) -> PathBuf {
    let copy = files.folder.path().join(name);
    let backup = KeyringCommand::Backup { output: Some(copy.clone()) };
    commands::erasure(&files.config(&[]), ErasureCommand::Keyring(backup), &mut Vec::new()).unwrap();
    copy
}

fn keyring(files: &Files) -> PathBuf {
    files.store().join("keyring/keyring.db")
}

/// Adds a review to a decision.
async fn review(world: &World, decision: &str) {
    let fields = json!({ "review/[0]/reviewer": "r-1", "review/[0]/action": "confirm",
        "review/[0]/reason": "seen", "review/[0]/at": 1_795_000_000_000_u64 });
    let body = json!({ "fields": fields }).to_string();
    let path = format!("/decisions/{decision}/review");
    let (status, said) = http(world.app.recorder_addr.unwrap(), "POST", &path, &body).await;
    assert_eq!(status, 201, "{said}");
}

async fn hold(world: &World, person: &str) -> String {
    let request = HoldRequest { target: Some(subject(person)), operator: "counsel".to_owned() };
    world.keyring().await.hold(request).await.unwrap().into_inner().hold_id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_of_one_record_and_holds_survive_a_restore() {
    let world = World::new().await;
    let (one, other) = (world.decide("ada").await, world.decide("ada").await);
    world.history(&other).await;
    let copy = back_up(&world.files, "copy.db");
    hold(&world, "bob").await;
    assert!(world.erase(record(&one)).await.unwrap().erased);
    let files = world.stop().await;
    let said = restore(&files, &copy).unwrap();
    assert!(!said.contains("never open"), "{said}");
    let world = files.run().await;
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&other).await, ["opened"], "it moved to another key, as it had before");
    world.decide("bob").await;
    assert!(!world.erase(subject("bob")).await.unwrap().erased, "the log knows the hold");
    // What the log says of the key that it moved to holds for the next restore too.
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    assert_eq!(world.history(&other).await, ["erased"]);
    let files = world.stop().await;
    restore(&files, &copy).unwrap();
    for decision in [&one, &other] {
        assert!(files.open(decision).unwrap_err().contains("erased"));
    }
    files.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_key_erased_one_after_another_are_erased_after_a_restore_and_no_others() {
    let world = World::new().await;
    let mut decisions = Vec::new();
    for _ in 0..4 {
        decisions.push(world.decide("ada").await);
    }
    review(&world, &decisions[1]).await;
    world.history(&decisions[3]).await;
    let copy = back_up(&world.files, "copy.db");
    for decision in &decisions[..2] {
        assert!(world.erase(record(decision)).await.unwrap().erased);
    }
    let files = world.stop().await;
    let erasures: Vec<u64> = files.entries(Kind::Erasure).iter().map(|(index, _)| *index).collect();
    // By the command, and by hand.
    for by_hand in [false, true] {
        if by_hand {
            std::fs::remove_dir_all(files.store().join("keyring")).unwrap();
            std::fs::create_dir(files.store().join("keyring")).unwrap();
            std::fs::copy(&copy, keyring(&files)).unwrap();
        } else {
            let said = restore(&files, &copy).unwrap();
            assert!(!said.contains("never open"), "{said}");
        }
    }
    let world = files.run().await;
    assert_eq!(world.history(&decisions[0]).await, ["erased"]);
    assert_eq!(world.history(&decisions[1]).await, ["erased", "erased"]);
    for decision in &decisions[2..] {
        assert_eq!(world.history(decision).await, ["opened"]);
    }
    // A third one is erased alone like any other.
    assert!(world.erase(record(&decisions[2])).await.unwrap().erased);
    assert_eq!(world.history(&decisions[3]).await, ["opened"]);
    let files = world.stop().await;
    for (decision, leaf) in decisions.iter().zip(&erasures) {
        let said = files.open(decision).unwrap_err();
        assert!(said.contains(&format!("entry {leaf} ")), "{said}");
    }
    files.open(&decisions[3]).unwrap();
    restore(&files, &copy).unwrap();
    for decision in &decisions[..3] {
        assert!(files.open(decision).unwrap_err().contains("erased"));
    }
    files.open(&decisions[3]).unwrap();
    files.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_has_no_key_for_is_lost_and_not_called_erased() {
    let world = World::new().await;
    let bob = world.decide("bob").await;
    world.history(&bob).await;
    let early = back_up(&world.files, "early.db");
    // So many that the keys of the pool that the copy has are used up.
    let mut decisions = Vec::new();
    for n in 0..600 {
        world.decide(&format!("person-{n}")).await;
    }
    for _ in 0..2 {
        decisions.push(world.decide("ada").await);
    }
    world.history(&decisions[1]).await;
    let late = back_up(&world.files, "late.db");
    assert!(world.erase(record(&decisions[0])).await.unwrap().erased);
    review(&world, &decisions[1]).await;
    let files = world.stop().await;

    // The copy knows the key that the two shared: one moves; what was added to it is under a key that nobody has.
    let said = restore(&files, &late).unwrap();
    assert!(said.contains("\n1 records lie under keys"), "{said}");
    let world = files.run().await;
    assert_eq!(world.history(&decisions[1]).await, ["opened", "closed"]);
    assert_eq!(world.history(&decisions[0]).await, ["erased"]);
    let files = world.stop().await;

    // The copy does not know it.
    let said = restore(&files, &early).unwrap();
    assert!(said.contains("never open"), "{said}");
    let world = files.run().await;
    assert_eq!(world.history(&bob).await, ["opened"]);
    assert_eq!(world.history(&decisions[1]).await, ["closed", "closed"], "lost, and not erased");
    assert_eq!(world.history(&decisions[0]).await, ["erased"]);
    let files = world.stop().await;
    let said = files.open(&decisions[1]).unwrap_err();
    assert!(said.contains("does not have"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_is_newer_than_the_log_is_brought_back_to_it() {
    let world = World::new().await;
    let (one, other) = (world.decide("ada").await, world.decide("ada").await);
    let held = hold(&world, "bob").await;
    let files = world.stop().await;
    let store = tempfile::tempdir().unwrap();
    copy_folder(&files.store(), store.path());
    let world = files.run().await;
    let release = ReleaseRequest { hold_id: held, operator: "counsel".to_owned() };
    world.keyring().await.release(release).await.unwrap();
    let later = world.decide("ada").await;
    world.history(&later).await;
    assert!(world.erase(record(&one)).await.unwrap().erased);
    let files = world.stop().await;
    let copy = back_up(&files, "copy.db");

    // The store as it was, the keyring as it is: as the documentation has it, the keyring is copied last.
    std::fs::remove_dir_all(files.store()).unwrap();
    copy_folder(store.path(), &files.store());
    std::fs::copy(&copy, keyring(&files)).unwrap();
    let said = refused(&files);
    assert!(said.contains("keyring restore --from"), "{said}");
    let said = restore(&files, &copy).unwrap();
    assert!(said.contains("\n1 keys were destroyed by erasures that this log does not have"), "{said}");
    assert!(!said.contains("never open"), "{said}");
    let records = |files: &Files| {
        let ring = Connection::open(keyring(files)).unwrap();
        let sql = "SELECT sum(records) FROM keys WHERE class IS NOT NULL";
        ring.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(records(&files), 1, "only the record that is still open");
    let world = files.run().await;
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&other).await, ["opened"]);
    world.decide("bob").await;
    assert!(!world.erase(subject("bob")).await.unwrap().erased, "the log says that the hold stands");
    let fresh = world.decide("ada").await;
    assert!(world.erase(record(&other)).await.unwrap().erased);
    assert_eq!(world.history(&fresh).await, ["opened"]);
    let files = world.stop().await;
    assert!(files.open(&one).unwrap_err().contains("erased"));
    files.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_is_missing_is_missed_at_every_start_whatever_was_erased_alone() {
    let world = World::new().await;
    let (one, other) = (world.decide("ada").await, world.decide("ada").await);
    world.history(&other).await;
    assert!(world.erase(record(&one)).await.unwrap().erased);
    let files = world.stop().await;
    std::fs::remove_dir_all(files.store().join("keyring")).unwrap();
    for _ in 0..3 {
        let said = refused(&files);
        assert!(said.contains("2 records"), "{said}");
    }
    let again = KeyringCommand::Restore { from: None, without_backup: true, discard_current: false };
    let mut said = Vec::new();
    commands::erasure(&files.config(&[]), ErasureCommand::Keyring(again), &mut said).unwrap();
    assert!(String::from_utf8(said).unwrap().contains("\n2 records"));
    let world = files.run().await;
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&other).await, ["closed"], "lost, and not erased");
    world.stop().await;
}

/// Makes the keyring one that a crash has left between destroying keys and telling the log, which is the one in `store`.
fn before_the_log_knew(files: &Files, store: &Path, size: u64) {
    note(files);
    let crashed = std::fs::read(keyring(files)).unwrap();
    std::fs::remove_dir_all(files.store()).unwrap();
    copy_folder(store, &files.store());
    std::fs::write(keyring(files), crashed).unwrap();
    let ring = Connection::open(keyring(files)).unwrap();
    ring.execute("UPDATE destroyed SET leaf = NULL", []).unwrap();
    ring.execute("UPDATE meta SET value = ?1 WHERE name = 'watermark'", [size.to_be_bytes()]).unwrap();
}

/// Notes the last erasure of the log.
fn note(files: &Files) {
    let (_, entry) = files.entries(Kind::Erasure).pop().unwrap();
    let KindDetails::Erasure(details) = entry.kind_details().unwrap() else { panic!("an erasure") };
    let note = (details.id.as_bytes().to_vec(), 0_i64, entry.encode().unwrap());
    let ring = Connection::open(keyring(files)).unwrap();
    ring.execute("INSERT INTO erasures VALUES(?1, ?2, ?3)", note).unwrap();
}

fn notes(files: &Files) -> i64 {
    let ring = Connection::open(keyring(files)).unwrap();
    ring.query_row("SELECT count(*) FROM erasures", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_only_the_replaced_keyring_knows_is_not_undone() {
    let world = World::new().await;
    let (one, other) = (world.decide("ada").await, world.decide("ada").await);
    world.history(&other).await;
    let files = world.stop().await;
    let copy = back_up(&files, "copy.db");
    let store = tempfile::tempdir().unwrap();
    copy_folder(&files.store(), store.path());
    let size = ledgerstone::store::fs::FsReader::open(&files.store()).size().unwrap().get();
    let world = files.run().await;
    assert!(world.erase(record(&one)).await.unwrap().erased);
    let files = world.stop().await;
    before_the_log_knew(&files, store.path(), size);
    assert!(files.erasures().is_empty(), "the log does not know");

    let said = restore(&files, &copy).unwrap();
    assert!(!said.contains("does not have"), "the log will be told: {said}");
    assert!(files.open(&one).unwrap_err().contains("erased"));
    files.open(&other).unwrap();
    let world = files.run().await;
    // An erasure of somebody else finishes the one that was interrupted, whichever comes first.
    world.decide("bob").await;
    assert!(world.erase(subject("bob")).await.unwrap().erased);
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&other).await, ["opened"]);
    let files = world.stop().await;
    assert_eq!(files.erasures().len(), 2, "the log was told once");
    files.verify();

    // A note of what the log says already is none.
    let newest = back_up(&files, "newest.db");
    note(&files);
    assert_eq!(notes(&files), 1);
    restore(&files, &newest).unwrap();
    assert_eq!(notes(&files), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_file_is_private_and_every_keyring_that_was_replaced_stays_until_an_erasure() {
    let world = World::new().await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let files = world.stop().await;
    let copy = back_up(&files, "copy.db");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644)).unwrap();
    let folder = files.store().join("keyring");
    let original = std::fs::read(keyring(&files)).unwrap();
    for _ in 0..2 {
        restore(&files, &copy).unwrap();
        let mode = std::fs::metadata(keyring(&files)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files.open(&ada).unwrap();
        assert_eq!(std::fs::read(folder.join("replaced.db")).unwrap(), original);
    }
    assert!(folder.join("replaced-2.db").exists() && !folder.join("replaced-3.db").exists());
    let world = files.run().await;
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    let files = world.stop().await;
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with("replaced")), "{left:?}");
    drop(files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_cannot_be_read_is_replaced_only_by_who_gives_up_what_it_knew() {
    let world = World::new().await;
    let ada = world.decide("ada").await;
    world.history(&ada).await;
    let files = world.stop().await;
    let copy = back_up(&files, "copy.db");
    let spoiled = b"this is not a database, whatever its name says".to_vec();
    std::fs::write(keyring(&files), &spoiled).unwrap();
    let refused = restore(&files, &copy).unwrap_err();
    assert!(refused.contains("--discard-current"), "{refused}");
    assert_eq!(std::fs::read(keyring(&files)).unwrap(), spoiled, "nothing was changed");
    restore_with(&files, &copy, true).unwrap();
    files.open(&ada).unwrap();
    assert_eq!(std::fs::read(files.store().join("keyring/replaced.db")).unwrap(), spoiled);
    // One that is gone asks for nothing.
    std::fs::remove_file(keyring(&files)).unwrap();
    restore(&files, &copy).unwrap();
    let world = files.run().await;
    assert_eq!(world.history(&ada).await, ["opened"]);
    world.stop().await;
}
