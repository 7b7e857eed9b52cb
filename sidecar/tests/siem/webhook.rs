//! Receivers over HTTP: good, refusing, redirecting, answering something else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledgerstone::encoding::{base64_decode, base64_encode};
use ledgerstone::hash::HmacKey;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::pki::Authority;
use crate::world::{World, free, ocsf};

/// 32 bytes, as Standard Webhooks has them.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A request as it came.
#[derive(Clone, Debug)]
struct Posted {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

/// Answers each request with the next of its answers, and with the last one from then on.
struct Receiver {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Receiver {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind(free()).await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), posted: Arc::default() };
        let posted = Arc::clone(&receiver.posted);
        tokio::spawn(async move {
            let mut left = answers.into_iter();
            let mut answer = left.next().unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read(&mut stream).await else { continue };
                posted.lock().unwrap().push(request);
                // Every answer closes, so that each request comes on a connection of its own.
                _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(20)).await;
                        drop(stream);
                    });
                }
                answer = left.next().unwrap_or(answer);
            }
        });
        receiver
    }

    fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Posted> {
    let mut bytes = Vec::new();
    let (mut head, mut whole) = (0, usize::MAX);
    while bytes.len() < whole {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if whole == usize::MAX
            && let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            (head, whole) = (end + 4, end + 4 + length.parse::<usize>().unwrap());
        }
    }
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    let header = |name: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {text}"))[name.len() + 2..].to_owned()
    };
    assert!(text.starts_with("POST /in HTTP/1.1\r\n"), "{text}");
    assert_eq!(header("content-type"), "application/json");
    Some(Posted {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(bytes[head..].to_vec()).unwrap(),
    })
}

fn answer(status: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{rest}")
}

fn good() -> String {
    answer("200 OK", "Content-Length: 2\r\n\r\nok")
}

async fn world(address: SocketAddr) -> World {
    world_at(&format!("url = \"http://{address}/in\"")).await
}

/// A sidecar whose webhook is where `url` says.
async fn world_at(url: &str) -> World {
    let table = format!(
        r#"
[[siem]]
name = "hook"
kind = "webhook"
{url}
secret_file = "hook.secret"
timeout = "1s"
retry_max = "50ms"
batch_events = 16
"#
    );
    let world = World::new(&table).await;
    let path = world.path("hook.secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    world
}

/// The events in what was posted, each as it came.
fn events(posted: &[Posted]) -> Vec<String> {
    let body = |posted: &Posted| -> Vec<String> {
        let whole: Value = serde_json::from_str(&posted.body).unwrap();
        assert_eq!(whole["type"], "ledgerstone.events");
        // Their exact bytes: the body is these, with commas between.
        let inner = posted.body.strip_prefix(r#"{"type":"ledgerstone.events","events":["#).unwrap();
        let inner = inner.strip_suffix("]}").unwrap();
        let between = "},{\"activity_id\"";
        let split = inner.replace(between, "}\n{\"activity_id\"");
        let events: Vec<String> = split.lines().map(str::to_owned).collect();
        assert_eq!(events.len(), whole["events"].as_array().unwrap().len());
        events
    };
    posted.iter().flat_map(body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_is_signed_and_the_same_batch_has_the_same_id() {
    // The first answer never comes, so that a batch comes again.
    let receiver = Receiver::start(vec![String::new(), good()]).await;
    let world = world(receiver.address).await;
    let mut running = world.start().await;
    world.decide(60).await;
    let size = world.size();
    world.accepted("hook", size).await;
    assert!(running.stop().success());
    let posted = receiver.posted();
    let key = HmacKey::from_slice(&base64_decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for Posted { id, timestamp, signature, body } in &posted {
        let tag = key.tag(format!("{id}.{timestamp}.{body}").as_bytes());
        assert_eq!(*signature, format!("v1,{}", base64_encode(&tag)));
        assert!(now - timestamp.parse::<u64>().unwrap() < 120);
    }
    let ids: BTreeSet<(&String, &String)> = posted.iter().map(|posted| (&posted.id, &posted.body)).collect();
    let different: BTreeSet<&String> = posted.iter().map(|posted| &posted.id).collect();
    assert_eq!(ids.len(), different.len(), "an id stands for one body");
    assert!(posted.len() > ids.len(), "one batch came twice");
    world.assert_has(&events(&posted), size, ocsf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_success_is_taken_for_acceptance_and_no_redirect_is_followed() {
    let elsewhere = Receiver::start(vec![good()]).await;
    let redirect = |status: &str| {
        answer(status, &format!("Location: http://{}/in\r\nContent-Length: 0\r\n\r\n", elsewhere.address))
    };
    let empty = "Content-Length: 0\r\n\r\n";
    let wrong = vec![
        answer("304 Not Modified", "\r\n"),
        redirect("301 Moved Permanently"),
        redirect("307 Temporary Redirect"),
        answer("400 Bad Request", empty),
        answer("401 Unauthorized", empty),
        answer("413 Content Too Large", empty),
        answer("429 Too Many Requests", empty),
        answer("500 Internal Server Error", "Content-Length: 6\r\n\r\nno\x1b[31"),
        answer("503 Service Unavailable", empty),
        answer("200 OK", &format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000))),
        answer("200 OK", "Content-Length: 10\r\n\r\nshort"),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\u{0}\u{1}\u{2}".to_owned(),
    ];
    let count = wrong.len();
    let receiver = Receiver::start(wrong.into_iter().chain([good()]).collect()).await;
    let world = world(receiver.address).await;
    let mut running = world.start().await;
    world.decide(10).await;
    let size = world.size();
    world.accepted("hook", size).await;
    let standing = world.sink("hook").await;
    assert!(running.stop().success());
    assert_eq!(standing["retries"], count, "each wrong answer was an attempt that failed: {standing}");
    assert!(elsewhere.posted().is_empty(), "a redirect was followed");
    let posted = receiver.posted();
    world.assert_has(&events(&posted[count..]), size, ocsf);
    assert!(!world.sidecar.log_lines().contains('\x1b'), "what a receiver says steers no terminal");
    assert!(!world.sidecar.log_lines().contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_of_success_is_taken_for_acceptance() {
    let empty = "Content-Length: 0\r\n\r\n";
    let statuses = ["204 No Content", "202 Accepted", "200 OK", "201 Created"];
    let receiver = Receiver::start(statuses.map(|status| answer(status, empty)).to_vec()).await;
    let world = world(receiver.address).await;
    let mut running = world.start().await;
    world.decide(100).await;
    let size = world.size();
    world.accepted("hook", size).await;
    let standing = world.sink("hook").await;
    assert!(running.stop().success());
    assert_eq!(standing["retries"], 0, "{standing}");
    let posted = receiver.posted();
    assert!(posted.len() >= statuses.len(), "{} batches", posted.len());
    world.assert_has(&events(&posted), size, ocsf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_that_is_refused_holds_up_those_behind_it_and_none_before_it() {
    // A receiver that refuses every batch with the fourth entry in it, as if that were not well formed.
    let listener = TcpListener::bind(free()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let world = world(address).await;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(posted) = read(&mut stream).await else { continue };
            let is_poison = posted.body.contains(r#""leaf_index":3,"#);
            if !is_poison {
                keep.lock().unwrap().push(posted);
            }
            let said = if is_poison {
                answer("400 Bad Request", "Content-Length: 9\r\n\r\nno thanks")
            } else {
                good()
            };
            _ = stream.write_all(said.as_bytes()).await;
        }
    });
    let mut running = world.start().await;
    world.decide(20).await;
    let standing = world
        .until("hook", "stuck", |sink| sink["next_leaf_index"] == 3 && sink["state"] == "retrying")
        .await;
    assert!(standing["error"].as_str().unwrap().contains("siem reset"), "{standing}");
    world.assert_has(&events(&taken.lock().unwrap()), 3, ocsf);
    assert!(running.stop().success());
    // The operator goes past it.
    let output = world.sidecar.command("siem").args(["reset", "hook", "--to", "4"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut running = world.start().await;
    world.accepted("hook", world.size()).await;
    assert!(running.stop().success());
}

/// A receiver over TLS that lets in whom `authority` vouches for, and nobody else.
async fn mutual(authority: &Authority) -> (SocketAddr, Arc<Mutex<Vec<Posted>>>) {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let shown = authority.good();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![shown.der.into()], shown.key_der.try_into().unwrap())
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind(free()).await.unwrap());
    let (address, posted) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let keep = Arc::clone(&posted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let Some(request) = read(&mut stream).await else { continue };
            keep.lock().unwrap().push(request);
            _ = stream.write_all(good().as_bytes()).await;
            _ = stream.shutdown().await;
        }
    });
    (address, posted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_shown_to_a_receiver_that_asks_for_one_and_a_new_one_needs_no_restart() {
    let (authority, intruder) = (Authority::new("siem"), Authority::new("somebody else"));
    let (address, posted) = mutual(&authority).await;
    let url = format!(
        "url = \"https://localhost:{}/in\"\nca_file = \"ca.pem\"\ncert = \"sender.pem\"\nkey = \"sender.key\"",
        address.port()
    );
    let world = world_at(&url).await;
    std::fs::write(world.path("ca.pem"), authority.pem()).unwrap();
    intruder.good().write(world.folder.path(), "sender");
    let mut running = world.start().await;
    world.decide(5).await;
    let standing = world.until("hook", "refused", |sink| sink["retries"].as_u64() > Some(1)).await;
    assert_eq!(standing["next_leaf_index"], 0, "{standing}");
    authority.good().write(world.folder.path(), "sender");
    let size = world.size();
    world.accepted("hook", size).await;
    assert!(running.stop().success());
    world.assert_has(&events(&posted.lock().unwrap()), size, ocsf);
}
