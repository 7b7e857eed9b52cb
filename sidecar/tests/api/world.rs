//! An application, its model server and its folder.

use std::path::Path;
use std::time::Duration;

use ledgerstone::proto::inference as oip;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::log_client::LogClient;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use ledgerstone_sidecar::app::{App, Running};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Response;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Sidecar, request, serve_doubler};

/// A deadline that no drain in these tests comes near.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);

/// A running application.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) files: Sidecar,
    pub(crate) app: Running,
}

/// What the caller was told about a decision.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) decision: String,
    pub(crate) index: u64,
}

/// Changes a byte near the end of the first file of sealed records: the last record of a short log does not open any more.
pub(crate) fn damage_last_sealed(store: &Path) {
    let path = store.join("sealed/000");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

impl World {
    /// Creates a log and runs a sidecar on it.
    pub(crate) async fn new() -> Self {
        let (folder, files) = init().await;
        let app = build(&files, &[]).await.spawn().await.unwrap();
        Self { folder, files, app }
    }

    /// Stops the sidecar in order.
    pub(crate) async fn stop(self) -> Stopped {
        self.app.drain(DRAIN).await.unwrap();
        Stopped { folder: self.folder, files: self.files }
    }

    /// The policy that names the log's keys.
    pub(crate) fn policy(&self) -> ledgerstone::policy::Policy {
        self.files.policy()
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.app.grpc_addr)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn model(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel().await)
    }

    pub(crate) async fn log(&self) -> LogClient<Channel> {
        LogClient::new(self.channel().await)
    }

    pub(crate) async fn receipts(&self) -> ReceiptsClient<Channel> {
        ReceiptsClient::new(self.channel().await)
    }

    /// Has `count` decisions made, up to 16 at a time; by leaf index.
    pub(crate) async fn decide(&self, count: usize) -> Vec<Told> {
        let (model, mut told, mut calls) = (self.model().await, Vec::new(), JoinSet::new());
        for n in 0..count {
            if calls.len() == 16 {
                told.push(calls.join_next().await.unwrap().unwrap());
            }
            let mut model = model.clone();
            calls.spawn(async move {
                Told::by(&model.model_infer(request(&format!("r{n}"), 2.5)).await.unwrap())
            });
        }
        told.extend(calls.join_all().await);
        told.sort_by_key(|told| told.index);
        told
    }

    /// Waits until the published tree has `size` leaves.
    pub(crate) async fn published(&self, size: u64) -> u64 {
        let mut watch = self.log().await.watch_checkpoints(watch_request()).await.unwrap().into_inner();
        loop {
            let seen = watch.message().await.unwrap().expect("the stream goes on").tree_size;
            if seen >= size {
                return seen;
            }
        }
    }
}

pub(crate) fn watch_request() -> ledgerstone::proto::ledgerstone_v1::WatchCheckpointsRequest {
    ledgerstone::proto::ledgerstone_v1::WatchCheckpointsRequest {}
}

impl Told {
    pub(crate) fn by(answer: &Response<oip::ModelInferResponse>) -> Self {
        let text = |name: &str| answer.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        let index = text("ledgerstone-leaf-index").parse().unwrap();
        Self { decision: text("ledgerstone-decision-id"), index }
    }
}

/// A log that nobody runs.
pub(crate) struct Stopped {
    pub(crate) folder: TempDir,
    pub(crate) files: Sidecar,
}

impl Stopped {
    /// Runs a sidecar on it.
    pub(crate) async fn start(self) -> World {
        let app = build(&self.files, &[]).await.spawn().await.unwrap();
        World { folder: self.folder, files: self.files, app }
    }
}

/// Creates a log in front of a model server of its own.
pub(crate) async fn init() -> (TempDir, Sidecar) {
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), serve_doubler().await);
    (folder, files)
}

/// Builds an application on free ports.
pub(crate) async fn build(files: &Sidecar, flags: &[String]) -> App {
    App::build(files.load(flags)).await.unwrap()
}
