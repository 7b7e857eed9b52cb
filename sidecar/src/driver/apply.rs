//! The thread that turns committed batches into files, publishes checkpoints and recycles the journal.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::log::Event;
use ledgerstone::store::batch::Batch;
use ledgerstone::store::{ApplyStore, Outcome};
use tokio::sync::watch;

use super::Published;
use super::engine::Engine;

/// Something for the apply thread to do. One of them at a time is under way.
#[derive(Debug)]
pub(super) enum Work {
    Apply(Vec<Arc<Batch>>),
    Publish(Checkpoint, Arc<str>),
    Recycle,
    Settle,
}

/// Does `work` on `files`, and says so where it made a checkpoint public.
pub(super) fn perform<S: ApplyStore>(
    files: &mut S,
    work: Work,
    published: &watch::Sender<Published>,
) -> Outcome {
    match work {
        Work::Apply(batches) => files.apply(&batches),
        Work::Publish(checkpoint, note) => {
            let outcome = files.publish(&checkpoint, &note);
            if matches!(outcome, Outcome::Stored) {
                published.send_replace(super::published(&checkpoint, &note));
            }
            outcome
        }
        Work::Recycle => files.recycle(),
        Work::Settle => files.settle(),
    }
}

/// Works until the engine has nothing more to give.
pub(super) fn run<S: ApplyStore>(
    mut files: S,
    work: &Receiver<Work>,
    engine: &Engine,
    published: &watch::Sender<Published>,
) {
    while let Ok(work) = work.recv() {
        let outcome = perform(&mut files, work, published);
        engine.report(Event::Applied(outcome));
    }
}
