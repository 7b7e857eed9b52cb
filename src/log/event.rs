//! What happens to a log.

use std::sync::Arc;

use super::Draft;
use crate::store::Outcome;

/// Something that happened: a request, or the outcome of an [`Effect`](super::Effect).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<T> {
    /// Somebody wants an entry in the log.
    Append {
        /// What the driver knows the request by.
        ticket: T,
        /// What to append.
        draft: Draft,
    },
    /// Enough was gathered: what waits becomes a batch, unless one is being committed.
    Cut,
    /// What became of [`Effect::Stage`](super::Effect::Stage).
    Staged(Outcome),
    /// What became of [`Effect::Commit`](super::Effect::Commit).
    Committed(Outcome),
    /// The note that the oldest [`Effect::Sign`](super::Effect::Sign) without one made.
    Signed(Arc<str>),
    /// [`Effect::Sign`](super::Effect::Sign) made none.
    SigningFailed,
    /// What became of [`Effect::Apply`](super::Effect::Apply), [`Effect::Publish`](super::Effect::Publish),
    /// [`Effect::Recycle`](super::Effect::Recycle) or [`Effect::Settle`](super::Effect::Settle); one of them at a time
    /// is under way.
    Applied(Outcome),
    /// Time has passed.
    Tick,
    /// The log shall stop once everything that waits is answered and public.
    Stop,
}
