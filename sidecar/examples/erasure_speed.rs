//! What subject keys cost, and how long erasing takes: sealing a record under the key-encryption key and under subject keys,
//! erasing a person with 10,000 records, a retention sweep. All in one process, against a real keyring on a disk.
//!
//! `cargo run --release -p ledgerstone-sidecar --example erasure_speed [RECORDS]`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_macros,
    reason = "a measurement"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledgerstone::entry::{DecisionId, Kind, RegisteredName};
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference as oip;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient;
use ledgerstone::proto::ledgerstone_v1::target::Kind as TargetKind;
use ledgerstone::proto::ledgerstone_v1::{EraseRequest, Target};
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret, Value};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::config::{Config, Inputs};
use ledgerstone_sidecar::keyring::{About, FileKeyProvider, KeyId, Keyring, RecordKeys, month};
use ledgerstone_sidecar::retention;
use ledgerstone_sidecar::seal::{self, SealedContent};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Endpoint;

#[path = "load/peers/model.rs"]
mod model;

/// A socket of its own for the model server.
pub(crate) async fn listener() -> (TcpListenerStream, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListenerStream::new(listener), address)
}

fn main() {
    let records = std::env::args().nth(1).map_or(10_000, |text| text.parse().unwrap());
    sealing();
    tokio::runtime::Runtime::new().unwrap().block_on(erasing(records));
}

fn content() -> SealedContent {
    let mut builder = RecordBuilder::new();
    for n in 0..50 {
        let path = FieldPath::parse(&format!("input/feature/f{n:02}")).unwrap();
        builder = builder.field(path, Value::Float(f64::from(n))).unwrap();
    }
    let secret = RecordSecret::from_bytes([3; RecordSecret::LEN]);
    SealedContent { secret, record: builder.build().unwrap(), request: None, response: None }
}

/// One thread, 50 fields a record.
fn sealing() {
    const ROUNDS: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let provider = Arc::new(FileKeyProvider::from_key(KeyId::new("kek").unwrap(), &[7; 32]));
    let ring = Keyring::open(folder.path(), Hash::of(b"log"), provider.clone(), 40_000).unwrap();
    ring.begin().unwrap();
    ring.fill_up().unwrap();
    let (content, decision) = (content(), DecisionId::from_bytes([1; 16]));
    let timed = |keys: &dyn RecordKeys, subjects: &dyn Fn(u32) -> Vec<String>| -> Duration {
        let started = Instant::now();
        for n in 0..ROUNDS {
            let about = About { subjects: subjects(n), class: "reg-b".to_owned(), month: 24_000 };
            let taken = keys.take(&about).unwrap();
            seal::seal_under(keys, &taken, &decision, Kind::Decision, &content).unwrap();
        }
        started.elapsed() / ROUNDS
    };
    let direct = timed(provider.as_ref(), &|_| Vec::new());
    let known = timed(&ring, &|n| vec![format!("person-{}", n % 100)]);
    let fresh = timed(&ring, &|_| Vec::new());
    println!("sealing a record of 50 fields");
    println!("  under the key-encryption key       {direct:>10.2?}");
    println!("  under a known person's key         {known:>10.2?}");
    println!("  under a key of its own, from the pool {fresh:>7.2?}");
}

async fn erasing(records: usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), model::model(0).await);
    ledgerstone_sidecar::commands::init(&config, &mut Vec::new()).unwrap();
    let app = App::build(config).await.unwrap().spawn().await.unwrap();
    let channel =
        Endpoint::from_shared(format!("http://{}", app.grpc_addr)).unwrap().connect().await.unwrap();
    let model = GrpcInferenceServiceClient::new(channel);
    let started = Instant::now();
    // Half of the log is about one person, the other half about as many people as records.
    let mut calls = JoinSet::new();
    for n in 0..2 * records {
        if calls.len() == 256 {
            calls.join_next().await.unwrap().unwrap();
        }
        let mut model = model.clone();
        let subject = if n % 2 == 0 { "ada".to_owned() } else { format!("person-{n}") };
        calls.spawn(async move { model.model_infer(request(&subject)).await.map(drop).unwrap() });
    }
    calls.join_all().await;
    println!("{} decisions recorded in {:.1?}", 2 * records, started.elapsed());
    let address = format!("http://{}", app.recorder_addr.unwrap());
    let mut keyring = KeyringClient::new(Endpoint::from_shared(address).unwrap().connect().await.unwrap());
    let request = EraseRequest {
        target: Some(Target { kind: Some(TargetKind::Subject("ada".to_owned())) }),
        ground: "subject-request".to_owned(),
        operator: "bench".to_owned(),
    };
    let started = Instant::now();
    let erased = keyring.erase(request).await.unwrap().into_inner();
    println!(
        "erasing one person: {} records, {} keys, {} entries in {:.1?}",
        erased.records,
        erased.keys,
        erased.leaf_indices.len(),
        started.elapsed()
    );
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = month(UnixMillis::new(u64::try_from(since.as_millis()).unwrap()));
    let operator = RegisteredName::parse("bench").unwrap();
    let (started, mut keys, mut swept_records) = (Instant::now(), 0, 0);
    loop {
        let swept = retention::sweep_at(app.erasures(), &operator, now + 26).await.unwrap();
        keys += swept.keys;
        swept_records += swept.records;
        if !swept.more {
            break;
        }
    }
    let took = started.elapsed();
    let rate = swept_records as f64 / took.as_secs_f64();
    println!("retention sweep: {swept_records} records under {keys} keys in {took:.1?}, {rate:.0} records/s");
    app.drain(Duration::from_secs(20)).await.unwrap();
}

fn config(folder: &Path, upstream: SocketAddr) -> Config {
    let path = folder.join("sidecar.toml");
    let text = format!(
        r#"
log = {{ origin = "example.com/speed", store = "store", key_file = "log.key" }}
server = {{ listen = "127.0.0.1:0", http_listen = "127.0.0.1:0", admin_listen = "127.0.0.1:0" }}
recorder = {{ listen = "127.0.0.1:0" }}
upstream = {{ address = "http://{upstream}" }}
keys = {{ file = "kek.key" }}
[[route]]
name = "all"
subject = {{ parameter = "applicant" }}
retention = "reg-b"
"#
    );
    std::fs::write(&path, text).unwrap();
    Config::load(&Inputs { file: Some(path), ..Inputs::default() }).unwrap()
}

fn request(subject: &str) -> oip::ModelInferRequest {
    let choice = oip::infer_parameter::ParameterChoice::StringParam(subject.to_owned());
    let parameter = oip::InferParameter { parameter_choice: Some(choice) };
    oip::ModelInferRequest {
        model_name: "m".to_owned(),
        parameters: HashMap::from([("applicant".to_owned(), parameter)]),
        ..Default::default()
    }
}
