//! How a lane stands, for whoever asks: metrics, the admin page, alarms.
//!
//! Guarantees: what is shown was durable before; an alarm is written to the log lines when it begins and when its cause is gone,
//! not in between. A label is a lane's name from the configuration (INV-8). Does not do: deciding anything.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ledgerstone::anchor::alarm::Alarm;
use ledgerstone::anchor::statement::{AnchorKind, LaneName};
use ledgerstone::merkle::TreeSize;
use ledgerstone::siem::Fact;
use ledgerstone::time::UnixMillis;

use crate::driver::system_clock;
use crate::siem::Alerts;

/// The state of a lane that does not run yet.
const STARTING: &str = "starting";

/// A statement that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Its number.
    pub seq: u64,
    /// Leaves that it states.
    pub size: TreeSize,
    /// When it was planned.
    pub at: UnixMillis,
}

/// The newest statement whose proof stands by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Its number.
    pub seq: u64,
    /// Leaves that it states.
    pub size: TreeSize,
    /// When that was known.
    pub at: UnixMillis,
}

/// What is known of a lane.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Where its newest statement is, in one word of the lane's kind.
    pub state: &'static str,
    /// The newest statement.
    pub stated: Option<Stated>,
    /// The number of the newest statement that was accepted, of kinds whose proofs are upgraded later; else 0.
    pub accepted: u64,
    /// The newest confirmed one.
    pub confirmed: Option<Confirmed>,
    /// What last went wrong, and when; gone once the same thing went well.
    pub error: Option<(UnixMillis, String)>,
    /// When something is tried next.
    pub next_attempt: Option<UnixMillis>,
    /// The alarms that stand: the word of each and what it says.
    pub alarms: Vec<(&'static str, String)>,
    /// Alarms that ever began.
    pub alarms_begun: u64,
    /// When the oldest entry that is not anchored was recorded; nothing where all are.
    pub waiting_since: Option<UnixMillis>,
}

/// How one lane stands.
#[derive(Debug)]
pub struct Standing {
    lane: LaneName,
    kind: AnchorKind,
    shown: Mutex<Shown>,
    alerts: OnceLock<Arc<Alerts>>,
}

impl Standing {
    /// A lane that does not run yet.
    #[must_use]
    pub fn new(lane: LaneName, kind: AnchorKind) -> Arc<Self> {
        let shown = Shown {
            state: STARTING,
            stated: None,
            accepted: 0,
            confirmed: None,
            error: None,
            next_attempt: None,
            alarms: Vec::new(),
            alarms_begun: 0,
            waiting_since: None,
        };
        Arc::new(Self { lane, kind, shown: Mutex::new(shown), alerts: OnceLock::new() })
    }

    /// Tells `alerts` when an alarm begins.
    pub(super) fn tell(&self, alerts: &Arc<Alerts>) {
        // Set once, by the one caller that builds the application.
        _ = self.alerts.set(Arc::clone(alerts));
    }

    /// The lane's name.
    #[must_use]
    pub const fn lane(&self) -> &LaneName {
        &self.lane
    }

    /// The lane's kind.
    #[must_use]
    pub const fn kind(&self) -> AnchorKind {
        self.kind
    }

    /// What is known of the lane.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.cells().clone()
    }

    /// Leaves that are confirmed.
    #[must_use]
    pub fn confirmed_size(&self) -> TreeSize {
        self.cells().confirmed.map_or(TreeSize::EMPTY, |confirmed| confirmed.size)
    }

    /// Says where the newest statement is.
    pub fn state(&self, state: &'static str) {
        self.cells().state = state;
    }

    /// Says which the newest statement is.
    pub fn stated(&self, stated: Stated) {
        self.cells().stated = Some(stated);
    }

    /// Says that statements up to `seq` were accepted by whoever they were submitted to.
    pub fn accepted(&self, seq: u64) {
        self.cells().accepted = seq;
    }

    /// Whether statement `seq` was accepted.
    #[must_use]
    pub fn is_accepted(&self, seq: u64) -> bool {
        seq <= self.cells().accepted
    }

    /// Says that a statement's proof stands by itself. An earlier one than the newest confirmed changes nothing.
    pub fn confirmed(&self, confirmed: Confirmed) {
        let mut cells = self.cells();
        if cells.confirmed.is_none_or(|newest| newest.seq < confirmed.seq) {
            cells.confirmed = Some(confirmed);
        }
    }

    /// Says what went wrong.
    pub fn failed(&self, at: UnixMillis, error: impl std::fmt::Display) {
        let error = error.to_string();
        let mut cells = self.cells();
        let is_new = cells.error.as_ref().is_none_or(|(_, known)| *known != error);
        cells.error = Some((at, error.clone()));
        drop(cells);
        if is_new {
            tracing::warn!(lane = %self.lane, kind = %self.kind, error, "anchoring does not go on at present");
        }
    }

    /// Says that what went wrong went well.
    pub fn went_well(&self) {
        self.cells().error = None;
    }

    /// Says when something is tried next.
    pub fn next_attempt(&self, at: Option<UnixMillis>) {
        self.cells().next_attempt = at;
    }

    /// Says which alarms of the lane's state machine stand.
    pub fn alarms(&self, standing: &[Alarm]) {
        let standing = standing.iter().map(|alarm| (alarm.as_str(), alarm.to_string())).collect();
        self.replace_alarms(standing, |word| word != LAG);
    }

    /// Lets the alarm about the lag stand, or ends it.
    pub(super) fn lag_alarm(&self, alarm: Option<String>) {
        let standing = alarm.map(|text| (LAG, text)).into_iter().collect();
        self.replace_alarms(standing, |word| word == LAG);
    }

    /// Says since when the oldest entry waits that is not anchored.
    pub(super) fn waiting_since(&self, since: Option<UnixMillis>) {
        self.cells().waiting_since = since;
    }

    /// Replaces those of the standing alarms that `mine` names.
    fn replace_alarms(&self, new: Vec<(&'static str, String)>, mine: impl Fn(&str) -> bool) {
        let mut cells = self.cells();
        let before = std::mem::take(&mut cells.alarms);
        let (before, mut kept): (Vec<_>, Vec<_>) = before.into_iter().partition(|(word, _)| mine(word));
        let stood = |word: &str| before.iter().any(|(known, _)| *known == word);
        let begun: Vec<_> = new.iter().filter(|(word, _)| !stood(word)).cloned().collect();
        let stands = |word: &str| new.iter().any(|(known, _)| *known == word);
        let ended: Vec<&str> = before.iter().map(|(word, _)| *word).filter(|word| !stands(word)).collect();
        cells.alarms_begun += begun.len() as u64;
        kept.extend(new.iter().cloned());
        cells.alarms = kept;
        drop(cells);
        for (alarm, text) in begun {
            self.raise(alarm, &text);
            tracing::error!(lane = %self.lane, kind = %self.kind, alarm, "{text}");
        }
        for alarm in ended {
            tracing::info!(lane = %self.lane, kind = %self.kind, alarm, "the alarm has ended");
        }
    }

    /// Tells of an alarm: that the lane is late, or that its files contradict the log.
    fn raise(&self, alarm: &'static str, text: &str) {
        let Some(alerts) = self.alerts.get() else { return };
        if CONTRADICTIONS.contains(&alarm) {
            alerts.raise(Fact::Tamper { check: None, detail: format!("anchor lane {}: {text}", self.lane) });
        } else if alarm == LAG {
            let (anchored_size, since) = (self.confirmed_size(), self.shown().waiting_since);
            let late_ms = since.map_or(0, |since| system_clock().millis_since(since));
            alerts.raise(Fact::AnchorLate { lane: self.lane.clone(), anchored_size, late_ms });
        }
    }

    fn cells(&self) -> MutexGuard<'_, Shown> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of the alarms that say that the log, the lane's files and what is fixed outside contradict each other.
const CONTRADICTIONS: [&str; 5] =
    ["log_behind", "wrong_statement", "head_ahead", "head_foreign", "head_behind"];

/// The word of the alarm that the oldest entry waits for too long.
const LAG: &str = "lag";
