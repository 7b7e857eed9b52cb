//! The records of a submitting lane's journal, and what they say taken one after the other.
//!
//! Guarantees: one spelling per record; running and recovering go through the same code (INV-6); a record that does not follow
//! from those before it is refused.

use std::collections::{BTreeMap, VecDeque};

use super::Config;
use crate::anchor::record::{Cursor, RecordError, Row};
use crate::anchor::schedule::Tip;
use crate::anchor::statement::Head;
use crate::code::Code;
use crate::entry::{AnchorDetails, AnchorKind, LaneName};
use crate::hash::Hash;
use crate::limits::{ANCHOR_PENDING_MAX, ANCHOR_SEQ_MAX, ANCHOR_UNAPPENDED_MAX};
use crate::time::UnixMillis;

/// One step of a lane, durable before anything follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The lane goes on after this statement, which was accepted; only ever the first record.
    Resumed {
        /// The last accepted statement; none of the lane waits for its upgrade.
        tip: Tip,
        /// When it was planned.
        planned_at: UnixMillis,
    },
    /// A statement is built.
    Planned {
        /// Its number, one above the last accepted one.
        seq: u64,
        /// What it fixes.
        to: Head,
        /// Its hash.
        statement: Hash,
        /// When it was planned.
        at: UnixMillis,
    },
    /// Its proof is durable; one of an authority is whole, one of calendars is pending.
    Accepted {
        /// Of which statement.
        seq: u64,
        /// When.
        at: UnixMillis,
    },
    /// Its proof stands without its calendars.
    Upgraded {
        /// Of which statement.
        seq: u64,
        /// When.
        at: UnixMillis,
    },
    /// All that the proof rests on is durable.
    Captured {
        /// Of which statement.
        seq: u64,
        /// When.
        at: UnixMillis,
    },
    /// Its entry is in the log.
    Appended {
        /// Of which statement.
        seq: u64,
    },
}

const RESUMED: u64 = 1;
const PLANNED: u64 = 2;
const ACCEPTED: u64 = 3;
const UPGRADED: u64 = 4;
const CAPTURED: u64 = 5;
const APPENDED: u64 = 6;

impl Record {
    /// The bytes that the journal keeps; at most [`ANCHOR_RECORD_BYTES_MAX`](crate::limits::ANCHOR_RECORD_BYTES_MAX).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let step = |number, seq: u64, at| Row::new(number, 2).uint(seq).time(at).finish();
        match self {
            Self::Resumed { tip, planned_at } => Row::new(RESUMED, 5).tip(tip).time(*planned_at).finish(),
            Self::Planned { seq, to, statement, at } => {
                Row::new(PLANNED, 5).uint(*seq).head(to).bytes(statement.as_bytes()).time(*at).finish()
            }
            Self::Accepted { seq, at } => step(ACCEPTED, *seq, *at),
            Self::Upgraded { seq, at } => step(UPGRADED, *seq, *at),
            Self::Captured { seq, at } => step(CAPTURED, *seq, *at),
            Self::Appended { seq } => Row::new(APPENDED, 1).uint(*seq).finish(),
        }
    }

    /// Reads a record from its exact bytes.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes are anything else than what [`Record::encode`] gives for some record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (number, mut cursor) = Cursor::open(bytes)?;
        let record = match number {
            RESUMED => Self::Resumed { tip: cursor.tip()?, planned_at: cursor.time()? },
            PLANNED => Self::Planned {
                seq: cursor.seq(1)?,
                to: cursor.head()?,
                statement: cursor.hash()?,
                at: cursor.time()?,
            },
            ACCEPTED => Self::Accepted { seq: cursor.seq(1)?, at: cursor.time()? },
            UPGRADED => Self::Upgraded { seq: cursor.seq(1)?, at: cursor.time()? },
            CAPTURED => Self::Captured { seq: cursor.seq(1)?, at: cursor.time()? },
            APPENDED => Self::Appended { seq: cursor.seq(1)? },
            found => return Err(RecordError::Unknown { found }),
        };
        cursor.finish()?;
        Ok(record)
    }
}

/// A statement that is planned, and waits to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) tip: Tip,
    pub(super) planned_at: UnixMillis,
}

/// A statement that is accepted, and waits for its upgrade or for the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) tip: Tip,
    pub(super) planned_at: UnixMillis,
    pub(super) accepted_at: UnixMillis,
    pub(super) is_upgraded: bool,
}

/// Everything that is durable about a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    lane: LaneName,
    kind: AnchorKind,
    is_begun: bool,
    /// The last accepted statement: where the next one starts.
    pub(super) accepted: Tip,
    pub(super) accepted_planned_at: Option<UnixMillis>,
    /// The last statement up to which every proof is whole.
    pub(super) anchored: Tip,
    pub(super) anchored_planned_at: Option<UnixMillis>,
    pub(super) planned: Option<Planned>,
    /// Accepted statements whose proofs are not whole, at most [`ANCHOR_PENDING_MAX`].
    pub(super) pending: BTreeMap<u64, Pending>,
    /// Statements whose proofs are whole and whose entries are not known to be in the log, oldest first.
    pub(super) unappended: VecDeque<AnchorDetails>,
    /// Statements behind one that is still pending whose proofs are whole.
    whole: BTreeMap<u64, Planned>,
}

impl Course {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            lane: config.lane.clone(),
            kind: config.kind,
            is_begun: false,
            accepted: Tip::none(),
            accepted_planned_at: None,
            anchored: Tip::none(),
            anchored_planned_at: None,
            planned: None,
            pending: BTreeMap::new(),
            unappended: VecDeque::new(),
            whole: BTreeMap::new(),
        }
    }

    /// The first record of a journal that may stand for all records so far; none while something is under way.
    pub(super) fn resumed(&self) -> Option<Record> {
        let is_quiet = self.planned.is_none() && self.pending.is_empty() && self.unappended.is_empty();
        let planned_at = self.accepted_planned_at.filter(|_| is_quiet)?;
        Some(Record::Resumed { tip: self.accepted, planned_at })
    }

    /// Whether there is room for one more statement.
    pub(super) fn has_room(&self, pending_max: usize) -> bool {
        self.pending.len() + self.whole.len() < pending_max.min(ANCHOR_PENDING_MAX)
    }

    /// Takes a record that is durable.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), RecoverError> {
        match *record {
            Record::Resumed { tip, planned_at } => {
                if self.is_begun {
                    return Err(RecoverError::ResumedLate);
                }
                (self.accepted, self.accepted_planned_at) = (tip, Some(planned_at));
                (self.anchored, self.anchored_planned_at) = (tip, Some(planned_at));
            }
            Record::Planned { seq, to, statement, at } => {
                let follows = seq == self.accepted.seq.saturating_add(1) && seq <= ANCHOR_SEQ_MAX;
                let grows = to.size > self.accepted.head.size;
                if self.planned.is_some() || !follows || !grows || !self.has_room(ANCHOR_PENDING_MAX) {
                    return Err(RecoverError::Order { seq });
                }
                self.planned = Some(Planned { tip: Tip { seq, head: to, statement }, planned_at: at });
            }
            Record::Accepted { seq, at } => self.accept(seq, at)?,
            Record::Upgraded { seq, .. } => {
                let pending = self.pending.get_mut(&seq).filter(|pending| !pending.is_upgraded);
                pending.ok_or(RecoverError::Order { seq })?.is_upgraded = true;
            }
            Record::Captured { seq, .. } => {
                if self.pending.get(&seq).is_none_or(|pending| !pending.is_upgraded) {
                    return Err(RecoverError::Order { seq });
                }
                if let Some(Pending { tip, planned_at, .. }) = self.pending.remove(&seq) {
                    self.complete(Planned { tip, planned_at });
                }
            }
            Record::Appended { seq } => {
                if self.unappended.front().is_none_or(|details| details.seq != seq) {
                    return Err(RecoverError::Order { seq });
                }
                self.unappended.pop_front();
            }
        }
        self.is_begun = true;
        Ok(())
    }

    fn accept(&mut self, seq: u64, at: UnixMillis) -> Result<(), RecoverError> {
        let planned = self.planned.take_if(|planned| planned.tip.seq == seq);
        let planned = planned.ok_or(RecoverError::Order { seq })?;
        let Planned { tip, planned_at } = planned;
        (self.accepted, self.accepted_planned_at) = (tip, Some(planned_at));
        if self.kind == AnchorKind::Bitcoin {
            let pending = Pending { tip, planned_at, accepted_at: at, is_upgraded: false };
            self.pending.insert(seq, pending);
        } else {
            self.complete(planned);
        }
        Ok(())
    }

    /// Takes note that the proof of a statement is whole.
    fn complete(&mut self, whole: Planned) {
        let Tip { seq, head, statement } = whole.tip;
        let (lane, kind) = (self.lane.clone(), self.kind);
        self.unappended.push_back(AnchorDetails { lane, kind, seq, to_size: head.size, statement });
        self.whole.insert(seq, whole);
        while let Some(next) = self.whole.remove(&self.anchored.seq.saturating_add(1)) {
            (self.anchored, self.anchored_planned_at) = (next.tip, Some(next.planned_at));
        }
        let bound = ANCHOR_PENDING_MAX + ANCHOR_UNAPPENDED_MAX;
        assert!(self.unappended.len() <= bound, "INV-7: pending work is bounded");
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

#[cfg(test)]
mod tests;
