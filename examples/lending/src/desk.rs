//! The loan office's two servers: the model server, and in front of it the sidecar with its log.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ledgerstone::entry::DecisionId;
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::config::{Config, Inputs};
use ledgerstone_verifier::recompute::xgboost::Model;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::client::APPLICATION;
use crate::folder::RunFolder;
use crate::model;
use crate::oip_server::{INPUT, ModelServer, PROBABILITY};

/// How long the sidecar may take to end in order.
const DRAIN: Duration = Duration::from_secs(10);

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
    /// Starts the model server, writes the sidecar's configuration, creates log and keys, and starts the sidecar.
    ///
    /// # Errors
    /// If a port or a file cannot be had.
    pub async fn open(folder: &RunFolder, model: Arc<Model>) -> Result<Self> {
        fs::write(folder.configuration(), configuration(model.feature_names())?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let model_server = listener.local_addr()?;
        let (model_stop, stopped) = oneshot::channel::<()>();
        let server = ModelServer::new(model::NAME, model::VERSION, model);
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

    /// Asks the sidecar for the receipt of a decision, as the applicant's portal would.
    ///
    /// # Errors
    /// If the sidecar does not give it.
    pub async fn receipt(&self, decision: DecisionId) -> Result<Vec<u8>> {
        let channel = Channel::from_shared(format!("http://{}", self.sidecar))?.connect().await?;
        let request = GetReceiptRequest { decision_id: decision.to_string(), fields: Vec::new() };
        let response = ReceiptsClient::new(channel).get_receipt(request).await?;
        Ok(response.into_inner().receipt.to_vec())
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

/// The sidecar's configuration file. Paths start from the folder that it lies in.
fn configuration(columns: &[String]) -> Result<String> {
    let mut names = String::new();
    for line in columns.chunks(8) {
        let quoted: Vec<String> = line.iter().map(|name| format!("\"{name}\"")).collect();
        writeln!(names, "    {},", quoted.join(", "))?;
    }
    let (name, threshold) = (model::NAME, model::threshold()?);
    Ok(format!(
        r#"# The sidecar of the lending example.
# See what each key means and where its value comes from:
#   ledgerstone-sidecar config explain --config sidecar.toml

[log]
origin = "lending.example/decisions"
store = "store"
key_file = "keys/log.key"

[keys]
file = "keys/records.key"

[writer]
name = "lending"

[upstream]
address = "http://127.0.0.1:8001"

# What the model's traffic means: whose application it is, what the columns are called, and what the score leads to.
[[route]]
name = "{name}"
match = {{ model = "{name}" }}
model = {{ folder = "model" }}
use_case = "5b"
subject = {{ parameter = "{APPLICATION}" }}
score = {{ tensor = "{PROBABILITY}" }}
threshold = {{ value = {threshold}, above = "approve", below = "deny" }}
adverse = ["deny"]

[[route.features]]
tensor = "{INPUT}"
names = [
{names}]
"#
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn writes_a_configuration_that_the_sidecar_takes() {
        let model = model::load().unwrap();
        let text = configuration(model.feature_names()).unwrap();
        let config = Config::from_toml(&text, Path::new("/run")).unwrap();
        assert_eq!(config.log.store, Path::new("/run/store"));
        assert_eq!(config.routes[0].features[0].names, model.feature_names());
        assert_eq!(config.routes[0].threshold.as_ref().unwrap().value, 0.75);
    }
}
