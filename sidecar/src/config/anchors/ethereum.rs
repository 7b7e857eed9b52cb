//! `[[anchors.ethereum]]`: a lane on an EVM chain.
//!
//! Guarantees: amounts carry their unit; `config explain` shows of
//! an endpoint's address its host only, because providers put keys into paths.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledgerstone::anchor::statement::LaneName;
use ledgerstone::encoding::hex_decode;
use serde::{Deserialize, Serialize, Serializer};

use super::beacon_chain::{BeaconChainConfig, BeaconChainTable};
use super::{At, LaneConfig, NAME, entries, hour, patience};
use crate::config::error::ConfigError;
use crate::outbound::http::Address;

/// Endpoints of one lane; each is asked about a dozen questions per look at the chain.
const ENDPOINTS_MAX: usize = 8;

/// Confirmations at most: the headers of a proof (`EVM_SEGMENT_HEADERS_MAX`).
const CONFIRMATIONS_MAX: u64 = 1_024;

/// Gas of one transaction: `advance` takes about 37,000, the first one 54,000; a chain that counts more for storage or
/// calldata needs more.
const GAS_MIN: u64 = 60_000;

/// The units of amounts, in wei.
const WEI_UNITS: [(&str, u128); 4] =
    [("wei", 1), ("kwei", 1_000), ("mwei", 1_000_000), ("gwei", 1_000_000_000)];

/// One `[[anchors.ethereum]]`.
#[derive(Clone, Debug)]
pub struct EthereumConfig {
    /// What every lane has.
    pub lane: LaneConfig,
    /// The chain's id.
    pub chain_id: u64,
    /// Where the chain is asked.
    pub rpc: Vec<Address>,
    /// How many of the endpoints must answer and agree.
    pub quorum: usize,
    /// The anchor contract.
    pub contract: [u8; 20],
    /// The key that the log was registered with, where the lane's key followed it.
    pub first_key: Option<[u8; 20]>,
    /// The file with the key that sends transactions.
    pub key_file: PathBuf,
    /// Blocks on top of one that make it final; none where the chain says itself what is final.
    pub confirmations: Option<u64>,
    /// The most to be offered for a unit of gas, in wei.
    pub max_fee: u128,
    /// The most of it to be offered to the block's maker, in wei.
    pub max_tip: u128,
    /// Gas limit of a transaction.
    pub gas: u64,
    /// Gas limits signed for per UTC day.
    pub gas_budget: u64,
    /// How many anchors at `max_fee` the account must still be able to pay, before there is an alarm.
    pub balance_alarm: u64,
    /// How often the chain is looked at.
    pub poll_interval: Duration,
    /// After how long a transaction that is not mined is replaced by one that offers more.
    pub replace_after: Duration,
    /// A node of the chain's beacon chain.
    pub beacon: Option<Address>,
    /// That beacon chain, where it is none of the public ones.
    pub beacon_chain: Option<BeaconChainConfig>,
}

/// `[[anchors.ethereum]]` as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EthereumTable {
    pub(super) name: String,
    chain_id: u64,
    #[serde(serialize_with = "hosts")]
    rpc: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<usize>,
    contract: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_key: Option<String>,
    key_file: String,
    #[serde(default = "finalized")]
    finality: String,
    #[serde(default = "hour")]
    interval: String,
    #[serde(default = "entries")]
    entries: u64,
    #[serde(default = "max_fee")]
    max_fee: String,
    #[serde(default = "max_tip")]
    max_tip: String,
    #[serde(default = "gas")]
    gas: u64,
    #[serde(default = "gas_budget")]
    gas_budget: u64,
    #[serde(default = "balance_alarm")]
    balance_alarm: u64,
    #[serde(default = "poll_interval")]
    poll_interval: String,
    #[serde(default = "replace_after")]
    replace_after: String,
    #[serde(default = "patience")]
    timeout: String,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "host")]
    beacon: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beacon_chain: Option<BeaconChainTable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
}

fn finalized() -> String {
    FINALIZED.to_owned()
}

fn max_fee() -> String {
    "50gwei".to_owned()
}

fn max_tip() -> String {
    "2gwei".to_owned()
}

/// The first `advance` takes the most: 53,526, and 148,746 under the rules that geth has for the fork after Osaka, where new
/// storage costs more (EIP-8037).
const fn gas() -> u64 {
    200_000
}

/// An anchor an hour, and as many again.
const fn gas_budget() -> u64 {
    48 * gas()
}

const fn balance_alarm() -> u64 {
    20
}

fn poll_interval() -> String {
    "12s".to_owned()
}

fn replace_after() -> String {
    "3m".to_owned()
}

/// The word for chains that say themselves what is final.
const FINALIZED: &str = "finalized";

const FINALITY: &str = "\"finalized\", or \"N confirmations\" with N from 0 to 1024 where the chain's nodes do not say what is final";
const WEI: &str = "an amount with its unit (wei, kwei, mwei, gwei), for example \"50gwei\"";
const ACCOUNT: &str = "an address: 0x and 40 hexadecimal digits";

impl EthereumConfig {
    pub(super) fn read(table: &EthereumTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let ca_file = table.ca_file.as_deref();
        let lane = LaneConfig {
            name: at.read("anchors.ethereum.name", &table.name, NAME, |text| LaneName::parse(text).ok())?,
            interval: at.duration("anchors.ethereum.interval", &table.interval)?,
            entries: at.entries("anchors.ethereum.entries", table.entries)?,
            timeout: at.duration("anchors.ethereum.timeout", &table.timeout)?,
            ca_file: at.optional_path("anchors.ethereum.ca_file", ca_file, base)?,
        };
        let addresses = table.rpc.iter().map(|text| at.address("anchors.ethereum.rpc", text, ca_file));
        let rpc = addresses.collect::<Result<Vec<_>, _>>()?;
        let twice = rpc.iter().enumerate().any(|(n, one)| rpc.iter().take(n).any(|other| other == one));
        if rpc.is_empty() || rpc.len() > ENDPOINTS_MAX || twice {
            let value = format!("{} addresses", rpc.len());
            return Err(at.wrong("anchors.ethereum.rpc", &value, "1 to 8 addresses, none of them twice"));
        }
        // More than half of them, so that no two views can both be agreed on.
        let quorum = table.quorum.unwrap_or(rpc.len() / 2 + 1);
        let account = |key, text: &str| at.read(key, text, ACCOUNT, account);
        let wei = |key, text: &str| at.read(key, text, WEI, wei);
        let least = |key, value: u64, least: u64| {
            let expected = format!("{least} or more");
            at.read(key, &value.to_string(), &expected, |_| (value >= least).then_some(value))
        };
        let gas = least("anchors.ethereum.gas", table.gas, GAS_MIN)?;
        if table.beacon_chain.is_some() && table.beacon.is_none() {
            return Err(at.wrong("anchors.ethereum.beacon_chain", "without beacon", BEACON));
        }
        Ok(Self {
            chain_id: least("anchors.ethereum.chain_id", table.chain_id, 1)?,
            quorum: at.read("anchors.ethereum.quorum", &quorum.to_string(), QUORUM, |_| {
                (1..=rpc.len()).contains(&quorum).then_some(quorum)
            })?,
            rpc,
            contract: account("anchors.ethereum.contract", &table.contract)?,
            first_key: table
                .first_key
                .as_deref()
                .map(|text| account("anchors.ethereum.first_key", text))
                .transpose()?,
            key_file: at.path("anchors.ethereum.key_file", &table.key_file, base)?,
            confirmations: at.read("anchors.ethereum.finality", &table.finality, FINALITY, confirmations)?,
            max_fee: wei("anchors.ethereum.max_fee", &table.max_fee)?,
            max_tip: wei("anchors.ethereum.max_tip", &table.max_tip)?,
            gas_budget: least("anchors.ethereum.gas_budget", table.gas_budget, gas)?,
            gas,
            balance_alarm: table.balance_alarm,
            poll_interval: at.duration("anchors.ethereum.poll_interval", &table.poll_interval)?,
            replace_after: at.duration("anchors.ethereum.replace_after", &table.replace_after)?,
            beacon: table
                .beacon
                .as_deref()
                .map(|text| at.address("anchors.ethereum.beacon", text, ca_file))
                .transpose()?,
            beacon_chain: table
                .beacon_chain
                .as_ref()
                .map(|chain| BeaconChainConfig::read(chain, at))
                .transpose()?,
            lane,
        })
    }
}

const BEACON: &str = "beacon beside it: the address of a node of that beacon chain";

const QUORUM: &str = "how many of the endpoints must agree: 1 to their number";

/// Reads an amount in wei.
fn wei(text: &str) -> Option<u128> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = WEI_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u128>().ok()?.checked_mul(*scale).filter(|wei| *wei <= u128::from(u64::MAX))
}

/// Reads when a block is final: none where the chain says it.
fn confirmations(text: &str) -> Option<Option<u64>> {
    if text == FINALIZED {
        return Some(None);
    }
    let number = text.strip_suffix(" confirmations")?;
    let count = number.parse::<u64>().ok().filter(|count| count.to_string() == number)?;
    (count <= CONFIRMATIONS_MAX).then_some(Some(count))
}

/// Reads an account's address. Letters of both cases are left to the one who reads the chain: what lies at an address is
/// compared with the committed code, so a slip of the pen is found.
fn account(text: &str) -> Option<[u8; 20]> {
    let digits = text.strip_prefix("0x")?;
    hex_decode(&digits.to_ascii_lowercase()).ok()?.try_into().ok()
}

/// The hosts of addresses.
fn hosts<S: Serializer>(addresses: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(|address| shown(address)))
}

fn host<S: Serializer>(address: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&address.as_deref().map(shown))
}

/// Scheme and host of an address, with dots for what follows.
fn shown(address: &str) -> String {
    let Ok(uri) = address.parse::<http::Uri>() else { return "...".to_owned() };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let rest = if uri.path_and_query().is_none_or(|path| path.as_str() == "/") { "" } else { "/..." };
    format!("{}://{authority}{rest}", uri.scheme_str().unwrap_or("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_amounts_with_units() {
        for (text, amount) in [("1wei", 1), ("0wei", 0), ("50gwei", 50_000_000_000), ("10mwei", 10_000_000)] {
            assert_eq!(wei(text), Some(amount), "{text}");
        }
        for text in ["", "50", "gwei", "1.5gwei", "-1gwei", "50 gwei", "1ether", "99999999999999999999gwei"] {
            assert_eq!(wei(text), None, "{text}");
        }
    }

    #[test]
    fn reads_when_a_block_is_final() {
        assert_eq!(confirmations("finalized"), Some(None));
        assert_eq!(confirmations("12 confirmations"), Some(Some(12)));
        assert_eq!(confirmations("0 confirmations"), Some(Some(0)));
        for text in
            ["", "final", "12", "12 blocks", "-1 confirmations", "01 confirmations", "1025 confirmations"]
        {
            assert_eq!(confirmations(text), None, "{text}");
        }
    }

    #[test]
    fn reads_addresses_in_any_case() {
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(account(address), account(&address.to_lowercase()));
        assert!(account(address).is_some());
        for text in [
            "",
            "0x",
            &address[2..],
            &address[..41],
            &format!("{address}0"),
            "0xg39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        ] {
            assert_eq!(account(text), None, "{text}");
        }
    }

    #[test]
    fn shows_no_key_of_a_provider() {
        assert_eq!(shown("https://mainnet.example.com/v3/secret"), "https://mainnet.example.com/...");
        assert_eq!(shown("https://a.example/?key=secret"), "https://a.example/...");
        assert_eq!(shown("http://127.0.0.1:8545"), "http://127.0.0.1:8545");
    }
}
