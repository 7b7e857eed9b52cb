//! Entry bundles: up to 256 entries in one file, each after its length.
//!
//! Guarantees: decoding reads every byte or refuses; what decodes has 1 to 256 entries and encodes to the same bytes.
//! Does not do: looking into an entry. An entry of the log is at most
//! [`ENTRY_BYTES_MAX`](crate::limits::ENTRY_BYTES_MAX) bytes, but bundles of other logs are read up to what the format
//! allows.
//!
//! Implements C2SP tlog-tiles, section "Log entries".

use crate::code::Code;
use crate::tile::TILE_WIDTH;

/// Bytes of the length before each entry, big-endian.
const LENGTH_BYTES: usize = size_of::<u16>();

/// The format of an entry bundle.
#[derive(Clone, Copy, Debug)]
pub struct EntryBundle;

impl EntryBundle {
    /// The bytes of the bundle of `entries`.
    ///
    /// # Errors
    /// When there is no entry, there are more than 256, or one is longer than 65,535 bytes.
    pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
        if entries.is_empty() {
            return Err(BundleError::Empty);
        }
        if entries.len() > usize::from(TILE_WIDTH) {
            return Err(BundleError::TooManyEntries);
        }
        let len = entries.iter().map(|entry| LENGTH_BYTES + entry.as_ref().len());
        let mut bytes = Vec::with_capacity(len.sum());
        for (position, entry) in entries.iter().enumerate() {
            Self::append(&mut bytes, entry.as_ref()).ok_or(BundleError::EntryTooLong { position })?;
        }
        Ok(bytes)
    }

    /// The entries of a bundle, in leaf order.
    ///
    /// # Errors
    /// When the bytes end inside an entry, or there are not 1 to 256 entries.
    pub fn decode(bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            if entries.len() == usize::from(TILE_WIDTH) {
                return Err(BundleError::TooManyEntries);
            }
            let length = usize::from(u16::from_be_bytes(*length));
            let position = entries.len();
            let (entry, after) = after.split_at_checked(length).ok_or(BundleError::Truncated { position })?;
            entries.push(entry);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(BundleError::Truncated { position: entries.len() });
        }
        if entries.is_empty() {
            return Err(BundleError::Empty);
        }
        Ok(entries)
    }

    /// Appends one entry with its length to the bytes of a bundle; nothing if it is too long.
    fn append(bytes: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
        let length = u16::try_from(entry.len()).ok()?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
        Some(())
    }
}

/// Why bytes are not an entry bundle, or entries do not make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There is no entry.
    #[error("an entry bundle has at least one entry: fetch it again")]
    Empty,
    /// There are more than 256 entries.
    #[error("an entry bundle has at most 256 entries: fetch it again")]
    TooManyEntries,
    /// The bytes end before the entry at this position does.
    #[error("the entry bundle ends inside entry {position}: fetch it again")]
    Truncated {
        /// 0-based place in the bundle.
        position: usize,
    },
    /// The entry at this position does not fit its length.
    #[error("entry {position} is longer than 65535 bytes: append a shorter one")]
    EntryTooLong {
        /// 0-based place in the bundle.
        position: usize,
    },
}

impl BundleError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty | Self::TooManyEntries | Self::Truncated { .. } => Code::Malformed,
            Self::EntryTooLong { .. } => Code::Limit,
        }
    }
}
