//! The queue of runs as a state machine: who waits, who runs, who may begin next.
//!
//! *Guarantees*: at most so many runs wait or are being uploaded, and at most so many run; the oldest waiting run begins next; a run that has
//! ended stays as it ended until it is submitted again or forgotten.
//!
//! *Does not do*: recompute, write, or read a clock: whoever calls does what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RunId, ServeError};

#[cfg(test)]
mod tests;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It is being recomputed.
    Running,
    /// Its results are there.
    Done,
    /// It stopped over an error.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl State {
    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to the run any more by itself.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The run had not begun, and is cancelled.
    AtOnce,
    /// The run is running: it must be told to stop, and ends when it has.
    WhenStopped,
}

/// A place in the queue that an upload holds. It must be given back or used.
#[derive(Debug)]
#[must_use]
pub struct Place(());

/// Every run and where it is.
#[derive(Debug)]
pub struct Queue {
    queue_max: usize,
    running_max: usize,
    /// Runs by the order in which they were submitted.
    runs: BTreeMap<u64, (RunId, State)>,
    /// Places that uploads hold.
    held: usize,
    next: u64,
    is_closed: bool,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub const fn new(queue_max: usize, running_max: usize) -> Self {
        Self { queue_max, running_max, runs: BTreeMap::new(), held: 0, next: 1, is_closed: false }
    }

    /// Takes up a run from before a restart. One that was running waits again; the bound does not turn away what was promised.
    pub fn restore(&mut self, number: u64, id: RunId, state: State) {
        let state = if state == State::Running { State::Queued } else { state };
        self.runs.insert(number, (id, state));
        self.next = self.next.max(number.saturating_add(1));
    }

    /// Holds a place for a run that is about to be uploaded.
    ///
    /// # Errors
    /// The queue is full, or the service is ending.
    pub fn hold(&mut self) -> Result<Place, ServeError> {
        if self.is_closed {
            return Err(ServeError::Ending);
        }
        if self.held + self.count(State::Queued) >= self.queue_max {
            return Err(ServeError::QueueFull { queue_max: self.queue_max });
        }
        self.held += 1;
        Ok(Place(()))
    }

    /// Gives a place back.
    pub fn give_back(&mut self, place: Place) {
        let Place(()) = place;
        self.held = self.held.saturating_sub(1);
    }

    /// Puts a run into the queue, in the place that was held for it; one that ended before goes to its end again. Says its number.
    pub fn push(&mut self, place: Place, id: RunId) -> u64 {
        self.give_back(place);
        self.forget(id);
        let number = self.next;
        self.next += 1;
        self.runs.insert(number, (id, State::Queued));
        number
    }

    /// The run that begins now, if one may.
    pub fn begin(&mut self) -> Option<RunId> {
        if self.is_closed || self.count(State::Running) >= self.running_max {
            return None;
        }
        let (id, state) = self.runs.values_mut().find(|(_, state)| *state == State::Queued)?;
        *state = State::Running;
        Some(*id)
    }

    /// A running run ended like this, or waits again because the service ends.
    pub fn end(&mut self, id: RunId, ended: State) {
        if let Some(state) = self.state_mut(id) {
            *state = ended;
        }
    }

    /// Cancels a run.
    ///
    /// # Errors
    /// There is none, or it has ended.
    pub fn cancel(&mut self, id: RunId) -> Result<Cancelled, ServeError> {
        let state = self.state_mut(id).ok_or(ServeError::Unknown { id })?;
        match *state {
            State::Queued => {
                *state = State::Cancelled;
                Ok(Cancelled::AtOnce)
            }
            State::Running => Ok(Cancelled::WhenStopped),
            state => Err(ServeError::HasEnded { id, state }),
        }
    }

    /// Deletes a run that has ended.
    ///
    /// # Errors
    /// There is none, or it has not ended.
    pub fn delete(&mut self, id: RunId) -> Result<(), ServeError> {
        let state = self.state(id).ok_or(ServeError::Unknown { id })?;
        if !state.has_ended() {
            return Err(ServeError::HasNotEnded { id, state });
        }
        self.forget(id);
        Ok(())
    }

    /// Begins nothing and takes nothing any more.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Where a run is.
    #[must_use]
    pub fn state(&self, id: RunId) -> Option<State> {
        self.runs.values().find(|(known, _)| *known == id).map(|(_, state)| *state)
    }

    /// The waiting runs in their order: the first is the next.
    pub fn waiting(&self) -> impl Iterator<Item = RunId> {
        self.runs.values().filter(|(_, state)| *state == State::Queued).map(|(id, _)| *id)
    }

    /// Runs with their numbers, from behind `number` on.
    pub fn after(&self, number: u64) -> impl Iterator<Item = (u64, RunId)> {
        self.runs.range(number.saturating_add(1)..).map(|(number, (id, _))| (*number, *id))
    }

    /// How many runs are in a state.
    #[must_use]
    pub fn count(&self, of: State) -> usize {
        self.runs.values().filter(|(_, state)| *state == of).count()
    }

    /// How many runs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    fn state_mut(&mut self, id: RunId) -> Option<&mut State> {
        self.runs.values_mut().find(|(known, _)| *known == id).map(|(_, state)| state)
    }

    fn forget(&mut self, id: RunId) {
        self.runs.retain(|_, (known, _)| *known != id);
    }
}
