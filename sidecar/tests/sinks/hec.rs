//! A receiver that speaks Splunk's HTTP Event Collector with indexer acknowledgement, and has every fault that one can have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flate2::read::GzDecoder;
use serde_json::{Deserializer, Value, json};

use crate::lossy::Lossy;
use crate::world::{Arrived, World, folder, secret};

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

/// What the receiver does with the next request with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Indexes it, and says so when it is asked for the second time.
    None,
    /// Takes it, and indexes nothing of it.
    NotIndexed,
    /// Is busy.
    Busy,
    /// Is shutting down.
    Stopping,
    /// Has an internal error, in HTML.
    Broken,
    /// Answers 200 with something else.
    Garbage,
    /// Answers 200 with an error code.
    Contradiction,
    /// Answers 200 without an `ackId`.
    NoAck,
    /// Redirects.
    Elsewhere,
    /// Indexes it, and says that it is nearly full.
    NearlyFull,
}

#[derive(Default)]
struct Collector {
    faults: Vec<Fault>,
    requests: usize,
    next_ack: u64,
    /// How often each was asked for; none for those that are never indexed.
    acks: BTreeMap<u64, Option<u32>>,
    indexed: Vec<(Arrived, Value)>,
    channels: BTreeSet<String>,
    /// Questions about acknowledgements that are answered with "busy".
    ack_faults: usize,
}

type Shared = Arc<Mutex<Collector>>;

/// A receiver that goes through `faults` again and again; its port.
async fn serve(faults: &[Fault]) -> (Shared, u16) {
    let shared: Shared = Arc::new(Mutex::new(Collector { faults: faults.to_vec(), ..Collector::default() }));
    let router = Router::new()
        .route("/services/collector/event", post(events))
        .route("/services/collector/ack", post(acks))
        .with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shared, port)
}

fn answer(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

/// The channel and the body of a request that may pass.
#[allow(clippy::result_large_err, reason = "one answer of a test")]
fn passed(headers: &HeaderMap, body: &Bytes) -> Result<(String, String), Response> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if header("authorization").as_deref() != Some(&format!("Splunk {TOKEN}")) {
        return Err(answer(403, &json!({ "text": "Invalid token", "code": 4 })));
    }
    let Some(channel) = header("x-splunk-request-channel").filter(|channel| channel.len() == 36) else {
        return Err(answer(400, &json!({ "text": "Data channel is missing", "code": 10 })));
    };
    let mut text = String::new();
    match header("content-encoding").as_deref() {
        Some("gzip") => GzDecoder::new(&body[..]).read_to_string(&mut text).map(drop).unwrap(),
        None => text.push_str(std::str::from_utf8(body).unwrap()),
        other => panic!("{other:?}"),
    }
    Ok((channel, text))
}

async fn events(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (channel, text) = match passed(&headers, &body) {
        Ok(passed) => passed,
        Err(refused) => return refused,
    };
    let mut collector = shared.lock().unwrap();
    collector.channels.insert(channel);
    let fault = collector.faults[collector.requests % collector.faults.len()];
    collector.requests += 1;
    match fault {
        Fault::Busy => return answer(503, &json!({ "text": "Server is busy", "code": 9 })),
        Fault::Stopping => return answer(503, &json!({ "text": "Server is shutting down", "code": 23 })),
        Fault::Broken => return (StatusCode::BAD_GATEWAY, "<html>\x1b[31m502").into_response(),
        Fault::Garbage => return (StatusCode::OK, "<html>\x1b[31mWelcome</html>").into_response(),
        Fault::Contradiction => return answer(200, &json!({ "text": "Server is busy", "code": 9 })),
        Fault::Elsewhere => {
            return (StatusCode::FOUND, [("location", "http://169.254.169.254/")]).into_response();
        }
        Fault::NoAck => return answer(200, &json!({ "text": "Success", "code": 0 })),
        Fault::None | Fault::NotIndexed | Fault::NearlyFull => {}
    }
    let is_indexed = fault != Fault::NotIndexed;
    if is_indexed {
        for event in Deserializer::from_str(&text).into_iter::<Value>() {
            let event = event.unwrap();
            let id = event["fields"]["event_id"].as_str().unwrap().to_owned();
            // As the collector keeps it: what is not text is kept as JSON.
            let text = event["event"].as_str().map_or_else(|| event["event"].to_string(), str::to_owned);
            collector.indexed.push(((id, text), event));
        }
    }
    collector.next_ack += 1;
    let ack = collector.next_ack;
    collector.acks.insert(ack, is_indexed.then_some(0));
    match fault {
        Fault::NearlyFull => {
            let text = "HEC queue is approaching its capacity limit";
            answer(200, &json!({ "text": text, "code": 24, "ackId": ack }))
        }
        _ => answer(200, &json!({ "text": "Success", "code": 0, "ackId": ack })),
    }
}

async fn acks(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (_, text) = match passed(&headers, &body) {
        Ok(passed) => passed,
        Err(refused) => return refused,
    };
    assert!(!headers.contains_key("content-encoding"), "a question is not compressed");
    let asked: Value = serde_json::from_str(&text).unwrap();
    let mut collector = shared.lock().unwrap();
    if collector.ack_faults > 0 {
        collector.ack_faults -= 1;
        return answer(503, &json!({ "text": "Server is busy", "code": 9 }));
    }
    let mut said = serde_json::Map::new();
    for ack in asked["acks"].as_array().unwrap() {
        let ack = ack.as_u64().unwrap();
        let is_indexed = match collector.acks.get_mut(&ack) {
            Some(Some(times)) => {
                *times += 1;
                *times > 1
            }
            _ => false,
        };
        if is_indexed {
            // It is said once.
            collector.acks.remove(&ack);
        }
        said.insert(ack.to_string(), json!(is_indexed));
    }
    answer(200, &json!({ "acks": said }))
}

fn table(port: u16, more: &str) -> String {
    format!("kind = \"hec\"\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = \"token\"\n{more}")
}

async fn world(port: u16, more: &str) -> World {
    let folder = folder();
    secret(folder.path(), "token", TOKEN);
    World::start(folder, &table(port, more)).await
}

fn indexed(shared: &Shared) -> Vec<Arrived> {
    shared.lock().unwrap().indexed.iter().map(|(arrived, _)| arrived.clone()).collect()
}

/// OCSF as the receiver keeps it: an object, in the order of its keys.
fn compare(stopped: &crate::world::Stopped, shared: &Shared) -> usize {
    stopped.compare_with(&indexed(shared), |event| {
        let mut text = String::new();
        ledgerstone::siem::Format::Ocsf.render(event, &mut text);
        serde_json::from_str::<Value>(&text).unwrap().to_string()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_indexed_by_a_collector_that_drops_refuses_and_forgets() {
    let faults = [
        Fault::None,
        Fault::NotIndexed,
        Fault::Busy,
        Fault::None,
        Fault::Garbage,
        Fault::Stopping,
        Fault::Contradiction,
        Fault::Broken,
        Fault::None,
        Fault::Elsewhere,
    ];
    let (shared, port) = serve(&faults).await;
    let line = Lossy::to(port, 4).await;
    let mut world =
        world(line.port, "timeout = \"1s\"\nsourcetype = \"ocsf\"\nindex = \"audit\"\nhost = \"node-1\"")
            .await;
    world.decide(60).await;
    let standing = world.caught_up().await;
    let stopped = world.stop();
    let copies = compare(&stopped, &shared);
    assert!(line.lost() > 5 && copies > 0, "{} answers lost, {copies} copies: {standing}", line.lost());
    let collector = shared.lock().unwrap();
    assert_eq!(collector.channels.len(), 1, "one client has one channel");
    let (_, first) = &collector.indexed[0];
    let event = &stopped.events[0];
    assert_eq!(first["time"].as_f64().unwrap(), event.time().get() as f64 / 1000.0);
    assert_eq!(
        (&first["index"], &first["sourcetype"], &first["host"]),
        (&json!("audit"), &json!("ocsf"), &json!("node-1"))
    );
    assert_eq!(first["fields"]["leaf_index"], 0);
    assert_eq!(first["fields"]["leaf_hash"], event.leaf().unwrap().hash.to_string());
    assert_eq!(first["fields"]["log_id"], event.log().id().to_string());
    assert!(
        !stopped.lines.contains(TOKEN) && !stopped.lines.contains('\x1b'),
        "neither the token nor what steers a terminal"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_and_not_indexed_is_not_delivered() {
    let (shared, port) = serve(&[Fault::NotIndexed]).await;
    let mut world = world(port, "timeout = \"1s\"").await;
    world.decide(5).await;
    let error = world.error("did not acknowledge").await;
    assert!(error.contains("does not confirm"), "{error}");
    assert_eq!(world.standing().await["next_leaf_index"], 0);
    shared.lock().unwrap().faults = vec![Fault::None];
    world.caught_up().await;
    compare(&world.stop(), &shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_format_goes_as_text() {
    let (shared, port) = serve(&[Fault::None]).await;
    let mut world = world(port, "format = \"cef\"\ncompression = \"none\"").await;
    world.decide(5).await;
    world.caught_up().await;
    world.stop().compare_with(&indexed(&shared), |event| {
        let mut text = String::new();
        ledgerstone::siem::Format::Cef.render(event, &mut text);
        text
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_to_do_about_a_token_and_about_acknowledgement() {
    let (shared, port) = serve(&[Fault::NoAck]).await;
    let world = world(port, "").await;
    let error = world.error("siem.acknowledgement").await;
    assert!(error.contains("turn on indexer acknowledgement"), "{error}");
    secret(world.folder.path(), "token", "another");
    let error = world.error("refused this sender").await;
    assert!(error.contains("Invalid token (code 4)"), "{error}");
    secret(world.folder.path(), "token", "");
    world.error("siem.token_file").await;
    secret(world.folder.path(), "token", TOKEN);
    shared.lock().unwrap().faults = vec![Fault::None];
    world.caught_up().await;
    compare(&world.stop(), &shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_twice_to_a_collector_that_is_nearly_full_or_too_busy_to_acknowledge() {
    let (shared, port) = serve(&[Fault::NearlyFull, Fault::None]).await;
    shared.lock().unwrap().ack_faults = 3;
    let mut world = world(port, "").await;
    world.decide(30).await;
    let standing = world.caught_up().await;
    assert_eq!(standing["retries"], 0, "{standing}");
    assert_eq!(shared.lock().unwrap().ack_faults, 0);
    assert_eq!(compare(&world.stop(), &shared), 0, "copies");
}
