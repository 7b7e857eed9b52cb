//! What stands at the ends of a proof: who says when the message existed.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use super::read::{ReadError, Reader, write_bytes, write_number};
use crate::code::Code;
use crate::limits::{OTS_PAYLOAD_BYTES_MAX, OTS_URI_BYTES_MAX};

type Tag = [u8; 8];

const PENDING: Tag = [0x83, 0xdf, 0xe3, 0x0d, 0x2e, 0xf9, 0x0c, 0x8e];
const BITCOIN: Tag = [0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01];
const LITECOIN: Tag = [0x06, 0x86, 0x9a, 0x0d, 0x73, 0xd7, 0x1b, 0x45];
const ETHEREUM: Tag = [0x30, 0xfe, 0x80, 0x87, 0xb5, 0xc7, 0xea, 0xd7];

/// One attestation. They compare as the reference orders them: by tag, then by what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attestation {
    /// A calendar promises to have the message hashed into a block.
    Pending(CalendarUri),
    /// The message is the merkle root of a Bitcoin block.
    Bitcoin {
        /// The block's height.
        height: u64,
    },
    /// The message is the merkle root of a Litecoin block.
    Litecoin {
        /// The block's height.
        height: u64,
    },
    /// The message is the transactions root of an Ethereum block.
    Ethereum {
        /// The block's number.
        height: u64,
    },
    /// Of a kind that is not known here, kept as it is.
    Unknown(UnknownAttestation),
}

impl Attestation {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let tag: Tag = reader.take(8)?.try_into().map_err(|_| ReadError::Truncated)?;
        let payload = match reader.bytes(OTS_PAYLOAD_BYTES_MAX) {
            Err(ReadError::Length) => return Err(ReadError::Payload),
            payload => payload?,
        };
        let mut inner = Reader::new(payload);
        let read = match tag {
            PENDING => uri(&mut inner).map(Self::Pending),
            BITCOIN => inner.number().map(|height| Self::Bitcoin { height }),
            LITECOIN => inner.number().map(|height| Self::Litecoin { height }),
            ETHEREUM => inner.number().map(|height| Self::Ethereum { height }),
            _ => return Ok(Self::Unknown(UnknownAttestation { tag, payload: payload.to_vec() })),
        };
        match (read, inner.end()) {
            (Ok(attestation), Ok(())) => Ok(attestation),
            (Err(ReadError::Uri), _) => Err(ReadError::Uri),
            _ => Err(ReadError::Payload),
        }
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.tag());
        let mut payload = Vec::new();
        match self {
            Self::Pending(uri) => write_bytes(&mut payload, uri.as_str().as_bytes()),
            Self::Bitcoin { height } | Self::Litecoin { height } | Self::Ethereum { height } => {
                write_number(&mut payload, *height);
            }
            Self::Unknown(unknown) => payload.extend(&unknown.payload),
        }
        write_bytes(into, &payload);
    }

    /// The eight bytes that say of which kind it is.
    #[must_use]
    pub const fn tag(&self) -> [u8; 8] {
        match self {
            Self::Pending(_) => PENDING,
            Self::Bitcoin { .. } => BITCOIN,
            Self::Litecoin { .. } => LITECOIN,
            Self::Ethereum { .. } => ETHEREUM,
            Self::Unknown(unknown) => unknown.tag,
        }
    }

    fn order(&self) -> (Tag, u64, &[u8]) {
        match self {
            Self::Pending(uri) => (PENDING, 0, uri.as_str().as_bytes()),
            Self::Bitcoin { height } | Self::Litecoin { height } | Self::Ethereum { height } => {
                (self.tag(), *height, &[])
            }
            Self::Unknown(unknown) => (unknown.tag, 0, &unknown.payload),
        }
    }
}

impl Ord for Attestation {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Attestation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An attestation of a kind that is not known here: its tag is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAttestation {
    tag: Tag,
    payload: Vec<u8>,
}

impl UnknownAttestation {
    /// Its tag.
    #[must_use]
    pub const fn tag(&self) -> [u8; 8] {
        self.tag
    }

    /// What it holds, at most 8,192 bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Where a calendar says that it can be asked: at most 1,000 characters of `A-Za-z0-9-._/:`.
///
/// The reference leaves out what queries, fragments, logins and percent signs need. That makes it no address one should ask:
/// whoever made the proof wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarUri(String);

impl CalendarUri {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CalendarUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte);
        if text.len() > OTS_URI_BYTES_MAX {
            return Err(UriError::Long);
        }
        if text.bytes().all(allowed) { Ok(Self(text.to_owned())) } else { Err(UriError::Character) }
    }
}

impl fmt::Display for CalendarUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no calendar's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Past the reference's limit.
    #[error("a calendar's URI has at most {OTS_URI_BYTES_MAX} characters")]
    Long,
    /// A character that the reference does not allow.
    #[error("a calendar's URI is made of letters, digits and - . _ / : alone")]
    Character,
}

impl UriError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

fn uri(payload: &mut Reader<'_>) -> Result<CalendarUri, ReadError> {
    let bytes = payload.bytes(OTS_URI_BYTES_MAX).map_err(|error| match error {
        ReadError::Length => ReadError::Uri,
        error => error,
    })?;
    core::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(ReadError::Uri)
}
