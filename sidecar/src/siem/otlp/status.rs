//! `google.rpc.Status` with its `RetryInfo`, in which a receiver of OTLP says why not, and when to come back.
//!
//! Source: googleapis, `google/rpc/status.proto` and `error_details.proto`; OTLP 1.10, "OTLP/gRPC Throttling" and "OTLP/HTTP Failures".

use std::time::Duration;

use prost::Message;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long to wait, where the details of a status say so. Zero where they say a time that is none.
#[must_use]
pub fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = Status::decode(details).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or_default();
    Some(
        Duration::from_secs(seconds)
            .saturating_add(Duration::from_nanos(u64::try_from(delay.nanos).unwrap_or_default())),
    )
}

/// What a status says.
#[must_use]
pub fn message(status: &[u8]) -> Option<String> {
    Status::decode(status).ok().map(|status| status.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(type_url: &str, value: Vec<u8>) -> Vec<u8> {
        let details = vec![Detail { type_url: type_url.to_owned(), value }];
        Status { message: "full".to_owned(), details }.encode_to_vec()
    }

    fn delay(seconds: i64, nanos: i32) -> Vec<u8> {
        status(RETRY_INFO, RetryInfo { retry_delay: Some(Delay { seconds, nanos }) }.encode_to_vec())
    }

    #[test]
    fn reads_how_long_to_wait_and_why() {
        assert_eq!(retry_delay(&delay(2, 500_000_000)), Some(Duration::from_millis(2500)));
        assert_eq!(message(&delay(2, 0)).as_deref(), Some("full"));
        assert_eq!(retry_delay(&status(RETRY_INFO, Vec::new())), Some(Duration::ZERO));
    }

    #[test]
    fn takes_no_time_that_is_none() {
        assert_eq!(retry_delay(&delay(-1, -1)), Some(Duration::ZERO));
        assert_eq!(
            retry_delay(&delay(i64::MAX, i32::MAX)).map(|delay| delay.as_secs() > 1 << 60),
            Some(true)
        );
        for details in
            [b"".as_slice(), b"\xff", &status("other", vec![1, 2]), &status(RETRY_INFO, vec![0xff])]
        {
            assert_eq!(retry_delay(details), None, "{details:?}");
        }
    }
}
