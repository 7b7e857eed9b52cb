//! What the reader of a log report can do next, and what it leaves open.

use ledgerstone::code::CheckName;
use ledgerstone::verify::{Report, Status, Verdict};

const WHAT_CUT_OFF: &str = "Ask the operator what interrupted the recorder, and what its other logs show for that time. Everything that is in \
     the log was checked all the same.";

/// What the verdict says about the log, in one clause.
pub(super) fn meaning(report: &Report) -> &'static str {
    let failed = |name| report.check(name).is_some_and(|check| check.status == Status::Failed);
    match report.verdict() {
        Verdict::Verified if was_cut_off(report) => {
            "the log is whole and unchanged since it was signed, and it says where a recorder was cut off"
        }
        Verdict::Verified => "the log is whole and unchanged since it was signed",
        Verdict::Failed if failed(CheckName::CheckpointSignatures) => {
            "nobody whom you trust vouches for this log"
        }
        Verdict::Failed if failed(CheckName::LogRoot) || failed(CheckName::CheckpointConsistency) => {
            "this is not the log that was signed"
        }
        Verdict::Failed => "something in this log is missing or was changed",
        Verdict::Undecided => "nothing wrong was found, but that is not enough",
    }
}

/// Whether a run of a recorder ended without a stop.
pub(super) fn was_cut_off(report: &Report) -> bool {
    report.check(CheckName::LogStops).is_some_and(|check| !check.places.is_empty())
}

/// The steps, most useful first.
pub(super) fn next(report: &Report, has_policy: bool) -> Vec<String> {
    let mut steps = Vec::new();
    let status = |name| report.check(name).map(|check| check.status);
    let failed = |name| status(name) == Some(Status::Failed);
    match report.verdict() {
        Verdict::Verified => {
            steps.push(
                "Keep the log's checkpoint (`ledgerstone log checkpoint`): given with --checkpoint next time, it shows \
                 that nothing was taken back in between.",
            );
            if was_cut_off(report) {
                steps.push(WHAT_CUT_OFF);
            }
        }
        Verdict::Failed => {
            steps.push("Keep this directory as it is and keep this report: both are evidence.");
            if failed(CheckName::CheckpointSignatures) {
                steps.push(
                    "Check that the policy file is this log's, from a source you trust. If it is, ask the operator for \
                     another copy of the log and for an explanation, in writing.",
                );
            } else if failed(CheckName::LogRoot) || failed(CheckName::CheckpointConsistency) {
                steps
                    .push("Ask the operator for another copy of the log and for an explanation, in writing.");
            } else {
                steps.push(
                    "The entries themselves may be whole: restore the files named above from another copy of the log \
                     and run the command again.",
                );
            }
        }
        Verdict::Undecided => {
            if !has_policy {
                steps.push(
                    "Get the log's policy file from the operator over a channel you trust, not out of this directory, \
                     and run the command again with --policy FILE.",
                );
            }
            if status(CheckName::LogStops) == Some(Status::NotChecked) {
                steps.push(WHAT_CUT_OFF);
            }
            if status(CheckName::LogBundles) == Some(Status::NotChecked)
                || status(CheckName::LogFiles) == Some(Status::NotChecked)
            {
                steps.push("Make the files or the server named above readable, then run the command again.");
            }
        }
    }
    steps.into_iter().map(str::to_owned).collect()
}
