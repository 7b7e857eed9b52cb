//! How a sink stands, for whoever asks: metrics, the admin page, alerts.
//!
//! Guarantees: what is shown was accepted before; a label is a sink's name from the configuration (INV-8). Does not do: deciding anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledgerstone::time::UnixMillis;
use serde::Serialize;
use tokio::time::Instant;

use super::cursor::Position;
use crate::config::siem::SinkName;

/// What a sink is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It did nothing yet.
    #[default]
    Starting,
    /// It gets what there is.
    Following,
    /// It did not take something, and is tried again.
    Retrying,
    /// Its cursor does not fit the log: nothing is sent until somebody mends that.
    Refused,
    /// The sidecar ended.
    Ended,
}

/// How one sink stands.
#[derive(Debug)]
pub struct Standing {
    sink: SinkName,
    kind: &'static str,
    cells: Mutex<Cells>,
}

#[derive(Clone, Debug, Default)]
struct Cells {
    state: State,
    accepted: Position,
    delivered: u64,
    attempts_failed: u64,
    alerts_missed: u64,
    error: Option<(UnixMillis, String)>,
    /// When the oldest event that waits was made, by the clock, and since when it is known to wait.
    waiting: Option<(UnixMillis, Instant)>,
}

/// What is known of a sink.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub sink: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it is doing.
    pub state: State,
    /// The next entry that it is owed.
    pub next_leaf_index: u64,
    /// Published entries that it has not accepted.
    pub lag_events: u64,
    /// How long the oldest of them waits, in seconds.
    pub lag_seconds: u64,
    /// Events that it accepted since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub retries: u64,
    /// Alerts that were given up because too many waited.
    pub alerts_missed: u64,
    /// What last went wrong, if nothing went well since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When that was, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_at: Option<u64>,
}

impl Standing {
    /// A sink that does nothing yet.
    #[must_use]
    pub fn new(sink: SinkName, kind: &'static str) -> Arc<Self> {
        Arc::new(Self { sink, kind, cells: Mutex::default() })
    }

    /// Its name.
    #[must_use]
    pub const fn sink(&self) -> &SinkName {
        &self.sink
    }

    /// What is known at `now` of the sink, in a log with `published` entries.
    #[must_use]
    pub fn shown(&self, now: UnixMillis, published: u64) -> Shown {
        let cells = self.cells().clone();
        let (error_at, error) = cells.error.clone().unzip();
        Shown {
            sink: self.sink.to_string(),
            kind: self.kind,
            state: cells.state,
            next_leaf_index: cells.accepted.entries,
            lag_events: published.saturating_sub(cells.accepted.entries),
            lag_seconds: cells.waited(now).as_secs(),
            delivered: cells.delivered,
            retries: cells.attempts_failed,
            alerts_missed: cells.alerts_missed,
            error,
            error_at: error_at.map(UnixMillis::get),
        }
    }

    /// How long the oldest event waits. A clock that was set makes it no shorter than it is known to wait.
    pub(super) fn waited(&self, now: UnixMillis) -> Duration {
        self.cells().waited(now)
    }

    /// Says where it goes on.
    pub(super) fn follows(&self, from: Position) {
        let mut cells = self.cells();
        cells.state = State::Following;
        cells.accepted = from;
        cells.error = None;
    }

    /// Says that an event made at `time` waits, and none that is older; or that nothing does.
    pub(super) fn waiting(&self, time: Option<UnixMillis>) {
        let mut cells = self.cells();
        let same = cells.waiting.filter(|(known, _)| Some(*known) == time);
        cells.waiting = same.or(time.map(|time| (time, Instant::now())));
    }

    /// Says that `events` were accepted, and everything before `position`.
    pub(super) fn accepted(&self, position: Position, events: u64) {
        let mut cells = self.cells();
        cells.accepted = position;
        cells.delivered += events;
        let was_failing = std::mem::replace(&mut cells.state, State::Following) == State::Retrying;
        cells.error = None;
        drop(cells);
        if was_failing {
            tracing::info!(sink = %self.sink, "the sink takes events again");
        }
    }

    /// Says that alerts were given up because too many waited.
    pub(super) fn missed(&self, alerts: u64) {
        self.cells().alerts_missed += alerts;
        tracing::error!(sink = %self.sink, alerts, "alerts were given up because too many waited for the sink");
    }

    /// Says what went wrong.
    pub(super) fn failed(&self, at: UnixMillis, error: &dyn std::error::Error) {
        self.stands(State::Retrying, at, error, "a sink does not take events");
    }

    /// Says why nothing is sent.
    pub(super) fn refused(&self, at: UnixMillis, error: &dyn std::error::Error) {
        self.stands(State::Refused, at, error, "a sink gets nothing until its cursor is mended");
    }

    /// Says that the sidecar ended.
    pub(super) fn ended(&self) {
        self.cells().state = State::Ended;
    }

    fn stands(&self, state: State, at: UnixMillis, error: &dyn std::error::Error, what: &str) {
        let error = error.to_string();
        let mut cells = self.cells();
        cells.attempts_failed += 1;
        cells.state = state;
        let is_new = cells.error.as_ref().is_none_or(|(_, known)| *known != error);
        cells.error = Some((at, error.clone()));
        drop(cells);
        if is_new {
            tracing::warn!(sink = %self.sink, kind = self.kind, error, "{what}");
        }
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    fn waited(&self, now: UnixMillis) -> Duration {
        let waited = |(time, since): (UnixMillis, Instant)| {
            Duration::from_millis(now.millis_since(time)).max(since.elapsed())
        };
        self.waiting.map(waited).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_makes_no_event_younger() {
        let standing = Standing::new(SinkName::parse("soc").unwrap(), "file");
        let at = |millis: u64| UnixMillis::new(1_795_000_000_000 + millis);
        let seconds = |now| standing.shown(now, 9).lag_seconds;
        standing.waiting(Some(at(0)));
        assert_eq!(seconds(at(90_000)), 90, "it waited before this process knew of it");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(seconds(UnixMillis::new(0)), 30, "the clock was set back to 1970");
        standing.waiting(Some(at(0)));
        assert_eq!(seconds(UnixMillis::new(0)), 30, "the same event still waits");
        standing.waiting(Some(at(1)));
        assert_eq!(seconds(at(0)), 0, "another one does");
        standing.waiting(None);
        assert_eq!(seconds(at(90_000)), 0);
    }

    #[test]
    fn what_was_accepted_ends_what_went_wrong() {
        let standing = Standing::new(SinkName::parse("soc").unwrap(), "file");
        let now = UnixMillis::new(7);
        standing.failed(now, &std::io::Error::other("no"));
        let shown = standing.shown(now, 5);
        assert_eq!(
            (shown.state, shown.retries, shown.error.as_deref(), shown.error_at),
            (State::Retrying, 1, Some("no"), Some(7))
        );
        standing.accepted(Position { entries: 3, alerts: 0 }, 3);
        let shown = standing.shown(now, 5);
        assert_eq!(
            (shown.state, shown.error, shown.delivered, shown.lag_events),
            (State::Following, None, 3, 2)
        );
    }
}
