//! Tiles and entry bundles: the files in which a log serves its tree and its entries.
//!
//! Guarantees: a [`TilePath`] that exists prints the only spelling that parses back to it; a bundle that decodes encodes
//! to the same bytes; reading either never panics, whatever the bytes. Does not do: reading or writing files, or deciding
//! whether a tile belongs to a log; [`TileNodes`] gives hashes, and the proof made of them is verified against a root.
//!
//! Implements C2SP tlog-tiles, sections "Merkle Tree" and "Log entries".

mod bundle;
mod edge;
mod nodes;
mod path;
mod paths;

pub use bundle::{BundleError, EntryBundle};
pub use edge::{EdgeError, TileEdge};
pub use nodes::{TileError, TileNodes, TileSource, decode_hashes};
pub use path::{TileKind, TilePath, TilePathError};
pub use paths::{Paths, paths, paths_between};

use crate::merkle::TreeSize;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of the tree between a tile and the tile above it: `2^8 = 256`.
const TILE_HEIGHT: u8 = 8;

/// The highest tile level that a path can name; no tree needs one above 7.
const TILE_LEVEL_MAX: u8 = 63;

const _: () = assert!(1 << TILE_HEIGHT == TILE_WIDTH as u32, "a tile is as wide as its height says");

/// How many hashes stand on a tile level: the complete subtrees of `256^level` leaves.
fn hashes_on(size: TreeSize, level: u8) -> u64 {
    size.get().checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
