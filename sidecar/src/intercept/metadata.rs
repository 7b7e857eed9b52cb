//! Which headers pass, and which are ours.
//!
//! Guarantees: every header of the caller and of the model server passes, the values of one name in their order, except those that belong to one
//! connection (RFC 9110, section 7.6.1; RFC 9113, section 8.2.2) and those in our own name, which nobody else may set.

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Response header: the decision's id, as UUID text.
pub const DECISION_ID: &str = "ledgerstone-decision-id";

/// Response header: the leaf index of the decision's entry, in decimal.
pub const LEAF_INDEX: &str = "ledgerstone-leaf-index";

/// Response header: the origin of the log that holds the entry.
pub const ORIGIN: &str = "ledgerstone-origin";

/// Response header of a decision that the policy gate refused: the name of the rule.
pub const GATE: &str = "ledgerstone-gate";

/// Response header of an answer that a person must review: the names of the rules that say so, with commas between them.
pub const REVIEW: &str = "ledgerstone-review";

/// What all headers in our name start with.
const OURS: &str = "ledgerstone-";

/// Headers of one connection.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HOST,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes what must not pass, whichever way the headers go. `te: trailers` stays: gRPC requires it.
pub(super) fn forwardable(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Sets a header in our name. A value that HTTP cannot carry is left out: the origin alone is free text, and the
/// configuration refuses an origin that is not printable.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_headers_of_one_connection_and_headers_in_our_name() {
        let mut headers = HeaderMap::new();
        for name in [
            "connection",
            "host",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
            "ledgerstone-decision-id",
            "ledgerstone-anything",
            "te",
            "grpc-encoding",
            "x-request-id",
            "trace-bin",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        headers.append("x-request-id", HeaderValue::from_static("w"));
        forwardable(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-encoding", "te", "trace-bin", "x-request-id"]);
        let ids: Vec<_> = headers.get_all("x-request-id").iter().collect();
        assert_eq!(ids, ["v", "w"]);
    }
}
