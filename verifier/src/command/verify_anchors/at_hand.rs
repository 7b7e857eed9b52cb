//! The log beside the anchors: its checkpoint, and consistency proofs out of its hash files.

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{TreeSize, consistency};
use ledgerstone::tile::TileNodes;
use ledgerstone::verify::anchors::LogAtHand;

use crate::command::proved::{Tiles, chain};
use crate::source::Source;

/// A log that can be read.
pub(super) struct AtHand<'a> {
    source: &'a dyn Source,
    checkpoint: &'a Checkpoint,
}

impl<'a> AtHand<'a> {
    /// The log at `source`, whose newest checkpoint is `checkpoint`.
    pub(super) const fn new(source: &'a dyn Source, checkpoint: &'a Checkpoint) -> Self {
        Self { source, checkpoint }
    }
}

impl LogAtHand for AtHand<'_> {
    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    fn consistency(&self, from: TreeSize) -> Result<Vec<Hash>, String> {
        let tiles = Tiles(self.source);
        let nodes = TileNodes::new(&tiles, self.checkpoint.size);
        consistency::prove(&nodes, from, self.checkpoint.size).map_err(|error| {
            format!("the log's hash files do not show how it grew from {from} entries: {}", chain(&error))
        })
    }
}
