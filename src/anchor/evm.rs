//! EVM chains: the anchor contract's storage shows a log's latest statement, and a header shows the storage.
//!
//! Guarantees: [`verify`] takes a bundle's word for nothing: the statement's hash and number are read out of storage
//! proofs (EIP-1186) under the state root of a block header that is hashed here, the contract's code is the one that is
//! committed in `contracts/`, and what the header itself rests on is said. Because the head sits in storage, the proof
//! shows the latest statement of that block, and hence that no anchor before it was left out.
//! Does not do: ask a chain, sign a transaction.
//! Implements EIP-1186, the Yellow Paper's appendices B (RLP) and D (tries), and with the feature `beacon` the light
//! client of the consensus specifications from Capella on.

mod bundle;
mod contract;
mod error;
mod header;
mod keccak;
mod receipt;
pub mod rlp;
pub mod trie;
mod verify;

#[cfg(feature = "beacon")]
pub mod beacon;

#[cfg(test)]
mod tests;

pub use bundle::{BeaconFork, BeaconPart, Bundle, BundleError, ForkBytes, ReceiptProof};
pub use contract::{
    ABI_JSON, Address, Advance, CODE_HASH_HEX, INIT_CODE_HEX, KEY_DELAY_SECONDS, LogId, StoredHead,
    accept_key_call, advanced_topic, code_hash, heads_call, init_code, propose_key_call, register_call,
};
pub use error::EvmError;
pub use header::{BlockHeader, HeaderError};
pub use keccak::{Word, keccak256};
pub use receipt::ReceiptError;
pub use verify::{Basis, Expected, Facts, Learned, Trust, checks, checks_after, verify};
