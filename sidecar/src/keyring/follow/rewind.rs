//! A keyring that knows more entries than the log has, because the log was restored from an older copy; or one that begins again.
//!
//! Guarantees: what the log says is counted anew and exactly; nothing that was destroyed comes back, and no hold that either of
//! the two knows is dropped. Does not do: guessing what the entries said that are gone.

use std::collections::HashMap;

use ledgerstone::entry::Entry;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use rusqlite::params;

use super::super::error::RingError;
use super::super::subject::Under;
use super::separate::bundles;
use super::{Follower, apply, is_about_a_person, is_destroyed};
use crate::reader::Stored;
use crate::seal;

impl Follower {
    /// Brings the keyring back to the log, if it is ahead of it. Returns how many records lie under keys that it does not have.
    /// To be done on a copy that nobody uses yet: a crash in the middle leaves it half counted.
    ///
    /// # Errors
    /// [`RingError`] if the log cannot be read or the keyring not be written.
    pub(in crate::keyring) fn rewind(&self) -> Result<u64, RingError> {
        let size = self.log.published().size;
        if *self.ring.covered().borrow() <= size {
            return Ok(0);
        }
        let at = i64::try_from(size.get()).unwrap_or(i64::MAX);
        let mut database = self.ring.database();
        let change = database.begin()?;
        change.0.execute("UPDATE keys SET records = 0", [])?;
        change.0.execute("UPDATE destroyed SET leaf = NULL WHERE leaf >= ?1", params![at])?;
        change.set_meta("watermark", &size.get().to_be_bytes())?;
        change.commit()?;
        drop(database);
        let mut lost = 0;
        for number in bundles(TreeSize::new(0), size) {
            let bundle = self.log.bundle(number)?;
            let wanted = |index: LeafIndex, entry: &Entry| index.is_in(size) && is_about_a_person(entry.kind);
            let records = self.log.records_or_lost(&bundle, wanted)?;
            lost += self.again(records.into_iter().filter(|stored| stored.index.is_in(size)).collect())?;
        }
        self.ring.reached(size);
        Ok(lost)
    }

    /// Has a keyring that was made anew learn the log from its beginning, whatever earlier attempts told it: until the start is
    /// granted it has no key, and what it was told would hide how many records need one.
    ///
    /// # Errors
    /// [`RingError`] if the keyring cannot be written.
    pub(in crate::keyring) fn anew(&self) -> Result<(), RingError> {
        let mut database = self.ring.database();
        let change = database.begin()?;
        for table in ["destroyed", "rekeyed", "rekeyed_by", "holds"] {
            change.0.execute(&format!("DELETE FROM {table}"), [])?;
        }
        change.set_meta("watermark", &[0; 8])?;
        change.commit()?;
        drop(database);
        self.ring.reached(TreeSize::new(0));
        Ok(())
    }

    /// Counts the records of one bundle under what they are under now, and does what entries about keys say.
    fn again(&self, records: Vec<Stored>) -> Result<u64, RingError> {
        let mut counted: HashMap<SubjectKeyId, u64> = HashMap::new();
        let mut about_keys = Vec::new();
        for stored in records {
            if stored.entry.kind.is_about_keys() {
                let under = self.under(&stored.entry)?;
                about_keys.push((stored.index, stored.entry, under));
                continue;
            }
            let Some(kept) = stored.sealed.as_deref().and_then(|sealed| seal::kept(sealed).ok()) else {
                continue;
            };
            let moved = self.ring.database().rekeyed(&kept.record_ref())?;
            let keys = match (&moved, &kept.under) {
                (Some(moved), _) => &moved.keys,
                (None, Under::Subjects(keys)) => keys,
                (None, Under::Provider(_)) => continue,
            };
            keys.iter().for_each(|key| *counted.entry(*key).or_default() += 1);
        }
        let mut database = self.ring.database();
        let change = database.begin()?;
        let mut lost = 0;
        for (key, records) in &counted {
            if !change.count(key, *records)? && !is_destroyed(&change, key)? {
                lost += records;
            }
        }
        for (index, entry, under) in &about_keys {
            apply(&change, *index, entry, under)?;
        }
        change.commit()?;
        Ok(lost)
    }
}
