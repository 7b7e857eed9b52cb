//! When the next statement is due, and what every lane asks to have built.
//!
//! Guarantees: a statement is due only while the log is ahead of the lane; however far ahead it is, one statement covers
//! all of it. Does not do: reading a clock, or building a statement.

use super::statement::{Head, LaneName};
use crate::hash::Hash;
use crate::merkle::TreeSize;
use crate::time::UnixMillis;

/// When a lane makes its next statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// After this time since the last one was planned, in milliseconds, if there are `entries_min` new entries.
    pub interval_ms: u64,
    /// Entries below which time alone is no reason. One is every new entry; a lane's own anchor entries count too.
    pub entries_min: u64,
    /// New entries that are a reason at once.
    pub entries_max: u64,
}

impl Schedule {
    /// Whether a statement is due at `now`: the log has `size` leaves, the lane fixed `fixed` of them and planned its last
    /// statement at `planned_at`.
    #[must_use]
    pub fn is_due(
        &self,
        now: UnixMillis,
        planned_at: Option<UnixMillis>,
        size: TreeSize,
        fixed: TreeSize,
    ) -> bool {
        let entries = size.get().saturating_sub(fixed.get());
        if entries == 0 {
            return false;
        }
        // A clock that was set back by more than the interval must not silence the lane until it has caught up.
        let elapsed = planned_at.is_none_or(|at| {
            now.millis_since(at) >= self.interval_ms || at.millis_since(now) > self.interval_ms
        });
        entries >= self.entries_max.max(1) || (elapsed && entries >= self.entries_min.max(1))
    }
}

/// Whether `ms` have passed since `since`, or the clock was set back behind it.
pub(super) fn is_past(now: UnixMillis, since: UnixMillis, ms: u64) -> bool {
    now < since || now.millis_since(since) >= ms
}

/// What is to be stated next. The one who builds it writes the statement, the signed checkpoint and the consistency proof of
/// the log's tree, of `size` leaves or more; if a statement of that number lies there already, that one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The lane.
    pub lane: LaneName,
    /// The statement's number.
    pub seq: u64,
    /// What the statement before fixed.
    pub from: Head,
    /// The hash of the statement before; [`NO_STATEMENT`](super::statement::NO_STATEMENT) for the first.
    pub previous: Hash,
    /// How many leaves the log has; the tree to fix.
    pub size: TreeSize,
}

/// A statement whose files are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its number.
    pub seq: u64,
    /// What it fixes.
    pub to: Head,
    /// Its hash.
    pub statement: Hash,
    /// The hash of the statement before, as it stands in it.
    pub previous: Hash,
}

/// The last statement of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its number; 0 where there is none yet.
    pub seq: u64,
    /// What it fixes.
    pub head: Head,
    /// Its hash.
    pub statement: Hash,
}

impl Tip {
    /// The end of the chain without statements.
    #[must_use]
    pub fn none() -> Self {
        Self { seq: 0, head: Head::empty(), statement: super::statement::NO_STATEMENT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule { interval_ms: 1_000, entries_min: 2, entries_max: 100 };

    fn is_due(now: u64, planned_at: Option<u64>, size: u64, fixed: u64) -> bool {
        let (size, fixed) = (TreeSize::new(size), TreeSize::new(fixed));
        SCHEDULE.is_due(UnixMillis::new(now), planned_at.map(UnixMillis::new), size, fixed)
    }

    #[test]
    fn is_due_by_time_only_with_enough_entries() {
        assert!(!is_due(5_999, Some(5_000), 12, 10), "too early");
        assert!(is_due(6_000, Some(5_000), 12, 10));
        assert!(!is_due(6_000, Some(5_000), 11, 10), "one entry is too few");
        assert!(is_due(0, None, 12, 10), "nothing was planned before");
    }

    #[test]
    fn is_due_by_entries_at_once_and_never_without_any() {
        assert!(is_due(5_000, Some(5_000), 110, 10));
        assert!(!is_due(5_000, Some(5_000), 109, 10));
        assert!(!is_due(u64::MAX, None, 10, 10));
        assert!(!is_due(u64::MAX, None, 9, 10), "a log that went back has nothing to state");
    }

    #[test]
    fn is_due_after_the_clock_was_set_far_back() {
        assert!(!is_due(5_000, Some(6_000), 12, 10));
        assert!(is_due(5_000, Some(6_001), 12, 10));
    }
}
