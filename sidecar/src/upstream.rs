//! The model server: one HTTP/2 connection to it, opened at the first call and again when it breaks.
//!
//! Guarantees: bytes go out and come back as they are; every way in which the model server can fail to answer has its own
//! `UpstreamFault` with a gRPC status and a text that says what happened; a call is never sent twice, because a
//! decision must not be made twice behind the caller's back.
//! Does not do: recording, retries, choosing between several model servers.

use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use ledgerstone::code::Code;
use ledgerstone::grpc;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tower::{Service as _, ServiceExt as _};

use crate::intercept::body::Replay;
use crate::outbound;
use crate::outbound::http::Address;

/// Flow-control window of one call: an answer of this size needs no round trip to grow it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Flow-control window of the connection: so many full calls do not wait for each other.
const CONNECTION_WINDOW_BYTES: u32 = 16 * STREAM_WINDOW_BYTES;

/// Silence after which the operating system checks that the connection still stands. HTTP/2 pings are not used: model
/// servers on gRPC's C core answer more than two pings without data within five minutes by closing the connection.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Where the model server is and how long it may take.
#[derive(Clone)]
#[non_exhaustive]
pub struct UpstreamOptions {
    /// `http://host:port`, `https://host:port` or `unix:/path`.
    pub address: String,
    /// How long opening the connection may take.
    pub connect_timeout: Duration,
    /// How long one whole call may take.
    pub request_timeout: Duration,
    /// For `https`: the certificate authority of the model server, and what is shown to it.
    pub tls: Option<ClientTlsConfig>,
}

impl UpstreamOptions {
    /// A model server at `address`: one second to connect, thirty to answer.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            tls: None,
        }
    }
}

impl fmt::Debug for UpstreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // TLS may hold a private key.
        f.debug_struct("UpstreamOptions").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The model server; a clone is the same one.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// What new calls go over.
    channel: watch::Sender<Channel>,
    request_timeout: Duration,
}

/// A complete answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Upstream {
    /// Prepares the connection; nothing is sent before the first call.
    ///
    /// # Errors
    /// [`UpstreamError`] if the address or the certificate authority cannot be used.
    pub fn new(options: &UpstreamOptions) -> Result<Self, UpstreamError> {
        Ok(Self { channel: watch::Sender::new(channel(options)?), request_timeout: options.request_timeout })
    }

    /// Sends new calls as `options` say, over a connection of their own; those in flight end on the old one.
    ///
    /// # Errors
    /// As [`Upstream::new`]; nothing changes then.
    pub fn replace(&self, options: &UpstreamOptions) -> Result<(), UpstreamError> {
        self.channel.send_replace(channel(options)?);
        Ok(())
    }

    /// Sends a call and returns its answer as soon as that begins; the bodies stream.
    pub(crate) async fn stream(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamFault> {
        let mut channel = self.channel.borrow().clone();
        let answer = async {
            let channel = channel.ready().await.map_err(|error| fault(&error))?;
            channel.call(request).await.map_err(|error| fault(&error))
        };
        tokio::time::timeout(self.request_timeout, answer).await.unwrap_or(Err(UpstreamFault::TimedOut))
    }

    /// Sends a unary call and returns its complete answer, at most `bytes_max` bytes of body.
    pub(crate) async fn unary(
        &self,
        head: http::request::Parts,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Answer, UpstreamFault> {
        let request = Request::from_parts(head, Body::new(Replay::new(body, None)));
        let exchange = async {
            let (head, body) = self.stream(request).await?.into_parts();
            let (body, trailers) = collect(body, bytes_max).await.map_err(|error| match error {
                CollectError::TooLarge => UpstreamFault::TooLarge { max: bytes_max },
                CollectError::Broken => UpstreamFault::Closed,
            })?;
            let answer = Answer { head, body, trailers };
            answer.has_status().then_some(answer).ok_or(UpstreamFault::NoStatus)
        };
        tokio::time::timeout(self.request_timeout, exchange).await.unwrap_or(Err(UpstreamFault::TimedOut))
    }
}

impl Answer {
    /// The gRPC status of the answer; one that is not HTTP 200 says it by its HTTP status.
    pub(crate) fn status(&self) -> Status {
        let trailers = self.trailers.as_ref().and_then(status_in);
        trailers.or_else(|| status_in(&self.head.headers)).unwrap_or_else(|| http_status(self.head.status))
    }

    fn has_status(&self) -> bool {
        let there = |headers: &HeaderMap| headers.contains_key("grpc-status");
        self.head.status != http::StatusCode::OK
            || there(&self.head.headers)
            || self.trailers.as_ref().is_some_and(there)
    }
}

/// The connection to the model server, which is opened at the first call.
fn channel(options: &UpstreamOptions) -> Result<Channel, UpstreamError> {
    let address = &options.address;
    let unusable = || UpstreamError::Address { address: address.clone() };
    let secure = address.starts_with("https://");
    let is_socket = address.starts_with("unix:");
    if !is_socket && Address::parse(address).is_none() {
        return Err(unusable());
    }
    let mut endpoint = Endpoint::from_shared(address.clone())
        .map_err(|_| unusable())?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    if secure {
        let tls = options.tls.clone().ok_or(UpstreamError::NoAuthority)?;
        endpoint = endpoint.tls_config(tls).map_err(|_| UpstreamError::Authority)?;
    }
    Ok(match is_socket {
        true => endpoint.connect_lazy(),
        false => endpoint.connect_with_connector_lazy(connector(options.connect_timeout)),
    })
}

/// Connects to what the model server's name leads to, as far as that may be asked ([`outbound`]).
fn connector(limit: Duration) -> HttpConnector<Screened> {
    let mut connector = HttpConnector::new_with_resolver(Screened);
    // TLS is added around it.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector.set_connect_timeout(Some(limit));
    connector
}

/// Resolves names, and leaves out addresses that are never asked.
#[derive(Clone, Debug)]
struct Screened;

impl tower::Service<Name> for Screened {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        // The connector puts the port in.
        Box::pin(async move { Ok(outbound::resolve(name.as_str(), 0).await?.into_iter()) })
    }
}

/// The gRPC status that headers or trailers say.
fn status_in(headers: &HeaderMap) -> Option<Status> {
    let mut headers = headers.clone();
    grpc::screen(&mut headers);
    Status::from_header_map(&headers)
}

/// How gRPC reads an HTTP status that is not 200 ("HTTP to gRPC Status Code Mapping").
fn http_status(status: http::StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => tonic::Code::Internal,
        401 => tonic::Code::Unauthenticated,
        403 => tonic::Code::PermissionDenied,
        404 => tonic::Code::Unimplemented,
        429 | 502 | 503 | 504 => tonic::Code::Unavailable,
        _ => tonic::Code::Unknown,
    };
    Status::new(code, format!("the model server answered HTTP {status}"))
}

/// Why a body could not be collected.
#[derive(Debug)]
pub(crate) enum CollectError {
    /// It is larger than the limit.
    TooLarge,
    /// It ended with an error.
    Broken,
}

/// Collects a body of at most `bytes_max` bytes with its trailers.
pub(crate) async fn collect(
    mut body: Body,
    bytes_max: usize,
) -> Result<(Bytes, Option<HeaderMap>), CollectError> {
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let data = match frame.map_err(|_| CollectError::Broken)?.into_data() {
            Ok(data) => data,
            Err(other) => {
                trailers = other.into_trailers().ok();
                continue;
            }
        };
        if whole.len() + pieces.len() + data.len() > bytes_max {
            return Err(CollectError::TooLarge);
        }
        if whole.is_empty() && pieces.is_empty() {
            whole = data;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&data);
        }
    }
    let body = if pieces.is_empty() { whole } else { pieces.freeze() };
    Ok((body, trailers))
}

/// How the model server failed to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamFault {
    /// No connection.
    #[error("the model server cannot be reached ({0}); nothing was decided, try again")]
    Unreachable(String),
    /// No complete answer in time.
    #[error(
        "the model server did not answer in time; whether it decided is not known; try again, or raise upstream.request_timeout"
    )]
    TimedOut,
    /// The connection or the call broke before the answer was complete.
    #[error(
        "the model server closed the call before its answer was complete; whether it decided is not known; try again"
    )]
    Closed,
    /// The answer ended without saying whether it is one.
    #[error(
        "the model server ended its answer without a gRPC status; whether it decided is not known; try again"
    )]
    NoStatus,
    /// The answer is larger than the limit.
    #[error("the model server's answer is larger than {max} bytes; raise limits.message_bytes_max")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

impl UpstreamFault {
    /// The status that the caller gets.
    pub(crate) fn status(&self) -> Status {
        let code = match self {
            Self::Unreachable(_) | Self::Closed | Self::NoStatus => tonic::Code::Unavailable,
            Self::TimedOut => tonic::Code::DeadlineExceeded,
            Self::TooLarge { .. } => tonic::Code::ResourceExhausted,
        };
        Status::new(code, self.to_string())
    }
}

fn fault(error: &tonic::transport::Error) -> UpstreamFault {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<tonic::TimeoutExpired>() {
            return UpstreamFault::TimedOut;
        }
        if cause.is::<tonic::ConnectError>() {
            return UpstreamFault::Unreachable(innermost(cause));
        }
        source = cause.source();
    }
    UpstreamFault::Closed
}

/// The text of the first cause: "connection refused" says more than "transport error".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Why the upstream could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Not an address.
    #[error("upstream address {:?}: write http://HOST:PORT, https://HOST:PORT or unix:/PATH", outbound::shown(.address))]
    Address {
        /// The address as written.
        address: String,
    },
    /// `https` without a certificate authority.
    #[error("an https upstream needs the certificate authority of its certificate")]
    NoAuthority,
    /// The certificate authority, or the certificate and key that are shown, are not PEM or do not belong together.
    #[error(
        "the certificate authority of the upstream, or the certificate and key that are shown to it, cannot be used; they must be PEM, and the key must belong to the certificate"
    )]
    Authority,
}

impl UpstreamError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::Misuse
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The status of an answer whose trailers, or else head, say 3 with these details.
    fn status(details: &'static str, in_trailers: bool) -> Status {
        let mut said = HeaderMap::new();
        said.insert("grpc-status", HeaderValue::from_static("3"));
        said.insert("grpc-message", HeaderValue::from_static("no"));
        said.insert("grpc-status-details-bin", HeaderValue::from_static(details));
        let (mut head, ()) = Response::new(()).into_parts();
        let trailers = if in_trailers {
            Some(said)
        } else {
            head.headers = said;
            None
        };
        Answer { head, body: Bytes::new(), trailers }.status()
    }

    #[test]
    fn details_that_are_no_base64_leave_the_status_as_it_is() {
        let cases: [(&str, &[u8]); 6] =
            [("?", b""), ("=", b""), ("AAA\t", b""), ("", b""), ("CAM=", b"\x08\x03"), ("CAM", b"\x08\x03")];
        for in_trailers in [true, false] {
            for (details, read) in cases {
                let status = status(details, in_trailers);
                assert_eq!(
                    (status.code(), status.message()),
                    (tonic::Code::InvalidArgument, "no"),
                    "{details}"
                );
                assert_eq!(status.details(), read, "{details}");
            }
        }
    }
}
