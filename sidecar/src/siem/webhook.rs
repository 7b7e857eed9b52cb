//! An HTTP receiver of batches, signed with a shared secret.
//!
//! Guarantees: a batch is accepted when the receiver answered 2xx, and nothing else is taken for that; no redirect is followed; the
//! same events in the same batch have the same `webhook-id`, and each event its own id, so that a receiver can refuse what it has seen.
//! Source: Standard Webhooks 1.0.0, "Signature scheme", "Webhook headers" and "Delivery success and failure": `webhook-id`, `webhook-timestamp` (seconds since 1970),
//! `webhook-signature` = `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
//! Does not do: judging the receiver's clock; it refuses timestamps that are too old, by its own.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use ledgerstone::encoding::{base64_decode, base64_encode, hex_encode};
use ledgerstone::hash::{HmacKey, StreamHasher};
use zeroize::Zeroizing;

use super::dial;
use super::sink::{Rendered, Said, Sink, SinkError, SinkFault};
use crate::config::siem::{SinkConfig, WebhookConfig};
use crate::driver::Clock;
use crate::keyring::SecretSource;
use crate::outbound::http::{Address, Client, HttpFault, Question};

/// Bytes of an answer, none of which are needed.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What every secret begins with (Standard Webhooks, "Symmetric").
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a secret, as Standard Webhooks has them: between 24 and 64.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A receiver of signed batches.
pub(super) struct WebhookSink {
    url: Address,
    secret: SecretSource,
    client: Client,
    clock: Clock,
}

impl WebhookSink {
    pub(super) fn new(webhook: &WebhookConfig, sink: &SinkConfig, clock: Clock) -> Result<Self, SinkFault> {
        let client = dial::http(sink.timeout, &webhook.tls)?;
        let (url, secret) = (webhook.url.clone(), webhook.secret.clone());
        key(&secret)?;
        Ok(Self { url, secret, client, clock })
    }
}

#[tonic::async_trait]
impl Sink for WebhookSink {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let body = body(batch);
        let bytes = body.len();
        let id = id(batch);
        let timestamp = ((self.clock)().get() / 1_000).to_string();
        let signature = signature(&key(&self.secret)?, &id, &timestamp, &body);
        let header = |name: &'static str, value: &str| {
            // All of them are printable ASCII.
            let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
            (HeaderName::from_static(name), value)
        };
        let question = Question {
            method: Method::POST,
            address: self.url.clone(),
            content_type: Some("application/json"),
            accept: "*/*",
            headers: vec![
                header("webhook-id", &id),
                header("webhook-timestamp", &timestamp),
                header("webhook-signature", &signature),
            ],
            body: Bytes::from(body),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.client.answer(question).await.map_err(fault)?;
        let said = || {
            Said::of(
                format!("HTTP {} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body))
                    .as_bytes(),
            )
        };
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(SinkFault::Denied { said: said() }.into())
            }
            StatusCode::PAYLOAD_TOO_LARGE => Err(SinkFault::TooLarge { bytes, bytes_max: None }.into()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(SinkFault::Busy { said: said() }.into())
            }
            status if status.is_server_error() => Err(SinkFault::Busy { said: said() }.into()),
            status if status.is_client_error() => Err(SinkFault::Refused { said: said() }.into()),
            _ => Err(SinkFault::Garbage { expected: "an HTTP status of success", said: said() }.into()),
        }
    }
}

/// How an exchange without an answer ended, as every sink over HTTP says it.
pub(super) fn fault(fault: HttpFault) -> SinkFault {
    match fault {
        HttpFault::TimedOut { limit } => SinkFault::TimedOut { limit },
        HttpFault::TooLarge { .. } => {
            SinkFault::Garbage { expected: "a short answer", said: Said::of(fault.to_string().as_bytes()) }
        }
        HttpFault::Files { reason } => {
            SinkFault::Setting { what: "siem.ca_file, siem.cert, siem.key", reason }
        }
        fault => SinkFault::Unreachable { reason: fault.to_string() },
    }
}

/// `{"type":"ledgerstone.events","events":[...]}`: the events are JSON already.
fn body(batch: &[Rendered]) -> String {
    let events: Vec<&str> = batch.iter().map(|rendered| rendered.text.as_str()).collect();
    format!(r#"{{"type":"ledgerstone.events","events":[{}]}}"#, events.join(","))
}

/// Names a batch by the ids of its events.
fn id(batch: &[Rendered]) -> String {
    let mut hasher = StreamHasher::new();
    batch.iter().for_each(|rendered| hasher.update(rendered.event.id().as_bytes()));
    format!("msg_{}", hex_encode(hasher.finish().as_bytes().get(..16).unwrap_or_default()))
}

fn key(secret: &SecretSource) -> Result<HmacKey, SinkFault> {
    let unusable = |reason| SinkFault::Setting { what: "siem.secret_file", reason };
    let text = secret.read().map_err(|error| unusable(error.to_string()))?;
    let bytes =
        text.strip_prefix(SECRET_PREFIX).and_then(|encoded| base64_decode(encoded).ok()).map(Zeroizing::new);
    let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
    let expected = || unusable(format!("{secret} must hold whsec_ and the base64 of 24 to 64 random bytes"));
    bytes.and_then(|bytes| HmacKey::from_slice(&bytes)).ok_or_else(expected)
}

fn signature(key: &HmacKey, id: &str, timestamp: &str, body: &str) -> String {
    let tag = key.tag(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", base64_encode(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_standard_does() {
        // The example of the specification's reference libraries (standard-webhooks/standard-webhooks, libraries/python/tests).
        let secret = base64_decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(
            &HmacKey::from_slice(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            body,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
