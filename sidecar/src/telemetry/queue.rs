//! What waits to be exported: a bounded queue for each signal, and the task that empties it.
//!
//! Guarantees (INV-7): whoever puts something in never waits; what does not fit is dropped and counted; a batch that the Collector
//! does not take is tried again a bounded number of times, then dropped and counted. When the sidecar ends, what waits is sent until
//! the deadline. Does not do: knowing what is in a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at};

use super::otlp::{Collector, Fault, Signal, pause};
use crate::metrics::Metrics;

/// What the lines of this module are told under.
pub(super) const TARGET: &str = module_path!();

/// Items of one signal that wait: a second of a thousand decisions with their spans. A span has about one KiB, so 4 MiB.
const WAITING_MAX: usize = 4096;

/// Items of one export: half a MiB.
pub(super) const BATCH_ITEMS_MAX: usize = 512;

/// How long the first item of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Tries of one batch: with the pauses between them 15 seconds, or as long as the Collector asks for, and the time of the tries.
const TRIES_MAX: u32 = 5;

/// What became of the items of one signal.
#[derive(Debug, Default)]
pub(super) struct Counts {
    sent: AtomicU64,
    /// There was no room.
    full: AtomicU64,
    /// The Collector did not take them, or not in time.
    failed: AtomicU64,
    /// The Collector took the batch and rejected them.
    rejected: AtomicU64,
}

impl Counts {
    fn sent(&self, items: u64, rejected: u64) {
        let rejected = rejected.min(items);
        self.sent.fetch_add(items - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    fn failed(&self, items: u64) {
        self.failed.fetch_add(items, Ordering::Relaxed);
    }
}

/// Says in the metrics what was exported and what was not.
pub(super) fn measure(all: Vec<(&'static str, Arc<Counts>)>, metrics: &Metrics) {
    let signal = |name: &'static str| KeyValue::new("signal", name);
    let kept = all.clone();
    metrics.counted_series(
        "ledgerstone_telemetry_exported",
        "Spans, metric snapshots and log lines that the OpenTelemetry Collector took",
        move || {
            kept.iter()
                .map(|(name, counts)| (vec![signal(name)], counts.sent.load(Ordering::Relaxed)))
                .collect()
        },
    );
    metrics.counted_series(
        "ledgerstone_telemetry_dropped",
        "Spans, metric snapshots and log lines that were dropped, by why: the queue was full, exports failed, the Collector rejected them",
        move || {
            let each = all.iter().flat_map(|(name, counts)| {
                let reasons =
                    [("full", &counts.full), ("failed", &counts.failed), ("rejected", &counts.rejected)];
                reasons.map(|(reason, count)| {
                    (vec![signal(name), KeyValue::new("reason", reason)], count.load(Ordering::Relaxed))
                })
            });
            each.collect()
        },
    );
}

/// Where items of one signal are put in.
#[derive(Debug)]
pub(super) struct Inlet<T> {
    queue: mpsc::Sender<T>,
    counts: Arc<Counts>,
}

impl<T> Inlet<T> {
    /// Puts an item in, or drops it.
    pub(super) fn put(&self, item: T) {
        if self.queue.try_send(item).is_err() {
            self.counts.full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends batches of one signal, and says once when that begins and ends to fail.
struct Sender<S> {
    collector: Collector,
    counts: Arc<Counts>,
    is_failing: bool,
    signal: std::marker::PhantomData<fn() -> S>,
}

impl<S: Signal> Sender<S> {
    fn new(collector: Collector, counts: &Arc<Counts>) -> Self {
        Self { collector, counts: Arc::clone(counts), is_failing: false, signal: std::marker::PhantomData }
    }

    /// Sends a request of that many items, in at most `tries` tries.
    async fn send(&mut self, request: S::Request, items: u64, tries: u32) {
        for attempt in 1.. {
            match self.collector.export::<S>(&request).await {
                Ok(rejected) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!(signal = S::NAME, "telemetry: the Collector takes exports again");
                    }
                    if rejected > 0 {
                        tracing::debug!(
                            signal = S::NAME,
                            rejected,
                            items,
                            "telemetry: the Collector rejected a part"
                        );
                    }
                    return self.counts.sent(items, rejected);
                }
                Err(Fault::Later { asked, .. }) if attempt < tries => sleep(pause(attempt, asked)).await,
                Err(fault) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let problem = fault.text();
                        tracing::warn!(
                            signal = S::NAME,
                            problem,
                            "telemetry: the Collector does not take exports; they are dropped and counted"
                        );
                    }
                    return self.counts.failed(items);
                }
            }
        }
    }
}

/// Exports what is put in, made into requests by `request`, until `ends` says that the sidecar ends and nothing waits.
pub(super) fn start<S: Signal, T: Send + 'static>(
    collector: Collector,
    counts: &Arc<Counts>,
    mut ends: watch::Receiver<bool>,
    request: impl Fn(Vec<T>) -> S::Request + Send + 'static,
) -> (Inlet<T>, JoinHandle<()>) {
    let (queue, mut waiting) = mpsc::channel(WAITING_MAX);
    let mut sender = Sender::<S>::new(collector, counts);
    let kept = Arc::clone(counts);
    let task = tokio::spawn(async move {
        loop {
            let mut batch = Vec::new();
            // Nobody is left to say that the sidecar ends where its exporter is gone.
            let is_ending = *ends.borrow() || ends.has_changed().is_err();
            if !is_ending {
                let first = tokio::select! {
                    first = waiting.recv() => first,
                    _ = ends.changed() => continue,
                };
                batch.extend(first);
                gather(&waiting, &mut ends).await;
            }
            while batch.len() < BATCH_ITEMS_MAX {
                let Ok(item) = waiting.try_recv() else { break };
                batch.push(item);
            }
            let items = batch.len() as u64;
            if items == 0 {
                return;
            }
            let tries = if is_ending { 1 } else { TRIES_MAX };
            let sending = sender.send(request(batch), items, tries);
            tokio::select! {
                () = sending => {}
                // A pause between tries would take the time of what waits behind.
                () = stuck(&mut ends), if !is_ending => kept.failed(items),
            }
        }
    });
    (Inlet { queue, counts: Arc::clone(counts) }, task)
}

/// Ends when a batch is whole or has waited long enough.
async fn gather<T>(waiting: &mpsc::Receiver<T>, ends: &mut watch::Receiver<bool>) {
    let until = Instant::now() + GATHER;
    while waiting.len() + 1 < BATCH_ITEMS_MAX && !*ends.borrow() {
        let step = (Instant::now() + GATHER / 50).min(until);
        let ended = timeout_at(step, ends.changed()).await;
        if ended.is_ok() || step == until {
            return;
        }
    }
}

/// Ends one try's patience after the sidecar began to end.
async fn stuck(ends: &mut watch::Receiver<bool>) {
    if ends.wait_for(|ends| *ends).await.is_ok() {
        sleep(GATHER).await;
    }
}

/// Sends what `metrics` say every `every`, and once more at the end.
pub(super) fn every<S: Signal>(
    collector: Collector,
    counts: &Arc<Counts>,
    mut ends: watch::Receiver<bool>,
    every: Duration,
    request: impl Fn() -> Option<S::Request> + Send + 'static,
) -> JoinHandle<()> {
    let mut sender = Sender::<S>::new(collector, counts);
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        loop {
            let is_ending = *ends.borrow()
                || tokio::select! {
                    _ = ticks.tick() => false,
                    _ = ends.changed() => true,
                };
            if let Some(request) = request() {
                // The next snapshot says all that this one does: it is not worth a second try.
                sender.send(request, 1, 1).await;
            }
            if is_ending {
                return;
            }
        }
    })
}

/// Waits for the tasks until `deadline`, and ends those that are not done.
pub(super) async fn finish(tasks: Vec<JoinHandle<()>>, deadline: Duration) {
    let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
    let all = async {
        for task in tasks {
            // A task that ended by a panic has nothing more to send.
            _ = task.await;
        }
    };
    if timeout(deadline, all).await.is_err() {
        tracing::warn!("telemetry: not all that waited was exported before the sidecar ended");
        aborts.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// A place to put items in, and where they come out.
#[cfg(test)]
pub(super) fn pair<T>(waiting_max: usize) -> (Inlet<T>, mpsc::Receiver<T>) {
    let (queue, waiting) = mpsc::channel(waiting_max);
    (Inlet { queue, counts: Arc::default() }, waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (inlet, waiting) = pair(2);
        (0..5).for_each(|item| inlet.put(item));
        assert_eq!((waiting.len(), inlet.counts.full.load(Ordering::Relaxed)), (2, 3));
        drop(waiting);
        inlet.put(5);
        assert_eq!(inlet.counts.full.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_collector_that_rejects_more_than_it_got_rejected_all() {
        let counts = Counts::default();
        counts.sent(5, 2);
        counts.sent(5, u64::MAX);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        assert_eq!((read(&counts.sent), read(&counts.rejected)), (3, 7));
    }
}
