//! A sidecar whose decisions are about people, and the ways to ask its keyring.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ledgerstone::entry::{Entry, ErasureDetails, Kind, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference as oip;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient;
use ledgerstone::proto::ledgerstone_v1::target::Kind as TargetKind;
use ledgerstone::proto::ledgerstone_v1::{EraseRequest, EraseResponse, Target};
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::Verdict;
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::config::Config;
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Sidecar, request, serve_doubler};

const DRAIN: Duration = Duration::from_secs(20);

/// A running application about people.
pub(crate) struct World {
    pub(crate) files: Files,
    pub(crate) app: Running,
}

/// Its folder.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) sidecar: Sidecar,
}

impl Files {
    /// Creates a log whose route takes the person from a parameter; `more` goes into the route.
    pub(crate) async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        let text = std::fs::read_to_string(sidecar.config()).unwrap();
        let route =
            format!("score = {{ tensor = \"score\" }}\nsubject = {{ parameter = \"applicant\" }}\n{more}\n");
        std::fs::write(sidecar.config(), text.replace("score = { tensor = \"score\" }\n", &route)).unwrap();
        Self { folder, sidecar }
    }

    /// The same, but a call is about as many persons as it has rows.
    pub(crate) async fn of_batches(more: &str) -> Self {
        let files = Self::new(more).await;
        files.change_config("{ parameter = \"applicant\" }", "{ tensor = \"applicants\" }");
        files
    }

    /// Writes `new` in the place of `old` into the configuration.
    pub(crate) fn change_config(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.sidecar.config()).unwrap();
        assert!(text.contains(old), "{old}");
        std::fs::write(self.sidecar.config(), text.replace(old, new)).unwrap();
    }

    pub(crate) fn config(&self, flags: &[&str]) -> Config {
        self.sidecar.load(&[&["recorder.listen=127.0.0.1:0"], flags].concat())
    }

    pub(crate) async fn run(self) -> World {
        self.run_with(&[]).await
    }

    pub(crate) async fn run_with(self, flags: &[&str]) -> World {
        let app = App::build(self.config(flags)).await.unwrap().spawn().await.unwrap();
        World { files: self, app }
    }

    pub(crate) fn store(&self) -> std::path::PathBuf {
        self.sidecar.store()
    }

    /// The keyring's file.
    pub(crate) fn ring(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.store().join("keyring/keyring.db")).unwrap()
    }

    /// Opens the record of a decision as the operator's command does.
    pub(crate) fn open(&self, decision: &str) -> Result<Json, String> {
        open(&self.config(&[]), decision)
    }

    /// The entry that says that the record of a decision was erased.
    pub(crate) fn erased_by(&self, decision: &str) -> u64 {
        let refused = self.open(decision).unwrap_err();
        let (_, entry) = refused.split_once("was erased: entry ").unwrap_or_else(|| panic!("{refused}"));
        entry.split(' ').next().unwrap().parse().unwrap()
    }

    /// The whole log verifies; returns what is said of the sealed records.
    pub(crate) fn verify(&self) -> String {
        let options = verify_log::Options { policy: Some(self.sidecar.policy()), ..Default::default() };
        let report = verify_log::run_on_dir(&self.store(), &options, &mut Silent).unwrap().report;
        assert_eq!(report.verdict(), Verdict::Verified, "{:#?}", report.checks());
        report.check(ledgerstone::code::CheckName::LogSealed).unwrap().detail.clone()
    }

    /// Every entry of a kind.
    pub(crate) fn entries(&self, kind: Kind) -> Vec<(u64, Entry)> {
        let reader = FsReader::open(&self.store());
        let size = reader.size().unwrap();
        let entry = |index: u64| Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
        (0..size.get()).map(|index| (index, entry(index))).filter(|(_, entry)| entry.kind == kind).collect()
    }

    pub(crate) fn erasures(&self) -> Vec<ErasureDetails> {
        let details = |(_, entry): (u64, Entry)| match entry.kind_details().unwrap() {
            KindDetails::Erasure(details) => details,
            other => panic!("{other:?}"),
        };
        self.entries(Kind::Erasure).into_iter().map(details).collect()
    }
}

pub(crate) fn open(config: &Config, decision: &str) -> Result<Json, String> {
    let mut shown = Vec::new();
    match commands::open(config, decision, &mut shown) {
        Ok(()) => Ok(serde_json::from_slice(&shown).unwrap()),
        Err(error) => Err(format!("{error:#}")),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Files::new("").await.run().await
    }

    pub(crate) async fn stop(self) -> Files {
        self.app.drain(DRAIN).await.unwrap();
        self.files
    }

    pub(crate) async fn model(&self) -> GrpcInferenceServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.app.grpc_addr)).unwrap();
        GrpcInferenceServiceClient::new(endpoint.connect().await.unwrap())
    }

    pub(crate) async fn keyring(&self) -> KeyringClient<Channel> {
        let address = self.app.recorder_addr.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        KeyringClient::new(endpoint.connect().await.unwrap())
    }

    /// Has one decision made about `subjects` and returns its id.
    pub(crate) async fn decide(&self, subject: &str) -> String {
        decide(&mut self.model().await, subject).await.unwrap()
    }

    /// Has one decision made about several persons, who stand in its rows.
    pub(crate) async fn decide_together(&self, people: &[&str]) -> String {
        let answer = self.model().await.model_infer(about_all(people)).await.unwrap();
        answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned()
    }

    /// What a human adds to a decision; returns the status of the answer.
    pub(crate) async fn add(&self, decision: &str) -> u16 {
        let address = self.app.recorder_addr.unwrap();
        let outcome = json!({ "fields": { "outcome/action": "deny" } }).to_string();
        http(address, "POST", &format!("/decisions/{decision}/outcome"), &outcome).await.0
    }

    pub(crate) async fn erase(&self, target: Target) -> Result<EraseResponse, tonic::Status> {
        let request = EraseRequest {
            target: Some(target),
            ground: "subject-request".to_owned(),
            operator: "dpo-7".to_owned(),
        };
        Ok(self.keyring().await.erase(request).await?.into_inner())
    }

    /// The sidecar's own word of each record of a decision; entries that have none are left out.
    pub(crate) async fn history(&self, decision: &str) -> Vec<String> {
        let address = self.app.recorder_addr.unwrap();
        let (status, json) = http(address, "GET", &format!("/decisions/{decision}"), "").await;
        assert_eq!(status, 200, "{json}");
        let entries = json["entries"].as_array().unwrap().iter();
        let records = entries.map(|entry| entry["record"].as_str().unwrap().to_owned());
        records.filter(|record| record != "none").collect()
    }

    pub(crate) async fn receipt(&self, decision: &str) -> (u16, Json) {
        let path = format!("/receipts/{decision}");
        let (status, body) = crate::support::http_get(self.app.http_addr, &path).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }

    pub(crate) async fn metrics(&self) -> String {
        let (_, body) = crate::support::http_get(self.app.admin_addr, "/metrics").await.unwrap();
        String::from_utf8(body).unwrap()
    }
}

pub(crate) fn subject(subject: &str) -> Target {
    Target { kind: Some(TargetKind::Subject(subject.to_owned())) }
}

pub(crate) fn record(decision: &str) -> Target {
    Target { kind: Some(TargetKind::DecisionId(decision.to_owned())) }
}

/// A request about a person.
pub(crate) fn about(subject: &str) -> oip::ModelInferRequest {
    let parameter = oip::infer_parameter::ParameterChoice::StringParam(subject.to_owned());
    let parameter = oip::InferParameter { parameter_choice: Some(parameter) };
    let parameters = HashMap::from([("applicant".to_owned(), parameter)]);
    let mut request = request("r", 2.5);
    if !subject.is_empty() {
        request.parameters = parameters;
    }
    request
}

/// A request with a row about each of several persons.
fn about_all(people: &[&str]) -> oip::ModelInferRequest {
    let mut request = request("r", 2.5);
    let rows = vec![i64::try_from(people.len()).unwrap(), 1];
    let values = oip::InferTensorContents { fp32_contents: vec![2.5; people.len()], ..Default::default() };
    request.inputs[0].shape.clone_from(&rows);
    request.inputs[0].contents = Some(values);
    let names = people.iter().map(|name| name.as_bytes().to_vec().into()).collect();
    let names = oip::InferTensorContents { bytes_contents: names, ..Default::default() };
    request.inputs.push(oip::model_infer_request::InferInputTensor {
        name: "applicants".into(),
        datatype: "BYTES".into(),
        shape: rows,
        contents: Some(names),
        ..Default::default()
    });
    request
}

pub(crate) async fn decide(
    model: &mut GrpcInferenceServiceClient<Channel>,
    subject: &str,
) -> Result<String, tonic::Status> {
    let answer = model.model_infer(about(subject)).await?;
    Ok(answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned())
}

/// Asks over HTTP/1.1 and returns status and JSON.
pub(crate) async fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Json) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or(Json::Null))
}

/// Every file below `folder` with its bytes. Where a running sidecar renames or removes one meanwhile, all are read again, so that
/// none is missed.
pub(crate) fn every_file(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    loop {
        assert!(folder.is_dir(), "{}", folder.display());
        match files_below(folder) {
            Ok(files) => return files,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", folder.display())
            }
        }
    }
}

fn files_below(folder: &Path) -> std::io::Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push((path.clone(), std::fs::read(&path)?));
        }
    }
    Ok(files)
}

/// Copies a folder with everything in it. A file that a running sidecar renames meanwhile is there under its other name.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else if let Err(error) = std::fs::copy(&path, &target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", path.display());
        }
    }
}
