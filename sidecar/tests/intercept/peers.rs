//! Real peers on loopback: a model server built with tonic, one that misbehaves as told, and a client that sees raw bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ledgerstone::proto::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::proto::inference::*;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

pub(crate) const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Binds a free port of the loopback interface.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// One message as the body of a unary call.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    framed_as(0, message)
}

pub(crate) fn framed_as(flag: u8, message: &[u8]) -> Bytes {
    let mut body = vec![flag];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    body.into()
}

/// Everything an answer consists of.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// HTTP status, headers, body and trailers.
pub(crate) type Comparable = (http::StatusCode, Vec<(String, String)>, Bytes, Vec<(String, String)>);

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn status(&self) -> Status {
        Status::from_header_map(&self.trailers)
            .or_else(|| Status::from_header_map(&self.head.headers))
            .unwrap_or_else(|| panic!("no gRPC status in {self:?}"))
    }

    pub(crate) fn code(&self) -> Code {
        self.status().code()
    }

    /// What must be equal with and without the sidecar: all but the date and our own headers.
    pub(crate) fn comparable(&self) -> Comparable {
        let sorted = |headers: &HeaderMap| {
            let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.to_string(), format!("{value:?}"))
            };
            let mut all: Vec<_> = headers.iter().map(text).collect();
            all.retain(|(name, _)| name != "date" && !name.starts_with("ledgerstone-"));
            all.sort();
            all
        };
        (self.head.status, sorted(&self.head.headers), self.body.clone(), sorted(&self.trailers))
    }
}

/// A client that sees bytes, not messages.
#[derive(Clone)]
pub(crate) struct Client(Channel);

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self(Endpoint::from_shared(format!("http://{addr}")).unwrap().connect_lazy())
    }

    pub(crate) async fn infer(&self, request: &ModelInferRequest) -> Reply {
        self.call(INFER, &[], framed(&request.encode_to_vec())).await
    }

    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        self.send(path, headers, Body::new(http_body_util::Full::new(body))).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Reply, tonic::transport::Error> {
        let mut request = Request::post(path)
            .version(http::Version::HTTP_2)
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut channel = self.0.clone();
        let response = channel.ready().await?.call(request.body(body).unwrap()).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Reply { head, body: body.to_bytes(), trailers })
    }
}

/// One call as a model server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Calls that a model server saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Call {
        self.all().pop().unwrap()
    }
}

/// What a misbehaving model server sends, step by step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Reset the stream.
    Break,
    /// Close the connection.
    Hang,
}

struct Steps {
    steps: std::vec::IntoIter<Step>,
    connection: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl HttpBody for Steps {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(match self.steps.next() {
            Some(Step::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Break) => Some(Err(std::io::Error::other("told to break"))),
            Some(Step::Hang) => {
                self.connection.lock().unwrap().take().unwrap().abort();
                return Poll::Pending;
            }
            None => None,
        })
    }
}

/// A model server that answers every call with `head` and `steps`, and notes what it saw.
pub(crate) async fn scripted(head: Response<()>, steps: Vec<Step>) -> (SocketAddr, Calls) {
    let (listener, addr) = listener().await;
    let calls = Calls::default();
    let seen = calls.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let connection = Arc::new(Mutex::new(None));
            let (seen, head, steps, own) = (seen.clone(), head.clone(), steps.clone(), connection.clone());
            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let (seen, head, steps, own) = (seen.clone(), head.clone(), steps.clone(), own.clone());
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                    let path = parts.uri.path().to_owned();
                    seen.0.lock().unwrap().push(Call { path, headers: parts.headers, body });
                    let steps = Steps { steps: steps.into_iter(), connection: own };
                    Ok::<_, Infallible>(head.map(|()| steps))
                }
            });
            let task = tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http2_only();
                let _ = builder.serve_connection(TokioIo::new(socket), service).await;
            });
            *connection.lock().unwrap() = Some(task);
        }
    });
    (addr, calls)
}

/// The usual head of a gRPC answer.
pub(crate) fn grpc_head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

/// Trailers with a status.
pub(crate) fn grpc_status(code: Code) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", i32::from(code).to_string().parse().unwrap());
    trailers
}

/// A model server built with tonic. What it does depends on the name of the model.
pub(crate) struct Model {
    pub(crate) addr: SocketAddr,
    /// Calls to the model `slow` wait for a permit.
    pub(crate) gate: Arc<tokio::sync::Semaphore>,
    /// Calls to the model `slow` that have begun.
    pub(crate) begun: Arc<tokio::sync::Semaphore>,
}

#[derive(Clone)]
struct Service {
    gate: Arc<tokio::sync::Semaphore>,
    begun: Arc<tokio::sync::Semaphore>,
}

impl Model {
    pub(crate) async fn start() -> Self {
        let (listener, addr) = listener().await;
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let begun = Arc::new(tokio::sync::Semaphore::new(0));
        let service = Service { gate: gate.clone(), begun: begun.clone() };
        let service = GrpcInferenceServiceServer::new(service).max_decoding_message_size(64 << 20);
        tokio::spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self { addr, gate, begun }
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(
        &self,
        _: tonic::Request<ServerLiveRequest>,
    ) -> Result<tonic::Response<ServerLiveResponse>, Status> {
        Ok(tonic::Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: tonic::Request<ServerReadyRequest>,
    ) -> Result<tonic::Response<ServerReadyResponse>, Status> {
        Ok(tonic::Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(
        &self,
        request: tonic::Request<ModelReadyRequest>,
    ) -> Result<tonic::Response<ModelReadyResponse>, Status> {
        let ready = request.into_inner().name == "echo";
        Ok(tonic::Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: tonic::Request<ServerMetadataRequest>,
    ) -> Result<tonic::Response<ServerMetadataResponse>, Status> {
        Ok(tonic::Response::new(ServerMetadataResponse { name: "test".to_owned(), ..Default::default() }))
    }

    async fn model_metadata(
        &self,
        _: tonic::Request<ModelMetadataRequest>,
    ) -> Result<tonic::Response<ModelMetadataResponse>, Status> {
        Err(Status::unimplemented("no metadata here"))
    }

    async fn model_infer(
        &self,
        request: tonic::Request<ModelInferRequest>,
    ) -> Result<tonic::Response<ModelInferResponse>, Status> {
        let request = request.into_inner();
        match request.model_name.as_str() {
            "echo" => {}
            "slow" => {
                self.begun.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            "score" => return Ok(tonic::Response::new(score(&request))),
            name => return Err(Status::not_found(format!("no model {name:?}: 100 % absent"))),
        }
        let echo = |tensor: model_infer_request::InferInputTensor| InferOutputTensor {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape,
            parameters: tensor.parameters,
            contents: tensor.contents,
        };
        let mut response = tonic::Response::new(ModelInferResponse {
            model_name: request.model_name,
            id: request.id,
            outputs: request.inputs.into_iter().map(echo).collect(),
            raw_output_contents: request.raw_input_contents,
            ..ModelInferResponse::default()
        });
        response.metadata_mut().insert("x-served-by", "test".parse().unwrap());
        Ok(response)
    }
}

/// Scores each row of the only input by its mean, gives the class and the reasons.
fn score(request: &ModelInferRequest) -> ModelInferResponse {
    let rows = usize::try_from(request.inputs[0].shape[0]).unwrap();
    let raw = &request.raw_input_contents[0];
    let values: Vec<f32> = raw.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let columns = values.len() / rows;
    let scores: Vec<f32> =
        values.chunks(columns).map(|row| row.iter().sum::<f32>() / columns as f32).collect();
    let output = |name: &str, datatype: &str, shape: Vec<usize>| InferOutputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.into_iter().map(|dimension| i64::try_from(dimension).unwrap()).collect(),
        ..InferOutputTensor::default()
    };
    let reasons = r#"[{"code":"R1","text":"income is low"},{"feature":"income","contribution":-0.5}]"#;
    let text =
        |text: &str| InferParameter { parameter_choice: Some(ParameterChoice::StringParam(text.to_owned())) };
    ModelInferResponse {
        model_name: request.model_name.clone(),
        model_version: "7".to_owned(),
        parameters: [("reasons".to_owned(), text(reasons)), ("execution.threads".to_owned(), text("1"))]
            .into(),
        outputs: vec![
            output("score", "FP32", vec![rows, 1]),
            output("class", "INT64", vec![rows]),
            output("contributions", "FP32", vec![rows, columns + 1]),
        ],
        raw_output_contents: vec![
            scores.iter().flat_map(|score| score.to_le_bytes()).collect(),
            scores.iter().flat_map(|score| i64::from(*score >= 0.5).to_le_bytes()).collect(),
            values
                .chunks(columns)
                .flat_map(|row| row.iter().chain(&[9.0]).flat_map(|value| value.to_le_bytes()))
                .collect(),
        ],
        ..ModelInferResponse::default()
    }
}
