//! The bytes of the format: numbers in little-endian base 128, byte strings after their length.

use crate::code::Code;
use crate::limits::{OTS_ATTESTATIONS_MAX, OTS_DEPTH_MAX, OTS_FILE_BYTES_MAX, OTS_OPERATIONS_MAX};

/// Reads from the front, and counts what may not be too many.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    operations: usize,
    attestations: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, operations: 0, attestations: 0 }
    }

    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        let (byte, rest) = self.rest.split_first().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number; as in the reference, zeros may stand behind it.
    pub(super) fn number(&mut self) -> Result<u64, ReadError> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let digits = u64::from(byte & 0x7f);
            if digits << shift >> shift != digits {
                return Err(ReadError::Number);
            }
            value |= digits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ReadError::Number)
    }

    /// A byte string of at most `most` bytes.
    pub(super) fn bytes(&mut self, most: usize) -> Result<&'a [u8], ReadError> {
        let length = self.number()?;
        match usize::try_from(length) {
            Ok(length) if length <= most => self.take(length),
            _ => Err(ReadError::Length),
        }
    }

    pub(super) const fn end(&self) -> Result<(), ReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReadError::Trailing) }
    }

    pub(super) const fn count_operation(&mut self) -> Result<(), ReadError> {
        self.operations += 1;
        if self.operations > OTS_OPERATIONS_MAX { Err(ReadError::Operations) } else { Ok(()) }
    }

    pub(super) const fn count_attestation(&mut self) -> Result<(), ReadError> {
        self.attestations += 1;
        if self.attestations > OTS_ATTESTATIONS_MAX { Err(ReadError::Attestations) } else { Ok(()) }
    }
}

pub(super) fn write_number(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [byte, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return into.push(byte);
        }
        into.push(byte | 0x80);
    }
}

pub(super) fn write_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    write_number(into, bytes.len() as u64);
    into.extend(bytes);
}

/// Why bytes are no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Past the limit for files or answers.
    #[error("an OpenTimestamps proof has at most {OTS_FILE_BYTES_MAX} bytes, a calendar's answer 10,000")]
    Long,
    /// They end early.
    #[error("the OpenTimestamps proof is cut off: fetch it again")]
    Truncated,
    /// They go on.
    #[error("something follows the OpenTimestamps proof: it was added to")]
    Trailing,
    /// Not a proof at all.
    #[error("this is no OpenTimestamps proof: its first bytes are not those of one")]
    Magic,
    /// Not version 1.
    #[error("the OpenTimestamps proof has version {version}, but only version 1 is known")]
    Version {
        /// The version that it states.
        version: u8,
    },
    /// The file's digest is of no known kind.
    #[error("the OpenTimestamps proof's file was hashed with {tag:#04x}, which is no known digest")]
    FileHash {
        /// Its tag.
        tag: u8,
    },
    /// The file's digest has another length than its kind gives.
    #[error("the file's digest has another length than the digest that it is said to be: give the right one")]
    Digest,
    /// An operation that is not known.
    #[error("the OpenTimestamps proof uses operation {tag:#04x}, which is not known")]
    Operation {
        /// Its tag.
        tag: u8,
    },
    /// An operation's argument is empty or too long.
    #[error(
        "an operation of the OpenTimestamps proof has an argument that is empty or longer than 4,096 bytes"
    )]
    Argument,
    /// An operation's result is empty or too long.
    #[error("an operation of the OpenTimestamps proof gives no bytes or more than 4,096")]
    Message,
    /// A byte string is longer than it may be.
    #[error("the OpenTimestamps proof holds a byte string that is too long")]
    Length,
    /// A number past 64 bits.
    #[error("the OpenTimestamps proof holds a number past 64 bits")]
    Number,
    /// A payload that is too long, or not one number or one URI.
    #[error("an attestation of the OpenTimestamps proof does not hold what it should")]
    Payload,
    /// A calendar's URI that is too long or has a foreign character.
    #[error("the OpenTimestamps proof names a calendar with a URI that is not allowed")]
    Uri,
    /// Too deep.
    #[error("the OpenTimestamps proof has more than {OTS_DEPTH_MAX} steps in a row")]
    Depth,
    /// Too many operations.
    #[error("the OpenTimestamps proof has more than {OTS_OPERATIONS_MAX} operations")]
    Operations,
    /// Too many attestations.
    #[error("the OpenTimestamps proof has more than {OTS_ATTESTATIONS_MAX} attestations")]
    Attestations,
    /// A calendar's answer that leads to no Bitcoin block and promises none.
    #[error("the calendar's answer promises nothing: it names neither a calendar nor a Bitcoin block")]
    NoPromise,
}

impl ReadError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Long | Self::Depth | Self::Operations | Self::Attestations => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
