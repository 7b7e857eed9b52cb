//! What a restored store must be told before anything is signed in it: that no copy outside is ahead.
//!
//! Guarantees: a store with the file `restored` in it is refused by whoever would sign, until a checkpoint from outside was held against
//! it, or somebody has said that nobody has one (INV-1). Does not do: finding such copies.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use ledgerstone::checkpoint::LogVerifier;
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::{self, TreeSize};
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::{FsReader, StdDisk};
use ledgerstone::tile::TileNodes;
use serde::{Deserialize, Serialize};

use super::{BackupError, at, copy, sync};

/// The file, in the store.
const FILE: &str = "restored";

/// Its bytes: three values.
const BYTES_MAX: u64 = 1024;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    size: u64,
    root: String,
    made_at_ms: u64,
}

impl Marker {
    pub(super) fn new(size: TreeSize, root: Hash, made_at_ms: u64) -> Self {
        Self { size: size.get(), root: hex_encode(root.as_bytes()), made_at_ms }
    }

    /// Leaves of the log as it was restored.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }
}

/// Notes that the store was restored.
pub(super) fn mark(store: &Path, marker: &Marker) -> Result<(), BackupError> {
    let path = store.join(FILE);
    let json = serde_json::to_vec(marker).map_err(|error| at(&path)(error.into()))?;
    copy(json.as_slice(), json.len() as u64, &path).map(drop)
}

/// What was restored in `store` and is not confirmed, if anything.
///
/// # Errors
/// [`BackupError`] if that cannot be read.
pub fn unconfirmed(store: &Path) -> Result<Option<Marker>, BackupError> {
    let path = store.join(FILE);
    let mut json = Vec::new();
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(at(&path))?.take(BYTES_MAX).read_to_end(&mut json).map_err(at(&path))?,
    };
    let marker: Option<Marker> = serde_json::from_slice(&json).ok();
    marker
        .filter(|marker| hex_decode(&marker.root).is_ok_and(|root| root.len() == Hash::LEN))
        .map(Some)
        .ok_or(BackupError::Damaged { path })
}

/// Holds checkpoints from outside against the restored store, and lets it be gone on with if none is ahead. Without any, somebody has
/// said that nobody has one. Returns the leaves of the log. Blocks.
///
/// # Errors
/// [`BackupError`] says which one is ahead or of another history; the store stays as it is.
pub fn confirm(
    store: &Path,
    verifier: &LogVerifier,
    checkpoints: &[impl AsRef<Path>],
) -> Result<TreeSize, BackupError> {
    let marker = unconfirmed(store)?.ok_or(BackupError::NotRestored)?;
    let lock = StdDisk::new(store).lock("lock").map_err(at(store))?;
    let _lock = lock.ok_or(BackupError::Locked)?;
    let reader = FsReader::open(store);
    let nodes = TileNodes::new(&reader, marker.size());
    for path in checkpoints.iter().map(AsRef::as_ref) {
        let mut note = Vec::new();
        let file = File::open(path).map_err(at(path))?;
        file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut note).map_err(at(path))?;
        let seen = verifier
            .verify(&note)
            .map_err(|source| BackupError::Checkpoint { path: path.to_owned(), source })?;
        let (path, outside, log) = (path.to_owned(), seen.size, marker.size());
        if outside > log {
            return Err(BackupError::Ahead { path, outside, log });
        }
        match merkle::root(&nodes, outside) {
            Ok(root) if root == seen.root => {}
            Ok(_) => return Err(BackupError::Fork { path, outside }),
            Err(_) => return Err(BackupError::Damaged { path: store.join("log/tile") }),
        }
    }
    let path = store.join(FILE);
    fs::remove_file(&path).map_err(at(&path))?;
    sync(store)?;
    Ok(marker.size())
}
