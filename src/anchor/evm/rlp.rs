//! Recursive Length Prefix, canonical only (Yellow Paper, appendix B).
//!
//! Guarantees: one encoding per value: lengths in their shortest form, a single byte below 0x80 without a head, nothing
//! after the end. A claimed length is never larger than the bytes that are there. Does not do: copy.

use crate::code::Code;
use crate::limits::RLP_DEPTH_MAX;

/// One item: a string of bytes, or a list whose items are still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The bytes of a string.
    Bytes(&'a [u8]),
    /// What stands in a list.
    List(List<'a>),
}

/// A list's items, read one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    /// The whole list with its head.
    encoded: &'a [u8],
    /// The items that are still to be read.
    rest: &'a [u8],
}

/// Why bytes are not canonical RLP of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RlpError {
    /// The bytes end inside an item.
    #[error("the bytes end inside an item: fetch them again, whole")]
    Truncated,
    /// Bytes follow the item.
    #[error("bytes follow the item: pass exactly one encoding")]
    TrailingBytes,
    /// A length or a number that has a shorter form.
    #[error("a length or number is not in its shortest form: use a canonical encoder")]
    NotShortest,
    /// A string where a list stands, or the other way round.
    #[error("an item is of another kind than the one that stands there")]
    Kind,
    /// A string of another length, or a number larger than its type.
    #[error("an item has another length than the one that stands there")]
    Length,
    /// Lists nested deeper than [`RLP_DEPTH_MAX`].
    #[error("lists nested deeper than {RLP_DEPTH_MAX}")]
    TooDeep,
    /// More items than the list may have, or fewer.
    #[error("a list has {0} items, which its place does not allow")]
    Count(usize),
}

impl RlpError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooDeep => Code::Limit,
            _ => Code::Malformed,
        }
    }
}

impl<'a> Item<'a> {
    /// Reads exactly one item; of a list only the head is read.
    ///
    /// # Errors
    /// [`RlpError`] if the bytes are not one canonical item.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RlpError> {
        match split(bytes)? {
            (item, []) => Ok(item),
            _ => Err(RlpError::TrailingBytes),
        }
    }

    /// The string's bytes.
    ///
    /// # Errors
    /// [`RlpError::Kind`] for a list.
    pub const fn bytes(self) -> Result<&'a [u8], RlpError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::List(_) => Err(RlpError::Kind),
        }
    }

    /// The string's bytes, exactly `N`.
    ///
    /// # Errors
    /// [`RlpError::Kind`] for a list, [`RlpError::Length`] for another length.
    pub fn array<const N: usize>(self) -> Result<[u8; N], RlpError> {
        self.bytes()?.try_into().map_err(|_| RlpError::Length)
    }

    /// The string as a big-endian number without leading zeros.
    ///
    /// # Errors
    /// [`RlpError::NotShortest`] for a leading zero, [`RlpError::Length`] for more than eight bytes.
    pub fn uint(self) -> Result<u64, RlpError> {
        let bytes = self.bytes()?;
        match bytes.first() {
            Some(0) => Err(RlpError::NotShortest),
            _ if bytes.len() > 8 => Err(RlpError::Length),
            _ => Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        }
    }

    /// The list.
    ///
    /// # Errors
    /// [`RlpError::Kind`] for a string.
    pub const fn list(self) -> Result<List<'a>, RlpError> {
        match self {
            Self::List(list) => Ok(list),
            Self::Bytes(_) => Err(RlpError::Kind),
        }
    }

    /// Checks everything below the item.
    fn check(self, depth: usize) -> Result<(), RlpError> {
        let Self::List(mut list) = self else { return Ok(()) };
        let depth = depth.checked_sub(1).ok_or(RlpError::TooDeep)?;
        while let Some(item) = list.next()? {
            item.check(depth)?;
        }
        Ok(())
    }
}

impl<'a> List<'a> {
    /// Reads the next item; `None` at the end.
    ///
    /// # Errors
    /// [`RlpError`] if what stands next is not canonical.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot fail once and for all")]
    pub fn next(&mut self) -> Result<Option<Item<'a>>, RlpError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (item, rest) = split(self.rest)?;
        self.rest = rest;
        Ok(Some(item))
    }

    /// All items of a list that has at most `max`.
    ///
    /// # Errors
    /// [`RlpError::Count`] past `max`, or what an item gives reason for.
    pub fn items(mut self, max: usize) -> Result<Vec<Item<'a>>, RlpError> {
        let mut items = Vec::new();
        while let Some(item) = self.next()? {
            items.push(item);
            if items.len() > max {
                return Err(RlpError::Count(items.len()));
            }
        }
        Ok(items)
    }

    /// Exactly `N` items.
    ///
    /// # Errors
    /// [`RlpError::Count`] for another number, or what an item gives reason for.
    pub fn exactly<const N: usize>(self) -> Result<[Item<'a>; N], RlpError> {
        let items = self.items(N)?;
        let count = items.len();
        items.try_into().map_err(|_| RlpError::Count(count))
    }

    /// The list as it is encoded, with its head.
    #[must_use]
    pub const fn encoded(&self) -> &'a [u8] {
        self.encoded
    }
}

/// Checks that `bytes` are exactly one canonical item, whatever it holds.
///
/// # Errors
/// The first [`RlpError`] met, reading from the left.
pub fn check(bytes: &[u8]) -> Result<(), RlpError> {
    Item::decode(bytes)?.check(RLP_DEPTH_MAX)
}

/// The first item of `bytes` and what follows it.
fn split(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), RlpError> {
    let (&head, after) = bytes.split_first().ok_or(RlpError::Truncated)?;
    let (is_list, content, rest) = match head {
        0x00..=0x7f => {
            let (single, rest) = bytes.split_at_checked(1).ok_or(RlpError::Truncated)?;
            return Ok((Item::Bytes(single), rest));
        }
        0x80..=0xb7 => take(after, usize::from(head - 0x80), false)?,
        0xb8..=0xbf => take_long(after, usize::from(head - 0xb7), false)?,
        0xc0..=0xf7 => take(after, usize::from(head - 0xc0), true)?,
        0xf8..=0xff => take_long(after, usize::from(head - 0xf7), true)?,
    };
    if is_list {
        let encoded = bytes.get(..bytes.len() - rest.len()).ok_or(RlpError::Truncated)?;
        return Ok((Item::List(List { encoded, rest: content }), rest));
    }
    match content {
        [single] if *single < 0x80 => Err(RlpError::NotShortest),
        _ => Ok((Item::Bytes(content), rest)),
    }
}

type Taken<'a> = (bool, &'a [u8], &'a [u8]);

fn take(bytes: &[u8], length: usize, is_list: bool) -> Result<Taken<'_>, RlpError> {
    let (content, rest) = bytes.split_at_checked(length).ok_or(RlpError::Truncated)?;
    Ok((is_list, content, rest))
}

/// Takes an item of more than 55 bytes, whose length stands in `width` bytes.
fn take_long(bytes: &[u8], width: usize, is_list: bool) -> Result<Taken<'_>, RlpError> {
    let (length, rest) = bytes.split_at_checked(width).ok_or(RlpError::Truncated)?;
    if length.first() == Some(&0) {
        return Err(RlpError::NotShortest);
    }
    let length = length.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    match usize::try_from(length) {
        Ok(0..=55) => Err(RlpError::NotShortest),
        Ok(length) => take(rest, length, is_list),
        Err(_) => Err(RlpError::Truncated),
    }
}

/// Appends a string.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [single] if *single < 0x80 => out.push(*single),
        _ => {
            write_head(out, 0x80, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a number: big-endian, without leading zeros.
pub fn write_uint(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    write_bytes(out, bytes.get(zeros..).unwrap_or_default());
}

/// Appends a list whose items are already encoded.
pub fn write_list(out: &mut Vec<u8>, items: &[u8]) {
    write_head(out, 0xc0, items.len());
    out.extend_from_slice(items);
}

fn write_head(out: &mut Vec<u8>, base: u8, length: usize) {
    if let Ok(short @ 0..=55) = u8::try_from(length) {
        out.push(base + short);
        return;
    }
    let bytes = (length as u64).to_be_bytes();
    let width = bytes.iter().skip_while(|byte| **byte == 0).count();
    // A length takes 1 to 8 bytes, so the head stays within 0xbf or 0xff.
    out.push(base + 55 + u8::try_from(width).unwrap_or(8));
    out.extend(bytes.iter().skip(8 - width));
}
