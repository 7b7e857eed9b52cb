//! Whether keys may be destroyed: legal holds and retention rules.

use std::collections::HashSet;

use ledgerstone::entry::{ErasureOutcome, HoldId};
use ledgerstone::record::SubjectKeyId;

use super::plan::Plan;
use super::{EraseError, Parts};
use crate::keyring::{Hold, Keyring, StoredKey};
use crate::seal;

/// Holds that stand at one time.
pub(super) const HOLDS_MAX: u64 = 4096;

/// By what the keyring knows again whom a hold is for: an HMAC over the hold and the person, so that two holds on one person do
/// not show that they are.
pub(super) fn mark(ring: &Keyring, hold: &HoldId, tag: &[u8; 32]) -> [u8; 32] {
    ring.hot().mark(&[b"hold", hold.as_bytes(), tag])
}

/// How an erasure by `plan` ends if it is tried in `month`.
pub(super) fn of(parts: &Parts, plan: &Plan, month: u32) -> Result<ErasureOutcome, EraseError> {
    let holds = parts.ring.database().holds()?;
    if !holds.is_empty() {
        let mut involved = plan.involved.clone();
        // A record about several persons closes with any one key: the others' holds count too.
        if plan.of.is_none() {
            involved.extend(companions(parts, &plan.keys)?);
        }
        if held(parts, &holds, plan, &involved)? {
            return Ok(ErasureOutcome::Held);
        }
    }
    let must_be_kept = |key: &StoredKey| {
        key.class.as_deref().is_some_and(|class| parts.matrix.refuses(class, key.month, month))
    };
    let refused = plan.involved.iter().any(must_be_kept);
    Ok(if refused { ErasureOutcome::MustBeKept } else { ErasureOutcome::Erased })
}

/// The keys among `found` that no hold is about, for a sweep: the others stay without a word each time.
pub(super) fn free(parts: &Parts, found: Vec<StoredKey>) -> Result<Vec<StoredKey>, EraseError> {
    let holds = parts.ring.database().holds()?;
    if holds.is_empty() {
        return Ok(found);
    }
    let mut free = Vec::with_capacity(found.len());
    for key in found {
        let plan = Plan::of_keys(ledgerstone::entry::ErasureScope::Expired, vec![key]);
        let mut involved = plan.involved.clone();
        involved.extend(companions(parts, &plan.keys)?);
        if !held(parts, &holds, &plan, &involved)? {
            free.extend(plan.keys);
        }
    }
    Ok(free)
}

fn held(parts: &Parts, holds: &[Hold], plan: &Plan, involved: &[StoredKey]) -> Result<bool, EraseError> {
    let tags: HashSet<[u8; 32]> = involved.iter().map(|key| key.tag).filter(|tag| *tag != [0; 32]).collect();
    let destroyed: HashSet<SubjectKeyId> = plan.keys.iter().map(|key| key.id).collect();
    for hold in holds {
        let is_held = match (&hold.mark, &hold.record) {
            (Some(found), _) => tags.iter().any(|tag| mark(&parts.ring, &hold.id, tag) == *found),
            // A single decision closes alone: the records beside it move to another key.
            (None, _) if plan.of.is_some() => plan.of.map(|(decision, _)| decision) == hold.decision,
            (None, Some(record)) => parts.ring.under_now(record)?.iter().any(|key| destroyed.contains(key)),
            (None, None) => false,
        };
        if is_held {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The other keys of records about several persons, one of whom `keys` are of.
fn companions(parts: &Parts, keys: &[StoredKey]) -> Result<Vec<StoredKey>, EraseError> {
    let mut ids = HashSet::new();
    for key in keys.iter().filter(|key| key.shared) {
        for index in parts.index.by_key(&key.id)? {
            let Some(sealed) = parts.log.sealed(index)? else { continue };
            let kept = seal::kept(&sealed)?;
            if let Ok((under, _)) = parts.ring.current(&kept) {
                ids.extend(under.iter().map(|key| key.id));
            }
        }
    }
    keys.iter().for_each(|key| _ = ids.remove(&key.id));
    let ids: Vec<SubjectKeyId> = ids.into_iter().collect();
    Ok(parts.ring.stored(&ids)?)
}
