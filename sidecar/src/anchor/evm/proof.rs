//! What an account and its storage hold, proved against a state root.
//!
//! Guarantees: nonce, balance, code hash and storage values that come out of here are the ones under the state root that
//! was given; an endpoint that says otherwise is named. So a lie about an account needs a lie about the block.
//! Implements: EIP-1186 (`eth_getProof`); Merkle-Patricia proofs through `alloy-trie`.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles, TrieAccount};
use serde::Deserialize;
use serde_json::json;

use super::block::{Block, at};
use super::rpc::{Endpoint, RpcError};

/// Nodes of one proof: a path of 64 nibbles has at most that many, and the leaf.
pub const PROOF_NODES_MAX: usize = 65;

/// Bytes of the answer to `eth_getProof` for three slots: four paths of [`PROOF_NODES_MAX`] nodes of at most 532 bytes,
/// as hexadecimal, with room for field names.
const PROOF_BYTES_MAX: usize = 512 * 1024;

/// What `eth_getProof` says, as it is captured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The account's transaction count.
    #[serde(deserialize_with = "quantity")]
    pub nonce: u64,
    /// The account's balance, in wei.
    pub balance: U256,
    /// Root of the account's storage.
    pub storage_hash: B256,
    /// Keccak-256 of the account's code.
    pub code_hash: B256,
    /// Nodes from the state root to the account.
    pub account_proof: Vec<Bytes>,
    /// One for each slot that was asked for, in that order.
    pub storage_proof: Vec<StorageProof>,
}

/// The proof of one storage slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageProof {
    /// The slot, as the endpoint repeats it.
    pub key: U256,
    /// What it holds.
    pub value: U256,
    /// Nodes from the storage root to the slot.
    pub proof: Vec<Bytes>,
}

fn quantity<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = U256::deserialize(deserializer)?;
    u64::try_from(value).map_err(|_| serde::de::Error::custom("a nonce has 64 bits"))
}

/// Asks `endpoint` for the account `address` and `slots` of its storage as of `block`, and checks the answer.
///
/// # Errors
/// [`ProofError`] if it does not answer, or the answer does not prove what it says.
pub async fn fetch(
    endpoint: &Endpoint,
    block: &Block,
    address: Address,
    slots: &[B256],
) -> Result<Proof, ProofError> {
    let params = json!([address, slots, at(&block.hash)]);
    let proof: Proof = endpoint.call("eth_getProof", params, PROOF_BYTES_MAX).await?;
    match verify(&proof, block.header.state_root, address, slots) {
        true => Ok(proof),
        false => Err(ProofError::Unproved { endpoint: endpoint.name().to_owned(), block: block.number() }),
    }
}

/// Whether `proof` shows what it says about `address` and `slots` under `state_root`.
#[must_use]
pub fn verify(proof: &Proof, state_root: B256, address: Address, slots: &[B256]) -> bool {
    let short = |nodes: &Vec<Bytes>| nodes.len() <= PROOF_NODES_MAX;
    if !short(&proof.account_proof) || proof.storage_proof.len() != slots.len() {
        return false;
    }
    let account = TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    // An account that does not exist is proved by its absence, and described as an empty one.
    let absent = proof.nonce == 0 && proof.balance.is_zero() && is_empty(proof);
    let key = Nibbles::unpack(keccak256(address));
    let present =
        || verify_proof(state_root, key, Some(alloy_rlp::encode(account)), &proof.account_proof).is_ok();
    let missing = || absent && verify_proof(state_root, key, None, &proof.account_proof).is_ok();
    if !present() && !missing() {
        return false;
    }
    let root = if proof.storage_hash.is_zero() { EMPTY_ROOT_HASH } else { proof.storage_hash };
    slots.iter().zip(&proof.storage_proof).all(|(slot, stored)| {
        let value = (!stored.value.is_zero()).then(|| alloy_rlp::encode(stored.value));
        let key = Nibbles::unpack(keccak256(slot));
        short(&stored.proof) && verify_proof(root, key, value, &stored.proof).is_ok()
    })
}

/// Whether the proof describes an account without code and storage; nodes write that in two ways.
fn is_empty(proof: &Proof) -> bool {
    let none = |hash: B256, empty: B256| hash.is_zero() || hash == empty;
    none(proof.code_hash, KECCAK_EMPTY) && none(proof.storage_hash, EMPTY_ROOT_HASH)
}

/// Why an account's state cannot be had from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The endpoint did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The proof does not show what the endpoint says.
    #[error(
        "{endpoint}: eth_getProof does not prove what it says about block {block}: the endpoint lies or is defective; use \
         another one"
    )]
    Unproved {
        /// Host and port.
        endpoint: String,
        /// The block's height.
        block: u64,
    },
}
