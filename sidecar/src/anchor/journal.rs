//! The journal of a lane: what its state machine decided, append-only, so that a restart goes on where it was.
//!
//! Guarantees: [`Journal::append`] returns after the record is durable, so nothing that rests on a record is done before;
//! a record counts only after exactly the records it was written after; what a crash tore off the end is dropped and
//! reported, and anything else that is wrong is refused. After a failed write nothing more is appended, because
//! nobody knows what reached the disk. Does not do: knowing what a record says; that is the lane's.
//! Specification: `docs/spec/store.md`, section "Anchors".

use std::collections::BTreeSet;

use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, StreamHasher};
use ledgerstone::limits::ANCHOR_RECORD_BYTES_MAX;
use ledgerstone::store::disk::{Disk, DiskFile};
use ledgerstone::store::fs::StdDisk;

/// First bytes of the file.
const FILE_MAGIC: [u8; 8] = *b"LSanj\0\0\x01";

/// What a journal of any version begins with; the byte after it is the version.
const ANY_VERSION: &[u8] = b"LSanj\0\0";

/// First bytes of a record.
const RECORD_MAGIC: [u8; 8] = *b"LSanr\0\0\x01";

/// Magic, number, length, and what tells a header from chance.
const RECORD_HEADER_BYTES: usize = 8 + 8 + 4 + 16;

/// Bytes of a journal: eight records of under 500 bytes a statement and a statement an hour make 35 MB a year.
pub const JOURNAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The folder of the journals, below the store.
pub const FOLDER: &str = "anchors/journal";

/// A lane's journal, open for appending.
#[derive(Debug)]
pub struct Journal<D: Disk = StdDisk> {
    file: D::File,
    identity: Hash,
    /// Where the next record goes.
    end: u64,
    /// How many records there are.
    count: u64,
    /// The checksum of the last record, or of the header.
    checksum: Hash,
    broken: bool,
}

/// What a journal held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Its records in order.
    pub records: Vec<Vec<u8>>,
    /// Bytes at its end that a crash tore off, dropped.
    pub torn_bytes: u64,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal at `path`, or starts one. `identity` names its log and lane; a journal of another one is refused.
    ///
    /// # Errors
    /// [`JournalError`] says what to do.
    pub fn open(disk: &D, path: &str, identity: Hash) -> Result<(Self, Recovered), JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let bytes = match disk.read(path, JOURNAL_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                start(disk, path, &identity).map_err(failed)?
            }
            read => read.map_err(failed)?,
        };
        let read = read_records(&bytes, &identity, path)?;
        let file = rewrite(disk, path, &bytes, &read).map_err(failed)?;
        let torn_bytes = (bytes.len() - read.end) as u64;
        let (count, end) = (read.records.len() as u64, read.end as u64);
        let journal = Self { file, identity, end, count, checksum: read.checksum, broken: false };
        Ok((journal, Recovered { records: read.records, torn_bytes }))
    }

    /// Appends `record` and returns once it is durable.
    ///
    /// # Errors
    /// [`JournalError`]; after one of them every later append fails too, until the journal is opened again.
    pub fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        if record.len() > ANCHOR_RECORD_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: record.len() });
        }
        let (bytes, checksum) = encode(&self.identity, self.count, record, &self.checksum);
        if self.end.saturating_add(bytes.len() as u64) > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full);
        }
        let written = self.file.write_at(self.end, &bytes).and_then(|()| self.file.sync());
        if let Err(source) = written {
            self.broken = true;
            return Err(JournalError::Append { source });
        }
        self.end += bytes.len() as u64;
        self.count += 1;
        self.checksum = checksum;
        Ok(())
    }
}

/// Reads the records of the journal at `path` without changing it, for a look from outside.
///
/// # Errors
/// As [`Journal::open`].
pub fn read<D: Disk>(disk: &D, path: &str, identity: Hash) -> Result<Recovered, JournalError> {
    let bytes = disk
        .read(path, JOURNAL_BYTES_MAX)
        .map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
    let read = read_records(&bytes, &identity, path)?;
    Ok(Recovered { torn_bytes: (bytes.len() - read.end) as u64, records: read.records })
}

/// Names the journal of `lane` of the log `origin`.
#[must_use]
pub fn identity(origin: &str, lane: &str) -> Hash {
    Hash::of(format!("{origin}\n{lane}\n").as_bytes())
}

fn header(identity: &Hash) -> Vec<u8> {
    [FILE_MAGIC.as_slice(), identity.as_bytes()].concat()
}

/// The whole records of a journal.
struct Read {
    records: Vec<Vec<u8>>,
    /// One past the last byte of the last whole record.
    end: usize,
    /// Where the last whole record, or else the header, begins.
    last: usize,
    checksum: Hash,
}

fn read_records(bytes: &[u8], identity: &Hash, path: &str) -> Result<Read, JournalError> {
    let header = header(identity);
    if let Some([found, ..]) = bytes.strip_prefix(ANY_VERSION)
        && *found > 1
    {
        return Err(JournalError::Newer { path: path.to_owned(), found: *found });
    }
    if !bytes.starts_with(&header) {
        return Err(JournalError::Other { path: path.to_owned() });
    }
    let mut read = Read { records: Vec::new(), end: header.len(), last: 0, checksum: Hash::of(&header) };
    while let Some(rest) = bytes.get(read.end..).filter(|rest| !rest.is_empty()) {
        let number = read.records.len() as u64;
        let Some((record, whole, checksum)) = decode(rest, identity, number, &read.checksum) else {
            if later_header(rest, identity, number) {
                return Err(JournalError::Damaged { path: path.to_owned(), record: number });
            }
            break;
        };
        read.records.push(record);
        read.last = read.end;
        read.end += whole;
        read.checksum = checksum;
    }
    Ok(read)
}

/// Creates an empty journal.
fn start<D: Disk>(disk: &D, path: &str, identity: &Hash) -> std::io::Result<Vec<u8>> {
    let (header, temporary) = (header(identity), format!("{path}.tmp"));
    disk.create_folder(FOLDER)?;
    let mut file = disk.create(&temporary)?;
    file.write_at(0, &header)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_files(&BTreeSet::from([path.to_owned()]))?;
    Ok(header)
}

/// Drops what is torn and writes the last record anew in its place: after a sync that failed, the page cache may show
/// bytes that never reached the disk.
fn rewrite<D: Disk>(disk: &D, path: &str, bytes: &[u8], read: &Read) -> std::io::Result<D::File> {
    let mut file = disk.open(path)?;
    if read.end < bytes.len() {
        file.truncate(read.end as u64)?;
    }
    file.write_at(read.last as u64, bytes.get(read.last..read.end).unwrap_or_default())?;
    file.sync()?;
    Ok(file)
}

fn encode(identity: &Hash, number: u64, record: &[u8], before: &Hash) -> (Vec<u8>, Hash) {
    // `append` refused what is longer than a record may be.
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    let mut bytes = RECORD_MAGIC.to_vec();
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    let tag = tag(identity, &bytes);
    bytes.extend_from_slice(&tag);
    bytes.extend_from_slice(record);
    let checksum = checksum(before, &bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    (bytes, checksum)
}

/// The record at the start of `bytes`, its whole length and its checksum; nothing where it is not whole.
fn decode(bytes: &[u8], identity: &Hash, number: u64, before: &Hash) -> Option<(Vec<u8>, usize, Hash)> {
    let length = record_length(bytes, identity, |found| found == number)?;
    let payload_end = RECORD_HEADER_BYTES + length;
    let covered = bytes.get(..payload_end)?;
    let end = payload_end + Hash::LEN;
    let checksum = checksum(before, covered);
    (bytes.get(payload_end..end)? == checksum.as_bytes()).then(|| {
        let payload = covered.get(RECORD_HEADER_BYTES..).unwrap_or_default();
        (payload.to_vec(), end, checksum)
    })
}

/// The length that the header at the start of `bytes` states, if it is one and `number` admits its number.
fn record_length(bytes: &[u8], identity: &Hash, number: impl Fn(u64) -> bool) -> Option<usize> {
    let (stated, rest) = bytes.split_at_checked(RECORD_HEADER_BYTES - 16)?;
    let found = stated.strip_prefix(RECORD_MAGIC.as_slice())?;
    let (found, length) = found.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let is_ours = rest.get(..16)? == tag(identity, stated);
    let length = usize::try_from(length).ok()?;
    (is_ours && number(u64::from_be_bytes(*found)) && length <= ANCHOR_RECORD_BYTES_MAX).then_some(length)
}

/// Whether the header of a record after `number` stands anywhere in `bytes`.
fn later_header(bytes: &[u8], identity: &Hash, number: u64) -> bool {
    let starts = bytes.windows(RECORD_MAGIC.len()).enumerate();
    let mut starts = starts.filter(|(_, window)| *window == RECORD_MAGIC).map(|(at, _)| at);
    starts
        .any(|at| bytes.get(at..).is_some_and(|rest| record_length(rest, identity, |n| n > number).is_some()))
}

fn tag(identity: &Hash, stated: &[u8]) -> [u8; 16] {
    let mut hasher = StreamHasher::new();
    hasher.update(identity.as_bytes());
    hasher.update(stated);
    let mut tag = [0; 16];
    for (to, from) in tag.iter_mut().zip(hasher.finish().as_bytes()) {
        *to = *from;
    }
    tag
}

fn checksum(before: &Hash, covered: &[u8]) -> Hash {
    let mut hasher = StreamHasher::new();
    hasher.update(before.as_bytes());
    hasher.update(covered);
    hasher.finish()
}

/// Why a journal cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It cannot be read or started.
    #[error("the anchor journal {path} cannot be opened ({source}): grant access, or make room on the disk")]
    Io {
        /// The file, below the store.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It has a later format.
    #[error(
        "the anchor journal {path} has format version {found}, and this release reads 1: go on with the release that wrote it, or a later one"
    )]
    Newer {
        /// The file, below the store.
        path: String,
        /// The version found.
        found: u8,
    },
    /// It is another lane's or another log's.
    #[error("{path} is not the anchor journal of this lane of this log: put back the one that is")]
    Other {
        /// The file, below the store.
        path: String,
    },
    /// A record is damaged and others follow it.
    #[error(
        "record {record} of the anchor journal {path} is damaged and others follow it: restore the file from a copy. Do not delete it: what it remembers keeps a statement from being submitted twice"
    )]
    Damaged {
        /// The file, below the store.
        path: String,
        /// The record, counted from 0.
        record: u64,
    },
    /// A record is larger than any.
    #[error(
        "a record of {bytes} bytes is larger than an anchor journal takes ({ANCHOR_RECORD_BYTES_MAX}); report this"
    )]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// It has no room for a record.
    #[error(
        "the anchor journal has {JOURNAL_BYTES_MAX} bytes and takes no more: give the lane a new name, which starts a new one"
    )]
    Full,
    /// A record could not be made durable.
    #[error(
        "a record of the anchor journal could not be made durable ({source}): see to the disk, then restart"
    )]
    Append {
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An earlier record could not be made durable.
    #[error(
        "an earlier record of the anchor journal could not be made durable: see to the disk, then restart"
    )]
    Broken,
}

impl JournalError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Append { .. } | Self::Broken => Code::Unavailable,
            Self::Other { .. } | Self::Newer { .. } => Code::Misuse,
            Self::Damaged { .. } => Code::Malformed,
            Self::Full => Code::Limit,
            Self::TooLarge { .. } => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
