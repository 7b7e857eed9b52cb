//! What an EVM lane's journal says, taken record by record.
//!
//! Guarantees: running and recovering go through the same code, so that both reach the same state (INV-6); a record that does
//! not follow from those before it is refused, so that no nonce is ever signed for two statements, whatever the rest of the
//! lane does. What it keeps is bounded (INV-7): one statement in flight, the one before, and entries that wait for the log.

use std::collections::VecDeque;

use super::State;
use super::record::{Attempt, Place, Record, Resumed};
use super::word::TransactionHash;
use crate::anchor::schedule::Tip;
use crate::anchor::statement::Head;
use crate::code::Code;
use crate::entry::{AnchorDetails, AnchorKind, LaneName};
use crate::hash::Hash;
use crate::limits::{
    ANCHOR_ATTEMPTS_MAX, ANCHOR_SEQ_MAX, ANCHOR_TRANSACTION_BYTES_MAX, ANCHOR_UNAPPENDED_MAX,
};
use crate::time::UnixMillis;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The UTC day of a time, counted from 1970-01-01.
pub(super) const fn day(at: UnixMillis) -> u64 {
    at.get() / DAY_MS
}

/// Everything that is durable about a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    lane: LaneName,
    /// Whether any record was taken.
    is_begun: bool,
    /// The last captured statement.
    pub(super) tip: Tip,
    /// When that one was planned.
    pub(super) tip_planned_at: Option<UnixMillis>,
    /// The lowest nonce that may be signed for the statement in flight: all below were signed for earlier ones, or may
    /// have been.
    pub(super) nonce_floor: u64,
    gas_day: u64,
    gas_spent: u64,
    pub(super) flight: Option<Flight>,
    /// The statement before the one in flight, with its transactions.
    pub(super) last: Option<Flight>,
    /// Captured statements whose entries are not known to be in the log, oldest first.
    pub(super) unappended: VecDeque<AnchorDetails>,
}

/// A statement on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) seq: u64,
    pub(super) to: Head,
    pub(super) statement: Hash,
    pub(super) planned_at: UnixMillis,
    pub(super) state: State,
    /// Where it was seen last, from [`State::Mined`] on.
    pub(super) place: Option<Place>,
    /// Every transaction that was signed for it, oldest first, at most [`ANCHOR_ATTEMPTS_MAX`].
    pub(super) attempts: Vec<Attempt>,
    /// Those that an endpoint took.
    pub(super) taken: Vec<TransactionHash>,
}

impl Flight {
    /// The highest nonce signed for it.
    pub(super) fn nonce_max(&self) -> Option<u64> {
        self.attempts.iter().map(|attempt| attempt.nonce).max()
    }

    /// The transaction of that nonce that offers most.
    pub(super) fn best(&self, nonce: u64) -> Option<&Attempt> {
        let of_nonce = self.attempts.iter().filter(|attempt| attempt.nonce == nonce);
        of_nonce.max_by_key(|attempt| attempt.fees.max)
    }

    /// Where it is when no block holds it.
    fn unmined(&self) -> State {
        match (self.attempts.is_empty(), self.taken.is_empty()) {
            (true, _) => State::Planned,
            (false, true) => State::Signed,
            (false, false) => State::Broadcast,
        }
    }
}

impl Course {
    pub(super) fn new(lane: LaneName) -> Self {
        Self {
            lane,
            is_begun: false,
            tip: Tip::none(),
            tip_planned_at: None,
            nonce_floor: 0,
            gas_day: 0,
            gas_spent: 0,
            flight: None,
            last: None,
            unappended: VecDeque::new(),
        }
    }

    /// Gas signed for on the day of `now`.
    pub(super) const fn gas_spent(&self, now: UnixMillis) -> u64 {
        if self.gas_day == day(now) { self.gas_spent } else { 0 }
    }

    /// The first record of a journal that may stand for all records so far; none while something is under way.
    pub(super) fn resumed(&self) -> Option<Resumed> {
        if self.flight.is_some() || !self.unappended.is_empty() {
            return None;
        }
        Some(Resumed {
            tip: self.tip,
            planned_at: self.tip_planned_at?,
            nonce_floor: self.nonce_floor,
            gas_day: self.gas_day,
            gas_spent: self.gas_spent,
        })
    }

    /// Takes a record that is durable.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), RecoverError> {
        match record {
            Record::Resumed(resumed) => self.resume(resumed)?,
            Record::Planned { seq, to, statement, at } => self.plan(*seq, *to, *statement, *at)?,
            Record::Signed(attempt) => self.sign(attempt)?,
            Record::Broadcast { transaction } => self.broadcast(*transaction)?,
            Record::Mined(place) => self.see(State::Mined, *place)?,
            Record::Safe(place) => self.see(State::Safe, *place)?,
            Record::Finalized(place) => self.see(State::Finalized, *place)?,
            Record::Unmined { .. } => {
                let flight = self.flight.as_mut().ok_or(RecoverError::NotInFlight)?;
                if flight.state < State::Mined {
                    return Err(RecoverError::Order { seq: flight.seq });
                }
                flight.state = flight.unmined();
                flight.place = None;
            }
            Record::Captured { seq, .. } => self.capture(*seq)?,
            Record::Appended { seq } => {
                if self.unappended.front().is_none_or(|details| details.seq != *seq) {
                    return Err(RecoverError::Order { seq: *seq });
                }
                self.unappended.pop_front();
            }
        }
        self.is_begun = true;
        Ok(())
    }

    fn resume(&mut self, resumed: &Resumed) -> Result<(), RecoverError> {
        if self.is_begun {
            return Err(RecoverError::ResumedLate);
        }
        self.tip = resumed.tip;
        self.tip_planned_at = Some(resumed.planned_at);
        self.nonce_floor = resumed.nonce_floor;
        (self.gas_day, self.gas_spent) = (resumed.gas_day, resumed.gas_spent);
        Ok(())
    }

    fn plan(&mut self, seq: u64, to: Head, statement: Hash, at: UnixMillis) -> Result<(), RecoverError> {
        if self.flight.is_some() || seq != self.tip.seq.saturating_add(1) || seq > ANCHOR_SEQ_MAX {
            return Err(RecoverError::Order { seq });
        }
        if to.size <= self.tip.head.size || self.unappended.len() >= ANCHOR_UNAPPENDED_MAX {
            return Err(RecoverError::Order { seq });
        }
        self.flight = Some(Flight {
            seq,
            to,
            statement,
            planned_at: at,
            state: State::Planned,
            place: None,
            attempts: Vec::new(),
            taken: Vec::new(),
        });
        Ok(())
    }

    fn sign(&mut self, attempt: &Attempt) -> Result<(), RecoverError> {
        let Attempt { seq, nonce, .. } = *attempt;
        let flight = self.flight.as_mut().filter(|flight| flight.seq == seq);
        let flight = flight.ok_or(RecoverError::Order { seq })?;
        if nonce < self.nonce_floor {
            return Err(RecoverError::NonceReused { seq, nonce });
        }
        let is_known = flight.attempts.iter().any(|known| known.transaction == attempt.transaction);
        let is_full = flight.attempts.len() >= ANCHOR_ATTEMPTS_MAX;
        if is_known || is_full || attempt.raw.len() > ANCHOR_TRANSACTION_BYTES_MAX {
            return Err(RecoverError::Order { seq });
        }
        if flight.best(nonce).is_none() {
            let spent = if self.gas_day == day(attempt.at) { self.gas_spent } else { 0 };
            (self.gas_day, self.gas_spent) = (day(attempt.at), spent.saturating_add(attempt.gas));
        }
        flight.attempts.push(attempt.clone());
        flight.state = flight.state.max(State::Signed);
        Ok(())
    }

    fn broadcast(&mut self, transaction: TransactionHash) -> Result<(), RecoverError> {
        let flight = self.flight.as_mut().ok_or(RecoverError::NotInFlight)?;
        let is_known = flight.attempts.iter().any(|attempt| attempt.transaction == transaction);
        if !is_known || flight.taken.contains(&transaction) {
            return Err(RecoverError::Order { seq: flight.seq });
        }
        flight.taken.push(transaction);
        flight.state = flight.state.max(State::Broadcast);
        Ok(())
    }

    fn see(&mut self, state: State, place: Place) -> Result<(), RecoverError> {
        let flight = self.flight.as_mut().ok_or(RecoverError::NotInFlight)?;
        flight.state = state;
        flight.place = Some(place);
        Ok(())
    }

    fn capture(&mut self, seq: u64) -> Result<(), RecoverError> {
        let flight = self.flight.take_if(|flight| flight.seq == seq && flight.state == State::Finalized);
        let flight = flight.ok_or(RecoverError::Order { seq })?;
        let next = flight.nonce_max().map_or(0, |nonce| nonce.saturating_add(1));
        self.nonce_floor = self.nonce_floor.max(next);
        self.tip = Tip { seq, head: flight.to, statement: flight.statement };
        self.tip_planned_at = Some(flight.planned_at);
        self.unappended.push_back(AnchorDetails {
            lane: self.lane.clone(),
            kind: AnchorKind::Ethereum,
            seq,
            to_size: flight.to.size,
            statement: flight.statement,
        });
        assert!(self.unappended.len() <= ANCHOR_UNAPPENDED_MAX, "INV-7: pending work is bounded");
        self.last = Some(flight);
        Ok(())
    }
}

/// Why records are not a lane's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// A record that does not follow from those before it.
    #[error("a record of statement {seq} does not follow from those before it: restore the lane's journal")]
    Order {
        /// The statement.
        seq: u64,
    },
    /// A record about a statement in flight where none is.
    #[error("a record speaks of a statement in flight where none is: restore the lane's journal")]
    NotInFlight,
    /// A transaction of a nonce that belongs to an earlier statement.
    #[error(
        "statement {seq} has a transaction of nonce {nonce}, which belongs to an earlier one: restore the journal"
    )]
    NonceReused {
        /// The statement.
        seq: u64,
        /// The nonce.
        nonce: u64,
    },
    /// A record that only ever comes first, after others.
    #[error("a record that only ever comes first stands after others: two journals were joined, restore one")]
    ResumedLate,
}

impl RecoverError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Inconsistent
    }
}
