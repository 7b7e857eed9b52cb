//! The nodes of a tree, read from its tiles.
//!
//! Guarantees: only tiles that a tree of the given size has are asked for; where a partial tile is gone the full one is
//! tried; a tile of the wrong length is refused; at most
//! [`CACHED_TILES_MAX`](crate::limits::CACHED_TILES_MAX) tiles are kept (INV-7). Does not do: checking that a tile
//! belongs to the log. Whoever reads tiles from elsewhere verifies the proof made of them against a signed root.
//!
//! Implements the reading side of C2SP tlog-tiles.

use core::cell::RefCell;
use std::collections::BTreeMap;

use crate::code::Code;
use crate::hash::Hash;
use crate::limits::CACHED_TILES_MAX;
use crate::merkle::memory::MemoryNodes;
use crate::merkle::{NodeSource, TreeSize};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath, hashes_on};

/// Where tiles and entry bundles come from.
pub trait TileSource {
    /// Why a tile could not be read.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The bytes of a tile or bundle.
    ///
    /// # Errors
    /// When there is no such tile or it cannot be read.
    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Self::Error>;
}

impl<S: TileSource + ?Sized> TileSource for &S {
    type Error = S::Error;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Self::Error> {
        (**self).read(path)
    }
}

/// The nodes of the tree of one size, computed from the tiles of `S`.
#[derive(Debug)]
pub struct TileNodes<'a, S> {
    tiles: &'a S,
    size: TreeSize,
    /// The subtrees under the tiles read so far, by level and index, no wider than `size` makes the tile. The nodes
    /// between two tile levels are computed once, when the tile is read, and then serve every proof.
    cache: RefCell<BTreeMap<(u8, u64), MemoryNodes>>,
}

impl<'a, S: TileSource> TileNodes<'a, S> {
    /// The nodes of the tree of `size` leaves.
    #[must_use]
    pub const fn new(tiles: &'a S, size: TreeSize) -> Self {
        Self { tiles, size, cache: RefCell::new(BTreeMap::new()) }
    }

    /// The size of the tree whose nodes these are.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// Reads a tile into the cache unless it is there.
    fn load(&self, path: TilePath, level: u8) -> Result<(), TileError<S::Error>> {
        let key = (level, path.index());
        if self.cache.borrow().contains_key(&key) {
            return Ok(());
        }
        let hashes = read_hashes(self.tiles, path)?;
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED_TILES_MAX {
            cache.clear();
        }
        cache.insert(key, hashes.into_iter().collect());
        Ok(())
    }
}

impl<S: TileSource> NodeSource for TileNodes<'_, S> {
    type Error = TileError<S::Error>;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let outside = || TileError::OutOfTree { level, index, size: self.size };
        let (tile_level, inner) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let path = tile_over(self.size, tile_level, inner, index).ok_or_else(outside)?;
        self.load(path, tile_level)?;
        let in_tile = index % (u64::from(TILE_WIDTH) >> inner);
        let cache = self.cache.borrow();
        let tile = cache.get(&(tile_level, path.index())).ok_or_else(outside)?;
        tile.node(inner, in_tile).map_err(|_| outside())
    }
}

/// The tile that holds the node `inner` levels above tile level `level`; nothing if the tree does not have the node.
fn tile_over(size: TreeSize, level: u8, inner: u8, index: u64) -> Option<TilePath> {
    let width = u64::from(TILE_WIDTH);
    let hashes = hashes_on(size, level);
    // The node spans `2^inner` hashes, all in one tile, because `inner` is below the tile's height.
    let end = index.checked_add(1)?.checked_mul(1 << inner).filter(|end| *end <= hashes)?;
    let tile = (end - 1) / width;
    let tile_width = u16::try_from((hashes - tile * width).min(width)).ok()?;
    TilePath::partial(TileKind::Hashes(level), tile, tile_width).ok()
}

/// The hashes of a hash tile as wide as `path` says, from the full tile if the partial one cannot be read.
pub(super) fn read_hashes<S: TileSource>(
    tiles: &S,
    path: TilePath,
) -> Result<Vec<Hash>, TileError<S::Error>> {
    let (read_from, bytes) = match tiles.read(&path) {
        Ok(bytes) => (path, bytes),
        Err(error) if path.is_full() => return Err(TileError::Source { path, error }),
        Err(error) => match tiles.read(&path.to_full()) {
            Ok(bytes) => (path.to_full(), bytes),
            Err(_) => return Err(TileError::Source { path, error }),
        },
    };
    let mut hashes = decode_hashes(&bytes)
        .filter(|hashes| hashes.len() == usize::from(read_from.width()))
        .ok_or(TileError::Length { path: read_from, actual: bytes.len() })?;
    hashes.truncate(usize::from(path.width()));
    Ok(hashes)
}

/// The hashes in the bytes of a hash tile; nothing unless they are 1 to 256 whole hashes.
#[must_use]
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
    let fits = (1..=usize::from(TILE_WIDTH)).contains(&hashes.len());
    (rest.is_empty() && fits).then(|| hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// Why a node could not be read from tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError<E: core::error::Error + 'static> {
    /// The tile could not be read, nor the full one in its place.
    #[error("{path} could not be read: fetch it again or restore it from another copy")]
    Source {
        /// The tile.
        path: TilePath,
        /// Why.
        #[source]
        error: E,
    },
    /// The tile does not have as many hashes as its path says.
    #[error("{path} has {actual} bytes, not 32 for each of its hashes: fetch it again")]
    Length {
        /// The tile.
        path: TilePath,
        /// How many bytes it has.
        actual: usize,
    },
    /// The tree has no such complete subtree.
    #[error("a tree of {size} leaves has no complete subtree {index} on level {level}: ask of a larger tree")]
    OutOfTree {
        /// The level asked for.
        level: u8,
        /// The place on it.
        index: u64,
        /// The tree it was asked of.
        size: TreeSize,
    },
}

impl<E: core::error::Error + 'static> TileError<E> {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Source { .. } => Code::Unavailable,
            Self::Length { .. } => Code::Malformed,
            Self::OutOfTree { .. } => Code::Misuse,
        }
    }
}
