//! What an access entry says: for what sealed records were opened, and which.
//!
//! Guarantees: nothing in it says who read (INV-8); that stands in the entry's own sealed record. Specification:
//! `docs/spec/entry.md`.

use super::details::Left;
use super::{Detail, Details, Entry, EntryError, Part};

/// What records were opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AccessPurpose {
    /// The history of a decision, over the recorder's port.
    History = 1,
    /// One decision, on the operator's command line.
    Record = 2,
    /// A notice to a person.
    Notice = 3,
    /// Evidence for somebody without the log.
    Bundle = 4,
    /// A vault of protected attributes.
    Vault = 5,
    /// A check against regulation packs.
    Packs = 6,
}

impl AccessPurpose {
    /// Every purpose, by rising number.
    pub const ALL: [Self; 6] =
        [Self::History, Self::Record, Self::Notice, Self::Bundle, Self::Vault, Self::Packs];

    /// The number that stands in the entry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The purpose with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number)
    }

    /// The purpose as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Record => "record",
            Self::Notice => "notice",
            Self::Bundle => "bundle",
            Self::Vault => "vault",
            Self::Packs => "packs",
        }
    }
}

/// What an access entry says beyond its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessDetails {
    /// What the records were opened for.
    pub purpose: AccessPurpose,
    /// First and last leaf index of a stretch whose records were opened, instead of links.
    pub stretch: Option<(u64, u64)>,
}

impl From<AccessDetails> for Details {
    fn from(access: AccessDetails) -> Self {
        let details = Self::new().with(1, Detail::Uint(access.purpose.number()));
        match access.stretch {
            None => details,
            Some((first, last)) => details.with(2, Detail::Uint(first)).with(3, Detail::Uint(last)),
        }
    }
}

impl Left<'_> {
    pub(super) fn access(&mut self) -> Result<AccessDetails, EntryError> {
        let purpose = AccessPurpose::from_number(self.uint(1)?).ok_or(self.wrong(1))?;
        if self.details.value(2).is_none() {
            return Ok(AccessDetails { purpose, stretch: None });
        }
        let (first, last) = (self.uint(2)?, self.uint(3)?);
        if last < first {
            return Err(self.wrong(3));
        }
        Ok(AccessDetails { purpose, stretch: Some((first, last)) })
    }
}

impl Entry {
    /// An access entry names what was read in one of two ways: by links, or as a stretch of the log, which is about no one decision.
    pub(super) fn check_access(&self, access: &AccessDetails) -> Result<(), EntryError> {
        let kind = self.kind;
        match (access.stretch.is_some(), self.links.is_empty()) {
            (false, true) => return Err(EntryError::Missing { part: Part::Links, kind }),
            (true, false) => return Err(EntryError::Surplus { part: Part::Links, kind }),
            _ => {}
        }
        if access.stretch.is_some() && self.decision.is_some() {
            return Err(EntryError::Surplus { part: Part::Decision, kind });
        }
        Ok(())
    }
}
