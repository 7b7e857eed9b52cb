//! The sink that exports log records over OTLP, by gRPC or as protobuf over HTTP.
//!
//! Guarantees: an event is delivered when the receiver has answered the request with success and rejected none of its records; a request
//! is bounded; how long a receiver asks to be left alone is kept to; a connection on which a delivery was given up is not used again.
//! Implements OTLP 1.10 ("OTLP/gRPC", "OTLP/HTTP", "Failures").
//! Does one thing otherwise: a request of which a part was rejected is sent again, in halves, until the rejected record is found, because
//! going on would lose events silently; records have a `log.record.uid`, by which a receiver may drop what it has. At most twice as many
//! records as the request had are sent to find one; the one that was found is then sent alone.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderValue, Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use ledgerstone::grpc::{Screened, screened};
use ledgerstone::siem::{EventId, LogRecord as Record, OtlpValue};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;
use tower::service_fn;
use zeroize::Zeroizing;

use super::dial;
use super::hec::gzip;
use super::sink::{Rendered, Said, Sink, SinkError, SinkFault};
use super::webhook::fault;
use crate::config::siem::{OtlpConfig, OtlpProtocol, SinkConfig};
use crate::keyring::SecretSource;
use crate::outbound::http::{Address, Answer, Client, Question};

pub mod status;

use status::retry_delay;

/// Bytes of the records of one request. Receivers over gRPC take messages of 4 MiB unless they say otherwise.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of an answer: a message of a person's length.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest time that a receiver may ask to be left alone.
const PAUSE_MAX: Duration = Duration::from_secs(600);

const METHOD: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.logs.v1.LogsService/Export");

/// How a receiver is reached.
#[derive(Debug)]
enum Carrier {
    /// gRPC over HTTP/2: what a channel is made of, and the one that answered last.
    Grpc(OtlpConfig, Option<Screened>),
    /// Protobuf over HTTP/1.1, and where to.
    Http(Client, Address),
}

/// An exporter.
pub(super) struct Otlp {
    carrier: Carrier,
    /// Goes along as `Authorization: Bearer`.
    token: Option<SecretSource>,
    is_compressed: bool,
    resource: Resource,
    scope: InstrumentationScope,
    /// Until when the receiver asked to be left alone.
    not_before: Option<Instant>,
    /// The event whose record was rejected when it was sent alone.
    rejected: Option<EventId>,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}

impl Otlp {
    /// An exporter that connects when it has something to export. Reads the files of TLS, so that a wrong one is known before.
    pub(super) fn new(otlp: &OtlpConfig, sink: &SinkConfig) -> Result<Self, SinkFault> {
        let carrier = match otlp.protocol {
            OtlpProtocol::Grpc => Carrier::Grpc(otlp.clone(), Some(channel(otlp)?)),
            OtlpProtocol::HttpProtobuf => {
                let client = dial::http(sink.timeout, &otlp.tls)?;
                let address = otlp.url.join("v1/logs");
                Carrier::Http(
                    client,
                    address.ok_or_else(|| setting("siem.url", "no path can be behind it".to_owned()))?,
                )
            }
        };
        let service = vec![key_value("service.name", Value::StringValue("ledgerstone".to_owned()))];
        let scope = InstrumentationScope {
            name: "ledgerstone".to_owned(),
            version: ledgerstone::siem::MODEL_VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        let resource = Resource { attributes: service, ..Resource::default() };
        let (token, is_compressed) = (otlp.token.clone(), otlp.is_compressed);
        Ok(Self { carrier, token, is_compressed, resource, scope, not_before: None, rejected: None })
    }

    /// Sends records. Whether the receiver rejected some of them.
    async fn export(&mut self, records: Vec<LogRecord>) -> Result<Option<SinkFault>, SinkFault> {
        let sent = records.len();
        let logs =
            ScopeLogs { scope: Some(self.scope.clone()), log_records: records, schema_url: String::new() };
        let logs = ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs: vec![logs],
            schema_url: String::new(),
        };
        let request = ExportLogsServiceRequest { resource_logs: vec![logs] };
        let exported = match &mut self.carrier {
            Carrier::Grpc(otlp, kept) => {
                // Put back when there was an answer: one that stays away for good takes its connection with it.
                let channel = kept.take().map_or_else(|| channel(otlp), Ok)?;
                let exported = self.by_grpc(channel.clone(), request).await;
                if let Carrier::Grpc(_, kept) = &mut self.carrier {
                    *kept = Some(channel);
                }
                exported
            }
            Carrier::Http(client, address) => {
                let (client, address) = (client.clone(), address.clone());
                self.by_http(&client, &address, &request).await
            }
        };
        let response = exported.map_err(|Refusal { fault, pause }| {
            self.not_before = pause.map(|pause| Instant::now() + pause.min(PAUSE_MAX));
            fault
        })?;
        let Some(partial) = response.partial_success else { return Ok(None) };
        if partial.rejected_log_records == 0 {
            // "A warning": everything was accepted.
            if !partial.error_message.is_empty() {
                tracing::warn!(said = %Said::of(partial.error_message.as_bytes()), "an OTLP receiver accepted events and warns");
            }
            return Ok(None);
        }
        let (rejected, said) = (partial.rejected_log_records, partial.error_message);
        let said = Said::of(format!("{rejected} of {sent} records rejected: {said}").as_bytes());
        Ok(Some(SinkFault::Refused { said }))
    }

    async fn by_grpc(
        &self,
        channel: Screened,
        request: ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Refusal> {
        // Receivers compress their answers where the request is compressed.
        let grpc = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let mut grpc = grpc.accept_compressed(CompressionEncoding::Gzip);
        if self.is_compressed {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        let mut request = Request::new(request);
        if let Some(bearer) = self.bearer()? {
            let mut value = MetadataValue::try_from(bearer.as_str()).map_err(|_| no_token())?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        grpc.ready().await.map_err(|error| SinkFault::Unreachable { reason: root_of(&error) })?;
        let codec = ProstCodec::<ExportLogsServiceRequest, ExportLogsServiceResponse>::default();
        let answer = grpc.unary(request, METHOD, codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Refusal::of_status(&status))
    }

    async fn by_http(
        &self,
        client: &Client,
        address: &Address,
        request: &ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Refusal> {
        let mut body = Bytes::from(request.encode_to_vec());
        let mut headers = Vec::new();
        if self.is_compressed {
            headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            body = gzip(&body)?;
        }
        if let Some(bearer) = self.bearer()? {
            let mut value = HeaderValue::from_str(&bearer).map_err(|_| no_token())?;
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        let bytes = body.len();
        let question = Question {
            method: Method::POST,
            address: address.clone(),
            content_type: Some("application/x-protobuf"),
            accept: "application/x-protobuf",
            headers,
            body,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = client.answer(question).await.map_err(fault)?;
        if answer.status != StatusCode::OK {
            return Err(Refusal::of_answer(&answer, bytes));
        }
        let garbage = |_| SinkFault::Garbage { expected: "an answer of OTLP", said: Said::of(&answer.body) };
        Ok(ExportLogsServiceResponse::decode(&*answer.body).map_err(garbage)?)
    }

    fn bearer(&self) -> Result<Option<Zeroizing<String>>, SinkFault> {
        let Some(token) = &self.token else { return Ok(None) };
        let token = token.read().map_err(|error| setting("siem.token_file", error.to_string()))?;
        Ok(Some(Zeroizing::new(format!("Bearer {}", *token))))
    }
}

#[tonic::async_trait]
impl Sink for Otlp {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let left = self.not_before.map(|instant| instant.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            let said =
                Said::of(format!("it asked to be left alone for {} s more", left.as_secs() + 1).as_bytes());
            return Err(SinkFault::Busy { said }.into());
        }
        self.not_before = None;
        let first = batch.first().map(|rendered| rendered.event.id());
        let mut accepted = 0;
        // Records of one request, and up to where that holds: where some of a request were rejected, half of it.
        let (mut most, mut until) = (usize::MAX, 0);
        if self.rejected.is_some() && self.rejected == first {
            (most, until) = (1, 1);
        }
        while let Some(rest) = batch.get(accepted..).filter(|rest| !rest.is_empty()) {
            if accepted >= until {
                most = usize::MAX;
            }
            let records = fitting(rest, most);
            let count = records.len();
            match self.export(records).await {
                Ok(None) => accepted += count,
                Ok(Some(_)) if count > 1 => (most, until) = (count.div_ceil(2), accepted + count),
                Ok(Some(fault)) => {
                    self.rejected = rest.first().map(|rendered| rendered.event.id());
                    return Err(SinkError { accepted, fault });
                }
                Err(fault) => return Err(SinkError { accepted, fault }),
            }
        }
        Ok(())
    }
}

/// The records of the first events that fit into one request, at most `most` of them; at least one.
fn fitting(events: &[Rendered], most: usize) -> Vec<LogRecord> {
    let mut bytes = 0;
    let fits = |record: &LogRecord| {
        bytes += record.encoded_len() + 8;
        bytes <= REQUEST_BYTES_MAX
    };
    let mut records: Vec<LogRecord> = events.iter().take(most).map(record).take_while(fits).collect();
    if records.is_empty() {
        records.extend(events.first().map(record));
    }
    records
}

/// Why a request was not accepted, and how long to wait where that was said.
struct Refusal {
    fault: SinkFault,
    pause: Option<Duration>,
}

impl From<SinkFault> for Refusal {
    fn from(fault: SinkFault) -> Self {
        Self { fault, pause: None }
    }
}

impl Refusal {
    /// OTLP's table of gRPC codes that may be tried again; `RESOURCE_EXHAUSTED` only with a `RetryInfo`.
    fn of_status(status: &tonic::Status) -> Self {
        use tonic::Code as Grpc;
        // What this side says itself has a cause: no connection, or no HTTP/2.
        if let Some(cause) = std::error::Error::source(status) {
            return SinkFault::Unreachable { reason: root_of(cause) }.into();
        }
        let said = Said::of(format!("{:?}: {}", status.code(), status.message()).as_bytes());
        let pause = retry_delay(status.details());
        let fault = match status.code() {
            Grpc::Unauthenticated | Grpc::PermissionDenied => SinkFault::Denied { said },
            Grpc::Cancelled
            | Grpc::DeadlineExceeded
            | Grpc::Aborted
            | Grpc::OutOfRange
            | Grpc::Unavailable
            | Grpc::DataLoss => SinkFault::Busy { said },
            Grpc::ResourceExhausted if pause.is_some() => SinkFault::Busy { said },
            Grpc::Unknown | Grpc::Internal => {
                SinkFault::Garbage { expected: "an answer of OTLP over gRPC", said }
            }
            _ => SinkFault::Refused { said },
        };
        Self { fault, pause }
    }

    /// OTLP's list of HTTP statuses that may be tried again: 429, 502, 503 and 504.
    fn of_answer(answer: &Answer, bytes: usize) -> Self {
        let words = status::message(&answer.body).unwrap_or_default();
        let said = Said::of(format!("HTTP {} {words}", answer.status.as_u16()).as_bytes());
        let fault = match answer.status.as_u16() {
            401 | 403 => SinkFault::Denied { said },
            429 | 502..=504 => SinkFault::Busy { said },
            413 => SinkFault::TooLarge { bytes, bytes_max: None },
            400..=599 => SinkFault::Refused { said },
            _ => SinkFault::Garbage { expected: "an answer of OTLP over HTTP", said },
        };
        Self { fault, pause: answer.retry_after }
    }
}

/// A channel that connects when it is used. What is TLS and what is not, the connector decides.
fn channel(otlp: &OtlpConfig) -> Result<Screened, SinkFault> {
    let url = otlp.url.clone();
    let files = otlp.tls.clone();
    dial::check(&files, std::slice::from_ref(&url))?;
    let unusable = |_| setting("siem.url", "it is no address of a gRPC server".to_owned());
    let origin: Uri = url.to_string().parse().map_err(|_| setting("siem.url", "it is no URL".to_owned()))?;
    let plain = url.to_string().replacen("https://", "http://", 1);
    let endpoint = Endpoint::from_shared(plain).map_err(unusable)?.origin(origin);
    Ok(screened(endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let (url, files) = (url.clone(), files.clone());
        async move {
            let stream = dial::open(&url).await?;
            let stream =
                if url.is_tls() { dial::secure(stream, &url, &files, &[b"h2"]).await? } else { stream };
            Ok::<_, SinkFault>(TokioIo::new(stream))
        }
    }))))
}

/// The record that tells an event. It is observed when it is recorded.
fn record(rendered: &Rendered) -> LogRecord {
    let record = Record::of(&rendered.event);
    let value = |value| match value {
        OtlpValue::Int(value) => Value::IntValue(value),
        OtlpValue::Bool(value) => Value::BoolValue(value),
        OtlpValue::Text(value) => Value::StringValue(value),
    };
    let attributes = record.attributes.into_iter().map(|(key, of)| key_value(&key, value(of))).collect();
    let (trace_id, span_id) =
        record.trace.map(|trace| (trace.trace_id.to_vec(), trace.span_id.to_vec())).unwrap_or_default();
    LogRecord {
        time_unix_nano: record.time_unix_nano,
        observed_time_unix_nano: record.time_unix_nano,
        severity_number: record.severity_number.into(),
        severity_text: record.severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(record.body.to_owned())) }),
        event_name: record.event_name,
        attributes,
        trace_id,
        span_id,
        ..LogRecord::default()
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The innermost cause: what the operating system or TLS says.
fn root_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    match root.downcast_ref() {
        Some(SinkFault::Unreachable { reason }) => reason.clone(),
        _ => root.to_string(),
    }
}

fn setting(what: &'static str, reason: String) -> SinkFault {
    SinkFault::Setting { what, reason }
}

fn no_token() -> SinkFault {
    setting("siem.token_file", "it holds no token".to_owned())
}
