//! What an erasure closes, and what it leaves open.

use ledgerstone::entry::{
    Entry, ErasureDetails, ErasureId, ErasureOutcome, ErasureScope, Ground, Kind, KindDetails,
    RegisteredName, SessionId, WriterName,
};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::ledgerstone_v1::EraseResponse;
use ledgerstone::verify::{self, Verdict};
use serde_json::json;
use tonic::Code;

use crate::world::{Files, World, about, decide, every_file, http, record, subject};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_nobody_else() {
    let world = World::new().await;
    let mut theirs = Vec::new();
    for _ in 0..5 {
        theirs.push(world.decide("ada").await);
    }
    let (other, nobody) = (world.decide("bob").await, world.decide("").await);
    let address = world.app.recorder_addr.unwrap();
    let outcome = json!({ "fields": { "outcome/action": "deny" } }).to_string();
    let (status, said) = http(address, "POST", &format!("/decisions/{}/outcome", theirs[0]), &outcome).await;
    assert_eq!(status, 201, "{said}");
    assert_eq!(world.history(&theirs[0]).await, ["opened", "opened"]);

    let erased = world.erase(subject("ada")).await.unwrap();
    assert!(erased.erased, "{erased:?}");
    // However many records: one key, because they are of one class and month (two where a month ends meanwhile).
    assert!((1..=2).contains(&erased.keys) && erased.records == 6, "{erased:?}");

    assert_eq!(world.history(&theirs[0]).await, ["erased", "erased"]);
    assert_eq!(world.history(&other).await, ["opened"]);
    assert_eq!(world.history(&nobody).await, ["opened"]);
    let (status, said) = http(address, "POST", &format!("/decisions/{}/outcome", theirs[1]), &outcome).await;
    assert_eq!(status, 410, "{said}");
    // The proof that the decision was recorded still stands; it shows nothing of it.
    let (status, receipt) = world.receipt(&theirs[0]).await;
    assert_eq!(status, 200);
    let asked = ledgerstone::proto::ledgerstone_v1::GetReceiptRequest {
        decision_id: theirs[0].clone(),
        fields: Vec::new(),
    };
    let mut receipts = ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient::new(
        tonic::transport::Endpoint::from_shared(format!("http://{}", world.app.grpc_addr))
            .unwrap()
            .connect_lazy(),
    );
    let made = receipts.get_receipt(asked).await.unwrap().into_inner();
    assert_eq!((made.erased, made.erased_leaf_index), (true, Some(erased.leaf_indices[0])));
    let text = serde_json::to_string(&receipt).unwrap();
    assert!(!text.contains("ada"), "{text}");
    assert!(receipt["disclosure"]["openings"].as_array().is_none_or(Vec::is_empty), "{text}");
    // Erased twice is not found, and what comes later is not touched.
    assert_eq!(world.erase(subject("ada")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.erase(record(&theirs[2])).await.unwrap_err().code(), Code::NotFound);
    let later = world.decide("ada").await;
    assert_eq!(world.history(&later).await, ["opened"]);
    let metrics = world.metrics().await;
    assert!(metrics.contains("ledgerstone_subject_keys_destroyed 1"), "{metrics}");
    assert!(!metrics.contains("ada"));

    let files = world.stop().await;
    for decision in &theirs {
        let refused = files.open(decision).unwrap_err();
        assert!(refused.contains(&format!("entry {}", erased.leaf_indices[0])), "{refused}");
        assert!(refused.contains("erased"), "{refused}");
    }
    for decision in [&other, &nobody, &later] {
        files.open(decision).unwrap();
    }
    let said = files.verify();
    assert!(said.contains("6 of them were lawfully erased"), "{said}");
    let [details] = &files.erasures()[..] else { panic!("one entry") };
    assert_eq!(
        (details.scope, details.ground, details.outcome, details.records),
        (ErasureScope::Subject, Ground::SubjectRequest, ErasureOutcome::Erased, 6)
    );
    assert_eq!(details.operator.as_str(), "dpo-7");
    let (_, entry) = &files.entries(Kind::Erasure)[0];
    assert_eq!((entry.decision, entry.links.len()), (None, 0), "the entry names no decision");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_is_erased_and_the_same_persons_others_stay_open() {
    let world = World::new().await;
    let mut theirs = Vec::new();
    for _ in 0..6 {
        theirs.push(world.decide("ada").await);
    }
    let alone = world.decide("").await;
    let first = world.erase(record(&theirs[2])).await.unwrap();
    assert_eq!((first.erased, first.keys, first.records), (true, 1, 1));
    // Again, among records that moved already, and one that has its key alone.
    let second = world.erase(record(&theirs[4])).await.unwrap();
    assert_eq!((second.erased, second.keys, second.records), (true, 1, 1));
    assert!(world.erase(record(&alone)).await.unwrap().erased);
    let expected = |n: usize| if n == 2 || n == 4 { "erased" } else { "opened" };
    for (n, decision) in theirs.iter().enumerate() {
        assert_eq!(world.history(decision).await, [expected(n)], "decision {n}");
    }
    // What is added to a record that moved, and new decisions, go on.
    let address = world.app.recorder_addr.unwrap();
    let outcome = json!({ "fields": { "outcome/action": "deny" } }).to_string();
    let (status, said) = http(address, "POST", &format!("/decisions/{}/outcome", theirs[0]), &outcome).await;
    assert_eq!(status, 201, "{said}");
    assert_eq!(world.history(&theirs[0]).await, ["opened", "opened"]);
    let files = world.stop().await;
    let said = files.verify();
    assert!(said.contains("3 of them were lawfully erased"), "{said}");
    // Each names its own erasure, however often the records beside it moved.
    assert_eq!(files.erased_by(&theirs[2]), first.leaf_indices[0]);
    assert_eq!(files.erased_by(&theirs[4]), second.leaf_indices[0]);
    let erasures = files.entries(Kind::Erasure);
    assert_eq!(erasures.len(), 3);
    let of =
        files.entries(Kind::Decision).iter().position(|(_, e)| e.decision.unwrap().to_string() == theirs[2]);
    let index = files.entries(Kind::Decision)[of.unwrap()].0;
    assert_eq!(erasures[0].1.links, [LeafIndex::new(index)]);

    // Then the person: everything closes, what had moved too, and the verifier follows the keys.
    let world = files.run().await;
    let last = world.erase(subject("ada")).await.unwrap();
    assert!(last.erased);
    for decision in &theirs {
        assert!(world.history(decision).await.iter().all(|record| record == "erased"));
    }
    let files = world.stop().await;
    let said = files.verify();
    assert!(said.contains("8 of them were lawfully erased"), "{said}");
    let named = [0, 2, 4].map(|n| files.erased_by(&theirs[n]));
    assert_eq!(named, [last.leaf_indices[0], first.leaf_indices[0], second.leaf_indices[0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_asked_as_json_and_nonsense_is_refused() {
    let world = World::new().await;
    let decision = world.decide("ada").await;
    let address = world.app.recorder_addr.unwrap();
    let good = json!({ "subject": "ada", "ground": "legal-order", "operator": "dpo" });
    let changed = |key: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    for (body, expected) in [
        ("{".to_owned(), 400),
        (changed("ground", json!("because")), 400),
        (changed("operator", json!("The Boss")), 400),
        (changed("operator", json!("")), 400),
        (changed("subject", json!("")), 400),
        (changed("subject", json!("nobody we know")), 404),
        (changed("decision_id", json!(decision)), 400),
        (changed("more", json!(1)), 400),
        (json!({ "ground": "legal-order", "operator": "dpo" }).to_string(), 400),
        (json!({ "decision_id": "x", "ground": "legal-order", "operator": "dpo" }).to_string(), 400),
        (changed("subject", json!("x".repeat(600_000))), 413),
    ] {
        let (status, said) = http(address, "POST", "/erasures", &body).await;
        assert_eq!(status, expected, "{}: {said}", &body[..body.len().min(100)]);
        assert!(!said.to_string().contains("nobody we know"), "{said}");
    }
    assert_eq!(world.history(&decision).await, ["opened"]);
    let (status, said) = http(address, "POST", "/erasures", &good.to_string()).await;
    assert_eq!((status, &said["erased"], &said["records"]), (200, &json!(true), &json!(1)), "{said}");
    let (status, said) = http(address, "GET", "/keyring", "").await;
    assert_eq!((status, &said["destroyed"], &said["unfinished"]), (200, &json!(1), &json!(0)), "{said}");
    assert_eq!(world.history(&decision).await, ["erased"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_from_before_an_erasure_still_verifies_after_it() {
    let world = World::new().await;
    let decision = world.decide("ada").await;
    let (_, before) =
        crate::support::http_get(world.app.http_addr, &format!("/receipts/{decision}")).await.unwrap();
    world.erase(subject("ada")).await.unwrap();
    let (_, after) =
        crate::support::http_get(world.app.http_addr, &format!("/receipts/{decision}")).await.unwrap();
    let files = world.stop().await;
    for receipt in [before, after] {
        let report = verify::receipt(&receipt, Some(&files.sidecar.policy()));
        assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_records_of_one_person_close_with_one_key() {
    let world = Files::new("").await.run().await;
    let mut model = world.model().await;
    let mut theirs = Vec::new();
    for n in 0..300 {
        theirs.push(decide(&mut model, if n % 3 == 0 { "bob" } else { "ada" }).await.unwrap());
    }
    let erased = world.erase(subject("ada")).await.unwrap();
    assert!(erased.records == 200 && erased.keys <= 2 && erased.leaf_indices.len() == 1, "{erased:?}");
    for (n, decision) in theirs.iter().enumerate().step_by(37) {
        let expected = if n % 3 == 0 { "opened" } else { "erased" };
        assert_eq!(world.history(decision).await, [expected], "decision {n}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_about_two_persons_closes_for_both_when_one_is_erased() {
    let world = Files::of_batches("").await.run().await;
    let both = world.decide_together(&["ada", "bob"]).await;
    let (ada, bob) = (world.decide_together(&["ada"]).await, world.decide_together(&["bob"]).await);
    let twice = world.decide_together(&["bob", "bob"]).await;
    assert_eq!(world.history(&both).await, ["opened"]);
    let first = world.erase(subject("bob")).await.unwrap();
    assert!(first.erased && first.records == 3, "{first:?}");
    assert_eq!(world.history(&both).await, ["erased"]);
    assert_eq!(world.history(&bob).await, ["erased"]);
    assert_eq!(world.history(&twice).await, ["erased"]);
    assert_eq!(world.history(&ada).await, ["opened"]);
    assert_eq!(world.add(&both).await, 410);
    assert_eq!(world.erase(record(&both)).await.unwrap_err().code(), Code::NotFound);
    let second = world.erase(subject("ada")).await.unwrap();
    assert_eq!((second.erased, second.records), (true, 2), "at most: one was closed before");
    let files = world.stop().await;
    let named = [&both, &bob, &ada].map(|decision| files.erased_by(decision));
    assert_eq!(named, [first.leaf_indices[0], first.leaf_indices[0], second.leaf_indices[0]]);
    let said = files.verify();
    assert!(said.contains("4 of them were lawfully erased"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_about_two_persons_is_erased_alone_with_the_key_that_has_less_beside_it() {
    let world = Files::of_batches("").await.run().await;
    let both = world.decide_together(&["bob", "ada"]).await;
    let beside = world.decide_together(&["bob", "ada"]).await;
    let mut of_bob = Vec::new();
    for _ in 0..4 {
        of_bob.push(world.decide_together(&["bob"]).await);
    }
    assert_eq!(world.add(&both).await, 201);
    let alone = world.erase(record(&both)).await.unwrap();
    assert_eq!((alone.erased, alone.keys, alone.records), (true, 1, 2), "{alone:?}");
    assert_eq!(world.history(&both).await, ["erased", "erased"]);
    assert_eq!(world.history(&beside).await, ["opened"], "it moved");
    // Then the last one under that key: nothing is left to move, however much is under the other.
    assert!(world.erase(record(&beside)).await.unwrap().erased);
    for decision in &of_bob {
        assert_eq!(world.history(decision).await, ["opened"]);
    }
    assert_eq!(
        world.erase(subject("ada")).await.unwrap_err().code(),
        Code::NotFound,
        "no key of hers is left"
    );
    let files = world.stop().await;
    let successors: Vec<bool> = files.erasures().iter().map(|details| details.successor.is_some()).collect();
    assert_eq!(successors, [true, false]);
    let said = files.verify();
    assert!(said.contains("3 of them were lawfully erased"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_about_two_persons_that_moved_still_closes_with_either_of_them() {
    for erased in ["ada", "bob"] {
        let world = Files::of_batches("").await.run().await;
        let both = world.decide_together(&["ada", "bob"]).await;
        let ada = world.decide_together(&["ada"]).await;
        for _ in 0..3 {
            world.decide_together(&["bob"]).await;
        }
        assert!(world.erase(record(&ada)).await.unwrap().erased);
        assert_eq!(world.history(&both).await, ["opened"]);
        assert_eq!(world.add(&both).await, 201);
        assert!(world.erase(subject(erased)).await.unwrap().erased);
        assert_eq!(world.history(&both).await, ["erased", "erased"], "{erased}");
        world.stop().await.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_keys_in_two_classes_is_erased_in_both() {
    let files = Files::new("retention = \"reg-b\"").await;
    let text = std::fs::read_to_string(files.sidecar.config()).unwrap();
    let (_, route) = text.split_once("[[route]]").unwrap();
    let second = route.replace("\"doubler\"", "\"doubler-2\"").replace("reg-b", "25mo");
    std::fs::write(files.sidecar.config(), format!("{text}\n[[route]]{second}")).unwrap();
    let world = files.run().await;
    let one = world.decide("ada").await;
    let mut request = about("ada");
    request.model_name = "doubler-2".to_owned();
    let answer = world.model().await.model_infer(request).await.unwrap();
    let two = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
    let bob = world.decide("bob").await;
    let erased = world.erase(subject("ada")).await.unwrap();
    assert!(erased.keys >= 2 && erased.records == 2, "{erased:?}");
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&two).await, ["erased"]);
    assert_eq!(world.history(&bob).await, ["opened"]);
    let said = world.stop().await.verify();
    assert!(said.contains("2 of them were lawfully erased"), "{said}");
}

/// Tries until the index is whole again.
async fn erase_in_the_end(world: &World, decision: &str) -> EraseResponse {
    for _ in 0..100 {
        match world.erase(record(decision)).await {
            Ok(erased) => return erased,
            Err(status) if status.code() == Code::Unavailable => {}
            Err(status) => panic!("{status}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it stays unavailable")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lookup_index_lacks_does_not_close_with_the_record_beside_it() {
    let world = World::new().await;
    let (one, beside) = (world.decide("ada").await, world.decide("ada").await);
    world.history(&beside).await;
    // Twice, so that the journal does not have the sealed records any more.
    let files = world.stop().await.run().await.stop().await;
    // An index that was built while the sealed records could not be read.
    let sealed = files.store().join("sealed");
    let away = files.folder.path().join("away");
    std::fs::rename(&sealed, &away).unwrap();
    std::fs::remove_dir_all(files.store().join("index")).unwrap();
    let world = files.run().await;
    assert_ne!(world.receipt(&one).await.0, 200);
    assert!(!sealed.exists());
    std::fs::rename(&away, &sealed).unwrap();
    let first = world.erase(record(&one)).await.unwrap_err();
    assert_eq!(first.code(), Code::Unavailable, "{first}");
    assert!(erase_in_the_end(&world, &one).await.erased);
    assert_eq!(world.history(&one).await, ["erased"]);
    assert_eq!(world.history(&beside).await, ["opened"]);
    world.stop().await.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_does_not_keep_those_beside_it_from_being_erased() {
    let world = World::new().await;
    let (mut of_ada, mut of_bob) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        of_ada.push(world.decide("ada").await);
        of_bob.push(world.decide("bob").await);
    }
    world.history(&of_bob[2]).await;
    // Twice, so that the journal does not have the sealed records any more.
    let files = world.stop().await.run().await.stop().await;
    let lengths = files.entries(Kind::Decision).into_iter().map(|(_, entry)| entry.sealed.unwrap().length);
    let ends: Vec<u64> = lengths
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();
    let [(path, mut bytes)] = every_file(&files.store().join("sealed")).try_into().unwrap();
    // The first of each.
    bytes[usize::try_from(ends[0] - 1).unwrap()] ^= 1;
    bytes[usize::try_from(ends[1] - 1).unwrap()] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let world = files.run().await;
    let nobodys = world.erase(record(&of_ada[0])).await.unwrap_err();
    assert!(nobodys.message().contains("is not the one it names"), "{nobodys}");
    assert!(world.erase(record(&of_ada[1])).await.unwrap().erased, "at once");
    assert_eq!(world.history(&of_ada[2]).await, ["opened"]);
    // An index that never saw it is built again, once, and is then believed.
    let files = world.stop().await;
    std::fs::remove_dir_all(files.store().join("index")).unwrap();
    let world = files.run().await;
    assert_eq!(world.erase(record(&of_bob[1])).await.unwrap_err().code(), Code::Unavailable);
    assert!(erase_in_the_end(&world, &of_bob[1]).await.erased);
    assert_eq!(world.history(&of_bob[2]).await, ["opened"]);
    assert!(world.erase(subject("bob")).await.unwrap().erased);
    assert_eq!(world.history(&of_bob[2]).await, ["erased"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_the_entries_of_its_own_erasure_and_no_others() {
    let world = World::new().await;
    world.decide("ada").await;
    // What a crash leaves: a note that has no entry yet.
    let details = ErasureDetails {
        id: ErasureId::from_bytes([9; 16]),
        scope: ErasureScope::Subject,
        ground: Ground::LegalOrder,
        operator: RegisteredName::parse("before").unwrap(),
        outcome: ErasureOutcome::Held,
        records: 1,
        part: 0,
        parts: 1,
        keys: Vec::new(),
        successor: None,
    };
    let numbered = (WriterName::parse("unnumbered").unwrap(), SessionId::from_bytes([0; 16]), 0);
    let note = Entry::about_keys(Kind::Erasure, numbered, None, details.into()).encode().unwrap();
    let noted = "INSERT INTO erasures VALUES(?1, 0, ?2)";
    world.files.ring().execute(noted, (vec![9_u8; 16], note)).unwrap();
    let erased = world.erase(subject("ada")).await.unwrap();
    assert_eq!(erased.leaf_indices.len(), 1, "{erased:?}");
    let files = world.stop().await;
    assert_eq!(files.erasures().len(), 2, "the earlier one is told too");
    let (index, _) = files.entries(Kind::Erasure).into_iter().find(|(_, entry)| {
        matches!(entry.kind_details(), Ok(KindDetails::Erasure(of)) if of.operator.as_str() == "dpo-7")
    }).unwrap();
    assert_eq!(erased.leaf_indices, [index]);
}
