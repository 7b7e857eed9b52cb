//! Holds and rules that forbid to erase, and the sweep that erases what is over.

use std::path::Path;
use std::time::Duration;

use ledgerstone::entry::{ErasureOutcome, Kind, RegisteredName};
use ledgerstone::proto::ledgerstone_v1::{BackUpRequest, HoldRequest, ReleaseRequest, Target};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::keyring::month;
use ledgerstone_sidecar::retention;
use tonic::Code;

use crate::support::free_port;
use crate::world::{Files, World, decide, record, subject};

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
    let copy = world.keyring().await.back_up(BackUpRequest {}).await.unwrap().into_inner().path;
    for target in [subject("ada"), record(&ada), subject("bob"), record(&bob)] {
        let refused = world.erase(target).await.unwrap();
        assert!(!refused.erased && refused.keys == 0 && refused.outcome.contains("hold"), "{refused:?}");
    }
    assert!(Path::new(&copy).exists(), "a refusal destroys nothing, so the managed copies stay");
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
    assert!(!Path::new(&copy).exists());
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

fn this_month() -> u32 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    month(UnixMillis::new(u64::try_from(since_1970.as_millis()).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_erases_what_is_over_and_nothing_else() {
    let world = Files::new("retention = \"25mo\"").await.run().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    let nobody = world.decide("").await;
    hold(&world, subject("bob")).await;
    let erasures = world.app.erasures();
    let operator = RegisteredName::parse("schedule").unwrap();
    let this = this_month();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_nobody_or_on_a_reference_that_is_too_long_is_refused() {
    let world = World::new().await;
    for wrong in [String::new(), "x".repeat(65_537)] {
        let request = HoldRequest { target: Some(subject(&wrong)), operator: "counsel".to_owned() };
        let refused = world.keyring().await.hold(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    hold(&world, subject(&"x".repeat(65_536))).await;
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Hold).len(), 1);
}

/// Danger: whoever is held is erased with a record that is about somebody else too, in whatever way it came to its keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_one_person_keeps_the_records_that_others_share() {
    let world = Files::of_batches("retention = \"25mo\"").await.run().await;
    let both = world.decide_together(&["ada", "bob"]).await;
    let mut of_ada = Vec::new();
    for _ in 0..3 {
        of_ada.push(world.decide_together(&["ada"]).await);
    }
    let eve = world.decide_together(&["eve"]).await;
    let for_bob = world.decide_together(&["bob"]).await;
    let person = hold(&world, subject("bob")).await;
    let held = async |target: Target| {
        let refused = world.erase(target).await.unwrap();
        assert!(!refused.erased && refused.outcome.contains("hold"), "{refused:?}");
    };
    held(subject("ada")).await;
    held(record(&both)).await;
    // Hers alone close one by one; what is about both moves to another key, and the hold follows it there each time.
    for (n, decision) in of_ada.iter().enumerate() {
        assert!(world.erase(record(decision)).await.unwrap().erased, "{n}");
        assert_eq!(world.history(&both).await, ["opened"]);
        held(subject("ada")).await;
    }
    let operator = RegisteredName::parse("schedule").unwrap();
    let sweep =
        async || retention::sweep_at(world.app.erasures(), &operator, this_month() + 26).await.unwrap();
    assert_eq!(sweep().await.keys, 1, "eve's; the other's key is under the held record too");
    assert_eq!(world.history(&eve).await, ["erased"]);
    assert_eq!(world.history(&both).await, ["opened"]);
    // A hold on that one record instead.
    let one = hold(&world, record(&both)).await;
    release(&world, &person).await;
    for target in [subject("ada"), subject("bob"), record(&both)] {
        held(target).await;
    }
    assert_eq!(sweep().await.keys, 0);
    assert!(world.erase(record(&for_bob)).await.unwrap().erased);
    held(subject("bob")).await;
    assert_eq!(world.history(&both).await, ["opened"]);
    release(&world, &one).await;
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    assert_eq!(world.history(&both).await, ["erased"]);
    world.stop().await.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_of_more_keys_than_one_entry_names_takes_several() {
    let world = Files::new("retention = \"25mo\"").await.run().await;
    let mut model = world.model().await;
    let mut decisions = Vec::new();
    for n in 0..100 {
        decisions.push(decide(&mut model, &format!("person-{n}")).await.unwrap());
    }
    let operator = RegisteredName::parse("schedule").unwrap();
    let erasures = world.app.erasures();
    let over = || retention::dry_run(erasures.ring(), erasures.matrix(), this_month() + 26).unwrap();
    while over().first().is_none_or(|class| class.keys < 100) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let swept = retention::sweep_at(world.app.erasures(), &operator, this_month() + 26).await.unwrap();
    assert_eq!((swept.keys, swept.records, swept.more), (100, 100, false));
    for decision in decisions.iter().step_by(11) {
        assert_eq!(world.history(decision).await, ["erased"]);
    }
    let files = world.stop().await;
    let said = files.verify();
    assert!(said.contains("100 of them were lawfully erased"), "{said}");
    let erasures = files.erasures();
    let parts: Vec<_> = erasures.iter().map(|of| (of.part, of.parts, of.keys.len(), of.records)).collect();
    assert_eq!(parts, [(0, 2, 96, 100), (1, 2, 4, 100)]);
    assert_eq!(erasures[0].id, erasures[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_erases_what_is_over_soon_after_the_start_and_says_before_what_that_is() {
    let files = Files::new("retention = \"25mo\"").await;
    let world = files.run().await;
    let (ada, bob) = (world.decide("ada").await, world.decide("bob").await);
    hold(&world, subject("bob")).await;
    world.history(&bob).await;
    let files = world.stop().await;
    // As if it had been recorded long ago.
    let ring = files.ring();
    ring.execute("UPDATE keys SET month = month - 26 WHERE class IS NOT NULL", []).unwrap();
    drop(ring);
    let text = std::fs::read_to_string(files.sidecar.config()).unwrap();
    let recorder = free_port();
    let more = format!("[recorder]\nlisten = \"127.0.0.1:{recorder}\"\n\n[retention]\ninterval = \"1s\"\n");
    std::fs::write(files.sidecar.config(), format!("{text}\n{more}")).unwrap();
    let mut running = files.sidecar.start();
    drop(files.sidecar.client().await);
    for _ in 0..200 {
        if files.sidecar.log_lines().contains("retention sweep") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(running.stop().success());
    assert!(files.open(&ada).unwrap_err().contains("erased"));
    files.open(&bob).expect("what is held stays");
    let said = files.sidecar.log_lines();
    let found = said.find("records are over").unwrap_or_else(|| panic!("{said}"));
    assert!(found < said.find("retention sweep").unwrap(), "{said}");
    files.verify();
}
