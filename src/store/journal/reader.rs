//! Reads a segment record by record, and tells the remains of a torn write from damage.

use super::record::{MAGIC, chain, decode_payload};
use super::{Base, JournalError, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader};
use crate::hash::Hash;
use crate::store::batch::Batch;

/// What follows the last whole record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tail {
    /// Nothing.
    Clean,
    /// Bytes of a write that never became a record.
    Torn {
        /// Where they start in the segment.
        offset: usize,
        /// How many they are.
        bytes: usize,
    },
}

/// Reads the records of one segment, in order.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    segment: &'a [u8],
    header: SegmentHeader,
    /// Where the next record starts.
    offset: usize,
    /// What the next record builds on.
    at: Base,
}

impl<'a> Reader<'a> {
    /// Reads the header of a segment of the log whose origin hashes to `origin`.
    ///
    /// # Errors
    /// When the header is damaged or another log's.
    pub fn open(segment: &'a [u8], origin: &Hash) -> Result<Self, JournalError> {
        let (header, offset) = SegmentHeader::decode(segment, origin)?;
        Ok(Self { segment, offset, at: header.base.clone(), header })
    }

    /// The batch of the next record, or `None` where no whole record follows: then [`tail`](Self::tail) says why.
    ///
    /// # Errors
    /// When the record is whole but contradicts what stands before it.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, JournalError> {
        let Some((header, payload, checksum, end)) = self.whole_record() else {
            return Ok(None);
        };
        let contradiction = JournalError::Contradiction { offset: self.offset };
        let follows = header.sequence == self.at.sequence
            && header.first == self.at.range.size().next_index()
            && header.time >= self.at.time;
        if !follows {
            return Err(contradiction);
        }
        let entries = decode_payload(payload, header.count).ok_or(contradiction.clone())?;
        let batch = Batch::build(&self.at.range, header.time, entries).map_err(|_| contradiction.clone())?;
        if batch.root() != header.root {
            return Err(contradiction);
        }
        self.offset = end;
        self.at = Base {
            sequence: header.sequence.saturating_add(1),
            checksum,
            time: header.time,
            range: batch.after().clone(),
        };
        Ok(Some(batch))
    }

    /// What follows the records read so far, once [`next_batch`](Self::next_batch) has answered `None`.
    ///
    /// A write is begun only after the one before it is durable, so a torn write is the last thing in a segment. Where
    /// the header of a later record follows, the record here was durable once and has been damaged since.
    ///
    /// # Errors
    /// When a later record follows.
    pub fn tail(&self) -> Result<Tail, JournalError> {
        let rest = self.segment.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Tail::Clean);
        }
        let later = rest.windows(RECORD_HEADER_BYTES).any(|window| {
            window.starts_with(MAGIC)
                && RecordHeader::decode(window, &self.header.origin)
                    .is_some_and(|header| header.sequence > self.at.sequence)
        });
        if later {
            return Err(JournalError::Damaged { offset: self.offset });
        }
        Ok(Tail::Torn { offset: self.offset, bytes: rest.len() })
    }

    /// The segment's header.
    #[must_use]
    pub const fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// What a record after those read so far builds on.
    #[must_use]
    pub const fn at(&self) -> &Base {
        &self.at
    }

    /// The next record's header, payload, checksum and end, if every byte of it is as it was written.
    fn whole_record(&self) -> Option<(RecordHeader, &'a [u8], Hash, usize)> {
        let rest = self.segment.get(self.offset..)?;
        let header = RecordHeader::decode(rest, &self.header.origin)?;
        let length = RECORD_HEADER_BYTES.checked_add(usize::try_from(header.payload).ok()?)?;
        let (record, after) = rest.split_at_checked(length)?;
        let (checksum, _) = after.split_first_chunk::<{ Hash::LEN }>()?;
        let checksum = Hash::from_bytes(*checksum);
        if chain(&self.at.checksum, record) != checksum {
            return None;
        }
        let payload = record.get(RECORD_HEADER_BYTES..)?;
        Some((header, payload, checksum, self.offset + length + Hash::LEN))
    }
}
