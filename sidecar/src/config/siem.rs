//! `[[siem]]`: where the log's events and the sidecar's alerts are sent.
//!
//! Guarantees: names are unique, and each value makes sense on its own; a key that a kind of sink does not know is refused; secrets stand
//! in files or variables that the table only names. Does not do: reading those, or reaching anybody; building the application does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use ledgerstone::siem::Format;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::anchors::At;
use super::error::ConfigError;
use super::layers::{Layers, Source};
use super::quantity;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;

mod endpoint;
mod hec;
mod kafka;
mod nats;
mod otlp;
mod syslog;

pub use self::endpoint::TlsFiles;
pub use self::hec::HecConfig;
pub use self::kafka::{KafkaConfig, Sasl};
pub use self::nats::NatsConfig;
pub use self::otlp::{OtlpConfig, OtlpProtocol};
pub use self::syslog::{Confirm, SyslogConfig, Transport};

/// Sinks of one sidecar. Each takes a task, a file of 200 bytes and the memory of one batch.
const SINKS_MAX: usize = 16;

/// Events of one delivery at most: at 2.5 KiB an event 10 MiB, the memory of one sink.
const BATCH_EVENTS_MAX: usize = 4096;

/// Old files that a rotation keeps at most.
const KEEP_MAX: usize = 1000;

/// The smallest file that is rotated: a few thousand events.
const ROTATE_BYTES_MIN: u64 = 64 << 10;

/// Characters of a sink's name.
const NAME_CHARS_MAX: usize = 32;

const NAME: &str = "1 to 32 characters of a-z, 0-9 and '-', the first one no hyphen, that no other sink has";
/// The word for no format: a syslog message's own structured data.
const NATIVE: &str = "native";

const KIND: &str = "syslog, file, webhook, hec, otlp, kafka or nats";
const FORMAT: &str = "ocsf, ocsf-integrity, ecs, cef, leef, otlp, or native for syslog";
const EXPORT: &str = "all, or alerts: what an analyst is called for";
const START: &str = "beginning, or end: only what is recorded from now on";
const COUNT: &str = "a whole number from 1 to 4096";

/// The name of a sink: of its file in the store, its label in the metrics, its line on the admin page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkName(String);

impl SinkName {
    /// Reads 1 to 32 characters of `a-z`, `0-9` and `-`, the first one no hyphen.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let fits = (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(known);
        (fits && !text.starts_with('-')).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One `[[siem]]`.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// Its name.
    pub name: SinkName,
    /// What an event is written as; without one as the structured data of a syslog message.
    pub format: Option<Format>,
    /// Which events it gets.
    pub export: Exported,
    /// Where a sink begins that never ran.
    pub start: StartAt,
    /// Events of one delivery, at most.
    pub batch_events: usize,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// The longest time between two attempts at a sink that fails.
    pub retry_max: Duration,
    /// How long an event may wait for the sink before that is an alert.
    pub late: Duration,
    /// Where it goes.
    pub target: Target,
}

/// Which events a sink gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// Every entry of the log, and every alert.
    All,
    /// Alerts, and those entries that are one.
    Alerts,
}

/// Where a sink begins that never ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the first entry of the log.
    Beginning,
    /// Behind the last one that is published when it first runs.
    End,
}

/// Where events go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Target {
    /// A syslog receiver.
    Syslog(SyslogConfig),
    /// A file that is rotated.
    File(FileConfig),
    /// An HTTP receiver of signed batches.
    Webhook(WebhookConfig),
    /// A Splunk.
    Hec(HecConfig),
    /// A receiver of OTLP.
    Otlp(OtlpConfig),
    /// A topic of Kafka.
    Kafka(KafkaConfig),
    /// A stream of NATS JetStream.
    Nats(NatsConfig),
}

/// A file of one event a line.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// The file that is written; older ones have `.1`, `.2`, ... behind its name.
    pub path: PathBuf,
    /// The size from which on it is rotated.
    pub rotate_bytes: u64,
    /// How many older ones are kept.
    pub keep: usize,
}

/// An HTTP receiver of batches, signed as Standard Webhooks has it.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where batches are posted.
    pub url: Address,
    /// Where the secret is: `whsec_` and base64.
    pub secret: SecretSource,
    /// The files of TLS.
    pub tls: TlsFiles,
}

impl Target {
    /// Its kind, as the configuration has it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Syslog(_) => "syslog",
            Self::File(_) => "file",
            Self::Webhook(_) => "webhook",
            Self::Hec(_) => "hec",
            Self::Otlp(_) => "otlp",
            Self::Kafka(_) => "kafka",
            Self::Nats(_) => "nats",
        }
    }

    /// Each host that is asked, and the port of TCP where it is that.
    #[must_use]
    pub fn hosts(&self) -> Vec<(&str, Option<u16>)> {
        let addresses = match self {
            Self::Syslog(syslog) => {
                return vec![(&syslog.host, (syslog.transport != Transport::Udp).then_some(syslog.port))];
            }
            Self::File(_) => &[],
            Self::Webhook(webhook) => slice::from_ref(&webhook.url),
            Self::Hec(hec) => slice::from_ref(&hec.url),
            Self::Otlp(otlp) => slice::from_ref(&otlp.url),
            Self::Kafka(kafka) => &*kafka.brokers,
            Self::Nats(nats) => &*nats.servers,
        };
        addresses.iter().map(|address| (address.host(), Some(address.port()))).collect()
    }

    /// Files that are read, each of which may be replaced.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Syslog(syslog) => syslog.files().collect(),
            Self::File(_) => Vec::new(),
            Self::Webhook(webhook) => webhook.tls.files().chain(endpoint::path_of(&webhook.secret)).collect(),
            Self::Hec(hec) => hec.files().collect(),
            Self::Otlp(otlp) => otlp.files().collect(),
            Self::Kafka(kafka) => kafka.files().collect(),
            Self::Nats(nats) => nats.files().collect(),
        }
    }

    /// The folder that is written to.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(file) => file.path.parent(),
            _ => None,
        }
    }
}

/// `[[siem]]` as it stands in the file: what every sink has, and the keys of its kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SinkTable {
    name: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default = "all")]
    export: String,
    #[serde(default = "beginning")]
    start: String,
    #[serde(default = "batch")]
    batch_events: usize,
    #[serde(default = "patience")]
    timeout: String,
    #[serde(default = "minute")]
    retry_max: String,
    #[serde(default = "quarter")]
    late: String,
    #[serde(flatten)]
    of_kind: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    path: String,
    #[serde(default = "hundred")]
    rotate: String,
    #[serde(default = "ten")]
    keep: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookTable {
    url: String,
    secret_file: Option<String>,
    secret_variable: Option<String>,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

fn all() -> String {
    "all".to_owned()
}

fn beginning() -> String {
    "beginning".to_owned()
}

const fn batch() -> usize {
    512
}

fn patience() -> String {
    "10s".to_owned()
}

fn minute() -> String {
    "60s".to_owned()
}

fn quarter() -> String {
    "15m".to_owned()
}

fn hundred() -> String {
    "100MiB".to_owned()
}

const fn ten() -> usize {
    10
}

/// The sinks.
pub(super) fn from_layers(layers: &Layers) -> Result<Vec<SinkConfig>, ConfigError> {
    let mut sinks: Vec<SinkConfig> = Vec::new();
    for (table, source) in &layers.siem {
        let (at, is_taken) = (At(source), sinks.iter().any(|sink| sink.name.as_str() == table.name));
        if is_taken {
            return Err(at.wrong("siem.name", &table.name, NAME));
        }
        if sinks.len() == SINKS_MAX {
            return Err(at.wrong("siem", &table.name, "at most 16 sinks"));
        }
        sinks.push(SinkConfig::read(table, &at, &layers.base)?);
    }
    Ok(sinks)
}

/// Each sink for `config explain`: its key, its value as JSON, and its place.
pub(super) fn rows(layers: &Layers) -> impl Iterator<Item = (String, Option<String>, Source)> {
    let row = |(table, source): &(SinkTable, Source)| {
        (format!("siem {:?}", table.name), serde_json::to_string(table).ok(), source.clone())
    };
    layers.siem.iter().map(row)
}

impl SinkConfig {
    fn read(table: &SinkTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let usual = if table.kind == "otlp" { Format::Otlp } else { Format::Ocsf };
        let named = table.format.as_deref().unwrap_or(usual.as_str());
        let format = match named {
            NATIVE => None,
            word => Some(at.read("siem.format", word, FORMAT, |word| word.parse().ok())?),
        };
        let target = match table.kind.as_str() {
            "syslog" => Target::Syslog(SyslogConfig::read(of_kind(table, at)?, at, base)?),
            "file" => Target::File(FileConfig::read(&of_kind(table, at)?, at, base)?),
            "webhook" => Target::Webhook(WebhookConfig::read(&of_kind(table, at)?, at, base)?),
            "hec" => Target::Hec(HecConfig::read(&of_kind(table, at)?, at, base)?),
            "otlp" => Target::Otlp(OtlpConfig::read(&of_kind(table, at)?, at, base)?),
            "kafka" => Target::Kafka(KafkaConfig::read(&of_kind(table, at)?, at, base)?),
            "nats" => Target::Nats(NatsConfig::read(&of_kind(table, at)?, at, base)?),
            other => return Err(at.wrong("siem.kind", other, KIND)),
        };
        if !target.takes(format) {
            return Err(at.wrong(
                "siem.format",
                named,
                "a format of JSON for a webhook, otlp for OTLP; native for syslog only",
            ));
        }
        let batch_events = at.read("siem.batch_events", &table.batch_events.to_string(), COUNT, |_| {
            Some(table.batch_events).filter(|count| (1..=BATCH_EVENTS_MAX).contains(count))
        })?;
        Ok(Self {
            name: at.read("siem.name", &table.name, NAME, SinkName::parse)?,
            format,
            export: at.read("siem.export", &table.export, EXPORT, |text| match text {
                "all" => Some(Exported::All),
                "alerts" => Some(Exported::Alerts),
                _ => None,
            })?,
            start: at.read("siem.start", &table.start, START, |text| match text {
                "beginning" => Some(StartAt::Beginning),
                "end" => Some(StartAt::End),
                _ => None,
            })?,
            batch_events,
            timeout: at.duration("siem.timeout", &table.timeout)?,
            retry_max: at.duration("siem.retry_max", &table.retry_max)?,
            late: at.duration("siem.late", &table.late)?,
            target,
        })
    }
}

impl Target {
    fn takes(&self, format: Option<Format>) -> bool {
        match self {
            Self::Syslog(_) => true,
            Self::File(_) | Self::Hec(_) | Self::Kafka(_) | Self::Nats(_) => format.is_some(),
            Self::Otlp(_) => format == Some(Format::Otlp),
            Self::Webhook(_) => format.is_some_and(Format::is_json),
        }
    }
}

/// The keys of the sink's kind.
fn of_kind<T: DeserializeOwned>(table: &SinkTable, at: &At<'_>) -> Result<T, ConfigError> {
    table.of_kind.clone().try_into().map_err(|error: toml::de::Error| {
        let problem = error.message().replace('\n', ": ");
        at.wrong("siem", &table.name, &format!("a table of a {} sink: {problem}", table.kind))
    })
}

impl FileConfig {
    fn read(table: &FileTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let size = |text: &str| quantity::bytes(text).filter(|bytes| *bytes >= ROTATE_BYTES_MIN);
        let keep = table.keep.to_string();
        Ok(Self {
            path: at.path("siem.path", &table.path, base)?,
            rotate_bytes: at.read("siem.rotate", &table.rotate, "a size from 64KiB on", size)?,
            keep: at.read("siem.keep", &keep, "a whole number from 1 to 1000", |_| {
                Some(table.keep).filter(|keep| (1..=KEEP_MAX).contains(keep))
            })?,
        })
    }
}

impl WebhookConfig {
    fn read(table: &WebhookTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let (file, variable) = ("siem.secret_file", "siem.secret_variable");
        let (url, tls) = endpoint::url(at, base, &table.url, [&table.ca_file, &table.cert, &table.key])?;
        Ok(Self {
            url,
            tls,
            secret: match (&table.secret_file, &table.secret_variable) {
                (Some(path), None) => SecretSource::File(at.path(file, path, base)?),
                (None, Some(name)) => SecretSource::Variable(name.clone()),
                (Some(_), Some(_)) => return Err(ConfigError::Both { one: file, other: variable }),
                (None, None) => return Err(ConfigError::Neither { one: file, other: variable }),
            },
        })
    }
}
