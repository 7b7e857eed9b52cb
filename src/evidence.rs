//! The evidence bundle: entries with their proofs and their opened records, to be checked and recomputed away from the log.
//!
//! Guarantees: every [`Run`] that verifies stands in the tree it was verified against, entry for entry; a record that opens
//! is the one that its entry commits to. What decodes is bounded, and encodes to the same bytes.
//! Does not do: reading or writing the archive that carries the parts, deciding which tree is to be trusted, or
//! recomputing anything. Specification: `docs/spec/evidence-bundle.md`.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::code::Code;
use crate::encoding::cbor::{CborError, Reader, Type, Writer};
use crate::entry::{Entry, EntryError};
use crate::hash::{Hash, leaf_hash};
use crate::limits::{PROOF_HASHES_MAX, SEALED_BYTES_MAX};
use crate::merkle::range::CompactRange;
use crate::merkle::subtree::{self, Subtree, SubtreeError};
use crate::merkle::{LeafIndex, TreeSize};
use crate::record::{Contents, ContentsError};

#[cfg(test)]
mod tests;

/// What the header of this version says of itself.
pub const FORMAT: &str = "ledgerstone-bundle/v1";

/// Entries of one run: those of one full tile.
pub const RUN_ENTRIES_MAX: usize = 256;

/// Bytes of opened records after which a run takes no further one.
pub const RUN_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of one run: records up to the bound above and one more, entries and proof.
pub const RUN_BYTES_MAX: usize = RUN_RECORD_BYTES + SEALED_BYTES_MAX + 1024 * 1024;

/// Bytes of a header.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Models in one bundle.
pub const MODELS_MAX: usize = 4096;

/// Where the parts lie in the archive, in this order.
pub mod part {
    /// The header, first of all.
    pub const HEADER: &str = "bundle.json";
    /// The log's signed checkpoint.
    pub const CHECKPOINT: &str = "checkpoint";
    /// The log's own policy: which keys it says it has. An auditor trusts another copy.
    pub const POLICY: &str = "policy";
    /// The transcript of the draw, where there was one.
    pub const DRAW: &str = "draw.json";
    /// That the drawn tree is the beginning of the checkpoint's: one hash a line, base64.
    pub const CONSISTENCY: &str = "consistency";
    /// The folder of models, by digest.
    pub const MODELS: &str = "models/";
    /// The folder of the entries that register models, by leaf index.
    pub const REGISTRATIONS: &str = "registrations/";
    /// The folder of runs, by first leaf index.
    pub const RUNS: &str = "runs/";
}

/// What a bundle holds, said first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The log's origin.
    pub origin: String,
    /// Size of the tree that the runs are proved in: the checkpoint's.
    pub tree_size: u64,
    /// Root of that tree, in lowercase hex.
    pub root: String,
    /// Which entries were taken.
    pub selection: Selection,
    /// How many entries the runs hold.
    pub entries: u64,
    /// How many runs there are.
    pub runs: u64,
    /// The models that come along, by rising digest.
    pub models: Vec<ModelPart>,
    /// How many entries of the whole tree register models; each comes along.
    pub registrations: u64,
}

/// Which entries a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Selection {
    /// Every entry from the first to the last leaf index, both included.
    Range {
        /// The first one.
        first_index: u64,
        /// The last one.
        last_index: u64,
    },
    /// The entries that a draw looked at, the drawn ones in their order and then the skipped ones.
    Draw {
        /// SHA-256 of the transcript, in lowercase hex.
        sha256: String,
        /// Size of the tree that was drawn from.
        tree_size: u64,
        /// How many were drawn.
        drawn: u64,
        /// How many were skipped.
        skipped: u64,
    },
}

/// A model in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPart {
    /// The digest that decisions name it by, in lowercase hex.
    pub digest: String,
    /// Its files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// The record behind one entry of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordPart {
    /// The entry has no sealed record.
    None,
    /// The record's contents, as [`Contents::decode`] reads them.
    Opened(Zeroizing<Vec<u8>>),
    /// The record was not to be had.
    Absent(Absence),
}

/// Why a record that an entry points to is not in the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Absence {
    /// Its keys were destroyed.
    Erased = 1,
    /// Its bytes are not in the store, or are not those that the entry names.
    Lost = 2,
    /// Its bytes are there and do not open with the keys at hand.
    Locked = 3,
}

impl Absence {
    /// The absence as words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "the record was erased",
            Self::Lost => "the sealed record is lost or is not the one that the entry names",
            Self::Locked => "the sealed record does not open with the keys that the exporter had",
        }
    }

    const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Erased),
            2 => Some(Self::Lost),
            3 => Some(Self::Locked),
            _ => None,
        }
    }
}

/// Consecutive entries under one proof, with their records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Leaf index of the first entry.
    pub first: LeafIndex,
    /// The exact bytes of each entry, and its record.
    pub entries: Vec<(Vec<u8>, RecordPart)>,
    /// That the entries' subtree is part of the tree, lowest hash first.
    pub proof: Vec<Hash>,
}

impl Run {
    /// The run as deterministic CBOR: `{1: first, 2: [[entry, record], ...], 3: [hash, ...]}`, where a record is a byte string,
    /// `null` for none, or the number of an [`Absence`].
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let records: usize = self.entries.iter().map(|(entry, record)| entry.len() + record.len() + 32).sum();
        let mut writer = Writer::with_capacity(64 + records + 34 * self.proof.len());
        writer.map(3).uint(1).uint(self.first.get()).uint(2).array(self.entries.len());
        for (entry, record) in &self.entries {
            writer.array(2).bytes(entry);
            match record {
                RecordPart::None => writer.null(),
                RecordPart::Opened(contents) => writer.bytes(contents),
                RecordPart::Absent(absence) => writer.uint(*absence as u64),
            };
        }
        writer.uint(3).array(self.proof.len());
        for hash in &self.proof {
            writer.bytes(hash.as_bytes());
        }
        Zeroizing::new(writer.into_bytes())
    }

    /// Reads a run back.
    ///
    /// # Errors
    /// [`RunError`] if the bytes are no run.
    pub fn decode(bytes: &[u8]) -> Result<Self, RunError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let mut run = Self { first: LeafIndex::default(), entries: Vec::new(), proof: Vec::new() };
        let mut keys = 0;
        while let Some(key) = map.next_key(&mut reader, Reader::uint)? {
            match key {
                1 => run.first = LeafIndex::new(reader.uint()?),
                2 => run.entries = entries(&mut reader)?,
                3 => run.proof = proof(&mut reader)?,
                _ => return Err(RunError::Form),
            }
            keys += 1;
        }
        reader.finish()?;
        if keys == 3 && !run.entries.is_empty() { Ok(run) } else { Err(RunError::Form) }
    }

    /// Checks that the run's entries stand in the tree of `size` leaves with this root, and returns them decoded, each with
    /// its leaf index.
    ///
    /// # Errors
    /// [`RunError`] says what does not hold.
    pub fn verify(&self, size: TreeSize, root: &Hash) -> Result<Vec<(LeafIndex, Entry)>, RunError> {
        if self.entries.is_empty() {
            return Err(RunError::Form);
        }
        let end = self.first.get().checked_add(self.entries.len() as u64).ok_or(RunError::Form)?;
        let subtree = Subtree::new(self.first, TreeSize::new(end))?;
        let mut leaves = CompactRange::empty();
        for (entry, _) in &self.entries {
            leaves.push(leaf_hash(entry));
        }
        subtree::verify_consistency(subtree, &leaves.root(), size, root, &self.proof)?;
        let decoded = (self.first.get()..).map(LeafIndex::new).zip(&self.entries);
        decoded
            .map(|(index, (bytes, _))| match Entry::decode(bytes) {
                Ok(entry) => Ok((index, entry)),
                Err(source) => Err(RunError::Entry { index, source }),
            })
            .collect()
    }
}

impl RecordPart {
    /// Bytes of the contents that come along.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Opened(contents) => contents.len(),
            Self::None | Self::Absent(_) => 0,
        }
    }

    /// Whether no contents come along.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The contents, if they are there and are those that `entry` commits to.
    ///
    /// # Errors
    /// [`RecordPartError`] says what is missing or does not fit.
    pub fn contents(&self, entry: &Entry) -> Result<Contents<'_>, RecordPartError> {
        match self {
            Self::None => Err(RecordPartError::None),
            Self::Absent(absence) => Err(RecordPartError::Absent(*absence)),
            Self::Opened(bytes) => {
                let contents = Contents::decode(bytes)?;
                let commitment = contents.record.commit(&contents.secret).commitment();
                if entry.commitment == Some(commitment) {
                    Ok(contents)
                } else {
                    Err(RecordPartError::Commitment)
                }
            }
        }
    }
}

fn entries(reader: &mut Reader<'_>) -> Result<Vec<(Vec<u8>, RecordPart)>, RunError> {
    let count = reader.array()?;
    if count > RUN_ENTRIES_MAX {
        return Err(RunError::Form);
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        reader.array_of(2)?;
        let entry = reader.bytes()?.to_vec();
        let record = match reader.peek()? {
            Type::Null => {
                reader.null()?;
                RecordPart::None
            }
            Type::Bytes => RecordPart::Opened(Zeroizing::new(reader.bytes()?.to_vec())),
            _ => RecordPart::Absent(Absence::from_number(reader.uint()?).ok_or(RunError::Form)?),
        };
        entries.push((entry, record));
    }
    Ok(entries)
}

fn proof(reader: &mut Reader<'_>) -> Result<Vec<Hash>, RunError> {
    let count = reader.array()?;
    // One seed, and one hash a level and border node.
    if count > 2 * PROOF_HASHES_MAX + 1 {
        return Err(RunError::Form);
    }
    let hashes = (0..count).map(|_| Ok(Hash::from_bytes(reader.byte_array()?)));
    hashes.collect()
}

/// Why a run is not to be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The bytes are not deterministic CBOR.
    #[error("a run of the bundle does not read: {0}")]
    Cbor(#[from] CborError),
    /// The bytes are CBOR, but no run.
    #[error("a part of the bundle is no run: export the bundle again")]
    Form,
    /// The entries are not in the tree.
    #[error("a run of the bundle is not in the checkpoint's tree: {0}")]
    Proof(#[from] SubtreeError),
    /// An entry in the tree does not decode.
    #[error("entry {index} does not decode: {source}")]
    Entry {
        /// Where it stands.
        index: LeafIndex,
        /// What is wrong with it.
        source: EntryError,
    },
}

impl RunError {
    /// What the reader must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Cbor(_) | Self::Form => Code::Malformed,
            Self::Proof(_) => Code::Inconsistent,
            Self::Entry { source, .. } => source.code(),
        }
    }
}

/// Why the record behind an entry cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordPartError {
    /// The entry has none.
    #[error("the entry has no record")]
    None,
    /// It was not to be had.
    #[error("{}", .0.as_str())]
    Absent(Absence),
    /// What came along is no record.
    #[error("{0}")]
    Contents(#[from] ContentsError),
    /// It is not the one that the entry commits to.
    #[error("the record is not the one that the entry commits to")]
    Commitment,
}
