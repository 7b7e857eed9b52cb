//! Servers that want to know who asks: over TLS, with a client's certificate, a token, or both.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ledgerstone::proto::ledgerstone_v1::receipts_server::ReceiptsServer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::{OneReceipt, log, store};

const TOKEN: &str = "eyJ.planted-token.sig";

fn openssl(folder: &Path, arguments: &str) -> bool {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    ran.is_ok_and(|ran| ran.status.success())
}

/// A folder with a server's certificate for localhost, an authority of clients, a client's certificate and another's, a token;
/// nothing where there is no openssl.
fn desk() -> Option<TempDir> {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let folder = desk.path();
    fs::write(folder.join("client.ext"), "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")
        .expect("written");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let san = "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    let made = openssl(folder, &format!("req -x509 {key} -days 2 -subj /CN=localhost {san} -keyout tls.key -out tls.pem"))
        && ["ours", "others"].iter().all(|name| {
            openssl(folder, &format!("req -x509 {key} -days 2 -subj /CN={name} -keyout {name}-ca.key -out {name}-ca.pem"))
                && openssl(folder, &format!("req -new {key} -subj /CN=auditor -keyout {name}.key -out {name}.csr"))
                && openssl(folder, &format!("x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -days 2 -extfile client.ext -out {name}.pem"))
        });
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(made || !ci, "openssl is needed under CI=true");
    if !made {
        println!("skipped: openssl is not installed");
        return None;
    }
    secret(&folder.join("token"), &format!("{TOKEN}\n"));
    fs::write(folder.join("lending.policy"), log::policy(&log::keys(log::ORIGIN, 1)).to_string())
        .expect("written");
    Some(desk)
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("made private");
}

/// An HTTPS server of the files below `root` for those who show a certificate of `ours-ca` and the token.
struct Guarded {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    fn serve(desk: &Path, root: &Path, redirect: Option<String>) -> Self {
        let pem = |name: &str| fs::read(desk.join(name)).expect("made");
        let certificates = |name: &str| {
            CertificateDer::pem_slice_iter(&pem(name)).map(|one| one.expect("PEM")).collect::<Vec<_>>()
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut clients = RootCertStore::empty();
        clients.add_parsable_certificates(certificates("ours-ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
            .build()
            .expect("a verifier");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                certificates("tls.pem"),
                PrivateKeyDer::from_pem_slice(&pem("tls.key")).expect("a key"),
            )
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (config, root, seen) = (Arc::new(config), root.to_path_buf(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                let (root, seen, redirect) = (root.clone(), Arc::clone(&seen), redirect.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(StreamOwned::new(connection, tcp));
                    let mut head = String::new();
                    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                    if head.is_empty() {
                        return;
                    }
                    let file = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
                    let is_shown = head
                        .to_ascii_lowercase()
                        .contains(&format!("authorization: bearer {}", TOKEN.to_ascii_lowercase()));
                    seen.lock().expect("whole").push(head);
                    let (status, body) = match (&redirect, is_shown, fs::read(root.join(file))) {
                        (Some(to), _, _) => (format!("307 Elsewhere\r\nLocation: {to}"), Vec::new()),
                        (None, false, _) => ("401 Who".to_owned(), Vec::new()),
                        (None, true, Ok(body)) => ("200 OK".to_owned(), body),
                        (None, true, Err(_)) => ("404 None".to_owned(), Vec::new()),
                    };
                    let mut stream = reader.into_inner();
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
                    stream.conn.send_close_notify();
                    _ = stream.flush();
                });
            }
        });
        Self { url, requests }
    }

    fn asked(&self) -> usize {
        self.requests.lock().expect("whole").len()
    }
}

/// Runs `ledgerstone` in the folder, with and without variables.
fn run(desk: &Path, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone"));
    command.args(line.split(' ')).current_dir(desk).envs(variables.iter().copied());
    command.output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

const OWN: &str = "--ca-file tls.pem --cert-file ours.pem --key-file ours.key --token-file token";

#[test]
fn a_log_behind_certificates_and_tokens_verifies_for_who_shows_both() {
    let Some(desk) = desk() else { return };
    let (folder, store) = (desk.path(), store());
    let server = Guarded::serve(folder, &store.path().join("log"), None);
    let url = &server.url;
    for line in [
        format!("verify log {url} --policy lending.policy {OWN}"),
        format!("log checkpoint {url} {OWN}"),
        format!("log entries {url} {OWN}"),
        format!("log proof {url} --index 3 {OWN}"),
        format!(
            "log checkpoint {url} --ca tls.pem --cert-file ours.pem --key-file ours.key --token-file token"
        ),
    ] {
        let output = run(folder, &line, &[]);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", said(&output));
        assert!(!said(&output).contains(TOKEN), "{line}");
    }
    // The environment says the same, for those who run many commands.
    let variables = [
        ("LEDGERSTONE_CA_FILE", "tls.pem"),
        ("LEDGERSTONE_CERT_FILE", "ours.pem"),
        ("LEDGERSTONE_KEY_FILE", "ours.key"),
        ("LEDGERSTONE_TOKEN_FILE", "token"),
    ];
    let output = run(folder, &format!("log checkpoint {url}"), &variables);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(server.requests.lock().expect("whole").iter().all(|head| head.contains(TOKEN)));

    let before = server.asked();
    for (flags, why) in [
        ("--ca-file tls.pem --token-file token", "cannot be fetched"),
        (
            "--ca-file tls.pem --cert-file others.pem --key-file others.key --token-file token",
            "cannot be fetched",
        ),
        (
            "--ca-file ours-ca.pem --cert-file ours.pem --key-file ours.key --token-file token",
            "cannot be fetched",
        ),
        ("--cert-file ours.pem --key-file ours.key --token-file token", "cannot be fetched"),
    ] {
        let output = run(folder, &format!("log checkpoint {url} {flags}"), &[]);
        assert_eq!(output.status.code(), Some(2), "{flags}: {}", said(&output));
        assert!(said(&output).contains(why) && !said(&output).contains(TOKEN), "{flags}: {}", said(&output));
    }
    assert_eq!(server.asked(), before, "nobody came as far as asking");
    let output = run(
        folder,
        &format!("log checkpoint {url} --ca-file tls.pem --cert-file ours.pem --key-file ours.key"),
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("401") && said(&output).contains("--token-file"), "{}", said(&output));
}

#[test]
fn a_token_goes_neither_out_in_the_clear_nor_where_a_redirect_leads() {
    let Some(desk) = desk() else { return };
    let folder = desk.path();
    let canary = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = format!("https://{}/checkpoint", canary.local_addr().expect("an address"));
    let (count, counted) = (Arc::new(AtomicUsize::new(0)), canary);
    let counting = Arc::clone(&count);
    std::thread::spawn(move || counted.incoming().for_each(|_| _ = counting.fetch_add(1, Ordering::SeqCst)));
    let server = Guarded::serve(folder, folder, Some(to));
    let output = run(folder, &format!("log checkpoint {} {OWN}", server.url), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("307") && server.asked() == 1, "{}", said(&output));
    assert_eq!(count.load(Ordering::SeqCst), 0);

    for (line, why) in [
        ("log checkpoint http://log.example --token-file token", "in the clear"),
        (
            "receipt get --server grpc://log.example:7450 --token-file token 0195f2a0-0000-7000-8000-000000000000",
            "in the clear",
        ),
        (
            "receipt get --server http://10.0.0.1 --token-file token 0195f2a0-0000-7000-8000-000000000000",
            "in the clear",
        ),
        ("log checkpoint https://user:word@log.example", "names a user or a password"),
        (
            "receipt get --server grpcs://user:word@log.example 0195f2a0-0000-7000-8000-000000000000",
            "names a user or a password",
        ),
        ("log checkpoint https://log.example --cert-file ours.pem", "--key-file"),
        ("log checkpoint https://log.example --key-file ours.key", "--cert-file"),
    ] {
        let output = run(folder, line, &[]);
        assert_eq!(output.status.code(), Some(64), "{line}: {}", said(&output));
        assert!(said(&output).contains(why), "{line}: {}", said(&output));
    }
}

#[test]
fn a_file_that_is_no_token_key_or_certificate_is_refused_and_not_shown() {
    let Some(desk) = desk() else { return };
    let folder = desk.path();
    for (name, text) in [
        ("empty", String::new()),
        ("two", format!("{TOKEN}\n{TOKEN}\n")),
        ("words", format!("Bearer {TOKEN}")),
        ("header", format!("{TOKEN}\r\nX-Evil: 1")),
        ("large", TOKEN.repeat(2000)),
        ("umlaut", format!("{TOKEN}\u{e4}")),
    ] {
        secret(&folder.join(name), &text);
        let output = run(folder, &format!("log checkpoint https://localhost:1 --token-file {name}"), &[]);
        assert!(matches!(output.status.code(), Some(65 | 2)), "{name}: {}", said(&output));
        assert!(
            said(&output).contains(name) && !said(&output).contains("planted"),
            "{name}: {}",
            said(&output)
        );
    }
    fs::set_permissions(folder.join("token"), fs::Permissions::from_mode(0o644)).expect("made readable");
    let output = run(folder, "log checkpoint https://localhost:1 --token-file token", &[]);
    assert!(output.status.code() == Some(64) && said(&output).contains("chmod 600"), "{}", said(&output));
    for flags in [
        "--cert-file token --key-file ours.key",
        "--cert-file ours.pem --key-file ours.pem",
        "--ca-file ours.key",
    ] {
        let output = run(folder, &format!("log checkpoint https://localhost:1 {flags}"), &[]);
        assert_eq!(output.status.code(), Some(65), "{flags}: {}", said(&output));
        assert!(!said(&output).contains("PRIVATE"), "{flags}: {}", said(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_shows_the_certificate_and_the_token_too() {
    let Some(desk) = desk() else { return };
    let pem = |name: &str| fs::read(desk.path().join(name)).expect("made");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let guard = |request: tonic::Request<()>| match request.metadata().get("authorization") {
        Some(shown) if shown.as_encoded_bytes() == format!("Bearer {TOKEN}").as_bytes() => Ok(request),
        Some(_) => Err(tonic::Status::permission_denied("not you")),
        None => Err(tonic::Status::unauthenticated("who are you")),
    };
    let service =
        ReceiptsServer::with_interceptor(OneReceipt(Err(tonic::Status::not_found("it came through"))), guard);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(pem("tls.pem"), pem("tls.key")))
        .client_ca_root(Certificate::from_pem(pem("ours-ca.pem")));
    let serving = tonic::transport::Server::builder().tls_config(tls).expect("TLS").add_service(service);
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
    let folder = desk.path().to_path_buf();
    secret(&folder.join("other"), "somebody-elses");
    let asked = tokio::task::spawn_blocking(move || {
        for (flags, why) in [
            (OWN, "it came through"),
            (
                "--ca-file tls.pem --cert-file ours.pem --key-file ours.key",
                "Show who you are: --cert-file and --key-file, or --token-file.",
            ),
            (
                "--ca-file tls.pem --cert-file ours.pem --key-file ours.key --token-file other",
                "Ask the operator for the role",
            ),
            ("--ca-file tls.pem --token-file token", "cannot be reached"),
            (
                "--ca-file tls.pem --cert-file others.pem --key-file others.key --token-file token",
                "cannot be reached",
            ),
            ("--cert-file ours.pem --key-file ours.key --token-file token", "cannot be reached"),
        ] {
            let line =
                format!("receipt get --server grpcs://localhost:{port} {flags} {}", log::decision_id(2));
            let output = run(&folder, &line, &[]);
            assert_eq!(output.status.code(), Some(2), "{flags}: {}", said(&output));
            assert!(
                said(&output).contains(why) && !said(&output).contains(TOKEN),
                "{flags}: {}",
                said(&output)
            );
        }
    });
    asked.await.expect("every attempt ended as it should");
}
