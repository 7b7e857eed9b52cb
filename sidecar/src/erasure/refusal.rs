//! Whether keys may be destroyed: legal holds and retention rules.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use ledgerstone::entry::{DecisionId, ErasureOutcome, ErasureScope, HoldId};
use ledgerstone::merkle::TreeSize;
use ledgerstone::record::SubjectKeyId;

use super::plan::Plan;
use super::{EraseError, Parts, under};
use crate::keyring::{Keyring, StoredKey};

/// Holds that stand at one time.
pub(super) const HOLDS_MAX: usize = 4096;

/// By what the keyring knows again whom a hold is for: an HMAC over the hold and the person, so that two holds on one person do
/// not show that they are.
pub(super) fn mark(ring: &Keyring, hold: &HoldId, tag: &[u8; 32]) -> [u8; 32] {
    ring.hot().mark(&[b"hold", hold.as_bytes(), tag])
}

/// What the holds that stand are about. Good for as long as nobody holds, releases or erases.
#[derive(Default)]
pub(super) struct Held {
    /// Holds on persons, with their marks.
    persons: Vec<(HoldId, [u8; 32])>,
    /// Decisions that are held alone.
    decisions: HashSet<DecisionId>,
    /// The keys that their records are under.
    keys: HashSet<SubjectKeyId>,
    /// Of whom it was asked before.
    known: Mutex<HashMap<[u8; 32], bool>>,
}

impl Held {
    pub(super) fn read(parts: &Parts) -> Result<Self, EraseError> {
        let holds = parts.ring.database().holds()?;
        let mut held = Self::default();
        for hold in holds {
            held.persons.extend(hold.mark.map(|mark| (hold.id, mark)));
            held.decisions.extend(hold.decision);
            if let Some(record) = &hold.record {
                held.keys.extend(parts.ring.under_now(record)?);
            }
        }
        Ok(held)
    }

    fn is_empty(&self) -> bool {
        self.persons.is_empty() && self.decisions.is_empty()
    }

    /// Whether a hold is on the person of that tag.
    fn is_on(&self, ring: &Keyring, tag: &[u8; 32]) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let look = || self.persons.iter().any(|(hold, found)| mark(ring, hold, tag) == *found);
        *tag != [0; 32] && *known.entry(*tag).or_insert_with(look)
    }

    /// Whether a hold forbids `plan`, which closes what is under the keys `involved`.
    fn forbids<'a>(
        &self,
        ring: &Keyring,
        plan: &Plan,
        mut involved: impl Iterator<Item = &'a StoredKey>,
    ) -> bool {
        involved.any(|key| self.is_on(ring, &key.tag))
            || match plan.of {
                // A single decision closes alone: the records beside it move to another key.
                Some((decision, _)) => self.decisions.contains(&decision),
                None => plan.keys.iter().any(|key| self.keys.contains(&key.id)),
            }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({} persons, {} decisions)", self.persons.len(), self.decisions.len())
    }
}

/// How an erasure by `plan` ends if it is tried in `month`. Its keys are closed, and the keyring and the index know the first
/// `settled` entries.
pub(super) fn of(
    parts: &Parts,
    held: &Held,
    plan: &Plan,
    month: u32,
    settled: TreeSize,
) -> Result<ErasureOutcome, EraseError> {
    if !held.is_empty() {
        // A record about several persons closes with any one key: the others' holds count too.
        let others =
            if plan.of.is_none() { companions(parts, &plan.keys, Some(settled))? } else { Vec::new() };
        if held.forbids(&parts.ring, plan, plan.involved.iter().chain(&others)) {
            return Ok(ErasureOutcome::Held);
        }
    }
    let must_be_kept = |key: &StoredKey| {
        key.class.as_deref().is_some_and(|class| parts.matrix.refuses(class, key.month, month))
    };
    let refused = plan.involved.iter().any(must_be_kept);
    Ok(if refused { ErasureOutcome::MustBeKept } else { ErasureOutcome::Erased })
}

/// The keys among `found` that no hold is about, for a sweep: the others stay without a word each time. Without `settled` it is a
/// first look.
pub(super) fn free(
    parts: &Parts,
    held: &Held,
    found: Vec<StoredKey>,
    settled: Option<TreeSize>,
) -> Result<Vec<StoredKey>, EraseError> {
    if held.is_empty() {
        return Ok(found);
    }
    let mut free = Vec::with_capacity(found.len());
    for key in found {
        let plan = Plan::of_keys(ErasureScope::Expired, vec![key]);
        let others = companions(parts, &plan.keys, settled)?;
        if !held.forbids(&parts.ring, &plan, plan.involved.iter().chain(&others)) {
            free.extend(plan.keys);
        }
    }
    Ok(free)
}

/// The other keys of records about several persons, one of whom `keys` are of.
fn companions(
    parts: &Parts,
    keys: &[StoredKey],
    settled: Option<TreeSize>,
) -> Result<Vec<StoredKey>, EraseError> {
    let mut found = HashMap::new();
    for key in keys.iter().filter(|key| key.shared) {
        for record in under::others(parts, key, &HashSet::new(), settled)? {
            found.extend(record.keys.into_iter().map(|key| (key.id, key)));
        }
    }
    keys.iter().for_each(|key| _ = found.remove(&key.id));
    Ok(found.into_values().collect())
}
