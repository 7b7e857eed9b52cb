//! Erasing while the same person is read, added to and decided about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::world::{World, decide, http, record, subject};

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
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
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
                    assert!(status == 201 || status == 410, "{status} {said}");
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
    }
    Arc::into_inner(world).unwrap().stop().await.verify();
}
