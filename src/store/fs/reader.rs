//! Reads a log in a folder, whether or not a process is writing to it.
//!
//! Guarantees: a sealed record is handed out only if it is the one its entry names. Does not do: verifying anything else;
//! whoever reads holds tiles and entries against a verified checkpoint.

use std::path::Path;

use super::{StdDisk, checkpoint, identity, layout, sealed};
use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::code::Code;
use crate::entry::{Entry, EntryError, SealedRef};
use crate::hash::Hash;
use crate::limits::TILE_FILE_BYTES_MAX;
use crate::merkle::{LeafIndex, TreeSize};
use crate::store::disk::Disk;
use crate::store::edge::EdgeSource;
use crate::store::{Fault, Operation};
use crate::tile::{BundleError, EntryBundle, TILE_WIDTH, TileKind, TilePath, TileSource};

/// The files of a log in a folder, to be read.
#[derive(Clone, Debug)]
pub struct FsReader<D: Disk = StdDisk> {
    disk: D,
}

impl FsReader<StdDisk> {
    /// The log in the folder `store`. Nothing is read yet.
    #[must_use]
    pub fn open(store: &Path) -> Self {
        Self::new(StdDisk::new(store))
    }
}

impl<D: Disk> FsReader<D> {
    /// The log on `disk`.
    #[must_use]
    pub const fn new(disk: D) -> Self {
        Self { disk }
    }

    /// The bytes of the public checkpoint.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(&self) -> Result<Vec<u8>, ReadError> {
        Ok(checkpoint::read(&self.disk)?)
    }

    /// The policy that names the log's keys.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn policy(&self) -> Result<String, ReadError> {
        identity::read(&self.disk)?.ok_or(ReadError::NotInitialised)
    }

    /// The size of the tree that is public, as the checkpoint says it.
    ///
    /// # Errors
    /// When the checkpoint cannot be read.
    pub fn size(&self) -> Result<TreeSize, ReadError> {
        Ok(SignedCheckpoint::parse(&self.checkpoint()?)?.checkpoint().size)
    }

    /// The entry at `index`, if a tree of `size` leaves has it.
    ///
    /// # Errors
    /// When its bundle cannot be read.
    pub fn entry(&self, index: LeafIndex, size: TreeSize) -> Result<Vec<u8>, ReadError> {
        let (entries, offset) = self.entries_up_to(index, size)?;
        entries.into_iter().nth(offset).ok_or(ReadError::NotPublished { index, size })
    }

    /// The sealed record of the entry at `index` of the public tree; nothing if the entry has none.
    ///
    /// # Errors
    /// When a file cannot be read, or what it holds is not what the entry names.
    pub fn sealed(&self, index: LeafIndex) -> Result<Option<Vec<u8>>, ReadError> {
        let (entries, offset) = self.entries_up_to(index, self.size()?)?;
        let mut start = 0;
        let mut wanted = None;
        for (position, bytes) in entries.iter().enumerate() {
            let entry = Entry::decode(bytes).map_err(|source| ReadError::Entry { index, source })?;
            if position == offset {
                wanted = entry.sealed;
                break;
            }
            start += entry.sealed.map_or(0, |sealed| sealed.length);
        }
        wanted.map(|wanted| self.sealed_at(index, start, wanted)).transpose()
    }

    /// The sealed record of the entry at `index`, which names it as `wanted`: `offset` is the length of the sealed records
    /// of the entries before it in its bundle. For whoever reads bundle by bundle and has both at hand.
    ///
    /// # Errors
    /// When the file cannot be read, or what it holds is not what the entry names.
    pub fn sealed_at(&self, index: LeafIndex, offset: u64, wanted: SealedRef) -> Result<Vec<u8>, ReadError> {
        let bundle = index.get() / u64::from(TILE_WIDTH);
        let bytes = sealed::read(&self.disk, bundle, offset, wanted.length)?;
        if Hash::of(&bytes) != wanted.digest {
            return Err(ReadError::Sealed { index });
        }
        Ok(bytes)
    }

    /// The entries of the bundle that holds `index` in a tree of `size` leaves, and the place of `index` among them.
    fn entries_up_to(&self, index: LeafIndex, size: TreeSize) -> Result<(Vec<Vec<u8>>, usize), ReadError> {
        let missing = ReadError::NotPublished { index, size };
        if !index.is_in(size) {
            return Err(missing);
        }
        let bundle = index.get() / u64::from(TILE_WIDTH);
        let width = (size.get() - bundle * u64::from(TILE_WIDTH)).min(u64::from(TILE_WIDTH));
        let Ok(path) = TilePath::partial(TileKind::Entries, bundle, u16::try_from(width).unwrap_or(0)) else {
            return Err(missing);
        };
        let bytes = self.read(&path).or_else(|error| self.read(&path.to_full()).map_err(|_| error))?;
        let entries = EntryBundle::decode(&bytes).map_err(|source| ReadError::Bundle { path, source })?;
        let offset = usize::try_from(index.get() % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
        Ok((entries.into_iter().map(<[u8]>::to_vec).collect(), offset))
    }
}

impl<D: Disk> TileSource for FsReader<D> {
    type Error = ReadError;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, ReadError> {
        let path = layout::tile(path);
        let read = self.disk.read(&path, TILE_FILE_BYTES_MAX);
        Ok(read.map_err(|error| Fault::io(Operation::Read, &path, error))?)
    }
}

impl<D: Disk> EdgeSource for FsReader<D> {
    fn wider(&self, path: &TilePath) -> Vec<TilePath> {
        // Where the folder cannot be listed, the full file or none is there.
        let names = self.disk.list(&layout::partials_of(path)).unwrap_or_default();
        let widths = names.iter().filter_map(|name| name.parse::<u16>().ok());
        let paths = widths.filter_map(|width| TilePath::partial(path.kind(), path.index(), width).ok());
        let mut wider: Vec<TilePath> = paths.filter(|wider| wider.width() > path.width()).collect();
        wider.sort();
        wider
    }
}

/// Why something of a log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no log.
    #[error("the folder holds no log: name the folder that init created")]
    NotInitialised,
    /// The storage failed.
    #[error("the log could not be read: check that its files are there and that this user may read them")]
    Store(#[from] Fault),
    /// The public checkpoint is none.
    #[error("the public checkpoint is damaged")]
    Checkpoint(#[from] CheckpointError),
    /// The public tree does not have the entry.
    #[error("entry {index} is not in the public tree of {size} leaves: wait until it is published")]
    NotPublished {
        /// The entry asked for.
        index: LeafIndex,
        /// The tree that is public.
        size: TreeSize,
    },
    /// A bundle is damaged.
    #[error("{path} is damaged: restore it from a copy of the log")]
    Bundle {
        /// The bundle.
        path: TilePath,
        /// Why.
        source: BundleError,
    },
    /// An entry is damaged.
    #[error("the bundle of entry {index} holds an entry that is none: restore it from a copy of the log")]
    Entry {
        /// The entry asked for.
        index: LeafIndex,
        /// Why.
        source: EntryError,
    },
    /// A sealed record is not the one its entry names.
    #[error(
        "the sealed record of entry {index} is not the one it names: restore it from a copy of the store"
    )]
    Sealed {
        /// The entry.
        index: LeafIndex,
    },
}

impl ReadError {
    /// Whether what was asked for is lost: its file is not there, or holds something else. Reading again does not help then.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Sealed { .. } => true,
            Self::Store(Fault::Io { source, .. }) => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotInitialised => Code::Misuse,
            Self::Store(source) => source.code(),
            Self::Checkpoint(source) => source.code(),
            Self::NotPublished { .. } => Code::Unavailable,
            Self::Bundle { .. } | Self::Entry { .. } => Code::Malformed,
            Self::Sealed { .. } => Code::Inconsistent,
        }
    }
}
