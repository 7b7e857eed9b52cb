//! Every record under a key: those that were sealed under it, and those that the keyring moved there.
//!
//! Guarantees: the lookup index, which finds them, is not believed when it has fewer than the keyring counted: it is built again
//! first, because a record that is passed over would close with the key.
//! Does not do: bringing back records whose bytes the store lost. They are told of in the log lines, and are no obstacle.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use ledgerstone::merkle::{LeafIndex, TreeSize};

use super::{EraseError, Parts};
use crate::keyring::{KeptKey, KeyringError, RecordRef, StoredKey, WrappedKey};
use crate::seal;

/// A record that opens.
#[derive(Debug)]
pub(super) struct Current {
    /// What the keyring calls it.
    pub(super) record: RecordRef,
    /// The keys that it is under now.
    pub(super) keys: Vec<StoredKey>,
    /// Its own key, wrapped under those.
    pub(super) wrapped: WrappedKey,
}

/// The records that open with `key` beside `own`, which are under it too. Where keys are to be destroyed, nothing more comes
/// under `key`, and the keyring and the index know the first `settled` entries; without that it is a first look, and what the
/// index lacks is passed over.
pub(super) fn others(
    parts: &Parts,
    key: &StoredKey,
    own: &HashSet<RecordRef>,
    settled: Option<TreeSize>,
) -> Result<Vec<Current>, EraseError> {
    let ring = &parts.ring;
    let generation = whole(parts, settled)?;
    let leaves = parts.index.by_key(&key.id)?;
    let moved = ring.database().rekeyed_under(&key.id)?;
    let (mut seen, mut lost, mut others) = (own.clone(), 0, Vec::new());
    for index in leaves {
        let Some(kept) = kept(parts, index)? else {
            lost += 1;
            continue;
        };
        if !seen.insert(kept.record_ref()) {
            continue;
        }
        match ring.current(&kept) {
            // Another of its keys is gone: it is closed for good, whatever becomes of this one.
            Err(KeyringError::Erased { .. } | KeyringError::UnknownSubjectKey { .. }) => {}
            current => {
                let (keys, wrapped) = current?;
                others.push(Current { record: kept.record_ref(), keys, wrapped });
            }
        }
    }
    // Records that an earlier erasure moved to this key: their headers still name the one before.
    for record in moved {
        if seen.insert(record.record) {
            let keys = ring.stored(&record.keys)?;
            let is_open = keys.len() == record.keys.len();
            let open = record.wrapped.filter(|_| is_open);
            others.extend(open.map(|wrapped| Current { record: record.record, keys, wrapped }));
        }
    }
    if settled.is_some() {
        if whole(parts, settled)? != generation {
            return Err(EraseError::Behind);
        }
        believe(parts, generation, seen.len() as u64 + lost, key.records)?;
    }
    Ok(others)
}

/// Which index it is, if it knows as many entries as it must.
fn whole(parts: &Parts, settled: Option<TreeSize>) -> Result<u64, EraseError> {
    let generation = parts.index.generation();
    let covered = *parts.index.covered().borrow();
    if settled.is_some_and(|settled| covered < settled) { Err(EraseError::Behind) } else { Ok(generation) }
}

/// Compares what the index of a `generation` found with what the keyring counted.
fn believe(parts: &Parts, generation: u64, found: u64, counted: u64) -> Result<(), EraseError> {
    if found >= counted {
        return Ok(());
    }
    // 0 stands for none.
    let doubted = parts.doubted.load(Ordering::Relaxed);
    if doubted == 0 || doubted > generation {
        tracing::warn!(found, counted, "the lookup index lacks records under a key: it is built again");
        parts.doubted.store(generation.saturating_add(1), Ordering::Relaxed);
        parts.index.distrust();
        return Err(EraseError::Behind);
    }
    // The index was built again since: what it lacks the log has lost, or never had after it was restored.
    tracing::warn!(found, counted, "the log lacks records that the keyring counted under a key");
    Ok(())
}

/// The header of a sealed record; none if the record is lost or damaged, which a check of the log tells of.
pub(super) fn kept(parts: &Parts, index: LeafIndex) -> Result<Option<KeptKey>, EraseError> {
    let sealed = match parts.log.sealed(index) {
        Err(error) if error.is_lost() => {
            tracing::warn!(%index, %error, "a sealed record is lost");
            None
        }
        sealed => sealed?,
    };
    let kept = sealed.map(|sealed| seal::kept(&sealed)).transpose();
    Ok(kept.unwrap_or_else(|error| {
        tracing::warn!(%index, %error, "a sealed record is damaged");
        None
    }))
}
