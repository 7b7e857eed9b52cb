//! Model server, sidecar and client of the measurement.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::note::KeyName;
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone_sidecar::driver::{self, LogHandle};
use ledgerstone_sidecar::intercept::{
    Intercept, LEAF_INDEX, Limits, Recorder, RouteConfig, Routes, Session, SessionOptions,
};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::listen::{Counts, Door};
use ledgerstone_sidecar::metrics::Metrics;
use ledgerstone_sidecar::tls::{Ask, Protocols};
use ledgerstone_sidecar::upstream::{Upstream, UpstreamOptions};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Server};
use tower::{Service as _, ServiceExt as _};

use super::tls::Certificates;

const ORIGIN: &str = "load.example/log";
const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";

const ROUTE: &str = r#"
name = "loans"
adverse = ["deny"]
score = { tensor = "score" }
threshold = { value = 0.5, above = "approve", below = "deny" }
features = [{ tensor = "input", names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] }]
match = { model = "loans" }
"#;

/// Size of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Body {
    /// Ten features, each mapped to a field.
    Features,
    /// 1 KiB, recorded by digest and sealed whole.
    OneKib,
    /// 10 KiB, recorded by digest and sealed whole.
    TenKib,
}

impl Body {
    /// The body of a call: one framed message.
    pub(crate) fn request(self) -> Bytes {
        let (model, floats) = match self {
            Self::Features => ("loans", 10),
            Self::OneKib => ("raw", 256),
            Self::TenKib => ("raw", 2560),
        };
        let input = InferInputTensor {
            name: "input".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, floats],
            ..InferInputTensor::default()
        };
        let request = ModelInferRequest {
            model_name: model.to_owned(),
            inputs: vec![input],
            raw_input_contents: vec![0.25_f32.to_le_bytes().repeat(usize::try_from(floats).unwrap()).into()],
            ..ModelInferRequest::default()
        };
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        body.into()
    }
}

async fn listener() -> (TcpListenerStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (TcpListenerStream::new(listener), addr)
}

/// Serves on a port as the sidecar's own are, and says where.
async fn serve(service: Intercept, door: Door) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let incoming = door.open(listener, &Counts::default()).unwrap();
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    addr
}

mod model;
pub(crate) use model::model;

/// The interceptor on a log of its own.
pub(crate) struct Sidecar {
    pub(crate) addr: SocketAddr,
    /// The same over mutual TLS, where there are certificates.
    pub(crate) tls_addr: Option<SocketAddr>,
    session: Arc<Session>,
    log: LogHandle,
    metrics: Metrics,
}

/// Starts the interceptor in front of `upstream` with a new log in `folder`.
pub(crate) async fn sidecar(folder: &Path, upstream: SocketAddr, tls: Option<&Certificates>) -> Sidecar {
    let store = folder.join("store");
    let keys = || LogKeys::generate_from_seeds(&KeyName::new(ORIGIN).unwrap(), [1; 32], [2; 32]).unwrap();
    driver::init(&store, &keys()).unwrap();
    let told_here =
        driver::Options { runtime: Some(tokio::runtime::Handle::current()), ..driver::Options::default() };
    let (log, _) = driver::open(&store, keys(), told_here).unwrap();
    let options = SessionOptions {
        writer: WriterName::parse("load").unwrap(),
        id: SessionId::from_bytes([1; 16]),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: Hash::of(b""),
        previous: None,
    };
    let session = Session::start(Arc::new(log.clone()), options).await.unwrap();
    tokio::spawn(Arc::clone(&session).run(Duration::from_secs(60)));
    let route: RouteConfig = toml::from_str(ROUTE).unwrap();
    let routes = Routes::build(&[route], Path::new(".")).unwrap();
    let keys = Arc::new(FileKeyProvider::from_key(KeyId::new("load").unwrap(), &[3; 32]));
    let metrics = Metrics::new().unwrap();
    let recorder = Recorder::new(Arc::clone(&session), keys, routes, ORIGIN, metrics.clone());
    let upstream = Upstream::new(&UpstreamOptions::new(&format!("http://{upstream}"))).unwrap();
    let limits = Limits { in_flight_max: 4096, ..Limits::default() };
    let service = Intercept::new(recorder, upstream, limits);
    let door = Door::new("grpc", Protocols::Http2);
    let addr = serve(service.clone(), door.clone()).await;
    let tls_addr = match tls {
        None => None,
        Some(both) => Some(serve(service, door.tls(both.server.clone(), Ask::CertificateAlways)).await),
    };
    Sidecar { addr, tls_addr, session, log, metrics }
}

impl Sidecar {
    /// Ends the session in order and returns how many decisions the log holds; every one was answered.
    pub(crate) async fn stop(self) -> u64 {
        self.session.stop(Instant::now() + Duration::from_secs(30)).await.unwrap();
        assert_eq!(self.session.unrecorded(), 0, "requests without a record");
        self.log.stop().await.unwrap();
        let text = self.metrics.render().unwrap();
        let decisions = text.lines().filter(|line| line.starts_with("ledgerstone_decisions_total{"));
        decisions.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }
}

/// One connection to `addr`.
pub(crate) fn channel(addr: SocketAddr, tls: Option<&ClientTlsConfig>) -> Channel {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{addr}")).unwrap().tcp_nodelay(true);
    let endpoint = match tls {
        None => endpoint,
        Some(tls) => endpoint.tls_config(tls.clone()).unwrap(),
    };
    endpoint.connect_lazy()
}

/// One call; anything but a good answer ends the measurement.
pub(crate) async fn call(channel: &Channel, body: Bytes) {
    let request = Request::post(PATH)
        .version(http::Version::HTTP_2)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(Full::new(body)))
        .unwrap();
    let response = channel.clone().ready().await.unwrap().call(request).await.unwrap();
    let recorded = response.headers().contains_key(LEAF_INDEX);
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
    assert!(status.is_some_and(|status| status == "0"), "recorded {recorded}: {head:?} {status:?}");
}
