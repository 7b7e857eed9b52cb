//! A copy of a whole store, made beside a sidecar that may be running, and the way back (`docs/backup.md`).
//!
//! Guarantees: what a backup lists is a store that a sidecar can go on from; one that is cut short leaves the one before it whole;
//! full tiles and bundles, which never change, are copied once. Restoring checks every byte and the log itself before anything is in its
//! place, overwrites nothing, and leaves a store that signs nothing until somebody has said that no outside copy is ahead of it (INV-1).
//! It holds no private key: sealed records are as they lie in the store, and the keyring's keys are wrapped.
//! Does not do: backing up the key files, the configuration and the lookup index.
//!
//! ```text
//! <backup>/lock                      locked while one is made
//! <backup>/immutable/...             full tiles, full entry bundles, sealed records under them
//! <backup>/<6 digits>/SHA256SUMS     the newest backup: a line for each file, as sha256sum writes it; written last
//! <backup>/<6 digits>/backup.json    what it is
//! <backup>/<6 digits>/store/...      the rest of the store
//! <backup>/<6 digits>/keyring.db     the keyring
//! <backup>/<6 digits>/links          the file of links to receipts
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::LogVerifyError;
use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, StreamHasher};
use ledgerstone::merkle::TreeSize;
use ledgerstone::store::fs as store;
use serde::{Deserialize, Serialize};

use crate::keyring::{RingError, create_private};
use crate::reader::LogReadError;

mod make;
pub mod outside;
mod restore;
pub mod sums;

pub use self::make::{Made, back_up};
pub use self::restore::{Restored, restore};

/// Version of the format.
const FORMAT: &str = "ledgerstone-backup/v1";

/// The folder of files that never change.
const IMMUTABLE: &str = "immutable";

/// Files of one generation.
const SUMS: &str = "SHA256SUMS";
const FACTS: &str = "backup.json";
const STORE: &str = "store";
const KEYRING: &str = "keyring.db";
const LINKS: &str = "links";

/// Bytes of `backup.json`: a dozen values, the longest an origin of at most 1 KiB.
const FACTS_BYTES_MAX: u64 = 16 * 1024;

/// Bytes that are copied at once.
const CHUNK: usize = 256 * 1024;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FORMAT`].
    format: String,
    /// Version of the software that made it.
    pub software: String,
    /// When, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// The log's name.
    pub origin: String,
    /// Leaves under the checkpoint in it; the journal in it may reach further.
    pub checkpoint_size: u64,
    /// SHA-256 of the configuration in force when it was made, as the start entries of sessions have it.
    pub configuration: String,
    /// Files beside this one.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are done.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The generations in a backup that have a list, oldest first, and those that were begun and have none.
fn generations(backup: &Path) -> Result<(Vec<u32>, Vec<PathBuf>), BackupError> {
    let (mut whole, mut begun) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(backup).map_err(at(backup))? {
        let path = entry.map_err(at(backup))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.parse().ok().filter(|number| generation(*number) == name);
        match number {
            Some(number) if path.join(SUMS).exists() => whole.push(number),
            Some(_) => begun.push(path),
            None => {}
        }
    }
    whole.sort_unstable();
    Ok((whole, begun))
}

fn generation(number: u32) -> String {
    format!("{number:06}")
}

/// Copies `source` up to `length` bytes to `target`, which must not exist; returns its bytes and their SHA-256.
fn copy(mut source: impl io::Read, length: u64, target: &Path) -> Result<(u64, Hash), BackupError> {
    let mut file = create_private(target).map_err(at(target))?;
    let (mut hasher, mut left, mut chunk) = (StreamHasher::new(), length, vec![0; CHUNK]);
    while left > 0 {
        let most = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let part = chunk.get_mut(..most).unwrap_or_default();
        let read = source.read(part).map_err(at(target))?;
        let part = part.get(..read).filter(|part| !part.is_empty());
        let Some(part) = part else { break };
        hasher.update(part);
        file.write_all(part).map_err(at(target))?;
        left -= part.len() as u64;
    }
    file.sync_all().map_err(at(target))?;
    Ok((length - left, hasher.finish()))
}

/// The SHA-256 of a file, and its length.
fn digest(path: &Path) -> Result<(u64, Hash), BackupError> {
    let (mut file, mut hasher, mut length) = (File::open(path).map_err(at(path))?, StreamHasher::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(at(path))?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        length += part.len() as u64;
    }
    Ok((length, hasher.finish()))
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// Makes the folder of a file, and those above it.
fn folder_of(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(at(folder))
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}

/// Why a backup could not be made, restored or confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The operating system refused.
    #[error("{}: {}", path.display(), told(.source))]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The backup would lie in what it copies, or the other way round.
    #[error("{} lies in the store or around it: choose another folder, best on another disk", path.display())]
    Inside {
        /// The folder.
        path: PathBuf,
    },
    /// Another backup goes into the same folder.
    #[error("another backup is being made into {}: wait for it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The store changes faster than it is listed.
    #[error("the files of the store changed each time they were listed; try again at a quieter time")]
    Restless,
    /// There are more files than a list may have.
    #[error("the store has more than {} files; copy it with the means of the file system", sums::FILES_MAX)]
    TooManyFiles,
    /// No backup was finished there.
    #[error("{} holds no finished backup: name the folder that `backup` wrote to", path.display())]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// What it says of itself is not its format.
    #[error("{} is damaged: use another copy of the backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A later release made it.
    #[error(
        "the backup has the format {found}, and this release reads {FORMAT}: restore it with release {software} or a later one"
    )]
    Newer {
        /// The format.
        found: String,
        /// Who made it.
        software: String,
    },
    /// It is of another log.
    #[error(
        "the backup is of the log {found}, and log.origin is {origin}: name the right backup or the right configuration"
    )]
    OtherLog {
        /// The log of the backup.
        found: String,
        /// The configured one.
        origin: String,
    },
    /// There is something where the store goes.
    #[error("{} exists and is not empty: nothing is overwritten. Move it away first; it may be needed as evidence", path.display())]
    Occupied {
        /// The store.
        path: PathBuf,
    },
    /// The log in it cannot go on.
    #[error("the log in the backup cannot go on: {0}")]
    Log(#[from] store::OpenError),
    /// The keys of the configuration are not the log's.
    #[error("log.key_file: {0}")]
    Keys(String),
    /// The keyring in it.
    #[error("the keyring in the backup: {0}")]
    Keyring(#[from] RingError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] LogReadError),
    /// A checkpoint from outside is none of this log.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LogVerifyError,
    },
    /// An outside copy is ahead.
    #[error(
        "{} is signed by this log and covers {outside} entries, and the store has only {log}: the backup is older than what others saw. Going on would sign a second history. Find the store or a backup that reaches further; if there is none, keep this one as evidence and begin a log under another origin with `init`", path.display()
    )]
    Ahead {
        /// The file.
        path: PathBuf,
        /// Leaves of the outside copy.
        outside: TreeSize,
        /// Leaves of the store.
        log: TreeSize,
    },
    /// An outside copy is of another history.
    #[error(
        "{} is signed by this log, covers {outside} entries, and those in the store are others: one of the two was rewritten. Keep both as evidence and begin a log under another origin with `init`", path.display()
    )]
    Fork {
        /// The file.
        path: PathBuf,
        /// Leaves of the outside copy.
        outside: TreeSize,
    },
    /// There is nothing to confirm.
    #[error(
        "the store was not restored from a backup, or that was confirmed already: there is nothing to confirm"
    )]
    NotRestored,
    /// The sidecar runs.
    #[error("another process has the store open; stop it first")]
    Locked,
}

fn told(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: make room, then give the same command again".to_owned()
        }
        _ => source.to_string(),
    }
}

impl BackupError {
    /// What the operator must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Busy { .. } | Self::Restless | Self::Locked => Code::Unavailable,
            Self::TooManyFiles => Code::Limit,
            Self::Damaged { .. } => Code::Malformed,
            Self::Inside { .. }
            | Self::None { .. }
            | Self::Newer { .. }
            | Self::OtherLog { .. }
            | Self::Occupied { .. }
            | Self::Keys(_)
            | Self::NotRestored => Code::Misuse,
            Self::Log(error) => error.code(),
            Self::Keyring(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Checkpoint { .. } => Code::Untrusted,
            Self::Ahead { .. } | Self::Fork { .. } => Code::Inconsistent,
        }
    }
}
