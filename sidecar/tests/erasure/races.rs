//! Erasing while the same person is read, added to and decided about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledgerstone::entry::RegisteredName;
use ledgerstone::proto::ledgerstone_v1::HoldRequest;
use ledgerstone_sidecar::retention;
use serde_json::json;

use crate::world::{Files, World, decide, http, record, subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_go_on_while_their_person_is_erased_and_each_is_wholly_open_or_wholly_closed() {
    let world = Arc::new(World::new().await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut deciding = Vec::new();
    for _ in 0..6 {
        let (stop, mut model) = (Arc::clone(&stop), world.model().await);
        deciding.push(tokio::spawn(async move {
            let mut made = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                made.push(decide(&mut model, "ada").await.expect("an erasure refuses no decision"));
            }
            made
        }));
    }
    let before = world.decide("ada").await;
    let mut erased = 0;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let done = world.erase(subject("ada")).await.unwrap();
        assert!(done.erased);
        erased += done.records;
    }
    stop.store(true, Ordering::Relaxed);
    let mut made = vec![before];
    for task in deciding {
        made.extend(task.await.unwrap());
    }
    let after = world.decide("ada").await;
    let (mut open, mut closed) = (0, 0);
    for decision in &made {
        match world.history(decision).await[0].as_str() {
            "opened" => open += 1,
            "erased" => closed += 1,
            other => panic!("{decision} is {other}"),
        }
    }
    assert_eq!(closed, erased, "the entries count what is closed");
    assert!(closed > 8, "{closed} of {}", open + closed);
    assert_eq!(world.history(&after).await, ["opened"]);
    let world = Arc::into_inner(world).unwrap();
    let said = world.stop().await.verify();
    assert!(said.contains(&format!("{closed} of them were lawfully erased")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reading_disclosing_and_adding_race_with_an_erasure_without_a_fault() {
    let world = Arc::new(World::new().await);
    let address = world.app.recorder_addr.unwrap();
    for round in 0..6 {
        let name = format!("person-{round}");
        let decision = world.decide(&name).await;
        let other = world.decide(&name).await;
        assert_eq!(world.history(&decision).await, ["opened"]);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (world, decision) = (Arc::clone(&world), decision.clone());
            tasks.spawn(async move {
                if n % 2 == 0 {
                    let (status, receipt) = world.receipt(&decision).await;
                    assert_eq!(status, 200, "{receipt}");
                } else {
                    let body = json!({ "fields": { "outcome/action": "deny" } }).to_string();
                    let (status, said) =
                        http(address, "POST", &format!("/decisions/{decision}/outcome"), &body).await;
                    assert!([201, 410, 503].contains(&status), "{status} {said}");
                }
            });
        }
        let target = if round % 2 == 0 { subject(&name) } else { record(&decision) };
        let erased = world.erase(target).await.unwrap();
        assert!(erased.erased);
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let history = world.history(&decision).await;
        assert!(history.iter().all(|record| record == "erased"), "{history:?}");
        let expected = if round % 2 == 0 { "erased" } else { "opened" };
        assert_eq!(world.history(&other).await, [expected]);
        let closed = history.len() + usize::from(round % 2 == 0);
        assert_eq!(
            erased.records, closed as u64,
            "what was added before it is counted, and nothing after it"
        );
    }
    Arc::into_inner(world).unwrap().stop().await.verify();
}

/// Adds to each of the decisions, one after the other within a moment; counts what was turned away for now.
async fn add_to_each(world: &Arc<World>, decisions: &[String]) -> tokio::task::JoinHandle<u64> {
    let mut adding = tokio::task::JoinSet::new();
    for (n, decision) in (0..).zip(decisions) {
        let (world, decision) = (Arc::clone(world), decision.clone());
        adding.spawn(async move {
            tokio::time::sleep(Duration::from_millis(n * 7)).await;
            world.add(&decision).await
        });
    }
    tokio::spawn(async move {
        let mut turned_away = 0;
        while let Some(status) = adding.join_next().await {
            match status.unwrap() {
                201 => {}
                503 => turned_away += 1,
                other => panic!("{other}"),
            }
        }
        turned_away
    })
}

async fn eight_held(more: &str) -> (Arc<World>, Vec<String>) {
    let world = Arc::new(Files::new(more).await.run().await);
    let mut theirs = Vec::new();
    for _ in 0..8 {
        theirs.push(world.decide("ada").await);
    }
    let held = HoldRequest { target: Some(subject("ada")), operator: "counsel".to_owned() };
    world.keyring().await.hold(held).await.unwrap();
    (world, theirs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_an_erasure_is_refused_nobody_is_told_that_something_was_erased() {
    let (world, theirs) = eight_held("").await;
    let mut turned_away = 0;
    for round in 0..7 {
        let adding = add_to_each(&world, &theirs).await;
        let target = if round % 2 == 0 { record(&theirs[0]) } else { subject("ada") };
        assert!(!world.erase(target).await.unwrap().erased);
        turned_away += adding.await.unwrap();
    }
    assert!(turned_away > 0, "the window was never met: the test shows nothing");
    for decision in &theirs {
        assert_eq!(world.add(decision).await, 201);
    }
    Arc::into_inner(world).unwrap().stop().await.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_turns_away_nothing_that_is_added_to_what_is_held() {
    let (world, theirs) = eight_held("retention = \"25mo\"").await;
    let operator = RegisteredName::parse("schedule").unwrap();
    for _ in 0..6 {
        let adding = add_to_each(&world, &theirs).await;
        let swept = retention::sweep_at(world.app.erasures(), &operator, 9999 * 12).await.unwrap();
        assert_eq!(swept.keys, 0);
        assert_eq!(adding.await.unwrap(), 0);
    }
    Arc::into_inner(world).unwrap().stop().await.verify();
}
