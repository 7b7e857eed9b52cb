//! What a checked report means, and what its reader can do now.

use ledgerstone::code::CheckName;
use ledgerstone::verify::{Report, Status, Verdict};

/// What no check of a report shows.
pub(super) const NOT_PROVED: [&str; 3] = [
    "That the recorded inputs were true, that the computation ran when the decision was made, or that every decision was logged.",
    "That the plan was fixed before its randomness was known: compare the plan's SHA-256 with what was published or logged before.",
    "Anything about report.html and report.pdf: only the signed report.json counts.",
];

/// What the verdict says about the report, in one clause.
pub(super) fn meaning(report: &Report) -> &'static str {
    let failed = |name| report.check(name).is_some_and(|check| check.status == Status::Failed);
    match report.verdict() {
        Verdict::Verified => "the report is the auditor's, and everything in it follows from the evidence",
        Verdict::Failed if failed(CheckName::AuditReport) => "this auditor did not sign this report as it is",
        Verdict::Failed => "the report does not follow from what it was made from",
        Verdict::Undecided => "nothing wrong was found, but not everything was checked",
    }
}

/// What the reader can do next.
pub(super) fn next(report: &Report) -> Vec<String> {
    let step = match report.verdict() {
        Verdict::Verified => {
            "Read the report for what it found: that it is genuine does not mean that it is favourable."
        }
        Verdict::Failed => {
            "Do not rely on this report. Keep it and every file as they are, and ask the auditor."
        }
        Verdict::Undecided => "See the checks above that could not be made, and what each of them needs.",
    };
    vec![step.to_owned()]
}
