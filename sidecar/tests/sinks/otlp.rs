//! A real OpenTelemetry Collector that writes what it gets to a file, and a receiver that refuses in each way that OTLP has.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use ledgerstone::siem::{Event, Format};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message as _;
use serde_json::Value;

use crate::lossy::Lossy;
use crate::pki;
use crate::support::{Running, free_port};
use crate::tools::{script, skipped};
use crate::world::{Arrived, World, folder, listens, secret};

struct Collector {
    program: std::path::PathBuf,
    folder: tempfile::TempDir,
    grpc: u16,
    http: u16,
    running: Option<Running>,
}

impl Collector {
    async fn start(what: &str, is_tls: bool) -> Option<Self> {
        let program = script("otelcol-path", &[]).map_err(|problem| skipped(what, &problem)).ok()?;
        let (folder, grpc, http) = (folder(), free_port(), free_port());
        pki::write(folder.path());
        let shown = folder.path().display();
        let tls = match is_tls {
            true => format!(", tls: {{ cert_file: {shown}/server.pem, key_file: {shown}/server.key }}"),
            false => String::new(),
        };
        let config = format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: \"127.0.0.1:{grpc}\"{tls} }}
      http: {{ endpoint: \"127.0.0.1:{http}\"{tls} }}
exporters:
  file: {{ path: {shown}/logs.jsonl, append: true }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    logs: {{ receivers: [otlp], exporters: [file] }}
"
        );
        std::fs::write(folder.path().join("collector.yaml"), config).unwrap();
        let mut collector = Self { program, folder, grpc, http, running: None };
        collector.again().await;
        Some(collector)
    }

    async fn again(&mut self) {
        let log = self.folder.path().join("collector.log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(format!("file:{}/collector.yaml", self.folder.path().display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(Running::of(command.spawn().unwrap()));
        listens(self.grpc, "the Collector").await;
        listens(self.http, "the Collector over HTTP").await;
    }

    /// In order: what a Collector has taken is in its memory, and `kill -9` would lose it.
    fn stop(&mut self) {
        assert!(self.running.take().unwrap().stop().success());
    }

    /// Every record, as [`shown`] has it.
    fn read(&self) -> Vec<Arrived> {
        let text = std::fs::read_to_string(self.folder.path().join("logs.jsonl")).unwrap();
        let request = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        text.lines().map(request).flat_map(|request| records(&request)).collect()
    }
}

/// Every record of a request in JSON: its id, and the rest.
fn records(request: &Value) -> Vec<Arrived> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resource = |resource: &Value| {
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "ledgerstone");
        list(resource, "scopeLogs")
    };
    let scopes = list(request, "resourceLogs").iter().flat_map(resource).collect::<Vec<_>>();
    let records = scopes.iter().flat_map(|scope| list(scope, "logRecords"));
    let record = |mut record: Value| {
        let attributes = record["attributes"].as_array().unwrap();
        let id = attributes.iter().find(|one| one["key"] == "log.record.uid").unwrap();
        let id = id["value"]["stringValue"].as_str().unwrap().to_owned();
        // It is when the record was seen first, and says no more than the time.
        let fields = record.as_object_mut().unwrap();
        fields.remove("observedTimeUnixNano");
        // No trace is known.
        fields.retain(|name, value| !name.ends_with("Id") || value != "");
        (id, record.to_string())
    };
    records.map(record).collect()
}

/// An event as the Collector writes it.
fn shown(event: &Event) -> String {
    let mut text = String::new();
    Format::Otlp.render(event, &mut text);
    records(&serde_json::from_str(&text).unwrap()).pop().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_has_every_entry_over_grpc_after_lost_answers_and_a_restart() {
    let Some(mut collector) = Collector::start("export over OTLP/gRPC", false).await else { return };
    let line = Lossy::to(collector.grpc, 7).await;
    let table = format!("kind = \"otlp\"\nurl = \"http://127.0.0.1:{}\"", line.port);
    let mut world = World::start(folder(), &table).await;
    world.decide(120).await;
    world.caught_up().await;
    collector.stop();
    world.decide(40).await;
    world.error("").await;
    collector.again().await;
    world.decide(40).await;
    let standing = world.caught_up().await;
    let stopped = world.stop();
    collector.stop();
    stopped.compare_with(&collector.read(), shown);
    assert!(line.lost() > 3, "{} answers lost: {standing}", line.lost());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_has_every_entry_over_tls_by_either_protocol() {
    let Some(mut collector) = Collector::start("export over OTLP with TLS", true).await else { return };
    for (protocol, port) in [("grpc", collector.grpc), ("http/protobuf", collector.http)] {
        let folder = folder();
        std::fs::copy(collector.folder.path().join("ca.pem"), folder.path().join("ca.pem")).unwrap();
        let table = format!(
            "kind = \"otlp\"\nurl = \"https://127.0.0.1:{port}\"\nprotocol = \"{protocol}\"\nca_file = \"ca.pem\""
        );
        let mut world = World::start(folder, &table).await;
        world.decide(40).await;
        world.caught_up().await;
        let stopped = world.stop();
        collector.stop();
        let path = collector.folder.path().join("logs.jsonl");
        assert_eq!(stopped.compare_with(&collector.read(), shown), 0, "nothing was sent twice");
        std::fs::remove_file(path).unwrap();
        collector.again().await;
    }
}

/// What the receiver does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Takes everything, and warns.
    Warns,
    /// Takes at most four records, and says so in a success.
    Partial,
    /// 429 with `Retry-After`.
    Throttles,
    /// 503 with a `google.rpc.Status`.
    Unavailable,
    /// 200 with something else.
    Garbage,
    /// 200 with an answer that says nothing, which is a success.
    Empty,
    /// 400.
    Refuses,
    /// Takes every record but that of the entry [`POISON`], and says so in a success.
    Poisoned,
}

/// The entry that a receiver rejects.
const POISON: i64 = 20;

#[derive(Default)]
struct Receiver {
    faults: Vec<Fault>,
    requests: usize,
    /// When each request came.
    times: Vec<Instant>,
    tokens: Vec<Option<String>>,
    /// The id and the leaf index of each record.
    taken: Vec<(String, Option<i64>)>,
}

type Shared = Arc<Mutex<Receiver>>;

async fn serve(faults: &[Fault]) -> (Shared, u16) {
    let shared: Shared = Arc::new(Mutex::new(Receiver { faults: faults.to_vec(), ..Receiver::default() }));
    let router = Router::new().route("/v1/logs", post(export)).with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shared, port)
}

async fn export(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let mut receiver = shared.lock().unwrap();
    let fault = receiver.faults[receiver.requests % receiver.faults.len()];
    receiver.requests += 1;
    receiver.times.push(Instant::now());
    receiver.tokens.push(headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()));
    let records = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let records: Vec<_> = records.flat_map(|scope| &scope.log_records).collect();
    let refused =
        |status: u16, body: &'static [u8]| (StatusCode::from_u16(status).unwrap(), body).into_response();
    let count = match fault {
        Fault::Throttles => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        Fault::Unavailable => return refused(503, b"\x08\x0e\x12\x09try later"),
        Fault::Garbage => return refused(200, b"<html>\x1b[31mWelcome</html>"),
        Fault::Refuses => return refused(400, b"\x08\x03\x12\x08bad data"),
        Fault::Partial => records.len().min(4),
        Fault::None | Fault::Warns | Fault::Empty | Fault::Poisoned => records.len(),
    };
    let mut rejected = records.len() - count;
    for record in &records[..count] {
        let value = |key: &str| {
            let found = record.attributes.iter().find(|one| one.key == key)?;
            found.value.clone()?.value
        };
        let Some(any_value::Value::StringValue(id)) = value("log.record.uid") else { panic!("{record:?}") };
        let index = match value("ledgerstone.leaf_index") {
            Some(any_value::Value::IntValue(index)) => Some(index),
            _ => None,
        };
        if fault == Fault::Poisoned && index == Some(POISON) {
            rejected += 1;
            continue;
        }
        receiver.taken.push((id, index));
    }
    let partial = |rejected, words: &str| {
        let partial_success = Some(ExportLogsPartialSuccess {
            rejected_log_records: rejected as i64,
            error_message: words.to_owned(),
        });
        ExportLogsServiceResponse { partial_success }
    };
    let answer = match fault {
        Fault::Warns => partial(0, "attributes are deprecated"),
        Fault::Partial => partial(rejected, "four are enough"),
        Fault::Poisoned if rejected > 0 => partial(rejected, "one is no record"),
        _ => ExportLogsServiceResponse::default(),
    };
    answer.encode_to_vec().into_response()
}

async fn world(port: u16, more: &str) -> World {
    let table = format!(
        "kind = \"otlp\"\nprotocol = \"http/protobuf\"\nurl = \"http://127.0.0.1:{port}\"\ncompression = \"none\"\n{more}"
    );
    let folder = folder();
    secret(folder.path(), "token", "bearer-word");
    World::start(folder, &table).await
}

/// Every entry that the sink accepted is there, each as what it is.
fn compare(world: World, shared: &Shared) -> usize {
    let stopped = world.stop();
    let receiver = shared.lock().unwrap();
    let of_entries = receiver.taken.iter().filter_map(|(id, index)| Some((id, (*index)?)));
    let mut taken: BTreeMap<i64, Vec<&String>> = BTreeMap::new();
    for (id, index) in of_entries {
        taken.entry(index).or_default().push(id);
    }
    for (index, event) in stopped.events.iter().enumerate().take(stopped.accepted as usize) {
        let ids = taken.get(&(index as i64)).unwrap_or_else(|| panic!("entry {index} is missing"));
        assert!(ids.contains(&&event.id().to_string()), "entry {index}");
    }
    assert!(!stopped.lines.contains("bearer-word") && !stopped.lines.contains('\x1b'));
    receiver.taken.len() - taken.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partly_rejected_request_is_not_taken_for_accepted() {
    let (shared, port) = serve(&[Fault::Unavailable]).await;
    let mut world = world(port, "").await;
    world.decide(40).await;
    world.error("try later").await;
    // Whole batches wait now.
    shared.lock().unwrap().faults = vec![Fault::Partial];
    world.caught_up().await;
    assert!(compare(world, &shared) > 0, "what was taken of a refused request is sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rejected_record_is_found_with_few_copies_of_the_others_and_gone_past_by_nobody() {
    let (shared, port) = serve(&[Fault::Unavailable]).await;
    let mut world = world(port, "").await;
    world.decide(60).await;
    world.error("try later").await;
    shared.lock().unwrap().faults = vec![Fault::Poisoned];
    let error = world.error("1 of 1 records rejected: one is no record").await;
    assert!(error.contains("siem reset"), "{error}");
    assert_eq!(world.standing().await["next_leaf_index"], POISON);
    // And again, with what is behind it, which is not sent every time.
    let retries = world.standing().await["retries"].as_u64().unwrap();
    world.until("tried again", |standing| standing["retries"].as_u64().unwrap() > retries + 4).await;
    let of_entries: Vec<i64> = shared.lock().unwrap().taken.iter().filter_map(|(_, index)| *index).collect();
    let different: std::collections::BTreeSet<i64> = of_entries.iter().copied().collect();
    assert!((0..POISON).all(|index| different.contains(&index)));
    let copies = of_entries.len() - different.len();
    assert!(copies <= 16, "{copies} copies, and a batch has 16");
    // Whoever mends the receiver needs to do nothing here.
    shared.lock().unwrap().faults = vec![Fault::None];
    world.caught_up().await;
    compare(world, &shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_taken_by_a_receiver_that_refuses_in_each_way() {
    let faults = [
        Fault::None,
        Fault::Warns,
        Fault::Unavailable,
        Fault::Garbage,
        Fault::Empty,
        Fault::Refuses,
        Fault::Partial,
    ];
    let (shared, port) = serve(&faults).await;
    let line = Lossy::to(port, 5).await;
    let mut world = world(line.port, "token_file = \"token\"").await;
    world.decide(80).await;
    let standing = world.caught_up().await;
    compare(world, &shared);
    assert!(line.lost() > 2, "{} answers lost: {standing}", line.lost());
    let receiver = shared.lock().unwrap();
    assert!(receiver.tokens.iter().all(|token| token.as_deref() == Some("Bearer bearer-word")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_is_given_it() {
    let (shared, port) = serve(&[Fault::Throttles, Fault::None]).await;
    let mut world = world(port, "").await;
    world.decide(5).await;
    world.caught_up().await;
    let times = shared.lock().unwrap().times.clone();
    let pause = times[1] - times[0];
    assert!(pause >= Duration::from_secs(1), "{pause:?}");
    compare(world, &shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_a_receiver_refuses() {
    for (fault, part) in [
        (Fault::Refuses, "bad data"),
        (Fault::Unavailable, "try later"),
        (Fault::Garbage, "something else than an answer of OTLP"),
    ] {
        let (_, port) = serve(&[fault]).await;
        let world = world(port, "").await;
        let error = world.error(part).await;
        assert!(!error.contains('\x1b'), "{error}");
    }
}
