//! OpenTimestamps proofs (`.ots`): a file's digest, the operations on it, and the attestations at their ends.
//!
//! Guarantees: what is read here is what the reference implementation reads (opentimestamps/python-opentimestamps, `core/`),
//! within its limits for lengths and depth and our own for counts ([`crate::limits`]); what is written is in its order, so both
//! write the same bytes. An attestation of a kind that is not known is kept as it is.
//! Two differences: numbers of more than 64 bits or ten bytes are refused, and so is anything after a calendar's answer.
//! Does not do: ask a calendar; believe one. A pending attestation is a calendar's promise and proves nothing.

mod attestation;
mod checks;
mod cut;
mod op;
mod read;
mod stamping;
#[cfg(test)]
mod tests;
mod timestamp;

use crate::code::Code;
use crate::limits::OTS_FILE_BYTES_MAX;

pub use attestation::{Attestation, CalendarUri, UnknownAttestation, UriError};
pub use checks::{Examination, checks, examine};
pub use op::{HashOp, Op};
pub use read::ReadError;
pub use stamping::{CalendarAnswer, NONCE_BYTES, Stamping, StampingError, UpgradeRequest};
pub use timestamp::Timestamp;

pub use super::bitcoin::BitcoinAttestation;

use super::bitcoin::MerkleRoot;
use read::Reader;

/// The first bytes of every proof.
const MAGIC: &[u8] = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94";

/// The one version of the format.
const MAJOR_VERSION: u8 = 1;

/// A timestamp of a file that lies elsewhere: what an `.ots` file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedTimestamp {
    file_hash: HashOp,
    digest: Vec<u8>,
    timestamp: Timestamp,
}

/// An attestation and the message that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// What the operations on the way give: for a Bitcoin block its merkle root, for a calendar the commitment it keeps.
    pub message: Vec<u8>,
    /// What is said about it.
    pub attestation: Attestation,
}

impl DetachedTimestamp {
    /// Puts a proof together; `digest` is what `file_hash` gave for the file.
    ///
    /// # Errors
    /// [`ReadError`] if the digest has another length than `file_hash` gives, or a limit is passed.
    pub fn new(file_hash: HashOp, digest: &[u8], timestamp: Timestamp) -> Result<Self, ReadError> {
        if digest.len() != file_hash.digest_bytes() {
            return Err(ReadError::Digest);
        }
        timestamp.check(digest.len())?;
        Ok(Self { file_hash, digest: digest.to_vec(), timestamp })
    }

    /// Reads an `.ots` file.
    ///
    /// # Errors
    /// [`ReadError`]: the bytes are no proof, or pass a limit.
    pub fn parse(file: &[u8]) -> Result<Self, ReadError> {
        if file.len() > OTS_FILE_BYTES_MAX {
            return Err(ReadError::Long);
        }
        let mut reader = Reader::new(file);
        if reader.take(MAGIC.len()).map_err(|_| ReadError::Magic)? != MAGIC {
            return Err(ReadError::Magic);
        }
        let version = reader.byte()?;
        if version != MAJOR_VERSION {
            return Err(ReadError::Version { version });
        }
        let tag = reader.byte()?;
        let file_hash = HashOp::from_tag(tag).ok_or(ReadError::FileHash { tag })?;
        let digest = reader.take(file_hash.digest_bytes())?.to_vec();
        let timestamp = Timestamp::read(&mut reader, digest.len())?;
        reader.end()?;
        Ok(Self { file_hash, digest, timestamp })
    }

    /// The `.ots` file, byte for byte as the reference writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend([MAJOR_VERSION, self.file_hash.tag()]);
        file.extend(&self.digest);
        self.timestamp.write(&mut file);
        file
    }

    /// Adds another proof of the same file: its attestations and operations stand beside these.
    ///
    /// # Errors
    /// [`MergeError`]: it is of another file, or both together pass a limit. Nothing was changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        if (self.file_hash, &self.digest) != (other.file_hash, &other.digest) {
            return Err(MergeError::OtherFile);
        }
        let mut merged = self.timestamp.clone();
        merged.merge(&other.timestamp);
        merged.check(self.digest.len())?;
        self.timestamp = merged;
        Ok(())
    }

    /// What to ask the calendars for: each pending attestation that leads to no Bitcoin block yet, once.
    ///
    /// A calendar's answer names the URI, so a hostile one can name anybody's: ask only those that you chose.
    #[must_use]
    pub fn upgrade_requests(&self) -> Vec<UpgradeRequest> {
        let mut requests = std::collections::BTreeSet::new();
        self.timestamp.visit(&self.digest, &mut |message, node| {
            if node.is_complete() {
                return;
            }
            for attestation in node.attestations() {
                if let Attestation::Pending(calendar) = attestation {
                    requests
                        .insert(UpgradeRequest { calendar: calendar.clone(), commitment: message.to_vec() });
                }
            }
        });
        requests.into_iter().collect()
    }

    /// Adds what a calendar answered to an upgrade request; whether that was anything new.
    ///
    /// # Errors
    /// [`MergeError`]: nothing here waits for that commitment, or both together pass a limit. Nothing was changed then.
    pub fn upgrade(&mut self, answer: &CalendarAnswer) -> Result<bool, MergeError> {
        let mut upgraded = self.timestamp.clone();
        if !upgraded.graft(&self.digest, answer.commitment(), answer.timestamp()) {
            return Err(MergeError::NotAsked);
        }
        upgraded.check(self.digest.len())?;
        let new = upgraded != self.timestamp;
        self.timestamp = upgraded;
        Ok(new)
    }

    /// The same proof with nothing but what leads to the Bitcoin block of that height, if anything does.
    ///
    /// It needs no calendar any more, and no byte of it can change without changing what it proves; but for one case: where a
    /// block has an odd number of transactions, Bitcoin hashes the last with itself, and to append or prepend it is the same.
    #[must_use]
    pub fn only(&self, height: u64) -> Option<Self> {
        let timestamp = self.timestamp.only(&Attestation::Bitcoin { height })?;
        Some(Self { timestamp, ..self.clone() })
    }

    /// Whether it names a Bitcoin block, and so needs no calendar any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.timestamp.is_complete()
    }

    /// Every attestation with the message that it is about, in the order of the file.
    #[must_use]
    pub fn attestations(&self) -> Vec<Attested> {
        let mut all = Vec::new();
        self.timestamp.visit(&self.digest, &mut |message, node| {
            all.extend(
                node.attestations().map(|attestation| Attested {
                    message: message.to_vec(),
                    attestation: attestation.clone(),
                }),
            );
        });
        all
    }

    /// The blocks that it names, each with the merkle root that the operations lead to; lowest first.
    ///
    /// # Errors
    /// [`RootError`] if a path ends in something that is no merkle root.
    pub fn bitcoin_attestations(&self) -> Result<Vec<BitcoinAttestation>, RootError> {
        let mut blocks = Vec::new();
        for Attested { message, attestation } in self.attestations() {
            let Attestation::Bitcoin { height } = attestation else { continue };
            let root = message.as_slice().try_into();
            let root = root.map_err(|_| RootError { height, bytes: message.len() })?;
            blocks.push(BitcoinAttestation { height, merkle_root: MerkleRoot::from_header_order(root) });
        }
        blocks.sort_by_key(|block| (block.height, block.merkle_root));
        blocks.dedup();
        Ok(blocks)
    }

    /// How the file's digest was computed.
    #[must_use]
    pub const fn file_hash(&self) -> HashOp {
        self.file_hash
    }

    /// The file's digest: 20 or 32 bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// What is proved of the digest.
    #[must_use]
    pub const fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }
}

/// Why two proofs do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Different digests.
    #[error("the two proofs are of different files: merge proofs of one file only")]
    OtherFile,
    /// No pending attestation for this commitment.
    #[error("the proof waits for no such commitment: merge answers to its own upgrade requests only")]
    NotAsked,
    /// Too much together.
    #[error("the merged proof could not be read back: {0}")]
    Limit(#[from] ReadError),
}

impl MergeError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OtherFile | Self::NotAsked => Code::Misuse,
            Self::Limit(error) => error.code(),
        }
    }
}

/// A path to a Bitcoin block that does not end in a merkle root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proof's path to block {height} ends in {bytes} bytes, but a merkle root has 32: it proves nothing"
)]
pub struct RootError {
    /// The height that it names.
    pub height: u64,
    /// The length of what the path ends in.
    pub bytes: usize,
}

impl RootError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Inconsistent
    }
}
