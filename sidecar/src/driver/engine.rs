//! The sequencer, and what every thread of a log does with its effects.
//!
//! Guarantees: one event at a time reaches the sequencer, whichever thread it comes from, and that thread carries out what
//! follows; an answer is given only as an effect of the sequencer (INV-9). Does not do: the journal, which belongs to the
//! commit thread; its two effects go back to whoever handed in the event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledgerstone::checkpoint::{Checkpoint, LogKeys};
use ledgerstone::log::{Effect, Event, Halt, Sequencer};
use ledgerstone::store::batch::Batch;

use super::answer::{Ticket, answer_all};
use super::apply::Work;
use super::intake::{Intake, Waiting};
use super::{Ended, Options};
use crate::locked::Locked;

/// What the threads of one log share.
pub(super) struct Engine {
    state: Mutex<State>,
    pub(super) intake: Arc<Intake>,
    keys: Locked<LogKeys>,
    pub(super) options: Options,
    /// What the last signatures took.
    signing_nanos: AtomicU64,
}

struct State {
    sequencer: Sequencer<Ticket>,
    /// To the other two threads; gone once the log has ended, which ends them.
    to: Option<Others>,
    end: Option<Ended>,
}

/// The ways to the other two threads.
#[derive(Debug)]
pub(super) struct Others {
    pub(super) work: Sender<Work>,
    pub(super) sign: Sender<Checkpoint>,
}

/// What the commit thread has to do with the journal.
#[derive(Debug)]
pub(super) enum JournalWork {
    Stage(Arc<Batch>),
    Commit,
}

/// What the sequencer says about itself.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) waiting: Waiting,
    pub(super) is_ready: bool,
    pub(super) is_quiet: bool,
}

impl Engine {
    pub(super) fn new(
        sequencer: Sequencer<Ticket>,
        to: Others,
        intake: Arc<Intake>,
        keys: Locked<LogKeys>,
        options: Options,
    ) -> Self {
        let state = Mutex::new(State { sequencer, to: Some(to), end: None });
        Self { state, intake, keys, options, signing_nanos: AtomicU64::new(0) }
    }

    /// Hands `event` to the sequencer and carries out what it says; what the journal has to do is given back.
    pub(super) fn handle(&self, event: Event<Ticket>) -> Option<JournalWork> {
        self.handle_all([event])
    }

    /// The same for several events, one after the other.
    pub(super) fn handle_all(&self, events: impl IntoIterator<Item = Event<Ticket>>) -> Option<JournalWork> {
        let mut effects = self.effects_of(events);
        let mut journal = None;
        while let Some(effect) = effects.pop_front() {
            if let Some(work) = self.carry_out(effect, &mut effects) {
                journal = Some(work);
            }
        }
        journal
    }

    /// The same from another thread than the commit thread, which may have waited for it.
    pub(super) fn report(&self, event: Event<Ticket>) {
        self.handle(event);
        self.intake.nudge();
    }

    /// What the sequencer says to `events`.
    fn effects_of(&self, events: impl IntoIterator<Item = Event<Ticket>>) -> VecDeque<Effect<Ticket>> {
        let mut effects = VecDeque::new();
        let mut state = self.state();
        // A thread that panicked in the middle of an event may have left half of it behind.
        if self.state.is_poisoned() {
            drop(state);
            self.fail();
            return effects;
        }
        let now = (self.options.clock)();
        for event in events {
            effects.extend(state.sequencer.handle(now, event));
        }
        effects
    }

    /// Carries out one effect; what the sequencer says to its outcome comes after the effects there are (`then`).
    fn carry_out(&self, effect: Effect<Ticket>, then: &mut VecDeque<Effect<Ticket>>) -> Option<JournalWork> {
        match effect {
            Effect::Stage(batch) => return Some(JournalWork::Stage(batch)),
            Effect::Commit => return Some(JournalWork::Commit),
            Effect::Sign(checkpoint) => self.sign(checkpoint, then),
            Effect::Answer(answered) => answer_all(answered, self.options.runtime.as_ref()),
            Effect::Refuse { ticket, refusal } => _ = ticket.send(Err(refusal)),
            Effect::Halt(halt) => {
                self.intake.halt(&halt);
                self.end(Ended::Halted(halt));
            }
            Effect::Stopped => self.end(Ended::Stopped),
            effect => match work_of(effect) {
                // A thread ends before the log does only by a defect, which joining it shows.
                Ok(work) => _ = self.state().to.as_ref().map(|to| to.work.send(work)),
                Err(_) => self.end(Ended::Halted(Halt::Driver)),
            },
        }
        None
    }

    /// Has a checkpoint signed: here, if nobody waits for the journal meanwhile, else beside the next commit.
    fn sign(&self, checkpoint: Checkpoint, then: &mut VecDeque<Effect<Ticket>>) {
        let is_alone = self.intake.waiting() == 0 && {
            let state = self.state();
            state.sequencer.signing() == 1 && state.sequencer.waiting() == 0
        };
        if is_alone {
            let note = self.sign_now(&checkpoint);
            then.extend(self.effects_of([Event::Signed(note)]));
        } else {
            _ = self.state().to.as_ref().map(|to| to.sign.send(checkpoint));
        }
    }

    fn sign_now(&self, checkpoint: &Checkpoint) -> Arc<str> {
        let started = Instant::now();
        let note = self.keys.sign(checkpoint).into();
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.signing_nanos.store(took, Ordering::Relaxed);
        note
    }

    /// What the last signatures took.
    pub(super) fn signing_took(&self) -> Duration {
        Duration::from_nanos(self.signing_nanos.load(Ordering::Relaxed))
    }

    /// The sign thread: signs what it is given until there is no more.
    pub(super) fn sign_all(&self, checkpoints: &Receiver<Checkpoint>) {
        while let Ok(checkpoint) = checkpoints.recv() {
            let note = self.sign_now(&checkpoint);
            self.report(Event::Signed(note));
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state();
        let sequencer = &state.sequencer;
        Standing {
            waiting: Waiting { entries: sequencer.waiting(), bytes: sequencer.waiting_bytes() },
            is_ready: sequencer.is_ready(),
            is_quiet: sequencer.is_quiet(),
        }
    }

    /// How the log ended, once it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.state().end.clone()
    }

    /// One of the threads has a defect: nobody shall wait for it for ever.
    pub(super) fn fail(&self) {
        self.intake.halt(&Halt::Driver);
        self.end(Ended::Halted(Halt::Driver));
    }

    /// The log ends; the other threads do once they have finished what they are at.
    fn end(&self, end: Ended) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.to = None;
        drop(state);
        self.intake.over();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the apply thread has to do for an effect; any other effect is handed back.
pub(super) fn work_of(effect: Effect<Ticket>) -> Result<Work, Effect<Ticket>> {
    match effect {
        Effect::Apply(batches) => Ok(Work::Apply(batches)),
        Effect::Publish { checkpoint, note } => Ok(Work::Publish(checkpoint, note)),
        Effect::Recycle => Ok(Work::Recycle),
        Effect::Settle => Ok(Work::Settle),
        other => Err(other),
    }
}
