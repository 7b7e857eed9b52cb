//! Which models a log registers, and which digests its decisions name.
//!
//! Guarantees: a decision's digest counts as registered only if an entry before the decision registered it, because a
//! registration that comes afterwards proves nothing about what was meant then. Entries are taken in the order of the log.
//! Does not do: reading a log; saying which registered name a decision was made under, which stands in its record.
//! Specification: `docs/spec/entry.md`, kind 10.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::entry::{Entry, Kind, KindDetails, RegisteredName, RegisteredVersion};
use crate::hash::Hash;
use crate::limits::{REGISTRATIONS_MAX, WALK_MODELS_MAX};
use crate::merkle::LeafIndex;
use crate::time::UnixMillis;

/// One model entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where it stands.
    pub index: LeafIndex,
    /// When the log took it.
    pub recorded_at: UnixMillis,
    /// What the model is registered as.
    pub name: RegisteredName,
    /// Which version of it.
    pub version: RegisteredVersion,
    /// SHA-256 of the model artifact; of a folder, the root of its manifest.
    pub digest: Hash,
    /// SHA-256 of the signature bundle, where one was named.
    pub signature: Option<Hash>,
}

impl Registration {
    /// What `entry`, at `index`, registers, if it is a model entry.
    #[must_use]
    pub fn of(index: LeafIndex, entry: &Entry) -> Option<Self> {
        let (Ok(KindDetails::Model(details)), Some(digest)) = (entry.kind_details(), entry.model) else {
            return None;
        };
        Some(Self {
            index,
            recorded_at: entry.recorded_at,
            name: details.name,
            version: details.version,
            digest,
            signature: details.signature,
        })
    }
}

/// The decisions that name one digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// How many there are.
    pub decisions: u64,
    /// How many of them stand before any registration of that digest.
    pub unregistered: u64,
}

/// The registrations of a log, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Registrations {
    all: Vec<Registration>,
    /// The places in `all`, by digest and by name, rising.
    by_digest: BTreeMap<Hash, Vec<usize>>,
    by_name: BTreeMap<RegisteredName, Vec<usize>>,
    decided: BTreeMap<Hash, Decided>,
    without_model: u64,
}

impl Registrations {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry of the log.
    ///
    /// # Errors
    /// [`RegistryError`] if there is more than a walk keeps, or the entry comes before one that was taken.
    pub fn take(&mut self, index: LeafIndex, entry: &Entry) -> Result<(), RegistryError> {
        if let Some(registration) = Registration::of(index, entry) {
            return self.register(registration);
        }
        if entry.kind != Kind::Decision {
            return Ok(());
        }
        let Some(digest) = entry.model else {
            self.without_model = self.without_model.saturating_add(1);
            return Ok(());
        };
        let unregistered = self.registered(&digest, index).is_none();
        if self.decided.len() >= WALK_MODELS_MAX && !self.decided.contains_key(&digest) {
            return Err(RegistryError::TooManyModels);
        }
        let decided = self.decided.entry(digest).or_default();
        decided.decisions = decided.decisions.saturating_add(1);
        decided.unregistered = decided.unregistered.saturating_add(u64::from(unregistered));
        Ok(())
    }

    fn register(&mut self, registration: Registration) -> Result<(), RegistryError> {
        if self.all.len() >= REGISTRATIONS_MAX {
            return Err(RegistryError::TooManyRegistrations);
        }
        if self.all.last().is_some_and(|last| last.index >= registration.index) {
            return Err(RegistryError::Order { index: registration.index });
        }
        let place = self.all.len();
        self.by_digest.entry(registration.digest).or_default().push(place);
        self.by_name.entry(registration.name.clone()).or_default().push(place);
        self.all.push(registration);
        Ok(())
    }

    /// The newest registration of `digest` that stands before `at`.
    #[must_use]
    pub fn registered(&self, digest: &Hash, at: LeafIndex) -> Option<&Registration> {
        self.newest(self.by_digest.get(digest)?, at)
    }

    /// What was registered under `name` when the entry at `at` came: its newest registration before that.
    #[must_use]
    pub fn in_force(&self, name: &RegisteredName, at: LeafIndex) -> Option<&Registration> {
        self.newest(self.by_name.get(name)?, at)
    }

    fn newest(&self, places: &[usize], at: LeafIndex) -> Option<&Registration> {
        let newest_first = places.iter().rev().filter_map(|place| self.all.get(*place));
        newest_first.into_iter().find(|registration| registration.index < at)
    }

    /// Every registration, by rising leaf index.
    #[must_use]
    pub fn all(&self) -> &[Registration] {
        &self.all
    }

    /// How many decisions name which digest.
    pub fn decided(&self) -> impl ExactSizeIterator<Item = (&Hash, Decided)> {
        self.decided.iter().map(|(digest, decided)| (digest, *decided))
    }

    /// Decisions that name no digest.
    #[must_use]
    pub const fn without_model(&self) -> u64 {
        self.without_model
    }
}

/// Why entries cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// More than [`REGISTRATIONS_MAX`] model entries.
    #[error("the log registers models more than {REGISTRATIONS_MAX} times")]
    TooManyRegistrations,
    /// More than [`WALK_MODELS_MAX`] digests.
    #[error("the log's decisions name more than {WALK_MODELS_MAX} model digests")]
    TooManyModels,
    /// An entry that comes before one that was taken.
    #[error("entry {index} was handed over out of the order of the log; report this")]
    Order {
        /// Where it stands.
        index: LeafIndex,
    },
}

impl RegistryError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooManyRegistrations | Self::TooManyModels => Code::Limit,
            Self::Order { .. } => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{DecisionDetails, DecisionId, ModelDetails, SessionId, WriterName};
    use crate::record::Commitment;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);

    fn writer() -> WriterName {
        WriterName::parse("w").unwrap()
    }

    fn model(name: &str, version: &str, digest: &str) -> Entry {
        let details = ModelDetails {
            name: RegisteredName::parse(name).unwrap(),
            version: RegisteredVersion::parse(version).unwrap(),
            signature: None,
        };
        Entry::model(writer(), SESSION, 1, Hash::of(digest.as_bytes()), details)
    }

    fn decision(digest: Option<&str>) -> Entry {
        let commitment = Commitment { root: Hash::of(b"root"), count: 1 };
        let id = DecisionId::from_bytes([2; 16]);
        let entry = Entry::decision(writer(), SESSION, 2, id, commitment, DecisionDetails { status: 0 });
        Entry { model: digest.map(|digest| Hash::of(digest.as_bytes())), ..entry }
    }

    fn walk(entries: &[Entry]) -> Registrations {
        let mut registrations = Registrations::new();
        for (index, entry) in (0..).zip(entries) {
            registrations.take(LeafIndex::new(index), entry).unwrap();
        }
        registrations
    }

    #[test]
    fn counts_a_decision_as_registered_only_after_its_registration() {
        let found = walk(&[
            decision(Some("old")),
            model("loans", "1", "old"),
            decision(Some("old")),
            decision(Some("new")),
            model("loans", "2", "new"),
            decision(Some("new")),
            decision(None),
        ]);
        let decided: BTreeMap<_, _> = found.decided().map(|(digest, decided)| (*digest, decided)).collect();
        assert_eq!(decided[&Hash::of(b"old")], Decided { decisions: 2, unregistered: 1 });
        assert_eq!(decided[&Hash::of(b"new")], Decided { decisions: 2, unregistered: 1 });
        assert_eq!(found.without_model(), 1);
        assert_eq!(found.all().len(), 2);
    }

    #[test]
    fn says_what_was_registered_at_a_leaf_index() {
        let (one, two) = (model("loans", "1", "a"), model("loans", "2", "b"));
        let found = walk(&[one.clone(), two, model("other", "1", "a"), one]);
        let at = LeafIndex::new;
        let digest = Hash::of(b"a");
        let place = |found: Option<&Registration>| found.map(|registration| registration.index.get());
        assert_eq!(place(found.registered(&digest, at(0))), None);
        assert_eq!(place(found.registered(&digest, at(1))), Some(0));
        assert_eq!(place(found.registered(&digest, at(3))), Some(2));
        assert_eq!(place(found.registered(&digest, at(9))), Some(3));
        assert_eq!(place(found.registered(&Hash::of(b"c"), at(9))), None);
        let loans = RegisteredName::parse("loans").unwrap();
        assert_eq!(place(found.in_force(&loans, at(2))), Some(1));
        assert_eq!(place(found.in_force(&loans, at(4))), Some(3));
        assert_eq!(place(found.in_force(&RegisteredName::parse("none").unwrap(), at(9))), None);
    }

    #[test]
    fn refuses_entries_out_of_order() {
        let mut found = walk(&[decision(None), model("loans", "1", "a")]);
        let again = found.take(LeafIndex::new(1), &model("loans", "1", "a"));
        assert_eq!(again, Err(RegistryError::Order { index: LeafIndex::new(1) }));
        assert_eq!(again.unwrap_err().code(), Code::Internal);
    }
}
