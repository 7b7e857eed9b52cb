//! Whether what was fixed outside is the beginning of the log at hand.

use super::LaneReport;
use crate::anchor::statement::Head;
use crate::check::{Check, Place, Status};
use crate::checkpoint::Checkpoint;
use crate::code::{CheckName, Code};
use crate::entry::AnchorDetails;
use crate::hash::Hash;
use crate::merkle::{LeafIndex, TreeSize, consistency};
use crate::verify::plural;

/// The log that a reader has before them.
pub trait LogAtHand {
    /// Its newest signed tree.
    fn checkpoint(&self) -> &Checkpoint;

    /// The consistency proof from the tree of that size to [`LogAtHand::checkpoint`], lowest hash first.
    ///
    /// # Errors
    /// Why it cannot be had, one clause.
    fn consistency(&self, from: TreeSize) -> Result<Vec<Hash>, String>;
}

/// How one lane's last head compares with the log.
enum Compared {
    Extends,
    Contradicts(String),
    Unknown(String),
}

/// Whether the last head of each lane is the beginning of the log at hand.
#[must_use]
pub fn against(lanes: &[LaneReport], log: &dyn LogAtHand) -> Check {
    let (mut places, mut unknown, mut extended, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), 0_u64);
    for lane in lanes {
        let Some(head) = &lane.head else {
            continue;
        };
        match compare(lane, head, log) {
            Compared::Extends => extended.push(format!("{} at {}", lane.name, head.size)),
            Compared::Unknown(why) => unknown.push(format!("{}: {why}", lane.name)),
            Compared::Contradicts(what) => {
                wrong += 1;
                let path = Some(format!("anchors/{}", lane.name));
                places.push(Place { path, what, ..Place::default() });
            }
        }
    }
    let name = CheckName::AnchorLog;
    if let Some(first) = places.first() {
        let more = if wrong > 1 { format!(" In all, {wrong} lanes contradict it.") } else { String::new() };
        return Check::failed(name, Code::Inconsistent, format!("{first}{more}")).at(places);
    }
    if !unknown.is_empty() {
        return Check::not_checked(name, format!("{}.", unknown.join("; ")));
    }
    if extended.is_empty() {
        return Check::not_checked(name, "There is no statement that could be compared with the log.");
    }
    Check::passed(
        name,
        format!(
            "The log at hand has {} and extends what was fixed: {}.",
            plural(log.checkpoint().size.get(), "entry", "entries"),
            extended.join(", ")
        ),
    )
}

/// Whether every statement that the log itself says was fixed is among the lanes' statements; `entries` are the latest anchor
/// entry of each lane. Nothing where all are.
#[must_use]
pub fn told_by(entries: &[(LeafIndex, AnchorDetails)], lanes: &[LaneReport]) -> Option<Check> {
    let mut places = Vec::new();
    for (index, told) in entries {
        let lane = lanes.iter().find(|lane| lane.name == told.lane.as_str());
        // A lane that failed was not followed to its end.
        if lane.is_some_and(|lane| lane.checks.iter().any(|check| check.status == Status::Failed)) {
            continue;
        }
        let known = lane.map_or(0, |lane| lane.statements);
        let what = if known < told.seq {
            format!(
                "The log says that statement {} was fixed here, but there are only {known}: the last of them were left out.",
                told.seq
            )
        } else if known == told.seq
            && lane.and_then(|lane| lane.last).is_some_and(|last| last != told.statement)
        {
            format!("The log says that another statement {} was fixed here: keep both.", told.seq)
        } else {
            continue;
        };
        let path = Some(format!("anchors/{}", told.lane));
        places.push(Place { path, what, leaf_index: Some(*index), ..Place::default() });
    }
    let first = places.first()?.to_string();
    Some(Check::failed(CheckName::AnchorStatements, Code::Inconsistent, first).at(places))
}

fn compare(lane: &LaneReport, head: &Head, log: &dyn LogAtHand) -> Compared {
    let own = log.checkpoint();
    if let Some(origin) = lane.origin.as_ref().filter(|origin| **origin != own.origin) {
        return Compared::Contradicts(format!(
            "Its statements are about the log {origin}, but the log at hand is {}.",
            own.origin
        ));
    }
    if head.size > own.size {
        return Compared::Contradicts(format!(
            "The log was fixed with {}, but the one at hand has only {}: it is an older copy, or its end was cut off.",
            plural(head.size.get(), "entry", "entries"),
            plural(own.size.get(), "entry", "entries")
        ));
    }
    let proof = match log.consistency(head.size) {
        Ok(proof) => proof,
        Err(why) => return Compared::Unknown(why),
    };
    match consistency::verify(head.size, &head.root, own.size, &own.root, &proof) {
        Ok(()) => Compared::Extends,
        Err(_) => Compared::Contradicts(format!(
            "The first {} that were fixed, with root {}, are not the beginning of the log at hand: one of the two was \
             rewritten, or the log's hash files are damaged (`ledgerstone verify log` tells which).",
            plural(head.size.get(), "entry", "entries"),
            head.root
        )),
    }
}
