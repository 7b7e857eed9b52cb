//! The configuration: one TOML file, then the environment, then flags.
//!
//! Guarantees: a [`Config`] that exists is complete and each value of it makes sense on its own; unknown keys are refused
//! with the key that they come nearest to; quantities carry their unit. Reading it binds nothing and opens nothing but
//! the file.
//! Does not do: checking that addresses are free, keys readable or the store there; building the application does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledgerstone::entry::WriterName;
use ledgerstone::hash::Hash;
use ledgerstone::limits::PENDING_ENTRIES_MAX;
use ledgerstone::note::KeyName;

use self::anchors::AnchorsConfig;
use self::layers::{Found, Layers};
use self::setting::{SETTINGS, find};
use self::siem::SinkConfig;
use crate::access::AccessConfig;
use crate::bypass::{self, Bypass, LocalOnly};
use crate::intercept::route::RouteConfig;
use crate::outbound::http::Address;

mod access;
pub mod anchors;
mod approvals;
mod error;
mod explain;
mod hardening;
pub mod keys;
mod layers;
mod links;
mod named;
mod quantity;
mod retention;
mod setting;
pub mod siem;
mod telemetry;
mod tls;

pub use self::approvals::ApprovalsConfig;
pub use self::error::ConfigError;
pub use self::explain::{Explained, Row};
pub use self::hardening::{Demand, HardeningConfig};
pub use self::keys::KeysConfig;
pub use self::layers::{Inputs, Source};
pub use self::links::LinksConfig;
pub use self::named::Named;
pub use self::retention::RetentionConfig;
pub use self::telemetry::{Protocol, Sampling, Signals, TelemetryConfig};
pub use self::tls::{CertificateSource, TlsConfig};

/// The largest message: a request and an answer of this size, and their fields, fit one sealed record
/// (`limits::SEALED_BYTES_MAX`, 40 MiB).
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// The smallest journal segment: a few of the largest batches would otherwise each end one.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Everything that the sidecar can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The log.
    pub log: LogConfig,
    /// The name of this sidecar in the entries it writes.
    pub writer: WriterName,
    /// Where it listens, and how it stops.
    pub server: ServerConfig,
    /// The model server.
    pub upstream: UpstreamConfig,
    /// What it takes at most.
    pub limits: LimitsConfig,
    /// Which providers hold the keys that wrap record keys.
    pub keys: KeysConfig,
    /// How often a session says in the log that it is alive.
    pub heartbeat_interval: Duration,
    /// How long a receipt may wait for its entry to be published.
    pub receipt_wait: Duration,
    /// The file with the key that signs COSE receipts, if the log has one.
    pub receipt_key_file: Option<PathBuf>,
    /// Links to receipts.
    pub links: LinksConfig,
    /// How long records are kept.
    pub retention: RetentionConfig,
    /// Where models and policies are registered, if anywhere.
    pub registry_listen: Option<SocketAddr>,
    /// Where later entries are added to decisions, if anywhere.
    pub recorder_listen: Option<SocketAddr>,
    /// How often the files of models are looked at for changes.
    pub models_watch_interval: Duration,
    /// Where the log's head is fixed.
    pub anchors: AnchorsConfig,
    /// Which changes need the approval of several persons.
    pub approvals: ApprovalsConfig,
    /// The folder whose templates of notices stand in the place of those that come along.
    pub notice_templates: Option<PathBuf>,
    /// Who may do what; none where nobody is asked.
    pub access: Option<AccessConfig>,
    /// What the traffic of each model means.
    pub routes: Vec<RouteConfig>,
    /// What the process gives up once it is configured.
    pub hardening: HardeningConfig,
    /// Where events and alerts are sent.
    pub siem: Vec<SinkConfig>,
    /// Where traces, metrics and log lines go, if anywhere.
    pub telemetry: Option<TelemetryConfig>,
    /// Files, addresses and ports that the values above name, as they were read.
    pub named: Named,
    /// The directory that relative paths of routes start from.
    pub base: PathBuf,
    /// Environment variables of our prefix that fit no key.
    pub ignored: Vec<String>,
    /// SHA-256 over every key and value and every route: the start entry of a session carries it.
    pub digest: Hash,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Its name.
    pub origin: KeyName,
    /// Its directory.
    pub store: PathBuf,
    /// The file with the keys that sign it.
    pub key_file: PathBuf,
    /// The longest time until a durable entry is under a published checkpoint.
    pub publish_interval: Duration,
    /// The size at which a journal segment ends.
    pub segment_bytes: u64,
}

/// Where the sidecar listens, and how it stops.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The gRPC port: the model, the log, receipts, health and reflection.
    pub listen: SocketAddr,
    /// The HTTP port: the log in its static layout, and receipts.
    pub http_listen: SocketAddr,
    /// The admin port: `/live`, `/ready`, `/metrics`.
    pub admin_listen: SocketAddr,
    /// How long requests in flight may take after a signal to stop.
    pub drain_deadline: Duration,
    /// The Unix socket at which a successor takes over, if one may.
    pub handover: Option<PathBuf>,
    /// TLS of every port; without it they speak plain HTTP.
    pub tls: Option<TlsConfig>,
    /// How often the files of TLS, the upstream's too, are looked at for changes.
    pub tls_reload_interval: Duration,
}

/// The model server.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// `http://host:port`, `https://host:port` or `unix:/path`.
    pub address: String,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long one answer may take.
    pub request_timeout: Duration,
    /// The certificate authority of an `https` model server, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// What follows where a model server on loopback listens elsewhere too.
    pub local_only: LocalOnly,
    /// Further ports of it that must listen on loopback alone.
    pub local_ports: Vec<u16>,
    /// Certificate and private key that are shown to an `https` model server, as PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl UpstreamConfig {
    /// What looks whether the model server can be asked past the sidecar.
    #[must_use]
    pub fn bypass(&self) -> Bypass {
        Bypass::new(self.local_only, &self.address, &self.local_ports)
    }
}

/// What the sidecar takes at most.
#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    /// Bytes of one request and of one answer.
    pub message_bytes_max: usize,
    /// Requests at one time; the next one is refused.
    pub in_flight_max: usize,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] says what to change and where it stands.
    pub fn load(inputs: &Inputs) -> Result<Self, ConfigError> {
        Layers::read(inputs).and_then(|layers| Self::from_layers(&layers))
    }

    /// Takes the text of a configuration file that would lie in the directory `base`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_toml(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        layers.file(&base.join("configuration"), text)?;
        Self::from_layers(&layers)
    }

    /// Says for each key what holds and who said so, beside the names of environment variables that fit no key.
    ///
    /// # Errors
    /// As [`Config::load`]: what is explained is a configuration that would start.
    pub fn explain(inputs: &Inputs) -> Result<Explained, ConfigError> {
        let layers = Layers::read(inputs)?;
        Self::from_layers(&layers)?;
        Ok(Explained::new(&layers))
    }

    fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        layers.require_all()?;
        Ok(Self {
            log: LogConfig {
                origin: layers.parse("log.origin", ORIGIN, origin)?,
                store: layers.parse_path("log.store")?,
                key_file: layers.parse_path("log.key_file")?,
                publish_interval: layers.duration("log.publish_interval")?,
                segment_bytes: layers.bytes("log.segment_bytes", SEGMENT_BYTES_MIN..=1 << 30)?,
            },
            writer: layers.parse("writer.name", WRITER, |text| WriterName::parse(text).ok())?,
            server: ServerConfig {
                listen: layers.address("server.listen")?,
                http_listen: layers.address("server.http_listen")?,
                admin_listen: layers.address("server.admin_listen")?,
                drain_deadline: layers.duration("server.drain_deadline")?,
                handover: layers.path("server.handover")?,
                tls: TlsConfig::from_layers(layers)?,
                tls_reload_interval: layers.duration("server.tls.reload_interval")?,
            },
            upstream: UpstreamConfig {
                address: layers.parse("upstream.address", UPSTREAM, upstream)?,
                connect_timeout: layers.duration("upstream.connect_timeout")?,
                request_timeout: layers.duration("upstream.request_timeout")?,
                ca_file: layers.path("upstream.ca_file")?,
                local_only: layers.local_only()?,
                local_ports: layers.parse("upstream.local_ports", PORTS, bypass::ports)?,
                identity: layers.path_pair("upstream.cert", "upstream.key")?,
            },
            limits: LimitsConfig {
                message_bytes_max: layers.message_bytes()?,
                in_flight_max: layers.in_flight()?,
            },
            keys: KeysConfig::from_layers(layers)?,
            retention: RetentionConfig::from_layers(layers)?,
            heartbeat_interval: layers.duration("heartbeat.interval")?,
            receipt_wait: layers.duration("receipt.wait")?,
            receipt_key_file: layers.path("receipt.key_file")?,
            links: LinksConfig::from_layers(layers)?,
            registry_listen: layers.address_if_set("registry.listen")?,
            recorder_listen: layers.address_if_set("recorder.listen")?,
            models_watch_interval: layers.duration("models.watch_interval")?,
            anchors: AnchorsConfig::from_layers(layers)?,
            approvals: ApprovalsConfig::from_layers(layers)?,
            notice_templates: layers.path("notices.templates")?,
            access: access::from_layers(layers)?,
            routes: layers.routes.iter().map(|(route, _)| route.clone()).collect(),
            hardening: HardeningConfig::from_layers(layers)?,
            siem: siem::from_layers(layers)?,
            telemetry: TelemetryConfig::from_layers(layers)?,
            base: layers.base.clone(),
            named: layers.named(),
            ignored: layers.ignored.clone(),
            digest: Explained::new(layers).digest(),
        })
    }
}

/// Reads a duration as the configuration has them: `250ms`, `12h`, `30d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    quantity::duration(text)
}

const ORIGIN: &str =
    "a name without spaces and '+', of printable ASCII, for example log.example.com/decisions";
const WRITER: &str = "1 to 64 characters of a-z, 0-9, '.', '_' and '-'";
const UPSTREAM: &str = "http://HOST:PORT, https://HOST:PORT or unix:/PATH, and nothing else: no user, no path, no link-local or metadata address";
const ADDRESS: &str = "an address and a port, for example 127.0.0.1:7450 (port 0 takes a free one)";

const PORTS: &str = "at most 16 ports with commas between, for example \"8080, 8082\"";

/// The origin also stands in a response header, which carries printable ASCII only.
fn origin(text: &str) -> Option<KeyName> {
    KeyName::new(text).ok().filter(|_| text.bytes().all(|c| c.is_ascii_graphic()))
}

fn upstream(text: &str) -> Option<String> {
    let fits = match text.strip_prefix("unix:") {
        Some(path) => path.len() > 1 && path.starts_with('/'),
        None => Address::parse(text).is_some_and(|address| address.has_no_path()),
    };
    fits.then(|| text.to_owned())
}

fn half(present: &'static str, absent: &'static str) -> ConfigError {
    ConfigError::Half { present, absent }
}

impl Layers {
    fn require_all(&self) -> Result<(), ConfigError> {
        let required = SETTINGS.iter().filter(|setting| setting.fallback == setting::Fallback::Required);
        let provider = self.get("keys.provider").map(|found| found.text).unwrap_or_default();
        let needed = keys::needed(&provider).iter().filter_map(|key| find(key));
        let missing = required.chain(needed).filter(|setting| self.get(setting.key).is_none());
        let keys: Vec<_> = missing.map(|setting| (setting.key, setting.what)).collect();
        if keys.is_empty() { Ok(()) } else { Err(ConfigError::MissingKeys { keys }) }
    }

    /// Reads the value of a key that has one: [`Layers::require_all`] came first.
    fn parse<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let Some(Found { text, source }) = self.get(key) else {
            let what = find(key).map_or("", |setting| setting.what);
            return Err(ConfigError::MissingKeys { keys: vec![(key, what)] });
        };
        self.saw(key, &text);
        read(&text).ok_or_else(|| ConfigError::BadValue {
            from: source,
            key,
            value: text,
            expected: expected.to_owned(),
        })
    }

    fn duration(&self, key: &'static str) -> Result<Duration, ConfigError> {
        self.parse(key, quantity::DURATION, quantity::duration)
    }

    fn bytes(&self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let bytes = self.parse(key, quantity::BYTES, quantity::bytes)?;
        let expected = format!("a size from {} to {} bytes", range.start(), range.end());
        self.parse(key, &expected, |_| range.contains(&bytes).then_some(bytes))
    }

    fn message_bytes(&self) -> Result<usize, ConfigError> {
        let bytes = self.bytes("limits.message_bytes_max", 1..=MESSAGE_BYTES_MAX)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn in_flight(&self) -> Result<usize, ConfigError> {
        let key = "limits.in_flight_max";
        let count = self.parse(key, quantity::COUNT, quantity::count)?;
        let expected =
            format!("at most {PENDING_ENTRIES_MAX}, the number of entries that may wait for the log");
        self.parse(key, &expected, |_| (count <= PENDING_ENTRIES_MAX).then_some(count))
    }

    fn local_only(&self) -> Result<LocalOnly, ConfigError> {
        let key = "upstream.local_only";
        let rule = self.parse(key, LocalOnly::CHOICE, LocalOnly::parse)?;
        let address = self.parse("upstream.address", UPSTREAM, upstream)?;
        let is_local = address.starts_with("unix:") || bypass::local_port(&address).is_some();
        let expected =
            "warn or off, because what a model server on another machine listens on cannot be seen from here";
        self.parse(key, expected, |_| (rule != LocalOnly::Require || is_local).then_some(rule))
    }

    fn address_if_set(&self, key: &'static str) -> Result<Option<SocketAddr>, ConfigError> {
        self.get(key).map(|_| self.address(key)).transpose()
    }

    fn address(&self, key: &'static str) -> Result<SocketAddr, ConfigError> {
        let address: SocketAddr = self.parse(key, ADDRESS, |text| text.parse().ok())?;
        self.listens(address.port());
        Ok(address)
    }

    fn parse_path(&self, key: &'static str) -> Result<PathBuf, ConfigError> {
        let base = self.base_of(key);
        let path = self.parse(key, "a path", |text| (!text.is_empty()).then(|| base.join(text)))?;
        self.names(key, &path);
        Ok(path)
    }

    /// Where relative paths of a key start from: the folder of the file, if that is where the key stands.
    fn base_of(&self, key: &'static str) -> &Path {
        match self.get(key) {
            Some(Found { source: Source::File { .. }, .. }) => self.base.as_path(),
            _ => Path::new(""),
        }
    }

    fn path(&self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        self.get(key).map(|_| self.parse_path(key)).transpose()
    }

    /// Two paths, both or neither.
    fn path_pair(
        &self,
        one: &'static str,
        other: &'static str,
    ) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
        match (self.path(one)?, self.path(other)?) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(one, other)),
            (None, Some(_)) => Err(half(other, one)),
        }
    }
}
