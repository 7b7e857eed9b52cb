//! The first bytes of a segment: whose it is, which one, and the tree its first record appends to.

use super::JournalError;
use crate::hash::Hash;
use crate::merkle::TreeSize;
use crate::merkle::range::CompactRange;
use crate::time::UnixMillis;

/// Says: a Ledgerstone journal segment, first version.
const MAGIC: &[u8; 8] = b"LSseg\x00\x00\x01";
/// What a segment of any version begins with; the byte after it is the version.
const ANY_VERSION: &[u8; 7] = b"LSseg\x00\x00";
/// Bytes before the hashes of the range.
const FIXED_BYTES: usize = 8 + Hash::LEN + 8 + 1 + 8 + Hash::LEN + 8 + 8 + 1;

/// Where a segment starts: everything about the log that its first record builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// How many records the log had written before.
    pub sequence: u64,
    /// The checksum of the last of them, [`FIRST_CHECKSUM`](super::FIRST_CHECKSUM) if there is none.
    pub checksum: Hash,
    /// When the last of them was cut, in milliseconds; zero if there is none.
    pub time: UnixMillis,
    /// The tree after it.
    pub range: CompactRange,
}

impl Base {
    /// The base of a log without records.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            sequence: 0,
            checksum: super::FIRST_CHECKSUM,
            time: UnixMillis::new(0),
            range: CompactRange::empty(),
        }
    }
}

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// SHA-256 of the log's origin line.
    pub origin: Hash,
    /// The segment's number; also its file name.
    pub number: u64,
    /// Whether every file of the tree it starts from was durable before the segment was: then no older segment is
    /// needed. Otherwise the segments before it hold what may not be durable elsewhere.
    pub settled: bool,
    /// What its first record builds on.
    pub base: Base,
}

/// A header as read, before its range is checked.
struct Parts {
    header: SegmentHeader,
    size: TreeSize,
    hashes: Vec<Hash>,
    /// Bytes that the header takes.
    length: usize,
}

impl SegmentHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let hashes = self.base.range.hashes();
        let mut out = Vec::with_capacity(FIXED_BYTES + (hashes.len() + 1) * Hash::LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.origin.as_ref());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.push(u8::from(self.settled));
        out.extend_from_slice(&self.base.sequence.to_be_bytes());
        out.extend_from_slice(self.base.checksum.as_ref());
        out.extend_from_slice(&self.base.time.get().to_be_bytes());
        out.extend_from_slice(&self.base.range.size().get().to_be_bytes());
        out.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
        for hash in hashes {
            out.extend_from_slice(hash.as_ref());
        }
        out.extend_from_slice(Hash::of(&out).as_ref());
        out
    }

    /// Reads a header from the start of a segment and says how many bytes it takes.
    ///
    /// # Errors
    /// When the bytes are no whole header, or one of another log.
    pub fn decode(segment: &[u8], origin: &Hash) -> Result<(Self, usize), JournalError> {
        let Parts { header, size, hashes, length } =
            Self::parse(segment).ok_or_else(|| unreadable(segment))?;
        if header.origin != *origin {
            return Err(JournalError::OtherOrigin { found: header.origin });
        }
        let range = CompactRange::from_parts(size, hashes)?;
        let base = Base { range, ..header.base };
        Ok((Self { base, ..header }, length))
    }

    /// The header with an empty range, and apart from it what the range is made of; `None` where bytes are damaged.
    fn parse(segment: &[u8]) -> Option<Parts> {
        let (magic, rest) = segment.split_first_chunk::<8>()?;
        let (origin, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (&settled, rest) = rest.split_first()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (checksum, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (&count, rest) = rest.split_first()?;
        let (hashes, rest) = rest.split_at_checked(usize::from(count) * Hash::LEN)?;
        let (check, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let length = segment.len() - rest.len();
        let covered = segment.get(..length - Hash::LEN)?;
        if magic != MAGIC || settled > 1 || Hash::of(covered) != Hash::from_bytes(*check) {
            return None;
        }
        let header = Self {
            origin: Hash::from_bytes(*origin),
            number: u64::from_be_bytes(*number),
            settled: settled == 1,
            base: Base {
                sequence: u64::from_be_bytes(*sequence),
                checksum: Hash::from_bytes(*checksum),
                time: UnixMillis::new(u64::from_be_bytes(*time)),
                range: CompactRange::empty(),
            },
        };
        let hashes = hashes.chunks_exact(Hash::LEN).filter_map(|chunk| Hash::try_from(chunk).ok()).collect();
        Some(Parts { header, size: TreeSize::new(u64::from_be_bytes(*size)), hashes, length })
    }
}

/// Why a header cannot be read: a later release wrote it, or it is damaged.
fn unreadable(segment: &[u8]) -> JournalError {
    match segment.strip_prefix(ANY_VERSION.as_slice()) {
        Some([found, ..]) if *found > 1 => JournalError::Newer { found: *found },
        _ => JournalError::Header,
    }
}
