//! What an erasure closes, and what it leaves open.

use ledgerstone::entry::{ErasureOutcome, ErasureScope, Ground, Kind};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::verify::{self, Verdict};
use serde_json::json;
use tonic::Code;

use crate::world::{Files, World, decide, http, record, subject};

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
    let erasures = files.entries(Kind::Erasure);
    assert_eq!(erasures.len(), 3);
    let of =
        files.entries(Kind::Decision).iter().position(|(_, e)| e.decision.unwrap().to_string() == theirs[2]);
    let index = files.entries(Kind::Decision)[of.unwrap()].0;
    assert_eq!(erasures[0].1.links, [LeafIndex::new(index)]);

    // Then the person: everything closes, what had moved too, and the verifier follows the keys.
    let world = files.run().await;
    assert!(world.erase(subject("ada")).await.unwrap().erased);
    for decision in &theirs {
        assert!(world.history(decision).await.iter().all(|record| record == "erased"));
    }
    let said = world.stop().await.verify();
    assert!(said.contains("8 of them were lawfully erased"), "{said}");
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
