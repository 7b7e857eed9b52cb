//! The service: the queue, the folder and the threads that recompute, put together.
//!
//! *Guarantees*: what was answered is on the disk; a run's folder and the queue say the same; whoever watches sees each state that lasts.
//! *Does not do*: speak gRPC (`api`).

mod job;
mod submit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(super) use self::submit::Begun;
use super::folder::{Folder, RESULTS};
use super::queue::{Cancelled, Queue, State};
use super::record::Record;
use super::space::Space;
use super::{Executor, Limits, RunId, ServeError, Setup};

/// Runs that are kept, whatever became of them.
const RUNS_MAX: usize = 10_000;

/// Streams that watch or fetch at once.
const STREAMS_MAX: usize = 64;

/// Runs in one answer of a list.
const PAGE_MAX: u32 = 100;

/// The service. Copies share everything.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Folder,
    inbox: Option<PathBuf>,
    limits: Limits,
    settings: Hash,
    executor: Arc<dyn Executor>,
    inner: Mutex<Inner>,
    /// A run ended.
    ended: Condvar,
    ending: watch::Sender<bool>,
    streams: Arc<Semaphore>,
}

/// What changes.
struct Inner {
    queue: Queue,
    space: Space,
    runs: BTreeMap<RunId, Held>,
}

/// A run.
struct Held {
    record: Record,
    /// What whoever watches sees.
    said: watch::Sender<wire::AuditRun>,
    /// Tells the thread that recomputes to stop.
    stop: Arc<AtomicBool>,
    /// Whether it was told so because the disk is full.
    no_room: bool,
    /// Bytes that it takes of the room.
    bytes: u64,
}

impl Service {
    /// Opens the folder and takes up what is there. Nothing runs before [`Service::start`].
    ///
    /// # Errors
    /// [`ServeError`] if the folder cannot be used.
    pub fn open(setup: Setup) -> Result<Self, ServeError> {
        let Setup { folder, inbox, limits, settings, executor } = setup;
        let folder = Folder::open(&folder)?;
        let mut queue = Queue::new(limits.queue_max, limits.running_max);
        let (mut runs, mut taken) = (BTreeMap::new(), 0_u64);
        for (path, run, bytes) in folder.runs()? {
            taken = taken.saturating_add(bytes);
            let Some((id, record)) = run else {
                tracing::warn!(path = %path.display(), "is no run of this service: move it away");
                continue;
            };
            let record = taken_up(record, &settings);
            folder.save(id, &record)?;
            queue.restore(record.number, id, record.state);
            runs.insert(id, Held::new(id, record, bytes));
        }
        let space = Space::new(limits.disk_bytes_max, taken);
        let shared = Shared {
            folder,
            inbox,
            limits,
            settings,
            executor,
            inner: Mutex::new(Inner { queue, space, runs }),
            ended: Condvar::new(),
            ending: watch::Sender::new(false),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins what waits, and goes on from here on.
    pub fn start(&self) {
        let mut inner = self.shared.lock();
        self.fill(&mut inner);
    }

    /// One run.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn run(&self, id: RunId) -> Result<wire::AuditRun, ServeError> {
        Ok(self.shared.lock().held(id)?.said.borrow().clone())
    }

    /// Runs from behind the place that a token names, and the next token.
    ///
    /// # Errors
    /// The token is none.
    pub fn list(&self, page_size: u32, token: &str) -> Result<(Vec<wire::AuditRun>, String), ServeError> {
        let no_token = |_| ServeError::Submission { problem: "the page token is none of this service" };
        let after: u64 = if token.is_empty() { 0 } else { token.parse().map_err(no_token)? };
        let size = if page_size == 0 { PAGE_MAX } else { page_size.min(PAGE_MAX) } as usize;
        let inner = self.shared.lock();
        let mut numbers = inner.queue.after(after);
        let page: Vec<_> = numbers.by_ref().take(size).collect();
        let next = match (numbers.next(), page.last()) {
            (Some(_), Some((last, _))) => last.to_string(),
            _ => String::new(),
        };
        let runs = page.iter().filter_map(|(_, id)| inner.runs.get(id));
        Ok((runs.map(|held| held.said.borrow().clone()).collect(), next))
    }

    /// What follows a run; the permit belongs to the stream.
    ///
    /// # Errors
    /// There is no such run, or too many streams are open.
    pub fn watch(
        &self,
        id: RunId,
    ) -> Result<(watch::Receiver<wire::AuditRun>, OwnedSemaphorePermit), ServeError> {
        let said = self.shared.lock().held(id)?.said.subscribe();
        Ok((said, self.stream()?))
    }

    /// The file of a run's results and its length; the permit belongs to the stream.
    ///
    /// # Errors
    /// There is no such run, it is not done, or too many streams are open.
    pub fn results(&self, id: RunId) -> Result<(PathBuf, u64, OwnedSemaphorePermit), ServeError> {
        let inner = self.shared.lock();
        let record = &inner.held(id)?.record;
        let results = record.results.as_ref().filter(|_| record.state == State::Done);
        let results = results.ok_or(ServeError::NoResults { id, state: record.state })?;
        Ok((self.shared.folder.path(id, RESULTS), results.bytes, self.stream()?))
    }

    /// Cancels a run.
    ///
    /// # Errors
    /// There is none, or it has ended.
    pub fn cancel(&self, id: RunId) -> Result<wire::AuditRun, ServeError> {
        let mut inner = self.shared.lock();
        let how = inner.queue.cancel(id)?;
        let held = inner.held_mut(id)?;
        match how {
            Cancelled::AtOnce => held.record.end(State::Cancelled, now_ms()),
            Cancelled::WhenStopped => {
                held.record.cancelling = true;
                held.stop.store(true, Ordering::Relaxed);
            }
        }
        tracing::info!(run = %id, "cancelled");
        self.shared.folder.save(id, &held.record)?;
        held.say(id);
        let run = held.said.borrow().clone();
        inner.say_positions();
        Ok(run)
    }

    /// Deletes a run that has ended.
    ///
    /// # Errors
    /// There is none, or it has not ended.
    pub fn delete(&self, id: RunId) -> Result<(), ServeError> {
        let mut inner = self.shared.lock();
        inner.queue.delete(id)?;
        let bytes = inner.runs.remove(&id).map_or(0, |held| held.bytes);
        self.shared.folder.delete(id)?;
        inner.space.give_back(bytes);
        tracing::info!(run = %id, "deleted");
        Ok(())
    }

    /// Turns true when the service ends.
    #[must_use]
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.shared.ending.subscribe()
    }

    /// Takes nothing more, stops what runs so that it goes on at the next start, and waits for it for at most `patience`. Says
    /// whether everything stopped.
    #[must_use]
    pub fn drain(&self, patience: Duration) -> bool {
        self.shared.ending.send_replace(true);
        let until = Instant::now() + patience;
        let mut inner = self.shared.lock();
        inner.queue.close();
        for held in inner.runs.values().filter(|held| held.record.state == State::Running) {
            held.stop.store(true, Ordering::Relaxed);
        }
        while inner.queue.count(State::Running) > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.ended.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn stream(&self) -> Result<OwnedSemaphorePermit, ServeError> {
        let permit = Arc::clone(&self.shared.streams).try_acquire_owned();
        permit.map_err(|_| ServeError::TooManyStreams { streams_max: STREAMS_MAX })
    }

    /// Begins what may begin.
    fn fill(&self, inner: &mut Inner) {
        while let Some(id) = inner.queue.begin() {
            let Ok(held) = inner.held_mut(id) else { continue };
            held.stop = Arc::new(AtomicBool::new(false));
            held.no_room = false;
            held.record.state = State::Running;
            if held.record.started_at_ms == 0 {
                held.record.started_at_ms = now_ms();
            }
            let begun = self.shared.folder.save(id, &held.record).and_then(|()| job::begin(self, id, held));
            if let Err(error) = begun {
                tracing::error!(run = %id, %error, "does not begin");
                held.record.fail(error.code(), error.to_string(), now_ms());
                held.say(id);
                inner.queue.end(id, State::Failed);
                continue;
            }
            tracing::info!(run = %id, "running");
            held.say(id);
        }
        inner.say_positions();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn held(&self, id: RunId) -> Result<&Held, ServeError> {
        self.runs.get(&id).ok_or(ServeError::Unknown { id })
    }

    fn held_mut(&mut self, id: RunId) -> Result<&mut Held, ServeError> {
        self.runs.get_mut(&id).ok_or(ServeError::Unknown { id })
    }

    /// Tells whoever watches a waiting run where it stands.
    fn say_positions(&self) {
        for (position, id) in (1..).zip(self.queue.waiting()) {
            let Some(held) = self.runs.get(&id) else { continue };
            held.said
                .send_if_modified(|run| std::mem::replace(&mut run.queue_position, position) != position);
        }
    }
}

impl Held {
    fn new(id: RunId, record: Record, bytes: u64) -> Self {
        let said = watch::Sender::new(record.to_wire(id));
        Self { record, said, stop: Arc::default(), no_room: false, bytes }
    }

    /// Tells whoever watches.
    fn say(&self, id: RunId) {
        self.said.send_replace(self.record.to_wire(id));
    }
}

/// A run as it is taken up after a restart.
fn taken_up(mut record: Record, settings: &Hash) -> Record {
    if record.state.has_ended() {
        return record;
    }
    if record.cancelling {
        record.end(State::Cancelled, now_ms());
    } else if record.settings != settings.to_string() {
        let message = "the service was started with another policy, program or device: submit the bundle again, or start it \
                       as before and submit it then";
        record.fail(Code::Misuse, message.to_owned(), now_ms());
    } else {
        record.state = State::Queued;
    }
    record
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
