//! One check of a report: its name, how it went, what was found, and what a pass proves and rests on.

use core::fmt;

use serde::Serialize;

use crate::code::{CheckName, Code};
use crate::merkle::LeafIndex;

/// How many places of failure a check lists; further ones are counted in its detail.
pub const PLACES_MAX: usize = 8;

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
    /// What the outcome rests on beyond arithmetic, where it rests on somebody: a pinned header, a certificate, a
    /// server's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<String>,
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

    /// The same check with what its outcome rests on: a pinned header, a certificate, a server's word.
    #[must_use]
    pub fn resting_on(mut self, basis: impl Into<String>) -> Self {
        self.rests_on = Some(basis.into());
        self
    }

    fn new(name: CheckName, status: Status, detail: String, code: Option<Code>) -> Self {
        Self { name, status, detail, proves: name.proves(), rests_on: None, code, places: Vec::new() }
    }
}
