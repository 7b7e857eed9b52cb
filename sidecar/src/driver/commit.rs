//! The thread that owns the journal: gathers what callers left, cuts batches, writes and syncs them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::log::{Effect, Event, Halt, Head, Refusal, Sequencer};
use ledgerstone::store::fs::{FsJournal, FsTiles, Opened, StdDisk};
use ledgerstone::store::{CommitStore, Outcome};
use tokio::sync::watch;

use super::answer::Ticket;
use super::apply;
use super::engine::{Engine, JournalWork, Others, work_of};
use super::intake::{Intake, Taken, Wanted};
use super::pace::Pace;
use super::{Ended, LogHandle, OpenError, Options, Published, Shared};
use crate::locked::Locked;

/// How often a log that has something left to publish looks at the clock.
const TICK: Duration = Duration::from_millis(25);

/// Publishes what recovery found, then starts the three threads.
pub(super) fn spawn(
    opened: Opened<StdDisk>,
    keys: LogKeys,
    options: Options,
) -> Result<LogHandle, OpenError> {
    let keys = Locked::with(keys, LogKeys::secrets);
    let Opened { journal, mut tiles, head, published, published_note, .. } = opened;
    let head = Head { range: head.range, time: head.time };
    let mut sequencer = Sequencer::new(keys.origin().clone(), options.bounds, head, published.size);
    let note = published_note.into();
    let (published, published_receiver) =
        watch::channel(Published { size: published.size, checkpoint: note });
    publish_recovered(&mut sequencer, &mut tiles, &keys, &options, &published)?;

    let intake = Arc::new(Intake::new(&options.bounds));
    let (ended, ended_receiver) = watch::channel(None);
    let ((work, works), (sign, checkpoints)) = (mpsc::channel(), mpsc::channel());
    let to = Others { work, sign };
    let engine = Arc::new(Engine::new(sequencer, to, Arc::clone(&intake), keys, options));
    let files = start("log-apply", &engine, move |engine| apply::run(tiles, &works, engine, &published))?;
    let signer = start("log-sign", &engine, move |engine| engine.sign_all(&checkpoints))?;
    start("log-commit", &engine, move |engine| {
        run(engine, journal);
        let others = [files.join().is_ok(), signer.join().is_ok()];
        let end = if others == [true; 2] { engine.ended() } else { Some(Ended::Halted(Halt::Driver)) };
        ended.send_replace(end);
    })?;
    Ok(LogHandle {
        shared: Arc::new(Shared { intake, published: published_receiver, ended: ended_receiver }),
    })
}

/// Starts one of the log's threads. Should it die of a defect, the log halts, so that nobody waits for ever.
fn start(
    name: &str,
    engine: &Arc<Engine>,
    work: impl FnOnce(&Engine) + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let unwinding = Unwinding { engine: Arc::clone(engine) };
    let run = move || work(&unwinding.engine);
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| {
        // Those that run already end with it.
        engine.fail();
        OpenError::Thread { source }
    })
}

/// Carries out the sequencer's first effects in place: nobody is waiting yet.
fn publish_recovered(
    sequencer: &mut Sequencer<Ticket>,
    tiles: &mut FsTiles<StdDisk>,
    keys: &LogKeys,
    options: &Options,
    published: &watch::Sender<Published>,
) -> Result<(), OpenError> {
    let mut effects = VecDeque::from(sequencer.start((options.clock)()));
    while let Some(effect) = effects.pop_front() {
        let event = match effect {
            Effect::Sign(checkpoint) => Event::Signed(keys.sign(&checkpoint).into()),
            Effect::Halt(halt) => return Err(halt.into()),
            effect => match work_of(effect) {
                Ok(work) => Event::Applied(apply::perform(tiles, work, published)),
                Err(_) => return Err(Halt::Driver.into()),
            },
        };
        effects.extend(sequencer.handle((options.clock)(), event));
    }
    Ok(())
}

/// Works until the log ends, and refuses what still waits then.
fn run(engine: &Engine, journal: FsJournal<StdDisk>) {
    let mut thread = CommitThread { engine, journal, pace: Pace::default(), staged: 0 };
    while engine.ended().is_none() {
        let taken = engine.intake.take(&thread.wanted());
        thread.feed(taken);
    }
    for (ticket, _) in engine.intake.end() {
        let refusal = match engine.ended() {
            Some(Ended::Halted(halt)) => Refusal::Halted(halt),
            _ => Refusal::Stopping,
        };
        _ = ticket.send(Err(refusal));
    }
}

struct CommitThread<'a> {
    engine: &'a Engine,
    journal: FsJournal<StdDisk>,
    pace: Pace,
    /// Entries of the batch that is staged.
    staged: usize,
}

impl CommitThread<'_> {
    /// What there is to wait for.
    fn wanted(&self) -> Wanted {
        let standing = self.engine.standing();
        Wanted {
            waiting: standing.waiting,
            can_cut: standing.is_ready,
            goal: self.pace.goal(),
            patience: self.pace.patience(self.engine.signing_took()),
            tick: (!standing.is_quiet).then_some(TICK),
        }
    }

    /// Hands what was taken to the sequencer and does what it says about the journal.
    fn feed(&mut self, taken: Taken) {
        if taken.stop {
            self.pace.hurry();
        }
        let appends = taken.appends.into_iter().map(|(ticket, draft)| Event::Append { ticket, draft });
        let last = if taken.cut { Event::Cut } else { Event::Tick };
        let events = appends.chain(taken.stop.then_some(Event::Stop)).chain([last]);
        let mut work = self.engine.handle_all(events);
        while let Some(next) = work {
            work = match next {
                JournalWork::Stage(batch) => {
                    self.staged = batch.entries().len();
                    let outcome = self.journal.stage(&batch);
                    self.engine.handle(Event::Staged(outcome))
                }
                JournalWork::Commit => self.commit(),
            };
        }
    }

    /// One write was staged; this is its one sync (INV-9: no answer before it returned).
    fn commit(&mut self) -> Option<JournalWork> {
        let started = Instant::now();
        let outcome = self.journal.commit();
        if matches!(outcome, Outcome::Stored) {
            let took = started.elapsed();
            // Counted before anybody is told: whoever is told may be back at once.
            let waiting = self.engine.intake.waiting() + self.engine.standing().waiting.entries;
            self.pace.committed(self.staged + waiting, took);
            if let Some(on_batch) = &self.engine.options.on_batch {
                on_batch(self.staged, took);
            }
        }
        self.engine.handle(Event::Committed(outcome))
    }
}

/// Halts the log when a thread of it dies of a defect.
struct Unwinding {
    engine: Arc<Engine>,
}

impl Drop for Unwinding {
    fn drop(&mut self) {
        if thread::panicking() {
            self.engine.fail();
            self.engine.intake.end();
        }
    }
}
