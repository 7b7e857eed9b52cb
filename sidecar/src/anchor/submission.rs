//! Runs a lane of statements that are submitted: carries out what `ledgerstone::anchor::submission` decides.
//!
//! Guarantees: a record is durable before anything that rests on it is begun, because the state machine waits for it; one
//! exchange with the target at a time, beside the building of statements and the entries of the log. Does not do: knowing
//! how an authority or a calendar is asked; that is the [`Target`]'s.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::anchor::schedule::Schedule;
use ledgerstone::anchor::statement::AnchorKind;
use ledgerstone::anchor::submission::{Config, Effect, Event, Record, Submission};
use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::limits::ANCHOR_PENDING_MAX;
use ledgerstone::time::UnixMillis;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::DeskError;
use super::lane::{Desk, LaneRun};
use super::standing::{Confirmed, Stated};
use crate::config::anchors::LaneConfig;
use crate::outbound::http::HttpFault;

/// How often the state machine is told that time passed.
const TICK: Duration = Duration::from_millis(250);

/// How long to wait after the first failure, and at most: an authority that is down is asked every ten minutes.
const RETRY_MS: (u64, u64) = (1_000, 600_000);

/// The state of a lane that cannot go on.
const STOPPED: &str = "stopped";

/// What is under way.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = Result<(), TargetFault>> + Send + 'a>>;

/// Whoever statements are submitted to.
pub(super) trait Target: Send + Sync + 'static {
    /// Gets a proof of statement `seq`, whose hash is `statement`, checks it and makes it durable.
    fn submit<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a>;

    /// Gets what a proof lacks to stand by itself, and makes it durable.
    fn upgrade<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a>;

    /// Makes durable what a proof is checked against.
    fn capture<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a>;
}

/// Why a target gave no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum TargetFault {
    /// It did not answer.
    #[error("{target}: {fault}")]
    Http {
        /// Whom was asked.
        target: String,
        /// How that ended.
        fault: HttpFault,
    },
    /// It answered something that is no proof.
    #[error("{target}: its answer is refused: {reason}")]
    Refused {
        /// Whom was asked.
        target: String,
        /// What is wrong with the answer.
        reason: String,
        /// What to do about it.
        code: Code,
    },
    /// Too few answered, each with why it did not.
    #[error("{answered} of {needed} calendars that are needed took the statement: {}", .faults.join("; "))]
    Quorum {
        /// Those that did.
        answered: usize,
        /// Those that are needed.
        needed: usize,
        /// What the others did.
        faults: Vec<String>,
    },
    /// Calendars that were asked for the rest of a proof did not answer as they should.
    #[error("{}", .faults.join("; "))]
    Calendars {
        /// What each of them did.
        faults: Vec<String>,
    },
    /// It is not there yet, which is how it should be for hours.
    #[error("not yet: {0}")]
    NotYet(String),
    /// A file of the operator cannot be used.
    #[error("{0}")]
    File(String),
    /// The lane's own files.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl TargetFault {
    /// Whether nothing is wrong.
    const fn is_expected(&self) -> bool {
        matches!(self, Self::NotYet(_))
    }
}

/// The settings of a lane's state machine.
pub(super) fn settings(lane: &LaneConfig, kind: AnchorKind, upgrade_interval: Duration) -> Config {
    Config {
        lane: lane.name.clone(),
        kind,
        schedule: Schedule { interval_ms: millis(lane.interval), entries_min: 1, entries_max: lane.entries },
        retry_ms_min: RETRY_MS.0,
        retry_ms_max: RETRY_MS.1.min(millis(lane.interval)).max(RETRY_MS.0),
        upgrade_interval_ms: millis(upgrade_interval),
        // A lane whose proofs are upgraded says it.
        resubmit_after_ms: u64::MAX,
        pending_max: ANCHOR_PENDING_MAX,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Runs the lane of `target` until the sidecar ends.
pub(super) fn run<T: Target>(config: Config, target: Arc<T>, desk: Desk, records: Vec<Vec<u8>>) -> LaneRun {
    Box::pin(async move {
        let (standing, now) = (Arc::clone(&desk.standing), desk.now());
        match Runner::recover(config, target, desk, &records) {
            Ok(runner) => runner.run().await,
            Err(error) => {
                standing.state(STOPPED);
                standing.failed(now, &error);
                tracing::error!(lane = %standing.lane(), error, "the lane does not run");
            }
        }
    })
}

struct Runner<T> {
    machine: Submission,
    target: Arc<T>,
    desk: Arc<Desk>,
    work: JoinSet<Event>,
    kind: AnchorKind,
    /// When the newest confirmed statement was confirmed, as its record says.
    confirmed_at: Option<(u64, UnixMillis)>,
}

impl<T: Target> Runner<T> {
    fn recover(config: Config, target: Arc<T>, desk: Desk, records: &[Vec<u8>]) -> Result<Self, String> {
        let kind = config.kind;
        let unusable = |error: &dyn std::fmt::Display| format!("the lane's journal cannot be used: {error}");
        let decoded: Result<Vec<Record>, _> = records.iter().map(|bytes| Record::decode(bytes)).collect();
        let records = decoded.map_err(|error| unusable(&error))?;
        for record in &records {
            if let Record::Planned { seq, to, at, .. } = record {
                desk.standing.stated(Stated { seq: *seq, size: to.size, at: *at });
            }
        }
        let confirmed_at = records.iter().rev().find_map(|record| confirmed(record, kind));
        let machine = Submission::recover(config, records).map_err(|error| unusable(&error))?;
        Ok(Self { machine, target, desk: Arc::new(desk), work: JoinSet::new(), kind, confirmed_at })
    }

    async fn run(mut self) {
        let mut published = self.desk.published();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = self.desk.ended();
        tokio::pin!(ended);
        let size = published.borrow_and_update().size;
        let mut event = Event::Log(size);
        loop {
            self.take(event).await;
            event = tokio::select! {
                () = &mut ended => return,
                Some(done) = self.work.join_next() => match done {
                    Ok(event) => event,
                    Err(error) => return self.give_up(&error),
                },
                Ok(()) = published.changed() => {
                    let size = published.borrow_and_update().size;
                    Event::Log(size)
                }
                _ = ticks.tick() => Event::Tick,
            };
        }
    }

    /// A part of the lane panicked: nobody knows what it left undone.
    fn give_up(&self, error: &tokio::task::JoinError) {
        self.desk.standing.state(STOPPED);
        self.desk.standing.failed(self.desk.now(), "the lane stopped because of a defect; report it");
        tracing::error!(lane = %self.desk.standing.lane(), %error, "the lane stopped because of a defect");
    }

    /// Hands `event` to the state machine and begins what it wants done.
    async fn take(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let now = self.desk.now();
            if let Event::Built(built) = &event {
                self.desk.standing.stated(Stated { seq: built.seq, size: built.to.size, at: now });
            }
            for effect in self.machine.handle(now, jitter(), event) {
                match effect {
                    Effect::Journal(record) => next = Some(self.journal(record).await),
                    Effect::Alarm(_) => {}
                    effect => {
                        let (target, desk) = (Arc::clone(&self.target), Arc::clone(&self.desk));
                        self.work.spawn(async move { carry_out(target.as_ref(), &desk, effect).await });
                    }
                }
            }
            self.show(now);
        }
    }

    async fn journal(&mut self, record: Record) -> Event {
        let confirmed = confirmed(&record, self.kind);
        match self.desk.journal(record.encode()).await {
            Ok(()) => {
                self.confirmed_at = confirmed.or(self.confirmed_at);
                Event::Journaled
            }
            Err(error) => {
                self.desk.standing.failed(self.desk.now(), &error);
                Event::JournalFailed
            }
        }
    }

    /// Shows how the lane stands.
    fn show(&self, now: UnixMillis) {
        let (standing, snapshot) = (&self.desk.standing, self.machine.snapshot(now));
        let state = if snapshot.is_stopped { STOPPED } else { snapshot.state.as_str() };
        standing.state(state);
        let anchored = snapshot.anchored;
        if anchored.seq > 0 {
            let at = self.confirmed_at.filter(|(seq, _)| *seq == anchored.seq).map_or(now, |(_, at)| at);
            standing.confirmed(Confirmed { seq: anchored.seq, size: anchored.head.size, at });
        }
        standing.accepted(snapshot.accepted.seq);
        standing.alarms(self.machine.alarms());
        standing.next_attempt(self.machine.next_attempt());
    }
}

/// Which statement `record` says is confirmed, and when: an authority's proof is whole as it comes.
fn confirmed(record: &Record, kind: AnchorKind) -> Option<(u64, UnixMillis)> {
    match record {
        Record::Captured { seq, at } => Some((*seq, *at)),
        Record::Accepted { seq, at } if kind == AnchorKind::Rfc3161 => Some((*seq, *at)),
        _ => None,
    }
}

/// Does what the state machine wants done, and says how that went.
async fn carry_out<T: Target>(target: &T, desk: &Desk, effect: Effect) -> Event {
    match effect {
        Effect::Build(build) => match desk.build(build).await {
            Ok(built) => Event::Built(built),
            Err(error) => failed(desk, &error.into(), Event::BuildFailed),
        },
        Effect::Submit { seq, statement } => {
            let (well, ill) = (Event::Accepted { seq }, Event::NotAccepted { seq });
            told(desk, target.submit(desk, seq, statement).await, well, ill)
        }
        Effect::Upgrade { seq, statement } => {
            let (well, ill) = (Event::Upgraded { seq }, Event::NotUpgraded { seq });
            told(desk, target.upgrade(desk, seq, statement).await, well, ill)
        }
        Effect::Capture { seq, statement } => {
            let (well, ill) = (Event::Captured { seq }, Event::CaptureFailed { seq });
            told(desk, target.capture(desk, seq, statement).await, well, ill)
        }
        Effect::AppendEntry(details) => {
            let seq = details.seq;
            match desk.append(details).await {
                Ok(index) => {
                    tracing::info!(lane = %desk.standing.lane(), seq, leaf_index = index.get(), "anchored");
                    Event::Appended { seq }
                }
                Err(error) => failed(desk, &error.into(), Event::AppendFailed { seq }),
            }
        }
        // `take` keeps the others to itself.
        _ => Event::Tick,
    }
}

fn told(desk: &Desk, result: Result<(), TargetFault>, well: Event, ill: Event) -> Event {
    match result {
        Ok(()) => {
            desk.standing.went_well();
            well
        }
        Err(fault) => failed(desk, &fault, ill),
    }
}

fn failed(desk: &Desk, fault: &TargetFault, event: Event) -> Event {
    if fault.is_expected() {
        tracing::debug!(lane = %desk.standing.lane(), %fault, "an anchor is pending");
    } else {
        desk.standing.failed(desk.now(), fault);
    }
    event
}

/// A number that spreads retries; that nobody can guess it does not matter.
fn jitter() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes),
        Err(_) => 0,
    }
}

/// Random bytes that do matter.
pub(super) fn random<const N: usize>() -> Result<[u8; N], TargetFault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| TargetFault::NoRandomness)?;
    Ok(bytes)
}

/// The parameters of a lane.
pub(super) fn described(pairs: &[(&str, serde_json::Value)]) -> serde_json::Map<String, serde_json::Value> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}
