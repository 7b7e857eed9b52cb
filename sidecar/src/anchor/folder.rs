//! The statements of a lane as files, which is what an auditor gets.
//!
//! Guarantees: a file appears whole or not at all (temporary file, sync, rename, sync of the folder); a statement that lies
//! there is never replaced, and nor are its checkpoint and consistency proof; a proof may be replaced by a later one of
//! the same statement. `statement` is written last: a folder without it was begun and means nothing.
//! Does not do: checking proofs, or the journal.
//! Specification: `docs/spec/store.md`, section "Anchors".

use std::collections::BTreeSet;
use std::io;

use ledgerstone::anchor::statement::{LaneName, Link, Statement, StatementError};
use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, base64_encode};
use ledgerstone::hash::Hash;
use ledgerstone::limits::{
    ANCHOR_SEQ_MAX, BITCOIN_HEADERS_MAX, NOTE_BYTES_MAX, PROOF_HASHES_MAX, STATEMENT_BYTES_MAX,
};
use ledgerstone::store::disk::{Disk, DiskFile};
use ledgerstone::store::fs::StdDisk;

/// The folder of all lanes, below the store.
pub const ANCHORS: &str = "anchors";

/// The file with a lane's public parameters, beside its statements.
pub const LANE_FILE: &str = "lane";

/// Bytes of a file with a lane's parameters: a few addresses of at most 2 KiB each.
pub const LANE_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a consistency proof as text: a line of 45 bytes for each hash.
const CONSISTENCY_BYTES_MAX: u64 = PROOF_HASHES_MAX as u64 * 45;

/// Bytes of one proof file. The largest is a segment of Bitcoin headers: 80 bytes each for 256 Ki of them make 20 MiB.
pub const PROOF_BYTES_MAX: u64 = BITCOIN_HEADERS_MAX as u64 * 80;

/// A file of a statement that comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Proof {
    /// `proof.tsr`: the timestamp authority's reply, DER `TimeStampResp` (RFC 3161).
    Tsr,
    /// `proof.ots`: the OpenTimestamps proof.
    Ots,
    /// `headers`: Bitcoin block headers, 80 bytes each, oldest first.
    Headers,
    /// `proof.evm`: the bundle of an EVM chain.
    Evm,
}

impl Proof {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Tsr, Self::Ots, Self::Headers, Self::Evm];

    /// The file's name.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Tsr => "proof.tsr",
            Self::Ots => "proof.ots",
            Self::Headers => "headers",
            Self::Evm => "proof.evm",
        }
    }
}

/// The files of every statement.
pub const LINK_FILES: [&str; 3] = ["checkpoint", "consistency", "statement"];

/// The folder of one lane. Every method blocks on the disk.
#[derive(Clone, Debug)]
pub struct LaneFolder<D: Disk = StdDisk> {
    disk: D,
    lane: LaneName,
}

impl<D: Disk> LaneFolder<D> {
    /// The folder of `lane` in the store on `disk`; nothing is created yet.
    #[must_use]
    pub const fn new(disk: D, lane: LaneName) -> Self {
        Self { disk, lane }
    }

    /// The folder of statement `seq`, below the store.
    #[must_use]
    pub fn path(&self, seq: u64) -> String {
        format!("{ANCHORS}/{}/{seq:08}", self.lane)
    }

    /// Writes what the lane is, replacing what is there if it says something else.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn describe(&self, text: &str) -> Result<(), FolderError> {
        let path = format!("{ANCHORS}/{}/{LANE_FILE}", self.lane);
        if self.read(&path, LANE_FILE_BYTES_MAX)?.as_deref() == Some(text.as_bytes()) {
            return Ok(());
        }
        self.write(&path, text.as_bytes())
    }

    /// Writes a statement with its checkpoint and consistency proof. If a statement of that number lies there already, that
    /// one wins and is given back.
    ///
    /// # Errors
    /// [`FolderError`] if a file cannot be written, or what lies there is no statement.
    pub fn put(&self, seq: u64, link: Link) -> Result<Link, FolderError> {
        if let Some(there) = self.link(seq)? {
            return Ok(there);
        }
        let folder = self.path(seq);
        self.write(&format!("{folder}/checkpoint"), &link.checkpoint)?;
        self.write(&format!("{folder}/consistency"), consistency_text(&link.consistency).as_bytes())?;
        self.write(&format!("{folder}/statement"), &link.statement)?;
        Ok(link)
    }

    /// Statement `seq` with its checkpoint and consistency proof, if it is there.
    ///
    /// # Errors
    /// [`FolderError`] if it is there and a part of it is missing or damaged.
    pub fn link(&self, seq: u64) -> Result<Option<Link>, FolderError> {
        let folder = self.path(seq);
        let Some(statement) = self.read(&format!("{folder}/statement"), STATEMENT_BYTES_MAX as u64)? else {
            return Ok(None);
        };
        let damaged = |file: &str| FolderError::Damaged { path: format!("{folder}/{file}") };
        let found = Statement::decode(&statement)
            .map_err(|source| FolderError::Statement { path: format!("{folder}/statement"), source })?;
        if found.seq != seq || found.lane != self.lane {
            return Err(damaged("statement"));
        }
        let part =
            |file: &str, max| self.read(&format!("{folder}/{file}"), max)?.ok_or_else(|| damaged(file));
        let checkpoint = part("checkpoint", NOTE_BYTES_MAX as u64)?;
        let consistency = part("consistency", CONSISTENCY_BYTES_MAX)?;
        let consistency = read_consistency(&consistency).ok_or_else(|| damaged("consistency"))?;
        Ok(Some(Link { statement, checkpoint, consistency }))
    }

    /// Writes a proof of statement `seq`, in the place of an earlier one.
    ///
    /// # Errors
    /// [`FolderError`] if there is no such statement or the file cannot be written.
    pub fn prove(&self, seq: u64, proof: Proof, bytes: &[u8]) -> Result<(), FolderError> {
        if bytes.len() as u64 > PROOF_BYTES_MAX {
            return Err(FolderError::TooLarge { file: proof.file_name(), bytes: bytes.len() });
        }
        if self.link(seq)?.is_none() {
            return Err(FolderError::Damaged { path: format!("{}/statement", self.path(seq)) });
        }
        self.write(&format!("{}/{}", self.path(seq), proof.file_name()), bytes)
    }

    /// A proof of statement `seq`, if it is there.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn proof(&self, seq: u64, proof: Proof) -> Result<Option<Vec<u8>>, FolderError> {
        self.read(&format!("{}/{}", self.path(seq), proof.file_name()), PROOF_BYTES_MAX)
    }

    /// The number of the last statement: those before it are all there. 0 where there is none.
    ///
    /// # Errors
    /// [`FolderError`] if a number before the last one is missing, or the folder cannot be read.
    pub fn last(&self) -> Result<u64, FolderError> {
        let folder = format!("{ANCHORS}/{}", self.lane);
        let names = match self.disk.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(source) => return Err(FolderError::Io { path: folder, source }),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| seq(name)).collect();
        numbers.sort_unstable();
        let mut last = 0;
        for number in numbers {
            if self.read(&format!("{}/statement", self.path(number)), STATEMENT_BYTES_MAX as u64)?.is_none() {
                continue;
            }
            if number != last + 1 {
                return Err(FolderError::Hole { lane: self.lane.clone(), missing: last + 1, next: number });
            }
            last = number;
        }
        Ok(last)
    }

    fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FolderError> {
        match self.disk.read(path, bytes_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io { path: path.to_owned(), source }),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let written = || {
            let temporary = format!("{path}.tmp");
            if let Some((folder, _)) = path.rsplit_once('/') {
                self.disk.create_folder(folder)?;
            }
            let mut file = self.disk.create(&temporary)?;
            file.write_at(0, bytes)?;
            file.sync()?;
            self.disk.rename(&temporary, path)?;
            self.disk.sync_files(&BTreeSet::from([path.to_owned()]))
        };
        written().map_err(|source| FolderError::Io { path: path.to_owned(), source })
    }
}

/// Reads the name of a statement's folder: 8 digits.
#[must_use]
pub fn seq(name: &str) -> Option<u64> {
    let is_number = name.len() == 8 && name.bytes().all(|c| c.is_ascii_digit());
    name.parse().ok().filter(|number| is_number && (1..=ANCHOR_SEQ_MAX).contains(number))
}

/// A consistency proof as its file has it: one base64 hash a line.
#[must_use]
pub fn consistency_text(proof: &[Hash]) -> String {
    proof.iter().map(|hash| base64_encode(hash.as_bytes()) + "\n").collect()
}

/// Reads what [`consistency_text`] writes.
#[must_use]
pub fn read_consistency(bytes: &[u8]) -> Option<Vec<Hash>> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    let lines = text.strip_suffix('\n')?.split('\n');
    let hash = |line: &str| Hash::try_from(base64_decode(line).ok()?.as_slice()).ok();
    lines.map(hash).collect::<Option<Vec<Hash>>>().filter(|proof| proof.len() <= PROOF_HASHES_MAX)
}

/// Why the files of a lane cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The operating system refused.
    #[error("{path} in the store: {source}; grant access, or make room on the disk")]
    Io {
        /// The file or folder, below the store.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file that must be there is missing or says something else.
    #[error("{path} in the store is missing or damaged: restore it from a copy of the store")]
    Damaged {
        /// The file, below the store.
        path: String,
    },
    /// The file of a statement holds none.
    #[error("{path} in the store is no statement ({source}): restore it from a copy of the store")]
    Statement {
        /// The file, below the store.
        path: String,
        /// What is wrong.
        source: StatementError,
    },
    /// A statement is missing and a later one is there.
    #[error(
        "statement {missing} of lane {lane} is missing and {next} is there: restore it from a copy of the store"
    )]
    Hole {
        /// The lane.
        lane: LaneName,
        /// The one that is missing.
        missing: u64,
        /// The one that is there.
        next: u64,
    },
    /// A proof is larger than any.
    #[error("{file} has {bytes} bytes, and none has more than {PROOF_BYTES_MAX}; report this")]
    TooLarge {
        /// The file's name.
        file: &'static str,
        /// Its bytes.
        bytes: usize,
    },
}

impl FolderError {
    /// What the operator must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::Unavailable,
            Self::Damaged { .. } => Code::Malformed,
            Self::Statement { source, .. } => source.code(),
            Self::Hole { .. } => Code::Inconsistent,
            Self::TooLarge { .. } => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
