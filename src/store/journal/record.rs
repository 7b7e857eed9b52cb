//! One record of a segment: a batch, between a header that says how long it is and a checksum over all of it.

use crate::code::Code;
use crate::hash::{Hash, StreamHasher};
use crate::merkle::LeafIndex;
use crate::store::batch::{Batch, BatchEntry};
use crate::time::UnixMillis;

/// Says: a journal record, first version.
pub(super) const MAGIC: &[u8; 8] = b"LSrec\x00\x00\x01";
/// Bytes of the header that its own check covers.
const COVERED_BYTES: usize = 8 + 8 + 8 + 8 + 8 + 4 + Hash::LEN;
/// Bytes of a record's header: what is covered, and the first 16 bytes of the SHA-256 of it and of the origin.
pub const RECORD_HEADER_BYTES: usize = COVERED_BYTES + CHECK_BYTES;
/// Bytes of the header's own check. It guards against accident only; the checksum at the end covers the header again.
const CHECK_BYTES: usize = 16;

/// What stands before a record's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the entries, between this header and the checksum.
    pub payload: u64,
    /// How many records the log had written before.
    pub sequence: u64,
    /// The index of the first entry.
    pub first: LeafIndex,
    /// When the batch was cut.
    pub time: UnixMillis,
    /// How many entries there are.
    pub count: u32,
    /// The root of the tree after them.
    pub root: Hash,
}

impl RecordHeader {
    /// The header's bytes, for a log whose origin hashes to `origin`.
    #[must_use]
    pub fn encode(&self, origin: &Hash) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.payload.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.first.get().to_be_bytes());
        out.extend_from_slice(&self.time.get().to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(self.root.as_ref());
        out.extend_from_slice(&check(origin, &out));
        out
    }

    /// Reads a header from the start of `bytes`; `None` where it is not whole.
    #[must_use]
    pub fn decode(bytes: &[u8], origin: &Hash) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (payload, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (root, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let (found, _) = rest.split_first_chunk::<CHECK_BYTES>()?;
        if magic != MAGIC || *found != check(origin, bytes.get(..COVERED_BYTES)?) {
            return None;
        }
        Some(Self {
            payload: u64::from_be_bytes(*payload),
            sequence: u64::from_be_bytes(*sequence),
            first: LeafIndex::new(u64::from_be_bytes(*first)),
            time: UnixMillis::new(u64::from_be_bytes(*time)),
            count: u32::from_be_bytes(*count),
            root: Hash::from_bytes(*root),
        })
    }
}

/// The check of a record header: it includes the origin, so that another log's record is not taken for one of ours.
fn check(origin: &Hash, covered: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = StreamHasher::new();
    hasher.update(origin.as_ref());
    hasher.update(covered);
    let digest = hasher.finish();
    let mut out = [0; CHECK_BYTES];
    for (to, from) in out.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    out
}

/// Bytes of the record that `batch` makes.
#[must_use]
pub fn record_bytes(batch: &Batch) -> usize {
    RECORD_HEADER_BYTES + payload_bytes(batch) + Hash::LEN
}

fn payload_bytes(batch: &Batch) -> usize {
    batch.byte_count() + batch.entries().len() * (2 + 4)
}

/// The record of `batch`, the `sequence`-th of the log whose origin hashes to `origin`, after the one whose checksum is
/// `previous`; and its own checksum, which are its last 32 bytes.
///
/// # Errors
/// When an entry, a sealed record or the batch passes what its length field can say.
pub fn encode_record(
    batch: &Batch,
    sequence: u64,
    previous: &Hash,
    origin: &Hash,
) -> Result<(Vec<u8>, Hash), EncodeError> {
    let payload = payload_bytes(batch);
    let header = RecordHeader {
        payload: u64::try_from(payload).map_err(|_| EncodeError::Length)?,
        sequence,
        first: batch.first(),
        time: batch.time(),
        count: u32::try_from(batch.entries().len()).map_err(|_| EncodeError::Length)?,
        root: batch.root(),
    };
    let mut out = header.encode(origin);
    out.reserve_exact(payload + Hash::LEN);
    for entry in batch.entries() {
        let bytes = u16::try_from(entry.bytes.len()).map_err(|_| EncodeError::Length)?;
        let sealed = u32::try_from(entry.sealed.len()).map_err(|_| EncodeError::Length)?;
        out.extend_from_slice(&bytes.to_be_bytes());
        out.extend_from_slice(&entry.bytes);
        out.extend_from_slice(&sealed.to_be_bytes());
        out.extend_from_slice(&entry.sealed);
    }
    let checksum = chain(previous, &out);
    out.extend_from_slice(checksum.as_ref());
    Ok((out, checksum))
}

/// The checksum of a record's header and payload after the record whose checksum is `previous`.
pub(super) fn chain(previous: &Hash, record: &[u8]) -> Hash {
    let mut hasher = StreamHasher::new();
    hasher.update(previous.as_ref());
    hasher.update(record);
    hasher.finish()
}

/// The entries in a record's payload; `None` unless they are exactly `count` and fill it.
pub(super) fn decode_payload(mut payload: &[u8], count: u32) -> Option<Vec<BatchEntry>> {
    // Each entry takes six bytes at least, so a count from a damaged header reserves no more than the payload's size.
    let mut entries = Vec::with_capacity((count as usize).min(payload.len() / 6));
    for _ in 0..count {
        let (length, rest) = payload.split_first_chunk::<2>()?;
        let (bytes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (sealed, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        entries.push(BatchEntry { bytes: bytes.to_vec(), sealed: sealed.to_vec() });
        payload = rest;
    }
    payload.is_empty().then_some(entries)
}

/// Why a batch does not fit a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Something in it is longer than its length field can say.
    #[error("the batch does not fit a journal record: cut smaller batches")]
    Length,
}

impl EncodeError {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Length => Code::Limit,
        }
    }
}
