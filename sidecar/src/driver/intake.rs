//! Where callers leave their appends and the commit thread takes them, many at a time.
//!
//! Guarantees: what waits here and in the sequencer together stays within its bounds (INV-7); the commit thread is woken
//! when there is enough for it, not for every append. Does not do: deciding how long to wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledgerstone::log::{Bounds, Draft, Halt, Refusal};

use super::answer::Ticket;

/// The queue between callers and the commit thread.
#[derive(Debug)]
pub(super) struct Intake {
    entries_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    /// Told when the commit thread has something to do.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    appends: Vec<(Ticket, Draft)>,
    /// Bytes of those.
    bytes: usize,
    /// What waits in the sequencer, as the commit thread last said.
    beyond: Waiting,
    /// Whether the commit thread waits for something else than appends.
    is_blocked: bool,
    /// Whether that may have come.
    nudged: bool,
    /// So many appends wake the commit thread.
    wake_at: usize,
    stop_asked: bool,
    /// Whether the commit thread knows of it.
    stop_told: bool,
    halted: Option<Halt>,
    /// Whether the log has ended, so that the commit thread has nothing more to wait for.
    is_over: bool,
    /// Whether nobody takes anything any more.
    ended: bool,
}

/// Appends that wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// What the commit thread waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// What waits in the sequencer.
    pub(super) waiting: Waiting,
    /// Whether a batch may be cut.
    pub(super) can_cut: bool,
    /// So many appends are worth a batch at once.
    pub(super) goal: usize,
    /// A batch of fewer is cut at this point, counted from when one could be cut first.
    pub(super) patience: Duration,
    /// How long to wait when there is nothing to cut.
    pub(super) tick: Option<Duration>,
}

/// What the commit thread got.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) appends: Vec<(Ticket, Draft)>,
    pub(super) stop: bool,
    pub(super) cut: bool,
}

impl Intake {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            entries_max: bounds.pending_entries_max,
            bytes_max: bounds.pending_bytes_max,
            state: Mutex::new(State { wake_at: 1, ..State::default() }),
            wake: Condvar::new(),
        }
    }

    /// Leaves an append, unless too much waits or nobody takes it any more.
    pub(super) fn push(&self, ticket: Ticket, draft: Draft) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(halt) = &state.halted {
            return Err(Refusal::Halted(halt.clone()));
        }
        if state.stop_asked || state.ended {
            return Err(Refusal::Stopping);
        }
        let bytes = state.bytes.saturating_add(draft.byte_count());
        let entries = state.appends.len() + 1;
        if entries + state.beyond.entries > self.entries_max
            || bytes.saturating_add(state.beyond.bytes) > self.bytes_max
        {
            return Err(Refusal::Busy);
        }
        state.bytes = bytes;
        state.appends.push((ticket, draft));
        if entries >= state.wake_at {
            // One call is enough: the commit thread sets the mark anew before it waits again.
            state.wake_at = usize::MAX;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// How many appends wait here.
    pub(super) fn waiting(&self) -> usize {
        self.state().appends.len()
    }

    /// Something happened that the commit thread may be waiting for, if it waits for something else than appends.
    pub(super) fn nudge(&self) {
        let mut state = self.state();
        state.nudged = true;
        if state.is_blocked {
            drop(state);
            self.wake.notify_one();
        }
    }

    /// The log has ended.
    pub(super) fn over(&self) {
        self.state().is_over = true;
        self.wake.notify_one();
    }

    /// Asks the log to stop.
    pub(super) fn stop(&self) {
        self.state().stop_asked = true;
        self.wake.notify_one();
    }

    /// Refuses appends from now on.
    pub(super) fn halt(&self, halt: &Halt) {
        self.state().halted.get_or_insert_with(|| halt.clone());
    }

    pub(super) fn halted(&self) -> Option<Halt> {
        self.state().halted.clone()
    }

    /// Nobody takes anything any more: what still waits is refused by dropping or answering it.
    pub(super) fn end(&self) -> Vec<(Ticket, Draft)> {
        let mut state = self.state();
        state.ended = true;
        std::mem::take(&mut state.appends)
    }

    /// Waits for something to do, and takes all there is of it.
    pub(super) fn take(&self, wanted: &Wanted) -> Taken {
        let mut state = self.state();
        state.beyond = wanted.waiting;
        state.is_blocked = !wanted.can_cut;
        let started = Instant::now();
        let mut cut_by = None;
        loop {
            let stop = state.stop_asked && !state.stop_told;
            let now = Instant::now();
            let count = wanted.waiting.entries + state.appends.len();
            if stop || state.is_over || (state.is_blocked && state.nudged) {
                return take_all(&mut state, stop, false);
            }
            let until = if count > 0 && wanted.can_cut {
                let by = *cut_by.get_or_insert(now + wanted.patience);
                if count >= wanted.goal || now >= by {
                    return take_all(&mut state, false, true);
                }
                state.wake_at = wanted.goal.saturating_sub(wanted.waiting.entries);
                Some(by)
            } else {
                state.wake_at = if wanted.can_cut { 1 } else { usize::MAX };
                let tick_at = wanted.tick.map(|tick| started + tick);
                if tick_at.is_some_and(|at| now >= at) {
                    return take_all(&mut state, false, false);
                }
                tick_at
            };
            state = self.wait(state, until.map(|until| until.saturating_duration_since(now)));
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Option<Duration>) -> MutexGuard<'a, State> {
        match most {
            None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.wake.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_all(state: &mut State, stop: bool, cut: bool) -> Taken {
    state.stop_told |= stop;
    state.wake_at = usize::MAX;
    state.is_blocked = false;
    state.nudged = false;
    let appends = std::mem::take(&mut state.appends);
    state.beyond.entries += appends.len();
    state.beyond.bytes += std::mem::take(&mut state.bytes);
    Taken { appends, stop, cut }
}
