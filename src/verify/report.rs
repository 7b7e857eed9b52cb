//! The report: named checks, each with its outcome, its reason in plain words and what a pass proves.

use core::fmt;

use serde::Serialize;

use crate::code::{CheckName, Code};
use crate::merkle::LeafIndex;

/// The format name every report starts with.
pub const REPORT_FORMAT: &str = "ledgerstone-report/v1";

/// How many places of failure a check lists; further ones are counted in its detail.
pub const PLACES_MAX: usize = 8;

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

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be made; the detail says what it needs.
    NotChecked,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub name: CheckName,
    /// How it went.
    pub status: Status,
    /// What was found, in plain words.
    pub detail: String,
    /// What a pass proves.
    pub proves: &'static str,
    /// For a failed check: what the reader must do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// For a failed check: where, the first [`PLACES_MAX`] places. For another: what its detail speaks of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// Where a check failed, as exactly as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The entry.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "leaf_index")]
    pub leaf_index: Option<LeafIndex>,
    /// The file, as its path below the log's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The bytes within the file, first and one past the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<(u64, u64)>,
    /// What is wrong there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
}

impl fmt::Display for Place {
    /// The file and bytes, then what is wrong there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}")?;
            if let Some((from, to)) = self.bytes {
                write!(f, ", bytes {from} to {to}")?;
            }
            if let Some(index) = self.leaf_index {
                write!(f, " (entry {index})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

fn leaf_index<S: serde::Serializer>(index: &Option<LeafIndex>, serializer: S) -> Result<S::Ok, S::Error> {
    index.map(LeafIndex::get).serialize(serializer)
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

impl Check {
    /// A check that holds.
    #[must_use]
    pub fn passed(name: CheckName, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Passed, detail.into(), None)
    }

    /// A check that does not hold.
    #[must_use]
    pub fn failed(name: CheckName, code: Code, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Failed, detail.into(), Some(code))
    }

    /// A check that could not be made; `detail` says what it needs.
    #[must_use]
    pub fn not_checked(name: CheckName, detail: impl Into<String>) -> Self {
        Self::new(name, Status::NotChecked, detail.into(), None)
    }

    /// The same check with the places where it failed, the first [`PLACES_MAX`] of them.
    #[must_use]
    pub fn at(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.places.extend(places);
        self.places.truncate(PLACES_MAX);
        self
    }

    fn new(name: CheckName, status: Status, detail: String, code: Option<Code>) -> Self {
        Self { name, status, detail, proves: name.proves(), code, places: Vec::new() }
    }
}
