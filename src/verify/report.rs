//! The report: named checks, each with its outcome, its reason in plain words and what a pass proves.

use serde::Serialize;

use crate::check::{Check, Status};
use crate::code::CheckName;

/// The format name every report starts with.
pub const REPORT_FORMAT: &str = "ledgerstone-report/v1";

/// What was checked about one thing, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    format: &'static str,
    subject: String,
    verdict: Verdict,
    checks: Vec<Check>,
    not_proved: Vec<&'static str>,
}

/// The sum of a report's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check passed.
    Verified,
    /// At least one check failed.
    Failed,
    /// No check failed, but at least one could not be made.
    Undecided,
}

impl Report {
    /// Sums up `checks` about `subject`.
    #[must_use]
    pub fn new(subject: String, checks: Vec<Check>, not_proved: Vec<&'static str>) -> Self {
        Self { format: REPORT_FORMAT, subject, verdict: Verdict::of(&checks), checks, not_proved }
    }

    /// The same report with further checks, its verdict summed up again.
    #[must_use]
    pub fn with(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self.verdict = Verdict::of(&self.checks);
        self
    }

    /// The same report about another subject, with more that is not proved.
    #[must_use]
    pub fn about(mut self, subject: String, not_proved: impl IntoIterator<Item = &'static str>) -> Self {
        self.subject = subject;
        self.not_proved.extend(not_proved);
        self
    }

    /// What was checked.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The sum of the checks.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The checks, in the order they were made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The check of that name, if it is in the report.
    #[must_use]
    pub fn check(&self, name: CheckName) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// What a reader might think is proved and is not.
    #[must_use]
    pub fn not_proved(&self) -> &[&'static str] {
        &self.not_proved
    }
}

impl Verdict {
    /// Failed if any check failed, else undecided if any was not made or there is none, else verified.
    #[must_use]
    pub fn of(checks: &[Check]) -> Self {
        let any = |status| checks.iter().any(|check| check.status == status);
        if any(Status::Failed) {
            Self::Failed
        } else if checks.is_empty() || any(Status::NotChecked) {
            Self::Undecided
        } else {
            Self::Verified
        }
    }

    /// The verdict as it stands in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}
