//! The receipt of the transaction that made an anchor: that it succeeded and left the contract's event.
//!
//! Guarantees: the receipt stands in the receipts trie of its block, has status 1, and holds the event with every value of
//! the statement. Does not do: show that the anchor is the latest; storage does.
//! Implements EIP-2718 receipts of any type whose fields are those of EIP-658.

use super::contract::{Address, Advance, advanced_topic};
use super::header::BlockHeader;
use super::rlp::{self, Item, RlpError};
use super::trie::{self, TrieError};
use crate::code::Code;

/// Why a receipt does not show the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The proof does not lead to it.
    #[error("the receipt's proof does not hold: {0}")]
    Trie(#[from] TrieError),
    /// The block has no receipt at that index.
    #[error("block {block} has no receipt with index {index}: capture the bundle again")]
    Absent {
        /// The block's number.
        block: u64,
        /// The index asked for.
        index: u64,
    },
    /// Not the encoding of a receipt.
    #[error("not a receipt: {0}")]
    Rlp(#[from] RlpError),
    /// The transaction was reverted.
    #[error("the transaction was reverted, so it made no anchor")]
    Reverted,
    /// No log of the contract names the statement.
    #[error("the receipt holds no event of the contract for this statement")]
    NoEvent,
}

impl ReceiptError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Trie(error) => error.code(),
            Self::Rlp(error) => error.code(),
            Self::Absent { .. } | Self::Reverted | Self::NoEvent => Code::Inconsistent,
        }
    }
}

/// Checks that the receipt at `index` of `block` holds the event of `advance`.
pub(super) fn check(
    block: &BlockHeader,
    index: u64,
    proof: &[Vec<u8>],
    contract: &Address,
    advance: &Advance,
) -> Result<(), ReceiptError> {
    let mut key = Vec::new();
    rlp::write_uint(&mut key, index);
    let receipt = trie::lookup(&block.receipts_root, &key, proof)?
        .ok_or(ReceiptError::Absent { block: block.number, index })?;
    let payload = match receipt.split_first() {
        Some((0x01..=0x7f, payload)) => payload,
        _ => receipt,
    };
    rlp::check(payload)?;
    let [status, gas, bloom, logs] = Item::decode(payload)?.list()?.exactly()?;
    gas.uint()?;
    bloom.array::<256>()?;
    if status.bytes()? != [1] {
        return Err(ReceiptError::Reverted);
    }
    let mut logs = logs.list()?;
    while let Some(log) = logs.next()? {
        if is_event(log, contract, advance)? {
            return Ok(());
        }
    }
    Err(ReceiptError::NoEvent)
}

fn is_event(log: Item<'_>, contract: &Address, advance: &Advance) -> Result<bool, RlpError> {
    let [address, topics, data] = log.list()?.exactly()?;
    let topics = topics.list()?.items(4)?;
    let expected = [advanced_topic(), *advance.log_id.as_bytes()];
    let same_topics = topics.len() == expected.len()
        && topics.iter().zip(&expected).all(|(topic, expected)| *topic == Item::Bytes(expected));
    Ok(address.bytes()? == contract && same_topics && data.bytes()? == advance.event_data())
}
