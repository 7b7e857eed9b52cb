//! The sink that posts to the HTTP Event Collector of a Splunk.
//!
//! Guarantees: with indexer acknowledgement an event is delivered when its request's `ackId` is reported as indexed, never because the
//! answer was 200; what is not reported in time is sent again, each event with the same `event_id`; a body is bounded.
//! Implements Splunk's "Format events for HTTP Event Collector" and "About HTTP Event Collector Indexer Acknowledgment".
//! Does not do: the raw endpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderName, HeaderValue, Method};
use ledgerstone::siem::Format;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::dial;
use super::sink::{Rendered, Said, Sink, SinkError, SinkFault};
use super::webhook::fault;
use crate::config::siem::{HecConfig, SinkConfig};
use crate::outbound::http::{Address, Answer, Client, Question};

/// Bytes of one request before it is compressed. Splunk takes 800 MB; older ones, and those in its cloud, 1 MB.
const BODY_BYTES_MAX: usize = 1_000_000;

/// Bytes of an answer: 4,096 acknowledgements at 20 bytes are 80 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Until the first question whether events are indexed; doubled up to [`POLL_MAX`].
const POLL_MIN: Duration = Duration::from_millis(250);

/// Between two questions. Splunk asks for no more often than needed, and recommends ten seconds.
const POLL_MAX: Duration = Duration::from_secs(5);

const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

/// A client of one collector.
pub(super) struct Hec {
    config: HecConfig,
    client: Client,
    /// Whether the text of an event is JSON.
    is_json: bool,
    /// How long to wait for acknowledgements.
    patience: Duration,
    /// What acknowledgements are counted under; drawn at the start, so that no other client uses up ours.
    channel: HeaderValue,
    events: Address,
    acks: Address,
}

impl std::fmt::Debug for Hec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hec")
            .field("config", &self.config)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// What a collector answers to events.
#[derive(Debug, Default, Deserialize)]
struct Posted {
    #[serde(default)]
    text: String,
    code: Option<u16>,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    invalid: Option<u64>,
}

/// What it answers to the question which requests are indexed.
#[derive(Debug, Deserialize)]
struct Acks {
    acks: BTreeMap<String, bool>,
}

/// One request that was accepted.
struct Request {
    ack_id: u64,
    /// How many events of the batch are in it and in those before.
    until: usize,
    is_indexed: bool,
}

impl Hec {
    /// A client that gives acknowledgements nine tenths of the time of a delivery, so that there is some left to say which did not come.
    pub(super) fn new(hec: &HecConfig, sink: &SinkConfig) -> Result<Self, SinkFault> {
        let (config, client) = (hec.clone(), dial::http(sink.timeout, &hec.tls)?);
        let channel = uuid::Builder::from_random_bytes(dial::random()?).into_uuid().to_string();
        let channel = HeaderValue::from_str(&channel).map_err(|_| address("no channel"))?;
        let join = |rest| config.url.join(rest).ok_or_else(|| address("no path can be behind it"));
        let (events, acks) = (join("services/collector/event")?, join("services/collector/ack")?);
        let is_json = sink.format.is_some_and(Format::is_json);
        Ok(Self { config, client, is_json, patience: sink.timeout * 9 / 10, channel, events, acks })
    }

    /// Posts what fits into one request; how many events that were, and the `ackId`.
    async fn post(&self, events: &[Rendered]) -> Result<(usize, Option<u64>), SinkFault> {
        let mut body = String::new();
        let mut count = 0;
        for event in events {
            let written = self.written(event);
            if count > 0 && body.len() + written.len() > BODY_BYTES_MAX {
                break;
            }
            body.push_str(&written);
            count += 1;
        }
        let bytes = body.len();
        let mut headers = Vec::new();
        let mut body = Bytes::from(body);
        if self.config.is_compressed {
            headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            body = gzip(&body)?;
        }
        let answer = self.ask(&self.events, headers, body).await?;
        let posted: Option<Posted> = serde_json::from_slice(&answer.body).ok();
        match posted {
            // 24 and 25 say that the collector took it and is nearly full.
            Some(Posted { code: Some(0 | 24 | 25), ack_id, .. }) if answer.status.is_success() => {
                Ok((count, ack_id))
            }
            posted => Err(refused(&answer, posted.unwrap_or_default(), bytes)),
        }
    }

    /// An event as the collector wants it.
    fn written(&self, Rendered { event, text }: &Rendered) -> String {
        let HecConfig { index, source, sourcetype, host, .. } = &self.config;
        let millis = event.time().get();
        let mut written = format!("{{\"time\":{}.{:03}", millis / 1000, millis % 1000);
        let named = [("index", index), ("source", source), ("sourcetype", sourcetype), ("host", host)];
        for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            _ = write!(written, ",\"{name}\":{}", json!(value));
        }
        let mut fields =
            json!({ "event_id": event.id().to_string(), "log_id": event.log().id().to_string() });
        if let Some((leaf, fields)) = event.leaf().zip(fields.as_object_mut()) {
            fields.insert("leaf_index".to_owned(), json!(leaf.index.get()));
            fields.insert("leaf_hash".to_owned(), json!(leaf.hash.to_string()));
        }
        _ = write!(written, ",\"fields\":{fields},\"event\":");
        if self.is_json {
            written.push_str(text)
        } else {
            _ = write!(written, "{}", json!(text))
        }
        written.push('}');
        written
    }

    /// Asks until every request is indexed, or there is no more time.
    async fn wait_for(&self, requests: &mut [Request], begin: Instant) -> Result<(), SinkFault> {
        let mut pause = POLL_MIN;
        loop {
            sleep(pause.min(self.patience.saturating_sub(begin.elapsed()))).await;
            pause = (pause * 2).min(POLL_MAX);
            let waited_for: Vec<u64> =
                requests.iter().filter(|request| !request.is_indexed).map(|request| request.ack_id).collect();
            match self.acknowledged(&waited_for).await {
                Ok(acks) => {
                    for request in requests.iter_mut() {
                        request.is_indexed |= acks.get(&request.ack_id.to_string()) == Some(&true);
                    }
                }
                // It is asked again: what it took is being indexed all the same. It forgets what it has said, so its answer may be lost.
                Err(fault) if fault.may_pass() => {}
                Err(fault) => return Err(fault),
            }
            if requests.iter().all(|request| request.is_indexed) {
                return Ok(());
            }
            if begin.elapsed() >= self.patience {
                return Err(SinkFault::Unconfirmed {
                    reason: "the indexer did not acknowledge them in time",
                });
            }
        }
    }

    /// Asks once which requests are indexed. Whether a collector takes that compressed, Splunk does not say.
    async fn acknowledged(&self, ack_ids: &[u64]) -> Result<BTreeMap<String, bool>, SinkFault> {
        let question = json!({ "acks": ack_ids }).to_string();
        let answer = self.ask(&self.acks, Vec::new(), Bytes::from(question)).await?;
        let acks: Option<Acks> = serde_json::from_slice(&answer.body).ok();
        let said = || -> Posted { serde_json::from_slice(&answer.body).unwrap_or_default() };
        let acks = acks.filter(|_| answer.status.is_success());
        acks.map(|Acks { acks }| acks).ok_or_else(|| refused(&answer, said(), 0))
    }

    async fn ask(
        &self,
        address: &Address,
        mut headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, SinkFault> {
        let token = self
            .config
            .token
            .read()
            .map_err(|error| SinkFault::Setting { what: "siem.token_file", reason: error.to_string() })?;
        let authorization = Zeroizing::new(format!("Splunk {}", *token));
        let mut authorization = HeaderValue::from_str(&authorization).map_err(|_| SinkFault::Setting {
            what: "siem.token_file",
            reason: "it holds no token".to_owned(),
        })?;
        authorization.set_sensitive(true);
        headers.extend([(AUTHORIZATION, authorization), (CHANNEL, self.channel.clone())]);
        let question = Question {
            method: Method::POST,
            address: address.clone(),
            content_type: Some("application/json"),
            accept: "application/json",
            headers,
            body,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        self.client.answer(question).await.map_err(fault)
    }
}

#[tonic::async_trait]
impl Sink for Hec {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let begin = Instant::now();
        let mut requests = Vec::new();
        let mut posted = 0;
        while let Some(rest) = batch.get(posted..).filter(|rest| !rest.is_empty()) {
            let (count, ack_id) = self.post(rest).await?;
            posted += count;
            match (self.config.is_acknowledged, ack_id) {
                (true, Some(ack_id)) => requests.push(Request { ack_id, until: posted, is_indexed: false }),
                (true, None) => {
                    let reason = "the collector answers without an ackId: turn on indexer acknowledgement for this token, or set it to \"none\"";
                    return Err(SinkFault::Setting {
                        what: "siem.acknowledgement",
                        reason: reason.to_owned(),
                    }
                    .into());
                }
                (false, _) => {}
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        self.wait_for(&mut requests, begin).await.map_err(|fault| {
            let indexed = requests.iter().take_while(|request| request.is_indexed).last();
            SinkError { accepted: indexed.map_or(0, |request| request.until), fault }
        })
    }
}

/// What a refusal means: Splunk's "HTTP Event Collector error codes", and for a proxy in between the status.
fn refused(answer: &Answer, posted: Posted, bytes: usize) -> SinkFault {
    let status = answer.status.as_u16();
    let said = match posted.code {
        None => Said::of(&[format!("HTTP {status}: ").as_bytes(), &answer.body].concat()),
        Some(code) => {
            let event =
                posted.invalid.map_or(String::new(), |number| format!(", event {number} of the request"));
            Said::of(format!("{} (code {code}{event})", posted.text).as_bytes())
        }
    };
    match (posted.code, status) {
        (Some(14), _) => {
            let reason = "the token has no indexer acknowledgement: turn it on, or set it to \"none\"";
            SinkFault::Setting { what: "siem.acknowledgement", reason: reason.to_owned() }
        }
        (_, 413) => SinkFault::TooLarge { bytes, bytes_max: None },
        // Disabled, missing, invalid tokens; authorisation in the query.
        (Some(1..=4 | 16 | 21 | 22), _) | (None, 401 | 403 | 407) => SinkFault::Denied { said },
        // An internal error, busy, unhealthy, shutting down, full.
        (Some(8 | 9 | 18..=20 | 23..), _) | (None, 408 | 429 | 500..) => SinkFault::Busy { said },
        (None, 400..=499) | (Some(5..=7 | 10..=13 | 15), _) => SinkFault::Refused { said },
        _ => SinkFault::Garbage { expected: "an answer of an HTTP Event Collector", said },
    }
}

/// The bytes as gzip has them.
pub(super) fn gzip(bytes: &[u8]) -> Result<Bytes, SinkFault> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}

fn address(reason: &str) -> SinkFault {
    SinkFault::Setting { what: "siem.url", reason: reason.to_owned() }
}
