//! What must hold from each entry to the next: time, links, and no decision twice.

use super::Findings;
use crate::code::{CheckName, Code};
use crate::entry::{DecisionId, Entry, Kind};
use crate::limits::WALK_DECISIONS_MAX;
use crate::merkle::LeafIndex;
use crate::time::UnixMillis;
use crate::verify::{Check, Place, plural};

/// What of the entries so far must be remembered to judge the next.
#[derive(Debug, Default)]
pub(super) struct History {
    first: Option<UnixMillis>,
    latest: UnixMillis,
    time: Findings,
    links: Findings,
    links_seen: u64,
    /// Every decision with the index of its entry: 24 bytes each, at most [`WALK_DECISIONS_MAX`], sorted at the end.
    decisions: Vec<(DecisionId, LeafIndex)>,
    decisions_seen: u64,
}

impl History {
    pub(super) fn entry(&mut self, index: LeafIndex, entry: &Entry) {
        self.time(index, entry.recorded_at);
        self.links(index, entry);
        if let (Kind::Decision, Some(decision)) = (entry.kind, entry.decision) {
            self.decisions_seen += 1;
            if self.decisions.len() < WALK_DECISIONS_MAX {
                self.decisions.push((decision, index));
            }
        }
    }

    pub(super) fn checks(self) -> Vec<Check> {
        let time = match self.first {
            Some(first) => format!("Times run forward from {first} to {}.", self.latest),
            None => "There is no entry.".to_owned(),
        };
        let followed = plural(self.links_seen, "link was", "links were");
        let links = format!("{followed} followed; each leads back to an earlier entry.");
        vec![
            self.time.check(CheckName::LogTime, Code::Inconsistent, time),
            self.links.check(CheckName::LogLinks, Code::Inconsistent, links),
            decision_check(self.decisions, self.decisions_seen),
        ]
    }

    fn time(&mut self, index: LeafIndex, recorded_at: UnixMillis) {
        self.first.get_or_insert(recorded_at);
        if recorded_at < self.latest {
            let what =
                format!("Entry {index} says {recorded_at}, but an entry before it says {}.", self.latest);
            self.time.add(Place { leaf_index: Some(index), what, ..Place::default() });
        }
        self.latest = self.latest.max(recorded_at);
    }

    fn links(&mut self, index: LeafIndex, entry: &Entry) {
        self.links_seen += entry.links.len() as u64;
        if let Some(link) = entry.links.iter().find(|link| **link >= index) {
            let what = format!("Entry {index} refers to entry {link}, which is not before it.");
            self.links.add(Place { leaf_index: Some(index), what, ..Place::default() });
        }
    }
}

fn decision_check(mut decisions: Vec<(DecisionId, LeafIndex)>, seen: u64) -> Check {
    decisions.sort_unstable();
    let mut found = Findings::default();
    for ((earlier, first), (later, again)) in decisions.iter().zip(decisions.iter().skip(1)) {
        if earlier == later {
            let what = format!("Decision {later} is recorded by entry {first} and again by entry {again}.");
            found.add(Place { leaf_index: Some(*again), what, ..Place::default() });
        }
    }
    if found.count == 0 && seen > WALK_DECISIONS_MAX as u64 {
        let detail = format!(
            "The log has {seen} decisions. The first {WALK_DECISIONS_MAX} were compared and none is recorded twice; \
             memory is granted for no more."
        );
        return Check::not_checked(CheckName::LogDecisions, detail);
    }
    let detail = format!("{}, none of them recorded twice.", plural(seen, "decision", "decisions"));
    found.check(CheckName::LogDecisions, Code::Inconsistent, detail)
}
