//! What an erasure destroys, and what keeps the records open that are none of its business.

use std::collections::HashSet;

use ledgerstone::entry::{DecisionId, Entry, ErasureOutcome, ErasureScope, Ground, Kind};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;

use super::under::{self, Current};
use super::{EraseError, Parts};
use crate::keyring::{Fresh, Keyring, KeyringError, RecordRef, Rekeyed, StoredKey, Under};
use crate::seal;

/// What is to be destroyed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scope: ErasureScope,
    /// The keys to destroy.
    pub(super) keys: Vec<StoredKey>,
    /// Every key that the records concerned are under: who holds one of them is asked.
    pub(super) involved: Vec<StoredKey>,
    /// Records that nobody opens any more, at most: one about several persons counts under each key.
    pub(super) records: u64,
    /// The decision and where it stands, of a single one.
    pub(super) of: Option<(DecisionId, LeafIndex)>,
    /// The records that are under the one key too and stay open under another.
    moved: Option<Moved>,
}

/// Records that move from a key that is destroyed to a new one.
#[derive(Debug)]
struct Moved {
    to: Fresh,
    records: Vec<Rekeyed>,
}

impl Plan {
    /// Whole keys, with everything under them.
    pub(super) fn of_keys(scope: ErasureScope, keys: Vec<StoredKey>) -> Self {
        let records = keys.iter().map(|key| key.records).sum();
        Self { scope, involved: keys.clone(), keys, records, of: None, moved: None }
    }

    /// The key that other records are under from now on.
    pub(super) fn successor(&self) -> Option<SubjectKeyId> {
        self.moved.as_ref().map(|moved| moved.to.id)
    }

    /// Destroys, and notes what the log must say, in one change.
    pub(super) fn execute(
        &self,
        ring: &Keyring,
        ground: Ground,
        outcome: ErasureOutcome,
        notes: &[Vec<u8>],
    ) -> Result<(), EraseError> {
        let mut database = ring.database();
        let change = database.begin()?;
        if outcome == ErasureOutcome::Erased {
            if let Some(Moved { to, records }) = &self.moved {
                let given = self.keys.first().map(StoredKey::given).ok_or(EraseError::Defect)?;
                change.insert(&to.id, ring.provider().key_id(), &to.wrapped)?;
                change.assign(&to.id, &given)?;
                change.count(&to.id, records.len() as u64)?;
                if records.iter().any(|record| record.keys.len() > 1) {
                    change.share(&to.id)?;
                }
                for record in records {
                    change.rekey(record)?;
                }
            }
            for key in &self.keys {
                change.close_rekeyed_under(&key.id)?;
                change.destroy(&key.id, ground as u64, None)?;
            }
        }
        for note in notes {
            change.note(note)?;
        }
        Ok(change.commit()?)
    }
}

/// The sealed records of one decision, and the keys that they are under.
#[derive(Debug)]
pub(super) struct Own {
    decision: DecisionId,
    index: LeafIndex,
    records: HashSet<RecordRef>,
    pub(super) keys: Vec<StoredKey>,
}

/// Reads the headers of a decision's records.
pub(super) fn own(
    parts: &Parts,
    decision: DecisionId,
    entries: &[(LeafIndex, Entry)],
) -> Result<Own, EraseError> {
    let is_own = |entry: &Entry| entry.kind == Kind::Decision;
    let index = entries.iter().find(|(_, entry)| is_own(entry)).ok_or(EraseError::NoDecision)?.0;
    // The decision's own record names the keys: nothing can be erased alone without it.
    let sealed = parts.log.sealed(index)?.ok_or(EraseError::NoSubjectKey)?;
    let first = seal::kept(&sealed)?;
    if matches!(first.under, Under::Provider(_)) {
        return Err(EraseError::NoSubjectKey);
    }
    let keys = match parts.ring.current(&first) {
        Err(KeyringError::Erased { .. }) => return Err(EraseError::Already),
        current => current?.0,
    };
    let mut records = HashSet::from([first.record_ref()]);
    for (index, _) in entries.iter().filter(|(_, entry)| entry.kind.is_follow_up()) {
        records.extend(under::kept(parts, *index)?.map(|kept| kept.record_ref()));
    }
    Ok(Own { decision, index, records, keys })
}

/// The plan to erase one decision: one of its keys is destroyed, the one with the fewest records beside, and those move. The
/// keyring and the index know the first `settled` entries.
pub(super) fn of_record(parts: &Parts, own: Own, settled: TreeSize) -> Result<Plan, EraseError> {
    let key = own.keys.iter().min_by_key(|key| key.records).cloned().ok_or(EraseError::NoSubjectKey)?;
    let others = under::others(parts, &key, &own.records, Some(settled))?;
    let moved = if others.is_empty() { None } else { Some(moved(parts, &key, &others)?) };
    Ok(Plan {
        scope: ErasureScope::Record,
        keys: vec![key],
        involved: own.keys,
        records: own.records.len() as u64,
        of: Some((own.decision, own.index)),
        moved,
    })
}

/// The open records beside those of the decision, wrapped under a new key in the place of `key`.
fn moved(parts: &Parts, key: &StoredKey, others: &[Current]) -> Result<Moved, EraseError> {
    let to = Fresh::new(parts.ring.provider())?;
    let mut opener = parts.ring.opener();
    let moved = |other: &Current| opener.move_to(other.record, &other.keys, &other.wrapped, (&key.id, &to));
    let records = others.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
    Ok(Moved { to, records })
}
