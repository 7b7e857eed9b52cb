//! An example's two servers: the model server, and in front of it the sidecar with its log.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ledgerstone::entry::DecisionId;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::config::{Config, Inputs};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::folder::RunFolder;
use crate::served::ModelServer;
use crate::targets::Targets;

/// How long the sidecar may take to end in order.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the anchors may take.
const ANCHORED: Duration = Duration::from_secs(60);

/// How often the anchors are looked at.
const ANCHOR_POLL: Duration = Duration::from_millis(50);

/// Both servers, running.
pub struct Desk {
    /// Where the model server answers.
    pub model_server: SocketAddr,
    /// Where the sidecar answers in its place.
    pub sidecar: SocketAddr,
    running: Running,
    model_task: JoinHandle<Result<()>>,
    model_stop: oneshot::Sender<()>,
}

impl Desk {
    /// Starts the model server, writes the sidecar's configuration, creates log and keys, and starts the sidecar. The
    /// configuration's paths start from the run's folder; `server` and `upstream.address` are set for this run.
    ///
    /// # Errors
    /// If a port or a file cannot be had.
    pub async fn open(folder: &RunFolder, server: ModelServer, configuration: &str) -> Result<Self> {
        fs::write(folder.configuration(), configuration)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let model_server = listener.local_addr()?;
        let (model_stop, stopped) = oneshot::channel::<()>();
        let model_task = tokio::spawn(server.serve(listener, async {
            // A dropped sender means the same as a message: stop.
            let _ = stopped.await;
        }));
        let config = Config::load(&Inputs {
            file: Some(folder.configuration()),
            environment: Vec::default(),
            flags: this_run(model_server),
        })?;
        ledgerstone_sidecar::commands::init(&config, &mut std::io::sink())?;
        let running = App::build(config).await?.spawn().await?;
        Ok(Self { model_server, sidecar: running.grpc_addr, running, model_task, model_stop })
    }

    /// Asks the sidecar for the receipt of a decision, as the portal of whom it is about would.
    ///
    /// # Errors
    /// If the sidecar does not give it.
    pub async fn receipt(&self, decision: DecisionId) -> Result<Vec<u8>> {
        let channel = Channel::from_shared(format!("http://{}", self.sidecar))?.connect().await?;
        let request = GetReceiptRequest { decision_id: decision.to_string(), fields: Vec::new() };
        let response = ReceiptsClient::new(channel).get_receipt(request).await?;
        Ok(response.into_inner().receipt.to_vec())
    }

    /// Waits until every anchor target has fixed the log up to `index` and the proofs are on disk.
    ///
    /// # Errors
    /// If that takes longer than a minute, or a target is gone.
    pub async fn anchored(&self, index: LeafIndex, targets: &mut Targets) -> Result<()> {
        let until = Instant::now() + ANCHORED;
        let anchors = self.running.anchors();
        while anchors.lanes().any(|lane| lane.confirmed_size().get() <= index.get()) {
            targets.stand()?;
            ensure!(Instant::now() < until, "the log was not anchored in time:\n{}", anchors.to_text());
            tokio::time::sleep(ANCHOR_POLL).await;
        }
        Ok(())
    }

    /// Ends both servers: the sidecar writes its stop entry and publishes everything.
    ///
    /// # Errors
    /// If the sidecar does not end in order.
    pub async fn close(self) -> Result<()> {
        self.running.drain(DRAIN).await?;
        // The model server may be gone already.
        let _ = self.model_stop.send(());
        self.model_task.await.context("the model server ended in disorder")?
    }
}

/// What holds for this run only: free ports, and the port that the model server got.
fn this_run(model_server: SocketAddr) -> Vec<String> {
    let ports = ["listen", "http_listen", "admin_listen"];
    let mut flags: Vec<String> = ports.iter().map(|port| format!("server.{port}=127.0.0.1:0")).collect();
    flags.push(format!("upstream.address=http://{model_server}"));
    flags
}

/// The name of an example's log.
#[must_use]
pub fn origin(example: &str) -> String {
    format!("{example}.example/decisions")
}

/// How the sidecar's configuration of an example begins: everything but what its traffic means.
#[must_use]
pub fn configuration(example: &str) -> String {
    let origin = origin(example);
    format!(
        r#"# The sidecar of the {example} example.
# See what each key means and where its value comes from:
#   ledgerstone-sidecar config explain --config sidecar.toml

[log]
origin = "{origin}"
store = "store"
key_file = "keys/log.key"

[keys]
file = "keys/records.key"

[writer]
name = "{example}"

[upstream]
address = "http://127.0.0.1:8001"
"#
    )
}

/// Names of columns as the lines of a TOML array, several in a line.
#[must_use]
pub fn quoted_lines<T: AsRef<str>>(names: &[T]) -> String {
    let line = |names: &[T]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.as_ref())).collect();
        format!("    {},\n", quoted.join(", "))
    };
    names.chunks(8).map(line).collect()
}
