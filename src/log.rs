//! The sequencer: decides the order of everything that happens to a log, and does none of it.
//!
//! Guarantees: a batch goes *stage, commit, sign, answer, apply, publish*, in this order; one batch at a time is staged or
//! committed, while the batches before it are signed, so that signing and syncing go on side by side; an outcome that is not known halts the log for good, because only recovery can find out. What waits
//! is bounded (INV-7). Does not do: storing, signing, waiting, or reading a clock: each is an [`Effect`] that a driver
//! carries out and reports back as an [`Event`]; the time comes with every event.
//!
//! Specified in `docs/spec/store.md`. Carries INV-1 (every two checkpoints are consistent), INV-2 (size and time never
//! decrease), INV-3 (nothing is signed before it is committed), INV-4 (an answer verifies against every later
//! checkpoint), INV-5 (one index, one entry), INV-7 (pending work is bounded) and INV-9 (no answer before its sync).

mod apply;
mod draft;
mod effect;
mod event;

pub use draft::{Draft, DraftError};
pub use effect::{Answered, Effect, Halt, Refusal};
pub use event::Event;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::limits;
use crate::log::apply::Applying;
use crate::merkle::TreeSize;
use crate::merkle::range::CompactRange;
use crate::note::KeyName;
use crate::store::Outcome;
use crate::store::batch::Batch;
use crate::time::UnixMillis;

/// The bounds a sequencer works within. The defaults are those of [`limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries of one batch.
    pub batch_entries_max: usize,
    /// Bytes of one batch, sealed records included.
    pub batch_bytes_max: usize,
    /// Appends that may wait for a batch.
    pub pending_entries_max: usize,
    /// Bytes of appends that may wait for a batch.
    pub pending_bytes_max: usize,
    /// Bytes of committed batches that may wait to be applied.
    pub unapplied_bytes_max: usize,
    /// How far the clock may step back, in milliseconds, and the last time be repeated.
    pub clock_step_back_ms_max: u64,
    /// How long after one publication the next may follow, in milliseconds.
    pub publish_interval_ms: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch_entries_max: limits::BATCH_ENTRIES_MAX,
            batch_bytes_max: limits::BATCH_BYTES_MAX,
            pending_entries_max: limits::PENDING_ENTRIES_MAX,
            pending_bytes_max: limits::PENDING_BYTES_MAX,
            unapplied_bytes_max: limits::UNAPPLIED_BYTES_MAX,
            clock_step_back_ms_max: limits::CLOCK_STEP_BACK_MS_MAX,
            publish_interval_ms: limits::PUBLISH_INTERVAL_MS,
        }
    }
}

/// What is committed: the tree that the next batch builds on.
#[derive(Clone, Debug)]
pub struct Head {
    /// The tree.
    pub range: CompactRange,
    /// When its last batch was cut.
    pub time: UnixMillis,
}

impl Head {
    fn size(&self) -> TreeSize {
        self.range.size()
    }
}

/// The state machine of one log. `T` is what the driver knows an append by; it is handed back with the answer.
#[derive(Debug)]
pub struct Sequencer<T> {
    origin: KeyName,
    bounds: Bounds,
    head: Head,
    /// Appends without an index, oldest first.
    waiting: VecDeque<Waiting<T>>,
    /// Bytes of those.
    waiting_bytes: usize,
    commit: Commit<T>,
    /// What is committed and out to be signed, oldest first.
    signing: VecDeque<Signing<T>>,
    applying: Applying,
    /// The tree of the newest checkpoint that was given out to be signed.
    signed: Option<(TreeSize, Hash)>,
    mode: Mode,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: T,
    draft: Draft,
}

#[derive(Clone, Debug)]
enum Mode {
    Running,
    /// No further append is taken; what waits is finished.
    Stopping,
    Stopped,
    Halted(Halt),
}

/// Where the one batch is that has an index but is not committed.
#[derive(Debug)]
enum Commit<T> {
    Idle,
    Staging(InFlight<T>),
    Committing(InFlight<T>),
}

/// A checkpoint that is out to be signed.
#[derive(Debug)]
struct Signing<T> {
    checkpoint: Checkpoint,
    /// The batch it is of; none where the head that recovery reached is signed again, for publication.
    in_flight: Option<InFlight<T>>,
}

#[derive(Debug)]
struct InFlight<T> {
    batch: Arc<Batch>,
    /// One per entry, in order.
    tickets: Vec<T>,
}

impl<T> Sequencer<T> {
    /// Goes on with the log `origin` from the tree that recovery reached; a tree of `published` leaves is public.
    #[must_use]
    pub fn new(origin: KeyName, bounds: Bounds, head: Head, published: TreeSize) -> Self {
        assert!(published <= head.size(), "INV-3: what is public was committed");
        Self {
            origin,
            bounds,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            commit: Commit::Idle,
            signing: VecDeque::new(),
            applying: Applying::new(published),
            signed: None,
            mode: Mode::Running,
            head,
        }
    }

    /// The first effects: what recovery reached is published where it is ahead of what is public.
    pub fn start(&mut self, now: UnixMillis) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        if self.head.size() > self.applying.published() {
            let checkpoint = self.checkpoint(self.head.size(), self.head.range.root());
            self.sign(checkpoint, None, &mut effects);
        }
        self.applying.recycle_due();
        self.advance(now, &mut effects);
        effects
    }

    /// Takes note of `event` at the time `now` and says what to do about it, in order.
    ///
    /// # Panics
    /// When an outcome is reported that nothing was asked for: the driver is defective, and going on could sign or
    /// answer what is not committed.
    #[must_use]
    pub fn handle(&mut self, now: UnixMillis, event: Event<T>) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        if matches!(self.mode, Mode::Halted(_)) && !matches!(event, Event::Append { .. }) {
            return effects;
        }
        match event {
            Event::Append { ticket, draft } => self.append(ticket, draft, &mut effects),
            Event::Cut => self.cut(now, &mut effects),
            Event::Staged(outcome) => self.staged(outcome, &mut effects),
            Event::Committed(outcome) => self.committed(outcome, &mut effects),
            Event::Signed(note) => self.answer(note, &mut effects),
            Event::SigningFailed => self.halt(Halt::Signing, &mut effects),
            Event::Applied(outcome) => self.applied(now, outcome, &mut effects),
            Event::Tick => {}
            Event::Stop => self.stop(),
        }
        self.advance(now, &mut effects);
        self.check_bounds();
        effects
    }

    /// Appends that wait for a batch.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes that they take at most in a batch.
    #[must_use]
    pub const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether nothing is left to apply, publish or recycle, so that [`Event::Tick`] would change nothing.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.published() == self.head.size() && self.applying.is_quiet()
    }

    /// Checkpoints that are out to be signed.
    #[must_use]
    pub fn signing(&self) -> usize {
        self.signing.len()
    }

    /// Whether [`Event::Cut`] would make a batch now, if something waits.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.commit, Commit::Idle)
            && self.signing.len() < limits::SIGNING_BATCHES_MAX
            && self.unapplied_bytes() < self.bounds.unapplied_bytes_max
            && matches!(self.mode, Mode::Running | Mode::Stopping)
    }

    /// The tree that is committed.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The size of the tree that is public.
    #[must_use]
    pub const fn published(&self) -> TreeSize {
        self.applying.published()
    }

    fn append(&mut self, ticket: T, draft: Draft, effects: &mut Vec<Effect<T>>) {
        let bytes = self.waiting_bytes.saturating_add(draft.byte_count());
        let refusal = match &self.mode {
            Mode::Stopping | Mode::Stopped => Some(Refusal::Stopping),
            Mode::Halted(halt) => Some(Refusal::Halted(halt.clone())),
            Mode::Running if self.waiting.len() >= self.bounds.pending_entries_max => Some(Refusal::Busy),
            Mode::Running if bytes > self.bounds.pending_bytes_max => Some(Refusal::Busy),
            Mode::Running => None,
        };
        if let Some(refusal) = refusal {
            effects.push(Effect::Refuse { ticket, refusal });
            return;
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(Waiting { ticket, draft });
    }

    /// Makes a batch of what waits, as far as one batch may hold it.
    fn cut(&mut self, now: UnixMillis, effects: &mut Vec<Effect<T>>) {
        if !self.is_ready() || self.waiting.is_empty() {
            return;
        }
        let Some(time) = self.time_of_batch(now) else {
            let refusal = Refusal::ClockBehind { last: self.head.time, now };
            self.refuse_waiting(&refusal, effects);
            return;
        };
        let mut entries = Vec::new();
        let mut tickets = Vec::new();
        let mut bytes = 0;
        while let Some(waiting) = self.take_waiting(&mut bytes, entries.len()) {
            match waiting.draft.stamp(time) {
                Ok(entry) => {
                    entries.push(entry);
                    tickets.push(waiting.ticket);
                }
                Err(error) => {
                    effects.push(Effect::Refuse { ticket: waiting.ticket, refusal: Refusal::Draft(error) })
                }
            }
        }
        if entries.is_empty() {
            return;
        }
        match Batch::build(&self.head.range, time, entries) {
            Ok(batch) => self.stage(InFlight { batch: Arc::new(batch), tickets }, effects),
            Err(error) => refuse_all(tickets, &Refusal::Batch(error), effects),
        }
    }

    /// The time a batch cut now bears, unless the clock was set back too far. INV-2: it never decreases.
    fn time_of_batch(&self, now: UnixMillis) -> Option<UnixMillis> {
        let last = self.head.time;
        (last.millis_since(now) <= self.bounds.clock_step_back_ms_max).then(|| now.max(last))
    }

    /// The oldest append that waits, if a batch of `count` entries and `bytes` bytes has room for it.
    fn take_waiting(&mut self, bytes: &mut usize, count: usize) -> Option<Waiting<T>> {
        let size = self.waiting.front()?.draft.byte_count();
        let total = bytes.saturating_add(size);
        let is_full = count >= self.bounds.batch_entries_max || total > self.bounds.batch_bytes_max;
        if count > 0 && is_full {
            return None;
        }
        *bytes = total;
        self.waiting_bytes -= size;
        self.waiting.pop_front()
    }

    fn stage(&mut self, in_flight: InFlight<T>, effects: &mut Vec<Effect<T>>) {
        let batch = &in_flight.batch;
        assert_eq!(batch.entries().len(), in_flight.tickets.len(), "INV-5: one index, one entry, one answer");
        assert_eq!(batch.first(), self.head.size().next_index(), "INV-5: indices follow without a gap");
        effects.push(Effect::Stage(Arc::clone(batch)));
        self.commit = Commit::Staging(in_flight);
    }

    fn staged(&mut self, outcome: Outcome, effects: &mut Vec<Effect<T>>) {
        let Commit::Staging(in_flight) = core::mem::replace(&mut self.commit, Commit::Idle) else {
            unreachable!("a batch was staged that is not in flight");
        };
        match outcome {
            Outcome::Stored => {
                effects.push(Effect::Commit);
                self.commit = Commit::Committing(in_flight);
            }
            Outcome::NotStored(fault) => refuse_all(in_flight.tickets, &Refusal::NotStored(fault), effects),
            Outcome::Unknown(fault) => self.halt_in_flight(in_flight, Halt::Commit(fault), effects),
        }
    }

    fn committed(&mut self, outcome: Outcome, effects: &mut Vec<Effect<T>>) {
        let Commit::Committing(in_flight) = core::mem::replace(&mut self.commit, Commit::Idle) else {
            unreachable!("a batch was committed that was not staged");
        };
        match outcome {
            Outcome::Stored => {
                let batch = &in_flight.batch;
                assert!(batch.size() > self.head.size(), "INV-2: the size never decreases");
                assert!(batch.time() >= self.head.time, "INV-2: the time never decreases");
                self.head = Head { range: batch.after().clone(), time: batch.time() };
                let checkpoint = self.checkpoint(batch.size(), batch.root());
                self.sign(checkpoint, Some(in_flight), effects);
            }
            Outcome::NotStored(fault) => refuse_all(in_flight.tickets, &Refusal::NotStored(fault), effects),
            Outcome::Unknown(fault) => self.halt_in_flight(in_flight, Halt::Commit(fault), effects),
        }
    }

    /// Gives out a checkpoint to be signed.
    fn sign(&mut self, checkpoint: Checkpoint, in_flight: Option<InFlight<T>>, effects: &mut Vec<Effect<T>>) {
        assert_eq!(checkpoint.size, self.head.size(), "INV-3: only what is committed is signed");
        assert_eq!(checkpoint.root, self.head.range.root(), "INV-3: only what is committed is signed");
        assert!(
            self.signed.is_none_or(|(size, _)| size < checkpoint.size),
            "INV-1: each checkpoint is of a larger tree than the one before"
        );
        self.signed = Some((checkpoint.size, checkpoint.root));
        effects.push(Effect::Sign(checkpoint.clone()));
        self.signing.push_back(Signing { checkpoint, in_flight });
    }

    /// The oldest checkpoint that is out to be signed came back as `note`.
    fn answer(&mut self, note: Arc<str>, effects: &mut Vec<Effect<T>>) {
        let Some(Signing { checkpoint, in_flight }) = self.signing.pop_front() else {
            unreachable!("INV-3: a signature was made that nobody asked for")
        };
        let Some(InFlight { batch, tickets }) = in_flight else {
            self.applying.push_recovered(checkpoint, note);
            return;
        };
        assert!(batch.size() <= self.head.size(), "INV-9: no answer before its batch is committed");
        assert!(batch.proves_last(), "INV-4: what is answered verifies against its checkpoint");
        let answered = Answered { tickets, batch: Arc::clone(&batch), checkpoint: Arc::clone(&note) };
        effects.push(Effect::Answer(answered));
        self.applying.push(batch, checkpoint, note);
    }

    fn applied(&mut self, now: UnixMillis, outcome: Outcome, effects: &mut Vec<Effect<T>>) {
        let is_stopping = matches!(self.mode, Mode::Stopping);
        match outcome {
            Outcome::Stored => self.applying.done(now),
            Outcome::NotStored(_) if !is_stopping => self.applying.again(now),
            Outcome::NotStored(fault) | Outcome::Unknown(fault) => self.halt(Halt::Apply(fault), effects),
        }
    }

    fn stop(&mut self) {
        if matches!(self.mode, Mode::Running) {
            self.mode = Mode::Stopping;
        }
    }

    /// Starts what can go on beside the commit.
    fn advance(&mut self, now: UnixMillis, effects: &mut Vec<Effect<T>>) {
        match self.mode {
            Mode::Running => self.applying.advance(now, self.bounds.publish_interval_ms, effects),
            Mode::Stopping => {
                let is_idle = matches!(self.commit, Commit::Idle) && self.signing.is_empty();
                let is_last = is_idle && self.waiting.is_empty();
                self.applying.advance(now, 0, effects);
                if is_last && self.applying.settle(effects) {
                    self.mode = Mode::Stopped;
                    effects.push(Effect::Stopped);
                }
            }
            Mode::Stopped | Mode::Halted(_) => {}
        }
    }

    /// Halts with a batch of which nobody knows whether it is in the log.
    fn halt_in_flight(&mut self, in_flight: InFlight<T>, halt: Halt, effects: &mut Vec<Effect<T>>) {
        refuse_all(in_flight.tickets, &Refusal::Unknown(halt.clone()), effects);
        self.halt(halt, effects);
    }

    fn halt(&mut self, halt: Halt, effects: &mut Vec<Effect<T>>) {
        let committing = match core::mem::replace(&mut self.commit, Commit::Idle) {
            Commit::Staging(in_flight) | Commit::Committing(in_flight) => Some(in_flight),
            Commit::Idle => None,
        };
        let signing = core::mem::take(&mut self.signing).into_iter().filter_map(|signing| signing.in_flight);
        for in_flight in signing.chain(committing) {
            refuse_all(in_flight.tickets, &Refusal::Unknown(halt.clone()), effects);
        }
        self.refuse_waiting(&Refusal::Halted(halt.clone()), effects);
        effects.push(Effect::Halt(halt.clone()));
        self.mode = Mode::Halted(halt);
    }

    fn refuse_waiting(&mut self, refusal: &Refusal, effects: &mut Vec<Effect<T>>) {
        self.waiting_bytes = 0;
        let waiting = core::mem::take(&mut self.waiting);
        refuse_all(waiting.into_iter().map(|waiting| waiting.ticket), refusal, effects);
    }

    fn checkpoint(&self, size: TreeSize, root: Hash) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size, root }
    }

    fn check_bounds(&self) {
        assert!(self.waiting.len() <= self.bounds.pending_entries_max, "INV-7: pending work is bounded");
        assert!(self.waiting_bytes <= self.bounds.pending_bytes_max, "INV-7: pending work is bounded");
        assert!(self.signing.len() <= limits::SIGNING_BATCHES_MAX, "INV-7: pending work is bounded");
        let unapplied_max = self.bounds.unapplied_bytes_max.saturating_add(self.bounds.batch_bytes_max);
        assert!(self.unapplied_bytes() <= unapplied_max, "INV-7: pending work is bounded");
    }

    /// Bytes of batches that are committed and not applied, whether signed or not.
    fn unapplied_bytes(&self) -> usize {
        let signing = self.signing.iter().filter_map(|signing| signing.in_flight.as_ref());
        let unsigned: usize = signing.map(|in_flight| in_flight.batch.byte_count()).sum();
        self.applying.unapplied_bytes() + unsigned
    }
}

fn refuse_all<T>(tickets: impl IntoIterator<Item = T>, refusal: &Refusal, effects: &mut Vec<Effect<T>>) {
    effects.extend(tickets.into_iter().map(|ticket| Effect::Refuse { ticket, refusal: refusal.clone() }));
}

#[cfg(test)]
mod tests;
