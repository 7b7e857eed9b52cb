//! One start-to-stop of this sidecar: every request it sees has a number, and every number ends in the log.
//!
//! Guarantees (INV-10): a number is given when a request is seen and ends as an entry or inside a gap entry, unless the
//! session ends without a stop. After a number could not be recorded no further request is admitted until the gap entry
//! for it is in the log, so the numbers that wait for one are never more than the requests in flight (INV-7).
//! Does not do: reading a clock for its entries (the log stamps them), deciding how many requests may be in flight.
//!
//! Requests that are turned away before anything was asked of the model are counted. When their gap entry is written
//! they get a run of numbers of their own, so that a flood of them takes a counter and not a list.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::entry::{
    Detail, Details, Entry, GapReason, HeartbeatDetails, Kind, SessionId, StartDetails, WriterName,
};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::time::UnixMillis;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout_at};

use super::append::{Append, AppendFault};
use super::recorder::now;
use book::{Book, Refused};

mod book;
#[cfg(test)]
mod tests;

/// How long to wait before a gap entry that the log refused is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// How long after the first request that was turned away the gap entry for it comes: one entry for all of a second's.
const SWEEP: Duration = Duration::from_secs(1);

/// What an entry that names a receipt key says the key is for (`docs/spec/entry.md`).
const RECEIPT_KEY_PURPOSE: &str = "cose-receipt";

/// What the start entry of a session says.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The writer's name.
    pub writer: WriterName,
    /// This session, random.
    pub id: SessionId,
    /// Version of this software.
    pub version: String,
    /// SHA-256 of the configuration in force.
    pub configuration: Hash,
    /// The writer's session before this one, if it is known.
    pub previous: Option<SessionId>,
}

/// A running session.
pub struct Session {
    log: Arc<dyn Append>,
    writer: WriterName,
    id: SessionId,
    book: Mutex<Book>,
    /// Held while an entry of the session itself is on its way: one at a time, none after the stop entry.
    own: tokio::sync::Mutex<()>,
    /// A number waits for a gap entry.
    unsettled: Notify,
    /// Tells that a request was turned away.
    turned: Notify,
    /// A number ended.
    ended: Notify,
    /// The numbers that were given up at the end.
    given_up: watch::Sender<BTreeSet<u64>>,
    /// When the last heartbeat was durable, in milliseconds since 1970; 0 before the first.
    beat: AtomicU64,
}

impl Session {
    /// Appends the start entry; no request is seen before it is durable.
    ///
    /// # Errors
    /// [`SessionError::Log`] if the log does not take it.
    pub async fn start(log: Arc<dyn Append>, options: SessionOptions) -> Result<Arc<Self>, SessionError> {
        let details = StartDetails {
            version: options.version,
            configuration: options.configuration,
            previous_session: options.previous,
        };
        let entry = Entry::start(options.writer.clone(), options.id, details);
        log.append(entry, None).await.map_err(SessionError::Log)?;
        Ok(Arc::new(Self {
            log,
            writer: options.writer,
            id: options.id,
            book: Mutex::new(Book::new()),
            own: tokio::sync::Mutex::new(()),
            unsettled: Notify::new(),
            turned: Notify::new(),
            ended: Notify::new(),
            given_up: watch::Sender::default(),
            beat: AtomicU64::new(0),
        }))
    }

    /// Gives a request its number.
    pub(crate) fn see(self: &Arc<Self>) -> Result<Seen, NotAdmitted> {
        let sequence = self.book().see();
        match sequence {
            Ok(sequence) => Ok(Seen { session: Arc::clone(self), sequence, state: State::Seen }),
            Err(refused) => Err(match refused {
                Refused::Closed => NotAdmitted::Stopping,
                Refused::Unsettled => NotAdmitted::Unsettled,
                Refused::Broken => NotAdmitted::Broken,
            }),
        }
    }

    /// Counts a request that was turned away before anything was asked of the model.
    pub(crate) fn turn_away(&self) {
        self.book().turn_away();
        self.turned.notify_one();
    }

    /// Ends a while after a request was turned away, so that one gap entry is for all of that while.
    async fn swept(&self) {
        self.turned.notified().await;
        sleep(SWEEP).await;
    }

    /// Writes gap entries as they become due and a heartbeat every `heartbeat`. Ends when the session does.
    pub async fn run(self: Arc<Self>, heartbeat: Duration) {
        let mut heartbeats = ticks(heartbeat);
        let mut sweep = pin!(self.swept());
        while self.book().is_running() {
            let written = tokio::select! {
                () = self.unsettled.notified() => self.settle().await,
                () = &mut sweep => {
                    sweep.set(self.swept());
                    self.sweep().await
                }
                _ = heartbeats.tick() => self.heartbeat().await,
            };
            if let Err(error) = written {
                tracing::error!(%error, "no request is admitted until the log takes entries again");
                sleep(RETRY).await;
                self.unsettled.notify_one();
            }
        }
    }

    /// Ends the session: admits nothing more, waits until `deadline` for what is in flight, writes the gap entries that
    /// are due and the stop entry. What is still in flight at the deadline and not yet with the log becomes a gap.
    ///
    /// # Errors
    /// [`SessionError`] if the log does not take the entries; the session then ended without a stop.
    pub async fn stop(&self, deadline: Instant) -> Result<(), SessionError> {
        self.book().close();
        // A timeout is not an error: what is left is abandoned below.
        let _ = timeout_at(deadline, self.drained()).await;
        let given_up = self.book().abandon();
        self.given_up.send_replace(given_up);
        self.drained().await;
        self.sweep().await?;
        let _own = self.own.lock().await;
        let stop = self.book().number()?;
        let entry = Entry::stop(self.writer.clone(), self.id, stop);
        self.append_own(stop, entry).await.map(drop)
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Requests seen and not yet recorded.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.book().in_flight()
    }

    /// Requests that ended in a gap, or will: seen or turned away, and without a record.
    #[must_use]
    pub fn unrecorded(&self) -> u64 {
        self.book().unrecorded()
    }

    /// Whether requests are admitted.
    #[must_use]
    pub fn is_admitting(&self) -> bool {
        self.book().is_admitting()
    }

    /// Whether a number cannot be accounted for, so that the session admits nothing more and ends without a stop.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.book().is_broken()
    }

    /// When the last heartbeat was durable, if there was one.
    #[must_use]
    pub fn last_heartbeat(&self) -> Option<UnixMillis> {
        Some(UnixMillis::new(self.beat.load(Ordering::Acquire))).filter(|at| at.get() > 0)
    }

    pub(crate) fn writer(&self) -> &WriterName {
        &self.writer
    }

    /// Says in the log which key signs the receipts of this session; `cose_key` is a COSE_Key.
    ///
    /// # Errors
    /// [`SessionError`] if the log does not take the entry.
    pub async fn announce_receipt_key(&self, cose_key: Vec<u8>) -> Result<(), SessionError> {
        let purpose = Detail::Text(RECEIPT_KEY_PURPOSE.to_owned());
        let details = Details::new().with(1, purpose).with(2, Detail::Bytes(cose_key));
        let make = |(writer, session, sequence)| Entry {
            details,
            ..Entry::new(Kind::Key, writer, session, sequence)
        };
        self.announce(make).await.map(drop)
    }

    /// Appends an entry of the session itself, which `make` makes with its number, and says where it stands.
    ///
    /// # Errors
    /// [`SessionError`] if the log does not take it.
    pub(crate) async fn announce(
        &self,
        make: impl FnOnce((WriterName, SessionId, u64)) -> Entry,
    ) -> Result<(LeafIndex, Entry), SessionError> {
        let _own = self.own.lock().await;
        let sequence = self.book().number()?;
        let entry = make((self.writer.clone(), self.id, sequence));
        let index = self.append_own(sequence, entry.clone()).await?;
        Ok((index, entry))
    }

    /// Ends when the session may take requests and did not, or the other way round.
    pub(crate) fn changes(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// Returns once the number `sequence` was given up: whoever waits for its answer gets none. Never, where that does not happen.
    pub(crate) async fn given_up(&self, sequence: u64) {
        let mut given_up = self.given_up.subscribe();
        if given_up.wait_for(|numbers| numbers.contains(&sequence)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns once nothing is in flight.
    pub(crate) async fn drained(&self) {
        loop {
            let ended = self.ended.notified();
            if self.book().in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }

    async fn heartbeat(&self) -> Result<(), SessionError> {
        self.settle().await?;
        let _own = self.own.lock().await;
        let (sequence, in_flight, lowest) = {
            let mut book = self.book();
            if !book.is_admitting() {
                return Ok(());
            }
            let sequence = book.number()?;
            (sequence, book.in_flight(), book.lowest_in_flight().unwrap_or(sequence))
        };
        let details = HeartbeatDetails { in_flight, lowest_in_flight: lowest };
        let entry = Entry::heartbeat(self.writer.clone(), self.id, sequence, details);
        self.append_own(sequence, entry).await?;
        self.beat.store(now().get(), Ordering::Release);
        Ok(())
    }

    /// Gives requests that were turned away their numbers, and writes every gap entry that is due.
    async fn sweep(&self) -> Result<(), SessionError> {
        self.settle().await?;
        self.book().number_turned_away()?;
        self.settle().await
    }

    /// Writes the gap entries that are due. One that the log refuses keeps its place and its number.
    async fn settle(&self) -> Result<(), SessionError> {
        let _own = self.own.lock().await;
        loop {
            let Some((sequence, details)) = self.book().due()? else {
                return Ok(());
            };
            let entry = Entry::gap(self.writer.clone(), self.id, sequence, details);
            match self.log.append(entry, None).await {
                Ok(_) => {
                    self.book().settled(sequence);
                    self.ended.notify_waiters();
                }
                Err(fault) => return Err(self.failed(fault)),
            }
        }
    }

    /// Appends an entry of the session itself.
    async fn append_own(&self, sequence: u64, entry: Entry) -> Result<LeafIndex, SessionError> {
        match self.log.append(entry, None).await {
            Ok(index) => Ok(index),
            Err(fault) => {
                self.book().lose(sequence, GapReason::NotRecorded);
                self.unsettled.notify_one();
                Err(self.failed(fault))
            }
        }
    }

    fn failed(&self, fault: AppendFault) -> SessionError {
        if matches!(fault, AppendFault::Halted(_)) {
            self.book().break_off();
            self.ended.notify_waiters();
        }
        SessionError::Log(fault)
    }

    fn end(&self, sequence: u64, lost: Option<GapReason>) {
        let mut book = self.book();
        book.end(sequence);
        if let Some(reason) = lost {
            book.lose(sequence, reason);
        }
        drop(book);
        if lost.is_some() {
            self.unsettled.notify_one();
        }
        self.ended.notify_waiters();
    }

    /// Nobody knows what became of a number: the session cannot account for it and ends without a stop.
    fn break_off(&self, sequence: u64) {
        self.book().break_off();
        self.end(sequence, None);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book is left whole by every method, so a panic elsewhere does not spoil it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("writer", &self.writer).field("id", &self.id).finish_non_exhaustive()
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A request that has its number. Dropped without a record, the number becomes a gap.
#[derive(Debug)]
pub(crate) struct Seen {
    session: Arc<Session>,
    sequence: u64,
    state: State,
}

/// Where a request's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not made yet.
    Seen,
    /// With the log.
    Appending,
    /// In the log, or accounted for.
    Ended,
}

impl Seen {
    /// The request's number.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Appends the entry of this request and returns once it is durable.
    pub(crate) async fn append(
        mut self,
        entry: Entry,
        sealed: Option<Bytes>,
    ) -> Result<LeafIndex, AppendFault> {
        if !self.session.book().hand_over(self.sequence) {
            // The session gave this number up at its deadline; its gap entry is due or in the log.
            self.state = State::Ended;
            return Err(AppendFault::NotStored(Box::new(NotAdmitted::Stopping)));
        }
        self.state = State::Appending;
        let appended = self.session.log.append(entry, sealed).await;
        self.state = State::Ended;
        match &appended {
            Ok(_) => self.session.end(self.sequence, None),
            Err(AppendFault::NotStored(_)) => {
                self.session.end(self.sequence, Some(GapReason::NotRecorded));
            }
            Err(AppendFault::Halted(_)) => self.session.break_off(self.sequence),
        }
        appended
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        match self.state {
            State::Seen => self.session.end(self.sequence, Some(GapReason::NotRecorded)),
            State::Appending => self.session.break_off(self.sequence),
            State::Ended => {}
        }
    }
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The session is ending.
    #[error("the sidecar is stopping; send the request to another one")]
    Stopping,
    /// A request without a record waits for its gap entry.
    #[error("the log does not take records at present; try again")]
    Unsettled,
    /// The log has stopped.
    #[error("the log has stopped and must be restarted; its state tells why")]
    Broken,
}

/// Why a session could not start, go on or end in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The log did not take an entry.
    #[error("the session's entry is not in the log: {0}")]
    Log(#[source] AppendFault),
    /// The log has stopped earlier.
    #[error("the log has stopped; the session ends without a stop")]
    Broken,
    /// More requests were seen than a session can number.
    #[error("the session has no numbers left; restart the sidecar")]
    Exhausted,
}

impl SessionError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Log(_) | Self::Broken => Code::Unavailable,
            Self::Exhausted => Code::Limit,
        }
    }
}
