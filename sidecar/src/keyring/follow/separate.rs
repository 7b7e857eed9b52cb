//! Records that shared a key with one that was erased alone, told to a keyring from before that erasure.
//!
//! Guarantees: a record that no entry erases stays open when the key that it shared is destroyed: it moves under the successor
//! that the entry names, which is made anew, so that whatever the log says later of that name holds for it. One that cannot
//! move is lost: it is counted, and nobody calls it erased.
//! Does not do: what was recorded under the successor itself, whose key was another one: that is lost too.

use std::collections::{HashMap, HashSet};

use ledgerstone::entry::{DecisionId, Entry, ErasureOutcome, ErasureScope, Kind, KindDetails};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use ledgerstone::tile::TILE_WIDTH;

use super::super::database::{Change, StoredKey};
use super::super::error::RingError;
use super::super::notes::{Fresh, Rekeyed};
use super::super::ring::{destroyed, fresh};
use super::super::subject::{RecordRef, Under};
use super::super::{KeptKey, KeyringError};
use super::{Follower, is_about_a_person};
use crate::reader::LogReader;
use crate::seal;

/// An erasure of one decision that left other records open.
struct Alone {
    decision: DecisionId,
    /// What was destroyed.
    key: SubjectKeyId,
    /// What the other records are under since.
    successor: SubjectKeyId,
    ground: u64,
}

impl Alone {
    fn of(entry: &Entry) -> Option<Self> {
        if entry.kind != Kind::Erasure {
            return None;
        }
        let KindDetails::Erasure(erasure) = entry.kind_details().ok()? else { return None };
        let is_alone = erasure.scope == ErasureScope::Record && erasure.outcome == ErasureOutcome::Erased;
        Some(Self {
            decision: entry.decision.filter(|_| is_alone)?,
            key: *erasure.keys.first()?,
            successor: erasure.successor?,
            ground: erasure.ground as u64,
        })
    }
}

/// What the log has under the keys of such erasures. As large as the number of those records, which are few.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// Records by the keys that their headers name.
    under: HashMap<SubjectKeyId, Vec<KeptKey>>,
    /// The records of decisions that were erased.
    erased: HashMap<DecisionId, HashSet<RecordRef>>,
}

impl Together {
    /// Reads the log: once, for all such erasures from `from` on and those in `more`.
    pub(super) fn read(log: &LogReader, from: TreeSize, more: &[Entry]) -> Result<Self, RingError> {
        let size = log.published().size;
        let mut together = Self::default();
        for number in bundles(from, size) {
            let bundle = log.bundle(number)?;
            log.records_or_lost(&bundle, |_, _| false)?.iter().for_each(|stored| together.ask(&stored.entry));
        }
        more.iter().for_each(|entry| together.ask(entry));
        for number in bundles(TreeSize::new(0), size) {
            let bundle = log.bundle(number)?;
            let wanted = |index: LeafIndex, entry: &Entry| index.is_in(size) && is_about_a_person(entry.kind);
            for stored in log.records_or_lost(&bundle, wanted)? {
                let kept = stored.sealed.as_deref().and_then(|sealed| seal::kept(sealed).ok());
                if let Some(kept) = kept {
                    together.found(stored.entry.decision, &kept);
                }
            }
        }
        Ok(together)
    }

    fn ask(&mut self, entry: &Entry) {
        if let Some(alone) = Alone::of(entry) {
            self.under.entry(alone.key).or_default();
            self.under.entry(alone.successor).or_default();
            self.erased.entry(alone.decision).or_default();
        }
    }

    fn found(&mut self, decision: Option<DecisionId>, kept: &KeptKey) {
        let Under::Subjects(keys) = &kept.under else { return };
        for key in keys {
            if let Some(records) = self.under.get_mut(key) {
                records.push(kept.clone());
            }
        }
        if let Some(own) = decision.and_then(|decision| self.erased.get_mut(&decision)) {
            own.insert(kept.record_ref());
        }
    }
}

/// The bundles of a part of the log.
pub(super) fn bundles(from: TreeSize, size: TreeSize) -> std::ops::Range<u64> {
    let width = u64::from(TILE_WIDTH);
    from.get() / width..size.get().div_ceil(width)
}

/// What becomes of the records beside one that is erased alone.
#[derive(Default)]
struct Beside {
    moved: Vec<Rekeyed>,
    lost: Vec<Rekeyed>,
    /// Of the lost ones, those that nobody has counted yet.
    uncounted: u64,
}

impl Follower {
    /// Whether `entry` says that a key was destroyed which other records are under, for all that this keyring knows.
    pub(super) fn separates(&self, entry: &Entry) -> Result<bool, RingError> {
        let Some(alone) = Alone::of(entry) else { return Ok(false) };
        let database = self.ring.database();
        Ok(destroyed(&database, &alone.key)?.is_none() && database.key(&alone.successor)?.is_none())
    }

    /// Does what such an entry says, at `leaf` of the log or not in it yet. Returns how many records are lost that were not
    /// before.
    pub(super) fn separate(
        &self,
        entry: &Entry,
        leaf: Option<LeafIndex>,
        together: &Together,
    ) -> Result<u64, RingError> {
        let Some(alone) = Alone::of(entry) else { return Ok(0) };
        let shared = self.ring.database().key(&alone.key)?;
        let to = Fresh::named(alone.successor, self.ring.provider())?;
        let Beside { moved, lost, mut uncounted } = self.beside(&alone, shared.is_some(), &to, together)?;
        let mut database = self.ring.database();
        let change = database.begin()?;
        if let Some(shared) = shared.filter(|_| !moved.is_empty()) {
            take_over(&change, &shared, &to, moved.len() as u64, self.ring.provider().key_id())?;
            // What was added after the erasure is under a key of that name that is not here.
            for kept in together.under.get(&alone.successor).into_iter().flatten() {
                let nowhere = fresh()?.0;
                let record = kept.record_ref();
                change.rekey(&Rekeyed {
                    record,
                    keys: vec![nowhere],
                    wrapped: Some(kept.wrapped.clone()),
                })?;
                uncounted += 1;
            }
        }
        moved.iter().chain(&lost).try_for_each(|record| change.rekey(record))?;
        change.destroy(&alone.key, alone.ground, leaf.map(LeafIndex::get))?;
        change.commit()?;
        drop(database);
        tracing::info!(
            moved = moved.len(),
            lost = lost.len(),
            "records beside an erased one were put under another key"
        );
        Ok(uncounted)
    }

    /// Looks at every record that is under the key, the erased ones left out.
    fn beside(
        &self,
        alone: &Alone,
        is_here: bool,
        to: &Fresh,
        together: &Together,
    ) -> Result<Beside, RingError> {
        let mut seen = together.erased.get(&alone.decision).cloned().unwrap_or_default();
        let headers = together.under.get(&alone.key).into_iter().flatten();
        let mut records = Vec::new();
        for kept in headers {
            records.push(self.now(kept)?);
        }
        records.extend(self.ring.database().rekeyed_under(&alone.key)?);
        let mut opener = self.ring.opener();
        let mut beside = Beside::default();
        for record in records {
            if !record.keys.contains(&alone.key) || !seen.insert(record.record) || self.is_closed(&record)? {
                continue;
            }
            let keys = self.ring.stored(&record.keys)?;
            let wrapped = record.wrapped.as_ref().filter(|_| is_here && keys.len() == record.keys.len());
            if let Some(wrapped) = wrapped {
                match opener.move_to(record.record, &keys, wrapped, (&alone.key, to)) {
                    Ok(moved) => {
                        beside.moved.push(moved);
                        continue;
                    }
                    Err(KeyringError::BadWrappedKey) => beside.uncounted += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            // The wrapped key stays as the header has it: what it is under is not here, and that is what is said.
            let successor = |key: &SubjectKeyId| if *key == alone.key { alone.successor } else { *key };
            beside.lost.push(Rekeyed { keys: record.keys.iter().map(successor).collect(), ..record });
        }
        Ok(beside)
    }

    /// What a record is under: what the keyring knows of it, or else its header.
    fn now(&self, kept: &KeptKey) -> Result<Rekeyed, RingError> {
        let record = kept.record_ref();
        if let Some(moved) = self.ring.database().rekeyed(&record)? {
            return Ok(moved);
        }
        let Under::Subjects(keys) = &kept.under else { return Err(RingError::Defect) };
        Ok(Rekeyed { record, keys: keys.clone(), wrapped: Some(kept.wrapped.clone()) })
    }

    /// Whether one of the keys that a record is under was destroyed.
    fn is_closed(&self, record: &Rekeyed) -> Result<bool, RingError> {
        let database = self.ring.database();
        for key in &record.keys {
            if destroyed(&database, key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does what entries say that are not in the log yet. Returns how many records are lost that were not before.
    pub(in crate::keyring) fn carry_out(&self, entries: &[Entry]) -> Result<u64, RingError> {
        let (mut together, mut lost) = (None, 0);
        for entry in entries {
            if self.separates(entry)? {
                let together = match &mut together {
                    Some(together) => together,
                    none => none.insert(Together::read(&self.log, self.log.published().size, entries)?),
                };
                lost += self.separate(entry, None, together)?;
            }
            let Ok(KindDetails::Erasure(erasure)) = entry.kind_details() else { continue };
            let mut database = self.ring.database();
            let change = database.begin()?;
            for key in erasure.keys.iter().filter(|_| erasure.outcome == ErasureOutcome::Erased) {
                change.destroy(key, erasure.ground as u64, None)?;
            }
            change.commit()?;
        }
        Ok(lost)
    }
}

/// Puts a key in the place of another one.
fn take_over(
    change: &Change<'_>,
    from: &StoredKey,
    to: &Fresh,
    records: u64,
    kek: &super::super::KeyId,
) -> Result<(), RingError> {
    change.insert(&to.id, kek, &to.wrapped)?;
    change.assign(&to.id, &from.given())?;
    change.count(&to.id, records)?;
    if from.shared {
        change.share(&to.id)?;
    }
    Ok(())
}
