//! A sidecar that asks who calls, its issuer, and calls of every kind.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::uri::PathAndQuery;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::LeafIndex;
use ledgerstone_sidecar::access::table::GRPC;
use ledgerstone_sidecar::access::{Port, Role, Row};
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::config::Config;
use ledgerstone_sidecar::reader::LogReader;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::issuer::{AUDIENCE, Issuer, NAME};
use crate::support::{Sidecar, serve_doubler};

pub(crate) const DRAIN: std::time::Duration = std::time::Duration::from_secs(20);

/// The word of the role claim that gives each role.
pub(crate) fn word(role: Role) -> &'static str {
    match role {
        Role::Application => "loans-api",
        Role::Operator => "platform",
        Role::Compliance => "dpo",
        Role::Auditor => "audit",
        Role::Applicant => "nobody-has-this",
    }
}

pub(crate) struct World {
    pub(crate) files: Sidecar,
    pub(crate) app: Running,
    pub(crate) issuer: Issuer,
    folder: TempDir,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// HTTP status, or gRPC code.
    pub(crate) code: u16,
    pub(crate) is_grpc: bool,
    pub(crate) stable: Option<String>,
    pub(crate) retry_after: Option<u64>,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn is_refused(&self) -> bool {
        let codes: [u16; 2] = if self.is_grpc {
            [Code::PermissionDenied as u16, Code::Unauthenticated as u16]
        } else {
            [401, 403]
        };
        codes.contains(&self.code)
    }

    fn of_status(status: &Status) -> Self {
        let text = |name: &str| status.metadata().get(name).and_then(|value| value.to_str().ok());
        Self {
            code: status.code() as u16,
            is_grpc: true,
            stable: text("ledgerstone-code").map(str::to_owned),
            retry_after: text("retry-after").and_then(|text| text.parse().ok()),
            text: status.message().to_owned(),
        }
    }
}

/// `[access]` with a rule for each role, keys from the issuer's address, and `more`.
pub(crate) fn section(issuer: &Issuer, more: &str) -> String {
    let rule = |role: Role| format!("[[access.rule]]\nclaim = {:?}\nrole = \"{role}\"\n", word(role));
    let rules: String = Role::ALL.into_iter().filter(|role| *role != Role::Applicant).map(rule).collect();
    format!(
        "\n[access.oidc]\nissuer = {NAME:?}\naudience = {AUDIENCE:?}\njwks = \"{}/jwks\"\nkeys_refresh = \"200ms\"\n{more}\n{rules}",
        issuer.address
    )
}

impl World {
    /// Nothing where there is no issuer.
    pub(crate) async fn new(more: &str) -> Option<Self> {
        let world = Self::unready(more, "well").await?;
        let token = world.issuer.token("u-0", &["platform"]);
        // The keys are fetched beside serving.
        for _ in 0..500 {
            if world.http(Port::Admin, "GET", "/metrics", Some(&token), "").await.code == 200 {
                return Some(world);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the keys never came");
    }

    /// The same, whose issuer serves its keys in another way.
    pub(crate) async fn unready(more: &str, mode: &str) -> Option<Self> {
        let issuer = Issuer::start()?;
        issuer.mode(mode);
        Some(Self::before(serve_doubler().await, issuer, more).await)
    }

    /// A sidecar in front of a model server.
    pub(crate) async fn before(upstream: SocketAddr, issuer: Issuer, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), upstream);
        let text = std::fs::read_to_string(files.config()).unwrap() + &section(&issuer, more);
        std::fs::write(files.config(), text).unwrap();
        let config = config(&files, folder.path().join("links"));
        let app = App::build(config).await.unwrap().spawn().await.unwrap();
        Self { files, app, issuer, folder }
    }

    pub(crate) fn address(&self, port: Port) -> SocketAddr {
        match port {
            Port::Grpc => self.app.grpc_addr,
            Port::Http => self.app.http_addr,
            Port::Recorder => self.app.recorder_addr.unwrap(),
            Port::Registry => self.app.registry_addr.unwrap(),
            Port::Links => self.app.links_addr.unwrap(),
            Port::Admin => self.app.admin_addr,
        }
    }

    pub(crate) async fn channel(&self, port: Port) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address(port))).unwrap().connect().await.unwrap()
    }

    /// Calls the method of a row.
    pub(crate) async fn call(&self, row: &Row, token: Option<&str>) -> Answered {
        if row.method == GRPC {
            return self.grpc(row.port, row.path, token).await;
        }
        let path = row.path.replace("{decision_id}", "01a1ee56-5e02-7000-8000-000000000002");
        let path = path.replace("{*path}", "0/000").replace("{*file}", "lanes").replace("{token}", "abc");
        self.http(row.port, row.method, &path, token, "{}").await
    }

    /// Calls a method with an empty message, and looks at how the answer begins.
    pub(crate) async fn grpc(&self, port: Port, path: &str, token: Option<&str>) -> Answered {
        let mut client = tonic::client::Grpc::new(self.channel(port).await);
        client.ready().await.unwrap();
        let request = with_token((), token);
        let path = PathAndQuery::try_from(path).unwrap();
        match client.server_streaming(request, path, ProstCodec::<(), ()>::default()).await {
            Ok(_) => {
                Answered { code: 0, is_grpc: true, stable: None, retry_after: None, text: String::new() }
            }
            Err(status) => Answered::of_status(&status),
        }
    }

    pub(crate) async fn http(
        &self,
        port: Port,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answered {
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.raw(port, method, path, &authorization, body).await
    }

    /// The same, with header lines as they are.
    pub(crate) async fn raw(
        &self,
        port: Port,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Answered {
        let mut stream = TcpStream::connect(self.address(port)).await.unwrap();
        let body = if method == "GET" { "" } else { body };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        Answered {
            code: head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0),
            is_grpc: false,
            stable: field("ledgerstone-code"),
            retry_after: field("retry-after").and_then(|text| text.parse().ok()),
            text: text.to_owned(),
        }
    }

    /// The configuration that it runs with.
    pub(crate) fn config(&self) -> Config {
        config(&self.files, self.folder.path().join("links"))
    }

    /// Stops the sidecar in order.
    pub(crate) async fn stop(self) -> Stopped {
        self.app.drain(DRAIN).await.unwrap();
        Stopped { files: self.files, _issuer: self.issuer, folder: self.folder }
    }
}

/// A log that nobody runs.
pub(crate) struct Stopped {
    pub(crate) files: Sidecar,
    _issuer: Issuer,
    folder: TempDir,
}

impl Stopped {
    pub(crate) fn config(&self) -> Config {
        config(&self.files, self.folder.path().join("links"))
    }

    /// Every entry, with its bytes.
    pub(crate) fn entries(&self) -> Vec<(LeafIndex, Entry, Vec<u8>)> {
        let log = LogReader::at_rest(&self.files.store()).unwrap();
        let entry = |index| {
            let bytes = log.entry(LeafIndex::new(index)).unwrap();
            (LeafIndex::new(index), Entry::decode(&bytes).unwrap(), bytes)
        };
        (0..log.published().size.get()).map(entry).collect()
    }
}

pub(crate) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

fn config(files: &Sidecar, links: PathBuf) -> Config {
    files.load(&[
        "registry.listen=127.0.0.1:0",
        "recorder.listen=127.0.0.1:0",
        "links.listen=127.0.0.1:0",
        &format!("links.file={}", links.display()),
        "links.public_url=https://receipts.example.com",
    ])
}
