//! One export to an OpenTelemetry Collector, over gRPC or HTTP, and what became of it.
//!
//! Guarantees: an export ends within its time limit; an answer is bounded; what the Collector says it rejected is counted, and never
//! sent again (OTLP 1.x, "Partial Success"); only where it says that a second try may help is one worth it ("Failures"), and not before
//! the time that it names ("Throttling"). The file with header fields is read for each export, so that a token in it may be replaced at
//! any time.
//! Does not do: queues and second tries (`queue`).

use std::path::PathBuf;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::Code;

use crate::config::{Protocol, TelemetryConfig};
use crate::metrics::code_name;
use crate::outbound::http::{Address, CaError, Client, HttpFault, Question};
use crate::siem::otlp::status::retry_delay;
use crate::tls::{self, TlsError};
use crate::upstream::{Answer, Upstream, UpstreamError, UpstreamFault, UpstreamOptions};

/// Bytes of an answer: a partial success with a message of a page.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the file with header fields: 16 tokens of 4 KiB.
const HEADERS_BYTES_MAX: u64 = 64 * 1024;

/// The longest time that a Collector may ask to be left alone.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Bytes before each message of gRPC: one flag, four of length.
const PREFIX_BYTES: usize = 5;

const PROTOBUF: &str = "application/x-protobuf";

/// A signal of OTLP: its messages, and where they go.
pub(super) trait Signal: Send + 'static {
    /// What is sent.
    type Request: Message + 'static;
    /// What is answered.
    type Response: Message + Default;
    /// As metrics and log lines say it.
    const NAME: &'static str;
    /// The method of gRPC.
    const METHOD: &'static str;
    /// The path of HTTP, after the endpoint's.
    const PATH: &'static str;
    /// How many items the Collector rejected.
    fn rejected(response: Self::Response) -> i64;
}

/// Spans.
pub(super) enum Traces {}

impl Signal for Traces {
    type Request = ExportTraceServiceRequest;
    type Response = ExportTraceServiceResponse;
    const NAME: &'static str = "traces";
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const PATH: &'static str = "v1/traces";

    fn rejected(response: Self::Response) -> i64 {
        response.partial_success.map_or(0, |partial| partial.rejected_spans)
    }
}

/// Metrics.
pub(super) enum Measured {}

impl Signal for Measured {
    type Request = ExportMetricsServiceRequest;
    type Response = ExportMetricsServiceResponse;
    const NAME: &'static str = "metrics";
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    const PATH: &'static str = "v1/metrics";

    fn rejected(response: Self::Response) -> i64 {
        response.partial_success.map_or(0, |partial| partial.rejected_data_points)
    }
}

/// Log lines.
pub(super) enum Lines {}

impl Signal for Lines {
    type Request = ExportLogsServiceRequest;
    type Response = ExportLogsServiceResponse;
    const NAME: &'static str = "logs";
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    const PATH: &'static str = "v1/logs";

    fn rejected(response: Self::Response) -> i64 {
        response.partial_success.map_or(0, |partial| partial.rejected_log_records)
    }
}

/// The Collector. Clones stand for the same one.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    endpoint: Address,
    transport: Transport,
    headers_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum Transport {
    Grpc(Upstream),
    Http(Client),
}

impl Collector {
    /// Prepares the connection; nothing is sent.
    pub(super) fn new(config: &TelemetryConfig) -> Result<Self, CollectorError> {
        let identity = config.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        let ca = config.ca_file.as_deref();
        let transport = match config.protocol {
            Protocol::Grpc => {
                let mut options = UpstreamOptions::new(config.endpoint.to_string().trim_end_matches('/'));
                (options.connect_timeout, options.request_timeout) = (config.timeout, config.timeout);
                options.tls = ca.map(|ca| tls::client(ca, identity)).transpose()?;
                Transport::Grpc(Upstream::new(&options)?)
            }
            Protocol::Http => {
                let client = Client::showing(config.timeout, ca, identity)?;
                Transport::Http(client.keeping_connections())
            }
        };
        let collector =
            Self { endpoint: config.endpoint.clone(), transport, headers_file: config.headers_file.clone() };
        // A file that makes no sense is told at the start.
        collector.headers()?;
        Ok(collector)
    }

    /// Sends one request. Returns how many of its items the Collector rejected.
    pub(super) async fn export<S: Signal>(&self, request: &S::Request) -> Result<u64, Fault> {
        let collector = self.clone();
        let headers = tokio::task::spawn_blocking(move || collector.headers()).await;
        let headers = headers.map_err(|_| Fault::Refused("a defect; report it".to_owned()))?;
        let headers = headers.map_err(|error| Fault::later(error.to_string()))?;
        let answer = match &self.transport {
            Transport::Grpc(upstream) => over_grpc::<S>(upstream, headers, request).await?,
            Transport::Http(client) => self.over_http::<S>(client, &headers, request).await?,
        };
        let response = S::Response::decode(answer).map_err(|_| garbage())?;
        Ok(u64::try_from(S::rejected(response)).unwrap_or_default())
    }

    async fn over_http<S: Signal>(
        &self,
        client: &Client,
        headers: &HeaderMap,
        request: &S::Request,
    ) -> Result<Bytes, Fault> {
        let address =
            self.endpoint.join(S::PATH).ok_or_else(|| Fault::Refused("no such address".to_owned()))?;
        let question = Question {
            method: Method::POST,
            address,
            content_type: Some(PROTOBUF),
            accept: PROTOBUF,
            headers: headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.encode_to_vec().into(),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = client.answer(question).await.map_err(|fault| http_fault(&fault, None))?;
        let asked = answer.retry_after;
        answer.wanted().map_err(|fault| http_fault(&fault, asked))
    }

    fn headers(&self) -> Result<HeaderMap, CollectorError> {
        let Some(path) = &self.headers_file else { return Ok(HeaderMap::new()) };
        let bytes = tls::read(path, HEADERS_BYTES_MAX)?;
        let text = str::from_utf8(&bytes).ok();
        let unusable = || CollectorError::Headers { path: path.clone() };
        text.and_then(headers).ok_or_else(unusable)
    }
}

/// Header fields as `name: value`, a line each; empty lines and lines that begin with `#` say nothing.
fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

async fn over_grpc<S: Signal>(
    upstream: &Upstream,
    headers: HeaderMap,
    request: &S::Request,
) -> Result<Bytes, Fault> {
    let length = request.encoded_len();
    let prefix = u32::try_from(length).map_err(|_| Fault::Refused("more than gRPC carries".to_owned()))?;
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + length);
    body.put_u8(0);
    body.put_u32(prefix);
    request.encode(&mut body).map_err(|_| garbage())?;
    let mut call = Request::post(S::METHOD).body(()).map_err(|_| garbage())?;
    *call.headers_mut() = headers;
    call.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    call.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    let (head, ()) = call.into_parts();
    let answer =
        upstream.unary(head, body.freeze(), ANSWER_BYTES_MAX).await.map_err(|fault| match fault {
            UpstreamFault::TooLarge { .. } | UpstreamFault::NoStatus => garbage(),
            _ => Fault::later(grpc_fault(&fault)),
        })?;
    message(&answer)
}

/// The message of an answer whose status is OK. What a status says in words is the Collector's, so it is not told.
fn message(answer: &Answer) -> Result<Bytes, Fault> {
    let status = answer.status();
    match status.code() {
        Code::Ok if answer.body.first() == Some(&0) => {
            answer.body.get(PREFIX_BYTES..).map(Bytes::copy_from_slice).ok_or_else(garbage)
        }
        Code::Ok => Err(garbage()),
        code => Err(refused(code, retry_delay(status.details()))),
    }
}

/// "OTLP/gRPC Response", "Failures": these codes may be tried again, `RESOURCE_EXHAUSTED` where the Collector says when.
fn refused(code: Code, asked: Option<Duration>) -> Fault {
    let text = format!("it answered {}", code_name(code));
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Fault::Later { text, asked },
        Code::ResourceExhausted if asked.is_some() => Fault::Later { text, asked },
        _ => Fault::Refused(text),
    }
}

/// "OTLP/HTTP Response", "Failures": these statuses may be tried again, and no other.
fn http_fault(fault: &HttpFault, asked: Option<Duration>) -> Fault {
    let text = fault.to_string();
    match fault {
        HttpFault::Status { status: 429 | 502..=504, .. } => Fault::Later { text, asked },
        HttpFault::Unreachable { .. } | HttpFault::TimedOut { .. } | HttpFault::Closed => Fault::later(text),
        _ => Fault::Refused(text),
    }
}

fn grpc_fault(fault: &UpstreamFault) -> String {
    match fault {
        UpstreamFault::Unreachable(reason) => format!("it cannot be reached ({reason})"),
        UpstreamFault::TimedOut => "it did not answer in time".to_owned(),
        _ => "it closed the call before its answer was complete".to_owned(),
    }
}

fn garbage() -> Fault {
    Fault::Refused(
        "its answer is not one of OTLP; check telemetry.endpoint and telemetry.protocol".to_owned(),
    )
}

/// Why an export did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A second try may help, after a time that the Collector may have named.
    Later { text: String, asked: Option<Duration> },
    /// None will.
    Refused(String),
}

impl Fault {
    const fn later(text: String) -> Self {
        Self::Later { text, asked: None }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Later { text, .. } | Self::Refused(text) => text,
        }
    }
}

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// A certificate or a file.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authority of an `https` Collector.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// The address or the authority.
    #[error(transparent)]
    Address(#[from] UpstreamError),
    /// The file with header fields holds something else.
    #[error("{}: write a header field a line, as in \"authorization: Bearer TOKEN\"", .path.display())]
    Headers {
        /// The file.
        path: PathBuf,
    },
}

impl CollectorError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> ledgerstone::code::Code {
        ledgerstone::code::Code::Misuse
    }
}

/// How long a Collector that did not take something is left alone after try `attempt`, counted from 1, where it `asked` for so long.
pub(super) fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let own = Duration::from_secs(1 << attempt.saturating_sub(1).min(5));
    asked.map_or(own, |asked| asked.min(PAUSE_MAX).max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_header_fields_a_line_each() {
        let read = headers("# tenant\nX-Scope-OrgID: bank\n\nauthorization:Bearer a:b\n").unwrap();
        assert_eq!(
            (&read["x-scope-orgid"], &read["authorization"]),
            (&"bank".parse().unwrap(), &"Bearer a:b".parse().unwrap())
        );
        assert!(read["authorization"].is_sensitive());
        assert!(headers("").unwrap().is_empty());
        for wrong in ["authorization", "a b: c", ": c", "a: \u{7f}", "a: b\rc: d\0"] {
            assert!(headers(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn waits_longer_each_time_and_not_for_ever() {
        let seconds: Vec<u64> = (1..9).map(|attempt| pause(attempt, None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 32, 32]);
        let asked = |seconds| pause(2, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!([0, 1, 30, 600, u64::MAX].map(asked), [2, 2, 30, 600, 600]);
    }

    #[test]
    fn tries_again_what_the_protocol_says_and_nothing_else() {
        let asked = Some(Duration::from_secs(30));
        let again = |fault: &Fault| match fault {
            Fault::Later { asked, .. } => Some(*asked),
            Fault::Refused(_) => None,
        };
        for status in [429, 502, 503, 504] {
            let fault = HttpFault::Status { status, text: String::new() };
            assert_eq!(again(&http_fault(&fault, asked)), Some(asked), "{status}");
        }
        for status in [201, 400, 401, 404, 408, 413, 500, 501, 505] {
            let fault = HttpFault::Status { status, text: String::new() };
            assert_eq!(again(&http_fault(&fault, asked)), None, "{status}");
        }
        assert_eq!(again(&http_fault(&HttpFault::Closed, None)), Some(None));
        assert_eq!(again(&http_fault(&HttpFault::TooLarge { max: 1 }, None)), None);
        for code in (0..17).map(Code::from).filter(|code| *code != Code::Ok) {
            use Code::{
                Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, ResourceExhausted, Unavailable,
            };
            let always =
                [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss].contains(&code);
            assert_eq!(again(&refused(code, None)), always.then_some(None), "{code:?}");
            let where_told = always || code == ResourceExhausted;
            assert_eq!(again(&refused(code, asked)), where_told.then_some(asked), "{code:?}");
        }
    }

    #[test]
    fn takes_the_time_to_wait_out_of_the_trailers_of_grpc() {
        // google.rpc.Status { code: 8, details: [RetryInfo { retry_delay: 3 s }] }
        let info = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x03";
        let status = [&[0x08, 8, 0x1a, u8::try_from(info.len()).unwrap()][..], &info[..]].concat();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("8"));
        let bytes = tonic::metadata::BinaryMetadataValue::from_bytes(&status);
        trailers
            .insert("grpc-status-details-bin", HeaderValue::from_bytes(bytes.as_encoded_bytes()).unwrap());
        let (head, ()) = http::Response::new(()).into_parts();
        let answer = Answer { head, body: Bytes::new(), trailers: Some(trailers) };
        let asked = Some(Duration::from_secs(3));
        assert_eq!(
            message(&answer),
            Err(Fault::Later { text: "it answered RESOURCE_EXHAUSTED".to_owned(), asked })
        );
    }
}
