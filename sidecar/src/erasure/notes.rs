//! What the log must say of an erasure: noted in the change that destroys, and appended after it.

use ledgerstone::entry::{
    DecisionId, Details, Entry, ErasureDetails, ErasureId, ErasureOutcome, Ground, Kind, RegisteredName,
    SessionId, WriterName,
};
use ledgerstone::limits::ERASURE_KEYS_MAX;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SubjectKeyId;

use super::plan::Plan;
use super::{EraseError, Parts};
use crate::keyring::Note;

/// What the log must still say. Before it says that keys are destroyed they are: everywhere. A refusal has destroyed none.
pub(super) fn open(parts: &Parts) -> Result<Vec<Note>, EraseError> {
    let notes = parts.ring.database().notes()?;
    if notes.iter().any(|note| note.details.outcome == ErasureOutcome::Erased) {
        parts.ring.wipe_everywhere()?;
    }
    Ok(notes)
}

/// An entry about keys whose number is given when it is appended.
pub(super) fn template(
    kind: Kind,
    of: Option<(DecisionId, LeafIndex)>,
    details: Details,
) -> Result<Entry, EraseError> {
    let writer = WriterName::parse("unnumbered").map_err(|_| EraseError::Defect)?;
    Ok(Entry::about_keys(kind, (writer, SessionId::from_bytes([0; 16]), 0), of, details))
}

/// What the log must say of an erasure: an entry for each [`ERASURE_KEYS_MAX`] keys.
pub(super) fn make(
    id: ErasureId,
    plan: &Plan,
    ground: Ground,
    operator: &RegisteredName,
    outcome: ErasureOutcome,
) -> Result<Vec<Vec<u8>>, EraseError> {
    let is_erased = outcome == ErasureOutcome::Erased;
    let keys: Vec<SubjectKeyId> = plan.keys.iter().filter(|_| is_erased).map(|key| key.id).collect();
    let chunks: Vec<&[SubjectKeyId]> =
        if is_erased { keys.chunks(ERASURE_KEYS_MAX).collect() } else { vec![[].as_slice()] };
    let parts = chunks.len() as u64;
    let note = |(part, keys): (u64, &[SubjectKeyId])| {
        let details = ErasureDetails {
            id,
            scope: plan.scope,
            ground,
            operator: operator.clone(),
            outcome,
            records: plan.records,
            part,
            parts,
            keys: keys.to_vec(),
            successor: plan.successor().filter(|_| is_erased),
        };
        template(Kind::Erasure, plan.of, details.into())?.encode().map_err(|_| EraseError::Defect)
    };
    (0..).zip(chunks).map(note).collect()
}
