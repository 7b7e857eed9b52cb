//! One header: 80 bytes, read in place.

use super::difficulty::{Target, TargetError};
use super::{BlockHash, MerkleRoot, Network};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 80;

/// The header of a block: version, hash of the header before it, merkle root, time, bits, nonce; numbers little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader([u8; HEADER_BYTES]);

impl BlockHeader {
    /// Takes the bytes; every 80 bytes are some header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        Self(bytes)
    }

    /// Whether its hash meets the target that it states, and `network` allows that target.
    ///
    /// # Errors
    /// [`TargetError`] if the network does not allow the target.
    pub fn shows_work(&self, network: Network) -> Result<bool, TargetError> {
        Ok(self.target(network)?.met_by(&self.hash()))
    }

    /// The target that it states.
    ///
    /// # Errors
    /// [`TargetError`] if `network` does not allow it.
    pub fn target(&self, network: Network) -> Result<Target, TargetError> {
        Target::from_bits(self.bits(), network)
    }

    /// Its hash, which names the block.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash::of(&self.0)
    }

    /// The hash of the header before it.
    #[must_use]
    pub const fn previous(&self) -> BlockHash {
        BlockHash::from_header_order(self.at(4))
    }

    /// The root of the block's transactions.
    #[must_use]
    pub const fn merkle_root(&self) -> MerkleRoot {
        MerkleRoot::from_header_order(self.at(36))
    }

    /// The time that the miner wrote, in seconds since 1970.
    #[must_use]
    pub const fn time(&self) -> u32 {
        u32::from_le_bytes(self.at(68))
    }

    /// The target in its compact form.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        u32::from_le_bytes(self.at(72))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.0
    }

    /// The `N` bytes from `from` on; every caller stays inside the 80.
    const fn at<const N: usize>(&self, from: usize) -> [u8; N] {
        match self.0.split_at(from).1.first_chunk() {
            Some(bytes) => *bytes,
            None => [0; N],
        }
    }
}
