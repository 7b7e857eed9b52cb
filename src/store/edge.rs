//! Turns committed batches into files: what a batch completes, and what a reader of the present tree needs beside it.
//!
//! Guarantees: the same batches give the same files, whether they come from the sequencer or from the journal (INV-6);
//! each full tile and bundle is given out once, with its final bytes. Does not do: writing them.
//!
//! Implements the writing side of C2SP tlog-tiles and the sealed files of `docs/spec/store.md`.

use crate::code::Code;
use crate::entry::{Entry, EntryError};
use crate::hash::{Hash, leaf_hash};
use crate::merkle::TreeSize;
use crate::merkle::range::CompactRange;
use crate::store::batch::Batch;
use crate::tile::{
    EdgeError, EntryBundle, TILE_WIDTH, TileEdge, TileKind, TilePath, TileSource, decode_hashes,
};

/// Bytes that belong somewhere in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileWrite {
    /// A hash tile or entry bundle, whole.
    Tile {
        /// Where.
        path: TilePath,
        /// What.
        bytes: Vec<u8>,
    },
    /// Sealed records of consecutive entries under one bundle.
    Sealed {
        /// The index of the bundle; also the file's name.
        bundle: u64,
        /// Where in the file the first of them starts: after all sealed records before it.
        offset: u64,
        /// The sealed records, one after the other.
        bytes: Vec<u8>,
    },
}

/// What must be kept of the files of a tree in order to write those of the next batch.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    tiles: TileEdge,
    /// The entries under the partial bundle, at most 255.
    entries: Vec<Vec<u8>>,
    /// Bytes of the sealed records of those entries.
    sealed_bytes: u64,
}

impl Edge {
    /// The edge of the tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { tiles: TileEdge::empty(), entries: Vec::new(), sealed_bytes: 0 }
    }

    /// The edge of the tree `base`, from the files of that tree or of any later one.
    ///
    /// What is read is believed only because it makes the tree `base`.
    ///
    /// # Errors
    /// When a file cannot be read or is not one of the tree `base`.
    pub fn load<S: EdgeSource>(files: &S, base: &CompactRange) -> Result<Self, EdgeLoadError<S::Error>> {
        let narrowed = Narrowed { files, base };
        let tiles = TileEdge::load(&narrowed, base.size())?;
        if tiles.root() != base.root() {
            return Err(EdgeLoadError::Root { size: base.size() });
        }
        let mut edge = Self { tiles, ..Self::empty() };
        let width = base.size().get() % u64::from(TILE_WIDTH);
        let index = base.size().get() / u64::from(TILE_WIDTH);
        // A width of 0 means that the last bundle is full, so there is nothing to read.
        let Ok(path) = TilePath::partial(TileKind::Entries, index, u16::try_from(width).unwrap_or(0)) else {
            return Ok(edge);
        };
        for entry in narrowed.entries(&path)? {
            let sealed =
                Entry::decode(&entry).map_err(|source| EdgeLoadError::Entry { path, source })?.sealed;
            edge.sealed_bytes += sealed.map_or(0, |sealed| sealed.length);
            edge.entries.push(entry);
        }
        Ok(edge)
    }

    /// Appends a batch and gives out what it completes.
    pub fn append(&mut self, batch: &Batch, write: &mut impl FnMut(FileWrite)) {
        assert_eq!(
            batch.first(),
            self.size().next_index(),
            "INV-5: a batch follows on the entries before it"
        );
        let mut sealed = Vec::new();
        for (entry, leaf) in batch.entries().iter().zip(batch.leaves()) {
            self.tiles.push(*leaf, &mut |path, bytes| write(FileWrite::Tile { path, bytes }));
            self.entries.push(entry.bytes.clone());
            sealed.extend_from_slice(&entry.sealed);
            if self.entries.len() == usize::from(TILE_WIDTH) {
                let bundle = self.size().get() / u64::from(TILE_WIDTH) - 1;
                self.write_sealed(bundle, &mut sealed, write);
                write(self.bundle(TilePath::full(TileKind::Entries, bundle)));
                self.entries.clear();
                self.sealed_bytes = 0;
            }
        }
        self.write_sealed(self.size().get() / u64::from(TILE_WIDTH), &mut sealed, write);
        assert_eq!(self.tiles.root(), batch.root(), "INV-1: the files make the tree that was committed");
    }

    /// Gives out the partial tiles and the partial bundle of the present tree.
    pub fn partials(&self, write: &mut impl FnMut(FileWrite)) {
        for (path, bytes) in self.tiles.partials() {
            write(FileWrite::Tile { path, bytes });
        }
        let width = u16::try_from(self.entries.len()).unwrap_or(0);
        let index = self.size().get() / u64::from(TILE_WIDTH);
        if let Ok(path) = TilePath::partial(TileKind::Entries, index, width) {
            write(self.bundle(path));
        }
    }

    /// How many leaves the present tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.tiles.size()
    }

    /// The root hash of the present tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tiles.root()
    }

    fn write_sealed(&mut self, bundle: u64, sealed: &mut Vec<u8>, write: &mut impl FnMut(FileWrite)) {
        let bytes = core::mem::take(sealed);
        if bytes.is_empty() {
            return;
        }
        let offset = self.sealed_bytes;
        self.sealed_bytes += bytes.len() as u64;
        write(FileWrite::Sealed { bundle, offset, bytes });
    }

    #[expect(
        clippy::expect_used,
        reason = "1 to 256 entries of at most ENTRY_BYTES_MAX or, from a journal record, 65,535 bytes"
    )]
    fn bundle(&self, path: TilePath) -> FileWrite {
        let bytes = EntryBundle::encode(&self.entries).expect("the entries fit a bundle");
        FileWrite::Tile { path, bytes }
    }
}

/// The files of a store, in which the partial files of one tree may have given way to wider ones.
pub trait EdgeSource: TileSource {
    /// The partial files in the place of `path` that hold more than it does.
    fn wider(&self, path: &TilePath) -> Vec<TilePath>;
}

/// Reads the partial files of the tree `base` from wider ones, where its own are gone. What is damaged is passed over:
/// a file of a later tree may not have been durable when the power went.
struct Narrowed<'a, S> {
    files: &'a S,
    base: &'a CompactRange,
}

impl<S: EdgeSource> Narrowed<'_, S> {
    /// The entries under `path`, a partial bundle of the tree `base`.
    fn entries(&self, path: &TilePath) -> Result<Vec<Vec<u8>>, EdgeLoadError<S::Error>> {
        let mut last = EdgeLoadError::Leaves { path: *path };
        for candidate in self.candidates(path) {
            let bytes = match self.files.read(&candidate) {
                Ok(bytes) => bytes,
                Err(error) => {
                    last = EdgeLoadError::Read { path: candidate, error };
                    continue;
                }
            };
            let entries = EntryBundle::decode(&bytes).unwrap_or_default();
            let entries = entries.get(..usize::from(path.width())).unwrap_or_default();
            let leaves = entries.iter().map(|entry| leaf_hash(entry));
            if self.makes_base(0, leaves) {
                return Ok(entries.iter().map(|entry| entry.to_vec()).collect());
            }
            last = EdgeLoadError::Leaves { path: candidate };
        }
        Err(last)
    }

    /// Where the bytes of `path` may be.
    fn candidates(&self, path: &TilePath) -> impl Iterator<Item = TilePath> {
        [*path, path.to_full()].into_iter().chain(self.files.wider(path))
    }

    /// Whether `hashes` are those of the partial tile on `level` in the tree `base`.
    ///
    /// A tile level spans eight levels of the tree, so its partial tile makes as many hashes of the compact range as
    /// eight bits of the size have set, and those of lower levels stand to the right of them.
    fn makes_base(&self, level: u32, hashes: impl Iterator<Item = Hash>) -> bool {
        let mut range = CompactRange::empty();
        hashes.for_each(|hash| range.push(hash));
        let above = self.base.size().get().checked_shr(level * 8 + 8).unwrap_or(0).count_ones() as usize;
        let width = self.base.size().get().checked_shr(level * 8).unwrap_or(0) % u64::from(TILE_WIDTH);
        let expected = self.base.hashes().iter().skip(above).take(width.count_ones() as usize);
        range.size().get() == width && range.hashes().iter().eq(expected)
    }
}

impl<S: EdgeSource> TileSource for Narrowed<'_, S> {
    type Error = S::Error;

    /// The bytes of a partial hash tile of the tree `base`; where none are found that are, those there are.
    fn read(&self, path: &TilePath) -> Result<Vec<u8>, S::Error> {
        let level = match path.kind() {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        for candidate in self.candidates(path) {
            let mut bytes = self.files.read(&candidate).unwrap_or_default();
            bytes.truncate(usize::from(path.width()) * Hash::LEN);
            let hashes = decode_hashes(&bytes).unwrap_or_default();
            if self.makes_base(level, hashes.into_iter()) {
                return Ok(bytes);
            }
        }
        self.files.read(path)
    }
}

/// Why the files of a store do not make the tree that its journal starts from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeLoadError<E: core::error::Error + 'static> {
    /// A tile could not be read.
    #[error("the tree's right edge: restore the tile from a copy of the log")]
    Tile(#[from] EdgeError<E>),
    /// A bundle could not be read.
    #[error("{path}: restore it from a copy of the log")]
    Read {
        /// The bundle.
        path: TilePath,
        /// Why.
        #[source]
        error: E,
    },
    /// An entry in a bundle is none.
    #[error("{path} holds an entry that is none: restore it from a copy of the log")]
    Entry {
        /// The bundle.
        path: TilePath,
        /// Why.
        source: EntryError,
    },
    /// The tiles make another root.
    #[error(
        "the partial tiles of the tree of {size} leaves make another root: restore them from a copy of the log"
    )]
    Root {
        /// The tree.
        size: TreeSize,
    },
    /// A bundle's entries are not those under the tile.
    #[error("the entries in {path} are not those that the tree holds: restore it from a copy of the log")]
    Leaves {
        /// The bundle.
        path: TilePath,
    },
}

impl<E: core::error::Error + 'static> EdgeLoadError<E> {
    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Tile(error) => error.code(),
            Self::Read { .. } => Code::Unavailable,
            Self::Entry { .. } => Code::Malformed,
            Self::Root { .. } | Self::Leaves { .. } => Code::Inconsistent,
        }
    }
}
