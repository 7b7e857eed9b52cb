//! The transactions that the lane sends: EIP-1559, built and signed here, stored before they are sent.
//!
//! Guarantees: the same order and key give the same bytes; a transaction moves no money.
//! Does not do: choosing fees and nonce; the scheduler in the library orders them from what the chain says.
//! Implements: EIP-1559, EIP-2718.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};

use super::key::{AnchorSigner, SignError};

/// What a transaction shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The chain it is valid on.
    pub chain_id: u64,
    /// The sender's transaction count.
    pub nonce: u64,
    /// The contract that is called; `None` creates one.
    pub to: Option<Address>,
    /// Calldata, or the code that creates a contract.
    pub input: Vec<u8>,
    /// Gas at most.
    pub gas_limit: u64,
    /// Fee per gas at most, in wei.
    pub max_fee_per_gas: u128,
    /// Of that, what goes to the block's proposer at most, in wei.
    pub max_priority_fee_per_gas: u128,
}

/// A transaction as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The bytes that `eth_sendRawTransaction` takes.
    pub raw: Bytes,
    /// Their Keccak-256 hash: how the chain names the transaction.
    pub hash: B256,
}

/// Builds and signs the transaction that `order` describes.
///
/// # Errors
/// [`SignError`] if the key does not sign.
pub fn sign(order: Order, signer: &dyn AnchorSigner) -> Result<SignedTransaction, SignError> {
    let transaction = TxEip1559 {
        chain_id: order.chain_id,
        nonce: order.nonce,
        gas_limit: order.gas_limit,
        max_fee_per_gas: order.max_fee_per_gas,
        max_priority_fee_per_gas: order.max_priority_fee_per_gas,
        to: order.to.map_or(TxKind::Create, TxKind::Call),
        value: U256::ZERO,
        access_list: alloy_eips::eip2930::AccessList::default(),
        input: order.input.into(),
    };
    let signature = signer.sign(&transaction.signature_hash())?;
    let signed = transaction.into_signed(signature);
    let raw = signed.encoded_2718();
    Ok(SignedTransaction { hash: *signed.hash(), raw: raw.into() })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{hex, keccak256};

    use super::*;
    use crate::anchor::evm::key::FileSigner;

    fn order() -> Order {
        Order {
            chain_id: 31_337,
            nonce: 3,
            to: Some(Address::repeat_byte(0x11)),
            input: vec![1, 2, 3],
            gas_limit: 60_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
        }
    }

    fn signer() -> FileSigner {
        let key = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        FileSigner::from_bytes(&key).unwrap()
    }

    #[test]
    fn the_same_order_gives_the_same_bytes_named_by_their_hash() {
        let first = sign(order(), &signer()).unwrap();
        assert_eq!(first, sign(order(), &signer()).unwrap());
        assert_eq!(first.hash, keccak256(&first.raw));
        assert_eq!(first.raw.first(), Some(&2), "the type of EIP-1559");
    }

    #[test]
    fn each_word_of_the_order_is_in_the_bytes() {
        let first = sign(order(), &signer()).unwrap();
        let changes: [fn(&mut Order); 7] = [
            |order| order.chain_id += 1,
            |order| order.nonce += 1,
            |order| order.to = None,
            |order| order.input.push(0),
            |order| order.gas_limit += 1,
            |order| order.max_fee_per_gas += 1,
            |order| order.max_priority_fee_per_gas += 1,
        ];
        for change in changes {
            let mut other = order();
            change(&mut other);
            assert_ne!(first.raw, sign(other, &signer()).unwrap().raw);
        }
    }
}
