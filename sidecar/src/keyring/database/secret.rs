//! A secret in its place: whose it is and the wrapped key, in one of a few sizes, so that it is overwritten where it stands.

use super::super::WrappedKey;
use super::super::error::RingError;
use super::super::hot::Tag;

/// Bytes of a tag.
pub(super) const TAG_BYTES: usize = 32;

/// The sizes of a place for a secret: tag, length and a wrapped key of 40 bytes, of 222, and of the largest.
const PLACES: [usize; 3] =
    [TAG_BYTES + 2 + 40, TAG_BYTES + 2 + 222, TAG_BYTES + 2 + super::super::WRAPPED_KEY_BYTES_MAX];

/// Which keys to look at for a person: the first 24 bits of the tag.
pub(super) fn bucket(tag: &Tag) -> i64 {
    let [a, b, c, ..] = *tag;
    i64::from(u32::from_be_bytes([0, a, b, c]))
}

/// A tag and a wrapped key as they lie in their place.
pub(super) fn secret(tag: &Tag, wrapped: &WrappedKey) -> Vec<u8> {
    let wrapped = wrapped.as_bytes();
    let length = TAG_BYTES + 2 + wrapped.len();
    let size = PLACES.into_iter().find(|size| *size >= length).unwrap_or(length);
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(&u16::try_from(wrapped.len()).unwrap_or_default().to_be_bytes());
    bytes.extend_from_slice(wrapped);
    bytes.resize(size, 0);
    bytes
}

pub(super) fn read_secret(bytes: &[u8]) -> Result<(Tag, WrappedKey), RingError> {
    let damaged = RingError::Damaged { what: "a secret is none" };
    let Some((tag, rest)) = bytes.split_first_chunk::<TAG_BYTES>() else { return Err(damaged) };
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Err(damaged) };
    let wrapped = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(damaged)?;
    Ok((*tag, WrappedKey::new(wrapped.to_vec())?))
}
