//! What the reader of a report on anchors can do next.

use ledgerstone::code::{CheckName, Code};
use ledgerstone::verify::{Check, Report, Status, Verdict};

use super::Options;

/// What the verdict says about the anchors, in one clause.
pub(super) fn meaning(report: &Report) -> &'static str {
    let failed = |name| report.check(name).is_some_and(|check| check.status == Status::Failed);
    match report.verdict() {
        Verdict::Verified => "the log's head was fixed outside, and nothing in it was rewritten since",
        Verdict::Failed if failed(CheckName::AnchorLog) => "this is not the log whose head was fixed outside",
        Verdict::Failed => "what is said to fix the log outside does not",
        Verdict::Undecided => "nothing wrong was found, but that is not enough",
    }
}

/// The steps, most useful first.
pub(super) fn next(report: &Report, options: &Options) -> Vec<String> {
    let mut steps = Vec::new();
    match report.verdict() {
        Verdict::Verified => steps.push(
            "Keep this folder and the trust file together: they can be checked again at any time, without the operator.",
        ),
        Verdict::Failed => failed(report, &mut steps),
        Verdict::Undecided => undecided(report, options, &mut steps),
    }
    steps.into_iter().map(str::to_owned).collect()
}

fn failed(report: &Report, steps: &mut Vec<&'static str>) {
    steps.push("Keep this directory as it is and keep this report: both are evidence.");
    let is_untrusted = |check: &&Check| check.status == Status::Failed && check.code == Some(Code::Untrusted);
    if report.check(CheckName::AnchorLog).is_some_and(|check| check.status == Status::Failed) {
        steps.push("Ask the operator for a newer copy of the log, and for an explanation in writing.");
    } else if report.checks().iter().any(|check| is_untrusted(&check)) {
        steps.push(
            "Check that the policy and the trust file are meant for this log, and where you have them from. If they are, ask \
             the operator for an explanation, in writing.",
        );
    } else {
        steps.push(
            "Ask the operator for another copy of the files named above, and for an explanation in writing.",
        );
    }
}

fn undecided(report: &Report, options: &Options, steps: &mut Vec<&'static str>) {
    if options.policy.is_none() {
        steps.push(
            "Get the log's policy file from the operator over a channel you trust, not out of this directory, and run the \
             command again with --policy FILE.",
        );
    }
    if options.trust.is_none() {
        steps.push(
            "Write down in a small file whom you trust, such as a block's hash that you looked up yourself or an authority's \
             root certificate, and run the command again with --anchor-trust FILE (docs/spec/anchor-trust.md).",
        );
    }
    if report.check(CheckName::AnchorLog).is_some_and(|check| check.status == Status::NotChecked) {
        steps.push("Run the command on a copy that holds the log's `checkpoint` and `tile` folder too.");
    }
    if steps.is_empty() {
        steps.push("See the checks above that could not be made, and what each of them needs.");
    }
}
