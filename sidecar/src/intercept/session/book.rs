//! The numbers of one session: which were given, which are in flight, which wait for a gap entry. No I/O, no locks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledgerstone::entry::{GapDetails, GapReason};

use super::SessionError;

/// Where a number in flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its request is being worked on.
    Seen,
    /// Its entry is with the log and cannot be taken back.
    Appending,
}

/// Why a request gets no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Closed,
    Unsettled,
    Broken,
}

/// A run of numbers without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    first: u64,
    last: u64,
    reason: GapReason,
}

/// The numbers of one session.
#[derive(Debug)]
pub(super) struct Book {
    /// The next number to give; the start entry has 0.
    next: u64,
    in_flight: BTreeMap<u64, Phase>,
    /// Runs that wait for a gap entry.
    lost: VecDeque<Lost>,
    /// The gap entry that is being written, with its number; it keeps both over retries.
    gap: Option<(u64, Lost)>,
    /// The run of those that were turned away, waiting for its gap entry.
    away: Option<Lost>,
    /// Requests turned away that have no numbers yet.
    turned_away: u64,
    /// Numbers lost and requests turned away, ever.
    unrecorded: u64,
    /// A number was lost and its gap entry is not in the log yet.
    unsettled: bool,
    closed: bool,
    broken: bool,
}

impl Book {
    /// The book of a session whose start entry is in the log.
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            in_flight: BTreeMap::new(),
            lost: VecDeque::new(),
            gap: None,
            away: None,
            turned_away: 0,
            unrecorded: 0,
            unsettled: false,
            closed: false,
            broken: false,
        }
    }

    /// Gives a request its number. One that gets none is counted as turned away while the session lasts.
    pub(super) fn see(&mut self) -> Result<u64, Refused> {
        let refused = if self.broken {
            Refused::Broken
        } else if self.closed {
            Refused::Closed
        } else if self.unsettled {
            Refused::Unsettled
        } else if let Ok(sequence) = self.number() {
            self.in_flight.insert(sequence, Phase::Seen);
            return Ok(sequence);
        } else {
            Refused::Broken
        };
        if refused == Refused::Unsettled {
            self.turn_away();
        }
        Err(refused)
    }

    /// Counts a request that gets no number of its own.
    pub(super) fn turn_away(&mut self) {
        self.turned_away = self.turned_away.saturating_add(1);
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, SessionError> {
        if self.broken {
            return Err(SessionError::Broken);
        }
        let number = self.next;
        self.next = number.checked_add(1).ok_or(SessionError::Exhausted)?;
        Ok(number)
    }

    /// Says that the entry of a number goes to the log; no, if the number was given up.
    pub(super) fn hand_over(&mut self, sequence: u64) -> bool {
        match self.in_flight.get_mut(&sequence) {
            Some(phase) => {
                *phase = Phase::Appending;
                true
            }
            None => false,
        }
    }

    /// A number is no longer in flight.
    pub(super) fn end(&mut self, sequence: u64) {
        self.in_flight.remove(&sequence);
    }

    /// A number has no record. Nothing is admitted until that is in the log.
    pub(super) fn lose(&mut self, sequence: u64, reason: GapReason) {
        self.unrecorded += 1;
        self.unsettled = true;
        let follows = |run: &&mut Lost| run.reason == reason && run.last.checked_add(1) == Some(sequence);
        match self.lost.iter_mut().find(follows) {
            Some(run) => run.last = sequence,
            None => self.lost.push_back(Lost { first: sequence, last: sequence, reason }),
        }
    }

    /// The gap entry to write next: its number and what it says.
    pub(super) fn due(&mut self) -> Result<Option<(u64, GapDetails)>, SessionError> {
        if self.broken {
            return Err(SessionError::Broken);
        }
        let (sequence, Lost { first, last, reason }) = match self.gap {
            Some(gap) => gap,
            None => {
                let Some(run) = self.lost.pop_front().or_else(|| self.away.take()) else {
                    self.unsettled = false;
                    return Ok(None);
                };
                (self.number()?, run)
            }
        };
        self.gap = Some((sequence, Lost { first, last, reason }));
        Ok(Some((sequence, GapDetails { first, last, reason })))
    }

    /// The gap entry of that number is in the log.
    pub(super) fn settled(&mut self, sequence: u64) {
        self.gap.take_if(|(number, _)| *number == sequence);
    }

    /// Gives the requests that were turned away a run of numbers.
    pub(super) fn number_turned_away(&mut self) -> Result<(), SessionError> {
        let (None, Some(more)) = (self.away, self.turned_away.checked_sub(1)) else {
            return Ok(());
        };
        let first = self.next;
        let last = first.checked_add(more).ok_or(SessionError::Exhausted)?;
        self.next = last.checked_add(1).ok_or(SessionError::Exhausted)?;
        self.unrecorded += self.turned_away;
        self.turned_away = 0;
        self.away = Some(Lost { first, last, reason: GapReason::Dropped });
        Ok(())
    }

    /// Nothing more is admitted.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The log has stopped: nothing more can be recorded, the session ends without a stop.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Gives up what is in flight and not with the log; which numbers those are.
    pub(super) fn abandon(&mut self) -> BTreeSet<u64> {
        let seen = |(sequence, phase): (&u64, &Phase)| (*phase == Phase::Seen).then_some(*sequence);
        let given_up: BTreeSet<u64> = self.in_flight.iter().filter_map(seen).collect();
        for sequence in &given_up {
            self.in_flight.remove(sequence);
            self.lose(*sequence, GapReason::NotRecorded);
        }
        given_up
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.len() as u64
    }

    pub(super) fn lowest_in_flight(&self) -> Option<u64> {
        self.in_flight.keys().next().copied()
    }

    pub(super) fn unrecorded(&self) -> u64 {
        self.unrecorded + self.turned_away
    }

    pub(super) fn is_admitting(&self) -> bool {
        self.is_running() && !self.unsettled
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn is_running(&self) -> bool {
        !self.closed && !self.broken
    }
}
