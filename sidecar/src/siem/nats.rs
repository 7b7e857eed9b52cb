//! The sink that publishes to a stream of NATS JetStream.
//!
//! Guarantees: an event is delivered when the stream that was configured has acknowledged it, which a replicated stream does once a
//! quorum of its replicas has it; an event sent again has the same `Nats-Msg-Id`, so that the stream keeps it once while its
//! duplicate window lasts; what waits for acknowledgement is bounded; only configured addresses are connected to, whatever others the
//! server names. Implements the NATS client protocol with headers (ADR-4) and the acknowledgements of JetStream (ADR-1).
//! Does not do: making the stream.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::dial::{self, Stream, Turn, closed};
use super::sink::{Rendered, Said as Words, Sink, SinkError, SinkFault};
use crate::config::siem::NatsConfig;
use crate::outbound::http::Address;

pub mod credentials;
pub mod wire;

pub use credentials::Credentials;
use wire::{Info, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, PubAck, Said, parse};

/// Events that are published before the first acknowledgement of them is waited for: 512 KiB at 2 KiB each.
const WINDOW: usize = 256;

/// How long a connection is used again after a delivery. A server that is not answered closes after two `PING`s, two minutes apart.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Bytes that may wait to be read: the longest line and the largest message.
const INBOUND_BYTES_MAX: usize = LINE_BYTES_MAX + MESSAGE_BYTES_MAX + 4;

/// A publisher.
#[derive(Debug)]
pub(super) struct Nats {
    config: NatsConfig,
    session: Option<Session>,
    turn: Turn,
}

impl Nats {
    /// A publisher that connects when it has something to publish. Reads the files of TLS, so that a wrong one is known before.
    pub(super) fn new(config: &NatsConfig) -> Result<Self, SinkFault> {
        dial::check(&config.tls, &config.servers)?;
        Ok(Self { config: config.clone(), session: None, turn: Turn::default() })
    }

    /// The first server that answers, beginning with the one that did last.
    async fn connect(&mut self) -> Result<Session, SinkFault> {
        let limit = self.config.connect_timeout;
        let mut fault = closed();
        for _ in &self.config.servers {
            let Some(server) = self.turn.next(&self.config.servers) else { break };
            let session = timeout(limit, Session::open(&self.config, server)).await;
            match session.unwrap_or(Err(SinkFault::TimedOut { limit })) {
                Ok(session) => {
                    self.turn.stay();
                    return Ok(session);
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }
}

#[tonic::async_trait]
impl Sink for Nats {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let mut session = match self.session.take().filter(|session| session.used.elapsed() < IDLE_MAX) {
            Some(session) => session,
            None => self.connect().await?,
        };
        for (nth, window) in batch.chunks(WINDOW).enumerate() {
            let published = session.publish(&self.config, window).await;
            published.map_err(|error| SinkError { accepted: nth * WINDOW + error.accepted, ..error })?;
        }
        self.session = Some(session);
        Ok(())
    }
}

/// A connection whose server knows who publishes.
struct Session {
    stream: Stream,
    /// What was read and not yet understood.
    inbound: Vec<u8>,
    info: Info,
    /// Where acknowledgements go; nobody else can guess it.
    inbox: String,
    /// Windows so far, so that a late answer is not taken for another.
    window: u64,
    used: Instant,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("info", &self.info)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Session {
    async fn open(config: &NatsConfig, server: &Address) -> Result<Self, SinkFault> {
        let mut stream = dial::open(server).await?;
        if config.is_tls_first && server.is_tls() {
            stream = dial::secure(stream, server, &config.tls, &[]).await?;
        }
        let inbox: [u8; 16] = dial::random()?;
        let inbox = format!("_INBOX.{}", inbox.map(|byte| format!("{byte:02x}")).concat());
        let mut session = Self {
            stream,
            inbound: Vec::new(),
            info: Info::default(),
            inbox,
            window: 0,
            used: Instant::now(),
        };
        let Said::Info(info) = session.hear().await? else { return Err(no_nats()) };
        session.info = info;
        if server.is_tls() && !config.is_tls_first {
            // What came before TLS did, anybody may have put there.
            if !session.inbound.is_empty() {
                return Err(no_nats());
            }
            session.stream = dial::secure(session.stream, server, &config.tls, &[]).await?;
        } else if session.info.tls_required && !server.is_tls() {
            return Err(setting("siem.servers", "the server speaks TLS only: write tls://".to_owned()));
        }
        session.introduce(config, server.is_tls()).await?;
        Ok(session)
    }

    /// Says who publishes, and that acknowledgements are wanted.
    async fn introduce(&mut self, config: &NatsConfig, is_tls: bool) -> Result<(), SinkFault> {
        if !self.info.headers {
            return Err(refused(
                "it takes no headers, where the id of an event stands: JetStream needs NATS 2.2 or later",
            ));
        }
        let connect = json!({
            "verbose": false, "pedantic": false, "tls_required": is_tls, "name": "ledgerstone-sidecar", "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true, "no_responders": true,
        });
        let mut connect: Map<String, Value> = connect.as_object().cloned().unwrap_or_default();
        config
            .credentials
            .fill(&mut connect, self.info.nonce.as_deref())
            .map_err(|error| setting("siem.credentials", error.to_string()))?;
        let hello = zeroize::Zeroizing::new(format!(
            "CONNECT {}\r\nSUB {}.*.* 1\r\nPING\r\n",
            Value::Object(connect),
            self.inbox
        ));
        self.say(hello.as_bytes()).await?;
        loop {
            match self.hear().await? {
                Said::Pong => return Ok(()),
                Said::Error(text) => return Err(refusal(&text)),
                Said::Ping => self.say(b"PONG\r\n").await?,
                _ => {}
            }
        }
    }

    async fn publish(&mut self, config: &NatsConfig, window: &[Rendered]) -> Result<(), SinkError> {
        self.window += 1;
        let inbox = format!("{}.{}.", self.inbox, self.window);
        let mut bytes = Vec::new();
        for (at, Rendered { event, text }) in window.iter().enumerate() {
            let headers = format!(
                "NATS/1.0\r\nNats-Msg-Id: {}\r\nNats-Expected-Stream: {}\r\n\r\n",
                event.id(),
                config.stream
            );
            let total = headers.len() + text.len();
            if total as u64 > self.info.max_payload {
                let bytes_max = usize::try_from(self.info.max_payload).ok();
                return Err(SinkFault::TooLarge { bytes: total, bytes_max }.into());
            }
            bytes.extend(
                format!("HPUB {} {inbox}{at} {} {total}\r\n{headers}", config.subject, headers.len())
                    .into_bytes(),
            );
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        self.say(&bytes).await?;
        let mut is_waited_for = vec![true; window.len()];
        let acknowledged = self.acknowledged(&config.stream, &inbox, &mut is_waited_for).await;
        // What the first ones were acknowledged for is not sent again, so a line that breaks often does not stand still.
        acknowledged.map_err(|fault| {
            let accepted = is_waited_for.iter().take_while(|waits| !**waits).count();
            SinkError { accepted, fault }
        })?;
        self.used = Instant::now();
        Ok(())
    }

    /// Hears acknowledgements until none is waited for.
    async fn acknowledged(
        &mut self,
        stream: &str,
        inbox: &str,
        is_waited_for: &mut [bool],
    ) -> Result<(), SinkFault> {
        while is_waited_for.contains(&true) {
            match self.hear().await? {
                Said::Message { subject, status, payload } => {
                    let at: Option<usize> = subject.strip_prefix(inbox).and_then(|at| at.parse().ok());
                    let Some(waits) = at.and_then(|at| is_waited_for.get_mut(at)) else { continue };
                    check(stream, status, &payload)?;
                    *waits = false;
                }
                Said::Ping => self.say(b"PONG\r\n").await?,
                Said::Error(text) => return Err(refusal(&text)),
                Said::Info(_) | Said::Pong | Said::Ok => {}
            }
        }
        Ok(())
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), SinkFault> {
        self.stream.write_all(bytes).await.map_err(|_| closed())?;
        self.stream.flush().await.map_err(|_| closed())
    }

    async fn hear(&mut self) -> Result<Said, SinkFault> {
        loop {
            if let Some((said, length)) = parse(&self.inbound).map_err(|_| no_nats())? {
                self.inbound.drain(..length);
                return Ok(said);
            }
            if self.inbound.len() >= INBOUND_BYTES_MAX {
                return Err(no_nats());
            }
            let read = self.stream.read_buf(&mut self.inbound).await.map_err(|_| closed())?;
            if read == 0 {
                return Err(closed());
            }
        }
    }
}

/// Whether `stream` has what was published.
fn check(stream: &str, status: Option<u16>, payload: &[u8]) -> Result<(), SinkFault> {
    if status == Some(503) {
        // Also while a stream has no leader, which passes.
        return Err(SinkFault::Unconfirmed {
            reason: "no stream has the subject: create the one that the configuration names, with it",
        });
    }
    let garbage =
        || SinkFault::Garbage { expected: "an acknowledgement of JetStream", said: Words::of(payload) };
    match serde_json::from_slice(payload).map_err(|_| garbage())? {
        PubAck { error: Some(error), .. } => {
            let said =
                Words::of(format!("{} ({}, {})", error.description, error.code, error.err_code).as_bytes());
            // As in HTTP: of those below 500 is it about the messages, except where there are too many of them.
            let is_busy = error.code == 429 || error.code >= 500;
            Err(if is_busy { SinkFault::Busy { said } } else { SinkFault::Refused { said } })
        }
        PubAck { stream: Some(of), seq: 1.., .. } if of == stream => Ok(()),
        _ => Err(garbage()),
    }
}

/// What `-ERR` means.
fn refusal(text: &str) -> SinkFault {
    let said = Words::of(text.as_bytes());
    match ["Authorization", "User Authentication", "Permissions"].iter().any(|kind| text.starts_with(kind)) {
        true => SinkFault::Denied { said },
        false => SinkFault::Busy { said },
    }
}

fn no_nats() -> SinkFault {
    SinkFault::Garbage { expected: "the client protocol of NATS", said: Words::of(b"") }
}

fn refused(why: &str) -> SinkFault {
    SinkFault::Refused { said: Words::of(why.as_bytes()) }
}

fn setting(what: &'static str, reason: String) -> SinkFault {
    SinkFault::Setting { what, reason }
}
