//! What the keyring remembers beside keys: records that moved to another key, holds, and what the log must still say.

use std::collections::HashMap;
use std::sync::Arc;

use ledgerstone::entry::{DecisionId, Entry, ErasureDetails, ErasureId, HoldId, KindDetails};
use ledgerstone::record::SubjectKeyId;
use rusqlite::{OptionalExtension as _, params};

use super::database::{Change, Database, StoredKey};
use super::error::RingError;
use super::hot::Given;
use super::ring::{Keyring, fresh};
use super::subject::{self, RecordRef, SubjectKey};
use super::{KEY_BYTES, KeyProvider, KeyringError, RecordKey, WrappedKey};

/// A record that was put under other keys than its header names.
#[derive(Clone, Debug)]
pub(crate) struct Rekeyed {
    /// What the keyring calls it.
    pub(crate) record: RecordRef,
    /// What it is under now.
    pub(crate) keys: Vec<SubjectKeyId>,
    /// Its key, wrapped under those; none once one of them is destroyed.
    pub(crate) wrapped: Option<WrappedKey>,
}

/// What the log must still say of an erasure.
pub(crate) struct Note {
    /// The entry as it was noted.
    pub(crate) bytes: Vec<u8>,
    /// It, without a number.
    pub(crate) entry: Entry,
    /// What it says.
    pub(crate) details: ErasureDetails,
}

impl Note {
    /// Which erasure it belongs to, and which part of that.
    pub(crate) const fn name(&self) -> (ErasureId, u64) {
        (self.details.id, self.details.part)
    }
}

/// A legal hold.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) id: HoldId,
    /// Of a person: an HMAC over the hold and the person's tag.
    pub(crate) mark: Option<[u8; 32]>,
    /// Of one record: its decision.
    pub(crate) decision: Option<DecisionId>,
    /// And its sealed record.
    pub(crate) record: Option<HeldRecord>,
}

/// A sealed record that may not be erased.
#[derive(Clone, Debug)]
pub(crate) struct HeldRecord {
    record: RecordRef,
    /// The keys that its header names.
    keys: Vec<SubjectKeyId>,
}

/// A new key, wrapped.
pub(crate) struct Fresh {
    pub(crate) id: SubjectKeyId,
    pub(crate) wrapped: WrappedKey,
    key: Arc<SubjectKey>,
}

impl Fresh {
    /// Draws one.
    pub(crate) fn new(provider: &dyn KeyProvider) -> Result<Self, RingError> {
        Self::named(fresh()?.0, provider)
    }

    /// Draws one for a name that the log has already.
    pub(crate) fn named(id: SubjectKeyId, provider: &dyn KeyProvider) -> Result<Self, RingError> {
        let (_, key) = fresh()?;
        let wrapped = provider.wrap(&RecordKey::new(key.clone()))?;
        Ok(Self { id, wrapped, key: Arc::new(SubjectKey::new(id, key)) })
    }
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fresh({})", self.id)
    }
}

/// Unwraps each subject key once, however many records are under it.
pub(crate) struct Opener<'a> {
    ring: &'a Keyring,
    known: HashMap<SubjectKeyId, Arc<SubjectKey>>,
}

impl Opener<'_> {
    /// Wraps the key of a record anew, under `moving.1` in the place of `moving.0`.
    pub(crate) fn move_to(
        &mut self,
        record: RecordRef,
        keys: &[StoredKey],
        wrapped: &WrappedKey,
        moving: (&SubjectKeyId, &Fresh),
    ) -> Result<Rekeyed, KeyringError> {
        let under = keys.iter().map(|key| self.unwrapped(key)).collect::<Result<Vec<_>, _>>()?;
        let key = subject::unwrap(&under, wrapped)?;
        let (from, to) = moving;
        let new = |key: Arc<SubjectKey>| if key.id == *from { Arc::clone(&to.key) } else { key };
        let under: Vec<Arc<SubjectKey>> = under.into_iter().map(new).collect();
        let kept = subject::wrap(&under, &key)?;
        Ok(Rekeyed { record, keys: under.iter().map(|key| key.id).collect(), wrapped: Some(kept.wrapped) })
    }

    fn unwrapped(&mut self, key: &StoredKey) -> Result<Arc<SubjectKey>, KeyringError> {
        if let Some(known) = self.known.get(&key.id) {
            return Ok(Arc::clone(known));
        }
        let unwrapped = self.ring.unwrapped(key)?;
        self.known.insert(key.id, Arc::clone(&unwrapped));
        Ok(unwrapped)
    }
}

impl Keyring {
    /// Unwraps keys for many records.
    pub(crate) fn opener(&self) -> Opener<'_> {
        Opener { ring: self, known: HashMap::new() }
    }

    /// The keys of these names that are there, in their order.
    pub(crate) fn stored(&self, ids: &[SubjectKeyId]) -> Result<Vec<StoredKey>, RingError> {
        let database = self.database();
        let keys = ids.iter().map(|id| database.key(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.into_iter().flatten().collect())
    }

    /// The keys that a held record is under now.
    pub(crate) fn under_now(&self, held: &HeldRecord) -> Result<Vec<SubjectKeyId>, RingError> {
        let rekeyed = self.database().rekeyed(&held.record)?;
        Ok(rekeyed.map_or_else(|| held.keys.clone(), |rekeyed| rekeyed.keys))
    }
}

impl StoredKey {
    /// Whose it is.
    pub(crate) fn given(&self) -> Given {
        let tag = (self.tag != [0; KEY_BYTES]).then_some(self.tag);
        Given { tag, class: self.class.clone().unwrap_or_default(), month: self.month }
    }
}

impl Database {
    /// What a record that was put under other keys is under now.
    pub(crate) fn rekeyed(&self, record: &RecordRef) -> Result<Option<Rekeyed>, RingError> {
        let sql = "SELECT record, keys, wrapped FROM rekeyed WHERE record = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        statement.query_row([record.as_slice()], |row| Ok(read_rekeyed(row))).optional()?.transpose()
    }

    /// The records that were put under a key.
    pub(crate) fn rekeyed_under(&self, key: &SubjectKeyId) -> Result<Vec<Rekeyed>, RingError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT r.record, r.keys, r.wrapped FROM rekeyed_by b JOIN rekeyed r ON r.record = b.record WHERE b.key = ?1",
        )?;
        let mut rows = statement.query([key.as_bytes().as_slice()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read_rekeyed(row)?);
        }
        Ok(found)
    }

    /// The holds that stand.
    pub(crate) fn holds(&self) -> Result<Vec<Hold>, RingError> {
        let mut statement =
            self.connection().prepare_cached("SELECT id, mark, decision, record, keys FROM holds")?;
        let mut rows = statement.query([])?;
        let mut holds = Vec::new();
        while let Some(row) = rows.next()? {
            let record: Option<[u8; 16]> = row.get(3)?;
            let keys: Option<Vec<u8>> = row.get(4)?;
            let record = record.zip(keys).map(|(record, keys)| HeldRecord {
                record,
                keys: SubjectKeyId::list(&keys).unwrap_or_default(),
            });
            holds.push(Hold {
                id: HoldId::from_bytes(row.get(0)?),
                mark: row.get(1)?,
                decision: row.get::<_, Option<[u8; 16]>>(2)?.map(DecisionId::from_bytes),
                record,
            });
        }
        Ok(holds)
    }

    /// What the log must still say of erasures, the parts of one in their order.
    pub(crate) fn notes(&self) -> Result<Vec<Note>, RingError> {
        let damaged = || RingError::Damaged { what: "a note is no entry of an erasure" };
        let mut statement =
            self.connection().prepare_cached("SELECT entry FROM erasures ORDER BY id, part")?;
        let notes: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let noted = |bytes: Vec<u8>| {
            let entry = Entry::decode(&bytes).map_err(|_| damaged())?;
            let Ok(KindDetails::Erasure(details)) = entry.kind_details() else { return Err(damaged()) };
            Ok(Note { bytes, entry, details })
        };
        notes.into_iter().map(noted).collect()
    }
}

fn read_rekeyed(row: &rusqlite::Row<'_>) -> Result<Rekeyed, RingError> {
    let damaged = || RingError::Damaged { what: "names of keys are cut short" };
    let keys: Vec<u8> = row.get(1)?;
    let keys = SubjectKeyId::list(&keys).filter(|keys| !keys.is_empty()).ok_or_else(damaged)?;
    let wrapped = Some(row.get::<_, Vec<u8>>(2)?).filter(|wrapped| !wrapped.is_empty());
    Ok(Rekeyed { record: row.get(0)?, keys, wrapped: wrapped.map(WrappedKey::new).transpose()? })
}

impl Change<'_> {
    /// Puts a record under other keys.
    pub(crate) fn rekey(&self, record: &Rekeyed) -> Result<(), RingError> {
        self.forget_rekeyed(&record.record)?;
        let mut statement = self.0.prepare_cached("INSERT INTO rekeyed VALUES(?1, ?2, ?3)")?;
        let keys = SubjectKeyId::join(&record.keys);
        let wrapped = record.wrapped.as_ref().map_or([].as_slice(), WrappedKey::as_bytes);
        statement.execute(params![record.record.as_slice(), keys, wrapped])?;
        let mut statement = self.0.prepare_cached("INSERT INTO rekeyed_by VALUES(?1, ?2)")?;
        for key in &record.keys {
            statement.execute(params![key.as_bytes().as_slice(), record.record.as_slice()])?;
        }
        Ok(())
    }

    /// A record is under no other keys, because it moves again.
    fn forget_rekeyed(&self, record: &RecordRef) -> Result<(), RingError> {
        let mut statement = self.0.prepare_cached("DELETE FROM rekeyed WHERE record = ?1 RETURNING keys")?;
        let keys: Option<Vec<u8>> = statement.query_row([record.as_slice()], |row| row.get(0)).optional()?;
        let mut statement = self.0.prepare_cached("DELETE FROM rekeyed_by WHERE key = ?1 AND record = ?2")?;
        for key in keys.as_deref().and_then(SubjectKeyId::list).unwrap_or_default() {
            statement.execute(params![key.as_bytes().as_slice(), record.as_slice()])?;
        }
        Ok(())
    }

    /// The records that moved to a key close with it. Which key that was stays: the log says of it where they were erased.
    pub(crate) fn close_rekeyed_under(&self, key: &SubjectKeyId) -> Result<(), RingError> {
        let mut statement = self.0.prepare_cached(
            "UPDATE rekeyed SET wrapped = x'' WHERE record IN (SELECT record FROM rekeyed_by WHERE key = ?1)",
        )?;
        statement.execute([key.as_bytes().as_slice()])?;
        Ok(())
    }

    /// Notes an entry that the log must have.
    pub(crate) fn note(&self, entry: &[u8]) -> Result<(), RingError> {
        self.put_note("INSERT", entry)
    }

    /// Notes an entry that another keyring noted; one that is noted here stays.
    pub(crate) fn note_again(&self, entry: &[u8]) -> Result<(), RingError> {
        self.put_note("INSERT OR IGNORE", entry)
    }

    fn put_note(&self, insert: &str, entry: &[u8]) -> Result<(), RingError> {
        let decoded = Entry::decode(entry).ok().and_then(|entry| entry.kind_details().ok());
        let Some(KindDetails::Erasure(details)) = decoded else { return Err(RingError::Defect) };
        self.0.execute(
            &format!("{insert} INTO erasures VALUES(?1, ?2, ?3)"),
            params![details.id.as_bytes().as_slice(), part(&details), entry],
        )?;
        Ok(())
    }

    /// The log says it.
    pub(crate) fn forget_note(&self, details: &ErasureDetails) -> Result<(), RingError> {
        let sql = "DELETE FROM erasures WHERE id = ?1 AND part = ?2";
        self.0.execute(sql, params![details.id.as_bytes().as_slice(), part(details)])?;
        Ok(())
    }
}

fn part(details: &ErasureDetails) -> i64 {
    i64::try_from(details.part).unwrap_or(i64::MAX)
}
