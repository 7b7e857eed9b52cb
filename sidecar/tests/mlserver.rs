//! A model server that nobody here wrote, and a client that nobody here wrote: MLServer with its XGBoost runtime, and
//! tritonclient.
//!
//! Danger: the sidecar changes an answer, a status or a message, or a client has to be changed for it. Expected: the same
//! script, once against MLServer and once against the sidecar's port, prints the same bytes for every application, for
//! metadata and for refusals; and the log then holds a record of every one of these calls, with the probability that
//! XGBoost gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledgerstone::entry::{Entry, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::{Value, schema};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::{EntryBundle, TileKind, TileSource as _, paths};
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::config::Config;
use ledgerstone_sidecar::keyring;
use ledgerstone_sidecar::seal;

/// Applications, and further inference calls of the client: fifty at once, one named output, parameters, three refusals.
const DECISIONS: usize = 1989 + 6;

/// How long MLServer may take to load the model on a busy machine.
const START: Duration = Duration::from_secs(120);

#[test]
fn tritonclient_gets_from_the_sidecar_what_mlserver_gives() {
    let python = match python() {
        Ok(python) => python,
        Err(problem) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("{problem}"),
        Err(problem) => return println!("skipped: MLServer behind the sidecar, because {problem}"),
    };
    let dir = tempfile::tempdir().unwrap();
    let mlserver = MlServer::start(&python, &dir.path().join("models"));
    let directly = client(&python, mlserver.grpc);

    let config = configuration(dir.path(), mlserver.grpc);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    commands::init(&config, &mut std::io::sink()).unwrap();
    let running =
        runtime.block_on(async { App::build(config.clone()).await.unwrap().spawn().await.unwrap() });
    let through = client(&python, running.grpc_addr);
    runtime.block_on(running.drain(Duration::from_secs(10))).unwrap();

    assert!(directly.lines().count() > DECISIONS, "the client said too little");
    for (ours, theirs) in through.lines().zip(directly.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(through, directly);
    check_records(&config);
}

/// Opens every record of the log and compares its score with what XGBoost gave when the model was trained.
fn check_records(config: &Config) {
    let golden: BTreeMap<String, u32> = include_str!("../../examples/lending/model/golden.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].to_owned(), u32::from_str_radix(cells[2], 16).unwrap())
        })
        .collect();
    let keys = keyring::open(&config.keys).unwrap();
    let origin = Hash::of(config.log.origin.as_str().as_bytes());
    let keys = keyring::to_read(&config.log.store, origin, keys).unwrap();
    let reader = FsReader::open(&config.log.store);
    let (mut decisions, mut exact) = (0, 0);
    for (entry, sealed) in sealed_records(&reader) {
        assert_eq!(entry.kind, Kind::Decision);
        decisions += 1;
        let record = seal::open(keys.as_ref(), &entry.decision.unwrap(), entry.kind, &sealed).unwrap().record;
        let Some(Value::Text(id)) = record.value(&schema::DECISION_REQUEST_ID) else { continue };
        let Some(bits) = golden.get(id) else { continue };
        let score = record.value(&schema::score("predict").unwrap());
        assert_eq!(score, Some(&Value::Float(f64::from(f32::from_bits(*bits)))), "application {id}");
        exact += 1;
    }
    assert_eq!((decisions, exact), (DECISIONS, 1989));
}

/// Every entry that has a sealed record, and the record.
fn sealed_records(reader: &FsReader) -> Vec<(Entry, Vec<u8>)> {
    let mut records = Vec::new();
    for path in paths(reader.size().unwrap()).filter(|path| path.kind() == TileKind::Entries) {
        let bundle = reader.read(&path).unwrap();
        let mut offset = 0;
        let entries = EntryBundle::decode(&bundle).unwrap();
        for (index, bytes) in (path.start().get()..).map(LeafIndex::new).zip(entries) {
            let entry = Entry::decode(bytes).unwrap();
            if let Some(sealed) = entry.sealed {
                records.push((entry, reader.sealed_at(index, offset, sealed).unwrap()));
                offset += sealed.length;
            }
        }
    }
    records
}

/// MLServer with the mortgage model; ends when dropped.
struct MlServer {
    child: Child,
    grpc: SocketAddr,
}

impl MlServer {
    fn start(python: &Path, models: &Path) -> Self {
        let [http, grpc, metrics] = free_ports();
        let settings = format!(
            r#"{{"host": "127.0.0.1", "http_port": {}, "grpc_port": {}, "metrics_port": {}, "parallel_workers": 0}}"#,
            http.port(),
            grpc.port(),
            metrics.port()
        );
        let model = r#"{"name": "mortgage", "implementation": "mlserver_xgboost.XGBoostModel",
            "parameters": {"uri": "./model.json", "version": "1"}}"#;
        std::fs::create_dir(models).unwrap();
        std::fs::write(models.join("settings.json"), settings).unwrap();
        std::fs::write(models.join("model-settings.json"), model).unwrap();
        std::fs::copy(lending("model/mortgage.json"), models.join("model.json")).unwrap();
        let log = std::fs::File::create(models.join("mlserver.log")).unwrap();
        let child = Command::new(python.with_file_name("mlserver"))
            .args(["start", "."])
            .current_dir(models)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, grpc };
        server.wait(models);
        server
    }

    /// Waits for the gRPC port: MLServer opens it last, after the model is loaded.
    fn wait(&mut self, models: &Path) {
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.grpc).is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > START {
                let log = std::fs::read_to_string(models.join("mlserver.log")).unwrap();
                panic!("MLServer does not answer ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for MlServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three ports that were free a moment ago.
fn free_ports() -> [SocketAddr; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// What the client prints when it talks to `server`.
fn client(python: &Path, server: SocketAddr) -> String {
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlserver/client.py"))
        .arg(server.port().to_string())
        .arg(lending("data/loanapp.csv"))
        .arg(lending("model/mortgage.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn configuration(dir: &Path, upstream: SocketAddr) -> Config {
    let model: serde_json::Value =
        serde_json::from_str(include_str!("../../examples/lending/model/mortgage.json")).unwrap();
    let names = &model["learner"]["feature_names"];
    let text = format!(
        r#"
        log = {{ origin = "log.example/mlserver", store = "store", key_file = "keys/log.key" }}
        keys = {{ file = "keys/records.key" }}
        server = {{ listen = "127.0.0.1:0", http_listen = "127.0.0.1:0", admin_listen = "127.0.0.1:0" }}
        upstream = {{ address = "http://{upstream}" }}
        [[route]]
        name = "mortgage"
        match = {{ model = "mortgage" }}
        features = [{{ tensor = "features", names = {names} }}]
        score = {{ tensor = "predict" }}
        threshold = {{ value = 0.75, above = "approve", below = "deny" }}
        "#
    );
    Config::from_toml(&text, dir).unwrap()
}

fn python() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(root.join("scripts/py-env"))
        .arg(root.join("sidecar/tests/mlserver/requirements.txt"))
        .arg("--no-deps")
        .output()
        .map_err(|error| format!("scripts/py-env does not run: {error}"))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("scripts/py-env failed: {}", said.lines().last().unwrap_or("no word of it")))
    }
}

fn lending(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lending").join(file)
}
