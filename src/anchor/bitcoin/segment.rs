//! A segment of the chain of headers, and what holds of it once a block in it is pinned.

#[cfg(test)]
mod tests;

use super::difficulty::{PERIOD_BLOCKS, Target, TargetError, Work, may_follow, next_bits};
use super::{BitcoinAttestation, BlockHash, BlockHeader, HEADER_BYTES, MerkleRoot, Network, Pin};
use super::{ProofError, ProvedBlock};
use crate::code::Code;
use crate::limits::BITCOIN_HEADERS_MAX;
use crate::time::UnixMillis;

/// Blocks whose median time the next one must be after.
const MEDIAN_BLOCKS: usize = 11;

/// Headers of consecutive blocks, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderSegment<'a>(&'a [[u8; HEADER_BYTES]]);

impl<'a> HeaderSegment<'a> {
    /// Takes the bytes of one header after another.
    ///
    /// # Errors
    /// [`SegmentError::Length`], [`SegmentError::Empty`] or [`SegmentError::Long`].
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, SegmentError> {
        let (headers, rest) = bytes.as_chunks();
        match headers.len() {
            _ if !rest.is_empty() => Err(SegmentError::Length),
            0 => Err(SegmentError::Empty),
            count if count > BITCOIN_HEADERS_MAX => Err(SegmentError::Long),
            _ => Ok(Self(headers)),
        }
    }

    /// Checks that the headers are a chain with work, that a pinned block is among them and that no pin contradicts them, and
    /// the rules of difficulty and time as far as the headers show what these rules ask.
    ///
    /// A new period's target is computed where the segment holds the period before it whole, and otherwise must be within a
    /// factor of four of the old one; times are compared where the eleven headers before are in the segment.
    ///
    /// # Errors
    /// [`SegmentError`]; [`SegmentError::Unpinned`] says that the headers hold together and nothing else.
    pub fn verify(&self, network: Network, pins: &[Pin]) -> Result<HeaderChain<'a>, SegmentError> {
        let hashes = self.linked_hashes(network)?;
        let (pin, pinned) = place(&hashes, pins)?;
        let before = u64::try_from(pinned).unwrap_or(u64::MAX);
        let first_height = pin.height.checked_sub(before).ok_or(SegmentError::Pin { pin })?;
        if first_height.checked_add(BITCOIN_HEADERS_MAX as u64).is_none() {
            return Err(SegmentError::Pin { pin });
        }
        let chain = HeaderChain { headers: self.0, hashes, first_height, pin, work: Work::default() };
        chain.agrees_with(pins)?;
        chain.follows_rules(network)?;
        let work = chain.work_without(pinned, network)?;
        Ok(HeaderChain { work, ..chain })
    }

    /// The hash of the block with this merkle root, if the segment has one.
    #[must_use]
    pub fn block_of(&self, root: &MerkleRoot) -> Option<BlockHash> {
        self.headers().find(|header| header.merkle_root() == *root).map(|header| header.hash())
    }

    /// The headers, oldest first.
    pub fn headers(&self) -> impl Iterator<Item = BlockHeader> + 'a {
        self.0.iter().map(|bytes| BlockHeader::from_bytes(*bytes))
    }

    /// The hash of each header, once each names the one before it and shows the work it states.
    fn linked_hashes(&self, network: Network) -> Result<Vec<BlockHash>, SegmentError> {
        let mut hashes: Vec<BlockHash> = Vec::with_capacity(self.0.len());
        let mut known: Option<(u32, Target)> = None;
        for (index, header) in self.headers().enumerate() {
            let target = match known {
                Some((bits, target)) if bits == header.bits() => target,
                _ => header.target(network).map_err(|error| SegmentError::Target { index, error })?,
            };
            known = Some((header.bits(), target));
            if hashes.last().is_some_and(|previous| header.previous() != *previous) {
                return Err(SegmentError::Link { index });
            }
            let hash = header.hash();
            if !target.met_by(&hash) {
                return Err(SegmentError::Work { index });
            }
            hashes.push(hash);
        }
        Ok(hashes)
    }
}

/// The first pin whose block is among the hashes, and where.
fn place(hashes: &[BlockHash], pins: &[Pin]) -> Result<(Pin, usize), SegmentError> {
    let found = hashes
        .iter()
        .enumerate()
        .find_map(|(index, hash)| pins.iter().find(|pin| pin.hash == *hash).map(|pin| (*pin, index)));
    found.ok_or_else(|| SegmentError::Unpinned {
        first: hashes.first().copied().unwrap_or(BlockHash::from_header_order([0; 32])),
    })
}

/// Headers that are a chain with a pinned block, and so have heights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderChain<'a> {
    headers: &'a [[u8; HEADER_BYTES]],
    hashes: Vec<BlockHash>,
    first_height: u64,
    pin: Pin,
    work: Work,
}

impl HeaderChain<'_> {
    /// Shows that a timestamp's block is one of them.
    ///
    /// # Errors
    /// [`ProofError::Height`] or [`ProofError::Root`].
    pub fn prove(&self, attestation: &BitcoinAttestation) -> Result<ProvedBlock, ProofError> {
        let height = attestation.height;
        let missing = ProofError::Height { height, first: self.first_height, last: self.last_height() };
        let (header, hash) = self.at(height).ok_or(missing)?;
        if header.merkle_root() != attestation.merkle_root {
            let (header, proof) = (header.merkle_root(), attestation.merkle_root);
            return Err(ProofError::Root { height, header, proof });
        }
        let time = UnixMillis::new(u64::from(header.time()) * 1000);
        let confirmations = self.last_height() - height + 1;
        Ok(ProvedBlock { height, hash, time, pin: self.pin, work: self.work, confirmations })
    }

    /// The header of the block of that height, and its hash.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<(BlockHeader, BlockHash)> {
        let index = usize::try_from(height.checked_sub(self.first_height)?).ok()?;
        Some((BlockHeader::from_bytes(*self.headers.get(index)?), *self.hashes.get(index)?))
    }

    /// Height of the first header.
    #[must_use]
    pub const fn first_height(&self) -> u64 {
        self.first_height
    }

    /// Height of the last header.
    #[must_use]
    pub const fn last_height(&self) -> u64 {
        self.first_height + (self.headers.len() as u64 - 1)
    }

    /// The pinned block that the heights follow from.
    #[must_use]
    pub const fn pin(&self) -> Pin {
        self.pin
    }

    /// The work of all headers but the pinned one.
    #[must_use]
    pub const fn work(&self) -> Work {
        self.work
    }

    /// Every pin within the segment is the block there, and no pin's block stands at another height.
    fn agrees_with(&self, pins: &[Pin]) -> Result<(), SegmentError> {
        for pin in pins {
            if self.at(pin.height).is_some_and(|(_, hash)| hash != pin.hash) {
                return Err(SegmentError::Pin { pin: *pin });
            }
        }
        let misplaced = |pin: &&Pin| self.at(pin.height).is_none() && self.hashes.contains(&pin.hash);
        pins.iter().find(misplaced).map_or(Ok(()), |pin| Err(SegmentError::Pin { pin: *pin }))
    }

    fn follows_rules(&self, network: Network) -> Result<(), SegmentError> {
        for index in 0..self.headers.len() {
            let Some(header) = self.header(index) else { continue };
            let height = self.first_height.saturating_add(index as u64);
            if !self.bits_may_follow(index, height, &header, network).unwrap_or(false) {
                return Err(SegmentError::Difficulty { height });
            }
            if self.median_before(index).is_some_and(|median| header.time() <= median) {
                return Err(SegmentError::Time { height });
            }
        }
        Ok(())
    }

    /// Whether the header at `index` may state the target that it does.
    fn bits_may_follow(
        &self,
        index: usize,
        height: u64,
        header: &BlockHeader,
        network: Network,
    ) -> Result<bool, TargetError> {
        let Some(last) = index.checked_sub(1).and_then(|index| self.header(index)) else { return Ok(true) };
        if network == Network::Regtest || !height.is_multiple_of(PERIOD_BLOCKS) {
            return Ok(header.bits() == last.bits());
        }
        let start = height.checked_sub(PERIOD_BLOCKS).and_then(|start| self.at(start));
        match start {
            Some((first, _)) => {
                Ok(header.bits() == next_bits(last.bits(), first.time(), last.time(), network)?)
            }
            None => may_follow(last.bits(), header.bits(), network),
        }
    }

    /// The median time of the eleven headers before `index`, or of all there are where the segment starts with the first block.
    fn median_before(&self, index: usize) -> Option<u32> {
        let from = match index.checked_sub(MEDIAN_BLOCKS) {
            Some(from) => from,
            None if self.first_height == 0 => 0,
            None => return None,
        };
        let mut times: Vec<u32> =
            (from..index).filter_map(|index| self.header(index)).map(|h| h.time()).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// The work of all headers but that at `pinned`.
    fn work_without(&self, pinned: usize, network: Network) -> Result<Work, SegmentError> {
        let (mut sum, mut known) = (Work::default(), None);
        for (index, header) in self.headers.iter().map(|bytes| BlockHeader::from_bytes(*bytes)).enumerate() {
            let work = match known {
                Some((bits, work)) if bits == header.bits() => work,
                _ => header.target(network).map_err(|error| SegmentError::Target { index, error })?.work(),
            };
            known = Some((header.bits(), work));
            if index != pinned {
                sum = sum.plus(work);
            }
        }
        Ok(sum)
    }

    fn header(&self, index: usize) -> Option<BlockHeader> {
        self.headers.get(index).map(|bytes| BlockHeader::from_bytes(*bytes))
    }
}

/// Why bytes are not a chain of headers with a pinned block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// Not a whole number of headers.
    #[error("a file of headers is 80 bytes for each block and nothing else: capture it again")]
    Length,
    /// No header.
    #[error("the file of headers is empty: capture it again")]
    Empty,
    /// Past the limit.
    #[error("a file of headers holds at most {BITCOIN_HEADERS_MAX}: start it at a later pinned block")]
    Long,
    /// A target that the network does not allow.
    #[error("header {index}: {error}")]
    Target {
        /// Place in the file, from 0.
        index: usize,
        /// What is wrong with it.
        error: TargetError,
    },
    /// It does not name the header before it.
    #[error("header {index} does not follow the one before it: one was changed or left out")]
    Link {
        /// Place in the file, from 0.
        index: usize,
    },
    /// Its hash is above its target.
    #[error("header {index} does not show the work that it states: it was changed, or is of another chain")]
    Work {
        /// Place in the file, from 0.
        index: usize,
    },
    /// No pinned block among them.
    #[error(
        "none of the headers is a pinned block: pin one of them, the first is {first}, after looking it up elsewhere"
    )]
    Unpinned {
        /// The hash of the first header.
        first: BlockHash,
    },
    /// A pinned block is not where the headers have it.
    #[error("the headers contradict the pinned block {pin}: they are of another chain, or the pin is wrong")]
    Pin {
        /// The pin.
        pin: Pin,
    },
    /// A target that may not follow the one before it.
    #[error("block {height} states a difficulty that may not follow that of the blocks before it")]
    Difficulty {
        /// Its height.
        height: u64,
    },
    /// A time that is not after the median of the eleven blocks before it.
    #[error("block {height} is dated back behind the blocks before it")]
    Time {
        /// Its height.
        height: u64,
    },
}

impl SegmentError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Length | Self::Empty => Code::Malformed,
            Self::Long => Code::Limit,
            Self::Unpinned { .. } => Code::Untrusted,
            Self::Target { .. }
            | Self::Link { .. }
            | Self::Work { .. }
            | Self::Pin { .. }
            | Self::Difficulty { .. }
            | Self::Time { .. } => Code::Inconsistent,
        }
    }
}
