//! The whole sidecar over mutual TLS: a decision, its receipt, a command, the model server, and certificates that change meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::listen::{Counts, Door};
use ledgerstone_sidecar::tls::{Ask, Files, Protocols, Reloading, Versions, install_crypto_provider};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as Shown, Server};

use crate::desk::{ask_on, client, connect};
use crate::pki::{Authority, Identity};
use crate::support::{Doubler, Sidecar, request, serve_doubler};

/// How often these sidecars look at their files.
const RELOAD: &str = "server.tls.reload_interval=20ms";

/// How long a change of files may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    folder: TempDir,
    files: Sidecar,
    servers: Authority,
    clients: Authority,
    running: Running,
}

/// A sidecar on free ports, configured by `flags`.
pub(crate) async fn running(flags: &[String]) -> (TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), serve_doubler().await);
    let running = build(&files, flags).await;
    (folder, running)
}

async fn build(files: &Sidecar, more: &[String]) -> Running {
    let config = files.load(&[&[RELOAD.to_owned()], more].concat());
    App::build(config).await.unwrap().spawn().await.unwrap()
}

impl World {
    async fn new(upstream: SocketAddr, more: &[String]) -> Self {
        install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), upstream);
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        // The chain goes to the root, so that the file itself checks the ports.
        servers.good().through(&servers).write(folder.path(), "server");
        std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut flags = vec![
            format!("server.tls.cert={}", path("server.pem")),
            format!("server.tls.key={}", path("server.key")),
            format!("server.tls.client_ca_file={}", path("clients.pem")),
        ];
        flags.extend_from_slice(more);
        let running = build(&files, &flags).await;
        Self { folder, files, servers, clients, running }
    }

    async fn channel(&self, identity: &Identity) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.servers.pem()))
            .domain_name("localhost")
            .identity(Shown::from_pem(&identity.cert, &identity.key));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.running.grpc_addr)).unwrap();
        endpoint.tls_config(tls)?.connect().await
    }

    async fn model(&self, identity: &Identity) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel(identity).await.unwrap())
    }
}

#[tokio::test]
async fn a_decision_and_its_receipt_go_over_mutual_tls() {
    let world = World::new(serve_doubler().await, &[]).await;
    let one = world.clients.good();
    let mut model = world.model(&one).await;
    let answer = model.model_infer(request("r", 2.5)).await.unwrap();
    let decision = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
    let mut http = connect(world.running.http_addr, &client(&world.servers.pem(), Some(&one))).await.unwrap();
    let (status, receipt) = ask_on(&mut http, &format!("/receipts/{decision}")).await.unwrap();
    assert_eq!(status, 200, "{receipt}");
    let report = ledgerstone::verify::receipt(receipt.as_bytes(), Some(&world.files.policy()));
    assert_eq!(report.verdict(), ledgerstone::verify::Verdict::Verified, "{report:?}");
    let stranger = Authority::new("clients").good();
    if let Ok(channel) = world.channel(&stranger).await {
        GrpcInferenceServiceClient::new(channel).model_infer(request("r", 2.5)).await.unwrap_err();
    }
    world.running.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn certificates_that_change_while_calls_are_in_flight_lose_none_of_them() {
    let world = World::new(serve_doubler().await, &[]).await;
    let one = world.clients.good();
    let mut model = world.model(&one).await;
    let slow = {
        let mut model = model.clone();
        tokio::spawn(async move { model.model_infer(request(crate::support::SLOW, 1.0)).await })
    };
    let next = world.servers.good();
    next.write(world.folder.path(), "server");
    let newer = Authority::new("newer");
    std::fs::write(world.folder.path().join("clients.pem"), newer.pem()).unwrap();
    let two = newer.good();
    let begin = Instant::now();
    let mut fresh = loop {
        if let Ok(channel) = world.channel(&two).await {
            let mut model = GrpcInferenceServiceClient::new(channel);
            if model.model_infer(request("r", 1.0)).await.is_ok() {
                break model;
            }
        }
        assert!(begin.elapsed() < PATIENCE, "the new authority is not taken");
    };
    slow.await.unwrap().unwrap();
    model.model_infer(request("r", 1.0)).await.expect("what was open stays open");
    fresh.model_infer(request("r", 1.0)).await.unwrap();
    world.running.drain(PATIENCE).await.unwrap();
}

/// A model server that serves those only who have a certificate of `clients`.
async fn guarded_doubler(folder: &Path, servers: &Authority, clients: &Authority) -> (SocketAddr, Reloading) {
    install_crypto_provider();
    let (cert, key) = servers.good().write(folder, "model");
    let ca = folder.join("model-clients.pem");
    std::fs::write(&ca, clients.pem()).unwrap();
    let tls =
        Reloading::load(Files { client_ca: Some(ca), ..Files::of(&cert, &key) }, Versions::Tls13).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::new("model", Protocols::Http2).tls(tls.clone(), Ask::CertificateAlways);
    let incoming = door.open(listener, &Counts::default()).unwrap();
    tokio::spawn(
        Server::builder().add_service(GrpcInferenceServiceServer::new(Doubler)).serve_with_incoming(incoming),
    );
    (address, tls)
}

#[tokio::test]
async fn the_model_server_is_shown_a_certificate_and_the_next_one_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("models"), Authority::new("model clients"));
    let (address, model_tls) = guarded_doubler(folder.path(), &servers, &clients).await;
    std::fs::write(folder.path().join("model-ca.pem"), servers.pem()).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    Authority::new("others").good().write(folder.path(), "shown");
    let flags = [
        format!("upstream.address=https://localhost:{}", address.port()),
        format!("upstream.ca_file={}", path("model-ca.pem")),
        format!("upstream.cert={}", path("shown.pem")),
        format!("upstream.key={}", path("shown.key")),
    ];
    let world = World::new(address, &flags).await;
    let one = world.clients.good();
    let mut model = world.model(&one).await;
    let refused = model.model_infer(request("r", 2.5)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    clients.good().write(folder.path(), "shown");
    until_answered(&mut model).await;
    // The model server takes another authority: the old certificate is worth nothing to new connections.
    let newer = Authority::new("newer model clients");
    std::fs::write(folder.path().join("model-clients.pem"), newer.pem()).unwrap();
    assert!(model_tls.reload().unwrap());
    newer.good().write(folder.path(), "shown");
    until_answered(&mut model).await;
    world.running.drain(PATIENCE).await.unwrap();
}

async fn until_answered(model: &mut GrpcInferenceServiceClient<Channel>) {
    let begin = Instant::now();
    while let Err(status) = model.model_infer(request("r", 2.5)).await {
        assert!(begin.elapsed() < PATIENCE, "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn commands_beside_the_sidecar_show_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    install_crypto_provider();
    let both = Authority::new("everybody");
    let port = crate::support::free_port();
    let identity = both.issue(&crate::pki::Wanted {
        dns: vec!["localhost".into(), "127.0.0.1".into()],
        ..crate::pki::Wanted::default()
    });
    let (cert, key) = identity.through(&both).write(folder.path(), "own");
    let ca = folder.path().join("everybody.pem");
    std::fs::write(&ca, both.pem()).unwrap();
    let flags = vec![
        format!("server.tls.cert={}", cert.display()),
        format!("server.tls.key={}", key.display()),
        format!("server.tls.client_ca_file={}", ca.display()),
        format!("recorder.listen=127.0.0.1:{port}"),
    ];
    let world = World::new(serve_doubler().await, &flags).await;
    for (with_ca, may) in [(false, false), (true, true)] {
        let mut command = world.files.command("hold");
        command.args(["--subject", "somebody", "--operator", "tests"]);
        for flag in flags.iter().filter(|flag| with_ca || !flag.contains("client_ca")) {
            command.args(["--set", flag]);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.success(), may, "{}", String::from_utf8_lossy(&output.stderr));
    }
    world.running.drain(PATIENCE).await.unwrap();
}
