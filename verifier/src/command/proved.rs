//! Entries of a log, each proved to stand in one tree before it is looked at.
//!
//! Guarantees: an entry is handed on only after its leaf hash led to the root that the caller trusts; memory does not grow with the
//! log; a bundle is read once for all the entries asked for together. Does not do: judging the root.

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, inclusion};
use ledgerstone::tile::{TILE_WIDTH, TileNodes, TilePath, TileSource};

use super::log_entries::{decode, read_bundle};
use crate::exit::Refusal;
use crate::source::{ReadError, Source, TILE_BYTES_MAX};

/// The tiles at a source.
pub(super) struct Tiles<'a>(pub(super) &'a dyn Source);

impl TileSource for Tiles<'_> {
    type Error = ReadError;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, ReadError> {
        self.0.read(&path.to_string(), TILE_BYTES_MAX)
    }
}

/// What was proved of an entry.
pub(super) struct Proved<'a> {
    /// Its place in what was asked for.
    pub(super) position: usize,
    /// Its leaf index.
    pub(super) index: LeafIndex,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
    /// Its leaf hash.
    pub(super) leaf: Hash,
    /// The hashes that lead from there to the root.
    pub(super) hashes: Vec<Hash>,
}

/// Hands on each entry with one of these indices, by rising index, once it is proved to stand in the tree of `checkpoint`.
///
/// # Errors
/// An entry cannot be read, or is not the one of that tree, or `see` refused it.
pub(super) fn entries(
    source: &dyn Source,
    checkpoint: &Checkpoint,
    indices: &[u64],
    mut see: impl FnMut(&Proved<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let width = u64::from(TILE_WIDTH);
    let tiles = Tiles(source);
    let nodes = TileNodes::new(&tiles, checkpoint.size);
    let mut order: Vec<(u64, usize)> = indices.iter().copied().zip(0..).collect();
    order.sort_unstable();
    for same_bundle in order.chunk_by(|(one, _), (other, _)| one / width == other / width) {
        let Some(bundle) = same_bundle.first().map(|(index, _)| index / width) else { continue };
        let bytes = read_bundle(source, bundle, checkpoint.size)?;
        let entries = decode(source, bundle, &bytes)?;
        for (index, position) in same_bundle {
            let place = usize::try_from(index % width).unwrap_or(usize::MAX);
            let index = LeafIndex::new(*index);
            let bytes = *entries
                .get(place)
                .ok_or_else(|| unprovable(index, "its bundle is too short", Code::Malformed))?;
            let leaf = leaf_hash(bytes);
            let hashes = inclusion::prove(&nodes, index, checkpoint.size)
                .map_err(|error| unprovable(index, &chain(&error), error.code()))?;
            inclusion::verify(&leaf, index, checkpoint.size, &hashes, &checkpoint.root)
                .map_err(|error| unprovable(index, &error.to_string(), error.code()))?;
            see(&Proved { position: *position, index, bytes, leaf, hashes })?;
        }
    }
    Ok(())
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn unprovable(index: LeafIndex, why: &str, code: Code) -> Refusal {
    Refusal::new(
        code,
        format_args!("entry {index} cannot be proved: {why}"),
        "Run `ledgerstone verify log` to see which file of the log is wrong.",
    )
}
