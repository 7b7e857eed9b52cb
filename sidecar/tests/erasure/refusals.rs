//! Holds and rules that forbid to erase, and the sweep that erases what is over.

use ledgerstone::entry::{ErasureOutcome, Kind, RegisteredName};
use ledgerstone::proto::ledgerstone_v1::{HoldRequest, ReleaseRequest, Target};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::keyring::month;
use ledgerstone_sidecar::retention;
use tonic::Code;

use crate::world::{Files, World, record, subject};

async fn hold(world: &World, target: Target) -> String {
    let request = HoldRequest { target: Some(target), operator: "counsel".to_owned() };
    world.keyring().await.hold(request).await.unwrap().into_inner().hold_id
}

async fn release(world: &World, hold: &str) {
    let request = ReleaseRequest { hold_id: hold.to_owned(), operator: "counsel".to_owned() };
    world.keyring().await.release(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_refuses_and_the_refusal_is_in_the_log() {
    let world = World::new().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    let ada_too = world.decide("ada").await;
    let person = hold(&world, subject("ada")).await;
    let again = hold(&world, subject("ada")).await;
    let one = hold(&world, record(&bob)).await;
    for target in [subject("ada"), record(&ada), subject("bob"), record(&bob)] {
        let refused = world.erase(target).await.unwrap();
        assert!(!refused.erased && refused.keys == 0 && refused.outcome.contains("hold"), "{refused:?}");
    }
    // A hold outlives the sidecar, and one made before the person is known counts too.
    let early = hold(&world, subject("eve")).await;
    let files = world.stop().await;
    let world = files.run().await;
    let eve = world.decide("eve").await;
    for target in [subject("ada"), subject("bob"), subject("eve")] {
        assert!(!world.erase(target).await.unwrap().erased);
    }
    release(&world, &person).await;
    assert!(!world.erase(subject("ada")).await.unwrap().erased, "the second hold stands");
    for id in [&again, &one, &early] {
        release(&world, id).await;
    }
    let request = ReleaseRequest { hold_id: one.clone(), operator: "counsel".to_owned() };
    assert_eq!(world.keyring().await.release(request).await.unwrap_err().code(), Code::NotFound);
    for target in [record(&ada), subject("ada"), subject("bob"), subject("eve")] {
        assert!(world.erase(target).await.unwrap().erased);
    }
    for decision in [&ada, &ada_too, &bob, &eve] {
        assert_eq!(world.history(decision).await[0], "erased");
    }
    let files = world.stop().await;
    files.verify();
    let refused = files.erasures().iter().filter(|details| details.outcome == ErasureOutcome::Held).count();
    assert_eq!(refused, 8);
    assert_eq!((files.entries(Kind::Hold).len(), files.entries(Kind::Release).len()), (4, 4));
    // Two holds on one person do not look alike, and nothing in them is the person.
    let marks = files.entries(Kind::Hold);
    let details: Vec<_> = marks.iter().map(|(_, entry)| entry.encode().unwrap()).collect();
    assert!(details.iter().all(|entry| !entry.windows(3).any(|window| window == b"ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_one_record_leaves_the_persons_others_erasable_one_by_one() {
    let world = World::new().await;
    let (held, free) = (world.decide("ada").await, world.decide("ada").await);
    let id = hold(&world, record(&held)).await;
    assert!(!world.erase(subject("ada")).await.unwrap().erased);
    assert!(world.erase(record(&free)).await.unwrap().erased);
    assert_eq!(world.history(&held).await[0], "opened", "it moved to another key");
    assert!(!world.erase(subject("ada")).await.unwrap().erased, "the hold follows it there");
    release(&world, &id).await;
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    assert_eq!(world.history(&held).await[0], "erased");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sec_17a_4_keeps_is_refused_with_its_exemption() {
    let world = Files::new("retention = \"reg-b+sec17a4\"").await.run().await;
    let decision = world.decide("ada").await;
    for target in [subject("ada"), record(&decision)] {
        let refused = world.erase(target).await.unwrap();
        assert!(!refused.erased && refused.outcome.contains("rule"), "{refused:?}");
    }
    assert_eq!(world.history(&decision).await[0], "opened");
    let files = world.stop().await;
    let outcomes: Vec<_> = files.erasures().iter().map(|details| details.outcome).collect();
    assert_eq!(outcomes, [ErasureOutcome::MustBeKept; 2]);
    files.open(&decision).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_erases_what_is_over_and_nothing_else() {
    let world = Files::new("retention = \"25mo\"").await.run().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    let nobody = world.decide("").await;
    hold(&world, subject("bob")).await;
    let erasures = world.app.erasures();
    let operator = RegisteredName::parse("schedule").unwrap();
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let this = month(UnixMillis::new(u64::try_from(since_1970.as_millis()).unwrap()));
    let at = |months: u32| retention::sweep_at(erasures, &operator, this + months);
    assert_eq!(at(0).await.unwrap().keys, 0);
    assert_eq!(at(25).await.unwrap().keys, 0, "the last of their month is 25 months old a month later");
    let found = retention::dry_run(erasures.ring(), erasures.matrix(), this + 26).unwrap();
    assert_eq!(
        found.iter().map(|class| (class.class.as_str(), class.records)).collect::<Vec<_>>(),
        [("25mo", 3)]
    );
    assert_eq!(world.history(&ada).await[0], "opened", "a dry run changes nothing");
    let swept = at(26).await.unwrap();
    assert_eq!((swept.keys, swept.records, swept.more), (2, 2, false));
    assert_eq!(world.history(&ada).await[0], "erased");
    assert_eq!(world.history(&nobody).await[0], "erased");
    assert_eq!(world.history(&bob).await[0], "opened", "what is held stays");
    assert_eq!(at(30).await.unwrap().keys, 0);
    let files = world.stop().await;
    files.verify();
    assert_eq!(files.erasures().len(), 1, "what is held is not told at each sweep");
}
