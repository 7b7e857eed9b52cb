//! What the sidecar itself has to tell: things that stand in no entry of the log, or not yet.
//!
//! Guarantees: raising one blocks on nothing and never fails; an alert reaches every sink at least once from the moment it is in its
//! file, and as long as this process lives even where the disk takes nothing; the same kind about the same thing is told once in
//! [`AGAIN`]; what is kept is bounded, and what had to be given up is counted. No personal value is in one (INV-8): they are made of
//! names from the configuration, ids, digests and counts.
//! Does not do: deciding what is worth one; whoever notices does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::entry::{DecisionId, WriterName};
use ledgerstone::hash::{Hash, empty_root};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::siem::{Alert, EventKind, Fact};
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::{FsReader, StdDisk};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::cursor::{FOLDER, put};
use crate::driver::Clock;
use crate::reader::LogReader;

mod written;

/// The file of alerts, below the store.
const FILE: &str = "siem/alerts";

/// Alerts that are kept for sinks that are behind: a day of one kind about 7 things, or a week of one thing.
pub(super) const KEPT_MAX: usize = 1024;

/// Bytes of the file: as many alerts with texts of 1 KiB.
const FILE_BYTES_MAX: u64 = 2 * 1024 * KEPT_MAX as u64;

/// How long the same kind about the same thing is not told again.
const AGAIN: Duration = Duration::from_secs(600);

/// Things that are remembered as told. What is past it is forgotten, and may be told again.
const TOLD_MAX: usize = 4096;

/// How long to wait before the file is written again after the disk did not take it.
const RETRY: Duration = Duration::from_secs(5);

/// An alert and its number: one more than that of the alert before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The alert.
    pub alert: Alert,
}

/// The alerts of one sidecar.
pub struct Alerts {
    disk: StdDisk,
    store: FsReader,
    writer: WriterName,
    clock: Clock,
    log: OnceLock<LogReader>,
    inner: Mutex<Inner>,
    /// The number of the next alert.
    numbers: watch::Sender<u64>,
    changed: Notify,
    /// Once the file is this process's to write. Held while it is written.
    lock: Mutex<Option<<StdDisk as ledgerstone::store::disk::Disk>::Lock>>,
}

#[derive(Default)]
struct Inner {
    kept: VecDeque<Kept>,
    /// Where the numbers begin: there are no alerts with smaller ones, whatever a cursor says.
    begin: u64,
    told: BTreeMap<(EventKind, String), Instant>,
    /// Raised and not told, because the same was told a short time ago.
    held_back: u64,
}

impl Alerts {
    /// The alerts in `store` that sinks may still be owed, and those to come. `writer` notices them.
    #[must_use]
    pub fn open(store: &std::path::Path, writer: WriterName, clock: Clock) -> Arc<Self> {
        let disk = StdDisk::new(store);
        let Journal { begin, kept } = read(&disk).unwrap_or_else(|error| {
            tracing::error!(%error, "the alerts that sinks may still be owed cannot be read, and are given up");
            Journal::default()
        });
        let now = clock();
        // A journal that was lost must not use the numbers again that cursors are behind.
        let (begin, next) = match kept.back() {
            Some(last) => (begin, last.number.saturating_add(1)),
            None => (now.get(), now.get()),
        };
        let told = kept.iter().filter_map(|Kept { alert, .. }| {
            let since = Duration::from_millis(now.millis_since(alert.time));
            Some(((alert.fact.kind(), subject(&alert.fact)), Instant::now().checked_sub(since)?))
        });
        let told = told.collect();
        Arc::new(Self {
            store: FsReader::open(store),
            disk,
            writer,
            clock,
            log: OnceLock::new(),
            inner: Mutex::new(Inner { kept, begin, told, held_back: 0 }),
            numbers: watch::Sender::new(next),
            changed: Notify::new(),
            lock: Mutex::default(),
        })
    }

    /// Takes the log's head from `log` from now on.
    pub(super) fn follow(&self, log: LogReader) {
        // Set once, by the one caller that builds the application.
        _ = self.log.set(log);
    }

    /// Tells `fact`.
    pub fn raise(&self, fact: Fact) {
        self.raise_about(fact, None, None);
    }

    /// Tells `fact` of a leaf and a decision.
    pub fn raise_about(&self, fact: Fact, about: Option<(LeafIndex, Hash)>, decision: Option<DecisionId>) {
        let (kind, now) = (fact.kind(), Instant::now());
        let key = (kind, subject(&fact));
        {
            let mut inner = self.inner();
            if inner.told.get(&key).is_some_and(|told| now.duration_since(*told) < AGAIN) {
                inner.held_back += 1;
                return;
            }
            inner.told.insert(key, now);
            if inner.told.len() > TOLD_MAX {
                inner.told.retain(|_, told| now.duration_since(*told) < AGAIN);
                while inner.told.len() > TOLD_MAX {
                    inner.told.pop_first();
                }
            }
        }
        let alert = Alert { about, decision, ..self.alert(fact) };
        tracing::warn!(alert = kind.as_str(), fact = ?alert.fact, "an alert was raised");
        let mut inner = self.inner();
        let number = *self.numbers.borrow();
        inner.kept.push_back(Kept { number, alert });
        if inner.kept.len() > KEPT_MAX {
            inner.kept.pop_front();
        }
        self.numbers.send_replace(number.saturating_add(1));
        drop(inner);
        self.changed.notify_one();
    }

    /// What an alert of `fact` would be now, without telling it.
    #[must_use]
    pub fn alert(&self, fact: Fact) -> Alert {
        let (tree_size, root) = self.tree();
        let (time, writer) = ((self.clock)(), self.writer.clone());
        Alert { time, writer, tree_size, root, about: None, decision: None, fact }
    }

    /// Up to `max` alerts from number `from` on, and the numbers before the first of them that were given up.
    pub(super) fn after(&self, from: u64, max: usize) -> (Vec<Kept>, Range<u64>) {
        let inner = self.inner();
        let from = from.max(inner.begin);
        let first = inner.kept.front().map_or(from, |first| first.number.max(from));
        (inner.kept.iter().filter(|kept| kept.number >= from).take(max).cloned().collect(), from..first)
    }

    /// The newest alerts, the newest first, at most `max`.
    #[must_use]
    pub fn newest(&self, max: usize) -> Vec<Alert> {
        self.inner().kept.iter().rev().take(max).map(|kept| kept.alert.clone()).collect()
    }

    /// The number of the first alert that is kept, or of the next one.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.inner().kept.front().map_or_else(|| self.next(), |first| first.number)
    }

    /// The number of the next alert.
    #[must_use]
    pub fn next(&self) -> u64 {
        *self.numbers.borrow()
    }

    /// Word of each further alert.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.numbers.subscribe()
    }

    /// Alerts that were raised and not told, because the same was told a short time ago.
    pub(super) fn held_back(&self) -> u64 {
        self.inner().held_back
    }

    /// Writes the file whenever there is a further alert.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            while !Arc::clone(&self).write().await {
                sleep(RETRY).await;
            }
        }
    }

    /// Writes the file. Whether that went well.
    pub(super) async fn write(self: Arc<Self>) -> bool {
        match spawn_blocking(move || self.write_now()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "alerts cannot be written to the store; they are told all the same");
                false
            }
            Err(_) => true,
        }
    }

    fn write_now(&self) -> io::Result<()> {
        // To the end: two threads at once would write one temporary file.
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.create_folder(FOLDER)?;
        if lock.is_none() {
            let held = self.disk.lock("siem/alerts.lock")?;
            *lock = Some(held.ok_or_else(|| io::Error::other("another process writes alerts of this log"))?);
        }
        // Copied, so that nobody who raises one waits for what is written of the others.
        let (begin, kept) = {
            let inner = self.inner();
            (inner.begin, inner.kept.clone())
        };
        let lines = std::iter::once(written::begin(begin)).chain(kept.iter().map(written::line));
        put(&self.disk, FILE, lines.collect::<String>().as_bytes())
    }

    /// The published tree, or the empty one where that cannot be read.
    fn tree(&self) -> (TreeSize, Hash) {
        let note = match self.log.get() {
            Some(log) => log.published().checkpoint.as_bytes().to_vec(),
            None => self.store.checkpoint().unwrap_or_default(),
        };
        let signed = SignedCheckpoint::parse(&note).ok();
        let head = signed.map(|signed| (signed.checkpoint().size, signed.checkpoint().root));
        head.unwrap_or_else(|| (TreeSize::EMPTY, empty_root()))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").field("next", &self.next()).finish_non_exhaustive()
    }
}

/// What an alert is about, beside its kind.
fn subject(fact: &Fact) -> String {
    match fact {
        Fact::Tamper { detail, .. } => detail.clone(),
        Fact::SplitView { other_size, other_root, source } => format!("{source} {other_size} {other_root}"),
        Fact::RollbackRefused { source, .. } => source.clone(),
        Fact::AnchorLate { lane, .. } => lane.to_string(),
        Fact::SinkLate { sink, .. } => sink.clone(),
        Fact::UnregisteredModel { route, digest, .. } => {
            format!("{route} {}", digest.map(|digest| digest.to_string()).unwrap_or_default())
        }
        Fact::KeyUse { key, purpose } => format!("{key} {purpose}"),
        Fact::ModeDowngrade { route, to, .. } => format!("{route} {to}"),
        Fact::PolicyRefusal { route, rule } => format!("{route} {rule}"),
        _ => String::new(),
    }
}

/// What the file says.
#[derive(Default)]
struct Journal {
    begin: u64,
    kept: VecDeque<Kept>,
}

fn read(disk: &StdDisk) -> io::Result<Journal> {
    let bytes = match disk.read(FILE, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journal::default()),
        Err(error) => return Err(error),
    };
    let text = str::from_utf8(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut lines = text.lines();
    let begin = lines.next().and_then(written::read_begin).ok_or(io::ErrorKind::InvalidData)?;
    let kept: Option<VecDeque<Kept>> = lines.take(KEPT_MAX).map(written::read).collect();
    Ok(Journal { begin, kept: kept.ok_or(io::ErrorKind::InvalidData)? })
}

#[cfg(test)]
mod tests;
