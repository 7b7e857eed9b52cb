//! OpenTimestamps calendars: together, one of them gone, all of them gone, and one that names a block of no chain.

use ledgerstone::anchor::bitcoin::{BitcoinTrust, BlockHash, Network, Pin};
use ledgerstone::anchor::opentimestamps::{DetachedTimestamp, examine};
use ledgerstone::check::Status;
use ledgerstone::hash::Hash;

use crate::world::{Calendar, Stopped, World, calendar_lane, http_post, until};

fn trust(calendar: &Calendar) -> BitcoinTrust {
    let pin = &calendar.peer.said["pin"];
    let (height, hash) = (pin["height"].as_u64().unwrap(), pin["hash"].as_str().unwrap().parse().unwrap());
    BitcoinTrust { network: Network::Regtest, pins: vec![Pin { height, hash }] }
}

fn proof(stopped: &Stopped, seq: u64) -> DetachedTimestamp {
    let bytes = std::fs::read(stopped.statement("bitcoin", seq).join("proof.ots")).unwrap();
    DetachedTimestamp::parse(&bytes).unwrap()
}

/// Whether the files of a statement prove it to somebody who pinned the first block.
fn is_proved(stopped: &Stopped, seq: u64, trust: &BitcoinTrust) -> bool {
    let folder = stopped.statement("bitcoin", seq);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let headers = read("headers");
    let found = examine(&Hash::of(&read("statement")), &read("proof.ots"), Some(&headers), trust);
    found.checks.iter().all(|check| check.status == Status::Passed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_upgraded_until_it_stands_without_its_calendars() {
    let folder = tempfile::tempdir().unwrap();
    let Some(one) = Calendar::start(folder.path(), "one") else { return };
    let Some(two) = Calendar::start(folder.path(), "two") else { return };
    // Two calendars that have seen the same so far would keep one commitment between them.
    http_post(two.peer.address, "/digest", "another client's").await.unwrap();
    let headers = format!("headers = \"{}\"", one.headers.display());
    let world = World::new(&calendar_lane("bitcoin", &[&one, &two], &headers)).await;
    world.decide(40).await;
    world.until_page_says("bitcoin bitcoin accepted").await;
    assert_eq!(world.confirmed("bitcoin").await, 0, "a calendar's promise is no anchor");
    let pending = proof(&world.stopped, 1);
    assert_eq!((pending.is_complete(), pending.upgrade_requests().len()), (false, 2));

    two.mine(8).await;
    until("the block of the second calendar", || async { proof(&world.stopped, 1).is_complete() }).await;
    assert_eq!(world.confirmed("bitcoin").await, 0, "its chain is not the one of the headers");

    one.mine(1).await;
    until("both blocks", || async { proof(&world.stopped, 1).bitcoin_attestations().unwrap().len() == 2 })
        .await;
    assert_eq!(world.confirmed("bitcoin").await, 0, "one block is not deep enough");
    one.mine(5).await;
    world.until_confirmed("bitcoin", 1).await;
    world.until_said("bitcoin", 1).await;
    let stopped = world.stop().await;
    assert!(is_proved(&stopped, 1, &trust(&one)));
    let others = std::fs::read(&two.headers).unwrap();
    let hash = BlockHash::of(others[80..160].try_into().unwrap());
    let other = BitcoinTrust { network: Network::Regtest, pins: vec![Pin { height: 101, hash }] };
    assert!(!is_proved(&stopped, 1, &other), "another chain proves nothing");
    assert_eq!(proof(&stopped, 1).upgrade_requests(), [], "nothing of the calendars is left in it");
    let count = stopped.count("bitcoin");
    assert!(count >= 1);
    stopped.assert_chain_and_entries("bitcoin", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_that_is_gone_before_the_upgrade_is_made_up_for_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let Some(one) = Calendar::start(folder.path(), "one") else { return };
    let Some(mut two) = Calendar::start(folder.path(), "two") else { return };
    let world = World::new(&calendar_lane("bitcoin", &[&one, &two], "")).await;
    world.decide(10).await;
    world.until_page_says("bitcoin bitcoin accepted").await;
    two.peer.kill();
    world.until_page_says("cannot be reached").await;
    one.mine(1).await;
    world.until_said("bitcoin", 1).await;
    assert!(world.confirmed("bitcoin").await > 0);
    world.decide(10).await;
    world.until_page_says_all(&["1 of 2 calendars that are needed", "ALARM: "]).await;
    world.stop().await.assert_chain_and_entries("bitcoin", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_calendars_forgot_is_stamped_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut one) = Calendar::start(folder.path(), "one") else { return };
    let more = "quorum = 1\nresubmit_after = \"2s\"";
    let stopped = Stopped::new(&calendar_lane("bitcoin", &[&one], more)).await;
    let world = stopped.start().await;
    world.decide(10).await;
    world.until_page_says("bitcoin bitcoin accepted").await;
    let stopped = world.stop().await;
    // It comes back elsewhere, with nothing in it: the promise of the first one is worth nothing.
    one.peer.kill();
    let Some(other) = Calendar::start(folder.path(), "other") else { return };
    let config = std::fs::read_to_string(stopped.files.config()).unwrap();
    std::fs::write(stopped.files.config(), config.replace(&one.peer.url, &other.peer.url)).unwrap();
    let world = stopped.start().await;
    let before = proof(&world.stopped, 1);
    until("another promise", || async { proof(&world.stopped, 1) != before }).await;
    other.mine(1).await;
    world.until_said("bitcoin", 1).await;
    assert!(proof(&world.stopped, 1).is_complete());
    world.stop().await.assert_chain_and_entries("bitcoin", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_under_another_name_is_refused_because_nobody_would_be_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calendar) = Calendar::start(folder.path(), "one") else { return };
    let lane = calendar_lane("bitcoin", &[&calendar], "quorum = 1").replace("127.0.0.1", "localhost");
    let world = World::new(&lane).await;
    world.until_page_says("promises under another calendar's name").await;
    assert!(!world.stopped.statement("bitcoin", 1).join("proof.ots").exists());
    world.stop().await;
}
