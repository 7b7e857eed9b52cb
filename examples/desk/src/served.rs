//! A model server of the Open Inference Protocol over gRPC for whatever an example serves.
//!
//! *Guarantees*: an answer is the model's; input in either encoding of the protocol, output in the encoding of the input;
//! a request for another model is refused with what there is.
//!
//! *Does not do*: batching across requests, streaming, TLS, anything about records. It stands for the model server that a
//! user already has.

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
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::tensors::{self, Element, Output};

/// A model under a name and a version.
pub trait Served: Send + Sync + 'static {
    /// The name by which requests ask for it.
    fn name(&self) -> &str;

    /// Its version. A request without one takes any.
    fn version(&self) -> &str;

    /// What it is, and its tensors.
    fn metadata(&self) -> Metadata;

    /// Answers one request. It may take long: no other call waits for it.
    ///
    /// # Errors
    /// What was expected, where the request does not fit.
    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status>;
}

/// What a model says of itself.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The library that it comes from.
    pub platform: &'static str,
    /// What it takes.
    pub inputs: Vec<TensorMetadata>,
    /// What it gives.
    pub outputs: Vec<TensorMetadata>,
}

/// A tensor of any number of rows.
#[must_use]
pub fn tensor<T: Element>(name: &str, columns: usize) -> TensorMetadata {
    let columns = i64::try_from(columns).unwrap_or(-1);
    TensorMetadata { name: name.to_owned(), datatype: T::DATATYPE.to_owned(), shape: vec![-1, columns] }
}

/// The server.
pub struct ModelServer {
    name: String,
    models: Vec<Arc<dyn Served>>,
}

impl ModelServer {
    /// A server that calls itself `name` and has these models.
    #[must_use]
    pub fn new(name: &str, models: Vec<Arc<dyn Served>>) -> Self {
        Self { name: name.to_owned(), models }
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

    /// The model that is asked for. An empty version lets the server choose.
    fn find(&self, name: &str, version: &str) -> Result<&Arc<dyn Served>, Status> {
        let fits = |model: &&Arc<dyn Served>| {
            model.name() == name && (version.is_empty() || model.version() == version)
        };
        self.models.iter().find(fits).ok_or_else(|| {
            let asked =
                if version.is_empty() { name.to_owned() } else { format!("{name} version {version}") };
            let here =
                self.models.iter().map(|model| format!("{} version {}", model.name(), model.version()));
            let here = here.collect::<Vec<_>>().join(", ");
            Status::not_found(format!("no model {asked} here; this server has {here}"))
        })
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
        Ok(Response::new(ModelReadyResponse { ready: self.find(&asked.name, &asked.version).is_ok() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let asked = request.into_inner();
        let model = self.find(&asked.name, &asked.version)?;
        let Metadata { platform, inputs, outputs } = model.metadata();
        Ok(Response::new(ModelMetadataResponse {
            name: model.name().to_owned(),
            versions: vec![model.version().to_owned()],
            platform: platform.to_owned(),
            inputs,
            outputs,
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let request = request.into_inner();
        let model = Arc::clone(self.find(&request.model_name, &request.model_version)?);
        let answering = tokio::task::spawn_blocking(move || {
            let (outputs, raw_output_contents) = tensors::write(&request, model.infer(&request)?)?;
            Ok::<_, Status>(ModelInferResponse {
                model_name: model.name().to_owned(),
                model_version: model.version().to_owned(),
                id: request.id,
                parameters: std::collections::HashMap::default(),
                outputs,
                raw_output_contents,
            })
        });
        let answered = answering.await;
        answered.map_err(|error| Status::internal(format!("the model failed: {error}")))?.map(Response::new)
    }
}

#[cfg(test)]
mod tests;
