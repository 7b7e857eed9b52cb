//! A block header: the fields that proofs need, and the hash of its exact bytes.
//!
//! Guarantees: the hash is that of the bytes given, whatever fields a newer fork, a second layer or a consortium's chain
//! put at their end; those need only be RLP. Does not do: judge the header; it is whatever its hash is worth. Chains that
//! hash something else than the header's RLP, such as IBFT without its seals, cannot be read.
//! Implements the Yellow Paper, section 4.4.3, and the fields up to EIP-7685.

use super::keccak::{Word, keccak256};
use super::rlp::{self, Item, RlpError};
use crate::code::Code;
use crate::limits::{EVM_HEADER_BYTES_MAX, EVM_HEADER_ITEMS_MAX};

/// Items of the first headers, before any fork added one.
const ITEMS_MIN: usize = 15;

/// What proofs need of a block header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Keccak-256 of the header's bytes: the block's hash.
    pub hash: Word,
    /// The hash of the block before.
    pub parent_hash: Word,
    /// Root of the state trie after the block.
    pub state_root: Word,
    /// Root of the trie of the block's receipts.
    pub receipts_root: Word,
    /// The block's number.
    pub number: u64,
    /// When the block was made, as its maker says: seconds since the epoch.
    pub timestamp: u64,
}

/// Why bytes are no block header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// More bytes than any header has.
    #[error("a block header of more than {EVM_HEADER_BYTES_MAX} bytes: fetch it again")]
    TooLong,
    /// Not the RLP of a header.
    #[error("not a block header: {0}")]
    Rlp(#[from] RlpError),
}

impl HeaderError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            Self::Rlp(error) => error.code(),
        }
    }
}

impl BlockHeader {
    /// Reads a header's RLP.
    ///
    /// # Errors
    /// [`HeaderError`] if the bytes are not the canonical RLP of a header's fields.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() > EVM_HEADER_BYTES_MAX {
            return Err(HeaderError::TooLong);
        }
        rlp::check(bytes)?;
        let items = Item::decode(bytes)?.list()?.items(EVM_HEADER_ITEMS_MAX)?;
        let [
            parent,
            ommers,
            miner,
            state,
            transactions,
            receipts,
            bloom,
            difficulty,
            number,
            limit,
            used,
            time,
            extra,
            mix,
            nonce,
        ] = items.first_chunk::<ITEMS_MIN>().ok_or(RlpError::Count(items.len()))?;
        ommers.array::<32>()?;
        miner.array::<20>()?;
        transactions.array::<32>()?;
        bloom.array::<256>()?;
        for bytes in [difficulty, extra, mix, nonce] {
            bytes.bytes()?;
        }
        limit.uint()?;
        used.uint()?;
        Ok(Self {
            hash: keccak256(bytes),
            parent_hash: parent.array()?,
            state_root: state.array()?,
            receipts_root: receipts.array()?,
            number: number.uint()?,
            timestamp: time.uint()?,
        })
    }
}
