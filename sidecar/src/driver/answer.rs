//! What goes back to the caller of an append.

use std::sync::Arc;

use ledgerstone::log::{Answered, Halt, Refusal};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::batch::Batch;
use tokio::sync::oneshot;

use super::{AppendError, Appended};

/// What an append is answered through.
pub(super) type Ticket = oneshot::Sender<Result<Placed, Refusal>>;

/// An entry's place in a committed and signed batch.
#[derive(Debug)]
pub(super) struct Placed {
    index: LeafIndex,
    batch: Arc<Batch>,
    checkpoint: Arc<str>,
}

impl Placed {
    /// The answer with its proof. The caller computes it, so that a thousand callers do so side by side.
    pub(super) fn appended(self) -> Result<Appended, AppendError> {
        let proof = self.batch.prove(self.index);
        // A batch has the proof of each of its entries; were it otherwise, the log would be defective.
        let proof = proof.map_err(|_| Refusal::Unknown(Halt::Driver))?;
        Ok(Appended {
            index: self.index,
            size: self.batch.size(),
            root: self.batch.root(),
            proof,
            checkpoint: self.checkpoint,
        })
    }
}

/// Tells everybody in a batch. A caller that went away misses its answer; its entry is in the log all the same.
pub(super) fn answer_all(answered: Answered<Ticket>) -> usize {
    let Answered { tickets, batch, checkpoint } = answered;
    let count = tickets.len();
    for (index, ticket) in (batch.first().get()..).map(LeafIndex::new).zip(tickets) {
        let placed = Placed { index, batch: Arc::clone(&batch), checkpoint: Arc::clone(&checkpoint) };
        _ = ticket.send(Ok(placed));
    }
    count
}
