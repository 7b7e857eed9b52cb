//! All lanes of one sidecar: opened, spawned, watched and shown.
//!
//! Guarantees: every lane is a task of its own, so that one that waits holds up no other; whatever goes wrong in one is seen
//! in its standing and nowhere else; the oldest entry that waits too long for an anchor is an alarm. Does not do:
//! anything for a sidecar without lanes.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ledgerstone::anchor::quorum::AnchorQuorum;
use ledgerstone::anchor::statement::{AnchorKind, LaneName};
use ledgerstone::checkpoint::LogVerifier;
use ledgerstone::code::Code;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::note::KeyName;
use ledgerstone::store::disk::Disk;
use ledgerstone::store::fs::StdDisk;
use ledgerstone::time::UnixMillis;
use opentelemetry::KeyValue;
use tokio::task::{JoinHandle, spawn_blocking};

use super::entries::Entries;
use super::folder::{FolderError, LaneFolder};
use super::guard::{self, GuardError, Last};
use super::heads::Heads;
use super::journal::{self, Journal, JournalError, Recovered};
use super::lane::{Desk, Hold, Lane, Wall};
use super::standing::{Shown, Standing};
use crate::api::{Ending, ended};
use crate::driver::{Clock, system_clock};
use crate::intercept::Session;
use crate::metrics::Metrics;
use crate::reader::LogReader;
use crate::siem::Alerts;

/// How often the lag of each lane is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// The file that whoever writes the files of lanes has locked.
const LOCK: &str = "anchors/journal/.lock";

/// How long a write of the sidecar that had the store before may take: its lanes were told to end, and a disk may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Version of the file that describes a lane.
const LANE_FORMAT: &str = "ledgerstone-anchor-lane/v1";

/// How the anchors of one sidecar stand.
#[derive(Debug)]
pub struct Anchors {
    lanes: Vec<Arc<Standing>>,
    quorum: Option<AnchorQuorum>,
    lag_alarm: Duration,
    clock: Wall,
    log: OnceLock<LogReader>,
}

/// Lanes whose journals and folders are open.
pub(crate) struct Opened(Vec<OpenLane>);

struct OpenLane {
    lane: Box<dyn Lane>,
    journal: Journal,
    records: Vec<Vec<u8>>,
    folder: LaneFolder,
    hold: Hold,
}

impl Anchors {
    /// The anchors of `lanes`, none of which runs yet.
    #[must_use]
    pub fn new(lanes: &[Box<dyn Lane>], quorum: Option<AnchorQuorum>, lag_alarm: Duration) -> Arc<Self> {
        let clock: Clock = Arc::new(system_clock);
        Arc::new(Self {
            lanes: lanes.iter().map(|lane| Standing::new(lane.name().clone(), lane.kind())).collect(),
            quorum,
            lag_alarm,
            clock: Wall(clock),
            log: OnceLock::new(),
        })
    }

    /// How each lane stands, in the order of the configuration.
    pub fn lanes(&self) -> impl Iterator<Item = &Arc<Standing>> {
        self.lanes.iter()
    }

    /// Tells `alerts` of lanes that are late, and of what contradicts them.
    pub(crate) fn tell(&self, alerts: &Arc<Alerts>) {
        self.lanes.iter().for_each(|lane| lane.tell(alerts));
    }

    /// How many kinds of anchors must have fixed a size, where that is configured.
    #[must_use]
    pub const fn quorum(&self) -> Option<&AnchorQuorum> {
        self.quorum.as_ref()
    }

    /// The size that the quorum has fixed; nothing where none is configured.
    #[must_use]
    pub fn anchored_size(&self) -> Option<TreeSize> {
        let sizes = self.lanes.iter().map(|lane| (lane.kind(), lane.confirmed_size()));
        self.quorum.as_ref().map(|quorum| quorum.size(sizes).unwrap_or_default())
    }

    /// Opens the journals and folders of `lanes` in `store`, and writes what each lane is.
    pub(crate) fn open(
        store: &Path,
        origin: &KeyName,
        lanes: Vec<Box<dyn Lane>>,
    ) -> Result<Opened, StartError> {
        if lanes.is_empty() {
            return Ok(Opened(Vec::new()));
        }
        let disk = StdDisk::new(store);
        let hold = Arc::new(take_hold(&disk, PATIENCE)?);
        let opened = lanes.into_iter().map(|lane| {
            let name = lane.name().clone();
            let folder = LaneFolder::new(disk.clone(), name.clone());
            folder.describe(&described(lane.as_ref()))?;
            let identity = journal::identity(origin.as_str(), name.as_str());
            let path = format!("{}/{name}", journal::FOLDER);
            let (journal, Recovered { records, torn_bytes }) = Journal::open(&disk, &path, identity)?;
            if torn_bytes > 0 {
                tracing::warn!(lane = %name, torn_bytes, "the end of an anchor journal was torn and is dropped");
            }
            Ok(OpenLane { lane, journal, records, folder, hold: Arc::clone(&hold) })
        });
        Ok(Opened(opened.collect::<Result<_, StartError>>()?))
    }

    /// Holds the log against what was stated last.
    pub(crate) fn check(last: &[Last], log: &LogReader, verifier: &LogVerifier) -> Result<(), GuardError> {
        guard::check_roots(last, &Heads::new(log.clone(), verifier.clone()))
    }

    /// Runs every lane until `ending` says so, and looks at their lags.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        opened: Opened,
        log: &LogReader,
        verifier: &LogVerifier,
        session: &Arc<Session>,
        ending: &Ending,
    ) -> Vec<JoinHandle<()>> {
        // Set once, by the one caller that builds the application.
        _ = self.log.set(log.clone());
        let lanes = opened.0.into_iter().zip(&self.lanes).map(|(open, standing)| {
            let desk = Desk {
                standing: Arc::clone(standing),
                heads: Heads::new(log.clone(), verifier.clone()),
                folder: open.folder,
                journal: Arc::new(Mutex::new(open.journal)),
                entries: Entries::new(Arc::clone(session), log.clone()),
                clock: self.clock.clone(),
                ending: ending.clone(),
                hold: open.hold,
            };
            tokio::spawn(open.lane.run(desk, open.records))
        });
        let mut tasks: Vec<JoinHandle<()>> = lanes.collect();
        if !tasks.is_empty() {
            let (watch, ends) = (Arc::clone(self).watch(log.clone()), ended(ending.clone()));
            tasks.push(tokio::spawn(async move {
                tokio::select! { () = watch => {}, () = ends => {} }
            }));
        }
        tasks
    }

    /// Looks every second at how long the oldest entry waits for each lane.
    async fn watch(self: Arc<Self>, log: LogReader) {
        let mut known: Vec<Option<(TreeSize, UnixMillis)>> = vec![None; self.lanes.len()];
        loop {
            for (lane, known) in self.lanes.iter().zip(&mut known) {
                let confirmed = lane.confirmed_size();
                if log.published().size <= confirmed {
                    lane.waiting_since(None);
                    lane.lag_alarm(None);
                    continue;
                }
                if known.is_none_or(|(size, _)| size != confirmed) {
                    *known = recorded_at(&log, confirmed).await.map(|at| (confirmed, at));
                }
                let since = known.map(|(_, at)| at);
                lane.waiting_since(since);
                lane.lag_alarm(since.and_then(|since| self.lag(since)));
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// What is to be said of an entry that waits since `since`, if it waits too long.
    fn lag(&self, since: UnixMillis) -> Option<String> {
        let waited = Duration::from_millis((self.clock.0)().millis_since(since));
        (waited > self.lag_alarm).then(|| {
            format!(
                "the oldest entry that is not anchored waits for more than {} s",
                self.lag_alarm.as_secs()
            )
        })
    }

    /// Adds the gauges that are read from this state.
    pub(crate) fn measure(self: &Arc<Self>, metrics: &Metrics) {
        if self.lanes.is_empty() {
            return;
        }
        self.gauge(metrics, "ledgerstone_anchor_lag_seconds", LAG_SECONDS, |anchors, shown, _| {
            let now = (anchors.clock.0)();
            shown.waiting_since.map_or(0, |since| now.millis_since(since) / 1_000)
        });
        self.gauge(metrics, "ledgerstone_anchor_lag_entries", LAG_ENTRIES, |anchors, _, standing| {
            anchors.published().saturating_sub(standing.confirmed_size().get())
        });
        self.gauge(metrics, "ledgerstone_anchor_confirmed_size", CONFIRMED, |_, _, standing| {
            standing.confirmed_size().get()
        });
        self.gauge(metrics, "ledgerstone_anchor_alarms_standing", ALARMS_STANDING, |_, shown, _| {
            shown.alarms.len() as u64
        });
        let anchors = Arc::downgrade(self);
        metrics.series("ledgerstone_anchor_state", STATE, move || {
            let Some(anchors) = anchors.upgrade() else { return Vec::new() };
            let series = anchors
                .lanes
                .iter()
                .map(|lane| (vec![label(lane), KeyValue::new("state", lane.shown().state)], 1));
            series.collect()
        });
        let anchors = Arc::downgrade(self);
        metrics.counted_series("ledgerstone_anchor_alarms", ALARMS, move || {
            let Some(anchors) = anchors.upgrade() else { return Vec::new() };
            anchors.lanes.iter().map(|lane| (vec![label(lane)], lane.shown().alarms_begun)).collect()
        });
        if self.quorum.is_some() {
            let anchors = Arc::downgrade(self);
            metrics.gauge(
                "ledgerstone_anchored_size",
                "Leaves that the quorum of anchors has fixed",
                move || {
                    let size = anchors.upgrade().and_then(|anchors| anchors.anchored_size());
                    size.map_or(0, TreeSize::get)
                },
            );
        }
    }

    fn gauge(
        self: &Arc<Self>,
        metrics: &Metrics,
        name: &'static str,
        what: &'static str,
        read: impl Fn(&Self, &Shown, &Standing) -> u64 + Send + Sync + 'static,
    ) {
        // Weak, because the metrics outlive the sidecar wherever somebody still holds them.
        let anchors = Arc::downgrade(self);
        metrics.series(name, what, move || {
            let Some(anchors) = anchors.upgrade() else { return Vec::new() };
            let value = |lane: &Arc<Standing>| (vec![label(lane)], read(&anchors, &lane.shown(), lane));
            anchors.lanes.iter().map(value).collect()
        });
    }

    fn published(&self) -> u64 {
        self.log.get().map_or(0, |log| log.published().size.get())
    }

    /// How every lane stands, for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if self.lanes.is_empty() {
            return "no anchors are configured\n".to_owned();
        }
        let (now, published) = ((self.clock.0)(), self.published());
        for lane in &self.lanes {
            describe(&mut text, lane, now, published);
        }
        if let (Some(quorum), Some(size)) = (&self.quorum, self.anchored_size()) {
            _ = writeln!(text, "quorum {quorum}: {size} of {published} entries are anchored");
            let kinds: Vec<AnchorKind> = self.lanes.iter().map(|lane| lane.kind()).collect();
            let reachable = quorum.kinds().iter().filter(|kind| kinds.contains(kind)).count();
            if reachable < quorum.threshold() {
                _ = writeln!(
                    text,
                    "  the lanes here have {reachable} of its kinds; the others are fixed elsewhere"
                );
            }
        }
        text
    }
}

const LAG_SECONDS: &str =
    "How long the oldest entry that the lane has not fixed has been waiting, in seconds";
const LAG_ENTRIES: &str = "Published entries that the lane has not fixed";
const CONFIRMED: &str = "Leaves that the lane has fixed with a proof that stands by itself";
const ALARMS_STANDING: &str = "Alarms of the lane whose cause is not gone";
const ALARMS: &str = "Alarms of the lane that ever began";
const STATE: &str = "1 for the state in which the lane's newest statement is";

fn label(lane: &Standing) -> KeyValue {
    KeyValue::new("lane", lane.lane().to_string())
}

fn describe(text: &mut String, lane: &Standing, now: UnixMillis, published: u64) {
    let shown = lane.shown();
    _ = writeln!(text, "{} {} {}", lane.lane(), lane.kind(), shown.state);
    match shown.stated {
        Some(stated) => {
            _ = writeln!(
                text,
                "  last statement: {} of {} entries, planned {}",
                stated.seq, stated.size, stated.at
            );
        }
        None => _ = writeln!(text, "  last statement: none"),
    }
    match shown.confirmed {
        Some(known) => {
            _ = writeln!(text, "  confirmed: {} of {} entries, at {}", known.seq, known.size, known.at);
        }
        None => _ = writeln!(text, "  confirmed: none"),
    }
    let waits = shown.waiting_since.map_or(0, |since| now.millis_since(since) / 1_000);
    let entries = published.saturating_sub(lane.confirmed_size().get());
    _ = writeln!(text, "  lag: {entries} entries, the oldest of them waits for {waits} s");
    if let Some((at, error)) = &shown.error {
        _ = writeln!(text, "  last error: {error} ({at})");
    }
    if let Some(at) = shown.next_attempt {
        _ = writeln!(text, "  next attempt: {at}");
    }
    for (_, alarm) in &shown.alarms {
        _ = writeln!(text, "  ALARM: {alarm}");
    }
}

/// Locks the files of all lanes, once whoever had the store before has written its last. Blocks.
fn take_hold(disk: &StdDisk, patience: Duration) -> Result<<StdDisk as Disk>::Lock, StartError> {
    let failed = |source| StartError::from(FolderError::Io { path: LOCK.to_owned(), source });
    disk.create_folder(journal::FOLDER).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match disk.lock(LOCK).map_err(failed)? {
            Some(hold) => return Ok(hold),
            None if begun.elapsed() >= patience => return Err(StartError::Held),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// When the entry at the end of what is confirmed was recorded.
async fn recorded_at(log: &LogReader, confirmed: TreeSize) -> Option<UnixMillis> {
    let log = log.clone();
    let read = spawn_blocking(move || log.entry(LeafIndex::new(confirmed.get())).ok()).await.ok()??;
    Entry::decode(&read).ok().map(|entry| entry.recorded_at)
}

/// What a lane is, as its file says it.
fn described(lane: &dyn Lane) -> String {
    let mut object = serde_json::Map::new();
    object.insert("format".to_owned(), LANE_FORMAT.into());
    object.insert("kind".to_owned(), lane.kind().as_str().into());
    object.extend(lane.parameters());
    let mut text = serde_json::to_string_pretty(&object).unwrap_or_default();
    text.push('\n');
    text
}

/// Why the lanes cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Somebody else writes them.
    #[error(
        "another sidecar still writes the files of anchors in this store: see whether it hangs (its disk?), and end it first"
    )]
    Held,
}

impl StartError {
    /// What the operator must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Journal(error) => error.code(),
            Self::Folder(error) => error.code(),
            Self::Held => Code::Unavailable,
        }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&LaneName> = self.0.iter().map(|open| open.lane.name()).collect();
        f.debug_tuple("Opened").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_opened_once_the_last_write_of_those_before_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let disk = StdDisk::new(folder.path());
        let writes = Arc::new(take_hold(&disk, Duration::ZERO).unwrap());
        let lane = Arc::clone(&writes);
        drop(writes);
        let early = take_hold(&disk, Duration::ZERO);
        assert!(matches!(early, Err(StartError::Held)), "{early:?}");
        let opens = std::thread::spawn(move || take_hold(&disk, PATIENCE).map(drop));
        drop(lane);
        opens.join().unwrap().unwrap();
    }
}
