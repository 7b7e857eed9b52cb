//! A model server of the Open Inference Protocol over gRPC: one XGBoost model, one input tensor, two output tensors.
//!
//! *Guarantees*: an answer is the evaluator's, row by row; input in either encoding of the protocol, output in the
//! encoding of the input; a request that does not fit is refused with what was expected.
//!
//! *Does not do*: batching across requests, several models, streaming, TLS, anything about records. It stands for the
//! model server that a user already has.

mod tensors;

use std::sync::Arc;

use anyhow::Result;
use ledgerstone::proto::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use ledgerstone::proto::inference::model_metadata_response::TensorMetadata;
use ledgerstone::proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use ledgerstone_verifier::recompute::xgboost::Model;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The tensor that a request carries: FP32, one row a decision.
pub const INPUT: &str = "features";

/// The tensor with the sum of the trees' leaves.
pub const MARGIN: &str = "margin";

/// The tensor with the probability of approval.
pub const PROBABILITY: &str = "probability";

/// One model under one name and version.
pub struct ModelServer {
    name: String,
    version: String,
    model: Arc<Model>,
}

impl ModelServer {
    /// Serves a model under a name and a version.
    #[must_use]
    pub fn new(name: &str, version: &str, model: Arc<Model>) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), model }
    }

    /// Answers on a listener until `stop` is done.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<()> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .add_service(GrpcInferenceServiceServer::new(self))
            .serve_with_incoming_shutdown(incoming, stop)
            .await?;
        Ok(())
    }

    /// Whether this server has the model. An empty version lets the server choose.
    fn has(&self, name: &str, version: &str) -> bool {
        name == self.name && (version.is_empty() || version == self.version)
    }

    fn find(&self, name: &str, version: &str) -> Result<(), Status> {
        if self.has(name, version) {
            return Ok(());
        }
        let asked = if version.is_empty() { name.to_owned() } else { format!("{name} version {version}") };
        Err(Status::not_found(format!(
            "no model {asked} here; this server has {} version {}",
            self.name, self.version
        )))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for ModelServer {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let asked = request.into_inner();
        Ok(Response::new(ModelReadyResponse { ready: self.has(&asked.name, &asked.version) }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "lending-model-server".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let asked = request.into_inner();
        self.find(&asked.name, &asked.version)?;
        let columns = i64::try_from(self.model.feature_count()).unwrap_or(-1);
        let tensor = |name: &str, columns| TensorMetadata {
            name: name.to_owned(),
            datatype: tensors::FP32.to_owned(),
            shape: vec![-1, columns],
        };
        Ok(Response::new(ModelMetadataResponse {
            name: self.name.clone(),
            versions: vec![self.version.clone()],
            platform: "xgboost".to_owned(),
            inputs: vec![tensor(INPUT, columns)],
            outputs: vec![tensor(MARGIN, 1), tensor(PROBABILITY, 1)],
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let request = request.into_inner();
        self.find(&request.model_name, &request.model_version)?;
        let rows = tensors::read(&request, self.model.feature_count())?;
        let mut margins = Vec::with_capacity(rows.count);
        for (number, row) in rows.values.chunks_exact(self.model.feature_count()).enumerate() {
            let margin = self.model.margin(row);
            margins.push(margin.map_err(|error| Status::invalid_argument(format!("row {number}: {error}")))?);
        }
        let probabilities = margins.iter().map(|margin| self.model.probability(*margin)).collect();
        let answers = vec![(MARGIN, margins), (PROBABILITY, probabilities)];
        let (outputs, raw_output_contents) = tensors::write(&request, rows.encoding, answers)?;
        Ok(Response::new(ModelInferResponse {
            model_name: self.name.clone(),
            model_version: self.version.clone(),
            id: request.id,
            parameters: std::collections::HashMap::default(),
            outputs,
            raw_output_contents,
        }))
    }
}

#[cfg(test)]
mod tests;
