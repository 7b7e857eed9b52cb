//! The rollback guard: a log that is behind what was anchored, or another one, is not served.
//!
//! Guarantees: every lane's newest statement is held against the log, also of lanes that are configured no more; the size
//! before anything is opened or signed, the root once the log's files are whole. Does not do: noticing that the whole store
//! was set back, statements and all. A contract on a chain shows that; see `docs/anchoring.md`.

use std::path::Path;

use ledgerstone::anchor::statement::{LaneName, Statement};
use ledgerstone::code::Code;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::{FsReader, ReadError, StdDisk};

use super::DeskError;
use super::folder::{ANCHORS, FolderError, LaneFolder};
use super::heads::Heads;
use crate::backup::BackupError;
use crate::backup::outside::unconfirmed;

/// What a lane has stated last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// The lane.
    pub lane: LaneName,
    /// Its newest statement.
    pub statement: Statement,
}

/// The newest statement of every lane in `store`, configured or not.
///
/// # Errors
/// [`GuardError::Folder`] if one cannot be read.
pub fn statements(store: &Path) -> Result<Vec<Last>, GuardError> {
    let disk = StdDisk::new(store);
    let mut found = Vec::new();
    for lane in lanes(&disk)? {
        let folder = LaneFolder::new(disk.clone(), lane.clone());
        let seq = folder.last()?;
        if let Some(link) = folder.link(seq)? {
            let path = format!("{}/statement", folder.path(seq));
            let statement = Statement::decode(&link.statement)
                .map_err(|source| FolderError::Statement { path, source })?;
            found.push(Last { lane, statement });
        }
    }
    Ok(found)
}

/// The lanes that have a folder, by name.
pub(super) fn lanes(disk: &StdDisk) -> Result<Vec<LaneName>, FolderError> {
    let names = match disk.list(ANCHORS) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FolderError::Io { path: ANCHORS.to_owned(), source }),
    };
    let lanes = names.iter().filter(|name| *name != "journal").filter_map(|name| LaneName::parse(name).ok());
    let mut lanes: Vec<LaneName> = lanes.collect();
    lanes.sort();
    Ok(lanes)
}

/// Holds the newest statements against what the log of `origin` in `store` has published. Nothing is opened or signed.
///
/// # Errors
/// [`GuardError`] says which lane is ahead and how to recover.
pub fn check_size(store: &Path, origin: &KeyName) -> Result<Vec<Last>, GuardError> {
    if let Some(restored) = unconfirmed(store)? {
        return Err(GuardError::Restored { size: restored.size() });
    }
    let last = statements(store)?;
    if last.is_empty() {
        return Ok(last);
    }
    let log = FsReader::open(store).size()?;
    for Last { lane, statement } in &last {
        if statement.origin != *origin {
            let found = statement.origin.clone();
            return Err(GuardError::OtherLog { lane: lane.clone(), found, origin: origin.clone() });
        }
        if statement.to.size > log {
            let (seq, anchored) = (statement.seq, statement.to.size);
            return Err(GuardError::Behind { lane: lane.clone(), seq, anchored, log });
        }
    }
    Ok(last)
}

/// Holds the newest statements against the log itself.
pub(super) fn check_roots(last: &[Last], heads: &Heads) -> Result<(), GuardError> {
    let newest = heads.newest().map_err(DeskError::from)?;
    for Last { lane, statement } in last {
        heads.consistency(statement.to, newest).map_err(|error| match error {
            DeskError::Fork { from, .. } => {
                GuardError::Fork { lane: lane.clone(), seq: statement.seq, anchored: from }
            }
            error => GuardError::Log(error),
        })?;
    }
    Ok(())
}

/// Why the log is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The store was restored, and nobody has said yet that no copy outside is ahead of it.
    #[error(
        "the store was restored from a backup with {size} entries, and what was recorded after it would be signed a second time: hold the newest checkpoint that anybody outside has against it (`restore --confirm CHECKPOINT`; docs/backup.md)"
    )]
    Restored {
        /// Leaves of the log as it was restored.
        size: TreeSize,
    },
    /// That cannot be read.
    #[error(transparent)]
    Marker(#[from] BackupError),
    /// The log is smaller than what was anchored.
    #[error(
        "lane {lane} anchored {anchored} entries of this log outside (statement {seq}), and the store has only {log}: an older copy was restored. Going on would sign a second history. Bring back the store that reaches further; if it is lost, keep this one as evidence and begin a log under another origin with `init`"
    )]
    Behind {
        /// The lane.
        lane: LaneName,
        /// Its newest statement.
        seq: u64,
        /// Leaves that are anchored.
        anchored: TreeSize,
        /// Leaves of the log.
        log: TreeSize,
    },
    /// The log is another one than the one that was anchored.
    #[error(
        "lane {lane} anchored the first {anchored} entries of this log outside (statement {seq}), and those in the store are others: the log was rewritten or replaced after an older copy was restored. Keep the store as evidence, bring back the one that was anchored, or begin a log under another origin with `init`"
    )]
    Fork {
        /// The lane.
        lane: LaneName,
        /// Its newest statement.
        seq: u64,
        /// Leaves that are anchored.
        anchored: TreeSize,
    },
    /// The statements are about another log.
    #[error(
        "the statements of lane {lane} in the store are about the log {found}, and this is {origin}: put back the folder anchors/{lane} of this log"
    )]
    OtherLog {
        /// The lane.
        lane: LaneName,
        /// The log of the statements.
        found: KeyName,
        /// This log.
        origin: KeyName,
    },
    /// The statements cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The published checkpoint cannot be read.
    #[error("the log cannot be held against its anchors: {0}")]
    Read(#[from] ReadError),
    /// The log cannot be read.
    #[error("the log cannot be held against its anchors: {0}")]
    Log(#[from] DeskError),
}

impl GuardError {
    /// What the operator must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Behind { .. } | Self::Fork { .. } => Code::Inconsistent,
            Self::OtherLog { .. } | Self::Restored { .. } => Code::Misuse,
            Self::Marker(error) => error.code(),
            Self::Folder(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Log(error) => error.code(),
        }
    }
}
