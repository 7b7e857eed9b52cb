//! The receipts of a block, encoded as the chain encodes them, and the proof of one of them.
//!
//! Guarantees: a [`ReceiptProof`] that exists leads from the block's receipts root to the receipt; it is built from all
//! receipts of the block and their root is compared, so an endpoint that adds, leaves out or changes one is found out.
//! Implements: yellow paper, section 4.4.1 (transaction receipt); EIP-2718, EIP-658; the index trie of receipts.

use alloy_primitives::{B256, Bloom, Bytes, Log, U64, U256};
use alloy_rlp::Encodable as _;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::root::adjust_index_for_rlp;
use alloy_trie::{HashBuilder, Nibbles};
use serde::Deserialize;
use serde_json::json;

use super::block::{Block, at};
use super::rpc::{ANSWER_BYTES_MAX, Endpoint, RECEIPTS_BYTES_MAX, RpcError};

/// The type of an OP-stack deposit transaction, whose receipt has two fields more.
const DEPOSIT_TYPE: u8 = 0x7e;

/// The largest type that a transaction can have.
const TYPE_MAX: u8 = 0x7f;

/// A receipt as an endpoint describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction.
    pub transaction_hash: B256,
    /// Its place in the block.
    pub transaction_index: U64,
    /// The block.
    pub block_hash: B256,
    /// The block's height.
    pub block_number: U64,
    /// Gas that the transaction used.
    pub gas_used: U64,
    /// Fee per gas that was paid, in wei.
    #[serde(default)]
    pub effective_gas_price: U256,
    /// One if the transaction did what it says, zero if it was reverted.
    #[serde(default)]
    pub status: Option<U64>,
    #[serde(default)]
    root: Option<B256>,
    #[serde(default, rename = "type", deserialize_with = "transaction_type")]
    kind: u8,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    logs: Vec<DescribedLog>,
    #[serde(default)]
    deposit_nonce: Option<U64>,
    #[serde(default)]
    deposit_receipt_version: Option<U64>,
}

/// The type of a transaction, 0 where none is said; what is larger would be the beginning of a list (EIP-2718).
fn transaction_type<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let value = Option::<U64>::deserialize(deserializer)?.unwrap_or_default();
    let kind = u8::try_from(value.to::<u64>()).ok().filter(|kind| *kind <= TYPE_MAX);
    kind.ok_or_else(|| serde::de::Error::custom("a transaction's type is at most 0x7f"))
}

#[derive(Clone, Debug, Deserialize)]
struct DescribedLog {
    address: alloy_primitives::Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl Receipt {
    /// Whether the transaction did what it says.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Some(U64::from(1))
    }

    /// The receipt's bytes in the trie.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        match self.root {
            Some(root) if self.status.is_none() => root.encode(&mut payload),
            _ => self.status.unwrap_or_default().encode(&mut payload),
        }
        self.cumulative_gas_used.encode(&mut payload);
        self.logs_bloom.encode(&mut payload);
        let log = |log: &DescribedLog| Log::new_unchecked(log.address, log.topics.clone(), log.data.clone());
        self.logs.iter().map(log).collect::<Vec<_>>().encode(&mut payload);
        if self.kind == DEPOSIT_TYPE {
            for field in [self.deposit_nonce, self.deposit_receipt_version].into_iter().flatten() {
                field.encode(&mut payload);
            }
        }
        let mut bytes = Vec::with_capacity(payload.len() + 8);
        if self.kind != 0 {
            bytes.push(self.kind);
        }
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut bytes);
        bytes.extend_from_slice(&payload);
        bytes
    }
}

/// Asks for the receipt of one transaction. `None` if the endpoint's chain does not have it.
///
/// # Errors
/// [`RpcError`] if the endpoint does not answer.
pub async fn fetch(endpoint: &Endpoint, transaction: &B256) -> Result<Option<Receipt>, RpcError> {
    endpoint.call("eth_getTransactionReceipt", json!([transaction]), ANSWER_BYTES_MAX).await
}

/// The way from a block's receipts root to one receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptProof {
    /// Place of the transaction in the block.
    pub index: u64,
    /// The receipt's bytes in the trie.
    pub receipt: Bytes,
    /// Nodes from the root to the receipt.
    pub nodes: Vec<Bytes>,
}

/// Asks for all receipts of `block` and proves the one of `transaction`.
///
/// # Errors
/// [`ReceiptError`] if the endpoint does not answer, or its receipts are not those of the block.
pub async fn prove(
    endpoint: &Endpoint,
    block: &Block,
    transaction: &B256,
) -> Result<ReceiptProof, ReceiptError> {
    let receipts: Option<Vec<Receipt>> =
        endpoint.call("eth_getBlockReceipts", json!([at(&block.hash)]), RECEIPTS_BYTES_MAX).await?;
    let receipts = receipts.unwrap_or_default();
    let name = || endpoint.name().to_owned();
    let proved = among(&receipts, transaction);
    let (root, proof) =
        proved.ok_or_else(|| ReceiptError::Missing { endpoint: name(), block: block.number() })?;
    match root == block.header.receipts_root {
        true => Ok(proof),
        false => Err(ReceiptError::OtherRoot { endpoint: name(), block: block.number() }),
    }
}

/// The root of `receipts`, which are those of one block in their order, and the way from it to the one of `transaction`.
/// `None` if it is not among them.
#[must_use]
pub fn among(receipts: &[Receipt], transaction: &B256) -> Option<(B256, ReceiptProof)> {
    let place = receipts.iter().position(|receipt| receipt.transaction_hash == *transaction)?;
    let encoded: Vec<Vec<u8>> = receipts.iter().map(Receipt::encode).collect();
    let (root, nodes) = index_trie(&encoded, place);
    let receipt = encoded.into_iter().nth(place)?.into();
    Some((root, ReceiptProof { index: place as u64, receipt, nodes }))
}

/// Root of the trie that maps the RLP of an index to a value, and the nodes on the way to the value at `place`.
#[must_use]
pub fn index_trie(values: &[Vec<u8>], place: usize) -> (B256, Vec<Bytes>) {
    let key = |index: usize| Nibbles::unpack(alloy_rlp::encode(index));
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![key(place)]));
    for turn in 0..values.len() {
        // Keys in rising order: 1 to 127, 0 (whose RLP is 0x80), then 128 and above.
        let index = adjust_index_for_rlp(turn, values.len());
        if let Some(value) = values.get(index) {
            builder.add_leaf(key(index), value);
        }
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

/// Why a receipt cannot be proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The endpoint did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The transaction is not in the block.
    #[error(
        "{endpoint}: block {block} has no receipt of the transaction; it was moved by a reorganisation or never mined"
    )]
    Missing {
        /// Host and port.
        endpoint: String,
        /// The block's height.
        block: u64,
    },
    /// The receipts are not those of the block.
    #[error(
        "{endpoint}: the receipts of block {block} do not give its receipts root: the endpoint lies, or the chain encodes \
         receipts in its own way"
    )]
    OtherRoot {
        /// Host and port.
        endpoint: String,
        /// The block's height.
        block: u64,
    },
}

#[cfg(test)]
mod tests {
    use alloy_trie::proof::verify_proof;

    use super::*;

    #[test]
    fn receipts_of_types_that_no_transaction_has_are_refused() {
        let receipt = |kind: serde_json::Value| {
            let zero = B256::ZERO;
            serde_json::from_value::<Receipt>(json!({
                "transactionHash": zero, "transactionIndex": "0x0", "blockHash": zero, "blockNumber": "0x1", "type": kind,
                "gasUsed": "0x1", "status": "0x1", "cumulativeGasUsed": "0x1", "logsBloom": Bloom::ZERO, "logs": [],
            }))
        };
        for (kind, first) in
            [(json!("0x0"), 0xf9), (json!(null), 0xf9), (json!("0x2"), 2), (json!("0x7f"), 0x7f)]
        {
            assert_eq!(receipt(kind).unwrap().encode().first(), Some(&first));
        }
        for kind in ["0x80", "0xc0", "0xff", "0x100", "0x10000000000000002"] {
            assert!(receipt(json!(kind)).is_err(), "{kind}");
        }
    }

    #[test]
    fn every_value_of_an_index_trie_is_proved_at_every_size() {
        for count in [1, 2, 3, 16, 17, 127, 128, 129, 130, 300] {
            let values: Vec<Vec<u8>> =
                (0..count).map(|i: usize| vec![u8::try_from(i % 251).unwrap() + 1; 40 + i % 7]).collect();
            for place in [0, 1, 15, 16, 126, 127, 128, count - 1] {
                let Some(value) = values.get(place) else { continue };
                let (root, nodes) = index_trie(&values, place);
                assert_eq!(root, alloy_trie::root::ordered_trie_root_encoded(&values), "{count}");
                let key = Nibbles::unpack(alloy_rlp::encode(place));
                verify_proof(root, key, Some(value.clone()), &nodes).unwrap();
                assert!(verify_proof(root, key, Some(vec![0; 40]), &nodes).is_err(), "{count} {place}");
            }
        }
    }
}
