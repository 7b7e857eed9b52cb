//! Real parts for the tests of the whole sidecar: a model server on loopback, and the sidecar's own binary as a child.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test binary uses its own part, and fails by panicking"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ledgerstone::proto::inference as oip;
use ledgerstone_sidecar::config::{Config, Inputs};
use oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use oip::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// How long anything on loopback may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The id of a request that the doubler takes its time for.
pub const SLOW: &str = "slow";

/// A model server whose answer is twice the first feature.
#[derive(Debug, Default)]
pub struct Doubler;

#[tonic::async_trait]
impl GrpcInferenceService for Doubler {
    async fn server_live(
        &self,
        _: Request<oip::ServerLiveRequest>,
    ) -> Result<Response<oip::ServerLiveResponse>, Status> {
        Ok(Response::new(oip::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<oip::ServerReadyRequest>,
    ) -> Result<Response<oip::ServerReadyResponse>, Status> {
        Ok(Response::new(oip::ServerReadyResponse { ready: true }))
    }

    async fn model_ready(
        &self,
        _: Request<oip::ModelReadyRequest>,
    ) -> Result<Response<oip::ModelReadyResponse>, Status> {
        Ok(Response::new(oip::ModelReadyResponse { ready: true }))
    }

    async fn server_metadata(
        &self,
        _: Request<oip::ServerMetadataRequest>,
    ) -> Result<Response<oip::ServerMetadataResponse>, Status> {
        Ok(Response::new(oip::ServerMetadataResponse { name: "doubler".into(), ..Default::default() }))
    }

    async fn model_metadata(
        &self,
        _: Request<oip::ModelMetadataRequest>,
    ) -> Result<Response<oip::ModelMetadataResponse>, Status> {
        Err(Status::unimplemented("this model has no metadata"))
    }

    async fn model_infer(
        &self,
        request: Request<oip::ModelInferRequest>,
    ) -> Result<Response<oip::ModelInferResponse>, Status> {
        let request = request.into_inner();
        if request.id == SLOW {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        // Also `doubler-2` and so on, for a sidecar with several routes.
        if !request.model_name.starts_with("doubler") {
            return Err(Status::not_found("no such model"));
        }
        let first = request.inputs.first().and_then(|input| input.contents.as_ref());
        let value = first.and_then(|contents| contents.fp32_contents.first()).copied().unwrap_or(0.0);
        let contents = oip::InferTensorContents { fp32_contents: vec![value * 2.0], ..Default::default() };
        let output = oip::model_infer_response::InferOutputTensor {
            name: "score".into(),
            datatype: "FP32".into(),
            shape: vec![1, 1],
            contents: Some(contents),
            ..Default::default()
        };
        Ok(Response::new(oip::ModelInferResponse {
            model_name: request.model_name,
            model_version: "1".into(),
            id: request.id,
            outputs: vec![output],
            ..Default::default()
        }))
    }
}

/// A request for the doubler.
pub fn request(id: &str, value: f32) -> oip::ModelInferRequest {
    let contents = oip::InferTensorContents { fp32_contents: vec![value], ..Default::default() };
    let input = oip::model_infer_request::InferInputTensor {
        name: "features".into(),
        datatype: "FP32".into(),
        shape: vec![1, 1],
        contents: Some(contents),
        ..Default::default()
    };
    oip::ModelInferRequest {
        model_name: "doubler".into(),
        id: id.into(),
        inputs: vec![input],
        ..Default::default()
    }
}

/// Serves the doubler on a free port for as long as the runtime lives.
pub async fn serve_doubler() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = GrpcInferenceServiceServer::new(Doubler);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

/// A port that was free a moment ago, that this process gets once, and that no outgoing connection takes: Linux gives those ports from
/// 32768 on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(131);
    let ports = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(first) % 12_000);
    let mut ports = ports.map(|place| u16::try_from(20_000 + place).unwrap());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// A configured sidecar in a folder of its own.
#[derive(Debug)]
pub struct Sidecar {
    pub folder: PathBuf,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
}

impl Sidecar {
    /// Writes a configuration in front of `upstream` into `folder` and runs `init`.
    pub fn init(folder: &Path, upstream: SocketAddr) -> Self {
        let port = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let sidecar = Self { folder: folder.to_owned(), grpc: port(), http: port(), admin: port() };
        let text = format!(
            r#"
[log]
origin = "example.com/tests"
store = "store"
key_file = "log.key"
publish_interval = "50ms"
segment_bytes = "256KiB"

[writer]
name = "sidecar-0"

[server]
listen = "{}"
http_listen = "{}"
admin_listen = "{}"

[upstream]
address = "http://{upstream}"

[keys]
provider = "file"
file = "kek.key"

[heartbeat]
interval = "200ms"

[[route]]
name = "doubler"
match = {{ model = "doubler" }}
features = [{{ tensor = "features", names = ["value"] }}]
score = {{ tensor = "score" }}
"#,
            sidecar.grpc, sidecar.http, sidecar.admin
        );
        std::fs::write(sidecar.config(), text).unwrap();
        let output = sidecar.command("init").output().unwrap();
        assert!(output.status.success(), "init failed: {}", String::from_utf8_lossy(&output.stderr));
        sidecar
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("sidecar.toml")
    }

    /// What the file and `flags` configure, on ports that the system chooses.
    pub fn load<Flag: AsRef<str>>(&self, flags: &[Flag]) -> Config {
        let ports = ["listen", "http_listen", "admin_listen"].map(|key| format!("server.{key}=127.0.0.1:0"));
        let flags = ports.into_iter().chain(flags.iter().map(|flag| flag.as_ref().to_owned())).collect();
        Config::load(&Inputs { file: Some(self.config()), flags, ..Inputs::default() }).unwrap()
    }

    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn policy(&self) -> ledgerstone::policy::Policy {
        let bytes = std::fs::read(self.store().join("log.policy")).unwrap();
        ledgerstone::policy::Policy::parse(&bytes).unwrap()
    }

    /// The sidecar's binary with this configuration.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
        command.arg("--config").arg(self.config()).arg(verb).stdin(Stdio::null());
        command
    }

    /// Starts `run`; its log lines go to a file in the folder.
    pub fn start(&self) -> Running {
        self.start_as(self.command("run"))
    }

    /// Starts a command that runs the sidecar, and waits for nothing.
    pub fn start_as(&self, mut command: Command) -> Running {
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.join("sidecar.log")).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Running(child)
    }

    /// The sidecar's log lines so far.
    pub fn log_lines(&self) -> String {
        std::fs::read_to_string(self.folder.join("sidecar.log")).unwrap_or_default()
    }

    /// A client, as soon as the sidecar says on its admin port that it is ready.
    pub async fn client(&self) -> GrpcInferenceServiceClient<Channel> {
        let start = Instant::now();
        while http_get(self.admin, "/ready").await.is_none_or(|(status, _)| status != 200) {
            assert!(start.elapsed() < PATIENCE, "never became ready:\n{}", self.log_lines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        GrpcInferenceServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap()
    }

    /// A client, whether or not the sidecar says that it is ready.
    pub async fn client_at_once(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap()
    }

    /// The receipt of a decision over plain HTTP.
    pub async fn receipt(&self, decision: &str) -> Vec<u8> {
        let (status, body) = http_get(self.http, &format!("/receipts/{decision}")).await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    }
}

/// A sidecar that runs; it is killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Any process.
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// `kill -TERM`, and the exit status once it has drained.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap()
    }

    /// The exit status once it has ended by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A plain HTTP GET; nothing if nobody answers.
pub async fn http_get(address: SocketAddr, path: &str) -> Option<(u16, Vec<u8>)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer[end + 4..].to_vec();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((status, if chunked { unchunk(&body) } else { body }))
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

/// Copies a folder with everything in it; what is there already stays.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = std::fs::copy(entry.path(), to).unwrap(),
        }
    }
}
