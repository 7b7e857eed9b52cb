//! One JSON-RPC endpoint of an EVM chain.
//!
//! Guarantees: every answer is bounded before it is parsed and comes within its time limit; an answer to another request
//! is refused; what an endpoint says in an error is cut to [`MESSAGE_CHARS_MAX`] printable characters before anybody
//! reads it; no message carries more of an endpoint's address than host and port, because providers put keys into paths.
//! Does not do: believing an answer. [`super::view`] and [`super::capture`] check what can be checked.
//! Implements: JSON-RPC 2.0; the `eth` methods of the execution APIs (ethereum/execution-apis).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, Uri};
use ledgerstone::code::Code;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::outbound::http::{Address, Client, HttpFault, Question};

/// Bytes of an ordinary answer. The largest is a block with the hashes of its transactions: 60 M gas over 21,000 gas for
/// the smallest transaction make 2,857 hashes of 70 characters, 200 KB; a chain with twenty times that still fits.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Bytes of all receipts of one block. Log data costs 8 gas a byte: 60 M gas make 7.5 MB, as hexadecimal 15 MB, and as
/// much again for field names and topics.
pub const RECEIPTS_BYTES_MAX: usize = 32 << 20;

/// Characters of an endpoint's own error text that are kept.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// One endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    name: String,
    http: Client,
    next_id: AtomicU64,
}

impl Endpoint {
    /// The endpoint at `url`, `http://...` or `https://...`; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadUrl`] if it is not such an address.
    pub fn new(url: &str, http: Client) -> Result<Self, BadUrl> {
        let address = Address::parse(url).ok_or(BadUrl)?;
        let uri: Uri = url.parse().map_err(|_| BadUrl)?;
        let host = uri.host().ok_or(BadUrl)?;
        let port = uri.port_u16().unwrap_or(if address.is_tls() { 443 } else { 80 });
        let name = format!("{host}:{port}");
        Ok(Self { inner: Arc::new(Inner { address, name, http, next_id: AtomicU64::new(1) }) })
    }

    /// Host and port: what may stand in a message.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Calls `method` and reads its result, at most `bytes_max` bytes of answer.
    ///
    /// # Errors
    /// [`RpcError`] says how the endpoint failed.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        bytes_max: usize,
    ) -> Result<T, RpcError> {
        let inner = &self.inner;
        let failed = |fault| RpcError { endpoint: inner.name.clone(), method, fault };
        let id = inner.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let question = Question {
            method: Method::POST,
            address: inner.address.clone(),
            content_type: Some("application/json"),
            accept: "application/json",
            headers: Vec::new(),
            body: request.to_string().into(),
            answer_bytes_max: bytes_max,
        };
        let answer = inner.http.ask(question).await;
        let answer = answer.map_err(|error| failed(RpcFault::Http(error)))?;
        result(&answer, id).map_err(failed)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.inner.name)
    }
}

/// An address that is not `http://HOST...` or `https://HOST...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is http://HOST:PORT/PATH or https://HOST/PATH")]
pub struct BadUrl;

/// The envelope of an answer. `result` may be null and then still is a result.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    error: Option<ErrorObject>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
}

/// Keeps apart `null` and nothing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The result in `answer`, the body of an answer to request `id`.
///
/// # Errors
/// [`RpcFault`] if it is no answer to that request, or the endpoint refused.
pub fn result<T: DeserializeOwned>(answer: &[u8], id: u64) -> Result<T, RpcFault> {
    let envelope: Envelope = serde_json::from_slice(answer).map_err(|_| RpcFault::NotJsonRpc)?;
    if let Some(error) = envelope.error {
        return Err(RpcFault::Refused { code: error.code, message: printable(&error.message) });
    }
    if envelope.id != json!(id) {
        return Err(RpcFault::OtherRequest);
    }
    let value = envelope.result.ok_or(RpcFault::NotJsonRpc)?;
    serde_json::from_value(value).map_err(|error| RpcFault::Shape { problem: printable(&error.to_string()) })
}

/// At most [`MESSAGE_CHARS_MAX`] characters of `text`, with a `?` for what could steer a terminal or a log.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() || !(c.is_ascii() || c.is_alphanumeric()) { '?' } else { c };
    text.chars().take(MESSAGE_CHARS_MAX).map(shown).collect()
}

/// An endpoint failed to answer a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {method}: {fault}")]
pub struct RpcError {
    /// Host and port.
    pub endpoint: String,
    /// The method that was called.
    pub method: &'static str,
    /// What went wrong.
    pub fault: RpcFault,
}

/// How an endpoint failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcFault {
    /// No usable HTTP answer.
    #[error(transparent)]
    Http(HttpFault),
    /// The body is not a JSON-RPC answer.
    #[error("the answer is not JSON-RPC 2.0; check that the address is an RPC endpoint")]
    NotJsonRpc,
    /// The body answers another request.
    #[error("the answer belongs to another request")]
    OtherRequest,
    /// The result has another shape than the method's.
    #[error("the result has an unexpected form: {problem}")]
    Shape {
        /// What the reader of it says.
        problem: String,
    },
    /// The endpoint said no.
    #[error("refused with code {code}: {message}")]
    Refused {
        /// The JSON-RPC error code.
        code: i64,
        /// The endpoint's words, cut and made printable.
        message: String,
    },
}

impl RpcError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match &self.fault {
            RpcFault::Http(error) => error.code(),
            RpcFault::Refused { .. } => Code::Unavailable,
            RpcFault::NotJsonRpc | RpcFault::OtherRequest | RpcFault::Shape { .. } => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: &str) -> Result<Option<u64>, RpcFault> {
        result(answer.as_bytes(), 7)
    }

    #[test]
    fn reads_a_result_and_a_null_result() {
        assert_eq!(parsed(r#"{"jsonrpc":"2.0","id":7,"result":5}"#), Ok(Some(5)));
        assert_eq!(parsed(r#"{"jsonrpc":"2.0","id":7,"result":null}"#), Ok(None));
    }

    #[test]
    fn refuses_what_is_no_answer_to_the_request() {
        for (answer, fault) in [
            ("", RpcFault::NotJsonRpc),
            ("[]", RpcFault::OtherRequest),
            ("<html>", RpcFault::NotJsonRpc),
            (r#"{"jsonrpc":"2.0","id":7}"#, RpcFault::NotJsonRpc),
            (r#"{"jsonrpc":"2.0","id":8,"result":5}"#, RpcFault::OtherRequest),
            (r#"{"jsonrpc":"2.0","id":"7","result":5}"#, RpcFault::OtherRequest),
            (r#"{"jsonrpc":"2.0","result":5}"#, RpcFault::OtherRequest),
        ] {
            assert_eq!(parsed(answer), Err(fault), "{answer}");
        }
        assert!(matches!(parsed(r#"{"id":7,"result":"five"}"#), Err(RpcFault::Shape { .. })));
    }

    #[test]
    fn keeps_an_endpoints_words_short_and_printable() {
        let message = format!("\u{1b}[31mno\u{2066}\n{}", "x".repeat(10_000));
        let answer = json!({ "id": null, "error": { "code": -32000, "message": message } }).to_string();
        let Err(RpcFault::Refused { code: -32000, message }) = parsed(&answer) else { panic!() };
        assert!(message.starts_with("?[31mno??xxx"), "{message}");
        assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn names_an_endpoint_without_its_path() {
        let http = Client::new(std::time::Duration::from_secs(1), None).unwrap();
        for (url, name) in [
            ("https://rpc.example.com/v3/secret", "rpc.example.com:443"),
            ("http://127.0.0.1:8545/?key=secret", "127.0.0.1:8545"),
        ] {
            let endpoint = Endpoint::new(url, http.clone()).unwrap();
            assert_eq!(endpoint.name(), name);
            assert_eq!(format!("{endpoint:?}"), format!("Endpoint({name})"));
        }
        for url in [
            "",
            "http://user:word@a/",
            "rpc.example.com",
            "ws://rpc.example.com",
            "file:///etc/passwd",
            "http:///x",
        ] {
            assert!(Endpoint::new(url, http.clone()).is_err(), "{url}");
        }
    }
}
