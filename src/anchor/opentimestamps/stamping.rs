//! Asking calendars: what to post, and what their answers are good for.

use core::fmt;

use super::DetachedTimestamp;
use super::attestation::{Attestation, CalendarUri};
use super::op::{HashOp, Op};
use super::read::{ReadError, Reader};
use super::timestamp::Timestamp;
use crate::code::Code;
use crate::encoding::hex_encode;
use crate::hash::Hash;
use crate::limits::OTS_ANSWER_BYTES_MAX;

/// Bytes of the nonce that hides a digest from the calendars.
pub const NONCE_BYTES: usize = 16;

/// A digest on its way to the calendars, which see only its hash with a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamping {
    digest: Hash,
    nonce: [u8; NONCE_BYTES],
}

impl Stamping {
    /// Starts to stamp the file with this SHA-256. The nonce is random, and kept until the answers are in: with another one they
    /// are worth nothing.
    #[must_use]
    pub const fn new(digest: Hash, nonce: [u8; NONCE_BYTES]) -> Self {
        Self { digest, nonce }
    }

    /// The 32 bytes to post to each calendar's `digest`: SHA-256 of digest and nonce.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        Hash::of(&[self.digest.as_bytes().as_slice(), &self.nonce].concat())
    }

    /// The proof made of the calendars' answers to [`Self::commitment`].
    ///
    /// # Errors
    /// [`StampingError`]: no answer, an answer to something else, or all together pass a limit.
    pub fn finish<'a>(
        &self,
        answers: impl IntoIterator<Item = &'a CalendarAnswer>,
    ) -> Result<DetachedTimestamp, StampingError> {
        let commitment = self.commitment();
        let mut merged: Option<Timestamp> = None;
        for answer in answers {
            if answer.commitment != commitment.as_bytes() {
                return Err(StampingError::OtherCommitment);
            }
            match &mut merged {
                Some(merged) => merged.merge(&answer.timestamp),
                None => merged = Some(answer.timestamp.clone()),
            }
        }
        let merged = merged.ok_or(StampingError::NoAnswer)?;
        let hashed = Timestamp::after(Op::Hash(HashOp::Sha256), merged);
        let nonced = Timestamp::after(Op::Append(self.nonce.to_vec()), hashed);
        Ok(DetachedTimestamp::new(HashOp::Sha256, self.digest.as_bytes(), nonced)?)
    }
}

/// What a calendar says about a commitment: the body of its answer to `POST digest` or `GET timestamp/COMMITMENT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarAnswer {
    commitment: Vec<u8>,
    timestamp: Timestamp,
}

impl CalendarAnswer {
    /// Reads an answer to `commitment`.
    ///
    /// # Errors
    /// [`ReadError`]: longer than 10,000 bytes, malformed, followed by anything, or promising nothing.
    pub fn parse(body: &[u8], commitment: &[u8]) -> Result<Self, ReadError> {
        if body.len() > OTS_ANSWER_BYTES_MAX {
            return Err(ReadError::Long);
        }
        let mut reader = Reader::new(body);
        let timestamp = Timestamp::read(&mut reader, commitment.len())?;
        reader.end()?;
        if !promises(&timestamp) {
            return Err(ReadError::NoPromise);
        }
        Ok(Self { commitment: commitment.to_vec(), timestamp })
    }

    /// What was asked about.
    #[must_use]
    pub fn commitment(&self) -> &[u8] {
        &self.commitment
    }

    /// What is proved of it.
    #[must_use]
    pub const fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }
}

/// Whether any end is a Bitcoin block or a calendar's promise of one.
fn promises(timestamp: &Timestamp) -> bool {
    let counts = |one: &Attestation| matches!(one, Attestation::Pending(_) | Attestation::Bitcoin { .. });
    timestamp.attestations().any(counts) || timestamp.operations().any(|(_, result)| promises(result))
}

/// A question to a calendar: whether a commitment has got into a block. `GET CALENDAR/timestamp/COMMITMENT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpgradeRequest {
    /// The calendar, as the proof names it.
    pub calendar: CalendarUri,
    /// What it promised to have hashed into a block.
    pub commitment: Vec<u8>,
}

impl UpgradeRequest {
    /// The path below the calendar's URI: `timestamp/` and the commitment in hex.
    #[must_use]
    pub fn path(&self) -> String {
        format!("timestamp/{}", hex_encode(&self.commitment))
    }
}

impl fmt::Display for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.calendar.as_str().trim_end_matches('/'), self.path())
    }
}

/// Why answers make no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampingError {
    /// None at all.
    #[error("no calendar answered: ask again")]
    NoAnswer,
    /// An answer to something else.
    #[error("an answer is about another commitment: read each answer with the commitment that was posted")]
    OtherCommitment,
    /// Too much together.
    #[error("the proof made of all answers could not be read back: {0}")]
    Limit(#[from] ReadError),
}

impl StampingError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoAnswer => Code::Unavailable,
            Self::OtherCommitment => Code::Misuse,
            Self::Limit(error) => error.code(),
        }
    }
}
