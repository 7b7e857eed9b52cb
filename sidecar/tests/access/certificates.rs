//! Workloads by their certificates, over real TLS, and beside them people by their tokens.

use std::path::Path;
use std::process::Command;

use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::GetCheckpointRequest;
use ledgerstone::proto::ledgerstone_v1::log_client::LogClient;
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::tls::install_crypto_provider;
use serde_json::Value as Json;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::issuer::{AUDIENCE, Issuer, NAME};
use crate::support::{Sidecar, request, serve_doubler};
use crate::world::{DRAIN, with_token};

const LENDING: &str = "spiffe://bank.example/ns/lending/sa/api";

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate for `name` of the authority `ca`.
fn issue(folder: &Path, ca: &str, file: &str, name: &str) {
    let key = format!("{file}.key");
    let request = format!("{file}.csr");
    openssl(
        folder,
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            &key,
            "-out",
            &request,
        ],
    );
    std::fs::write(
        folder.join("ext"),
        format!("subjectAltName={name}\nbasicConstraints=critical,CA:FALSE\n"),
    )
    .unwrap();
    openssl(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &format!("{ca}.pem"),
            "-CAkey",
            &format!("{ca}.key"),
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "ext",
            "-out",
            &format!("{file}.pem"),
        ],
    );
}

fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ],
    );
}

async fn channel(folder: &Path, port: u16, certificate: Option<&str>) -> Channel {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("ca.pem"))).domain_name("localhost");
    if let Some(name) = certificate {
        tls = tls.identity(Identity::from_pem(read(&format!("{name}.pem")), read(&format!("{name}.key"))));
    }
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_what_its_certificate_says_and_a_person_what_their_token_says() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs openssl");
        println!("skipped because openssl is not installed");
        return;
    }
    let Some(issuer) = Issuer::start() else { return };
    install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "ca");
    issue(folder.path(), "ca", "server", "DNS:localhost");
    issue(folder.path(), "ca", "lending", &format!("URI:{LENDING}"));
    issue(folder.path(), "ca", "hiring", "URI:spiffe://bank.example/ns/hiring/sa/api");
    issue(folder.path(), "ca", "ops", "DNS:ops.bank.example");
    let files = Sidecar::init(folder.path(), serve_doubler().await);
    std::fs::write(folder.path().join("jwks.json"), issuer.keys()).unwrap();
    let text = std::fs::read_to_string(files.config()).unwrap()
        + &format!(
            r#"
[server.tls]
cert = "server.pem"
key = "server.key"
client_ca_file = "ca.pem"

[access.oidc]
issuer = "{NAME}"
audience = "{AUDIENCE}"
jwks = "jwks.json"

[[access.rule]]
spiffe = "spiffe://bank.example/ns/lending/*"
role = "application"

[[access.rule]]
dns = "*.bank.example"
role = "operator"

[[access.rule]]
claim = "audit"
role = "auditor"
"#
        );
    std::fs::write(files.config(), text).unwrap();
    let config = files.load::<&str>(&[]);
    let app = App::build(config.clone()).await.unwrap().spawn().await.unwrap();
    let port = app.grpc_addr.port();

    let mut lending = GrpcInferenceServiceClient::new(channel(folder.path(), port, Some("lending")).await);
    let answer = lending.model_infer(request("r", 1.0)).await.unwrap();
    let decision = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
    let mut hiring = GrpcInferenceServiceClient::new(channel(folder.path(), port, Some("hiring")).await);
    assert_eq!(hiring.model_infer(request("r", 1.0)).await.unwrap_err().code(), Code::PermissionDenied);
    let mut nobody = GrpcInferenceServiceClient::new(channel(folder.path(), port, None).await);
    assert_eq!(nobody.model_infer(request("r", 1.0)).await.unwrap_err().code(), Code::Unauthenticated);

    let ask = |token: Option<&str>| with_token(GetCheckpointRequest {}, token);
    let mut log = LogClient::new(channel(folder.path(), port, Some("ops")).await);
    log.get_checkpoint(ask(None)).await.unwrap();
    let mut log = LogClient::new(channel(folder.path(), port, Some("lending")).await);
    assert_eq!(log.get_checkpoint(ask(None)).await.unwrap_err().code(), Code::PermissionDenied);
    // A person without a certificate, and one at a workload that has other roles.
    let auditor = issuer.token("u-1", &["audit"]);
    log.get_checkpoint(ask(Some(&auditor))).await.unwrap();
    let mut bare = LogClient::new(channel(folder.path(), port, None).await);
    bare.get_checkpoint(ask(Some(&auditor))).await.unwrap();
    // A certificate does not make up for a token that does not hold.
    let status = lending.model_infer(with_token(request("r", 1.0), Some("a.b.c"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    app.drain(DRAIN).await.unwrap();

    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        commands::open(&config, &decision, &mut shown).unwrap();
        shown
    });
    let shown: Json = serde_json::from_slice(&shown.await.unwrap()).unwrap();
    assert_eq!(shown["fields"]["caller/workload"], LENDING);
    assert_eq!(shown["fields"]["caller/principal"], Json::Null);
}
