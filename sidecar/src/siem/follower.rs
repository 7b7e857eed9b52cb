//! Has one sink accept everything, in order, from where its cursor stands: a task of its own.
//!
//! Guarantees: at least once. The cursor is written only behind what the sink accepted, so a crash at any point sends events again and
//! leaves none out, and an event that is sent again has the same id. Memory is one batch while it is being sent and nothing while the
//! sink fails: then there is the cursor alone. It is woken by publications and alerts, never by a timer while nothing happens. What goes
//! wrong here stays here, also where it is a defect: no other sink and no decision waits for it.
//! Does not do: leaving out an event that a sink does not take. That stands still, is told, and is for the operator to decide.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ledgerstone::merkle::LeafIndex;
use ledgerstone::siem::Fact;
use ledgerstone::store::fs::StdDisk;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::{Backoff, draw};
use super::batch::{Batch, BatchError, Source};
use super::cursor::{Cursor, CursorError, Position};
use super::sink::{Sink, SinkError, SinkFault};
use super::sink_of;
use super::standing::Standing;
use crate::config::siem::{SinkConfig, StartAt};
use crate::driver::Clock;

/// How often the cursor of a sink that accepts what it is sent is written: two fsyncs a second, beside those of the log.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What a follower is made of.
pub(super) struct Follower {
    pub(super) config: SinkConfig,
    pub(super) sink: Box<dyn Sink>,
    pub(super) disk: StdDisk,
    pub(super) source: Source,
    pub(super) standing: Arc<Standing>,
    pub(super) clock: Clock,
    /// Turns true when nothing more will be published: what is there is sent, and the follower ends.
    pub(super) closing: watch::Receiver<bool>,
}

/// How far a follower is.
struct Progress {
    cursor: Arc<Mutex<Cursor>>,
    /// Sent.
    sent: Position,
    /// Accepted.
    accepted: Position,
    /// Events that were sent and not yet accepted.
    unconfirmed: u64,
    /// Since when there is something that the cursor does not say.
    since: Option<Instant>,
    /// Events of the next batch.
    batch_events: usize,
    backoff: Backoff,
    /// Alerts with smaller numbers that were given up are counted.
    counted: u64,
    /// Since when it takes events and is late all the same.
    late_since: Option<Instant>,
}

/// What stands in the way.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error("a part of the export panicked; report it")]
    Defect,
}

impl Follower {
    /// Follows until the sidecar ends. Where a part of it panics, whatever that was, a new sink goes on from the cursor.
    pub(super) async fn run(mut self) {
        let mut panicked = self.unharmed().await.is_err();
        while panicked {
            self.standing.failed((self.clock)(), &Fault::Defect);
            if self.pause(self.config.retry_max).await {
                break;
            }
            match sink_of(&self.config, &self.clock) {
                Ok(sink) => {
                    self.sink = sink;
                    panicked = self.unharmed().await.is_err();
                }
                Err(fault) => self.standing.failed((self.clock)(), &fault),
            }
        }
        self.standing.ended();
    }

    /// Follows until the sidecar ends, or a part of it panics.
    async fn unharmed(&mut self) -> Result<(), ()> {
        let mut begun = pin!(self.begin());
        let poll = |context: &mut Context<'_>| {
            // What a panic leaves half done is dropped: the sink, and the cursor as far as it was not written.
            match catch_unwind(AssertUnwindSafe(|| begun.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Err(_) => Poll::Ready(Err(())),
            }
        };
        poll_fn(poll).await
    }

    async fn begin(&mut self) {
        let mut refused = None;
        loop {
            match self.open().await {
                Ok(progress) => return self.follow(progress).await,
                Err(error) => {
                    let now = (self.clock)();
                    self.standing.refused(now, &error);
                    // What it is owed is not known; that it gets nothing is.
                    self.standing.waiting(Some(*refused.get_or_insert(now)));
                    self.late(0);
                    if let Fault::Cursor(error @ (CursorError::Ahead { .. } | CursorError::Fork { .. })) =
                        &error
                    {
                        self.source.alerts.raise(Fact::Tamper { check: None, detail: error.to_string() });
                    }
                    // Whoever mends the cursor needs no restart.
                    if self.pause(self.config.retry_max).await {
                        return;
                    }
                }
            }
        }
    }

    async fn open(&mut self) -> Result<Progress, Fault> {
        let (disk, log, sink) = (self.disk.clone(), self.source.log.clone(), self.config.name.clone());
        let origin = self.source.about.origin().to_owned();
        let opened = spawn_blocking(move || Cursor::open(&disk, &log, &origin, &sink)).await;
        let cursor = opened.map_err(|_| Fault::Defect)??;
        let at = cursor.position().unwrap_or_else(|| match self.config.start {
            StartAt::Beginning => Position { entries: 0, alerts: self.source.alerts.first() },
            StartAt::End => Position {
                entries: self.source.log.published().size.get(),
                alerts: self.source.alerts.next(),
            },
        });
        // A journal of alerts that was lost begins with smaller numbers only where the clock was set back.
        let at = Position { alerts: at.alerts.min(self.source.alerts.next()), ..at };
        let is_new = cursor.position().is_none();
        let progress = Progress {
            cursor: Arc::new(Mutex::new(cursor)),
            sent: at,
            accepted: at,
            unconfirmed: 0,
            since: None,
            batch_events: self.config.batch_events,
            backoff: Backoff::new(self.config.retry_max),
            counted: 0,
            late_since: None,
        };
        // Before anything else: a sink that began at the end must not begin at a later one after a crash.
        if is_new {
            self.write(&progress).await?;
        }
        self.standing.follows(at);
        Ok(progress)
    }

    async fn follow(&mut self, mut progress: Progress) {
        let (mut published, mut told) = (self.source.log.watch(), self.source.alerts.watch());
        loop {
            published.mark_unchanged();
            told.mark_unchanged();
            let is_closing = *self.closing.borrow();
            let due = progress.since.map(|since| since + self.interval());
            let went = match self.next(&mut progress).await {
                Ok(true) if due.is_none_or(|due| due > Instant::now()) => continue,
                Ok(true) => self.settle(&mut progress).await,
                Ok(false) if due.is_some_and(|due| is_closing || due <= Instant::now()) => {
                    self.settle(&mut progress).await
                }
                Ok(false) if is_closing => break,
                Ok(false) => {
                    tokio::select! {
                        changed = published.changed() => if changed.is_err() { self.closed().await },
                        _ = told.changed() => {}
                        _ = self.closing.changed() => {}
                        () = until(due) => {}
                    }
                    continue;
                }
                Err(fault) => Err(fault),
            };
            let Err(fault) = went else { continue };
            if self.failed(&mut progress, fault).await {
                break;
            }
        }
        _ = self.write(&progress).await;
    }

    /// Sends what comes next. Whether there was something.
    async fn next(&mut self, progress: &mut Progress) -> Result<bool, Fault> {
        let (source, from, events) = (self.source.clone(), progress.sent, progress.batch_events);
        let read = spawn_blocking(move || source.batch(from, events)).await;
        let Some(batch) = read.map_err(|_| Fault::Defect)?? else {
            if progress.unconfirmed == 0 {
                self.standing.waiting(None);
            }
            return Ok(false);
        };
        let missed = batch.missed.end.saturating_sub(batch.missed.start.max(progress.counted));
        if missed > 0 {
            // Once, however often the batch is tried.
            progress.counted = batch.missed.end;
            self.standing.missed(missed);
        }
        if progress.unconfirmed == 0 {
            self.standing.waiting(batch.oldest());
        }
        if !batch.events.is_empty() {
            self.deliver(progress, &batch).await?;
        }
        self.sent(progress, batch.next, batch.events.len());
        progress.backoff.reset();
        self.takes_late(progress);
        progress.batch_events = progress.batch_events.saturating_mul(2).min(self.config.batch_events);
        Ok(true)
    }

    async fn deliver(&mut self, progress: &mut Progress, batch: &Batch) -> Result<(), SinkError> {
        let limit = self.config.timeout;
        let delivered = timeout(limit, self.sink.deliver(&batch.events)).await;
        let delivered = delivered.unwrap_or_else(|_| Err(SinkFault::TimedOut { limit }.into()));
        if let Err(error) = &delivered {
            if let Some(behind) = batch.behind(error.accepted) {
                self.sent(progress, behind, error.accepted);
            }
            // The same batch again, so that a receiver knows it by its id although more has been published since.
            progress.batch_events = batch.events.len().saturating_sub(error.accepted).max(1);
        }
        delivered
    }

    /// Notes what was sent, and takes it for accepted where the sink says that by itself.
    fn sent(&self, progress: &mut Progress, position: Position, events: usize) {
        progress.sent = position;
        progress.unconfirmed += events as u64;
        progress.since.get_or_insert_with(Instant::now);
        if self.sink.confirm_interval().is_none() {
            self.accepted(progress);
        }
    }

    fn accepted(&self, progress: &mut Progress) {
        progress.accepted = progress.sent;
        self.standing.accepted(progress.accepted, std::mem::take(&mut progress.unconfirmed));
    }

    /// Has the sink confirm what it was sent, and writes the cursor behind that.
    async fn settle(&mut self, progress: &mut Progress) -> Result<(), Fault> {
        if progress.sent != progress.accepted {
            // A sink has the same limit, and says more about it.
            let limit = self.config.timeout * 2;
            let confirmed = timeout(limit, self.sink.confirm()).await;
            confirmed.unwrap_or_else(|_| Err(SinkFault::TimedOut { limit }.into()))?;
            self.accepted(progress);
        }
        progress.since = None;
        // Without it more is sent again after a restart, and nothing is lost.
        if let Err(error) = self.write(progress).await {
            tracing::warn!(sink = %self.config.name, %error, "the cursor of a sink cannot be written");
        }
        Ok(())
    }

    /// Writes the cursor behind what was accepted.
    async fn write(&mut self, progress: &Progress) -> Result<(), Fault> {
        let (cursor, position) = (Arc::clone(&progress.cursor), progress.accepted);
        let write = move || cursor.lock().unwrap_or_else(PoisonError::into_inner).write(position);
        Ok(spawn_blocking(write).await.map_err(|_| Fault::Defect)??)
    }

    /// Goes back to what was accepted and waits. Whether the follower has to end.
    async fn failed(&mut self, progress: &mut Progress, fault: Fault) -> bool {
        progress.sent = progress.accepted;
        progress.unconfirmed = 0;
        self.standing.failed((self.clock)(), &fault);
        if let Fault::Batch(error) = &fault
            && error.is_sign()
        {
            self.source.alerts.raise(Fact::Tamper { check: None, detail: error.to_string() });
        }
        self.late(progress.accepted.entries);
        if let Fault::Sink(error) = &fault
            && error.fault.is_about_the_batch()
            && progress.batch_events > 1
        {
            progress.batch_events /= 2;
            return false;
        }
        let may_pass = !matches!(&fault, Fault::Sink(error) if !error.fault.may_pass());
        let pause = progress.backoff.next(may_pass, draw());
        self.pause(pause).await
    }

    /// Tells that the sink is late, if it is.
    fn late(&self, next: u64) {
        let waited = self.standing.waited((self.clock)());
        if waited > self.config.late {
            let (sink, next) = (self.config.name.to_string(), LeafIndex::new(next));
            let late_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            self.source.alerts.raise(Fact::SinkLate { sink, next, late_ms });
        }
    }

    /// Tells of a sink that takes events more slowly than they come. One that catches up after a pause is late too, and gets as long
    /// again for that.
    fn takes_late(&self, progress: &mut Progress) {
        if self.standing.waited((self.clock)()) <= self.config.late {
            progress.late_since = None;
            return;
        }
        let since = *progress.late_since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.config.late {
            self.late(progress.accepted.entries);
        }
    }

    fn interval(&self) -> Duration {
        self.sink.confirm_interval().unwrap_or(WRITE_INTERVAL)
    }

    /// Waits, unless the follower has to end. Whether it has.
    async fn pause(&mut self, time: Duration) -> bool {
        timeout(time, self.closed()).await.is_ok()
    }

    /// Returns when the follower has to end.
    async fn closed(&mut self) {
        // An error says that whoever would end it is gone, which ends it too.
        _ = self.closing.wait_for(|closing| *closing).await;
    }
}

/// Waits until `due`; for ever without it.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep(due.saturating_duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}
