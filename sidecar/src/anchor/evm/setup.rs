//! From the configuration to a lane.

use std::sync::{Arc, Mutex};

use alloy_primitives::Address;
use ledgerstone::anchor::evm::{BeaconFork, LogId, beacon, code_hash};
use ledgerstone::anchor::schedule::Schedule;
use ledgerstone::anchor::scheduler::{self, CodeHash};
use ledgerstone::code::Code;
use ledgerstone::note::KeyName;

use super::beacon::Beacon;
use super::capture::Subject;
use super::key::{AnchorKeyError, AnchorSigner, FileSigner};
use super::lane::EvmLane;
use super::rpc::{BadUrl, Endpoint};
use super::view::{Chain, Finality};
use crate::config::anchors::{BeaconForkConfig, EthereumConfig};
use crate::keyring::KeyProvider;
use crate::outbound::http::{CaError, Client};

/// After how long what failed is tried again, in milliseconds: as the chain is looked at, not faster.
const RETRY_MS_MIN: u64 = 1_000;

/// Builds the lane that `config` describes, for the log `origin`. Nothing is sent yet.
///
/// # Errors
/// [`EvmSetupError`] says what to change.
pub fn build(
    config: &EthereumConfig,
    origin: &KeyName,
    keys: &dyn KeyProvider,
) -> Result<EvmLane, EvmSetupError> {
    // A look at the chain is about a dozen questions to each endpoint.
    let http = Client::new(config.lane.timeout, config.lane.ca_file.as_deref())?.keeping_connections();
    let endpoint =
        |address: &crate::outbound::http::Address| Endpoint::new(&address.to_string(), http.clone());
    let endpoints = config.rpc.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    let signer = FileSigner::load(&config.key_file, Some(keys))?;
    let account = signer.address();
    let first_key = config.first_key.map_or(account, Address::from);
    let log_id = LogId::new(&first_key.into_array(), origin.as_str());
    let contract = Address::from(config.contract);
    let beacon = match &config.beacon {
        None => None,
        Some(address) => {
            let chain = beacon_chain(config)?;
            Some(Beacon::new(address.clone(), http.clone(), chain))
        }
    };
    let poll_ms = millis(config.poll_interval);
    Ok(EvmLane {
        config: scheduler::Config {
            lane: config.lane.name.clone(),
            schedule: Schedule {
                interval_ms: millis(config.lane.interval),
                entries_min: 1,
                entries_max: config.lane.entries,
            },
            chain_id: config.chain_id,
            code: CodeHash::from_bytes(code_hash()),
            key: scheduler::Address::from_bytes(account.into_array()),
            gas: config.gas,
            gas_budget_day: config.gas_budget,
            fee_cap: config.max_fee,
            tip_cap: config.max_tip,
            balance_floor: config
                .max_fee
                .saturating_mul(config.gas.into())
                .saturating_mul(config.balance_alarm.into()),
            observe_interval_ms: poll_ms,
            replace_after_ms: millis(config.replace_after),
            retry_ms: poll_ms.max(RETRY_MS_MIN),
        },
        chain: Chain {
            endpoints,
            quorum: config.quorum,
            finality: config.confirmations.map_or(Finality::Finalized, Finality::Confirmations),
            contract,
            log_id,
            account,
        },
        subject: Subject { chain_id: config.chain_id, contract, first_key, log_id },
        signer: Arc::new(signer),
        beacon,
        failing: Mutex::new(None),
    })
}

/// The beacon chain that is configured, or the one that is known to belong to the chain's id.
fn beacon_chain(config: &EthereumConfig) -> Result<beacon::Chain, EvmSetupError> {
    let Some(own) = &config.beacon_chain else {
        let known = beacon::Chain::of_chain_id(config.chain_id);
        return known.ok_or(EvmSetupError::NoBeaconChain { chain_id: config.chain_id });
    };
    let preset = beacon::Preset::parse(&own.preset);
    let preset = preset.ok_or_else(|| EvmSetupError::Preset { found: own.preset.clone() })?;
    let fork = |at: &BeaconForkConfig| {
        let fork = BeaconFork::parse(&at.fork);
        let fork = fork.ok_or_else(|| EvmSetupError::BeaconFork { found: at.fork.clone() })?;
        Ok(beacon::ForkAt { epoch: at.epoch, version: at.version, fork: Some(fork) })
    };
    let forks = own.forks.iter().map(fork).collect::<Result<_, EvmSetupError>>()?;
    Ok(beacon::Chain::new(preset, own.genesis_validators_root, forks)?)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why an EVM lane cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvmSetupError {
    /// The certificates of the endpoints.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// An endpoint's address.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The key.
    #[error(transparent)]
    Key(#[from] AnchorKeyError),
    /// A beacon node for a chain whose beacon chain is not known.
    #[error(
        "the beacon chain of chain {chain_id} is not known here: describe it with `beacon_chain`, or leave out `beacon`"
    )]
    NoBeaconChain {
        /// The chain.
        chain_id: u64,
    },
    /// A preset that is not known.
    #[error("the preset {found:?} of `beacon_chain` is not known: write mainnet or minimal")]
    Preset {
        /// What stands there.
        found: String,
    },
    /// A fork that is not known.
    #[error("the fork {found:?} of `beacon_chain` is not known: write capella, deneb, electra or fulu")]
    BeaconFork {
        /// What stands there.
        found: String,
    },
    /// Forks that make no chain.
    #[error("`beacon_chain`: {0}")]
    BeaconForks(#[from] beacon::ForksError),
}

impl EvmSetupError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Key(error) => error.code(),
            _ => Code::Misuse,
        }
    }
}
