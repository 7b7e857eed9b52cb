//! The thread that owns the sequencer and the journal: gathers, writes, syncs, signs and answers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::log::{Effect, Event, Halt, Head, Refusal, Sequencer};
use ledgerstone::store::fs::{FsJournal, FsTiles, Opened, StdDisk};
use ledgerstone::store::{CommitStore, Outcome};
use tokio::sync::watch;

use super::answer::{Ticket, answer_all};
use super::apply::{self, Work};
use super::intake::{Intake, Taken, Waiting, Wanted};
use super::{Ended, LogHandle, OpenError, Options, Published, Shared};

/// How often a log that has something left to publish looks at the clock.
const TICK: Duration = Duration::from_millis(25);
/// The longest time a batch is held open for more entries, whatever a sync takes.
const PATIENCE_MAX: Duration = Duration::from_millis(5);

/// Publishes what recovery found, then starts both threads.
pub(super) fn spawn(
    opened: Opened<StdDisk>,
    keys: LogKeys,
    options: Options,
) -> Result<LogHandle, OpenError> {
    let Opened { journal, mut tiles, head, published, published_note, .. } = opened;
    let head = Head { range: head.range, time: head.time };
    let mut sequencer = Sequencer::new(keys.origin().clone(), options.bounds, head, published.size);
    let note = published_note.into();
    let (published, published_receiver) =
        watch::channel(Published { size: published.size, checkpoint: note });
    publish_recovered(&mut sequencer, &mut tiles, &keys, &options, &published)?;

    let intake = Arc::new(Intake::new(&options.bounds));
    let (ended, ended_receiver) = watch::channel(None);
    let (work, files) = spawn_apply(tiles, &intake, published)?;
    let thread = CommitThread {
        sequencer,
        journal,
        keys,
        options,
        intake: Arc::clone(&intake),
        work,
        effects: VecDeque::new(),
        pace: Pace::default(),
        end: None,
    };
    let run = move || thread.run(files, &ended);
    thread::Builder::new().name("log-commit".to_owned()).spawn(run).map_err(no_thread)?;
    Ok(LogHandle {
        shared: Arc::new(Shared { intake, published: published_receiver, ended: ended_receiver }),
    })
}

fn spawn_apply(
    tiles: FsTiles<StdDisk>,
    intake: &Arc<Intake>,
    published: watch::Sender<Published>,
) -> Result<(Sender<Work>, JoinHandle<()>), OpenError> {
    let (work, receiver) = mpsc::channel();
    let intake = Arc::clone(intake);
    let run = move || apply::run(tiles, &receiver, &intake, &published);
    let thread = thread::Builder::new().name("log-apply".to_owned()).spawn(run).map_err(no_thread)?;
    Ok((work, thread))
}

const fn no_thread(source: io::Error) -> OpenError {
    OpenError::Thread { source }
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

/// What the apply thread has to do for an effect; any other effect is handed back.
fn work_of(effect: Effect<Ticket>) -> Result<Work, Effect<Ticket>> {
    match effect {
        Effect::Apply(batches) => Ok(Work::Apply(batches)),
        Effect::Publish { checkpoint, note } => Ok(Work::Publish(checkpoint, note)),
        Effect::Recycle => Ok(Work::Recycle),
        Effect::Settle => Ok(Work::Settle),
        other => Err(other),
    }
}

struct CommitThread {
    sequencer: Sequencer<Ticket>,
    journal: FsJournal<StdDisk>,
    keys: LogKeys,
    options: Options,
    intake: Arc<Intake>,
    work: Sender<Work>,
    /// Effects not carried out yet, in order.
    effects: VecDeque<Effect<Ticket>>,
    pace: Pace,
    end: Option<Ended>,
}

impl CommitThread {
    /// Works until the log ends, then lets go of the store and says how it ended.
    fn run(mut self, files: JoinHandle<()>, ended: &watch::Sender<Option<Ended>>) {
        let guard = Unwinding { intake: Arc::clone(&self.intake) };
        while self.end.is_none() {
            let taken = self.intake.take(&self.wanted());
            self.feed(taken);
        }
        let end = self.end.take();
        for (ticket, _) in self.intake.end() {
            let refusal = match &end {
                Some(Ended::Halted(halt)) => Refusal::Halted(halt.clone()),
                _ => Refusal::Stopping,
            };
            _ = ticket.send(Err(refusal));
        }
        drop(guard);
        // Dropping the rest closes the apply thread's channel and gives up this half of the lock.
        drop(self);
        let end = if files.join().is_ok() { end } else { Some(Ended::Halted(Halt::Driver)) };
        ended.send_replace(end);
    }

    /// What there is to wait for.
    fn wanted(&self) -> Wanted {
        Wanted {
            waiting: self.waiting(),
            can_cut: self.sequencer.is_ready(),
            goal: self.pace.goal,
            patience: self.pace.patience(),
            tick: (!self.sequencer.is_quiet()).then_some(TICK),
        }
    }

    fn waiting(&self) -> Waiting {
        Waiting { entries: self.sequencer.waiting(), bytes: self.sequencer.waiting_bytes() }
    }

    /// Hands what was taken to the sequencer and carries out what it says.
    fn feed(&mut self, taken: Taken) {
        for outcome in taken.outcomes {
            self.handle(Event::Applied(outcome));
        }
        for (ticket, draft) in taken.appends {
            self.handle(Event::Append { ticket, draft });
        }
        if taken.stop {
            self.handle(Event::Stop);
            self.pace.goal = 0;
        }
        self.handle(if taken.cut { Event::Cut } else { Event::Tick });
        while let Some(effect) = self.effects.pop_front() {
            self.carry_out(effect);
        }
    }

    fn handle(&mut self, event: Event<Ticket>) {
        let effects = self.sequencer.handle((self.options.clock)(), event);
        self.effects.extend(effects);
    }

    fn carry_out(&mut self, effect: Effect<Ticket>) {
        match effect {
            Effect::Stage(batch) => {
                let outcome = self.journal.stage(&batch);
                self.handle(Event::Staged(outcome));
            }
            Effect::Commit => self.commit(),
            Effect::Sign(checkpoint) => {
                let note = self.keys.sign(&checkpoint);
                self.handle(Event::Signed(note.into()));
            }
            Effect::Answer(answered) => {
                // Counted before anybody is told: whoever is told may be back at once.
                let waiting = self.intake.waiting() + self.sequencer.waiting();
                let entries = answer_all(answered);
                self.pace.goal = entries + waiting;
                if let Some(on_batch) = &self.options.on_batch {
                    on_batch(entries, self.pace.last_sync);
                }
            }
            Effect::Refuse { ticket, refusal } => _ = ticket.send(Err(refusal)),
            Effect::Halt(halt) => {
                self.intake.halt(&halt);
                self.end = Some(Ended::Halted(halt));
            }
            Effect::Stopped => self.end = Some(Ended::Stopped),
            effect => match work_of(effect) {
                // The apply thread ends only after this one, or by a defect, which joining it shows.
                Ok(work) => _ = self.work.send(work),
                Err(_) => self.end = Some(Ended::Halted(Halt::Driver)),
            },
        }
    }

    /// One write was staged; this is its one sync (INV-9: no answer before it returned).
    fn commit(&mut self) {
        let started = Instant::now();
        let outcome = self.journal.commit();
        if matches!(outcome, Outcome::Stored) {
            self.pace.synced(started.elapsed());
        }
        self.handle(Event::Committed(outcome));
    }
}

/// How long and for how many entries a batch is held open.
///
/// Callers that wait for their answer before they append again come in two crowds: those in the batch being synced and
/// those who came meanwhile. Cut as they come, the two take turns for ever and every sync carries half of what it could.
/// So after a batch is answered, its callers get a moment to come back and join those who wait.
#[derive(Debug, Default)]
struct Pace {
    /// Callers that were just answered, and those that waited meanwhile: no more can be expected soon.
    goal: usize,
    /// What a sync takes: each new one counts for an eighth.
    sync: Duration,
    /// What the last one took.
    last_sync: Duration,
}

impl Pace {
    fn synced(&mut self, took: Duration) {
        self.last_sync = took;
        self.sync = if self.sync.is_zero() { took } else { (self.sync * 7 + took) / 8 };
    }

    /// Half of what a sync takes: waiting longer would cost more than the larger batch gains.
    fn patience(&self) -> Duration {
        (self.sync / 2).min(PATIENCE_MAX)
    }
}

/// Halts the intake when the commit thread dies of a defect, so that nobody waits for ever.
struct Unwinding {
    intake: Arc<Intake>,
}

impl Drop for Unwinding {
    fn drop(&mut self) {
        if thread::panicking() {
            self.intake.halt(&Halt::Driver);
            self.intake.end();
        }
    }
}
