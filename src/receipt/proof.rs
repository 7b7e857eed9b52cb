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
    /// The first line is not `c2sp.org/tlog-proof@v1`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=";
    const CHECKPOINT: &str =
        "example.com/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} a AAAAAAE=\n";

    #[test]
    fn a_proof_with_and_without_extra_prints_as_it_was() {
        for extra in ["", "extra YQ==\n"] {
            let text = format!("{HEADER}\n{extra}index 3\n{HASH}\n{HASH}\n\n{CHECKPOINT}");
            let proof: TlogProof = text.parse().unwrap();
            assert_eq!((proof.index, proof.hashes.len()), (LeafIndex::new(3), 2));
            assert_eq!(proof.extra.is_some(), !extra.is_empty());
            assert_eq!(proof.checkpoint, CHECKPOINT);
            assert_eq!(proof.to_string(), text);
        }
    }

    #[test]
    fn a_tree_of_one_leaf_needs_no_hash() {
        let text = format!("{HEADER}\nindex 0\n\n{CHECKPOINT}");
        let proof: TlogProof = text.parse().unwrap();
        assert_eq!((proof.hashes.len(), proof.to_string()), (0, text));
    }

    #[test]
    fn refuses_what_is_not_a_proof() {
        let good = format!("{HEADER}\nindex 3\n{HASH}\n\n{CHECKPOINT}");
        let cases = [
            (String::new(), TlogProofError::NoBlankLine),
            (good.replace("@v1", "@v2"), TlogProofError::Header),
            (good.replace("c2sp", "\nc2sp"), TlogProofError::Header),
            (good.replace("index 3", "index 03"), TlogProofError::Index),
            (good.replace("index 3", "index -3"), TlogProofError::Index),
            (good.replace("index 3", "index  3"), TlogProofError::Index),
            (good.replace("index 3", "Index 3"), TlogProofError::Index),
            (good.replace("index 3\n", ""), TlogProofError::Index),
            (good.replace("index 3", "extra\nindex 3"), TlogProofError::Extra),
            (good.replace("index 3", "extra \nindex 3"), TlogProofError::Extra),
            (good.replace("index 3", "extra YQ\nindex 3"), TlogProofError::Extra),
            (good.replace("index 3", "extra YQ==\nextra YQ==\nindex 3"), TlogProofError::Index),
            (good.replace(HASH, "AAAA"), TlogProofError::Hash { number: 1 }),
            (good.replace(HASH, &HASH.replace("PlQ=", "PlR=")), TlogProofError::Hash { number: 1 }),
            (good.replace(HASH, &format!(" {HASH}")), TlogProofError::Hash { number: 1 }),
            (good.replace('\n', "\r\n"), TlogProofError::NoBlankLine),
            (format!("{HEADER}\nindex 3\n{HASH}\n"), TlogProofError::NoBlankLine),
            (format!("{HEADER}\nindex 3\n{HASH}\n\n"), TlogProofError::NoCheckpoint),
            (
                format!(
                    "{HEADER}\nindex 3\n{}\n{CHECKPOINT}",
                    format!("{HASH}\n").repeat(PROOF_HASHES_MAX + 1)
                ),
                TlogProofError::TooManyHashes,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<TlogProof>(), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was(
            text in "c2sp.org/tlog-proof@v1\n(extra [A-Za-z0-9+/]{2}[AQgw]=\n)?index [0-9]{1,3}\n([A-Za-z0-9+/]{43}=\n){0,2}\n.{0,9}",
        ) {
            if let Ok(proof) = text.parse::<TlogProof>() {
                prop_assert_eq!(proof.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).{0,80}") {
            let _ = text.parse::<TlogProof>();
        }
    }
}
