//! Whether as many independent kinds of anchors hold as a reader asks for.

use super::LaneReport;
use crate::anchor::quorum::AnchorQuorum;
use crate::anchor::statement::AnchorKind;
use crate::check::Check;
use crate::code::{CheckName, Code};
use crate::merkle::TreeSize;
use crate::verify::plural;

/// Whether as many kinds hold as the quorum asks for, and up to which size; `witnessed` is the size of a log that a quorum of
/// witnesses cosigned.
#[must_use]
pub fn check(quorum: &AnchorQuorum, lanes: &[LaneReport], witnessed: Option<TreeSize>) -> Check {
    let lane_size =
        |lane: &LaneReport| Some((lane.kind.filter(|kind| kind.has_statements())?, lane.proved?.size));
    let witnessed = witnessed.map(|size| (AnchorKind::Witnesses, size));
    let holding = quorum.fixed(lanes.iter().filter_map(lane_size).chain(witnessed));
    let found: Vec<String> = holding
        .iter()
        .map(|(size, kind)| format!("{kind} holds for the first {}", plural(size.get(), "entry", "entries")))
        .collect();
    let found = if found.is_empty() { "no kind holds".to_owned() } else { found.join(", ") };
    match holding.get(quorum.threshold() - 1) {
        Some((size, _)) => Check::passed(
            CheckName::AnchorQuorum,
            format!(
                "The policy asks for {quorum}: {found}. It is met for the first {} of the log.",
                plural(size.get(), "entry", "entries")
            ),
        ),
        None => missed(quorum, lanes, &found),
    }
}

/// A quorum that is missed: failed if a lane failed, else not checked, because the rest may still come.
fn missed(quorum: &AnchorQuorum, lanes: &[LaneReport], found: &str) -> Check {
    let detail = format!("The policy asks for {quorum}, but {found}.");
    let failed =
        |lane: &LaneReport| lane.checks.iter().any(|check| check.status == crate::check::Status::Failed);
    if lanes.iter().any(failed) {
        Check::failed(CheckName::AnchorQuorum, Code::Untrusted, detail)
    } else {
        let detail = format!("{detail} The others are not there, not yet anchored, or could not be checked.");
        Check::not_checked(CheckName::AnchorQuorum, detail)
    }
}
