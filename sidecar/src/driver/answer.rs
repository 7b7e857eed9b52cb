//! What goes back to the caller of an append.

use std::sync::Arc;

use ledgerstone::log::{Answered, Refusal};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::batch::Batch;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Appended;

/// What an append is answered through.
pub(super) type Ticket = oneshot::Sender<Result<Appended, Refusal>>;

/// So many callers are told by one task.
const TOLD_BY_ONE: usize = 64;

/// Tells everybody in a batch.
///
/// Waking a task costs little on a thread of its own runtime and much from outside, where each one is handed over under
/// a lock; so tasks of `runtime` do it. Without one, this thread does.
pub(super) fn answer_all(answered: Answered<Ticket>, runtime: Option<&Handle>) {
    let Answered { mut tickets, batch, checkpoint } = answered;
    let mut first = batch.first();
    while !tickets.is_empty() {
        let rest = tickets.split_off(tickets.len().min(TOLD_BY_ONE));
        let some = std::mem::replace(&mut tickets, rest);
        let count = some.len() as u64;
        let (batch, checkpoint) = (Arc::clone(&batch), Arc::clone(&checkpoint));
        match runtime {
            Some(runtime) => _ = runtime.spawn(async move { tell(first, some, &batch, &checkpoint) }),
            None => tell(first, some, &batch, &checkpoint),
        }
        first = LeafIndex::new(first.get() + count);
    }
}

/// Tells the callers of consecutive entries. One that went away misses its answer; its entry is in the log all the same.
fn tell(first: LeafIndex, tickets: Vec<Ticket>, batch: &Arc<Batch>, checkpoint: &Arc<str>) {
    for (index, ticket) in (first.get()..).map(LeafIndex::new).zip(tickets) {
        let (batch, checkpoint) = (Arc::clone(batch), Arc::clone(checkpoint));
        _ = ticket.send(Ok(Appended { index, batch, checkpoint }));
    }
}
