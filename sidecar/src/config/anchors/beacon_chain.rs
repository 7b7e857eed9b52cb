//! `beacon_chain` of `[[anchors.ethereum]]`: a beacon chain that is none of the public ones.
//!
//! Guarantees: every value has its form. Does not do: knowing forks; the lane's setup does.

use ledgerstone::encoding::hex_decode;
use serde::{Deserialize, Serialize};

use super::At;
use crate::config::error::ConfigError;

/// Forks of one chain.
const FORKS_MAX: usize = 16;

const ROOT: &str = "0x and 64 hexadecimal digits";
const VERSION: &str = "0x and 8 hexadecimal digits";

/// A beacon chain by its sizes, its genesis and its forks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconChainConfig {
    /// The preset's name.
    pub preset: String,
    /// Root of the validators at genesis.
    pub genesis_validators_root: [u8; 32],
    /// The forks from Capella on, in their order.
    pub forks: Vec<BeaconForkConfig>,
}

/// One fork of a beacon chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconForkConfig {
    /// Its name.
    pub fork: String,
    /// The epoch from which it is in force.
    pub epoch: u64,
    /// The version that signatures are made under.
    pub version: [u8; 4],
}

/// `beacon_chain` as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BeaconChainTable {
    #[serde(default = "mainnet")]
    preset: String,
    genesis_validators_root: String,
    forks: Vec<ForkTable>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkTable {
    fork: String,
    epoch: u64,
    version: String,
}

fn mainnet() -> String {
    "mainnet".to_owned()
}

impl BeaconChainConfig {
    pub(super) fn read(table: &BeaconChainTable, at: &At<'_>) -> Result<Self, ConfigError> {
        let count = table.forks.len();
        if !(1..=FORKS_MAX).contains(&count) {
            let value = format!("{count} forks");
            return Err(at.wrong("anchors.ethereum.beacon_chain.forks", &value, "1 to 16 forks"));
        }
        let fork = |fork: &ForkTable| {
            let key = "anchors.ethereum.beacon_chain.forks.version";
            let version = at.read(key, &fork.version, VERSION, hex)?;
            Ok(BeaconForkConfig { fork: fork.fork.clone(), epoch: fork.epoch, version })
        };
        let key = "anchors.ethereum.beacon_chain.genesis_validators_root";
        Ok(Self {
            preset: table.preset.clone(),
            genesis_validators_root: at.read(key, &table.genesis_validators_root, ROOT, hex)?,
            forks: table.forks.iter().map(fork).collect::<Result<_, _>>()?,
        })
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex_decode(&text.strip_prefix("0x")?.to_ascii_lowercase()).ok()?.try_into().ok()
}
