//! Headers of Bitcoin's blocks.
//!
//! *Guarantees*: the hash is computed from the header, and meets the target that the header itself states, which is none that
//! Bitcoin's main chain could not have.
//!
//! *Does not do*: know at which height a header stands, or whether it is in the chain. Anybody with enough computers can make a
//! header of any target; [`BlockHeader::work_bits`] says how much one took.

#[cfg(test)]
mod tests;

use ledgerstone::code::Code;
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::hash::Hash;

/// Bytes of a header.
const HEADER_BYTES: usize = 80;

/// Bytes of a file that holds one: as hex with a line feed.
pub const HEADER_FILE_BYTES_MAX: usize = 2 * HEADER_BYTES + 2;

/// Bytes of a header before its target.
const BEFORE_BITS: usize = 72;

/// The easiest target of the main chain.
const EASIEST_BITS: u32 = 0x1d00_ffff;

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader([u8; HEADER_BYTES]);

impl BlockHeader {
    /// Reads a header: its 80 bytes, or their 160 digits of lowercase hex as `bitcoin-cli getblockheader HASH false` prints them.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(file: &[u8]) -> Result<Self, BlockError> {
        if let Ok(bytes) = file.try_into() {
            return Ok(Self(bytes));
        }
        let text = core::str::from_utf8(file).map_err(|_| BlockError::Length)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let bytes = hex_decode(text).map_err(|_| BlockError::Length)?;
        bytes.try_into().map(Self).map_err(|_| BlockError::Length)
    }

    /// The block's hash as people write it, if it meets the header's own target.
    ///
    /// # Errors
    /// The target is none of the main chain's, or the hash is above it.
    pub fn verify(&self) -> Result<Hash, BlockError> {
        let target = self.target()?;
        let mut hash = *Hash::of(Hash::of(&self.0).as_bytes()).as_bytes();
        hash.reverse();
        if hash <= target { Ok(Hash::from_bytes(hash)) } else { Err(BlockError::Work) }
    }

    /// Such that about 2^this many hashes had to be tried.
    ///
    /// # Errors
    /// The target is none of the main chain's.
    pub fn work_bits(&self) -> Result<u32, BlockError> {
        let target = self.target()?;
        let zeros = target.iter().take_while(|byte| **byte == 0).count();
        let first = target.get(zeros).map_or(0, |byte| byte.leading_zeros());
        Ok(u32::try_from(8 * zeros).unwrap_or(u32::MAX).saturating_add(first))
    }

    /// The header in hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex_encode(&self.0)
    }

    /// The target, most significant byte first.
    fn target(&self) -> Result<[u8; 32], BlockError> {
        let bits = self.0.get(BEFORE_BITS..BEFORE_BITS + 4).and_then(|bits| bits.try_into().ok());
        let target = expand(u32::from_le_bytes(bits.unwrap_or_default())).ok_or(BlockError::Target)?;
        match expand(EASIEST_BITS) {
            Some(easiest) if target <= easiest && target != [0; 32] => Ok(target),
            _ => Err(BlockError::Target),
        }
    }
}

/// The number that a header's four bytes mean: 23 bits, at the power of 256 that the highest byte says.
fn expand(bits: u32) -> Option<[u8; 32]> {
    let exponent = i32::try_from(bits >> 24).ok()?;
    let mantissa = bits & 0x00ff_ffff;
    if mantissa > 0x007f_ffff || exponent > 32 {
        return None;
    }
    let mut target = [0; 32];
    for (power, byte) in (0..).zip(target.iter_mut().rev()) {
        let place: i32 = power - (exponent - 3);
        if (0..3).contains(&place) {
            let [.., least] = (mantissa >> (8 * place)).to_be_bytes();
            *byte = least;
        }
    }
    Some(target)
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
