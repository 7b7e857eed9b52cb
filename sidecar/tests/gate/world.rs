//! A sidecar with rules, its model server, and what was recorded.

use std::path::PathBuf;

use ledgerstone::entry::{Entry, Kind};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::Value;
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_sidecar::app::{App, BuildError, Running};
use ledgerstone_sidecar::commands;
use prost::Message as _;
use serde_json::Value as Json;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::peers::{Calls, Client, Reply, Step, framed, grpc_head, grpc_status, scripted};
use crate::support::{PATIENCE, Sidecar};

/// A route of the usual kind; rules come after it.
pub(crate) const ROUTE: &str = r#"
[[route]]
name = "loans"
match = { model = "loans" }
purpose = "credit"
subject = { parameter = "applicant" }
features = [{ tensor = "input", names = ["income", "age"] }]
score = { tensor = "score" }
threshold = { value = 0.5, above = "approve", below = "deny" }
adverse = ["deny"]
"#;

/// One rule as the configuration file writes it.
pub(crate) fn rule(name: &str, when: &str, rule: &str, more: &str) -> String {
    format!("[[route.gate]]\nname = \"{name}\"\nwhen = \"{when}\"\nrule = '''{rule}'''\n{more}\n")
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) files: Sidecar,
    pub(crate) app: Running,
    /// What the model server saw.
    pub(crate) calls: Calls,
}

impl World {
    /// A sidecar with `routes`, in front of a model server that scores everybody `scores`.
    pub(crate) async fn new(routes: &str, scores: &[f32]) -> Self {
        let (folder, files, calls) = init(routes, scores).await;
        let app = build(&files, &[]).await.unwrap().spawn().await.unwrap();
        Self { folder, files, app, calls }
    }

    pub(crate) async fn infer(&self, request: &ModelInferRequest) -> Reply {
        Client::new(self.app.grpc_addr).infer(request).await
    }

    /// The same log again, under other routes.
    pub(crate) async fn again(self, routes: &str) -> Self {
        self.app.drain(PATIENCE).await.unwrap();
        write(&self.files, routes);
        let app = build(&self.files, &[]).await.unwrap().spawn().await.unwrap();
        Self { app, ..self }
    }

    /// Stops the sidecar in order.
    pub(crate) async fn stop(self) -> (tempfile::TempDir, Sidecar) {
        self.app.drain(PATIENCE).await.unwrap();
        (self.folder, self.files)
    }

    /// The record of the decision that was answered with `reply`, as `record open` prints it, and its entry. The receipt is
    /// there and verifies.
    pub(crate) async fn recorded(&self, reply: &Reply) -> Recorded {
        let decision = reply.header("ledgerstone-decision-id").expect("a decision").to_owned();
        let index: u64 = reply.header("ledgerstone-leaf-index").unwrap().parse().unwrap();
        let channel = Endpoint::from_shared(format!("http://{}", self.app.grpc_addr)).unwrap().connect_lazy();
        let request = GetReceiptRequest { decision_id: decision.clone(), fields: Vec::new() };
        let file = ReceiptsClient::new(channel).get_receipt(request).await.unwrap().into_inner().receipt;
        let report = verify::receipt(&file, Some(&self.files.policy()));
        assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
        let receipt = Receipt::parse(&file).unwrap();
        assert_eq!(receipt.index().get(), index);
        let mut printed = Vec::new();
        commands::open(&self.files.load::<&str>(&[]), &decision, &mut printed).unwrap();
        let json: Json = serde_json::from_slice(&printed).unwrap();
        let entry = entry(&self.files, index);
        assert_eq!(entry.kind, Kind::Decision);
        let shown = receipt.disclosure().openings.iter();
        let shown = shown.map(|opening| (opening.path.to_string(), opening.value.clone())).collect();
        Recorded { json, entry, shown }
    }
}

/// One decision as it was recorded.
pub(crate) struct Recorded {
    pub(crate) json: Json,
    pub(crate) entry: Entry,
    /// What its receipt shows.
    pub(crate) shown: Vec<(String, Value)>,
}

impl Recorded {
    pub(crate) fn field(&self, path: &str) -> &Json {
        self.json["fields"].get(path).unwrap_or(&Json::Null)
    }

    pub(crate) fn receipt(&self, path: &str) -> Option<&Value> {
        self.shown.iter().find(|(shown, _)| shown == path).map(|(_, value)| value)
    }

    /// `name: verdict, effect` of each rule.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let list = |path: &str| self.field(path).as_array().unwrap().clone();
        let (rules, stages) = (list("gate/rules"), list("gate/stages"));
        let (verdicts, effects) = (list("gate/verdicts"), list("gate/effects"));
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        (0..rules.len())
            .map(|n| [&rules, &stages, &verdicts, &effects].map(|list| text(&list[n])).join(" "))
            .collect()
    }

    /// Writes it into a file of `world` and has `gate check` look at it: the exit status and what it printed.
    pub(crate) fn checked(&self, world: &World, edit: impl FnOnce(&mut Json)) -> (Option<i32>, String) {
        let mut json = self.json.clone();
        edit(&mut json["fields"]);
        let path = world.folder.path().join("record.json");
        std::fs::write(&path, json.to_string()).unwrap();
        check(&world.files, &["--input", path.to_str().unwrap()])
    }
}

/// Runs `gate check`.
pub(crate) fn check(files: &Sidecar, arguments: &[&str]) -> (Option<i32>, String) {
    let output = files.command("gate").arg("check").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// A log in front of a new model server.
pub(crate) async fn init(routes: &str, scores: &[f32]) -> (tempfile::TempDir, Sidecar, Calls) {
    let output = InferOutputTensor {
        name: "score".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![scores.len() as i64, 1],
        ..InferOutputTensor::default()
    };
    let response = ModelInferResponse {
        model_name: "loans".to_owned(),
        model_version: "7".to_owned(),
        outputs: vec![output],
        raw_output_contents: vec![scores.iter().flat_map(|score| score.to_le_bytes()).collect()],
        ..ModelInferResponse::default()
    };
    // A model server cannot speak in the sidecar's name.
    let mut head = grpc_head();
    head.headers_mut().insert("ledgerstone-review", "forged".parse().unwrap());
    let steps = vec![Step::Data(framed(&response.encode_to_vec())), Step::Trailers(grpc_status(Code::Ok))];
    let (addr, calls) = scripted(head, steps).await;
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), addr);
    write(&files, routes);
    (folder, files, calls)
}

/// Puts `routes` where the configuration has its own.
pub(crate) fn write(files: &Sidecar, routes: &str) {
    let path: PathBuf = files.config();
    let text = std::fs::read_to_string(&path).unwrap();
    let before = text.split("[[route]]").next().unwrap().trim_end();
    std::fs::write(path, format!("{before}\n{routes}")).unwrap();
}

pub(crate) async fn build(files: &Sidecar, flags: &[&str]) -> Result<App, BuildError> {
    App::build(files.load(flags)).await
}

/// Waits until the published log has `kind` entries enough, and gives them.
pub(crate) async fn entries(world: &World, kind: Kind) -> Vec<Entry> {
    // One more decision is answered only after everything before it is durable; its receipt waits for the checkpoint.
    let reply = world.infer(&request(&[[1.0, 1.0]], &[])).await;
    let last: u64 = reply.header("ledgerstone-leaf-index").unwrap().parse().unwrap();
    _ = world.recorded(&reply).await;
    (0..=last).map(|index| entry(&world.files, index)).filter(|entry| entry.kind == kind).collect()
}

fn entry(files: &Sidecar, index: u64) -> Entry {
    let reader = FsReader::open(&files.store());
    Entry::decode(&reader.entry(LeafIndex::new(index), reader.size().unwrap()).unwrap()).unwrap()
}

pub(crate) fn text(text: &str) -> ParameterChoice {
    ParameterChoice::StringParam(text.to_owned())
}

/// A request about one person a row: income and age.
pub(crate) fn request(rows: &[[f32; 2]], parameters: &[(&str, ParameterChoice)]) -> ModelInferRequest {
    let input = InferInputTensor {
        name: "input".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![rows.len() as i64, 2],
        ..InferInputTensor::default()
    };
    let raw: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let parameter = |(name, choice): &(&str, ParameterChoice)| {
        ((*name).to_owned(), InferParameter { parameter_choice: Some(choice.clone()) })
    };
    ModelInferRequest {
        model_name: "loans".to_owned(),
        parameters: parameters.iter().map(parameter).collect(),
        inputs: vec![input],
        raw_input_contents: vec![raw.into()],
        ..ModelInferRequest::default()
    }
}
