//! Where the log's head is fixed: `[anchors]` and the lists of lanes in it.
//!
//! Guarantees: names are unique and each value makes sense on its own; an error names the table's line. Does not do:
//! reading the files that are named; building the application does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledgerstone::anchor::bitcoin::Network;
use ledgerstone::anchor::quorum::AnchorQuorum;
use ledgerstone::anchor::statement::LaneName;
use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::layers::{Layers, Source};
use super::quantity;
use crate::outbound::http::Address;

mod beacon_chain;
mod ethereum;

pub use self::beacon_chain::{BeaconChainConfig, BeaconForkConfig};
pub use self::ethereum::EthereumConfig;
pub(super) use self::ethereum::EthereumTable;

/// Lanes of one sidecar. Each takes a task, a journal and an entry of the log for every statement.
const LANES_MAX: usize = 16;

/// New entries that are a reason for a statement at once: at least this many, because the anchors of all lanes are entries
/// too, and must not be a reason for the next.
const ENTRIES_MIN: u64 = 4 * LANES_MAX as u64;

/// Calendars of one OpenTimestamps lane; the public network has four.
const CALENDARS_MAX: usize = 8;

/// What a quorum must look like.
const QUORUM: &str = "a number and kinds, for example \"2 of ethereum, bitcoin, rfc3161, witnesses\", the number no larger than there are kinds";

/// Names that stand beside those of the lanes, in the store or for its readers.
const RESERVED: [&str; 3] = ["journal", "lanes", "checkpoint"];

/// Everything about anchors.
#[derive(Clone, Debug)]
pub struct AnchorsConfig {
    /// How many independent kinds count as anchored.
    pub quorum: Option<AnchorQuorum>,
    /// How long an entry may wait for an anchor before that is an alarm.
    pub lag_alarm: Duration,
    /// Timestamp authorities.
    pub rfc3161: Vec<Rfc3161Config>,
    /// Bitcoin through OpenTimestamps calendars.
    pub opentimestamps: Vec<OpenTimestampsConfig>,
    /// EVM chains.
    pub ethereum: Vec<EthereumConfig>,
}

/// What every lane has.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// Its name.
    pub name: LaneName,
    /// How often a statement is made, if there are new entries.
    pub interval: Duration,
    /// New entries that are a reason at once.
    pub entries: u64,
    /// How long one exchange with the target may take.
    pub timeout: Duration,
    /// The certificates that `https` is checked against, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// One `[[anchors.rfc3161]]`.
#[derive(Clone, Debug)]
pub struct Rfc3161Config {
    /// What every lane has.
    pub lane: LaneConfig,
    /// The authority.
    pub url: Address,
    /// The policy that a timestamp must be under, as an OID; any policy without it.
    pub policy: Option<String>,
    /// The roots that the authority's certificate must lead to, as PEM.
    pub roots_file: PathBuf,
    /// A file of revocation lists that the operator keeps up to date, PEM or DER.
    pub crl_file: Option<PathBuf>,
}

/// One `[[anchors.opentimestamps]]`.
#[derive(Clone, Debug)]
pub struct OpenTimestampsConfig {
    /// What every lane has.
    pub lane: LaneConfig,
    /// The calendars.
    pub calendars: Vec<Address>,
    /// How many of them must take a statement.
    pub quorum: usize,
    /// How often calendars are asked whether Bitcoin has it.
    pub upgrade_interval: Duration,
    /// After how long without an upgrade all calendars are asked to stamp a statement again.
    pub resubmit_after: Duration,
    /// A file of Bitcoin block headers that the operator keeps up to date, 80 bytes each, oldest first.
    pub headers: Option<PathBuf>,
    /// Whose headers they are.
    pub network: Network,
}

/// `[[anchors.rfc3161]]` as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rfc3161Table {
    name: String,
    url: String,
    #[serde(default = "hour")]
    interval: String,
    #[serde(default = "entries")]
    entries: u64,
    #[serde(default = "patience")]
    timeout: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    roots_file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crl_file: Option<String>,
}

/// `[[anchors.opentimestamps]]` as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenTimestampsTable {
    name: String,
    calendars: Vec<String>,
    #[serde(default = "two")]
    quorum: usize,
    #[serde(default = "hour")]
    interval: String,
    #[serde(default = "entries")]
    entries: u64,
    #[serde(default = "patience")]
    timeout: String,
    #[serde(default = "half_hour")]
    upgrade_interval: String,
    #[serde(default = "three_days")]
    resubmit_after: String,
    #[serde(default = "mainnet")]
    network: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
}

fn hour() -> String {
    "1h".to_owned()
}

fn half_hour() -> String {
    "30m".to_owned()
}

fn three_days() -> String {
    "72h".to_owned()
}

fn mainnet() -> String {
    Network::Mainnet.as_str().to_owned()
}

fn patience() -> String {
    "30s".to_owned()
}

const fn entries() -> u64 {
    100_000
}

const fn two() -> usize {
    2
}

/// The lists of lanes as they stand in the file, each with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) rfc3161: Vec<(Rfc3161Table, Source)>,
    pub(super) opentimestamps: Vec<(OpenTimestampsTable, Source)>,
    pub(super) ethereum: Vec<(EthereumTable, Source)>,
}

impl Tables {
    /// The keys of `[anchors]` that are lists.
    pub(super) const LISTS: [&str; 3] = ["rfc3161", "opentimestamps", "ethereum"];

    /// Each lane for `config explain`: its key, its value as JSON, and its place.
    pub(super) fn rows(&self) -> impl Iterator<Item = (String, Option<String>, Source)> {
        let rfc3161 = self.rfc3161.iter().map(|(table, source)| row("rfc3161", &table.name, table, source));
        let opentimestamps = self
            .opentimestamps
            .iter()
            .map(|(table, source)| row("opentimestamps", &table.name, table, source));
        let ethereum =
            self.ethereum.iter().map(|(table, source)| row("ethereum", &table.name, table, source));
        rfc3161.chain(opentimestamps).chain(ethereum)
    }
}

fn row(kind: &str, name: &str, table: &impl Serialize, source: &Source) -> (String, Option<String>, Source) {
    (format!("anchors.{kind} {name:?}"), serde_json::to_string(table).ok(), source.clone())
}

impl AnchorsConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let (base, tables) = (layers.base.as_path(), &layers.anchors);
        let quorum = match layers.get("anchors.quorum") {
            None => None,
            Some(_) => Some(layers.parse("anchors.quorum", QUORUM, |text| text.parse().ok())?),
        };
        let config = Self {
            quorum,
            lag_alarm: layers.duration("anchors.lag_alarm")?,
            rfc3161: all(&tables.rfc3161, |table, at| Rfc3161Config::read(table, at, base))?,
            opentimestamps: all(&tables.opentimestamps, |table, at| {
                OpenTimestampsConfig::read(table, at, base)
            })?,
            ethereum: all(&tables.ethereum, |table, at| EthereumConfig::read(table, at, base))?,
        };
        let places = tables.rows().map(|(_, _, source)| source);
        check_names(config.lanes().zip(places))?;
        Ok(config)
    }

    /// What every lane has, in the order of the lists.
    pub fn lanes(&self) -> impl Iterator<Item = &LaneConfig> {
        let rfc3161 = self.rfc3161.iter().map(|lane| &lane.lane);
        let opentimestamps = self.opentimestamps.iter().map(|lane| &lane.lane);
        rfc3161.chain(opentimestamps).chain(self.ethereum.iter().map(|lane| &lane.lane))
    }
}

fn all<T, U>(
    tables: &[(T, Source)],
    read: impl Fn(&T, &At<'_>) -> Result<U, ConfigError>,
) -> Result<Vec<U>, ConfigError> {
    tables.iter().map(|(table, source)| read(table, &At(source))).collect()
}

/// Refuses names that stand twice, and more lanes than there may be.
fn check_names<'a>(lanes: impl Iterator<Item = (&'a LaneConfig, Source)>) -> Result<(), ConfigError> {
    let mut seen: Vec<&LaneName> = Vec::new();
    for (lane, source) in lanes {
        let at = At(&source);
        if seen.contains(&&lane.name) || RESERVED.contains(&lane.name.as_str()) {
            let expected =
                "a name that no other lane has; \"journal\", \"lanes\" and \"checkpoint\" are taken";
            return Err(at.wrong("anchors.*.name", lane.name.as_str(), expected));
        }
        if seen.len() == LANES_MAX {
            return Err(at.wrong("anchors", &lane.name.to_string(), "at most 16 lanes"));
        }
        seen.push(&lane.name);
    }
    Ok(())
}

/// Where a table stands.
pub(super) struct At<'a>(pub(super) &'a Source);

const URL: &str = "http://HOST[:PORT][/PATH] or https://..., without a user and a password";
const CA: &str = "ca_file beside an https address: whose certificates to trust, for example /etc/ssl/certs/ca-certificates.crt";

impl At<'_> {
    pub(super) fn wrong(&self, key: &'static str, value: &str, expected: &str) -> ConfigError {
        let (value, expected) = (value.to_owned(), expected.to_owned());
        ConfigError::BadValue { from: self.0.clone(), key, value, expected }
    }

    pub(super) fn read<T>(
        &self,
        key: &'static str,
        value: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        read(value).ok_or_else(|| self.wrong(key, value, expected))
    }

    pub(super) fn duration(&self, key: &'static str, value: &str) -> Result<Duration, ConfigError> {
        self.read(key, value, quantity::DURATION, quantity::duration)
    }

    fn entries(&self, key: &'static str, value: u64) -> Result<u64, ConfigError> {
        let expected = format!("{ENTRIES_MIN} or more: the anchors are entries too");
        self.read(key, &value.to_string(), &expected, |_| Some(value).filter(|count| *count >= ENTRIES_MIN))
    }

    pub(super) fn address(
        &self,
        key: &'static str,
        value: &str,
        ca_file: Option<&str>,
    ) -> Result<Address, ConfigError> {
        let address = self.read(key, value, URL, Address::parse)?;
        match address.is_tls() && ca_file.is_none() {
            true => Err(self.wrong(key, value, CA)),
            false => Ok(address),
        }
    }

    pub(super) fn path(&self, key: &'static str, value: &str, base: &Path) -> Result<PathBuf, ConfigError> {
        self.read(key, value, "a path", |text| (!text.is_empty()).then(|| base.join(text)))
    }

    pub(super) fn optional_path(
        &self,
        key: &'static str,
        value: Option<&str>,
        base: &Path,
    ) -> Result<Option<PathBuf>, ConfigError> {
        value.map(|text| self.path(key, text, base)).transpose()
    }
}

const NAME: &str = "1 to 32 characters of a-z, 0-9 and '-', the first one no hyphen";

impl Rfc3161Config {
    fn read(table: &Rfc3161Table, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let lane = LaneConfig {
            name: at.read("anchors.rfc3161.name", &table.name, NAME, |text| LaneName::parse(text).ok())?,
            interval: at.duration("anchors.rfc3161.interval", &table.interval)?,
            entries: at.entries("anchors.rfc3161.entries", table.entries)?,
            timeout: at.duration("anchors.rfc3161.timeout", &table.timeout)?,
            ca_file: at.optional_path("anchors.rfc3161.ca_file", table.ca_file.as_deref(), base)?,
        };
        if let Some(policy) = &table.policy {
            let expected = "an object identifier, for example 1.3.6.1.4.1.13762.3";
            at.read("anchors.rfc3161.policy", policy, expected, |text| is_oid(text).then_some(()))?;
        }
        Ok(Self {
            url: at.address("anchors.rfc3161.url", &table.url, table.ca_file.as_deref())?,
            policy: table.policy.clone(),
            roots_file: at.path("anchors.rfc3161.roots_file", &table.roots_file, base)?,
            crl_file: at.optional_path("anchors.rfc3161.crl_file", table.crl_file.as_deref(), base)?,
            lane,
        })
    }
}

/// Whether `text` is two or more numbers with dots between them, the first one 0, 1 or 2.
fn is_oid(text: &str) -> bool {
    let numbers: Option<Vec<u64>> = text
        .split('.')
        .map(|part| part.parse().ok().filter(|number: &u64| number.to_string() == part))
        .collect();
    numbers.is_some_and(|numbers| numbers.len() >= 2 && numbers.first().is_some_and(|first| *first <= 2))
}

impl OpenTimestampsConfig {
    fn read(table: &OpenTimestampsTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let name = |text: &str| LaneName::parse(text).ok();
        let lane = LaneConfig {
            name: at.read("anchors.opentimestamps.name", &table.name, NAME, name)?,
            interval: at.duration("anchors.opentimestamps.interval", &table.interval)?,
            entries: at.entries("anchors.opentimestamps.entries", table.entries)?,
            timeout: at.duration("anchors.opentimestamps.timeout", &table.timeout)?,
            ca_file: at.optional_path("anchors.opentimestamps.ca_file", table.ca_file.as_deref(), base)?,
        };
        let (key, ca_file) = ("anchors.opentimestamps.calendars", table.ca_file.as_deref());
        let addresses = table.calendars.iter().map(|text| at.address(key, text, ca_file));
        let calendars = addresses.collect::<Result<Vec<_>, _>>()?;
        let twice =
            calendars.iter().enumerate().any(|(n, one)| calendars.iter().take(n).any(|other| other == one));
        if calendars.is_empty() || calendars.len() > CALENDARS_MAX || twice {
            return Err(at.wrong(key, &table.calendars.join(", "), "1 to 8 addresses, none of them twice"));
        }
        if !(1..=calendars.len()).contains(&table.quorum) {
            let expected = "how many of the calendars must take a statement: 1 to their number";
            return Err(at.wrong("anchors.opentimestamps.quorum", &table.quorum.to_string(), expected));
        }
        let upgrade_interval =
            at.duration("anchors.opentimestamps.upgrade_interval", &table.upgrade_interval)?;
        let resubmit_after = at.duration("anchors.opentimestamps.resubmit_after", &table.resubmit_after)?;
        let headers = at.optional_path("anchors.opentimestamps.headers", table.headers.as_deref(), base)?;
        let read = |text: &str| text.parse::<Network>().ok();
        let expected = "\"mainnet\" or, for tests, \"regtest\"";
        let network = at.read("anchors.opentimestamps.network", &table.network, expected, read)?;
        Ok(Self { calendars, quorum: table.quorum, upgrade_interval, resubmit_after, headers, network, lane })
    }
}
