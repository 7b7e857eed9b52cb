//! What the sidecar is doing, for whoever asks: liveness, readiness and the gauges.
//!
//! Guarantees: readiness is false until the log is recovered and the session's start entry is in it; both are false for
//! good once the log halted or the session broke, because only a restart helps then. Does not do: stopping anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ledgerstone::merkle::TreeSize;

use crate::bypass::Bypass;
use tokio::sync::Notify;

use crate::driver::LogHandle;
use crate::hardening::Report;
use crate::index::Index;
use crate::intercept::Session;
use crate::metrics::Metrics;

/// How many leaves are durable, as far as anybody was told. A clone counts on with the same count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed(Arc<AtomicU64>);

impl Committed {
    /// Says that the log is durable up to `size`.
    pub(crate) fn up_to(&self, size: TreeSize) {
        self.0.fetch_max(size.get(), Ordering::AcqRel);
    }

    fn size(&self) -> TreeSize {
        TreeSize::new(self.0.load(Ordering::Acquire))
    }
}

/// The state of one sidecar.
#[derive(Debug, Default)]
pub struct Status {
    /// Apart from the rest, because the session counts with it and the rest holds the session.
    committed: Committed,
    draining: AtomicBool,
    bypass: OnceLock<Arc<Bypass>>,
    running: OnceLock<Running>,
    /// Tells that it serves or drains.
    changes: Notify,
    hardening: OnceLock<Report>,
}

/// What there is once the sidecar serves.
#[derive(Debug)]
struct Running {
    log: LogHandle,
    session: Arc<Session>,
    index: Arc<Index>,
}

/// Why the sidecar has to be restarted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLive {
    /// Its log stopped for good.
    #[error("the log has halted: {reason}")]
    Halted {
        /// What to do about it.
        reason: String,
    },
    /// Its session cannot account for a request and takes no more.
    #[error("the session lost track of a request and takes no more: restart to begin another")]
    Broken,
}

/// Why the sidecar is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It has not recovered its log yet.
    #[error("the log is being recovered")]
    Recovering,
    /// It is about to stop.
    #[error("the sidecar is stopping")]
    Draining,
    /// Its log stopped for good.
    #[error("the log has halted: {reason}")]
    Halted {
        /// What to do about it.
        reason: String,
    },
    /// Its log takes no entries at present.
    #[error("the log takes no records at present")]
    NotAdmitting,
    /// The model server can be asked past it.
    #[error(
        "the model server listens on {listening}, so it can be asked past the sidecar: have it listen on 127.0.0.1 alone (upstream.local_only)"
    )]
    Bypassed {
        /// Where it listens beside loopback.
        listening: String,
    },
}

impl Status {
    /// Says that the sidecar serves from now on.
    pub(crate) fn serve(&self, log: LogHandle, session: Arc<Session>, index: Arc<Index>) {
        // Set once, by the one caller that builds the application.
        _ = self.running.set(Running { log, session, index });
        self.changes.notify_waiters();
    }

    /// Says what to look at for callers past the sidecar, and looks.
    pub(crate) fn guard(&self, bypass: Arc<Bypass>) {
        // Set once, by the one caller that builds the application.
        _ = self.bypass.set(bypass);
        self.look();
    }

    /// Looks whether the model server can be asked past the sidecar.
    pub(crate) fn look(&self) {
        if self.bypass.get().is_some_and(|bypass| bypass.look()) {
            self.changes.notify_waiters();
        }
    }

    /// Looks at every `interval`.
    pub(crate) async fn keep_looking(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self.look();
        }
    }

    /// Says what the process gave up, and adds the gauges of it.
    pub(crate) fn hardened(&self, report: Report, metrics: &Metrics) {
        report.measure(metrics);
        // Set once, by the program that runs the application.
        _ = self.hardening.set(report);
    }

    /// What the process gave up, if whoever runs it said so.
    #[must_use]
    pub fn hardening(&self) -> Option<&Report> {
        self.hardening.get()
    }

    /// Says that the sidecar is about to stop.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.changes.notify_waiters();
    }

    /// What appends are counted with.
    pub(crate) fn counter(&self) -> Committed {
        self.committed.clone()
    }

    /// The size up to which the log is durable, as far as anybody was told.
    #[must_use]
    pub fn committed(&self) -> TreeSize {
        self.committed.size()
    }

    /// Whether waiting can help: a sidecar that recovers, stops or waits for room on its disk is live.
    ///
    /// # Errors
    /// [`NotLive`] says why nothing but a restart does.
    pub fn live(&self) -> Result<(), NotLive> {
        let Some(running) = self.running.get() else { return Ok(()) };
        if let Some(halt) = running.log.halted() {
            return Err(NotLive::Halted { reason: halt.to_string() });
        }
        if running.session.is_broken() { Err(NotLive::Broken) } else { Ok(()) }
    }

    /// Whether requests may be sent here.
    ///
    /// # Errors
    /// [`NotReady`] says why they may not.
    pub fn ready(&self) -> Result<(), NotReady> {
        let running = self.running.get().ok_or(NotReady::Recovering)?;
        if let Some(halt) = running.log.halted() {
            return Err(NotReady::Halted { reason: halt.to_string() });
        }
        if self.draining.load(Ordering::Acquire) {
            return Err(NotReady::Draining);
        }
        if !running.session.is_admitting() {
            return Err(NotReady::NotAdmitting);
        }
        match self.bypass.get().and_then(|bypass| bypass.forbidden()) {
            Some(listening) => Err(NotReady::Bypassed { listening }),
            None => Ok(()),
        }
    }

    /// Ends when readiness may be another than when this was called. An idle sidecar is not woken for it.
    pub(crate) fn change(&self) -> impl Future<Output = ()> {
        // Each hears of what comes from here on, before anybody waits for it.
        let changes = self.changes.notified();
        let running = self.running.get().map(|running| (running.session.changes(), running.log.ended()));
        async move {
            let Some((session, log)) = running else { return changes.await };
            tokio::select! {
                () = changes => {}
                () = session => {}
                () = log => {}
            }
        }
    }

    /// Adds the gauges that are read from this state.
    pub(crate) fn measure(self: &Arc<Self>, metrics: &Metrics) {
        self.gauge(metrics, "ledgerstone_tree_size", "Leaves that are durable", |status, _| {
            status.committed().get()
        });
        self.gauge(
            metrics,
            "ledgerstone_published_size",
            "Leaves under the public checkpoint",
            |_, running| running.map_or(0, Running::published),
        );
        self.gauge(
            metrics,
            "ledgerstone_published_lag_entries",
            "Leaves that are durable and not public yet",
            |status, running| running.map_or(0, |r| status.committed().get().saturating_sub(r.published())),
        );
        self.gauge(metrics, "ledgerstone_index_size", "Leaves that the lookup index covers", |_, running| {
            running.map_or(0, |running| running.index.covered().borrow().get())
        });
        self.gauge(metrics, "ledgerstone_halted", "1 once the log stopped for good", |_, running| {
            u64::from(running.is_some_and(|running| running.log.halted().is_some()))
        });
        self.gauge(
            metrics,
            "ledgerstone_unrecorded",
            "Requests of this session without a record",
            |_, running| running.map_or(0, |running| running.session.unrecorded()),
        );
        self.gauge(
            metrics,
            "ledgerstone_upstream_exposed",
            "1 while the model server listens on more than loopback",
            |status, _| u64::from(status.bypass.get().is_some_and(|bypass| bypass.is_open())),
        );
        self.gauge(metrics, "ledgerstone_ready", "1 while requests may be sent here", |status, _| {
            u64::from(status.ready().is_ok())
        });
    }

    fn gauge(
        self: &Arc<Self>,
        metrics: &Metrics,
        name: &'static str,
        what: &'static str,
        read: impl Fn(&Self, Option<&Running>) -> u64 + Send + Sync + 'static,
    ) {
        // Weak, because the metrics outlive the sidecar wherever somebody still holds them.
        let status = Arc::downgrade(self);
        metrics.gauge(name, what, move || {
            status.upgrade().map_or(0, |status| read(&status, status.running.get()))
        });
    }
}

impl Running {
    fn published(&self) -> u64 {
        self.log.published().borrow().size.get()
    }
}
