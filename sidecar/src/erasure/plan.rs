//! What an erasure destroys, and what keeps the records open that are none of its business.

use std::collections::HashSet;

use ledgerstone::entry::{DecisionId, Entry, ErasureOutcome, ErasureScope, Ground, Kind};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SubjectKeyId;

use super::{EraseError, Parts};
use crate::keyring::{Fresh, KeptKey, Keyring, KeyringError, RecordRef, Rekeyed, StoredKey, Under};
use crate::seal;

/// What is to be destroyed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scope: ErasureScope,
    /// The keys to destroy.
    pub(super) keys: Vec<StoredKey>,
    /// Every key that the records concerned are under: who holds one of them is asked.
    pub(super) involved: Vec<StoredKey>,
    /// Records that nobody opens any more.
    pub(super) records: u64,
    /// The decision and where it stands, of a single one.
    pub(super) of: Option<(DecisionId, LeafIndex)>,
    /// What the records to be erased are called in the keyring, of a single decision.
    own: Vec<RecordRef>,
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
        Self { scope, involved: keys.clone(), keys, records, of: None, own: Vec::new(), moved: None }
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
                for record in records {
                    change.rekey(record)?;
                }
            }
            for own in &self.own {
                change.forget_rekeyed(own)?;
            }
            for key in &self.keys {
                change.forget_rekeyed_under(&key.id)?;
                change.destroy(&key.id, ground as u64, None)?;
            }
        }
        for note in notes {
            change.note(note)?;
        }
        Ok(change.commit()?)
    }
}

/// The sealed records of one decision, by where they stand, and the keys that they are under.
#[derive(Debug)]
pub(super) struct Own {
    decision: DecisionId,
    index: LeafIndex,
    records: Vec<(LeafIndex, KeptKey)>,
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
    let mut records = Vec::new();
    for (index, _) in entries.iter().filter(|(_, entry)| is_own(entry) || entry.kind.is_follow_up()) {
        if let Some(sealed) = parts.log.sealed(*index)? {
            records.push((*index, seal::kept(&sealed)?));
        }
    }
    let first = records.iter().find(|(place, _)| *place == index).ok_or(EraseError::NoSubjectKey)?;
    if matches!(first.1.under, Under::Provider(_)) {
        return Err(EraseError::NoSubjectKey);
    }
    let keys = match parts.ring.current(&first.1) {
        Err(KeyringError::Erased { .. }) => return Err(EraseError::Already),
        current => current?.0,
    };
    Ok(Own { decision, index, records, keys })
}

/// The plan to erase one decision: one of its keys is destroyed, the one with the fewest records beside, and those move.
pub(super) fn of_record(parts: &Parts, own: Own) -> Result<Plan, EraseError> {
    let count = own.records.len() as u64;
    let key = own.keys.iter().min_by_key(|key| key.records).cloned().ok_or(EraseError::NoSubjectKey)?;
    let refs: Vec<RecordRef> = own.records.iter().map(|(_, kept)| kept.record_ref()).collect();
    let leaves: HashSet<LeafIndex> = own.records.iter().map(|(index, _)| *index).collect();
    let moved = if key.records <= count {
        None
    } else {
        let to = Fresh::new(parts.ring.provider())?;
        let records = others(parts, &key, &to, &leaves, &refs.iter().copied().collect())?;
        (!records.is_empty()).then_some(Moved { to, records })
    };
    Ok(Plan {
        scope: ErasureScope::Record,
        keys: vec![key],
        involved: own.keys,
        records: count,
        of: Some((own.decision, own.index)),
        own: refs,
        moved,
    })
}

/// The records that are under `key` beside those of the decision, wrapped under `to` in its place.
fn others(
    parts: &Parts,
    key: &StoredKey,
    to: &Fresh,
    leaves: &HashSet<LeafIndex>,
    own: &HashSet<RecordRef>,
) -> Result<Vec<Rekeyed>, EraseError> {
    let ring = &parts.ring;
    let mut moved = Vec::new();
    let mut seen: HashSet<RecordRef> = own.clone();
    let mut opened = ring.opener();
    for index in parts.index.by_key(&key.id)? {
        if leaves.contains(&index) {
            continue;
        }
        let Some(sealed) = parts.log.sealed(index)? else { continue };
        let kept = seal::kept(&sealed)?;
        let (keys, wrapped) = match ring.current(&kept) {
            // Another of its keys is gone: it is closed for good, whatever becomes of this one.
            Err(KeyringError::Erased { .. } | KeyringError::UnknownSubjectKey { .. }) => continue,
            current => current?,
        };
        if seen.insert(kept.record_ref()) && keys.iter().any(|under| under.id == key.id) {
            moved.push(opened.move_to(kept.record_ref(), &keys, &wrapped, (&key.id, to))?);
        }
    }
    // Records that an earlier erasure moved to this key: their headers still name the one before.
    let earlier = ring.database().rekeyed_under(&key.id)?;
    for record in earlier {
        if seen.insert(record.record) {
            let keys = ring.stored(&record.keys)?;
            moved.push(opened.move_to(record.record, &keys, &record.wrapped, (&key.id, to))?);
        }
    }
    Ok(moved)
}
