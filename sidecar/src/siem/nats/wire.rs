//! What a NATS server says, read from a bounded buffer (docs.nats.io, "Client Protocol"; ADR-4 for headers).
//!
//! Guarantees: a line is at most [`LINE_BYTES_MAX`], a message at most [`MESSAGE_BYTES_MAX`], whatever sizes the server names;
//! anything else than these messages is refused.

use serde::Deserialize;

/// Bytes of one line. `INFO` names every address of a cluster: 200 of them at 100 bytes and 12 KiB of the rest.
pub const LINE_BYTES_MAX: usize = 32 * 1024;

/// Bytes of one message, headers and all. An acknowledgement of JetStream has under 300.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// One thing that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// What the server is, said first and whenever that changes.
    Info(Info),
    /// A message for a subscription of ours.
    Message {
        /// The subject it was sent to.
        subject: String,
        /// The status in its headers, for example 503: nobody listens to what was published.
        status: Option<u16>,
        /// What it says.
        payload: Vec<u8>,
    },
    /// It wants to hear `PONG`.
    Ping,
    /// It heard `PING`.
    Pong,
    /// It took what was said.
    Ok,
    /// It refused something, and may close the connection.
    Error(String),
}

/// The fields of `INFO` that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// Whether messages may have headers, where the id of an event stands.
    #[serde(default)]
    pub headers: bool,
    /// Whether the server speaks TLS only.
    #[serde(default)]
    pub tls_required: bool,
    /// Bytes of the largest message that may be published.
    #[serde(default)]
    pub max_payload: u64,
    /// What a client with an nkey signs.
    #[serde(default)]
    pub nonce: Option<String>,
}

/// What is no NATS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what it says is not the NATS client protocol, or a line or message is too large")]
pub struct NotNats;

/// Reads one thing from the beginning of `bytes`: what it is and how many bytes it took; nothing while more must come.
///
/// # Errors
/// [`NotNats`] if no further bytes can make sense of it.
pub fn parse(bytes: &[u8]) -> Result<Option<(Said, usize)>, NotNats> {
    let Some(end) = bytes.windows(2).take(LINE_BYTES_MAX).position(|pair| pair == b"\r\n") else {
        return if bytes.len() > LINE_BYTES_MAX { Err(NotNats) } else { Ok(None) };
    };
    let line = bytes.get(..end).and_then(|line| str::from_utf8(line).ok()).ok_or(NotNats)?;
    let rest = bytes.get(end + 2..).unwrap_or_default();
    let (verb, arguments) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let said = match verb.to_ascii_uppercase().as_str() {
        "INFO" => Said::Info(serde_json::from_str(arguments).map_err(|_| NotNats)?),
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "+OK" => Said::Ok,
        "-ERR" => Said::Error(arguments.trim().trim_matches('\'').to_owned()),
        "MSG" | "HMSG" => {
            let Some((said, length)) = message(verb.len() == 4, arguments, rest)? else { return Ok(None) };
            return Ok(Some((said, end + 2 + length)));
        }
        _ => return Err(NotNats),
    };
    Ok(Some((said, end + 2)))
}

/// `<subject> <sid> [reply-to] [#header bytes] <#total bytes>`, then the bytes.
fn message(has_headers: bool, arguments: &str, rest: &[u8]) -> Result<Option<(Said, usize)>, NotNats> {
    let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
    let fixed = if has_headers { 4 } else { 3 };
    if words.len() != fixed && words.len() != fixed + 1 {
        return Err(NotNats);
    }
    let size = |from_end: usize| -> Result<usize, NotNats> {
        let word = words.len().checked_sub(from_end).and_then(|at| words.get(at)).ok_or(NotNats)?;
        word.parse().ok().filter(|size| *size <= MESSAGE_BYTES_MAX).ok_or(NotNats)
    };
    let total = size(1)?;
    let headers = if has_headers { size(2)? } else { 0 };
    let Some(whole) = rest.get(..total + 2) else { return Ok(None) };
    let (body, end) = whole.split_at_checked(total).ok_or(NotNats)?;
    let (headers, payload) = body.split_at_checked(headers).ok_or(NotNats)?;
    if end != b"\r\n" {
        return Err(NotNats);
    }
    let subject = (*words.first().ok_or(NotNats)?).to_owned();
    Ok(Some((Said::Message { subject, status: status(headers)?, payload: payload.to_owned() }, total + 2)))
}

/// The status in `NATS/1.0[ status[ description]]`.
fn status(headers: &[u8]) -> Result<Option<u16>, NotNats> {
    if headers.is_empty() {
        return Ok(None);
    }
    let text = str::from_utf8(headers).map_err(|_| NotNats)?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("NATS/1.0")).ok_or(NotNats)?;
    line.split_ascii_whitespace().next().map(|word| word.parse().map_err(|_| NotNats)).transpose()
}

/// What JetStream answers to a published message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PubAck {
    /// The stream that has it.
    #[serde(default)]
    pub stream: Option<String>,
    /// Its place in the stream; 1 and more.
    #[serde(default)]
    pub seq: u64,
    /// Why it does not have it.
    #[serde(default)]
    pub error: Option<ApiError>,
}

/// Why JetStream refuses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Its kind, as in HTTP.
    pub code: u16,
    /// Exactly what.
    #[serde(default)]
    pub err_code: u32,
    /// In words.
    #[serde(default)]
    pub description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Said, usize)>, NotNats> {
        parse(text.as_bytes())
    }

    #[test]
    fn reads_each_thing_a_server_says() {
        let (said, length) =
            read("INFO {\"headers\":true,\"max_payload\":1024,\"x\":1} \r\nPING\r\n").unwrap().unwrap();
        assert_eq!(
            (said, length),
            (Said::Info(Info { headers: true, max_payload: 1024, ..Info::default() }), 49)
        );
        assert_eq!(read("ping\r\n").unwrap().unwrap(), (Said::Ping, 6));
        assert_eq!(read("PONG\r\nx").unwrap().unwrap(), (Said::Pong, 6));
        assert_eq!(read("+OK\r\n").unwrap().unwrap(), (Said::Ok, 5));
        let refused = Said::Error("Authorization Violation".to_owned());
        assert_eq!(read("-ERR 'Authorization Violation'\r\n").unwrap().unwrap().0, refused);
        let message = |status, payload: &str| Said::Message {
            subject: "_INBOX.a.7".to_owned(),
            status,
            payload: payload.as_bytes().to_vec(),
        };
        assert_eq!(read("MSG _INBOX.a.7 1 4\r\n\r\n{}\r\n").unwrap().unwrap(), (message(None, "\r\n{}"), 26));
        assert_eq!(
            read("HMSG _INBOX.a.7 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n").unwrap().unwrap().0,
            message(Some(503), "")
        );
        assert_eq!(
            read("HMSG _INBOX.a.7 1 12 14\r\nNATS/1.0\r\n\r\nab\r\n").unwrap().unwrap().0,
            message(None, "ab")
        );
    }

    #[test]
    fn waits_for_what_is_not_complete() {
        let whole = "HMSG _INBOX.a.7 1 x 16 18\r\nNATS/1.0 503\r\n\r\nab\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..length]), Ok(None), "{length}");
        }
        assert_eq!(read(whole).unwrap().unwrap().1, whole.len());
    }

    #[test]
    fn refuses_what_is_no_message() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "INFO\r\n",
            "INFO {\r\n",
            "INFO [1]\r\n",
            "MSG a 1\r\n",
            "MSG a 1 r s 2\r\n",
            "MSG a 1 -1\r\n",
            "MSG a 1 65537\r\n",
            "MSG a 1 18446744073709551615\r\n",
            "MSG a 1 2\r\nabXY",
            "HMSG a 1 3 2\r\nabc\r\n",
            "HMSG a 1 9 2\r\nab\r\n",
            "HMSG a 1 2 2\r\nab\r\n",
            "HMSG a 1 14 14\r\nNATS/1.0 x\r\n\r\n\r\n",
            &long,
        ] {
            assert_eq!(read(text), Err(NotNats), "{text}");
        }
        assert_eq!(parse(b"\xff\r\n"), Err(NotNats));
    }
}
