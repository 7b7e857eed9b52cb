//! The sink that produces to one partition of a Kafka topic.
//!
//! Guarantees: an event is delivered when the partition's leader has said that every replica in sync has it (`acks=all`); its key is
//! its id, the same each time it is sent; one batch at a time goes to one partition, so the log's order is the partition's; only brokers
//! that the configuration names are connected to, whatever others a broker advertises.
//! Does not do: making the topic, transactions, compression.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::dial::{self, Stream, Turn, closed};
use super::sink::{Rendered, Said, Sink, SinkError, SinkFault};
use crate::config::siem::{KafkaConfig, Sasl, SinkConfig};
use crate::outbound::http::Address;

pub mod scram;
pub mod wire;

use scram::{Scram, ScramHash};
use wire::{
    ANSWER_BYTES_MAX, API_VERSIONS, Api, METADATA, Metadata, PRODUCE, Record, SASL_AUTHENTICATE,
    SASL_HANDSHAKE, Writer, batch,
};

/// Bytes of events in one batch. A topic takes 1,048,588 unless it says otherwise; a record has under 400 beside its event.
const BATCH_BYTES_MAX: usize = 900 * 1024;

/// Bytes of a record beside its event: key, headers with two hashes, lengths.
const RECORD_BYTES: usize = 400;

/// How long a connection is used again after a delivery. Brokers close after ten minutes.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// `acks`: every replica in sync.
const ALL: i16 = -1;

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN (RFC 4616): the broker sees the password.
    Plain,
    /// SCRAM (RFC 5802).
    Scram(ScramHash),
}

impl Mechanism {
    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(ScramHash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(ScramHash::Sha512) => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Plain, Self::Scram(ScramHash::Sha256), Self::Scram(ScramHash::Sha512)]
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }
}

/// A producer.
#[derive(Debug)]
pub(super) struct Kafka {
    config: KafkaConfig,
    /// How long the leader waits for the other replicas.
    replicas_timeout: Duration,
    leader: Option<Connection>,
    turn: Turn,
}

impl Kafka {
    /// A producer that connects when it has something to produce. Reads the files of TLS, so that a wrong one is known before.
    pub(super) fn new(config: &KafkaConfig, sink: &SinkConfig) -> Result<Self, SinkFault> {
        dial::check(&config.tls, &config.brokers)?;
        Ok(Self {
            config: config.clone(),
            replicas_timeout: sink.timeout / 2,
            leader: None,
            turn: Turn::default(),
        })
    }

    /// The partition's leader, as the first broker that answers knows it, beginning with the one that did last.
    async fn leader(&mut self) -> Result<Connection, SinkFault> {
        let mut fault = closed();
        for _ in &self.config.brokers {
            let Some(broker) = self.turn.next(&self.config.brokers) else { break };
            match self.leader_by(broker).await {
                Ok(leader) => {
                    self.turn.stay();
                    return Ok(leader);
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    async fn leader_by(&self, broker: &Address) -> Result<Connection, SinkFault> {
        let topic = &self.config.topic;
        let mut connection = self.connect(broker).await?;
        let mut request = Writer::default();
        request.i32(1).string(topic).0.push(0);
        let limit = self.config.connect_timeout;
        let asked = timeout(limit, connection.ask(METADATA, &request.0)).await;
        let answer = asked.unwrap_or(Err(SinkFault::TimedOut { limit }))?;
        let metadata = wire::metadata(&answer, topic).map_err(|_| no_kafka(&answer))?;
        let leader = self.leader_of(&metadata)?;
        if leader == broker { Ok(connection) } else { self.connect(leader).await }
    }

    /// The configured address of the partition's leader.
    fn leader_of(&self, metadata: &Metadata) -> Result<&Address, SinkFault> {
        refused(metadata.error)?;
        let partition = metadata.partitions.iter().find(|(_, index, _)| *index == self.config.partition);
        let (error, _, node) =
            partition.ok_or_else(|| setting("siem.partition", "the topic has no such partition"))?;
        refused(*error)?;
        let (_, host, port) = metadata
            .brokers
            .iter()
            .find(|(of, ..)| of == node)
            .ok_or_else(|| no_kafka(b"no address of the leader"))?;
        let is_it = |address: &&Address| address.host() == host && i32::from(address.port()) == *port;
        self.config.brokers.iter().find(is_it).ok_or_else(|| {
            let shown = Said::of(format!("{host}:{port}").as_bytes());
            let reason = format!(
                "the leader of the partition advertises itself as {shown}: name every broker as it does so"
            );
            SinkFault::Setting { what: "siem.brokers", reason }
        })
    }

    async fn connect(&self, broker: &Address) -> Result<Connection, SinkFault> {
        let limit = self.config.connect_timeout;
        let opened = timeout(limit, Connection::open(&self.config, broker)).await;
        opened.unwrap_or(Err(SinkFault::TimedOut { limit }))
    }
}

#[tonic::async_trait]
impl Sink for Kafka {
    async fn deliver(&mut self, events: &[Rendered]) -> Result<(), SinkError> {
        let mut leader = match self.leader.take().filter(|leader| leader.used.elapsed() < IDLE_MAX) {
            Some(leader) => leader,
            None => self.leader().await?,
        };
        let mut rest = events;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_checked(fitting(rest)).unwrap_or((rest, &[]));
            let produced = leader.produce(&self.config, self.replicas_timeout, now).await;
            produced.map_err(|fault| SinkError { accepted: events.len() - rest.len(), fault })?;
            rest = later;
        }
        self.leader = Some(leader);
        Ok(())
    }
}

/// How many of the first events fit into one batch; at least one.
fn fitting(events: &[Rendered]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Rendered| {
        bytes += event.text.len() + RECORD_BYTES;
        bytes <= BATCH_BYTES_MAX
    };
    events.iter().take_while(fits).count().max(1)
}

/// A connection to one broker that knows who produces.
struct Connection {
    stream: Stream,
    correlation: i32,
    used: Instant,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("correlation", &self.correlation).finish_non_exhaustive()
    }
}

impl Connection {
    async fn open(config: &KafkaConfig, broker: &Address) -> Result<Self, SinkFault> {
        let mut stream = dial::open(broker).await?;
        if broker.is_tls() {
            stream = dial::secure(stream, broker, &config.tls, &[]).await?;
        }
        let mut connection = Self { stream, correlation: 0, used: Instant::now() };
        connection.check_versions().await?;
        if let Some(sasl) = &config.sasl {
            connection.authenticate(sasl).await?;
        }
        Ok(connection)
    }

    /// A broker closes without a word where it does not know a version, so it is asked first.
    async fn check_versions(&mut self) -> Result<(), SinkFault> {
        let answer = self.ask(API_VERSIONS, &[]).await?;
        let (error, ranges) = wire::versions(&answer).map_err(|_| no_kafka(&answer))?;
        refused(error)?;
        let takes = |api: Api| {
            ranges
                .iter()
                .any(|(least, most)| least.key == api.key && (least.version..=*most).contains(&api.version))
        };
        if [PRODUCE, METADATA].into_iter().all(takes) {
            return Ok(());
        }
        let said = Said::of(b"it takes neither Produce 7 nor Metadata 4, which brokers from 2.1 on do");
        Err(SinkFault::Refused { said })
    }

    async fn authenticate(&mut self, sasl: &Sasl) -> Result<(), SinkFault> {
        let name = sasl.mechanism.name();
        let answer = self.ask(SASL_HANDSHAKE, &Writer::default().string(name).0).await?;
        let (error, mechanisms) = wire::mechanisms(&answer).map_err(|_| no_kafka(&answer))?;
        if error != 0 {
            let reason = Said::of(format!("the broker has {}", mechanisms.join(", ")).as_bytes()).to_string();
            return Err(SinkFault::Setting { what: "siem.sasl", reason });
        }
        let password = sasl
            .password
            .read()
            .map_err(|error| SinkFault::Setting { what: "siem.password_file", reason: error.to_string() })?;
        let Mechanism::Scram(hash) = sasl.mechanism else {
            let plain = zeroize::Zeroizing::new(format!("\0{}\0{}", sasl.user, *password));
            return self.say(plain.as_bytes()).await.map(drop);
        };
        let scram = Scram::new(hash, &sasl.user, dial::random()?);
        let challenge = self.say(scram.first().as_bytes()).await?;
        // As much work as the broker asks for, up to a second of it: nothing else may wait for that.
        let asked = challenge.clone();
        let proof = spawn_blocking(move || scram.last(&password, str::from_utf8(&asked).ok()?)).await;
        let (proof, expected) = proof.ok().flatten().ok_or_else(|| no_kafka(&challenge))?;
        if self.say(proof.as_bytes()).await? == expected.as_bytes() {
            return Ok(());
        }
        Err(SinkFault::Denied {
            said: Said::of(b"the broker does not know the password either, so it is somebody else"),
        })
    }

    /// One message of SASL, and the broker's.
    async fn say(&mut self, message: &[u8]) -> Result<Vec<u8>, SinkFault> {
        let answer = self.ask(SASL_AUTHENTICATE, &Writer::default().bytes(message).0).await?;
        match wire::authenticated(&answer).map_err(|_| no_kafka(&answer))? {
            (0, _, said) => Ok(said),
            (_, words, _) => Err(SinkFault::Denied { said: Said::of(words.unwrap_or_default().as_bytes()) }),
        }
    }

    async fn produce(
        &mut self,
        config: &KafkaConfig,
        wait: Duration,
        events: &[Rendered],
    ) -> Result<(), SinkFault> {
        let records: Vec<Record<'_>> = events.iter().map(record).collect();
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let mut request = Writer::default();
        request.i16(-1).i16(ALL).i32(wait).i32(1).string(&config.topic).i32(1).i32(config.partition);
        let answer = self.ask(PRODUCE, &request.bytes(&batch(&records)).0).await?;
        let (error, offset) =
            wire::produced(&answer, &config.topic, config.partition).map_err(|_| no_kafka(&answer))?;
        refused(error)?;
        if offset < 0 {
            return Err(no_kafka(&answer));
        }
        self.used = Instant::now();
        Ok(())
    }

    async fn ask(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, SinkFault> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut head = Writer::default();
        head.i16(api.key).i16(api.version).i32(self.correlation).string("ledgerstone-sidecar");
        let length = i32::try_from(head.0.len() + body.len()).unwrap_or(i32::MAX);
        let mut bytes = zeroize::Zeroizing::new(length.to_be_bytes().to_vec());
        bytes.extend_from_slice(&head.0);
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).await.map_err(|_| closed())?;
        self.stream.flush().await.map_err(|_| closed())?;
        let length = self.stream.read_i32().await.map_err(|_| closed())?;
        let length = usize::try_from(length).ok().filter(|length| (4..=ANSWER_BYTES_MAX).contains(length));
        let mut answer = vec![0; length.ok_or_else(|| no_kafka(b"a size that no answer has"))?];
        self.stream.read_exact(&mut answer).await.map_err(|_| closed())?;
        match answer.split_at_checked(4) {
            Some((correlation, rest)) if correlation == self.correlation.to_be_bytes() => Ok(rest.to_owned()),
            _ => Err(no_kafka(&answer)),
        }
    }
}

fn record(Rendered { event, text }: &Rendered) -> Record<'_> {
    let mut headers = vec![("log_id", event.log().id().to_string())];
    if let Some(leaf) = event.leaf() {
        headers.push(("leaf_index", leaf.index.get().to_string()));
        headers.push(("leaf_hash", leaf.hash.to_string()));
    }
    let time = i64::try_from(event.time().get()).unwrap_or(i64::MAX);
    Record { key: event.id().to_string(), value: text.as_bytes(), time, headers }
}

/// What an error code of Kafka's table ("Error Codes") means for a producer.
fn refused(code: i16) -> Result<(), SinkFault> {
    let why = match code {
        0 => return Ok(()),
        2 => "CORRUPT_MESSAGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION: create the topic, or let this user describe it",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT: replicas did not answer",
        10 => "MESSAGE_TOO_LARGE: raise max.message.bytes of the topic",
        13 => "NETWORK_EXCEPTION",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE: raise segment.bytes of the topic",
        19 => "NOT_ENOUGH_REPLICAS: fewer than min.insync.replicas are in sync",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND: fewer than min.insync.replicas are in sync",
        29 => "TOPIC_AUTHORIZATION_FAILED: let this user write to the topic",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        56 => "KAFKA_STORAGE_ERROR: the broker cannot write its log",
        74 | 75 => "the leader is being elected",
        87 => "INVALID_RECORD: the topic takes other records",
        89 => "THROTTLING_QUOTA_EXCEEDED",
        _ => "",
    };
    let said = Said::of(format!("error {code} {why}").as_bytes());
    Err(match code {
        2 | 5..=7 | 13 | 19 | 20 | 56 | 74 | 75 | 89 => SinkFault::Busy { said },
        29 | 31 => SinkFault::Denied { said },
        _ => SinkFault::Refused { said },
    })
}

fn no_kafka(said: &[u8]) -> SinkFault {
    SinkFault::Garbage { expected: "Kafka's protocol", said: Said::of(said) }
}

fn setting(what: &'static str, reason: &str) -> SinkFault {
    SinkFault::Setting { what, reason: reason.to_owned() }
}
