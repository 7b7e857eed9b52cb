//! Regulation packs: what a rule asks of a decision's record, what must follow it by when, and how long it is kept, as data.
//!
//! Guarantees: every path that a pack names is one of the vocabulary, and every rule names its source with how surely it was read;
//! an unknown key is refused. Judging a decision takes its fields, its later entries and the time as arguments.
//! Does not do: law. A pack says what somebody read, where, and when; nothing here is legal advice, and what a rule asks that no
//! record can show is listed and not judged.
//! Specification: `docs/packs.md`.

mod error;
mod judge;
mod parse;
mod period;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::encoding::hex_decode;
use crate::entry::Kind;
use crate::hash::Hash;
use crate::record::{FieldPath, PathPattern, schema};
use crate::time::{Date, UnixMillis};

pub use error::PackError;
pub use judge::{Docket, Finding, Owing, PackSet, RuleAt, Told};
pub use period::Period;

/// What the first key of a pack says.
pub const PACK_FORMAT: &str = "ledgerstone-pack/v1";

/// The packs that come with this build, by name.
pub const BUILT_IN: [(&str, &str); 9] = [
    ("california-ads", include_str!("../packs/california-ads.toml")),
    ("colorado-sb26-189", include_str!("../packs/colorado-sb26-189.toml")),
    ("eu-ai-act", include_str!("../packs/eu-ai-act.toml")),
    ("gdpr", include_str!("../packs/gdpr.toml")),
    ("hipaa", include_str!("../packs/hipaa.toml")),
    ("illinois-hb3773", include_str!("../packs/illinois-hb3773.toml")),
    ("nyc-ll144", include_str!("../packs/nyc-ll144.toml")),
    ("reg-b", include_str!("../packs/reg-b.toml")),
    ("sec-17a4", include_str!("../packs/sec-17a4.toml")),
];

/// One regulation pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// What records name it by.
    pub reference: PackRef,
    /// The state of the law that it was written for.
    pub as_of: Date,
    /// What it is about, for a person.
    pub title: String,
    /// Where it holds.
    pub jurisdiction: String,
    /// The first day on which the rules bind; `None` where the source read does not say.
    pub in_force_from: Option<Date>,
    /// Where the rules stand.
    pub sources: Vec<Source>,
    /// What the record of a decision must hold.
    pub requirements: Vec<Requirement>,
    /// What must follow a decision, and by when.
    pub obligations: Vec<Obligation>,
    /// How long something is kept at least.
    pub retention: Vec<Retention>,
    /// What the rule says of erasing records on request.
    pub erasure: Option<Erasing>,
    /// What the rule asks and no record can show.
    pub unchecked: Vec<Unchecked>,
}

/// Name, version and digest of a pack: `NAME VERSION SHA-256`, as `decision/packs` holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackRef {
    name: String,
    version: u32,
    digest: Hash,
}

/// Where rules stand, and how surely they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the pack's rules name it by.
    pub id: String,
    /// The rule as lawyers cite it.
    pub citation: String,
    /// How surely it was read.
    pub certainty: Certainty,
    /// Where it was read, such as the address of a page.
    pub seen: Option<String>,
    /// What to know about it.
    pub remark: Option<String>,
}

/// How surely a source was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// In the source itself.
    Read,
    /// As an excerpt of a public page.
    Excerpt,
    /// Known, and not read again: check it before quoting it to anyone.
    Unverified,
}

/// A field that a decision's record must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// One of these must be there.
    pub any: Vec<PathPattern>,
    /// For which decisions.
    pub when: When,
    /// The place of its source in [`Pack::sources`].
    pub source: usize,
    /// What the rule asks, for a person.
    pub rule: String,
}

/// Which decisions a requirement is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Every one.
    #[default]
    Always,
    /// Those that the model answered without an error.
    Answered,
    /// Those against the person concerned.
    Adverse,
}

/// An entry that must follow a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// The entry's kind.
    pub kind: Kind,
    /// A field that the entry must hold.
    pub field: Option<PathPattern>,
    /// The texts of which that field must be one; none: any value will do.
    pub is: Vec<String>,
    /// What it follows.
    pub after: After,
    /// How long it may take.
    pub within: Period,
    /// The place of its source in [`Pack::sources`].
    pub source: usize,
    /// What the rule asks, for a person.
    pub rule: String,
}

/// What an entry must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// A decision that the model answered without an error.
    Decision,
    /// A decision against the person concerned, from when it was one.
    Adverse,
    /// A person's contest, from when it was received.
    Contest,
}

/// How long something is kept at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What is kept.
    pub of: Kept,
    /// How long.
    pub keep: Period,
    /// From when.
    pub from: CountsFrom,
    /// The place of its source in [`Pack::sources`].
    pub source: usize,
    /// What the rule asks, for a person.
    pub rule: String,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Records of decisions, with what was added to them.
    Records,
    /// Documents about the system, which are not in the log.
    Documents,
}

/// From when a retention period counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountsFrom {
    /// From the decision.
    Decision,
    /// The source read does not say.
    Unstated,
}

/// What the rule says of erasing records on request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasing {
    /// Whether they may be erased.
    pub erasure: Erasure,
    /// The place of its source in [`Pack::sources`].
    pub source: usize,
    /// What the rule asks, for a person.
    pub rule: String,
}

/// Whether records may be erased on request before their retention ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Erasure {
    /// Yes.
    Allowed,
    /// No.
    Refused,
}

/// What a rule asks and no record can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// The place of its source in [`Pack::sources`].
    pub source: usize,
    /// What the rule asks, for a person.
    pub rule: String,
}

impl Pack {
    /// Reads a pack.
    ///
    /// # Errors
    /// [`PackError`] says the line and what to write there.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        parse::pack(bytes)
    }

    /// The pack of that name that comes with this build.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Self::parse(text.as_bytes()).ok()
    }

    /// Where a rule of it stands.
    #[must_use]
    pub fn source(&self, place: usize) -> Option<&Source> {
        self.sources.get(place)
    }

    /// Whether it binds at that time. A pack that does not say since when binds at any.
    #[must_use]
    pub fn binds_at(&self, time: UnixMillis) -> bool {
        self.in_force_from.is_none_or(|date| date.start() <= time)
    }

    /// How long records are kept at least: the longest period for them. Counted from a decision at `time`, where it ends.
    #[must_use]
    pub fn keep_records_until(&self, time: UnixMillis) -> Option<UnixMillis> {
        let records = self.retention.iter().filter(|retention| retention.of == Kept::Records);
        records.map(|retention| retention.keep.after(time)).max()
    }
}

impl PackRef {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// SHA-256 of the pack's file.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// Reads what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (name, version, digest) = (words.next()?, words.next()?, words.next()?);
        let digest = Hash::try_from(hex_decode(digest).ok()?.as_slice()).ok()?;
        let reference = Self { name: name.to_owned(), version: version.parse().ok()?, digest };
        (is_name(name) && reference.to_string() == text).then_some(reference)
    }
}

impl fmt::Display for PackRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.version, self.digest)
    }
}

impl Requirement {
    /// Whether a field at `path` is one of those asked for. For a call about several people the same path with the row at its
    /// end is, too.
    #[must_use]
    pub fn asks_for(&self, path: &FieldPath) -> bool {
        let row = row_of(path);
        self.any.iter().any(|pattern| {
            pattern.matches(path) || row.as_ref().is_some_and(|(_, whole)| pattern.matches(whole))
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<&str> = self.any.iter().map(PathPattern::as_str).collect();
        f.write_str(&patterns.join(" or "))
    }
}

impl fmt::Display for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(field) = &self.field {
            write!(f, " with {}", field.as_str())?;
        }
        if !self.is.is_empty() {
            write!(f, " = {}", self.is.join(" or "))?;
        }
        write!(f, " within {} of {}", self.within, self.after.as_str())
    }
}

impl After {
    /// What an entry follows, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "the decision",
            Self::Adverse => "the adverse decision",
            Self::Contest => "the contest",
        }
    }
}

impl When {
    /// Which decisions, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "every decision",
            Self::Answered => "every answered decision",
            Self::Adverse => "every adverse decision",
        }
    }
}

impl Certainty {
    /// How surely, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read in the source",
            Self::Excerpt => "read as an excerpt of a public page",
            Self::Unverified => "known, not read again: check before quoting",
        }
    }
}

/// Whether `name` is 1 to 64 characters of `a-z 0-9 -`, the first and last no hyphen.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The row that a path is for, and the path without it, where the call was about several people.
fn row_of(path: &FieldPath) -> Option<(u32, FieldPath)> {
    let (whole, last) = path.as_str().rsplit_once('/')?;
    let row = last.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    let whole = FieldPath::parse(whole).ok()?;
    schema::find(&whole).is_some().then_some((row, whole))
}
