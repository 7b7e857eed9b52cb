//! The lane of an EVM chain: decides what is signed, sent and captured when, and does none of it.
//!
//! Guarantees: one statement is in flight at a time and covers all that the log has grown by; no nonce is ever signed for two
//! statements; a transaction is durable before it is sent, and what was sent once is sent again, byte for byte, until the
//! chain holds it; nothing follows from a record that is not durable, and a record that could not be written stops the lane;
//! what the contract's storage says decides, receipts only say where. While a view of the chain, or the log, contradicts what
//! the lane knows, nothing is planned, signed or sent, and an [`Alarm`] says why. What is kept is bounded (INV-7).
//! Does not do: storing, signing, sending, waiting, or reading a clock: each is an [`Effect`] that a driver carries out and
//! answers with an [`Event`]; the time comes with every event.
//!
//! Described in `docs/anchoring.md`, section *States*. Carries INV-6 (recovery reaches the same state).

mod config;
mod course;
mod effect;
mod event;
mod fees;
mod push;
mod record;
mod watch;
mod word;

pub use super::record::RecordError;
pub use config::Config;
pub use course::RecoverError;
pub use effect::{Capture, Effect, Sign};
pub use event::{Broadcast, ContractHead, Event, Receipt, View};
pub use record::{Attempt, Place, Record, Resumed};
pub use word::{Address, Block, BlockHash, CodeHash, Fees, TransactionHash};

use core::fmt;
use std::collections::VecDeque;

use super::alarm::{Alarm, Alarms};
use super::schedule::{Build, Built, Tip, is_past};
use crate::limits::{ANCHOR_TRANSACTION_BYTES_MAX, ANCHOR_UNAPPENDED_MAX};
use crate::merkle::TreeSize;
use crate::time::UnixMillis;
use course::Course;
use push::Sent;

/// Where the statement in flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No statement is in flight: all that was planned is captured.
    Idle,
    /// It is built.
    Planned,
    /// A transaction for it is signed and durable.
    Signed,
    /// An endpoint took a transaction.
    Broadcast,
    /// The contract holds it.
    Mined,
    /// A safe block holds it.
    Safe,
    /// A final block holds it; its proof is being captured.
    Finalized,
}

impl State {
    /// The state as a word, for metrics and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Planned => "planned",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Mined => "mined",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a lane is doing, for metrics and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the statement in flight is.
    pub state: State,
    /// Its number; that of the next one where none is in flight.
    pub seq: u64,
    /// The last statement whose proof is captured.
    pub anchored: Tip,
    /// For how long the log has had entries that are not anchored, in milliseconds; after a restart at most too long.
    pub lag_ms: u64,
    /// How many such entries it has.
    pub lag_entries: u64,
    /// Transactions signed for the statement in flight.
    pub attempts: usize,
    /// Gas signed for today.
    pub gas_spent: u64,
    /// The account's balance when the chain was last seen, wei.
    pub balance: Option<u128>,
    /// Whether a failed journal stopped the lane until it is started again.
    pub is_stopped: bool,
}

/// The one thing that is asked for at a time on a statement's way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Idle,
    Building { seq: u64 },
    Signing(Sign),
    Capturing { seq: u64 },
}

/// When something last failed, to be tried again after the configured time.
#[derive(Clone, Copy, Debug, Default)]
struct Failed {
    build: Option<UnixMillis>,
    sign: Option<UnixMillis>,
    capture: Option<UnixMillis>,
    append: Option<UnixMillis>,
}

/// The state machine of one EVM lane.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Config,
    course: Course,
    /// Records that are not durable yet, oldest first; the first one is out.
    records: VecDeque<Record>,
    task: Task,
    log: Option<TreeSize>,
    /// Since when the log has entries that are not anchored.
    behind_since: Option<UnixMillis>,
    is_observing: bool,
    /// When the chain was last asked about; none to ask at once.
    observed_at: Option<UnixMillis>,
    /// Since when no view came.
    blind_since: Option<UnixMillis>,
    sent: Option<Sent>,
    /// The transaction whose outcome is awaited.
    broadcasting: Option<TransactionHash>,
    is_appending: bool,
    failed: Failed,
    balance: Option<u128>,
    alarms: Alarms,
    /// The last view forbade acting.
    is_blocked: bool,
    is_stopped: bool,
}

impl Scheduler {
    /// A lane whose journal is empty.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let course = Course::new(config.lane.clone());
        Self {
            config,
            course,
            records: VecDeque::new(),
            task: Task::Idle,
            log: None,
            behind_since: None,
            is_observing: false,
            observed_at: None,
            blind_since: None,
            sent: None,
            broadcasting: None,
            is_appending: false,
            failed: Failed::default(),
            balance: None,
            alarms: Alarms::default(),
            is_blocked: false,
            is_stopped: false,
        }
    }

    /// A lane that goes on from its journal, its records in their order, without one that was torn at the end.
    ///
    /// # Errors
    /// [`RecoverError`] if the records are not those of one lane.
    pub fn recover(config: Config, records: impl IntoIterator<Item = Record>) -> Result<Self, RecoverError> {
        let mut lane = Self::new(config);
        for record in records {
            lane.course.apply(&record)?;
        }
        Ok(lane)
    }

    /// Takes note of `event` at the time `now` and says what to do about it, in order.
    ///
    /// # Panics
    /// When a record that it wrote itself does not follow from those before: going on could sign a nonce twice.
    #[must_use]
    pub fn handle(&mut self, now: UnixMillis, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_stopped {
            return effects;
        }
        match event {
            Event::Tick => {}
            Event::Log(size) => self.grow(now, size, &mut effects),
            Event::Built(built) => self.built(now, &built, &mut effects),
            Event::BuildFailed => self.build_failed(now, &mut effects),
            Event::Journaled => self.journaled(now, &mut effects),
            Event::JournalFailed => self.stop(&mut effects),
            Event::Signed { transaction, raw } => self.signed(now, transaction, raw, &mut effects),
            Event::SignFailed => self.sign_failed(now, &mut effects),
            Event::Broadcast { transaction, outcome } => {
                self.broadcast(transaction, outcome, &mut effects);
            }
            Event::Observed(view) => self.observed(now, &view, &mut effects),
            Event::Unreachable | Event::Disagree => {
                self.blind(now, matches!(event, Event::Disagree), &mut effects);
            }
            Event::Captured { seq } => self.captured(now, seq, &mut effects),
            Event::CaptureFailed { seq } => self.not_captured(now, seq, true, &mut effects),
            Event::CaptureWaits { seq } => self.not_captured(now, seq, false, &mut effects),
            Event::Appended { seq } => self.appended(seq, &mut effects),
            Event::AppendFailed { seq } => self.append_failed(now, seq, &mut effects),
        }
        self.advance(now, &mut effects);
        effects
    }

    /// What the lane is doing.
    #[must_use]
    pub fn snapshot(&self, now: UnixMillis) -> Snapshot {
        let flight = self.course.flight.as_ref();
        let size = self.log.map_or(0, TreeSize::get);
        Snapshot {
            state: flight.map_or(State::Idle, |flight| flight.state),
            seq: flight.map_or(self.course.tip.seq.saturating_add(1), |flight| flight.seq),
            anchored: self.course.tip,
            lag_ms: self.behind_since.map_or(0, |since| now.millis_since(since)),
            lag_entries: size.saturating_sub(self.course.tip.head.size.get()),
            attempts: flight.map_or(0, |flight| flight.attempts.len()),
            gas_spent: self.course.gas_spent(now),
            balance: self.balance,
            is_stopped: self.is_stopped,
        }
    }

    /// The alarms that stand, in the order in which they began.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        self.alarms.standing()
    }

    /// The last statement whose proof is captured.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.course.tip
    }

    /// The transactions signed for the statement in flight, oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        self.course.flight.as_ref().map_or(&[], |flight| &flight.attempts)
    }

    /// Where the statement in flight was seen last.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.course.flight.as_ref().and_then(|flight| flight.place)
    }

    /// The record that a new journal may start with in place of all records so far; none while something is under way.
    #[must_use]
    pub fn resumed(&self) -> Option<Record> {
        let is_quiet = self.records.is_empty() && self.task == Task::Idle;
        self.course.resumed().filter(|_| is_quiet).map(Record::Resumed)
    }

    /// Whether `other` has the same durable state, as recovery from the same records must.
    #[must_use]
    pub fn is_at_the_state_of(&self, other: &Self) -> bool {
        self.course == other.course
    }

    fn grow(&mut self, now: UnixMillis, size: TreeSize, effects: &mut Vec<Effect>) {
        let is_first = self.log.is_none();
        self.log = Some(size);
        if size <= self.course.tip.head.size {
            self.behind_since = None;
        } else if self.behind_since.is_none() {
            // After a restart nobody knows when the entries came; they came after the last statement was planned.
            let since = self.course.tip_planned_at.filter(|_| is_first).unwrap_or(now);
            self.behind_since = Some(since);
        }
        if let Some(alarm) = watch::log_behind(&self.course, TreeSize::EMPTY, size) {
            self.is_blocked = true;
            self.alarm(alarm, effects);
        }
    }

    fn built(&mut self, now: UnixMillis, built: &Built, effects: &mut Vec<Effect>) {
        let tip = self.course.tip;
        if self.task != (Task::Building { seq: built.seq }) {
            return;
        }
        self.task = Task::Idle;
        self.alarms.end(|alarm| matches!(alarm, Alarm::Build { .. } | Alarm::WrongStatement { .. }));
        let Built { seq, to, statement, previous } = *built;
        let log = self.log.unwrap_or_default();
        if previous != tip.statement || to.size <= tip.head.size {
            self.failed.build = Some(now);
            self.alarm(Alarm::WrongStatement { seq }, effects);
        } else if to.size > log {
            self.failed.build = Some(now);
            self.alarm(Alarm::LogBehind { anchored: to.size, log }, effects);
        } else {
            self.failed.build = None;
            self.journal(Record::Planned { seq, to, statement, at: now }, effects);
        }
    }

    fn build_failed(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if let Task::Building { seq } = self.task {
            self.task = Task::Idle;
            self.failed.build = Some(now);
            self.alarm(Alarm::Build { seq }, effects);
        }
    }

    /// Has a record written; what it says is not so until it is durable.
    fn journal(&mut self, record: Record, effects: &mut Vec<Effect>) {
        if self.records.is_empty() {
            effects.push(Effect::Journal(record.clone()));
        }
        self.records.push_back(record);
    }

    fn journaled(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(record) = self.records.pop_front() else { return };
        let applied = self.course.apply(&record);
        assert_eq!(applied, Ok(()), "INV-6: what a lane writes, its recovery reads");
        if let Some(next) = self.records.front() {
            effects.push(Effect::Journal(next.clone()));
        }
        match record {
            Record::Signed(attempt) if !self.is_blocked => self.send(now, attempt, effects),
            Record::Captured { .. } => {
                let is_behind = self.log.is_some_and(|size| size > self.course.tip.head.size);
                self.behind_since = self.course.tip_planned_at.filter(|_| is_behind);
                self.sent = None;
                self.observed_at = None;
            }
            Record::Mined(_) | Record::Safe(_) => self.sent = None,
            Record::Planned { .. } | Record::Unmined { .. } | Record::Finalized(_) => {
                self.sent = None;
                self.observed_at = None;
            }
            _ => {}
        }
    }

    /// Stops for good: what is durable is not known any more.
    fn stop(&mut self, effects: &mut Vec<Effect>) {
        if self.records.is_empty() {
            return;
        }
        self.alarm(Alarm::Journal, effects);
        self.is_stopped = true;
    }

    fn signed(
        &mut self,
        now: UnixMillis,
        transaction: TransactionHash,
        raw: Vec<u8>,
        effects: &mut Vec<Effect>,
    ) {
        let Task::Signing(Sign { seq, nonce, fees, gas, .. }) = self.task else { return };
        let is_known = self.attempts().iter().any(|attempt| attempt.transaction == transaction);
        if is_known || raw.len() > ANCHOR_TRANSACTION_BYTES_MAX {
            self.sign_failed(now, effects);
            return;
        }
        self.task = Task::Idle;
        self.failed.sign = None;
        self.alarms.end(|alarm| *alarm == Alarm::Signing);
        let attempt = Attempt { seq, nonce, fees, gas, transaction, raw, at: now };
        self.journal(Record::Signed(attempt), effects);
    }

    fn sign_failed(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if matches!(self.task, Task::Signing(_)) {
            self.task = Task::Idle;
            self.failed.sign = Some(now);
            self.alarm(Alarm::Signing, effects);
        }
    }

    /// No view came.
    fn blind(&mut self, now: UnixMillis, is_contradiction: bool, effects: &mut Vec<Effect>) {
        self.is_observing = false;
        let since = *self.blind_since.get_or_insert(now);
        self.alarms.end(|alarm| match alarm {
            Alarm::Disagree { .. } => !is_contradiction,
            Alarm::Unreachable { .. } => is_contradiction,
            _ => false,
        });
        let alarm = if is_contradiction { Alarm::Disagree { since } } else { Alarm::Unreachable { since } };
        self.alarm(alarm, effects);
    }

    fn captured(&mut self, now: UnixMillis, seq: u64, effects: &mut Vec<Effect>) {
        if self.task == (Task::Capturing { seq }) {
            self.task = Task::Idle;
            self.failed.capture = None;
            self.alarms.end(|alarm| matches!(alarm, Alarm::Capture { .. }));
            self.journal(Record::Captured { seq, at: now }, effects);
        }
    }

    fn not_captured(&mut self, now: UnixMillis, seq: u64, is_wrong: bool, effects: &mut Vec<Effect>) {
        if self.task == (Task::Capturing { seq }) {
            self.task = Task::Idle;
            self.failed.capture = Some(now);
            if is_wrong {
                self.alarm(Alarm::Capture { seq }, effects);
            }
        }
    }

    fn appended(&mut self, seq: u64, effects: &mut Vec<Effect>) {
        if self.is_appending && self.course.unappended.front().is_some_and(|details| details.seq == seq) {
            self.is_appending = false;
            self.failed.append = None;
            self.alarms.end(|alarm| matches!(alarm, Alarm::Append { .. }));
            self.journal(Record::Appended { seq }, effects);
        }
    }

    fn append_failed(&mut self, now: UnixMillis, seq: u64, effects: &mut Vec<Effect>) {
        if self.is_appending && self.course.unappended.front().is_some_and(|details| details.seq == seq) {
            self.is_appending = false;
            self.failed.append = Some(now);
            self.alarm(Alarm::Append { seq }, effects);
        }
    }

    /// Starts what can go on beside the statement in flight.
    fn advance(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if self.is_stopped || !self.records.is_empty() {
            return;
        }
        if !self.is_appending
            && self.may_retry(now, self.failed.append)
            && let Some(details) = self.course.unappended.front()
        {
            effects.push(Effect::AppendEntry(details.clone()));
            self.is_appending = true;
        }
        let is_due = self.observed_at.is_none_or(|at| is_past(now, at, self.config.observe_interval_ms));
        if !self.is_observing && is_due && self.log.is_some() {
            let flight = self.course.flight.as_ref().or(self.course.last.as_ref());
            let attempts = flight.map_or(&[][..], |flight| &flight.attempts);
            let transactions = attempts.iter().map(|attempt| attempt.transaction).collect();
            effects.push(Effect::Observe { transactions });
            self.is_observing = true;
            self.observed_at = Some(now);
        }
    }

    /// Asks for the next statement if one is due.
    fn plan(&mut self, now: UnixMillis, log: TreeSize, effects: &mut Vec<Effect>) {
        let Tip { seq, head, statement } = self.course.tip;
        let is_due = self.config.schedule.is_due(now, self.course.tip_planned_at, log, head.size);
        if !is_due || !self.may_retry(now, self.failed.build) {
            return;
        }
        let seq = seq.saturating_add(1);
        if self.course.unappended.len() >= ANCHOR_UNAPPENDED_MAX {
            self.alarm(Alarm::Append { seq: seq.saturating_sub(1) }, effects);
            return;
        }
        let lane = self.config.lane.clone();
        self.task = Task::Building { seq };
        effects.push(Effect::Build(Build { lane, seq, from: head, previous: statement, size: log }));
    }

    fn is_free(&self) -> bool {
        self.task == Task::Idle && self.records.is_empty()
    }

    fn may_retry(&self, now: UnixMillis, failed: Option<UnixMillis>) -> bool {
        failed.is_none_or(|at| is_past(now, at, self.config.retry_ms))
    }

    fn alarm(&mut self, alarm: Alarm, effects: &mut Vec<Effect>) {
        if self.alarms.raise(alarm.clone()) {
            effects.push(Effect::Alarm(alarm));
        }
    }
}

#[cfg(test)]
mod tests;
