//! TLS on the gRPC port, from our clients and from the verifier's.

use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use ledgerstone::proto::inference::ServerLiveRequest;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_sidecar::app::Running;
use ledgerstone_sidecar::tls::install_crypto_provider;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::{Exit, Refusal};
use ledgerstone_verifier::output::Output;
use tempfile::TempDir;
use tonic::Request;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::support::{Sidecar, request};
use crate::world::{DRAIN, Told, build, init};

/// A certificate for localhost, from the program that every machine has.
fn certificate(folder: &Path) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "tls.key", "-out", "tls.pem"])
        .current_dir(folder)
        .output();
    let made = made.is_ok_and(|output| output.status.success());
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(made || !ci, "openssl is needed under CI=true");
    made
}

/// A sidecar that speaks TLS; nothing where there is no certificate to be had.
async fn with_tls() -> Option<(TempDir, Sidecar, Running)> {
    let (folder, files) = init().await;
    if !certificate(folder.path()) {
        println!("skipped: openssl is not installed, 1 case");
        return None;
    }
    install_crypto_provider();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let flags = [
        format!("server.tls.cert={}", path("tls.pem")),
        format!("server.tls.key={}", path("tls.key")),
        "registry.listen=127.0.0.1:0".to_owned(),
    ];
    let running = build(&files, &flags).await.spawn().await.unwrap();
    Some((folder, files, running))
}

async fn channel(folder: &Path, running: &Running) -> Channel {
    let ca = Certificate::from_pem(std::fs::read(folder.join("tls.pem")).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", running.grpc_addr)).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn speaks_tls_with_its_certificate() {
    let Some((folder, _files, running)) = with_tls().await else { return };
    let mut model = GrpcInferenceServiceClient::new(channel(folder.path(), &running).await);
    let answer = model.server_live(Request::new(ServerLiveRequest {})).await.unwrap();
    assert!(answer.into_inner().live);
    let plain = Endpoint::from_shared(format!("http://{}", running.grpc_addr)).unwrap();
    let plain = GrpcInferenceServiceClient::new(plain.connect_lazy());
    let mut plain = plain;
    assert!(
        plain.server_live(Request::new(ServerLiveRequest {})).await.is_err(),
        "plain HTTP/2 gets nothing"
    );
    drop((model, plain));
    running.drain(DRAIN).await.unwrap();
}

/// `ledgerstone receipt get` with `arguments`, as its binary runs it.
async fn receipt_get(arguments: &[&str]) -> Result<Exit, Refusal> {
    run(&[&["receipt", "get"], arguments].concat()).await
}

/// The command line with `arguments`, as its binary runs it.
async fn run(arguments: &[&str]) -> Result<Exit, Refusal> {
    let parsed = Arguments::try_parse_from(["ledgerstone"].iter().chain(arguments)).unwrap();
    let work = move || command::run(&parsed.command, &mut Output::standard(parsed.output));
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn the_registry_speaks_tls_like_the_callers_port() {
    let Some((folder, files, running)) = with_tls().await else { return };
    let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let (ca, policy) = (path(folder.path(), "tls.pem"), path(&files.store(), "log.policy"));
    let port = running.registry_addr.unwrap().port();
    let register = ["audit", "register", &ca, "--kind", "certificate", "--policy", &policy];
    let (plain, tls) = (format!("grpc://localhost:{port}"), format!("grpcs://localhost:{port}"));
    let plain = [&register[..], &["--sidecar", &plain]].concat();
    let refusal = run(&plain).await.unwrap_err();
    assert!(refusal.next.contains("write grpcs://"), "{}", refusal.next);
    let over_tls = [&register[..], &["--sidecar", &tls, "--ca", &ca]].concat();
    assert_eq!(run(&over_tls).await.unwrap(), Exit::Verified);
    running.drain(DRAIN).await.unwrap();
}

#[tokio::test]
async fn the_verifier_fetches_a_receipt_from_the_authority_it_was_told_to_trust_and_from_no_other() {
    let Some((folder, files, running)) = with_tls().await else { return };
    let other = tempfile::tempdir().unwrap();
    assert!(certificate(other.path()));
    let mut model = GrpcInferenceServiceClient::new(channel(folder.path(), &running).await);
    let decision = Told::by(&model.model_infer(request("r", 1.0)).await.unwrap()).decision;
    let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let (ca, wrong_ca) = (path(folder.path(), "tls.pem"), path(other.path(), "tls.pem"));
    let (policy, kept) = (path(&files.store(), "log.policy"), path(folder.path(), "kept.json"));
    let port = running.grpc_addr.port();
    let (named, by_address) = (format!("grpcs://localhost:{port}"), format!("grpcs://127.0.0.1:{port}"));
    let plain = format!("grpc://localhost:{port}");
    let to = ["-o", &kept, "--policy", &policy, &decision];

    for (why, server, trust) in [
        ("another authority", &named, Some(&wrong_ca)),
        ("the authorities of the web", &named, None),
        ("a certificate for another name", &by_address, Some(&ca)),
        ("no TLS", &plain, None),
    ] {
        let trust: Vec<&str> = trust.iter().flat_map(|ca| ["--ca", ca.as_str()]).collect();
        let refusal =
            receipt_get(&[&["--server", server], &trust[..], &to[..]].concat()).await.expect_err(why);
        let message = refusal.message.clone();
        assert_eq!(refusal.exit(), Exit::Undecided, "{why}: {message}");
        assert!(
            refusal.next.contains(if *server == plain { "write grpcs://" } else { "--ca" }),
            "{}",
            refusal.next
        );
        assert!(
            message.contains(&format!("localhost:{port} ")) || message.contains("127.0.0.1"),
            "{why}: {message}"
        );
        assert!(!Path::new(&kept).exists(), "{why}: nothing was written");
    }
    let fetched = receipt_get(&[&["--server", &named, "--ca", &ca], &to[..]].concat()).await;
    assert_eq!(fetched.unwrap(), Exit::Verified);
    let receipt = std::fs::read(&kept).unwrap();
    let report = verify::receipt(&receipt, Some(&files.policy()));
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
    drop(model);
    running.drain(DRAIN).await.unwrap();
}
