//! What the sidecar asks, and what nobody can make it ask. One test for each row of the table of addresses at least.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use ledgerstone::proto::inference as oip;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone_sidecar::config::Config;
use ledgerstone_sidecar::outbound::PLACES;

use crate::fake::{Fake, Reply};
use crate::support::{Sidecar, request, serve_doubler};

/// A password that stands in no message.
const PASSWORD: &str = "hunter2-planted";

/// Addresses that are never asked, by whatever key they come.
fn never() -> Vec<String> {
    let mut all: Vec<String> = [
        "http://169.254.169.254",
        "https://169.254.169.254",
        "http://169.254.169.254.",
        "http://169.254.1.1:8001",
        "http://2852039166",
        "https://0xa9fea9fe",
        "http://0251.0376.0251.0376",
        "http://169.254.43518",
        "http://[fe80::1]",
        "http://[::ffff:169.254.169.254]",
        "http://[64:ff9b::a9fe:a9fe]",
        "https://[fd00:ec2::254]",
        "http://metadata.google.internal",
        "https://METADATA.google.internal.",
        "http://100.100.100.200",
        "http://168.63.129.16",
        "http://0.0.0.0:8001",
        "http://[::]:8001",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:8001@169.254.169.254",
        "file:///etc/passwd",
        "ftp://127.0.0.1",
        "gopher://127.0.0.1",
        "dict://127.0.0.1",
        "//127.0.0.1",
        "http:127.0.0.1",
        "http://",
        "127.0.0.1",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    for scheme in ["http", "https"] {
        all.push(format!("{scheme}://user:{PASSWORD}@127.0.0.1"));
        all.push(format!("{scheme}://{PASSWORD}@127.0.0.1"));
    }
    all
}

/// A configuration with `url` at `key`.
fn with(key: &str, url: &str) -> String {
    let upstream = if key == "upstream.address" { url } else { "http://127.0.0.1:8001" };
    let keys = match key {
        "keys.vault.address" => {
            format!(
                "provider = \"vault\"\nid = \"v\"\nvault = {{ address = '{url}', key = \"k\", token_file = \"t\", ca_file = \"ca\" }}"
            )
        }
        "keys.aws_kms.endpoint" | "keys.aws_kms.sts_endpoint" => {
            let name = key.rsplit('.').next().unwrap();
            format!(
                "provider = \"aws-kms\"\nid = \"k\"\naws_kms = {{ key = \"alias/k\", region = \"eu-central-1\", {name} = '{url}' }}"
            )
        }
        _ => "file = \"kek.key\"".to_owned(),
    };
    let contract = format!(
        "contract = \"0x{}\"\nkey_file = \"anchor.key\"\nca_file = \"ca\"\nname = \"chain\"\nchain_id = 1",
        "ab".repeat(20)
    );
    let lane = match key {
        "anchors.rfc3161.url" => format!(
            "[[anchors.rfc3161]]\nname = \"tsa\"\nurl = '{url}'\nca_file = \"ca\"\nroots_file = \"roots\""
        ),
        "anchors.opentimestamps.calendars" => {
            format!(
                "[[anchors.opentimestamps]]\nname = \"ots\"\ncalendars = ['http://127.0.0.1:9', '{url}']\nca_file = \"ca\""
            )
        }
        "anchors.ethereum.rpc" => format!("[[anchors.ethereum]]\nrpc = ['{url}']\n{contract}"),
        "anchors.ethereum.beacon" => {
            format!("[[anchors.ethereum]]\nrpc = ['http://127.0.0.1:9']\nbeacon = '{url}'\n{contract}")
        }
        "access.oidc.jwks" => {
            format!("[access.oidc]\nissuer = \"https://i.example\"\naudience = \"a\"\njwks = '{url}'")
        }
        "siem.url" => {
            format!("[[siem]]\nname = \"a\"\nkind = \"webhook\"\nsecret_variable = \"S\"\nurl = '{url}'")
        }
        "telemetry.endpoint" => format!("[telemetry]\nca_file = \"ca\"\nendpoint = '{url}'"),
        "links.public_url" => format!("[links]\nfile = \"links\"\npublic_url = '{url}'"),
        _ => String::new(),
    };
    format!(
        "[log]\norigin = \"example.com/tests\"\nstore = \"store\"\nkey_file = \"log.key\"\n[upstream]\naddress = '{upstream}'\n[keys]\n{keys}\n{lane}\n"
    )
}

/// Keys of the configuration among the rows of the table.
const KEYS: [&str; 12] = [
    "access.oidc.jwks",
    "upstream.address",
    "keys.vault.address",
    "keys.aws_kms.endpoint",
    "keys.aws_kms.sts_endpoint",
    "anchors.rfc3161.url",
    "anchors.opentimestamps.calendars",
    "anchors.ethereum.rpc",
    "anchors.ethereum.beacon",
    "siem.url",
    "telemetry.endpoint",
    "links.public_url",
];

/// The rows that the environment and the command line fill, and those that are no URL; `config::siem` tries out its own.
const OTHERS: [&str; 8] = [
    "server.tls.workload_api",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "anchor deploy --rpc",
    "siem.address",
    "siem.brokers",
    "siem.servers",
];

#[test]
fn every_row_of_the_table_has_its_attempts() {
    let mut tried: Vec<_> = KEYS.iter().chain(&OTHERS).collect();
    let mut rows: Vec<_> = PLACES.iter().map(|place| &place.key).collect();
    tried.sort();
    rows.sort();
    assert_eq!(tried, rows);
}

#[test]
fn no_key_of_the_configuration_takes_an_address_that_is_never_asked() {
    for key in KEYS {
        let good = if key.starts_with("keys.") { "https://127.0.0.1:8200" } else { "http://127.0.0.1:8200" };
        Config::from_toml(&with(key, good), Path::new(""))
            .unwrap_or_else(|error| panic!("{key} = {good}: {error}"));
        // A public address is printed and never asked, so only its form counts.
        let is_printed = key == "links.public_url";
        let wrong = |url: &&String| {
            !is_printed || url.contains('@') || !url.starts_with("http") || url.as_str() == "http://"
        };
        // Without a scheme it is a file.
        let is_file = |url: &String| key == "access.oidc.jwks" && !url.contains("://");
        let urls: Vec<_> = never().into_iter().filter(|url| !is_file(url)).collect();
        assert!(urls.iter().filter(wrong).count() > 8);
        for url in urls.iter().filter(wrong) {
            let error =
                Config::from_toml(&with(key, url), Path::new("")).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(key), "{key} = {url}: {error}");
            assert!(!error.contains(PASSWORD), "{key}: {error}");
        }
    }
}

#[test]
fn the_workload_api_is_a_socket_of_this_machine() {
    let with = |url: &str| {
        let text = with("upstream.address", "http://127.0.0.1:8001");
        Config::from_toml(&format!("{text}[server.tls]\nworkload_api = '{url}'\n"), Path::new(""))
    };
    with("unix:/run/spire/agent.sock").unwrap();
    for url in never().iter().map(String::as_str).chain(["tcp://127.0.0.1:8081", "unix:agent.sock", "unix:/"])
    {
        let error = with(url).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("server.tls.workload_api"), "{url}: {error}");
    }
}

#[test]
fn private_and_loopback_addresses_are_asked_because_model_servers_are_there() {
    for url in [
        "http://10.1.2.3:8001",
        "http://[fd12::1]:8001",
        "http://localhost:1",
        "http://model.loans.svc:8001",
        "unix:/run/model.sock",
    ] {
        Config::from_toml(&with("upstream.address", url), Path::new("")).unwrap();
    }
    for url in ["unix:model.sock", "unix:", "http://127.0.0.1:8001/path", "http://127.0.0.1:8001?x=1"] {
        assert!(Config::from_toml(&with("upstream.address", url), Path::new("")).is_err(), "{url}");
    }
}

/// Counts who connects, and answers nobody.
struct Canary {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
}

impl Canary {
    fn on(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let canary = Self { address: listener.local_addr().unwrap(), count: Arc::default() };
        let count = Arc::clone(&canary.count);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                drop(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        canary
    }

    fn loopback() -> Self {
        Self::on(IpAddr::from([127, 0, 0, 1]))
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

fn check_keys(folder: &Path, keys: &str, variables: &[(&str, String)]) -> Output {
    let config = folder.join("keys.toml");
    let text = with("", "").replace("file = \"kek.key\"", keys);
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
    command.arg("--config").arg(config).args(["keys", "check"]);
    for name in std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (*name, value))).output().unwrap()
}

#[test]
fn no_variable_makes_it_ask_another_place_for_a_role() {
    let folder = tempfile::tempdir().unwrap();
    // The file must hold a certificate; no connection comes as far as to need it.
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/authority-root.pem");
    let keys = format!(
        "provider = \"aws-kms\"\nid = \"k\"\ntimeout = \"2s\"\naws_kms = {{ key = \"alias/k\", region = \"eu-central-1\", endpoint = \"http://127.0.0.1:9\", ca_file = '{}' }}",
        pem.display()
    );
    let canary = Canary::loopback();
    let at = canary.address;
    let mut attempts = vec![
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!("@{at}/role")),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!(":80@{at}/role")),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://169.254.170.2@{at}/role")),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("ftp://{at}/role")),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://169.254.169.254@{at}/")),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("file://{at}/")),
    ];
    let elsewhere = outside().map(Canary::on);
    if let Some(elsewhere) = &elsewhere {
        attempts.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/role", elsewhere.address)));
        attempts.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}/", elsewhere.address)));
    }
    for attempt in attempts {
        let output = check_keys(folder.path(), &keys, std::slice::from_ref(&attempt));
        assert!(!output.status.success(), "{attempt:?}");
        assert_eq!(canary.count(), 0, "{attempt:?}");
        assert_eq!(elsewhere.as_ref().map_or(0, Canary::count), 0, "{attempt:?}");
    }
    // The canary can be reached: a container's agent on this machine is asked.
    for name in ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"] {
        let before = canary.count();
        check_keys(folder.path(), &keys, &[(name, format!("http://{at}/role"))]);
        assert!(canary.count() > before, "{name}");
    }
}

#[test]
fn a_contract_is_deployed_through_no_address_that_is_never_asked() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("anchor.key");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"))
            .args(["anchor"])
            .args(arguments)
            .output()
            .unwrap()
    };
    assert!(run(&["key", key.to_str().unwrap()]).status.success());
    for url in never().iter().filter(|url| !url.is_empty()) {
        let output = run(&[
            "deploy",
            "--rpc",
            url,
            "--key-file",
            key.to_str().unwrap(),
            "--origin",
            "example.com/tests",
        ]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !said.contains(PASSWORD), "{url}: {said}");
        assert!(said.contains("http://"), "{url}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_a_key_service_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let canary = Canary::loopback();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("http://{}/v1/transit", canary.address);
        let vault = Fake::serve(move |_, _| {
            Reply::Bytes(
                format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes(),
            )
        })
        .await;
        let token = folder.path().join("token");
        std::fs::write(&token, "hvs.planted").unwrap();
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let keys = format!(
            "provider = \"vault\"\nid = \"v\"\ntimeout = \"2s\"\nvault = {{ address = \"{}\", key = \"k\", token_file = '{}' }}",
            vault.url(),
            token.display()
        );
        let path = folder.path().to_owned();
        let output = tokio::task::spawn_blocking(move || check_keys(&path, &keys, &[])).await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(vault.count() > 0);
        assert_eq!(canary.count(), 0, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_the_model_server_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let canary = Canary::loopback();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let to = format!("http://{}/inference.GRPCInferenceService/ModelInfer", canary.address);
    let moved = move || async move { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to.clone())]) };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(moved)).await });
    let sidecar = Sidecar::init(folder.path(), upstream);
    let mut running = sidecar.start();
    let refused = sidecar.client().await.model_infer(request("r", 2.0)).await.unwrap_err();
    assert!(refused.message().contains("307"), "{refused}");
    assert!(running.stop().success());
    assert_eq!(canary.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_request_chooses_where_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let canary = Canary::loopback();
    let url = format!("http://{}", canary.address);
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    sidecar.client().await;
    // Another `:authority`, as a caller behind no proxy can send it.
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", sidecar.grpc)).unwrap();
    let channel = endpoint.origin(url.parse().unwrap()).connect().await.unwrap();
    let mut client = GrpcInferenceServiceClient::new(channel);
    for header in [
        "x-forwarded-host",
        "x-forwarded-for",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "location",
        "referer",
        "proxy",
        "via",
    ] {
        let mut asked = request(&url, 2.0);
        asked.parameters.insert(
            "callback_url".to_owned(),
            oip::InferParameter {
                parameter_choice: Some(oip::infer_parameter::ParameterChoice::StringParam(url.clone())),
            },
        );
        let mut asked = tonic::Request::new(asked);
        asked.metadata_mut().insert(header, url.parse().unwrap());
        let answer = client.model_infer(asked).await.unwrap();
        assert!(answer.metadata().contains_key("ledgerstone-leaf-index"), "{header}");
    }
    let mut named = request("r", 2.0);
    named.model_name = url.clone();
    _ = client.model_infer(named).await;
    assert!(running.stop().success());
    assert_eq!(canary.count(), 0);
}
