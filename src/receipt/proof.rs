//! The text of an inclusion proof with its checkpoint (c2sp.org/tlog-proof@v1).
//!
//! Guarantees: a text that parses is the very text its facts format to. Does not do: check the proof or the checkpoint's
//! signatures. The `extra` line is kept but never trusted: nothing authenticates it. Implements tlog-proof, section Format.

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::decimal;
use crate::code::Code;
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::Hash;
use crate::limits::PROOF_HASHES_MAX;
use crate::merkle::LeafIndex;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An entry's index, its inclusion proof, and the checkpoint note that the proof leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque bytes that nothing authenticates; Ledgerstone writes none.
    pub extra: Option<Vec<u8>>,
    /// Where in the log the entry stands.
    pub index: LeafIndex,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The checkpoint note, word for word.
    pub checkpoint: String,
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(TlogProofError::NoBlankLine)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Header);
        }
        let extra = match lines.next_if(|line| line.starts_with("extra")) {
            Some(line) => Some(extra_bytes(line)?),
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = LeafIndex::new(index.ok_or(TlogProofError::Index)?);
        let mut hashes = Vec::new();
        for (at, line) in lines.enumerate() {
            if at == PROOF_HASHES_MAX {
                return Err(TlogProofError::TooManyHashes);
            }
            hashes.push(hash(line).ok_or(TlogProofError::Hash { number: at + 1 })?);
        }
        if checkpoint.is_empty() {
            return Err(TlogProofError::NoCheckpoint);
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }
}

fn extra_bytes(line: &str) -> Result<Vec<u8>, TlogProofError> {
    let encoded = line.strip_prefix("extra ").ok_or(TlogProofError::Extra)?;
    match base64_decode(encoded) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(TlogProofError::Extra),
    }
}

fn hash(line: &str) -> Option<Hash> {
    Hash::try_from(base64_decode(line).ok()?.as_slice()).ok()
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64_encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64_encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Why a text is not a tlog-proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// The first line is not [`HEADER`].
    #[error("the proof does not start with `{HEADER}`: fetch it again")]
    Header,
    /// The `extra` line is not one.
    #[error("the proof's extra line is not `extra` and canonical base64: fetch it again")]
    Extra,
    /// The `index` line is missing or wrong.
    #[error("the proof's index line is not `index` and a number without leading zeros: fetch it again")]
    Index,
    /// A line is not the base64 of a hash.
    #[error("hash {number} of the proof is not the base64 of 32 bytes: fetch it again")]
    Hash {
        /// Which one, counted from 1.
        number: usize,
    },
    /// More hashes than any tree needs.
    #[error("the proof has more than {PROOF_HASHES_MAX} hashes, more than any tree needs: fetch it again")]
    TooManyHashes,
    /// No blank line before the checkpoint.
    #[error("no blank line between the proof and its checkpoint: fetch it again")]
    NoBlankLine,
    /// Nothing after the blank line.
    #[error("no checkpoint after the proof: fetch it again")]
    NoCheckpoint,
}

impl TlogProofError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooManyHashes => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
