//! One port that says who its clients are, and a client that knocks on ports.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use ledgerstone_sidecar::listen::{Counts, Door, WithPeer};
use ledgerstone_sidecar::metrics::Metrics;
use ledgerstone_sidecar::peer::Peer;
use ledgerstone_sidecar::tls::{Ask, Files, Protocols, Reloading, Versions, install_crypto_provider};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::{Authority, Identity};

/// How long a port on loopback may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port of its own with its files.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    pub(crate) servers: Authority,
    pub(crate) clients: Authority,
    pub(crate) tls: Reloading,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    counts: Counts,
}

impl Desk {
    /// A port that needs certificates.
    pub(crate) async fn new() -> Self {
        Self::with(Ask::CertificateAlways, Versions::Tls13, None).await
    }

    pub(crate) async fn with(
        ask: Ask,
        versions: Versions,
        crl: Option<&dyn Fn(&Authority) -> String>,
    ) -> Self {
        install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let (cert, key) = servers.good().write(folder.path(), "server");
        let client_ca = folder.path().join("clients.pem");
        std::fs::write(&client_ca, clients.pem()).unwrap();
        let crl = crl.map(|list| {
            let path = folder.path().join("clients.crl");
            std::fs::write(&path, list(&clients)).unwrap();
            path
        });
        let tls = Reloading::load(Files { cert, key, client_ca: Some(client_ca), crl }, versions).unwrap();
        let (counts, metrics) = (Counts::default(), Metrics::new().unwrap());
        counts.measure(&metrics);
        tls.measure(&metrics);
        let address = serve(door(&tls, ask), &counts).await;
        Self { folder, servers, clients, tls, address, metrics, counts }
    }

    /// Another port with the same files.
    pub(crate) async fn another(&self, ask: Ask) -> SocketAddr {
        serve(Door::new("another", Protocols::Http).tls(self.tls.clone(), ask), &self.counts).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client that trusts this port and shows `identity`.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        client(&self.servers.pem(), identity)
    }

    /// What the port says to a client that shows `identity`.
    pub(crate) async fn ask(&self, identity: Option<&Identity>) -> Result<String, String> {
        ask(self.address, &self.client(identity)).await
    }

    /// How many connections were refused for `reason`.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let series = format!("ledgerstone_connections_refused_total{{port=\"desk\",reason=\"{reason}\"}} ");
        let text = self.metrics.render().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
    }
}

pub(crate) async fn serve(door: Door, counts: &Counts) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router =
        Router::new().route("/", get(async |request: Request| said(&Peer::of(request.extensions()))));
    let incoming = door.open(listener, counts).unwrap();
    tokio::spawn(async move { axum::serve(incoming, WithPeer(router)).await.unwrap() });
    address
}

/// A port with these certificates.
pub(crate) fn door(tls: &Reloading, ask: Ask) -> Door {
    Door::new("desk", Protocols::Http).tls(tls.clone(), ask)
}

fn said(peer: &Peer) -> String {
    assert!(peer.address.is_some_and(|address| address.ip().is_loopback()), "the address is known");
    match &peer.certificate {
        None => "nobody".to_owned(),
        Some(certificate) => format!(
            "{} {} {}",
            certificate.fingerprint,
            certificate.spiffe_id.as_deref().unwrap_or("-"),
            certificate.dns_names.join(",")
        ),
    }
}

/// A client that trusts `authority` and shows `identity`.
pub(crate) fn client(authority: &str, identity: Option<&Identity>) -> Arc<ClientConfig> {
    client_of(authority, identity, &[&rustls::version::TLS13])
}

pub(crate) fn client_of(
    authority: &str,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    install_crypto_provider();
    let builder =
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots(authority));
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_auth_cert(chain(identity), key(identity)).unwrap(),
    })
}

/// A client that shows the certificate of one and has the key of another.
pub(crate) fn impostor(authority: &str, shown: &Identity, held: &Identity) -> Arc<ClientConfig> {
    #[derive(Debug)]
    struct Impostor(Arc<CertifiedKey>);
    impl ResolvesClientCert for Impostor {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }
    install_crypto_provider();
    let builder = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let signing = rustls::crypto::ring::sign::any_supported_type(&key(held)).unwrap();
    let both = Arc::new(CertifiedKey::new(chain(shown), signing));
    let builder = builder.with_root_certificates(roots(authority));
    Arc::new(builder.with_client_cert_resolver(Arc::new(Impostor(both))))
}

fn roots(authority: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(der.unwrap()).unwrap();
    }
    roots
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(identity.cert.as_bytes()).map(Result::unwrap).collect()
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap()
}

/// A connection whose handshake this side has finished.
pub(crate) async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// What the port at `address` says about this client.
pub(crate) async fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<String, String> {
    let mut stream = connect(address, config).await?;
    ask_on(&mut stream, "/").await.map(|(_, body)| body)
}

/// Status and body of a GET on a connection that stays open.
pub(crate) async fn ask_on(stream: &mut TlsStream<TcpStream>, path: &str) -> Result<(u16, String), String> {
    let asked = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        loop {
            if let Some(parsed) = parse(&answer) {
                return Ok(parsed);
            }
            match stream.read_buf(&mut answer).await {
                Ok(0) => return Err("closed".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time")
}

fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
    let body = answer.get(end + 4..end + 4 + length)?;
    Some((head.split(' ').nth(1)?.parse().ok()?, String::from_utf8_lossy(body).into_owned()))
}

/// What came back for the first bytes of HTTP/2, with TLS as `config` says or plain.
pub(crate) async fn knock(address: SocketAddr, config: Option<&Arc<ClientConfig>>) -> Outcome {
    /// The preface of RFC 9113, section 3.4, and an empty SETTINGS frame.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    async fn talk(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Outcome {
        if stream.write_all(PREFACE).await.is_err() {
            return Outcome::Refused;
        }
        let mut head = [0; 9];
        match stream.read_exact(&mut head).await {
            // The server's own SETTINGS come first.
            Ok(_) if head[3] == 4 => Outcome::Served,
            _ => Outcome::Refused,
        }
    }
    let knocked = async {
        let Some(config) = config else {
            let mut stream = TcpStream::connect(address).await.unwrap();
            return talk(&mut stream).await;
        };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        match connect(address, &Arc::new(config)).await {
            Ok(mut stream) => talk(&mut stream).await,
            Err(_) => Outcome::Refused,
        }
    };
    tokio::time::timeout(PATIENCE, knocked).await.expect("an answer in time")
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The other side speaks HTTP/2 with it.
    Served,
    /// It was closed, or answered with a TLS alert.
    Refused,
}
