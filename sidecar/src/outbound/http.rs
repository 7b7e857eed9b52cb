//! The HTTP(S) client of everything that the sidecar asks over HTTP/1.1: one request, one bounded answer.
//!
//! Guarantees: an answer is cut off at its bound before anybody reads it; every exchange ends within its time limit;
//! a redirect is refused, because whoever may name another place may name one inside this network; `https` is checked
//! against the certificates that the operator named and no others; a connection is used again only by a client that was
//! told to keep them, one for each place, and only after a complete answer. A question that a kept connection did not
//! answer is asked again on a fresh one: all questions here may be asked twice. Does not do: proxies, cookies,
//! compression.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use ledgerstone::code::Code;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::outbound;

mod authority;
mod connection;

pub use self::authority::CaError;
pub(crate) use self::authority::client_config;
use self::connection::{Connection, Kept};

/// Characters of a refused answer's text that are shown.
const SHOWN_CHARS_MAX: usize = 120;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("ledgerstone-sidecar/", env!("CARGO_PKG_VERSION")));

/// An address that is asked. What may be one: [`crate::outbound`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
    /// It is asked for the role of this container or machine.
    is_role: bool,
}

impl Address {
    /// Reads `http://HOST[:PORT][/PATH]` or `https://...` of a place that may be asked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).filter(|address| outbound::check_host(&address.host).is_ok())
    }

    /// Reads where a container or a machine asks for its role: `https`, this machine itself, or one of
    /// [`outbound::ROLE_ADDRESSES`].
    #[must_use]
    pub fn of_role(text: &str) -> Option<Self> {
        let mut address = Self::read(text)?;
        let ip = address.host.parse::<std::net::IpAddr>();
        address.is_role = ip.is_ok_and(|ip| outbound::ROLE_ADDRESSES.contains(&ip));
        let may =
            || outbound::check_host(&address.host).is_ok() && (address.is_tls || address.is_this_machine());
        (address.is_role || may()).then_some(address)
    }

    fn read(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let written = authority.host();
        let host =
            written.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(written).to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        let port = match authority.as_str().strip_prefix(written)? {
            "" => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            _ => authority.port_u16().filter(|port| *port > 0)?,
        };
        Some(Self { host, port, is_tls, is_role: false, uri })
    }

    /// The same address with `rest` after its path.
    #[must_use]
    pub fn join(&self, rest: &str) -> Option<Self> {
        let base = self.to_string();
        let text = format!("{}/{}", base.trim_end_matches('/'), rest.trim_start_matches('/'));
        if self.is_role { Self::of_role(&text) } else { Self::parse(&text) }
    }

    /// Whether it is scheme, host and port alone.
    #[must_use]
    pub fn has_no_path(&self) -> bool {
        self.uri.path_and_query().is_none_or(|rest| rest.as_str() == "/")
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether what goes there stays on this machine: `localhost` or a loopback address.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether it is `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uri, f)
    }
}

/// What is asked.
#[derive(Clone)]
pub struct Question {
    /// `GET`, `POST` or `PUT`.
    pub method: Method,
    /// Where.
    pub address: Address,
    /// The media type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// The media type that is wanted.
    pub accept: &'static str,
    /// Further header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body. Bytes of an owner that wipes itself are wiped once they were sent.
    pub body: Bytes,
    /// Bytes of the answer, at most.
    pub answer_bytes_max: usize,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, host) = (&self.method, self.address.host());
        write!(f, "Question({method} {host}, {} bytes)", self.body.len())
    }
}

/// An answer, whatever its status is.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long to wait before asking again, where the server said it in seconds (RFC 9110, section 10.2.3).
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// An answer as it would have come; none for a status that HTTP does not have.
    #[must_use]
    pub fn new(status: u16, body: Bytes) -> Option<Self> {
        Some(Self { status: StatusCode::from_u16(status).ok()?, retry_after: None, body })
    }

    /// The body of an answer with status 200.
    pub(crate) fn wanted(self) -> Result<Bytes, HttpFault> {
        match self.status {
            StatusCode::OK => Ok(self.body),
            status if status.is_redirection() => Err(HttpFault::Redirect { status: status.as_u16() }),
            status => Err(HttpFault::Status { status: status.as_u16(), text: shown(&self.body) }),
        }
    }
}

/// What `https` is spoken with.
#[derive(Clone)]
enum Tls {
    /// What the files said when the client was made.
    Then(Arc<ClientConfig>),
    /// What they say when a connection is made: of authorities, and of what is shown.
    Now(PathBuf, Option<(PathBuf, PathBuf)>),
}

impl Tls {
    fn config(&self) -> Result<Arc<ClientConfig>, CaError> {
        match self {
            Self::Then(config) => Ok(Arc::clone(config)),
            Self::Now(ca, identity) => {
                let identity = identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
                http1(ca, identity)
            }
        }
    }
}

fn http1(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, CaError> {
    let mut config = client_config(Some(ca), identity)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Asks. Clones stand for the same client.
#[derive(Clone)]
pub struct Client {
    tls: Option<Tls>,
    limit: Duration,
    kept: Option<Kept>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limit", &self.limit).field("tls", &self.tls.is_some()).finish()
    }
}

impl Client {
    /// A client whose exchanges take at most `limit`. `ca_file` names the certificates that `https` is checked against;
    /// without it only `http` is spoken.
    ///
    /// # Errors
    /// [`CaError`] if the file cannot be read or holds no certificate.
    pub fn new(limit: Duration, ca_file: Option<&Path>) -> Result<Self, CaError> {
        Self::showing(limit, ca_file, None)
    }

    /// The same, which shows a certificate chain with its private key to whoever asks for one.
    ///
    /// # Errors
    /// As [`Client::new`], and where the two do not belong together.
    pub fn showing(
        limit: Duration,
        ca_file: Option<&Path>,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, CaError> {
        let tls = ca_file.map(|ca| http1(ca, identity)).transpose()?.map(Tls::Then);
        Ok(Self { tls, limit, kept: None })
    }

    /// The same, which reads the files anew for each connection, so that a certificate that was renewed holds from the next one on.
    ///
    /// # Errors
    /// As [`Client::showing`].
    pub fn renewing(
        limit: Duration,
        ca_file: Option<&Path>,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, CaError> {
        let owned = |(cert, key): (&Path, &Path)| (cert.to_owned(), key.to_owned());
        let tls = ca_file.map(|ca| Tls::Now(ca.to_owned(), identity.map(owned)));
        tls.as_ref().map(Tls::config).transpose()?;
        Ok(Self { tls, limit, kept: None })
    }

    /// The same, keeping one connection for each place that it asks.
    #[must_use]
    pub fn keeping_connections(self) -> Self {
        Self { kept: Some(Kept::default()), ..self }
    }

    /// Asks and returns the body of the answer.
    ///
    /// # Errors
    /// [`HttpFault`] says how it ended; only [`HttpFault::Status`] is an answer.
    pub async fn ask(&self, question: Question) -> Result<Bytes, HttpFault> {
        self.answer(question).await?.wanted()
    }

    /// Asks and returns the answer, whatever its status is: some servers say in the body of a refusal why.
    ///
    /// # Errors
    /// [`HttpFault`] if there is no complete answer.
    pub async fn answer(&self, question: Question) -> Result<Answer, HttpFault> {
        let limit = self.limit;
        timeout(limit, self.exchange(question)).await.unwrap_or(Err(HttpFault::TimedOut { limit }))
    }

    async fn exchange(&self, question: Question) -> Result<Answer, HttpFault> {
        let Some(kept) = &self.kept else {
            return self.connect(&question.address).await?.ask(&question).await;
        };
        if let Some(mut connection) = kept.take(&question.address) {
            match connection.ask(&question).await {
                // Whoever is asked may close at any time while nothing is asked.
                Err(HttpFault::Closed) => {}
                ended => {
                    kept.keep(&question.address, connection);
                    return ended;
                }
            }
        }
        let mut connection = self.connect(&question.address).await?;
        let ended = connection.ask(&question).await;
        kept.keep(&question.address, connection);
        ended
    }

    async fn connect(&self, address: &Address) -> Result<Connection, HttpFault> {
        let Address { host, port, is_tls, is_role, .. } = address;
        let unreachable = |error: std::io::Error| HttpFault::Unreachable { reason: error.to_string() };
        let stream = outbound::connect(host, *port, *is_role).await.map_err(unreachable)?;
        // Small messages in both directions: waiting to fill a segment only costs time.
        _ = stream.set_nodelay(true);
        if !is_tls {
            return Connection::over(stream).await;
        }
        let tls = self.tls.as_ref().ok_or(HttpFault::NoAuthority)?.config();
        let tls = tls.map_err(|error| HttpFault::Files { reason: error.to_string() })?;
        let name = ServerName::try_from(host.clone()).map_err(|_| HttpFault::NoAuthority)?;
        let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(unreachable)?;
        Connection::over(stream).await
    }
}

fn request(question: &Question) -> Option<Request<Full<Bytes>>> {
    let Address { uri, .. } = &question.address;
    let mut request = Request::builder()
        .method(&question.method)
        .uri(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
        .header(HOST, uri.authority()?.as_str())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, question.accept);
    if let Some(content_type) = question.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(question.body.clone())).ok()
}

/// The beginning of a text from outside: printable ASCII on one line.
pub(crate) fn shown(body: &[u8]) -> String {
    outbound::printable(body, SHOWN_CHARS_MAX)
}

/// How an exchange ended without the answer that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpFault {
    /// No connection.
    #[error("it cannot be reached ({reason})")]
    Unreachable {
        /// What the operating system or TLS says.
        reason: String,
    },
    /// No complete answer in time.
    #[error("it did not answer within {} s", .limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("it closed the connection before its answer was complete, or does not speak HTTP/1.1")]
    Closed,
    /// More than may be.
    #[error("its answer is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// Another place was named.
    #[error(
        "it answered with a redirect (HTTP {status}), which is not followed: configure the address it leads to"
    )]
    Redirect {
        /// The status.
        status: u16,
    },
    /// Another status than 200.
    #[error("it answered HTTP {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of what it said, printable.
        text: String,
    },
    /// `https` without certificates, or a host that no certificate can be for.
    #[error("it is https and no ca_file says whose certificates to trust")]
    NoAuthority,
    /// Files of TLS that could be used at the start, and cannot now.
    #[error("{reason}")]
    Files {
        /// Which, and why.
        reason: String,
    },
}

impl HttpFault {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoAuthority | Self::Files { .. } | Self::Redirect { .. } => Code::Misuse,
            Self::TooLarge { .. } => Code::Limit,
            _ => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_of_http_and_https_only() {
        let address = Address::parse("https://[::1]:8443/tsa?a=1").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.is_tls), ("::1", 8443, true));
        assert_eq!(Address::parse("http://tsa.example").unwrap().port, 80);
        for text in [
            "",
            "tsa.example",
            "ftp://a/",
            "http://",
            "http://user:word@a/",
            "/tsr",
            "http:///x",
            "unix:/x",
            "http://a:0",
            "http://a:65536/",
            "http://a:/",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn asks_the_platform_for_a_role_and_for_nothing_else() {
        for text in [
            "http://169.254.170.2/x",
            "http://169.254.169.254",
            "http://[fd00:ec2::23]/v1",
            "http://127.0.0.1:1/x",
        ] {
            let address = Address::of_role(text).unwrap();
            assert_eq!(address.is_role, !text.contains("127"), "{text}");
            assert_eq!(address.join("latest").unwrap().is_role, address.is_role, "{text}");
            assert_eq!(Address::parse(text).is_some(), text.contains("127"), "{text}");
        }
        for text in [
            "http://169.254.1.1/x",
            "http://10.0.0.1/x",
            "http://169.254.170.2@evil.example/x",
            "http://169.254.170.2.evil.example/x",
            "https://metadata.google.internal/x",
            "https://0xa9fea9fe/x",
        ] {
            assert_eq!(Address::of_role(text), None, "{text}");
        }
        assert!(!Address::of_role("https://roles.example/x").unwrap().is_role);
    }

    #[test]
    fn joins_a_path_with_one_slash() {
        for base in ["http://a:1", "http://a:1/", "http://a:1/x/"] {
            let joined = Address::parse(base).unwrap().join("digest").unwrap().to_string();
            assert!(joined.ends_with("/digest") && !joined.contains("//d"), "{joined}");
        }
    }

    #[test]
    fn shows_of_a_foreign_text_its_printable_beginning_only() {
        assert_eq!(shown(b"<b>\x1b[31mno\r\nway\xff"), "<b> [31mno  way");
        assert_eq!(shown(&[b'a'; 500]).len(), SHOWN_CHARS_MAX);
    }
}
