//! Finds, in each lane, the first statement that covers a receipt's entry and whose proof is there.

use ledgerstone::anchor::statement::Statement;
use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::limits::{ANCHOR_SEQ_MAX, LANE_BYTES_MAX, STATEMENT_BYTES_MAX};
use ledgerstone::merkle::inclusion;
use ledgerstone::receipt::{Receipt, ReceiptAnchor, TlogProof};
use ledgerstone::tile::TileNodes;
use ledgerstone::verify::anchors::{LaneFiles, lane_kind, proof_file};
use ledgerstone::verify::{AnchorState, receipt_anchor};

use super::Trusted;
use crate::anchors::{Shelf, folder_of, statement};
use crate::command::log_checkpoint;
use crate::command::proved::{Tiles, chain};
use crate::command::verify_anchors::Place;
use crate::exit::Refusal;
use crate::source::Source;

/// Statements looked at behind the first one that covers the entry, before a lane counts as not yet anchored: a calendar's
/// promise is kept within a day or two, and a lane makes a few statements an hour at most.
const LATER_MAX: u64 = 256;

/// The search for a receipt's anchors in one place.
pub(super) struct Search<'a> {
    receipt: &'a Receipt,
    shelf: Shelf<'a>,
    log: &'a dyn Source,
    newest: Checkpoint,
    trusted: Trusted<'a>,
}

impl<'a> Search<'a> {
    /// A search at `place`.
    ///
    /// # Errors
    /// There is no log beside the anchors, or it is another one.
    pub(super) fn new(receipt: &'a Receipt, place: &'a Place, trusted: Trusted<'a>) -> Result<Self, Refusal> {
        let log = place.log.as_deref().ok_or_else(|| {
            Refusal::malformed(
                format_args!("{} has anchors but not the log's `checkpoint` and `tile`, which lead from the entry to them", place.label),
                "Name the sidecar's store directory, or the address of its read side.",
            )
        })?;
        let newest = log_checkpoint::parse(log, &log.checkpoint()?)?.checkpoint().clone();
        if newest.origin != *receipt.origin() {
            return Err(Refusal::usage(
                format_args!(
                    "{} is the log {}, but the receipt is of {}",
                    place.label,
                    newest.origin,
                    receipt.origin()
                ),
                "Name the place of the log that gave the receipt.",
            ));
        }
        Ok(Self { receipt, shelf: place.shelf()?, log, newest, trusted })
    }

    /// The lanes, by name.
    ///
    /// # Errors
    /// They cannot be told.
    pub(super) fn lanes(&self) -> Result<Vec<String>, Refusal> {
        self.shelf.lanes()
    }

    /// The anchor of one lane, if it has one for this receipt; `Err` says why the lane cannot be used.
    pub(super) fn lane(&self, lane: &str) -> Result<Option<(ReceiptAnchor, AnchorState)>, String> {
        let about =
            self.shelf.read(&format!("{lane}/lane"), LANE_BYTES_MAX).map_err(|error| error.to_string())?;
        let kind = lane_kind(&about)?;
        let Some(first) = self.first_covering(lane)? else {
            return Ok(None);
        };
        let mut promise = None;
        for seq in first..first.saturating_add(LATER_MAX).min(ANCHOR_SEQ_MAX) {
            let Some(files) =
                statement(&self.shelf, lane, seq, Some(kind)).map_err(|error| error.to_string())?
            else {
                break;
            };
            let Some((_, proof)) = files.proofs.iter().find(|(name, _)| name == proof_file(kind)) else {
                continue;
            };
            let anchor = self.anchor(kind.as_str(), &files, proof)?;
            match receipt_anchor(self.receipt, &anchor, self.trusted.policy, self.trusted.anchors) {
                AnchorState::Failed => {
                    return Err(format!(
                        "statement {seq} does not hold; `ledgerstone verify anchors` says why."
                    ));
                }
                AnchorState::Waiting => promise = promise.or(Some((anchor, AnchorState::Waiting))),
                state => return Ok(Some((anchor, state))),
            }
        }
        Ok(promise)
    }

    /// The number of the first statement whose tree has the receipt's entry.
    fn first_covering(&self, lane: &str) -> Result<Option<u64>, String> {
        // The lane's end is not known: look twice as far each time, then halve what lies between.
        let (mut below, mut above) = (0, 1);
        loop {
            match self.covers(lane, above)? {
                Some(true) => break,
                Some(false) => below = above,
                None => break,
            }
            above = above.saturating_mul(2).min(ANCHOR_SEQ_MAX);
            if below == above {
                return Ok(None);
            }
        }
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            match self.covers(lane, middle)? {
                Some(false) => below = middle,
                Some(true) | None => above = middle,
            }
        }
        Ok((self.covers(lane, above)? == Some(true)).then_some(above))
    }

    /// Whether the tree of a statement has the receipt's entry; nothing where there is no such statement.
    fn covers(&self, lane: &str, seq: u64) -> Result<Option<bool>, String> {
        let path = format!("{lane}/{}/statement", folder_of(seq));
        let bytes = match self.shelf.read(&path, STATEMENT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let statement = Statement::decode(&bytes).map_err(|error| format!("{path}: {error}"))?;
        Ok(Some(self.receipt.index().is_in(statement.to.size)))
    }

    /// The parts of an anchor, with the inclusion proof of the entry in the statement's tree.
    fn anchor(&self, kind: &str, files: &LaneFiles, proof: &[u8]) -> Result<ReceiptAnchor, String> {
        let statement = Statement::decode(&files.statement).map_err(|error| error.to_string())?;
        let size = statement.to.size;
        if size > self.newest.size {
            return Err(format!(
                "statement {} fixes {size} entries, but the log here has only {}: it is an older copy.",
                statement.seq, self.newest.size
            ));
        }
        let tiles = Tiles(self.log);
        let nodes = TileNodes::new(&tiles, self.newest.size);
        let hashes = inclusion::prove(&nodes, self.receipt.index(), size).map_err(|error| {
            format!("the log's hash files do not lead from the entry to the statement: {}", chain(&error))
        })?;
        let note = files
            .checkpoint
            .clone()
            .ok_or_else(|| format!("statement {} lacks its checkpoint", statement.seq))?;
        let checkpoint = String::from_utf8(note).map_err(|_| "a checkpoint is not text".to_owned())?;
        let inclusion = TlogProof { extra: None, index: self.receipt.index(), hashes, checkpoint };
        ReceiptAnchor::new(kind, files.statement.clone(), inclusion, proof.to_vec(), files.headers.clone())
            .map_err(|error| error.to_string())
    }
}
