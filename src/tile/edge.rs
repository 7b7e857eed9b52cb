//! The right edge of a tree in tiles: what must be kept in order to write the tiles of the next leaves.
//!
//! Guarantees: each full tile is given out once, with its final bytes, children before parents; the partial tiles are
//! those of the present size. Writing what it gives out and reading the log in order use the same code. Does not do:
//! writing files.
//!
//! Implements the writing side of C2SP tlog-tiles.

use crate::code::Code;
use crate::hash::{Hash, empty_root, node_hash};
use crate::limits::TREE_SIZE_MAX;
use crate::merkle::TreeSize;
use crate::merkle::range::CompactRange;
use crate::tile::nodes::read_hashes;
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileError, TileKind, TilePath, TileSource};

/// The partial hash tiles of a tree, one per level, and with them its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileEdge {
    size: u64,
    /// `levels[l]` are the hashes of the partial tile on level `l`: `size / 256^l mod 256` of them, at most 255.
    levels: Vec<Vec<Hash>>,
}

impl TileEdge {
    /// The edge of the tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: 0, levels: Vec::new() }
    }

    /// The edge of the tree of `size` leaves, from its partial tiles.
    ///
    /// # Errors
    /// When a partial tile cannot be read, or the size passes [`TREE_SIZE_MAX`].
    pub fn load<S: TileSource>(tiles: &S, size: TreeSize) -> Result<Self, EdgeError<S::Error>> {
        if size.get() > TREE_SIZE_MAX {
            return Err(EdgeError::TooLarge { size });
        }
        let mut levels = Vec::new();
        let mut hashes = size.get();
        let mut level = 0;
        while hashes > 0 {
            let width = u16::try_from(hashes % u64::from(TILE_WIDTH)).unwrap_or(0);
            let index = hashes / u64::from(TILE_WIDTH);
            // A width of 0 means that the last tile is full, so there is nothing to read.
            let tile = match TilePath::partial(TileKind::Hashes(level), index, width) {
                Ok(path) => read_hashes(tiles, path).map_err(EdgeError::Tile)?,
                Err(_) => Vec::new(),
            };
            levels.push(tile);
            hashes = index;
            level += 1;
        }
        Ok(Self { size: size.get(), levels })
    }

    /// Appends a leaf, given by its leaf hash, and gives out each tile it fills with the tile's bytes.
    ///
    /// # Panics
    /// When the tree already has [`TREE_SIZE_MAX`] leaves, which no log reaches by appending.
    pub fn push(&mut self, leaf: Hash, filled: &mut impl FnMut(TilePath, Vec<u8>)) {
        assert!(self.size < TREE_SIZE_MAX, "a log never has 2^63 leaves");
        self.size += 1;
        let mut hash = leaf;
        let mut hashes = self.size;
        for level in 0..=u8::MAX {
            let position = usize::from(level);
            if position == self.levels.len() {
                self.levels.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let Some(tile) = self.levels.get_mut(position) else {
                return;
            };
            tile.push(hash);
            if tile.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let Some(root) = tile_root(tile, None) else {
                return;
            };
            hashes >>= TILE_HEIGHT;
            filled(TilePath::full(TileKind::Hashes(level), hashes - 1), encode_hashes(tile));
            tile.clear();
            hash = root;
        }
    }

    /// The partial hash tiles of the present tree with their bytes, lowest level first.
    pub fn partials(&self) -> impl Iterator<Item = (TilePath, Vec<u8>)> + '_ {
        let mut hashes = self.size;
        (0..).zip(&self.levels).filter_map(move |(level, tile)| {
            let index = hashes >> TILE_HEIGHT;
            hashes = index;
            let width = u16::try_from(tile.len()).ok()?;
            let path = TilePath::partial(TileKind::Hashes(level), index, width).ok()?;
            Some((path, encode_hashes(tile)))
        })
    }

    /// The root hash of the present tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root = None;
        for tile in &self.levels {
            root = tile_root(tile, root);
        }
        root.unwrap_or_else(empty_root)
    }

    /// How many leaves the present tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }
}

/// The root over the hashes of a partial tile and, to the right of them, what stands on the levels below.
fn tile_root(tile: &[Hash], right: Option<Hash>) -> Option<Hash> {
    let mut range = CompactRange::empty();
    tile.iter().for_each(|hash| range.push(*hash));
    range.hashes().iter().rev().fold(right, |right, left| match right {
        None => Some(*left),
        Some(right) => Some(node_hash(left, &right)),
    })
}

/// The bytes of a hash tile.
fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Why the edge of a tree could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError<E: core::error::Error + 'static> {
    /// A partial tile could not be read.
    #[error("the tree's right edge could not be read")]
    Tile(#[source] TileError<E>),
    /// The size is past the limit.
    #[error("no log has {size} leaves: what kept this size is damaged")]
    TooLarge {
        /// The size claimed.
        size: TreeSize,
    },
}

impl<E: core::error::Error + 'static> EdgeError<E> {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Tile(error) => error.code(),
            Self::TooLarge { .. } => Code::Limit,
        }
    }
}
