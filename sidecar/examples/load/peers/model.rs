//! The built-in model server: a score for each row, after a time given.

use std::net::SocketAddr;
use std::time::Duration;

use ledgerstone::proto::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct Model {
    takes: Duration,
}

/// Starts the model server.
pub(crate) async fn model(takes_us: u64) -> SocketAddr {
    let (incoming, addr) = super::listener().await;
    let service = GrpcInferenceServiceServer::new(Model { takes: Duration::from_micros(takes_us) });
    tokio::spawn(Server::builder().tcp_nodelay(true).add_service(service).serve_with_incoming(incoming));
    addr
}

#[tonic::async_trait]
impl GrpcInferenceService for Model {
    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let output = InferOutputTensor {
            name: "score".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 1],
            ..InferOutputTensor::default()
        };
        Ok(Response::new(ModelInferResponse {
            model_name: request.into_inner().model_name,
            model_version: "1".to_owned(),
            outputs: vec![output],
            raw_output_contents: vec![0.7_f32.to_le_bytes().to_vec().into()],
            ..ModelInferResponse::default()
        }))
    }

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
        _: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        Ok(Response::new(ModelReadyResponse { ready: true }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse::default()))
    }

    async fn model_metadata(
        &self,
        _: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        Ok(Response::new(ModelMetadataResponse::default()))
    }
}
