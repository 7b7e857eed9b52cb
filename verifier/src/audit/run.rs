//! The run of an audit: every record of a bundle proved, opened and run again, in parallel, and the results written in order.
//!
//! *Guarantees*: no decision gets a verdict before its entry was proved to stand in the checkpoint's tree and its record to be the
//! one that the entry commits to; memory is bounded by the models and a few parts a thread; an interrupted run goes on
//! where it was and gives the same file.
//!
//! *Does not do*: judge a rate, or trust the checkpoint; whoever calls this has checked its signatures or says that nobody did.

mod judge;
mod resume;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;

use self::judge::{Judge, JudgedModel};
use self::write::Writer;
use super::profile::{Machine, Profile};
use super::replay::Recomputer;
use super::results::{Decision, FORMAT, Head, ModelStanding, ProfileStanding, ResultsError, Tail};
use crate::bundle::{self, Bundle, BundleError, Front, Order};
use crate::folder;
use crate::progress::Progress;
use crate::recompute::description;
use crate::recompute::neural::Processor;

/// Parts of a bundle that wait for a thread, for each thread.
const WAITING: usize = 4;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bundle.
    pub bundle: PathBuf,
    /// age identities that may open it.
    pub identities: Vec<PathBuf>,
    /// Where the results go.
    pub output: PathBuf,
    /// Threads that recompute.
    pub threads: usize,
    /// The description of models that come without one.
    pub description: Option<Vec<u8>>,
    /// The tolerance profiles of models that are not reproduced bit for bit; whoever gives them has checked who signed them.
    pub profiles: Vec<GivenProfile>,
    /// Where networks are computed.
    pub processor: Processor,
    /// Whether every decision's model must have been registered in the log before it, even if the log registered none at all.
    pub must_be_registered: bool,
    /// Turns true when somebody wants the run to end after the decisions that it is at.
    pub stop: Arc<AtomicBool>,
}

/// A tolerance profile, and which file it is.
#[derive(Clone, Debug)]
pub struct GivenProfile {
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// What it says.
    pub profile: Profile,
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The bundle is not to be relied on.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The draw in the bundle is not to be relied on.
    #[error("the draw in the bundle is not to be relied on: {0}")]
    Draw(String),
    /// The checkpoint is not signed by the keys that the auditor trusts.
    #[error("the bundle's checkpoint is not signed as your policy asks: {0}")]
    Checkpoint(String),
    /// The results of an interrupted run do not read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// What an interrupted run left is of another one.
    #[error("{} was left by a run of something else: delete it, or name another output", path.display())]
    OtherPartial {
        /// The file.
        path: PathBuf,
    },
    /// The results' name is taken.
    #[error("{} exists already: name another file, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The results cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl RunError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Bundle(error) => error.code(),
            Self::Draw(_) => Code::Inconsistent,
            Self::Checkpoint(_) => Code::Untrusted,
            Self::Results(error) => error.code(),
            Self::OtherPartial { .. } | Self::Exists { .. } => Code::Misuse,
            Self::Io { .. } => Code::Unavailable,
        }
    }
}

/// What the caller decides before anything is recomputed.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// Whether the checkpoint's signatures were verified.
    pub checkpoint_verified: bool,
    /// The leaf indices that a draw named, the drawn ones and then the skipped ones, and how many were drawn.
    pub listed: Option<(Vec<u64>, u64)>,
}

/// Runs a bundle. `admit` sees what stands before the records, and says whether to go on.
///
/// # Errors
/// [`RunError`] says what is not to be relied on, or that [`Options::stop`] came. Results so far stay beside the output, to go
/// on from.
pub fn run(
    options: &Options,
    admit: impl FnOnce(&Front) -> Result<Admitted, RunError>,
    progress: &mut (dyn Progress + Send),
) -> Result<(Head, Tail), RunError> {
    let threads = options.threads.max(1);
    let stop = &Stop { asked: &options.stop, failed: AtomicBool::new(false) };
    let (work, waiting) = sync_channel(WAITING * threads);
    let waiting = Mutex::new(waiting);
    let (done, finished) = sync_channel(WAITING * threads);
    let bundle = Bundle::new(&options.bundle, &options.identities);
    std::thread::scope(|scope| {
        let mut writing = None;
        let read = bundle.read(
            |front| {
                let admitted = admit(&front)?;
                let (judge, head) = prepare(front, admitted, options);
                let writer = Writer::open(&options.output, head, judge.order().clone(), finished, progress)?;
                let skip = writer.done();
                let judge = Arc::new(judge);
                for _ in 0..threads {
                    let (judge, done, waiting) = (Arc::clone(&judge), done.clone(), &waiting);
                    scope.spawn(move || judge_all(&judge, waiting, &done, stop));
                }
                drop(done);
                writing = Some(scope.spawn(move || writer.write_all(stop)));
                Ok(Reading { work, skip })
            },
            |reading: &mut Reading, number, bytes| {
                // Whoever does not take it any more has failed, and says why below.
                _ = reading.work.send(Work { number, bytes, is_done: number < reading.skip });
                if stop.is_set() { Err(RunError::Bundle(BundleError::Stopped)) } else { Ok(()) }
            },
        );
        if read.as_ref().is_err_and(|error| !matches!(error, RunError::Bundle(BundleError::Stopped))) {
            stop.failed();
        }
        // Without its sender every thread comes to an end.
        let read = read.map(drop);
        let written = match writing.map(std::thread::ScopedJoinHandle::join) {
            None => return read.and(Err(RunError::Bundle(BundleError::Stopped))),
            Some(Ok(written)) => written,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        };
        let writer = match read {
            Err(error) if !matches!(error, RunError::Bundle(BundleError::Stopped)) => return Err(error),
            // Where the writer has no reason of its own, somebody outside wanted the end.
            read => {
                let writer = written?;
                read?;
                writer
            }
        };
        if stop.is_set() {
            return Err(RunError::Bundle(BundleError::Stopped));
        }
        let bundle = folder::digest(&options.bundle);
        writer.finish(bundle.map_err(|source| RunError::Io { path: options.bundle.clone(), source })?)
    })
}

impl GivenProfile {
    fn standing(&self, processor: Processor) -> ProfileStanding {
        ProfileStanding {
            sha256: self.sha256.to_string(),
            quantity: self.profile.quantity.clone(),
            tau: self.profile.tau,
            same_machine: self.profile.machine == Machine::here(processor),
        }
    }
}

/// Whether to end early, and at whose wish.
pub(super) struct Stop<'a> {
    asked: &'a AtomicBool,
    /// A part of this run failed, so that the others need not go on.
    failed: AtomicBool,
}

impl Stop<'_> {
    fn is_set(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// What the reading side keeps.
struct Reading {
    work: SyncSender<Work>,
    /// Parts that an earlier run did.
    skip: u64,
}

/// A part of the bundle.
struct Work {
    number: u64,
    bytes: Vec<u8>,
    /// Whether an earlier run judged it; then it is only proved.
    is_done: bool,
}

/// A part that is done.
pub(super) struct Done {
    number: u64,
    part: Result<Judged, RunError>,
}

/// What a part holds.
pub(super) struct Judged {
    first: u64,
    entries: u64,
    decisions: Vec<Decision>,
}

fn judge_all(judge: &Judge, waiting: &Mutex<Receiver<Work>>, done: &SyncSender<Done>, stop: &Stop<'_>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work { number, bytes, is_done }) = next else { return };
        // What is left is taken off, so that the reading side never waits for nobody.
        if stop.is_set() {
            continue;
        }
        let part = judge.part(number, &bytes, is_done, stop);
        if done.send(Done { number, part }).is_err() {
            stop.failed();
        }
    }
}

/// Reads the models, and says in the head which can be used.
fn prepare(front: Front, admitted: Admitted, options: &Options) -> (Judge, Head) {
    let mut models = BTreeMap::new();
    let mut standings = Vec::new();
    let drawn = admitted.listed.as_ref().map(|(_, drawn)| *drawn);
    let order = Order::new(&front, admitted.listed.map(|(listed, _)| listed));
    for (digest, mut files) in front.models {
        let manifest = bundle::manifest(&files).map(|manifest| manifest.list_digest());
        let given = options.description.as_deref().filter(|_| !files.contains_key(description::FILE));
        if let Some(given) = given {
            files.insert(description::FILE.to_owned(), given.to_vec());
        }
        let named = digest.to_string();
        let profile = options.profiles.iter().find(|given| given.profile.model == named);
        let loaded = Recomputer::load_on(files, options.processor).and_then(|loaded| match profile {
            None => Ok(loaded),
            Some(given) => loaded.within(&given.profile),
        });
        let loaded = loaded.map_err(|error| error.to_string());
        standings.push(ModelStanding {
            digest: named,
            kind: loaded.as_ref().ok().map(Recomputer::kind),
            problem: loaded.as_ref().err().cloned(),
            profile: profile.map(|given| given.standing(options.processor)),
            description_given: given.map(|given| Hash::of(given).to_string()),
        });
        models.insert(digest, JudgedModel { manifest, recomputer: loaded });
    }
    let head = Head {
        format: FORMAT.to_owned(),
        program: concat!("ledgerstone ", env!("CARGO_PKG_VERSION")).to_owned(),
        origin: front.header.origin,
        tree_size: front.header.tree_size,
        root: front.header.root,
        checkpoint_verified: admitted.checkpoint_verified,
        selection: front.header.selection,
        models: standings,
        registrations: front.header.registrations,
    };
    let is_asked = options.must_be_registered || front.header.registrations > 0;
    (Judge::new(order, models, drawn, is_asked.then_some(front.registrations)), head)
}
