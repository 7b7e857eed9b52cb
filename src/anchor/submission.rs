//! The lane of a timestamp authority or of OpenTimestamps calendars: decides what is sent and asked for when, and does none
//! of it.
//!
//! Guarantees: statements chain without a gap, and the next one is made only when the one before is accepted; however long
//! nobody answers, one statement then covers all that the log has grown by; nothing follows from a record that is not durable,
//! and a record that could not be written stops the lane; a proof that still depends on its calendars after the configured
//! time is sent to all of them again; what waits is bounded (INV-7).
//! Does not do: storing, sending, waiting, reading a clock or drawing numbers: each is an [`Effect`] that a driver carries out
//! and answers with an [`Event`]; the time and a random number come with every event.
//!
//! Described in `docs/anchoring.md`, section *States*. Carries INV-6 (recovery reaches the same state).

mod advance;
mod event;
mod next;
mod record;

pub use super::record::RecordError;
pub use event::{Effect, Event};
pub use record::{Record, RecoverError};

use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use super::alarm::{Alarm, Alarms};
use super::schedule::{Built, Schedule, Tip, is_past};
use super::statement::{AnchorKind, LaneName};
use crate::merkle::TreeSize;
use crate::time::UnixMillis;
use record::Course;

/// The settings of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The lane's name.
    pub lane: LaneName,
    /// [`AnchorKind::Rfc3161`], whose proof is whole when it is accepted, or [`AnchorKind::Bitcoin`], whose proof is upgraded
    /// later.
    pub kind: AnchorKind,
    /// When it makes statements.
    pub schedule: Schedule,
    /// How long to wait after the first failure, in milliseconds; doubled with each further one, half of it by chance.
    pub retry_ms_min: u64,
    /// The longest wait after a failure, in milliseconds.
    pub retry_ms_max: u64,
    /// How often calendars are asked for the rest of a proof, in milliseconds.
    pub upgrade_interval_ms: u64,
    /// After how long without an upgrade a statement is sent to all calendars again, in milliseconds.
    pub resubmit_after_ms: u64,
    /// Proofs that may wait for their upgrade, at most
    /// [`ANCHOR_PENDING_MAX`](crate::limits::ANCHOR_PENDING_MAX); past it no further statement is made.
    pub pending_max: usize,
}

/// Where the newest statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing waits: every proof is whole.
    Idle,
    /// The newest is built and being submitted.
    Planned,
    /// All are accepted, and some proofs depend on their calendars still.
    Accepted,
    /// All proofs stand alone, and some headers are missing still.
    Upgraded,
}

impl State {
    /// The state as a word, for metrics and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Planned => "planned",
            Self::Accepted => "accepted",
            Self::Upgraded => "upgraded",
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
    /// Where the newest statement is.
    pub state: State,
    /// The last accepted statement.
    pub accepted: Tip,
    /// The last statement up to which every proof is whole.
    pub anchored: Tip,
    /// For how long the log has had entries that are not accepted, in milliseconds; after a restart at most too long.
    pub lag_ms: u64,
    /// How many such entries it has.
    pub lag_entries: u64,
    /// Proofs that are not whole.
    pub pending: usize,
    /// When the oldest of those was accepted.
    pub pending_since: Option<UnixMillis>,
    /// Whether a failed journal stopped the lane until it is started again.
    pub is_stopped: bool,
}

/// Failures in a row, and when to try again.
#[derive(Clone, Copy, Debug, Default)]
struct Backoff {
    failures: u32,
    /// When the first of them was.
    since: Option<UnixMillis>,
    /// When the last of them was, and how long to wait from then.
    wait: Option<(UnixMillis, u64)>,
}

impl Backoff {
    fn fail(&mut self, now: UnixMillis, jitter: u64, config: &Config) {
        let doubled = config.retry_ms_min.saturating_mul(1 << self.failures.min(32));
        let whole = doubled.min(config.retry_ms_max).max(1);
        // Half of the wait is fixed and half is chance, so that lanes that failed together do not come back together.
        let half = whole / 2;
        let ms = half + jitter % (whole - half + 1);
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
        self.wait = Some((now, ms));
    }

    fn may(&self, now: UnixMillis) -> bool {
        self.wait.is_none_or(|(at, ms)| is_past(now, at, ms))
    }
}

/// What is asked for about a statement that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Submit(u64),
    Upgrade(u64),
    Capture(u64),
}

/// When a pending statement was last dealt with.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    upgrade_at: Option<UnixMillis>,
    submit_at: Option<UnixMillis>,
    capture: Backoff,
}

/// The state machine of one lane.
#[derive(Clone, Debug)]
pub struct Submission {
    config: Config,
    course: Course,
    /// Records that are not durable yet, oldest first; the first one is out.
    records: VecDeque<Record>,
    is_journaling: bool,
    log: Option<TreeSize>,
    behind_since: Option<UnixMillis>,
    /// The number of the statement being built.
    building: Option<u64>,
    /// The number of the planned statement being submitted.
    submitting: Option<u64>,
    asked: Option<Asked>,
    tried: BTreeMap<u64, Tried>,
    is_appending: bool,
    build: Backoff,
    submit: Backoff,
    append: Backoff,
    alarms: Alarms,
    is_stopped: bool,
}

impl Submission {
    /// A lane whose journal is empty.
    ///
    /// # Panics
    /// When the kind is one that is not submitted to.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let is_submitted = matches!(config.kind, AnchorKind::Bitcoin | AnchorKind::Rfc3161);
        assert!(is_submitted, "statements are submitted to calendars and authorities only");
        Self {
            course: Course::new(&config),
            config,
            records: VecDeque::new(),
            is_journaling: false,
            log: None,
            behind_since: None,
            building: None,
            submitting: None,
            asked: None,
            tried: BTreeMap::new(),
            is_appending: false,
            build: Backoff::default(),
            submit: Backoff::default(),
            append: Backoff::default(),
            alarms: Alarms::default(),
            is_stopped: false,
        }
    }

    /// A lane that goes on from its journal, its records in their order, without one that was torn at the end.
    ///
    /// # Errors
    /// [`RecoverError`] if the records are not those of one lane.
    ///
    /// # Panics
    /// As [`Submission::new`].
    pub fn recover(config: Config, records: impl IntoIterator<Item = Record>) -> Result<Self, RecoverError> {
        let mut lane = Self::new(config);
        for record in records {
            lane.course.apply(&record)?;
        }
        Ok(lane)
    }

    /// Takes note of `event` at the time `now` and says what to do about it, in order. `jitter` is any random number.
    ///
    /// # Panics
    /// When a record that it wrote itself does not follow from those before.
    #[must_use]
    pub fn handle(&mut self, now: UnixMillis, jitter: u64, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_stopped {
            return effects;
        }
        match event {
            Event::Tick => {}
            Event::Log(size) => self.grow(now, size),
            Event::Built(built) => self.built(now, jitter, &built, &mut effects),
            Event::BuildFailed => {
                if let Some(seq) = self.building.take() {
                    self.build.fail(now, jitter, &self.config);
                    self.alarm(Alarm::Build { seq }, &mut effects);
                }
            }
            Event::Journaled => self.journaled(),
            Event::JournalFailed => {
                if self.is_journaling {
                    self.alarm(Alarm::Journal, &mut effects);
                    self.is_stopped = true;
                }
            }
            Event::Accepted { seq } => self.accepted(now, seq),
            Event::NotAccepted { seq } => self.not_accepted(now, jitter, seq, &mut effects),
            Event::Upgraded { seq } => {
                if self.asked.take_if(|asked| *asked == Asked::Upgrade(seq)).is_some() {
                    self.records.push_back(Record::Upgraded { seq, at: now });
                }
            }
            Event::NotUpgraded { seq } => self.not_upgraded(now, seq, &mut effects),
            Event::Captured { seq } => {
                if self.asked.take_if(|asked| *asked == Asked::Capture(seq)).is_some() {
                    self.records.push_back(Record::Captured { seq, at: now });
                }
            }
            Event::CaptureFailed { seq } => {
                if self.asked.take_if(|asked| *asked == Asked::Capture(seq)).is_some() {
                    self.tried.entry(seq).or_default().capture.fail(now, jitter, &self.config);
                    self.alarm(Alarm::Capture { seq }, &mut effects);
                }
            }
            Event::Appended { seq } => self.appended(seq),
            Event::AppendFailed { seq } => self.append_failed(now, jitter, seq, &mut effects),
        }
        self.advance(now, &mut effects);
        effects
    }

    /// What the lane is doing.
    #[must_use]
    pub fn snapshot(&self, now: UnixMillis) -> Snapshot {
        let pending = &self.course.pending;
        let size = self.log.map_or(0, TreeSize::get);
        let state = if self.course.planned.is_some() {
            State::Planned
        } else if pending.values().any(|pending| !pending.is_upgraded) {
            State::Accepted
        } else if pending.is_empty() {
            State::Idle
        } else {
            State::Upgraded
        };
        Snapshot {
            state,
            accepted: self.course.accepted,
            anchored: self.course.anchored,
            lag_ms: self.behind_since.map_or(0, |since| now.millis_since(since)),
            lag_entries: size.saturating_sub(self.course.accepted.head.size.get()),
            pending: pending.len(),
            pending_since: pending.values().map(|pending| pending.accepted_at).min(),
            is_stopped: self.is_stopped,
        }
    }

    /// The alarms that stand, in the order in which they began.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        self.alarms.standing()
    }

    /// The record that a new journal may start with in place of all records so far; none while something is under way.
    #[must_use]
    pub fn resumed(&self) -> Option<Record> {
        self.course.resumed().filter(|_| self.records.is_empty() && self.building.is_none())
    }

    /// Whether `other` has the same durable state, as recovery from the same records must.
    #[must_use]
    pub fn is_at_the_state_of(&self, other: &Self) -> bool {
        self.course == other.course
    }

    fn grow(&mut self, now: UnixMillis, size: TreeSize) {
        let is_first = self.log.is_none();
        self.log = Some(size);
        if size <= self.course.accepted.head.size {
            self.behind_since = None;
        } else if self.behind_since.is_none() {
            // After a restart nobody knows when the entries came; they came after the last statement was planned.
            self.behind_since = Some(self.course.accepted_planned_at.filter(|_| is_first).unwrap_or(now));
        }
    }

    fn built(&mut self, now: UnixMillis, jitter: u64, built: &Built, effects: &mut Vec<Effect>) {
        let Built { seq, to, statement, previous } = *built;
        if self.building.take_if(|building| *building == seq).is_none() {
            return;
        }
        self.alarms.end(|alarm| matches!(alarm, Alarm::Build { .. } | Alarm::WrongStatement { .. }));
        let tip = self.course.accepted;
        let log = self.log.unwrap_or_default();
        if previous != tip.statement || to.size <= tip.head.size {
            self.build.fail(now, jitter, &self.config);
            self.alarm(Alarm::WrongStatement { seq }, effects);
        } else if to.size > log {
            self.build.fail(now, jitter, &self.config);
            self.alarm(Alarm::LogBehind { anchored: to.size, log }, effects);
        } else {
            self.build = Backoff::default();
            self.records.push_back(Record::Planned { seq, to, statement, at: now });
        }
    }

    fn accepted(&mut self, now: UnixMillis, seq: u64) {
        let is_again = self.asked.take_if(|asked| *asked == Asked::Submit(seq)).is_some();
        if is_again || self.submitting.take_if(|submitting| *submitting == seq).is_none() {
            return;
        }
        self.submit = Backoff::default();
        self.alarms.end(|alarm| matches!(alarm, Alarm::NotAccepted { .. }));
        self.records.push_back(Record::Accepted { seq, at: now });
    }

    fn not_accepted(&mut self, now: UnixMillis, jitter: u64, seq: u64, effects: &mut Vec<Effect>) {
        let is_again = self.asked.take_if(|asked| *asked == Asked::Submit(seq)).is_some();
        if is_again || self.submitting.take_if(|submitting| *submitting == seq).is_none() {
            return;
        }
        self.submit.fail(now, jitter, &self.config);
        let since = self.submit.since.unwrap_or(now);
        self.alarm(Alarm::NotAccepted { seq, since }, effects);
    }

    fn not_upgraded(&mut self, now: UnixMillis, seq: u64, effects: &mut Vec<Effect>) {
        if self.asked.take_if(|asked| *asked == Asked::Upgrade(seq)).is_none() {
            return;
        }
        let Some(since) = self.course.pending.get(&seq).map(|pending| pending.accepted_at) else { return };
        if now.millis_since(since) >= self.config.resubmit_after_ms {
            self.alarm(Alarm::NotUpgraded { seq, since }, effects);
        }
    }

    fn appended(&mut self, seq: u64) {
        if self.is_appending && self.course.unappended.front().is_some_and(|details| details.seq == seq) {
            self.is_appending = false;
            self.append = Backoff::default();
            self.alarms.end(|alarm| matches!(alarm, Alarm::Append { .. }));
            self.records.push_back(Record::Appended { seq });
        }
    }

    fn append_failed(&mut self, now: UnixMillis, jitter: u64, seq: u64, effects: &mut Vec<Effect>) {
        if self.is_appending && self.course.unappended.front().is_some_and(|details| details.seq == seq) {
            self.is_appending = false;
            self.append.fail(now, jitter, &self.config);
            self.alarm(Alarm::Append { seq }, effects);
        }
    }
}
