//! Receipts over gRPC.

use std::fs;
use std::time::{Duration, Instant};

use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Kind, SessionId, WriterName};
use ledgerstone::hash::leaf_hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::proto::ledgerstone_v1::{GetDecisionRequest, GetReceiptRequest};
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret, Value};
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_sidecar::driver::{self, Draft};
use ledgerstone_sidecar::keyring::FileKeyProvider;
use ledgerstone_sidecar::seal::{self, SealedContent};
use tonic::{Code, Status};

use crate::support::PATIENCE;
use crate::world::{Stopped, World};

const UNKNOWN: &str = "0195f2a0-0000-7000-8000-000000000000";

async fn receipt(world: &World, decision: &str, fields: &[&str]) -> Result<Vec<u8>, Status> {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let request = GetReceiptRequest { decision_id: decision.to_owned(), fields };
    Ok(world.receipts().await.get_receipt(request).await?.into_inner().receipt.to_vec())
}

fn paths(receipt: &[u8]) -> Vec<String> {
    let receipt = Receipt::parse(receipt).unwrap();
    receipt.disclosure().openings.iter().map(|opening| opening.path.to_string()).collect()
}

fn code(status: &Status) -> &str {
    status.metadata().get("ledgerstone-code").unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_receipt_asked_for_right_after_the_answer_verifies_and_shows_no_input() {
    let world = World::new().await;
    for told in world.decide(3).await {
        let file = receipt(&world, &told.decision, &[]).await.unwrap();
        let report = verify::receipt(&file, Some(&world.policy()));
        assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
        let parsed = Receipt::parse(&file).unwrap();
        assert_eq!(parsed.decision().to_string(), told.decision);
        assert_eq!(parsed.index().get(), told.index);
        let paths = paths(&file);
        assert!(paths.iter().any(|path| path.starts_with("output/score")), "{paths:?}");
        assert!(!paths.iter().any(|path| path.starts_with("input/")), "{paths:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_receipt_shows_the_fields_asked_for_and_refuses_what_the_route_keeps_back() {
    let world = World::new().await;
    let told = world.decide(1).await.remove(0);
    let file = receipt(&world, &told.decision, &["model/name", "time/*"]).await.unwrap();
    let paths = paths(&file);
    assert!(paths.contains(&"model/name".to_owned()), "{paths:?}");
    assert!(paths.iter().all(|path| path == "model/name" || path.starts_with("time/")), "{paths:?}");
    assert_eq!(verify::receipt(&file, Some(&world.policy())).verdict(), Verdict::Verified);

    for fields in [&["input/*"][..], &["model/name", "input/feature/value"], &["*"]] {
        let refused = receipt(&world, &told.decision, fields).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::PermissionDenied, "misuse"), "{fields:?}");
    }
    let none = receipt(&world, &told.decision, &["contest/*"]).await.unwrap();
    assert_eq!(self::paths(&none), [""; 0]);
    assert_eq!(verify::receipt(&none, Some(&world.policy())).verdict(), Verdict::Verified);
    world.stop().await;
}

#[tokio::test]
async fn refuses_ids_and_patterns_that_are_none_and_ids_it_does_not_know() {
    let world = World::new().await;
    world.decide(1).await;
    let told = world.decide(1).await.remove(0);
    receipt(&world, &told.decision, &[]).await.unwrap();
    for id in ["", "7", &told.decision.to_uppercase(), &format!("{}0", told.decision)] {
        let refused = receipt(&world, id, &[]).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::InvalidArgument, "misuse"), "{id:?}");
    }
    let refused = receipt(&world, &told.decision, &["model//name"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let many = vec!["model/name"; 257];
    let refused = receipt(&world, &told.decision, &many).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::ResourceExhausted, "limit"));
    let refused = receipt(&world, UNKNOWN, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "the log has no decision with this id");
    world.stop().await;
}

#[tokio::test]
async fn says_where_a_decision_stands() {
    let world = World::new().await;
    let told = world.decide(2).await.remove(1);
    let request = GetDecisionRequest { decision_id: told.decision.clone() };
    let answer = world.receipts().await.get_decision(request).await.unwrap().into_inner();
    assert_eq!(answer.decision_id, told.decision);
    assert_eq!(answer.origin, "example.com/tests");
    assert!(answer.tree_size > told.index);
    let [entry] = answer.entries.as_slice() else { panic!("{answer:?}") };
    assert_eq!(entry.leaf_index, told.index);
    assert_eq!(u64::from(entry.kind), Kind::Decision.number());
    assert!(entry.recorded_at_ms > 1_600_000_000_000);
    world.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_not_published_in_time_is_unavailable_and_not_unknown() {
    let (_folder, files) = crate::world::init().await;
    let flags = ["log.publish_interval=1h".to_owned(), "receipt.wait=50ms".to_owned()];
    let app = crate::world::build(&files, &flags).await.spawn().await.unwrap();
    let world = World { folder: _folder, files, app };
    // The first publication may come at once, with the first entries under it.
    let mut last = None;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let told = world.decide(1).await.remove(0);
        if let Err(status) = receipt(&world, &told.decision, &[]).await {
            last = Some(status);
            break;
        }
    }
    let refused = last.expect("with an hour between publications something is not published");
    assert_eq!((refused.code(), code(&refused)), (Code::Unavailable, "unavailable"), "{refused:?}");
    world.stop().await;
}

/// Flips a bit in the middle of the largest sealed file.
fn damage_sealed(stopped: &Stopped) {
    let path = stopped.files.store().join("sealed/000");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn a_changed_sealed_record_gives_no_receipt() {
    let world = World::new().await;
    let told = world.decide(1).await.remove(0);
    receipt(&world, &told.decision, &[]).await.unwrap();
    // The file is changed while the sidecar runs: at its next start it would be written again from the journal.
    let World { folder, files, app } = world;
    let stopped = Stopped { folder, files };
    damage_sealed(&stopped);
    let world = World { folder: stopped.folder, files: stopped.files, app };
    let refused = receipt(&world, &told.decision, &[]).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::DataLoss, "inconsistent"), "{refused:?}");
    world.stop().await;
}

/// Appends a decision whose entry commits to another record than the sealed one; its id.
async fn append_foreign_record(stopped: &Stopped) -> String {
    let folder = stopped.folder.path();
    let keys = FileKeyProvider::load(&folder.join("kek.key")).unwrap();
    let origin = KeyName::new("example.com/tests").unwrap();
    let log_keys = ledgerstone_sidecar::log_keys::load(&folder.join("log.key"), &origin).unwrap();
    let record = |label: &str| {
        let path = FieldPath::parse("output/label").unwrap();
        RecordBuilder::new().field(path, Value::Text(label.to_owned())).unwrap().build().unwrap()
    };
    let secret = || RecordSecret::from_bytes([3; 32]);
    let decision = DecisionId::from_bytes([9; 16]);
    let content = SealedContent { secret: secret(), record: record("deny"), request: None, response: None };
    let sealed = seal::seal(&keys, &decision, Kind::Decision, &content).unwrap();
    let commitment = record("approve").commit(&secret()).commitment();
    let writer = WriterName::parse("forger").unwrap();
    let session = SessionId::from_bytes([1; 16]);
    let entry = Entry::decision(writer, session, 1, decision, commitment, DecisionDetails { status: 0 });
    let (log, _) = driver::open(&stopped.files.store(), log_keys, driver::Options::default()).unwrap();
    log.append(Draft { entry, sealed: Some(sealed.into()) }).await.unwrap();
    log.stop().await.unwrap();
    decision.to_string()
}

#[tokio::test]
async fn a_record_that_its_entry_does_not_commit_to_gives_no_receipt() {
    let stopped = World::new().await.stop().await;
    let decision = append_foreign_record(&stopped).await;
    let world = stopped.start().await;
    let refused = receipt(&world, &decision, &[]).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::DataLoss, "inconsistent"));
    let expected =
        "the record of the decision is not the one that its entry commits to: keep both as evidence";
    assert_eq!(refused.message(), expected);
    world.stop().await;
}

#[tokio::test]
async fn a_receipt_that_would_not_verify_is_not_handed_out() {
    let world = World::new().await;
    let told = world.decide(3).await;
    let size = world.published(told[2].index + 1).await;
    receipt(&world, &told[2].decision, &[]).await.unwrap();
    // Heartbeats go on, so every width that is published meanwhile has its first hash changed.
    let started = Instant::now();
    let refused = loop {
        assert!(started.elapsed() < PATIENCE, "receipts that do not verify are handed out");
        for width in size..size + 8 {
            let path = world.files.store().join(format!("log/tile/0/000.p/{width}"));
            if let Ok(mut bytes) = fs::read(&path) {
                bytes[0] = !world_first_byte(&world);
                fs::write(path, bytes).unwrap();
            }
        }
        if let Err(refused) = receipt(&world, &told[2].decision, &[]).await {
            break refused;
        }
    };
    assert_eq!((refused.code(), code(&refused)), (Code::DataLoss, "inconsistent"), "{refused:?}");
    assert!(refused.message().starts_with("the receipt that was made does not verify"), "{refused:?}");
    world.app.drain(crate::world::DRAIN).await.unwrap();
}

/// The first byte of the first leaf hash.
fn world_first_byte(world: &World) -> u8 {
    let reader = FsReader::open(&world.files.store());
    let first = reader.entry(LeafIndex::new(0), reader.size().unwrap()).unwrap();
    leaf_hash(&first).as_bytes()[0]
}

/// What the configuration of the route gets at its end.
fn told_by_the_route(files: &crate::support::Sidecar, lines: &str) {
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), format!("{text}{lines}\n")).unwrap();
}

#[tokio::test]
async fn a_receipt_says_which_part_the_system_has_and_how_to_contest() {
    let (folder, files) = crate::world::init().await;
    told_by_the_route(
        &files,
        "role = \"advisory\"\ncontest = { email = \"review@bank.example\", text = \"Schreiben Sie uns.\", language = \"de\" }",
    );
    let app = crate::world::build(&files, &[]).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    let told = world.decide(1).await.remove(0);
    let file = receipt(&world, &told.decision, &[]).await.unwrap();
    assert_eq!(verify::receipt(&file, Some(&world.policy())).verdict(), Verdict::Verified);
    let receipt = Receipt::parse(&file).unwrap();
    let said = |path: &str| {
        let opening = receipt.disclosure().openings.iter().find(|opening| opening.path.as_str() == path);
        opening.map(|opening| opening.value.clone())
    };
    for (path, text) in [
        ("decision/mode", "advisory"),
        ("contest/route/email", "review@bank.example"),
        ("contest/route/text", "Schreiben Sie uns."),
        ("contest/route/language", "de"),
    ] {
        assert_eq!(said(path), Some(Value::Text(text.to_owned())), "{path}");
    }
    assert_eq!(said("contest/route/url"), None);
    world.stop().await;
}

#[tokio::test]
async fn a_way_to_contest_that_leads_nowhere_is_refused_at_start() {
    let (_folder, files) = crate::world::init().await;
    let text = fs::read_to_string(files.config()).unwrap();
    for (lines, says) in [
        ("contest = {}", "`contest` needs a way"),
        ("contest = { language = \"en\" }", "`contest` needs a way"),
        ("contest = { text = \"\" }", "1 to 2048 bytes"),
        ("contest = { url = \"javascript:alert(1)\" }", "https://"),
        ("contest = { url = \"https://\" }", "https://"),
        ("role = \"\"", "`role` has 1 to 2048 bytes"),
    ] {
        fs::write(files.config(), format!("{text}{lines}\n")).unwrap();
        let config = files.load::<&str>(&[]);
        let error = ledgerstone_sidecar::app::App::build(config).await.err().unwrap();
        assert!(error.to_string().contains(says), "{lines}: {error}");
    }
}
