//! The targets of what receivers of events answer.

use ledgerstone_sidecar::siem::kafka::wire as kafka;
use ledgerstone_sidecar::siem::nats::wire as nats;
use ledgerstone_sidecar::siem::otlp::status;

/// Every answer of a Kafka broker that a producer reads.
#[must_use]
pub fn kafka_answer(bytes: &[u8]) -> bool {
    let metadata = kafka::metadata(bytes, "audit");
    if let Ok(metadata) = &metadata {
        // A broker takes twelve bytes of an answer, a partition eighteen.
        assert!(metadata.brokers.len() * 12 + metadata.partitions.len() * 18 <= bytes.len());
    }
    [
        metadata.is_ok(),
        kafka::versions(bytes).is_ok(),
        kafka::produced(bytes, "audit", 0).is_ok(),
        kafka::mechanisms(bytes).is_ok(),
        kafka::authenticated(bytes).is_ok(),
    ]
    .contains(&true)
}

/// What a NATS server says, one thing after the other.
#[must_use]
pub fn nats_said(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Ok(Some((_, length))) = nats::parse(rest) {
        assert!(length > 0, "something was said");
        rest = rest.get(length..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// The details in which a receiver of OTLP says when to come back.
#[must_use]
pub fn otlp_status(bytes: &[u8]) -> bool {
    let delay = status::retry_delay(bytes);
    assert!(delay.is_none() || status::message(bytes).is_some(), "both read the same message");
    delay.is_some()
}
