//! Headers of Bitcoin's blocks.
//!
//! *Guarantees*: the hash is computed from the header, and meets the target that the header itself states, which is none that
//! Bitcoin's main chain could not have.
//!
//! *Does not do*: know at which height a header stands, or whether it is in the chain. Anybody with enough computers can make a
//! header of any target; [`BlockHeader::work_bits`] says how much one took.

#[cfg(test)]
mod tests;

use ledgerstone::anchor::bitcoin::{self, HEADER_BYTES, Network, Target};
use ledgerstone::code::Code;
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::hash::Hash;

/// Bytes of a file that holds one: as hex with a line feed.
pub const HEADER_FILE_BYTES_MAX: usize = 2 * HEADER_BYTES + 2;

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader(bitcoin::BlockHeader);

impl BlockHeader {
    /// Reads a header: its 80 bytes, or their 160 digits of lowercase hex as `bitcoin-cli getblockheader HASH false` prints them.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(file: &[u8]) -> Result<Self, BlockError> {
        if let Ok(bytes) = file.try_into() {
            return Ok(Self(bitcoin::BlockHeader::from_bytes(bytes)));
        }
        let text = core::str::from_utf8(file).map_err(|_| BlockError::Length)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let bytes = hex_decode(text).map_err(|_| BlockError::Length)?;
        let bytes = bytes.try_into().map_err(|_| BlockError::Length)?;
        Ok(Self(bitcoin::BlockHeader::from_bytes(bytes)))
    }

    /// The block's hash as people write it, if it meets the header's own target.
    ///
    /// # Errors
    /// The target is none of the main chain's, or the hash is above it.
    pub fn verify(&self) -> Result<Hash, BlockError> {
        let hash = self.0.hash();
        if self.target()?.met_by(&hash) {
            Ok(Hash::from_bytes(hash.written_order()))
        } else {
            Err(BlockError::Work)
        }
    }

    /// Such that about 2^this many hashes had to be tried.
    ///
    /// # Errors
    /// The target is none of the main chain's.
    pub fn work_bits(&self) -> Result<u32, BlockError> {
        let target = self.target()?.to_be_bytes();
        let zeros = target.iter().take_while(|byte| **byte == 0).count();
        let first = target.get(zeros).map_or(0, |byte| byte.leading_zeros());
        Ok(u32::try_from(8 * zeros).unwrap_or(u32::MAX).saturating_add(first))
    }

    /// The header in hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex_encode(self.0.as_bytes())
    }

    fn target(&self) -> Result<Target, BlockError> {
        self.0.target(Network::Mainnet).map_err(|_| BlockError::Target)
    }
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Not 80 bytes.
    #[error("a block's header is 80 bytes, or 160 digits of lowercase hex on one line")]
    Length,
    /// A target that is none.
    #[error("the header states a target that no block of Bitcoin's main chain can have")]
    Target,
    /// Too little work.
    #[error("the header's hash does not meet its own target: it was changed, or is of another chain")]
    Work,
}

impl BlockError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Length => Code::Malformed,
            Self::Target | Self::Work => Code::Inconsistent,
        }
    }
}
