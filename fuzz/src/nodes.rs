//! The targets of what chain nodes answer: JSON-RPC of execution nodes, JSON of beacon nodes.

use alloy_primitives::{Address, B256, U64, U128, U256, keccak256};
use ledgerstone::anchor::evm::beacon::{MINIMAL, bootstrap_from_json, update_from_json, updates_from_json};
use ledgerstone::anchor::evm::{rlp, trie};
use ledgerstone_sidecar::anchor::evm::proof::{self, Proof};
use ledgerstone_sidecar::anchor::evm::receipts::{self, Receipt};
use ledgerstone_sidecar::anchor::evm::{block, rpc};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The request that the corpus answers.
pub const ID: u64 = 1;

/// The account that the corpus' proof is about.
pub const ACCOUNT: Address = Address::new([0xc0; 20]);

/// An answer to any call that the lane of an EVM chain makes.
#[must_use]
pub fn rpc_answer(bytes: &[u8]) -> bool {
    let Ok(value) = rpc::result::<Option<Value>>(bytes, ID) else { return false };
    assert!(rpc::result::<Option<Value>>(bytes, ID + 1).is_err(), "it answers one request alone");
    let value = value.unwrap_or_default();
    let number = read::<U64>(&value).is_some() || read::<U128>(&value).is_some();
    let hash = read::<B256>(&value).is_some() || read::<U256>(&value).is_some();
    [number, hash, is_block(&value), is_receipts(&value), is_proof(&value)].contains(&true)
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// A block is what its hash says, however it is described.
fn is_block(value: &Value) -> bool {
    let Some(block) = block::described(value) else { return false };
    assert_eq!(block.hash, keccak256(&block.raw), "a block's hash is that of its header");
    if block.raw.len() <= block::HEADER_BYTES_MAX {
        assert_eq!(block::parse(block.raw.clone()), Some(block), "a header reads back as itself");
    }
    true
}

/// Receipts give one root, and the library reads each of them under it.
fn is_receipts(value: &Value) -> bool {
    let all = read::<Vec<Receipt>>(value).or_else(|| read::<Receipt>(value).map(|one| vec![one]));
    let Some(all) = all.filter(|all| !all.is_empty()) else { return false };
    for receipt in &all {
        let Some((root, proof)) = receipts::among(&all, &receipt.transaction_hash) else {
            return false;
        };
        // A type, which no list begins with, and the list.
        let typed = proof.receipt.first().is_some_and(|first| *first < 0x80);
        let body = proof.receipt.get(usize::from(typed)..).unwrap_or_default();
        assert_eq!(rlp::check(body), Ok(()), "a receipt is encoded canonically");
        let mut key = Vec::new();
        rlp::write_uint(&mut key, proof.index);
        let nodes: Vec<Vec<u8>> = proof.nodes.iter().map(|node| node.to_vec()).collect();
        let found = trie::lookup(&root.0, &key, &nodes);
        assert_eq!(found, Ok(Some(proof.receipt.as_ref())), "the library reads the same receipt");
    }
    true
}

/// What a proof shows under its own first node, it shows with these values alone, and under no other root.
fn is_proof(value: &Value) -> bool {
    let Some(proof) = read::<Proof>(value) else { return false };
    let slots: Vec<B256> = proof.storage_proof.iter().map(|slot| B256::from(slot.key)).collect();
    assert!(!proof::verify(&proof, B256::repeat_byte(7), ACCOUNT, &slots), "no proof leads to any root");
    let root = proof.account_proof.first().map(keccak256).unwrap_or_default();
    if !proof::verify(&proof, root, ACCOUNT, &slots) {
        return false;
    }
    let other = Proof { nonce: proof.nonce.wrapping_add(1), ..proof.clone() };
    assert!(!proof::verify(&other, root, ACCOUNT, &slots), "another nonce is not proved");
    let mut other = proof.clone();
    if let Some(slot) = other.storage_proof.first_mut() {
        slot.value ^= U256::from(1_u64);
        assert!(!proof::verify(&other, root, ACCOUNT, &slots), "another value is not proved");
    }
    true
}

/// An answer of a beacon node's light client API; what reads, writes bytes that read back as the same.
#[must_use]
pub fn beacon_answer(bytes: &[u8]) -> bool {
    let updates = updates_from_json(bytes, &MINIMAL).unwrap_or_default();
    let one = update_from_json(bytes, &MINIMAL).ok();
    let bootstrap = bootstrap_from_json(bytes, &MINIMAL).is_ok();
    let accepted = bootstrap || one.is_some() || !updates.is_empty();
    for update in updates.into_iter().chain(one) {
        let ssz = update.encode();
        let read =
            ledgerstone::anchor::evm::beacon::Update::decode(&ssz, update.fork, &MINIMAL).or_else(|_| {
                ledgerstone::anchor::evm::beacon::Update::decode_finality(&ssz, update.fork, &MINIMAL)
            });
        assert!(read.is_ok_and(|read| read.encode() == ssz), "an update reads back from its bytes");
    }
    accepted
}
