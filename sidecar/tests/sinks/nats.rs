//! A real nats-server with JetStream on disk, read back over its own API by a client of the test's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::encoding::base64_decode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::lossy::Lossy;
use crate::support::{Running, free_port};
use crate::tools::{script, skipped};
use crate::world::{Arrived, World, folder, listens, secret};
use crate::{nats_jwt, pki};

const STREAM: &str = "AUDIT";
const SUBJECT: &str = "audit.decisions";

struct Server {
    program: std::path::PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Running>,
}

impl Server {
    /// A server with `more` in its configuration; nothing where there is none to be had.
    async fn start(what: &str, more: impl FnOnce(&Path) -> String) -> Option<Self> {
        let program = script("nats-path", &[]).map_err(|problem| skipped(what, &problem)).ok()?;
        let (folder, port) = (folder(), free_port());
        let path = folder.path();
        let text = format!(
            "host: \"127.0.0.1\"\nport: {port}\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n{}\n",
            path.join("streams").display(),
            more(path)
        );
        std::fs::write(path.join("nats.conf"), text).unwrap();
        let mut server = Self { program, folder, port, running: None };
        server.again().await;
        Some(server)
    }

    async fn again(&mut self) {
        let log = self.folder.path().join("nats.log");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("nats.conf")).arg("-l").arg(log);
        self.running = Some(Running::of(command.stdin(Stdio::null()).spawn().unwrap()));
        listens(self.port, "nats-server").await;
    }

    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// A client of the open server.
    async fn client(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (client, _) = Client::greeted(stream).await;
        client.named(json!({})).await
    }

    /// A client of the server with TLS and an operator.
    async fn client_by_tls(&self, tls_first: bool) -> Client<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(
            CertificateDer::pem_file_iter(self.folder.path().join("ca.pem")).unwrap().flatten(),
        );
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let plain = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (client, info) = if tls_first {
            Client::greeted(connector.connect(name, plain).await.unwrap()).await
        } else {
            let (client, info) = Client::greeted(plain).await;
            let stream = connector.connect(name, client.0.into_inner()).await.unwrap();
            (Client(BufReader::new(stream)), info)
        };
        client.named(nats_jwt::connect(info["nonce"].as_str().unwrap())).await
    }
}

/// A client that asks one thing at a time.
struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn greeted(stream: S) -> (Self, Value) {
        let mut client = Self(BufReader::new(stream));
        let line = client.line().await;
        let info = serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap();
        (client, info)
    }

    async fn named(self, mut connect: Value) -> Self {
        let mut client = self;
        connect["verbose"] = json!(false);
        connect["headers"] = json!(true);
        client.say(&format!("CONNECT {connect}\r\nSUB answer 1\r\nPING\r\n")).await;
        assert_eq!(client.line().await, "PONG");
        client
    }

    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Asks JetStream.
    async fn ask(&mut self, subject: &str, body: &Value) -> Value {
        let body = body.to_string();
        self.say(&format!("PUB {subject} answer {}\r\n{body}\r\n", body.len())).await;
        loop {
            let line = self.line().await;
            if line == "PING" {
                self.say("PONG\r\n").await;
                continue;
            }
            let Some(words) = line.strip_prefix("MSG ") else { panic!("{subject}: {line}") };
            let size: usize = words.rsplit(' ').next().unwrap().parse().unwrap();
            let mut bytes = vec![0; size + 2];
            self.0.read_exact(&mut bytes).await.unwrap();
            return serde_json::from_slice(&bytes[..size]).unwrap();
        }
    }

    /// `window`: for how long the stream knows ids again.
    async fn create(&mut self, window: Duration) {
        let stream = json!({
            "name": STREAM, "subjects": ["audit.>"], "storage": "file", "num_replicas": 1, "retention": "limits",
            "discard": "new", "max_bytes": -1, "max_msgs": -1, "max_consumers": -1, "max_age": 0,
            "duplicate_window": window.as_nanos() as u64,
        });
        let answer = self.ask(&format!("$JS.API.STREAM.CREATE.{STREAM}"), &stream).await;
        assert_eq!(answer["error"], Value::Null, "{answer}");
    }

    /// Everything in the stream, in its order.
    async fn read(&mut self) -> Vec<Arrived> {
        let state = self.ask(&format!("$JS.API.STREAM.INFO.{STREAM}"), &json!({})).await["state"].clone();
        let mut arrived = Vec::new();
        for seq in 1..=state["last_seq"].as_u64().unwrap() {
            let answer = self.ask(&format!("$JS.API.STREAM.MSG.GET.{STREAM}"), &json!({ "seq": seq })).await;
            let message = &answer["message"];
            assert_eq!(message["subject"], SUBJECT);
            let part = |key: &str| {
                String::from_utf8(base64_decode(message[key].as_str().unwrap()).unwrap()).unwrap()
            };
            let headers: BTreeMap<String, String> = part("hdrs")
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            arrived.push((headers["Nats-Msg-Id"].clone(), part("data")));
        }
        arrived
    }
}

fn table(scheme: &str, port: u16, more: &str) -> String {
    format!(
        "kind = \"nats\"\nservers = [\"{scheme}://127.0.0.1:{port}\"]\nsubject = \"{SUBJECT}\"\nstream = \"{STREAM}\"\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_in_the_stream_once_after_lost_answers_and_a_killed_server() {
    let Some(mut server) = Server::start("export to NATS JetStream", |_| String::new()).await else { return };
    server.client().await.create(Duration::from_secs(120)).await;
    let line = Lossy::to(server.port, 4).await;
    let mut world = World::start(folder(), &table("nats", line.port, "")).await;
    world.decide(120).await;
    server.kill();
    world.decide(60).await;
    world.error("").await;
    server.again().await;
    world.decide(60).await;
    let standing = world.caught_up().await;
    let stopped = world.stop();
    let copies = stopped.compare(&server.client().await.read().await);
    assert!(line.lost() > 5, "{} answers lost: {standing}", line.lost());
    assert_eq!(copies, 0, "the stream drops copies by their id");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_past_the_window_have_the_same_id() {
    let Some(server) = Server::start("export to NATS JetStream", |_| String::new()).await else { return };
    server.client().await.create(Duration::from_millis(100)).await;
    let line = Lossy::to(server.port, 4).await;
    let mut world = World::start(folder(), &table("nats", line.port, "")).await;
    for _ in 0..20 {
        world.decide(10).await;
        world.caught_up().await;
    }
    let stopped = world.stop();
    let copies = stopped.compare(&server.client().await.read().await);
    assert!(copies > 0, "{} answers lost and no copy", line.lost());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_knows_a_user_by_credentials() {
    for tls_first in [false, true] {
        let Some(server) = Server::start("export to NATS over TLS", |path| {
            pki::write(path);
            let file = |name| path.join(name).display().to_string();
            format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\", handshake_first: {tls_first} }}\n{}",
                file("server.pem"),
                file("server.key"),
                nats_jwt::write(path)
            )
        })
        .await
        else {
            return;
        };
        let folder = folder();
        for name in ["ca.pem", "user.creds"] {
            std::fs::copy(server.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        let creds = std::fs::read_to_string(folder.path().join("user.creds")).unwrap();
        // First a user of whom the server knows nothing.
        secret(folder.path(), "user.creds", &nats_jwt::stranger());
        let more =
            format!("ca_file = \"ca.pem\"\ncredentials_file = \"user.creds\"\ntls_first = {tls_first}");
        let mut world = World::start(folder, &table("tls", server.port, &more)).await;
        world.decide(20).await;
        let error = world.error("refused this sender").await;
        assert!(error.contains("Authorization Violation"), "{error}");
        secret(world.folder.path(), "user.creds", &creds);
        // Then one who may, and no stream that would have it.
        world.error("no stream has the subject").await;
        let mut client = server.client_by_tls(tls_first).await;
        client.create(Duration::from_secs(120)).await;
        world.caught_up().await;
        let stopped = world.stop();
        let seed = creds.lines().find(|line| line.starts_with("SU")).unwrap();
        assert!(!stopped.lines.contains(seed), "a seed is in the log lines");
        stopped.compare(&client.read().await);
    }
}
