//! One run on its thread: recomputed, reported on, settled.

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ledgerstone::code::Code;
use ledgerstone::proto::ledgerstone_v1 as wire;
use tokio::sync::watch;

use super::{Held, Inner, Service, now_ms};
use crate::audit::results::{Head, Tail};
use crate::audit::run::RunError;
use crate::audit::serve::folder::{BUNDLE, DESCRIPTION, DRAW, PARTIAL, RESULTS};
use crate::audit::serve::pace::Pace;
use crate::audit::serve::queue::State;
use crate::audit::serve::record::{Results, verdicts};
use crate::audit::serve::{Job, RunId, ServeError};
use crate::bundle::BundleError;
use crate::folder;
use crate::progress::Progress;

/// How often the room that results take is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Begins a run.
pub(super) fn begin(service: &Service, id: RunId, held: &Held) -> Result<(), ServeError> {
    let folder = &service.shared.folder;
    let bundle = match (&held.record.inbox, &service.shared.inbox) {
        (None, _) => folder.path(id, BUNDLE),
        (Some(name), Some(inbox)) => inbox.join(name),
        (Some(_), None) => return Err(ServeError::NoInbox),
    };
    let job = Job {
        bundle,
        draw: held.record.draw.as_ref().map(|_| folder.path(id, DRAW)),
        description: held.record.description.as_ref().map(|_| folder.path(id, DESCRIPTION)),
        output: folder.path(id, RESULTS),
        stop: Arc::clone(&held.stop),
    };
    // A crash between the end of a run and its record leaves results that nobody vouches for.
    match fs::remove_file(&job.output) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let partial = folder.path(id, PARTIAL);
    let reporter = Reporter {
        service: service.clone(),
        id,
        said: held.said.clone(),
        stop: Arc::clone(&job.stop),
        began: Instant::now(),
        looked: Instant::now(),
        counted: length(&partial),
        partial,
        pace: Pace::default(),
        verdicts: HashMap::new(),
    };
    let thread = std::thread::Builder::new().name("audit run".to_owned());
    thread.spawn(move || work(job, reporter))?;
    Ok(())
}

fn work(job: Job, mut reporter: Reporter) {
    let (service, id) = (reporter.service.clone(), reporter.id);
    let executor = Arc::clone(&service.shared.executor);
    let ran = catch_unwind(AssertUnwindSafe(|| executor.execute(&job, &mut reporter)));
    let ended = match ran {
        Err(_) => Err((Some(Code::Internal), "a defect in the program ended the run: report it".to_owned())),
        Ok(Err(RunError::Bundle(BundleError::Stopped))) => Err((None, String::new())),
        Ok(Err(error)) => Err((Some(error.code()), without_paths(&error.to_string(), &job))),
        Ok(Ok((head, tail))) => whole(&job, &head, tail).map_err(|(code, message)| (Some(code), message)),
    };
    let grown = length(&reporter.partial).max(length(&job.output));
    let mut inner = service.shared.lock();
    inner.grow(id, grown, reporter.counted);
    settle(&mut inner, id, ended);
    if let Ok(held) = inner.held(id) {
        let record = &held.record;
        match service.shared.folder.save(id, record) {
            Ok(()) => tracing::info!(run = %id, state = record.state.as_str(), "ended"),
            // The next start does the rest of it again.
            Err(error) => tracing::error!(run = %id, %error, "its record cannot be written"),
        }
        held.say(id);
    }
    service.fill(&mut inner);
    drop(inner);
    service.shared.ended.notify_all();
}

/// What is written down of results that are whole.
fn whole(job: &Job, head: &Head, counts: Tail) -> Result<Results, (Code, String)> {
    let unreadable =
        |error: std::io::Error| (Code::Unavailable, format!("the results cannot be read: {error}"));
    let sha256 = folder::digest(&job.output).map_err(unreadable)?.to_string();
    let bytes = fs::metadata(&job.output).map_err(unreadable)?.len();
    Ok(Results { sha256, bytes, checkpoint_verified: head.checkpoint_verified, counts })
}

/// Writes into the record how the run ended. An error without a code says that it was told to stop.
fn settle(inner: &mut Inner, id: RunId, ended: Result<Results, (Option<Code>, String)>) {
    let Ok(held) = inner.held_mut(id) else { return };
    let (record, now) = (&mut held.record, now_ms());
    match ended {
        Ok(results) if results.counts.bundle_sha256 == record.bundle.sha256 => {
            record.results = Some(results);
            record.end(State::Done, now);
        }
        Ok(_) => {
            record.fail(Code::Inconsistent, "the bundle changed while it was recomputed".to_owned(), now)
        }
        Err((Some(code), message)) => record.fail(code, message, now),
        Err((None, _)) if held.no_room => {
            let message = "the results do not fit into what the service may keep: delete runs that have ended, then submit \
                           the bundle again";
            record.fail(Code::Limit, message.to_owned(), now);
        }
        Err((None, _)) if record.cancelling => record.end(State::Cancelled, now),
        Err((None, _)) => record.queue_again(),
    }
    let state = record.state;
    inner.queue.end(id, state);
}

impl Inner {
    /// The results of a run have `bytes` bytes now, of which `counted` were known. Says whether that is within the bound.
    fn grow(&mut self, id: RunId, bytes: u64, counted: u64) -> bool {
        let more = bytes.saturating_sub(counted);
        if let Ok(held) = self.held_mut(id) {
            held.bytes = held.bytes.saturating_add(more);
        }
        self.space.grow(more)
    }
}

/// What the caller is told about a file names no folder of the node.
fn without_paths(message: &str, job: &Job) -> String {
    let folder = job.output.parent().map(|folder| format!("{}/", folder.display()));
    let message = message.replace(&job.bundle.display().to_string(), "the bundle");
    folder.map_or_else(|| message.clone(), |folder| message.replace(&folder, ""))
}

fn length(path: &std::path::Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// Tells whoever watches how far a run is, and looks after the room that its results take.
struct Reporter {
    service: Service,
    id: RunId,
    said: watch::Sender<wire::AuditRun>,
    stop: Arc<AtomicBool>,
    began: Instant,
    looked: Instant,
    partial: PathBuf,
    /// Bytes of the partial results that the room knows of.
    counted: u64,
    pace: Pace,
    verdicts: HashMap<String, u64>,
}

impl Progress for Reporter {
    fn advance(&mut self, _: &'static str, done: u64, total: u64) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pace.note(now_ms, done);
        let progress = wire::AuditProgress {
            entries_done: done,
            entries_total: total,
            entries_per_second: self.pace.per_second(),
            seconds_left: self.pace.seconds_left(total.saturating_sub(done)),
            verdicts: self.verdicts.clone(),
        };
        self.said.send_modify(|run| run.progress = Some(progress));
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
    }

    fn counted(&mut self, counts: &Tail) {
        self.verdicts = verdicts(counts);
    }
}

impl Reporter {
    fn look(&mut self) {
        self.looked = Instant::now();
        let bytes = length(&self.partial);
        let mut inner = self.service.shared.lock();
        let fits = inner.grow(self.id, bytes, self.counted);
        self.counted = self.counted.max(bytes);
        if !fits && let Ok(held) = inner.held_mut(self.id) {
            held.no_room = true;
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
