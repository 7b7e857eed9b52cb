//! What a check of a log found, counted by pack and rule.
//!
//! Guarantees: holds counts and the first few decisions of each, so its size depends on the rules, not on the log. Nothing personal
//! is in it: decision ids, leaf indices and times.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledgerstone::entry::DecisionId;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::pack::{Finding, Obligation, Owing, Pack, PackRef, Requirement};
use ledgerstone::time::UnixMillis;

/// Packs that are not at hand and are counted by name; further ones are counted together.
const UNKNOWN_MAX: usize = 64;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Entries that were looked at.
    pub entries: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Decisions that were judged by every pack that they name.
    pub checked: u64,
    /// Decisions that name no pack.
    pub without_packs: u64,
    /// Decisions that were recorded before one of their packs was in force, and were not judged by it.
    pub early: u64,
    /// Decisions whose record is not there or does not open.
    pub closed: Count,
    /// Decisions with a later entry whose record is not there or does not open.
    pub closed_later: Count,
    /// Decisions by packs that are not at hand; `None` for what is no pack's name, or one of too many.
    pub unknown: BTreeMap<Option<PackRef>, Count>,
    /// What was found, by pack and rule.
    pub rules: BTreeMap<RuleKey, Found>,
    named: usize,
}

/// A rule: its pack, whether it is an obligation, its place in that list.
pub type RuleKey = (PackRef, bool, usize);

/// What was found of one rule.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rule's pack.
    pub pack: Arc<Pack>,
    is_obligation: bool,
    place: usize,
    /// Decisions that lack a field.
    pub lacking: Count,
    /// Those of them where a mask removed it.
    pub masked: Count,
    /// Decisions that an entry should have followed by now.
    pub overdue: Count,
    /// Decisions that an entry must still follow.
    pub due: Count,
    /// The next time by which.
    pub next_due: Option<UnixMillis>,
    /// Decisions that an entry followed too late.
    pub late: Count,
    /// Decisions that an entry followed in time as it says itself, and the log took it afterwards.
    pub claimed: Count,
}

/// How many decisions, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub decisions: u64,
    /// The first ones, by leaf index.
    pub first: Vec<(DecisionId, LeafIndex)>,
    named: usize,
}

impl Count {
    const fn naming(named: usize) -> Self {
        Self { decisions: 0, first: Vec::new(), named }
    }

    /// Counts a decision.
    pub(super) fn count(&mut self, decision: DecisionId, index: LeafIndex) {
        self.decisions += 1;
        if self.first.len() < self.named {
            self.first.push((decision, index));
        }
    }
}

impl Tally {
    pub(super) fn new(named: usize) -> Self {
        let (closed, closed_later) = (Count::naming(named), Count::naming(named));
        Self { closed, closed_later, named, ..Self::default() }
    }

    pub(super) fn unknown(&mut self, reference: Option<PackRef>, decision: DecisionId, index: LeafIndex) {
        let is_listed = self.unknown.len() < UNKNOWN_MAX || self.unknown.contains_key(&reference);
        let key = reference.filter(|_| is_listed);
        self.unknown.entry(key).or_insert_with(|| Count::naming(self.named)).count(decision, index);
    }

    pub(super) fn found(
        &mut self,
        pack: &Arc<Pack>,
        place: usize,
        finding: &Finding,
        decision: DecisionId,
        index: LeafIndex,
    ) {
        let is_obligation = matches!(finding, Finding::Owes { .. });
        let key = (pack.reference.clone(), is_obligation, place);
        let found =
            self.rules.entry(key).or_insert_with(|| Found::new(pack, is_obligation, place, self.named));
        match finding {
            Finding::Lacks { masked, .. } => {
                found.lacking.count(decision, index);
                if *masked {
                    found.masked.count(decision, index);
                }
            }
            Finding::Owes { by, owing, .. } => match owing {
                Owing::Overdue => found.overdue.count(decision, index),
                Owing::Late => found.late.count(decision, index),
                Owing::Claimed => found.claimed.count(decision, index),
                Owing::Due => {
                    found.next_due = Some(found.next_due.map_or(*by, |next| next.min(*by)));
                    found.due.count(decision, index);
                }
            },
        }
    }

    /// Whether any decision lacks something that should be there by now.
    #[must_use]
    pub fn lacks(&self) -> bool {
        self.rules.values().any(|found| found.lacking.decisions + found.overdue.decisions > 0)
    }

    /// Whether something could not be judged.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.closed.decisions + self.closed_later.decisions > 0 || !self.unknown.is_empty()
    }
}

impl Found {
    fn new(pack: &Arc<Pack>, is_obligation: bool, place: usize, named: usize) -> Self {
        let count = || Count::naming(named);
        Self {
            pack: Arc::clone(pack),
            is_obligation,
            place,
            lacking: count(),
            masked: count(),
            overdue: count(),
            due: count(),
            next_due: None,
            late: count(),
            claimed: count(),
        }
    }

    /// The requirement, where it is one.
    #[must_use]
    pub fn requirement(&self) -> Option<&Requirement> {
        self.pack.requirements.get(self.place).filter(|_| !self.is_obligation)
    }

    /// The obligation, where it is one.
    #[must_use]
    pub fn obligation(&self) -> Option<&Obligation> {
        self.pack.obligations.get(self.place).filter(|_| self.is_obligation)
    }
}
