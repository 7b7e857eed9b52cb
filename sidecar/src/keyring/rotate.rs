//! Another key-encryption key: what is wrapped under an earlier one is wrapped under the one in force.
//!
//! Guarantees: no record is touched; each key is wrapped anew in one durable change of its own batch, and names the key-encryption
//! key that it is under, so a rotation goes on after a crash where it was; decisions go on meanwhile. Once none is left the
//! earlier key-encryption keys are needed for nothing in the keyring, and destroying them makes every older copy of it useless.
//! Does not do: records that were sealed directly under an earlier key-encryption key, before there were subject keys.

use super::KeyId;
use super::database::StoredKey;
use super::error::RingError;
use super::ring::{Keyring, wrapped_secret};

/// Keys of one change.
const CHUNK: usize = 256;

impl Keyring {
    /// Wraps the next keys that are under an earlier key-encryption key under the one in force, and says how many and whether
    /// more are left. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if an earlier key-encryption key is not at hand, or the keyring cannot be written.
    pub fn rotate(&self) -> Result<(u64, bool), RingError> {
        let kek = self.provider().key_id().clone();
        self.rotate_secret(&kek)?;
        let keys = self.database().not_under(&kek, CHUNK)?;
        let rewrap = |key: &StoredKey| {
            let plain = self.provider().unwrap(&key.kek, &key.wrapped)?;
            self.provider().wrap(&plain)
        };
        // Without the lock: a provider may be far away, and decisions are read meanwhile.
        let wrapped = keys.iter().map(rewrap).collect::<Result<Vec<_>, _>>()?;
        let mut database = self.database();
        let mut same = Vec::with_capacity(keys.len());
        for (key, wrapped) in keys.iter().zip(&wrapped) {
            // An erasure may have come in between: what is gone stays gone.
            let now = database.key(&key.id)?;
            if let Some(now) = now.filter(|now| now.slot == key.slot && now.wrapped == key.wrapped) {
                same.push((now, wrapped));
            }
        }
        let change = database.begin()?;
        for (key, wrapped) in &same {
            change.rewrap(key, &kek, wrapped)?;
        }
        change.commit()?;
        let more = !database.not_under(&kek, 1)?.is_empty();
        if !more {
            // The last of what lay under an earlier key-encryption key is in the write-ahead log.
            database.wipe()?;
        }
        Ok((same.len() as u64, more))
    }

    /// How many keys are under an earlier key-encryption key.
    ///
    /// # Errors
    /// [`RingError`] if the keyring cannot be read.
    pub fn to_rotate(&self) -> Result<u64, RingError> {
        self.database().left_under_others(self.provider().key_id())
    }

    fn rotate_secret(&self, kek: &KeyId) -> Result<(), RingError> {
        let (id, wrapped) = wrapped_secret(&self.database())?;
        if id == *kek {
            return Ok(());
        }
        let plain = self.provider().unwrap(&id, &wrapped)?;
        let wrapped = self.provider().wrap(&plain)?;
        let mut database = self.database();
        let change = database.begin()?;
        change.set_meta("tags", &[kek.as_str().as_bytes(), &[0], wrapped.as_bytes()].concat())?;
        change.commit()
    }
}
