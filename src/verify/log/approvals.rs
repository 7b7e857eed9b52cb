//! Whether changes that needed the approval of several persons have it (`docs/spec/approval.md`).

use super::Findings;
use crate::approval::{self, Fault, Taken};
use crate::code::{CheckName, Code};
use crate::entry::{Entry, Kind};
use crate::merkle::LeafIndex;
use crate::note::KeyName;
use crate::verify::{Check, Place, plural};

/// The approvals of a log, as far as it was read.
#[derive(Debug)]
pub(super) struct Approvals {
    origin: Option<KeyName>,
    history: approval::History,
    found: Findings,
    rosters: u64,
    approved: u64,
    free: u64,
}

impl Approvals {
    pub(super) fn new(origin: Option<KeyName>) -> Self {
        let history = approval::History::default();
        Self { origin, history, found: Findings::default(), rosters: 0, approved: 0, free: 0 }
    }

    pub(super) fn entry(&mut self, index: LeafIndex, entry: &Entry) {
        let Some(origin) = &self.origin else { return };
        let had_roster = self.rosters > 0;
        self.rosters += u64::from(entry.kind == Kind::Roster);
        match self.history.take(origin, index, entry) {
            Ok(Taken::Other) => {}
            Ok(Taken::Free) => self.free += u64::from(had_roster),
            Ok(Taken::Approved) => self.approved += 1,
            Err(fault) => self.add(index, &fault),
        }
    }

    /// None for a log that never asked for approvals and holds none.
    pub(super) fn check(self) -> Option<Check> {
        if self.rosters == 0 && self.found.count == 0 {
            return None;
        }
        let name = CheckName::LogApprovals;
        if self.found.count == 0 && self.history.is_full() {
            let detail = "The log has more approved changes than memory is granted for: whether one was used again is not known.";
            return Some(Check::not_checked(name, detail));
        }
        let mut detail = format!(
            "{} approved as the roster in force asked.",
            plural(self.approved, "change was", "changes were")
        );
        if self.free > 0 {
            let changes = plural(self.free, "change", "changes");
            detail.push_str(&format!(" For {changes} since the first roster nobody had to approve."));
        }
        let basis = "the first roster, which nobody approved: compare it with what the operator says";
        Some(self.found.check(name, Code::Untrusted, detail).resting_on(basis))
    }

    fn add(&mut self, index: LeafIndex, fault: &Fault) {
        let what = format!("Entry {index}: {fault}.");
        self.found.add(Place { leaf_index: Some(index), what, ..Place::default() });
    }
}
