//! What an EVM lane is configured with.

use super::word::{Address, CodeHash};
use crate::anchor::schedule::Schedule;
use crate::anchor::statement::LaneName;

/// The settings of one EVM lane; every field must be set by the operator or from the contract's deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The lane's name.
    pub lane: LaneName,
    /// When it makes statements.
    pub schedule: Schedule,
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// Keccak-256 of the contract's runtime code.
    pub code: CodeHash,
    /// The account that signs, and that the contract knows for this log.
    pub key: Address,
    /// Gas limit of a transaction.
    pub gas: u64,
    /// Gas limits signed for per UTC day, replacements of one nonce counted once.
    pub gas_budget_day: u64,
    /// The most to be offered for a unit of gas, wei.
    pub fee_cap: u128,
    /// The most to be offered as a tip for a unit of gas, wei.
    pub tip_cap: u128,
    /// The balance below which there is an alarm, wei.
    pub balance_floor: u128,
    /// How often the chain is looked at, in milliseconds.
    pub observe_interval_ms: u64,
    /// After how long without being mined a transaction is replaced by one that offers more, in milliseconds.
    pub replace_after_ms: u64,
    /// After how long an effect that failed is tried again, in milliseconds.
    pub retry_ms: u64,
}
