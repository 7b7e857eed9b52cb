//! What happens to a batch after its answer: it is applied, then published, and its journal recycled.
//!
//! Guarantees: one of these operations at a time is under way; a checkpoint is published only after everything it covers
//! is applied, and in the order of sizes. What the storage refuses is tried again. Does not do: halting.

use std::sync::Arc;

use super::Effect;
use crate::checkpoint::Checkpoint;
use crate::limits::APPLY_RETRY_MS;
use crate::merkle::TreeSize;
use crate::store::batch::Batch;
use crate::time::UnixMillis;

/// A checkpoint and its signed form.
#[derive(Clone, Debug)]
struct Signed {
    checkpoint: Checkpoint,
    note: Arc<str>,
}

/// What is committed but not yet public.
#[derive(Debug)]
pub(super) struct Applying {
    /// Answered batches that are not applied, oldest first.
    unapplied: Vec<Arc<Batch>>,
    /// Bytes of those, and of those being applied.
    unapplied_bytes: usize,
    /// The checkpoint of the tree after the last of them.
    newest: Option<Signed>,
    /// The checkpoint of everything applied, unless it is public.
    applied: Option<Signed>,
    /// The tree that is public.
    published: TreeSize,
    /// When it was made public.
    published_at: Option<UnixMillis>,
    under_way: UnderWay,
    /// Whether something may be recycled.
    recycle_due: bool,
    /// Whether everything applied is durable.
    settled: bool,
    /// When the storage last refused something, until it takes it.
    refused_at: Option<UnixMillis>,
}

#[derive(Debug)]
enum UnderWay {
    Nothing,
    Applying(Vec<Arc<Batch>>, Signed),
    Publishing(Signed),
    Recycling,
    Settling,
}

impl Applying {
    pub(super) const fn new(published: TreeSize) -> Self {
        Self {
            unapplied: Vec::new(),
            unapplied_bytes: 0,
            newest: None,
            applied: None,
            published,
            published_at: None,
            under_way: UnderWay::Nothing,
            recycle_due: false,
            settled: false,
            refused_at: None,
        }
    }

    pub(super) const fn published(&self) -> TreeSize {
        self.published
    }

    pub(super) const fn unapplied_bytes(&self) -> usize {
        self.unapplied_bytes
    }

    pub(super) const fn is_quiet(&self) -> bool {
        matches!(self.under_way, UnderWay::Nothing) && !self.recycle_due
    }

    pub(super) const fn recycle_due(&mut self) {
        self.recycle_due = true;
    }

    /// Takes a batch that was answered.
    pub(super) fn push(&mut self, batch: Arc<Batch>, checkpoint: Checkpoint, note: Arc<str>) {
        self.unapplied_bytes += batch.byte_count();
        self.unapplied.push(batch);
        self.newest = Some(Signed { checkpoint, note });
        self.settled = false;
    }

    /// Takes the checkpoint of what recovery applied.
    pub(super) fn push_recovered(&mut self, checkpoint: Checkpoint, note: Arc<str>) {
        assert!(self.unapplied.is_empty(), "INV-6: recovery applies everything before the log goes on");
        self.applied = Some(Signed { checkpoint, note });
    }

    /// Starts the next operation, if none is under way and one is due.
    pub(super) fn advance<T>(
        &mut self,
        now: UnixMillis,
        publish_interval_ms: u64,
        effects: &mut Vec<Effect<T>>,
    ) {
        if !matches!(self.under_way, UnderWay::Nothing) || !is_past(self.refused_at, APPLY_RETRY_MS, now) {
            return;
        }
        let is_due = is_past(self.published_at, publish_interval_ms, now);
        if let Some(signed) = self.applied.take_if(|_| is_due) {
            assert!(signed.checkpoint.size > self.published, "INV-2: what is public never gets smaller");
            effects.push(Effect::Publish {
                checkpoint: signed.checkpoint.clone(),
                note: Arc::clone(&signed.note),
            });
            self.under_way = UnderWay::Publishing(signed);
        } else if self.recycle_due {
            effects.push(Effect::Recycle);
            self.under_way = UnderWay::Recycling;
        } else if let Some(signed) = self.newest.take() {
            let batches = core::mem::take(&mut self.unapplied);
            effects.push(Effect::Apply(batches.clone()));
            self.under_way = UnderWay::Applying(batches, signed);
        }
    }

    /// Whether everything is public and durable; starts making it durable where only that is left.
    pub(super) fn settle<T>(&mut self, effects: &mut Vec<Effect<T>>) -> bool {
        let is_idle = matches!(self.under_way, UnderWay::Nothing);
        if !is_idle || self.applied.is_some() || self.newest.is_some() || self.recycle_due {
            return false;
        }
        if !self.settled {
            effects.push(Effect::Settle);
            self.under_way = UnderWay::Settling;
        }
        self.settled
    }

    /// Takes note that the operation under way succeeded.
    pub(super) fn done(&mut self, now: UnixMillis) {
        self.refused_at = None;
        match core::mem::replace(&mut self.under_way, UnderWay::Nothing) {
            UnderWay::Nothing => unreachable!("an operation was reported that is not under way"),
            UnderWay::Applying(batches, signed) => {
                self.unapplied_bytes -= batches.iter().map(|batch| batch.byte_count()).sum::<usize>();
                self.applied = Some(signed);
            }
            UnderWay::Publishing(signed) => {
                self.published = signed.checkpoint.size;
                self.published_at = Some(now);
                self.recycle_due = true;
            }
            UnderWay::Recycling => self.recycle_due = false,
            UnderWay::Settling => self.settled = true,
        }
    }

    /// Takes note that the storage refused the operation under way: it is due again, later.
    pub(super) fn again(&mut self, now: UnixMillis) {
        self.refused_at = Some(now);
        match core::mem::replace(&mut self.under_way, UnderWay::Nothing) {
            UnderWay::Nothing => unreachable!("an operation was reported that is not under way"),
            UnderWay::Applying(mut batches, signed) => {
                batches.append(&mut self.unapplied);
                self.unapplied = batches;
                self.newest.get_or_insert(signed);
            }
            UnderWay::Publishing(signed) => {
                self.applied.get_or_insert(signed);
            }
            UnderWay::Recycling | UnderWay::Settling => {}
        }
    }
}

/// Whether `interval_ms` have passed since `then`, or it never was, or the clock was set back before it.
fn is_past(then: Option<UnixMillis>, interval_ms: u64, now: UnixMillis) -> bool {
    then.is_none_or(|then| now < then || now.millis_since(then) >= interval_ms)
}
