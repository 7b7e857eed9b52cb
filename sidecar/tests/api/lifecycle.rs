//! Starting, being asked how it is, stopping, starting again.

use std::path::Path;

use ledgerstone::entry::{Entry, Kind, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::store::fs::FsReader;
use ledgerstone_sidecar::index::Index;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{http_get, request};
use crate::world::{DRAIN, Stopped, World, init};

async fn admin(world: &World, path: &str) -> (u16, String) {
    let (status, body) = http_get(world.app.admin_addr, path).await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// Every entry of a log that nobody runs.
fn entries(store: &Path) -> Vec<Entry> {
    let reader = FsReader::open(store);
    let size = reader.size().unwrap();
    let read = |index| Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
    (0..size.get()).map(read).collect()
}

#[tokio::test]
async fn is_live_before_it_is_ready_and_says_why() {
    let (_folder, files) = init().await;
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = files.load::<&str>(&[]);
    config.server.admin_listen = admin;
    let app = ledgerstone_sidecar::app::App::build(config).await.unwrap();
    assert_eq!(http_get(admin, "/live").await.unwrap(), (200, b"live\n".to_vec()));
    let expected = b"not ready: the log is being recovered\n".to_vec();
    assert_eq!(http_get(admin, "/ready").await.unwrap(), (503, expected));
    let running = app.spawn().await.unwrap();
    assert_eq!(http_get(admin, "/ready").await.unwrap(), (200, b"ready\n".to_vec()));
    running.drain(DRAIN).await.unwrap();
}

#[tokio::test]
async fn counts_what_it_does() {
    let world = World::new().await;
    world.decide(3).await;
    let mut unknown = request("r", 1.0);
    unknown.model_name = "nobody".into();
    let refused = world.model().await.model_infer(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    world.published(5).await;
    let (status, text) = admin(&world, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"ledgerstone_decisions_total{code="OK",route="doubler"} 3"#,
        r#"ledgerstone_decisions_total{code="NOT_FOUND",route="unrouted"} 1"#,
        "ledgerstone_append_duration_seconds_count 4",
        "ledgerstone_in_flight 0",
        "ledgerstone_halted 0",
        "ledgerstone_ready 1",
        "ledgerstone_unrecorded 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn answers_health_checks_and_describes_itself() {
    let world = World::new().await;
    let mut health = HealthClient::new(world.channel().await);
    let services = ["", "inference.GRPCInferenceService", "ledgerstone.v1.Log", "ledgerstone.v1.Receipts"];
    for service in services {
        let mut watch =
            health.watch(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    }
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(world.channel().await);
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([list])).await.unwrap().into_inner();
    let Some(ServerReflectionResponse {
        message_response: Some(MessageResponse::ListServicesResponse(list)),
        ..
    }) = answers.message().await.unwrap()
    else {
        panic!("no list of services")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in &services[1..] {
        assert!(names.contains(service), "{service} is not in {names:?}");
    }
    let elsewhere = ["ledgerstone.v1.Registry", "ledgerstone.v1.Audit"];
    assert!(!names.iter().any(|name| elsewhere.contains(name)), "{names:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_finishes_before_the_session_stops() {
    let world = World::new().await;
    let mut model = world.model().await;
    let in_flight = tokio::spawn(async move { model.model_infer(request("slow", 3.0)).await });
    let metrics = world.app.admin_addr;
    loop {
        let (_, text) = http_get(metrics, "/metrics").await.unwrap();
        if String::from_utf8(text).unwrap().contains("ledgerstone_in_flight 1\n") {
            break;
        }
    }
    let stopped = world.stop().await;
    in_flight.await.unwrap().expect("the answer came");
    let kinds: Vec<Kind> = entries(&stopped.files.store()).iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds.first(), Some(&Kind::Start));
    assert_eq!(kinds.last(), Some(&Kind::Stop));
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Decision).count(), 1);
}

#[tokio::test]
async fn a_second_run_goes_on_with_the_log_and_names_the_session_before() {
    let world = World::new().await;
    let told = world.decide(2).await;
    let world = world.stop().await.start().await;
    world.decide(1).await;
    let request = GetReceiptRequest { decision_id: told[0].decision.clone(), fields: Vec::new() };
    world.receipts().await.get_receipt(request).await.expect("a receipt from the run before");
    let stopped = world.stop().await;
    let indices = std::fs::read_dir(stopped.files.store().join("index")).unwrap();
    let indices: Vec<_> = indices.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(indices, ["0000000000000000"], "the second run goes on with the index of the first");
    let entries = entries(&stopped.files.store());
    let starts: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == Kind::Start).collect();
    let previous = |entry: &Entry| match entry.kind_details().unwrap() {
        KindDetails::Start(details) => details.previous_session,
        other => panic!("{other:?}"),
    };
    assert_eq!(starts.len(), 2);
    assert_eq!(previous(starts[0]), None);
    assert_eq!(previous(starts[1]), Some(starts[0].session));
}

#[tokio::test]
async fn a_log_that_halted_is_not_ready_and_recovers_at_its_next_start() {
    let world = World::new().await;
    let told = world.decide(2).await;
    let tiles = world.files.store().join("log/tile");
    let aside = world.files.store().join("aside");
    std::fs::rename(&tiles, &aside).unwrap();
    std::fs::write(&tiles, "a file where a folder belongs").unwrap();
    let mut model = world.model().await;
    let refused = loop {
        if let Err(refused) = model.model_infer(request("r", 1.0)).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::Unavailable);
    let (status, text) = admin(&world, "/ready").await;
    assert_eq!(status, 503);
    assert!(
        text.starts_with("not ready: the log has halted: the log's files could not be written"),
        "{text}"
    );
    assert!(admin(&world, "/metrics").await.1.contains("ledgerstone_halted 1\n"));
    let (status, text) = admin(&world, "/live").await;
    assert_eq!(status, 503, "a restart is the remedy, and a failed probe is how one is asked for");
    assert!(text.starts_with("not live: the log has halted: the log's files"), "{text}");
    assert!(text.contains("restart"), "{text}");
    let World { folder, files, app } = world;
    app.drain(DRAIN).await.expect_err("a halted log does not stop in order");

    std::fs::remove_file(&tiles).unwrap();
    std::fs::rename(&aside, &tiles).unwrap();
    let world = Stopped { folder, files }.start().await;
    let request = GetReceiptRequest { decision_id: told[1].decision.clone(), fields: Vec::new() };
    world.receipts().await.get_receipt(request).await.expect("what was answered is there");
    assert_eq!(admin(&world, "/live").await, (200, "live\n".to_owned()));
    world.stop().await;
}

/// Replaces the index by one of the same log that was given its entries as `change` leaves them.
fn falsify_index(stopped: &Stopped, change: impl FnOnce(&mut Vec<Entry>)) {
    let store = stopped.files.store();
    std::fs::remove_dir_all(store.join("index")).unwrap();
    let origin = ledgerstone::hash::Hash::of(b"example.com/tests");
    let size = FsReader::open(&store).size().unwrap();
    let index = Index::open(&store.join("index"), origin, size).unwrap();
    let mut falsified = entries(&store);
    change(&mut falsified);
    let indexed: Vec<_> = (0..)
        .zip(falsified)
        .map(|(index, entry)| ledgerstone_sidecar::index::Indexed {
            index: LeafIndex::new(index),
            entry,
            keys: Vec::new(),
        })
        .collect();
    index.add(&indexed).unwrap();
}

/// What a caller is told about a decision: first that the index was wrong, then the receipt.
async fn is_found_out_and_built_again(change: impl FnOnce(&mut Vec<Entry>)) {
    let world = World::new().await;
    let told = world.decide(3).await;
    let stopped = world.stop().await;
    falsify_index(&stopped, change);
    let world = stopped.start().await;
    let ask = |decision: String| {
        let world = &world;
        async move {
            let request = GetReceiptRequest { decision_id: decision, fields: Vec::new() };
            world.receipts().await.get_receipt(request).await
        }
    };
    let refused = ask(told[1].decision.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "the lookup index was wrong and is being built again; try again");
    ask(told[1].decision.clone()).await.expect("the index is right again");
    // An id of the same time that nobody was told is in no log, and the index is not suspected for it.
    let last = if told[1].decision.ends_with('0') { '1' } else { '0' };
    let mut unknown = told[1].decision.clone();
    unknown.pop();
    unknown.push(last);
    assert_eq!(ask(unknown).await.unwrap_err().code(), Code::NotFound);
    ask(told[1].decision.clone()).await.expect("the index is still right");
    let stopped = world.stop().await;
    let generations: Vec<_> = std::fs::read_dir(stopped.files.store().join("index")).unwrap().collect();
    assert_eq!(generations.len(), 1);
    let name = generations[0].as_ref().unwrap().file_name();
    assert_eq!(name, "0000000000000001", "it was built again once");
}

#[tokio::test]
async fn an_index_that_points_to_another_entry_is_found_out_and_built_again() {
    is_found_out_and_built_again(|entries| entries.rotate_left(1)).await;
}

#[tokio::test]
async fn an_index_that_lost_a_decision_is_found_out_and_built_again() {
    // Entry 0 is the start; told[1] is the second of the decisions after it.
    is_found_out_and_built_again(|entries| entries[2].decision = None).await;
}

#[tokio::test]
async fn is_not_ready_while_the_model_server_can_be_asked_past_it() {
    let (_folder, files) = init().await;
    let open = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let address = format!("upstream.address=http://127.0.0.1:{port}");
    let required = crate::world::build(&files, &[address, "upstream.local_only=require".to_owned()]).await;
    let app = required.spawn().await.unwrap();
    let (status, told) = http_get(app.admin_addr, "/ready").await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(status, 503, "{told}");
    assert!(told.contains(&format!("listens on 0.0.0.0:{port}")), "{told}");
    let metrics = async || String::from_utf8(http_get(app.admin_addr, "/metrics").await.unwrap().1).unwrap();
    assert!(metrics().await.contains("ledgerstone_upstream_exposed 1\n"));
    drop(open);
    let _local = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(http_get(app.admin_addr, "/ready").await.unwrap(), (200, b"ready\n".to_vec()));
    assert!(metrics().await.contains("ledgerstone_upstream_exposed 0\n"));
    app.drain(DRAIN).await.unwrap();

    // Another port of the same server, and a warning only.
    let other = std::net::TcpListener::bind("[::]:0").unwrap();
    let other = format!("upstream.local_ports={}", other.local_addr().unwrap().port());
    let app = crate::world::build(&files, &[other]).await.spawn().await.unwrap();
    assert_eq!(http_get(app.admin_addr, "/ready").await.unwrap().0, 200);
    let metrics = String::from_utf8(http_get(app.admin_addr, "/metrics").await.unwrap().1).unwrap();
    assert!(metrics.contains("ledgerstone_upstream_exposed 1\n"), "{metrics}");
    app.drain(DRAIN).await.unwrap();
}
