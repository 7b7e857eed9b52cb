//! Bitcoin's block headers: their proof of work along a segment that holds a block somebody chose to rely on.
//!
//! Guarantees: a block that [`verify`] proves stands in one unbroken chain of headers with a pinned block. What lies before the
//! pinned block follows from its hash alone; what lies after it took the work that each header shows, by the rules of difficulty
//! as far as the segment lets them be checked.
//! Does not do: choose between chains (the pin does), read transactions, or know whether a clock was right: a miner may date a
//! block up to two hours ahead, and back to the median of the eleven blocks before it.
//! Source: Bitcoin Core's `pow.cpp` and `arith_uint256.cpp` (compact targets, retargeting, permitted transitions) and
//! `validation.cpp` (median time past).

mod difficulty;
mod hashes;
mod header;
mod segment;
mod wide;

use core::fmt;
use core::str::FromStr;

use crate::code::Code;
use crate::time::UnixMillis;

pub use difficulty::{PERIOD_BLOCKS, Target, TargetError, Work, next_bits};
pub use hashes::{BlockHash, BlockHashError, MerkleRoot};
pub use header::{BlockHeader, HEADER_BYTES};
pub use segment::{HeaderChain, HeaderSegment, SegmentError};

/// Whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// Bitcoin's main chain: a target of at most 2^224, a new one every 2,016 blocks.
    #[default]
    Mainnet,
    /// A chain for tests: any target below 2^255, and never another than that of the block before. Its work proves nothing.
    Regtest,
}

impl Network {
    /// Its name in configuration and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Regtest => "regtest",
        }
    }

    /// The easiest target, in its compact form.
    #[must_use]
    pub const fn easiest_bits(self) -> u32 {
        match self {
            Self::Mainnet => 0x1d00_ffff,
            Self::Regtest => 0x207f_ffff,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mainnet" => Ok(Self::Mainnet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(UnknownNetwork),
        }
    }
}

/// A name that is no network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no Bitcoin network: write mainnet or regtest")]
pub struct UnknownNetwork;

impl UnknownNetwork {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// A block that somebody chose to rely on, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// How many blocks lie before it; the first block's is 0.
    pub height: u64,
    /// The hash of its header.
    pub hash: BlockHash,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.height, self.hash)
    }
}

/// What an auditor relies on for Bitcoin; obtained elsewhere than from who is audited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitcoinTrust {
    /// Whose rules hold.
    pub network: Network,
    /// The blocks; each that lies in a segment must be the segment's.
    pub pins: Vec<Pin>,
}

/// What a timestamp says about a block: its merkle root, to be compared with that of the header at its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitcoinAttestation {
    /// The block's height.
    pub height: u64,
    /// The root of its transactions, which the statement was hashed into.
    pub merkle_root: MerkleRoot,
}

/// A block that stands in a chain with a pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvedBlock {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// The time that its miner wrote into it; true to about two hours.
    pub time: UnixMillis,
    /// The pinned block that its place rests on.
    pub pin: Pin,
    /// The work of all headers of the segment but the pinned one.
    pub work: Work,
    /// Headers of the segment from this block to the last one, itself included.
    pub confirmations: u64,
}

/// Shows that the block of `attestation` is one of `segment`'s, which must hold one of `pins`.
///
/// # Errors
/// [`ProofError`]: the headers do not hold together, hold no pinned block, do not reach the attested height, or the block at
/// that height has another merkle root.
pub fn verify(
    segment: &HeaderSegment<'_>,
    network: Network,
    pins: &[Pin],
    attestation: &BitcoinAttestation,
) -> Result<ProvedBlock, ProofError> {
    segment.verify(network, pins)?.prove(attestation)
}

/// Why a block is not proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The headers are not a chain with a pinned block.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The headers do not reach it.
    #[error(
        "the proof names block {height}, but the headers are those of blocks {first} to {last}: capture them again"
    )]
    Height {
        /// The height that the timestamp names.
        height: u64,
        /// That of the first header.
        first: u64,
        /// That of the last header.
        last: u64,
    },
    /// It is another block.
    #[error("block {height} has the merkle root {header}, but the proof leads to {proof}: keep both files")]
    Root {
        /// The height that the timestamp names.
        height: u64,
        /// The merkle root of the header at that height.
        header: MerkleRoot,
        /// The merkle root that the timestamp leads to.
        proof: MerkleRoot,
    },
}

impl ProofError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Segment(error) => error.code(),
            Self::Height { .. } | Self::Root { .. } => Code::Inconsistent,
        }
    }
}
