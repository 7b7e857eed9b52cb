//! The published log, read back: entries, proofs and sealed records.
//!
//! Guarantees: only what a published checkpoint covers is read; proofs are made for that tree. Does not do: checking the
//! files against the checkpoint. Whoever hands something out verifies it first, or says that the reader must.

use std::path::Path;
use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::entry::Entry;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, ProveError, TreeSize, consistency, inclusion};
use ledgerstone::policy::{Policy, PolicyError};
use ledgerstone::store::fs::{FsReader, ReadError};
use ledgerstone::tile::{EntryBundle, TILE_WIDTH, TileError, TileKind, TileNodes, TilePath, TileSource as _};
use tokio::sync::watch;

use crate::driver::Published;
use crate::keyring::RecordKeys;
use crate::seal::{self, OpenError, SealedContent};

/// The published log of one store.
#[derive(Clone, Debug)]
pub struct LogReader {
    files: FsReader,
    published: watch::Receiver<Published>,
    policy: Arc<Policy>,
    policy_text: Arc<str>,
}

impl LogReader {
    /// Reads the log in `store`, as far as `published` says.
    ///
    /// # Errors
    /// [`LogReadError`] if the policy that names the log's keys cannot be read.
    pub fn open(store: &Path, published: watch::Receiver<Published>) -> Result<Self, LogReadError> {
        let files = FsReader::open(store);
        let policy_text: Arc<str> = files.policy()?.into();
        let policy = Arc::new(Policy::parse(policy_text.as_bytes())?);
        Ok(Self { files, published, policy, policy_text })
    }

    /// Reads the log in `store` as it lies there, for commands that run beside a sidecar or without one.
    ///
    /// # Errors
    /// [`LogReadError`] if there is no log or its checkpoint is damaged.
    pub fn at_rest(store: &Path) -> Result<Self, LogReadError> {
        let files = FsReader::open(store);
        let size = files.size()?;
        let checkpoint = String::from_utf8_lossy(&files.checkpoint()?).into();
        let (_, published) = watch::channel(Published { size, checkpoint });
        Self::open(store, published)
    }

    /// The newest published checkpoint.
    #[must_use]
    pub fn published(&self) -> Published {
        self.published.borrow().clone()
    }

    /// Word of each later checkpoint.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// The policy that names the log's keys.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy as it lies in the store.
    #[must_use]
    pub fn policy_text(&self) -> &str {
        &self.policy_text
    }

    /// The entry at `index` of the published tree.
    ///
    /// # Errors
    /// [`LogReadError`] if it cannot be read.
    pub fn entry(&self, index: LeafIndex) -> Result<Vec<u8>, LogReadError> {
        Ok(self.files.entry(index, self.published().size)?)
    }

    /// The sealed record of the entry at `index`, if it has one.
    ///
    /// # Errors
    /// [`LogReadError`] if it cannot be read or is not the one that the entry names.
    pub fn sealed(&self, index: LeafIndex) -> Result<Option<Vec<u8>>, LogReadError> {
        Ok(self.files.sealed(index)?)
    }

    /// The sealed record of `entry` at `index`, opened with `keys`; none if it has none. Whether the entry commits to it,
    /// [`SealedContent::committed`] says.
    ///
    /// # Errors
    /// [`LogReadError`] if it cannot be read; inside, [`OpenError`] if it does not open.
    pub fn opened<K: RecordKeys + ?Sized>(
        &self,
        keys: &K,
        index: LeafIndex,
        entry: &Entry,
    ) -> Result<Option<Result<SealedContent, OpenError>>, LogReadError> {
        let of = seal::sealed_for(entry.decision, entry.kind);
        let (Some(of), Some(sealed)) = (of, self.sealed(index)?) else { return Ok(None) };
        Ok(Some(seal::open(keys, &of, entry.kind, &sealed)))
    }

    /// The entries of bundle `number` in the published tree.
    ///
    /// # Errors
    /// [`LogReadError`] if the bundle cannot be read or is damaged.
    pub fn bundle(&self, number: u64) -> Result<Bundle, LogReadError> {
        let size = self.published().size;
        let start = number.saturating_mul(u64::from(TILE_WIDTH));
        let width = size.get().saturating_sub(start).min(u64::from(TILE_WIDTH));
        let width = u16::try_from(width).unwrap_or(TILE_WIDTH);
        let path = TilePath::partial(TileKind::Entries, number, width);
        let path = path.map_err(|_| ReadError::NotPublished { index: LeafIndex::new(start), size })?;
        let bytes = self.tile(&path)?;
        let entries = EntryBundle::decode(&bytes).map_err(|source| ReadError::Bundle { path, source })?;
        // One that was cut off between two entries reads well.
        if entries.len() != usize::from(width) {
            return Err(LogReadError::Damaged { path });
        }
        Ok(Bundle {
            start: LeafIndex::new(start),
            entries: entries.into_iter().map(<[u8]>::to_vec).collect(),
        })
    }

    /// The entries of `bundle` decoded, each with its sealed record if `wanted` says so.
    ///
    /// # Errors
    /// [`LogReadError`] if an entry is damaged or a sealed record cannot be read.
    pub fn records(
        &self,
        bundle: &Bundle,
        wanted: impl Fn(LeafIndex, &Entry) -> bool,
    ) -> Result<Vec<Stored>, LogReadError> {
        self.records_with(bundle, wanted, |read| Ok(Some(read?)))
    }

    /// The same, but a sealed record that is lost is left out.
    ///
    /// # Errors
    /// [`LogReadError`] if an entry is damaged, or a sealed record that may be there cannot be read.
    pub fn records_or_lost(
        &self,
        bundle: &Bundle,
        wanted: impl Fn(LeafIndex, &Entry) -> bool,
    ) -> Result<Vec<Stored>, LogReadError> {
        self.records_with(bundle, wanted, |read| match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_lost() => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    fn records_with(
        &self,
        bundle: &Bundle,
        wanted: impl Fn(LeafIndex, &Entry) -> bool,
        take: impl Fn(Result<Vec<u8>, ReadError>) -> Result<Option<Vec<u8>>, LogReadError>,
    ) -> Result<Vec<Stored>, LogReadError> {
        let mut offset = 0;
        let mut records = Vec::with_capacity(bundle.entries.len());
        for (index, bytes) in (bundle.start.get()..).map(LeafIndex::new).zip(&bundle.entries) {
            let entry = Entry::decode(bytes).map_err(|source| ReadError::Entry { index, source })?;
            let sealed = match entry.sealed.filter(|_| wanted(index, &entry)) {
                Some(sealed) => take(self.files.sealed_at(index, offset, sealed))?,
                None => None,
            };
            offset += entry.sealed.map_or(0, |sealed| sealed.length);
            records.push(Stored { index, entry, sealed });
        }
        Ok(records)
    }

    /// The bytes of a tile or bundle of the published tree. Of a partial one that is not there, the beginning of the one
    /// that the published tree has in its place.
    ///
    /// # Errors
    /// [`LogReadError`] if neither is there or what is there is damaged.
    pub fn tile(&self, path: &TilePath) -> Result<Vec<u8>, LogReadError> {
        let error = match self.files.read(path) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        let places = [Some(path.to_full()), in_tree(path, self.published().size)].into_iter().flatten();
        for place in places.filter(|place| place.width() > path.width()) {
            if let Ok(bytes) = self.files.read(&place) {
                return beginning(path, &bytes).ok_or(LogReadError::Damaged { path: place });
            }
        }
        Err(error.into())
    }

    /// Proves that the entry at `index` is in the tree of `size` leaves, which is published or the beginning of it.
    ///
    /// # Errors
    /// [`LogReadError`] if the tree does not have it or a tile cannot be read.
    pub fn inclusion(&self, index: LeafIndex, size: TreeSize) -> Result<Vec<Hash>, LogReadError> {
        Ok(inclusion::prove(&self.nodes(), index, size)?)
    }

    /// Proves that the tree of `from` leaves is the beginning of the tree of `to` leaves, which is published or the
    /// beginning of it.
    ///
    /// # Errors
    /// [`LogReadError`] if the sizes do not go together or a tile cannot be read.
    pub fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<Vec<Hash>, LogReadError> {
        Ok(consistency::prove(&self.nodes(), from, to)?)
    }

    /// The nodes of the published tree. A complete subtree of a smaller tree is one of this tree too, and this is the
    /// tree whose partial tiles are there.
    pub(crate) fn nodes(&self) -> TileNodes<'_, FsReader> {
        TileNodes::new(&self.files, self.published().size)
    }
}

/// The tile or bundle that the tree of `size` leaves has in the place of `path`.
fn in_tree(path: &TilePath, size: TreeSize) -> Option<TilePath> {
    let leaves_per_item = match path.kind() {
        TileKind::Hashes(level) => 256_u64.checked_pow(u32::from(level))?,
        TileKind::Entries => 1,
    };
    let items = size.get() / leaves_per_item;
    let width =
        items.checked_sub(path.index().checked_mul(u64::from(TILE_WIDTH))?)?.min(u64::from(TILE_WIDTH));
    TilePath::partial(path.kind(), path.index(), u16::try_from(width).ok()?).ok()
}

/// The first hashes or entries of a wider tile or bundle.
fn beginning(path: &TilePath, full: &[u8]) -> Option<Vec<u8>> {
    let width = usize::from(path.width());
    match path.kind() {
        TileKind::Hashes(_) => full.get(..width * Hash::LEN).map(<[u8]>::to_vec),
        TileKind::Entries => EntryBundle::encode(EntryBundle::decode(full).ok()?.get(..width)?).ok(),
    }
}

/// Consecutive entries.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The leaf index of the first one.
    pub start: LeafIndex,
    /// Their exact bytes.
    pub entries: Vec<Vec<u8>>,
}

/// An entry, and its sealed record where that was asked for.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it stands.
    pub index: LeafIndex,
    /// The entry.
    pub entry: Entry,
    /// Its sealed record.
    pub sealed: Option<Vec<u8>>,
}

/// Why something of the log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogReadError {
    /// A file cannot be read or is damaged.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// A tile or bundle holds less than it should, or more.
    #[error("{path} is damaged: restore it from a copy of the log")]
    Damaged {
        /// The tile or bundle.
        path: TilePath,
    },
    /// The policy in the store is damaged.
    #[error("the policy in the store cannot be read: {0}")]
    Policy(#[from] PolicyError),
    /// A proof cannot be made.
    #[error("no proof can be made: {0}")]
    Proof(#[from] ProveError<TileError<ReadError>>),
}

impl LogReadError {
    /// Whether what was asked for is lost, so that reading again does not help.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_lost())
    }

    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Damaged { .. } => Code::Malformed,
            Self::Policy(error) => error.code(),
            Self::Proof(error) => error.code(),
        }
    }
}
