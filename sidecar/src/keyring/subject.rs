//! Record keys under subject keys: whose key a record is under, and how its own key is wrapped.
//!
//! Guarantees: a record key is wrapped under all of its subject keys together, so that destroying any one of them closes
//! the record; the key that wraps is derived (HKDF-SHA-256, RFC 5869), so a subject key is used for nothing else.
//! Does not do: keeping keys (the [`super::Keyring`] does). A key provider on its own wraps record keys directly, which is
//! how records were sealed before there were subject keys; those still open.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use aes_kw::{KeyInit as _, KwAes256};
use ledgerstone::hash::{Hash, hmac_sha256};
use ledgerstone::record::schema::{DECISION_SUBJECT, PRIVACY_RETENTION_CLASS};
use ledgerstone::record::{Field, Record, SubjectKeyId, Value};
use ledgerstone::time::{Date, UnixMillis};
use zeroize::Zeroizing;

use super::hot::Lease;
use super::{KEY_BYTES, KeyId, KeyProvider, KeyringError, RecordKey, WrappedKey, key_wrap};
use crate::locked::LockedKey;

/// What the derivation of a wrapping key says it is for.
const WRAP_INFO: &[u8] = b"ledgerstone/record-wrap/v1";

/// The key of one person, in one retention class and month. Wiped when dropped, never printed.
pub struct SubjectKey {
    /// Its name.
    pub id: SubjectKeyId,
    key: LockedKey,
}

impl SubjectKey {
    /// Takes fresh or unwrapped bytes.
    #[must_use]
    pub fn new(id: SubjectKeyId, key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { id, key: LockedKey::new(&key) }
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({})", self.id)
    }
}

/// What a record key is wrapped under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Under {
    /// A key-encryption key.
    Provider(KeyId),
    /// Subject keys.
    Subjects(Vec<SubjectKeyId>),
}

/// A record key as a sealed record keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptKey {
    /// What it is wrapped under.
    pub under: Under,
    /// The wrapped key.
    pub wrapped: WrappedKey,
}

/// What the keyring calls a sealed record: 16 bytes of the SHA-256 of its wrapped record key, which is random.
pub(crate) type RecordRef = [u8; 16];

impl KeptKey {
    /// What the keyring calls the record.
    pub(crate) fn record_ref(&self) -> RecordRef {
        let digest = Hash::of(self.wrapped.as_bytes());
        digest.as_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// Whom a record is about, and how long it is kept: what decides its subject keys.
#[derive(Clone, PartialEq, Eq)]
pub struct About {
    /// References of the persons concerned, each once, in the order of the record's fields.
    pub subjects: Vec<String>,
    /// The retention class; empty for none.
    pub class: String,
    /// The month, counted from year 0, in UTC.
    pub month: u32,
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "About({} persons, {:?}, {})", self.subjects.len(), self.class, self.month)
    }
}

impl About {
    /// What the record of a decision made at `at` says.
    #[must_use]
    pub fn of(record: &Record, at: UnixMillis) -> Self {
        let mut seen = HashSet::new();
        let named = record.fields().iter().filter_map(subject).map(|(_, subject)| subject);
        let subjects = named.filter(|subject| seen.insert(*subject)).map(str::to_owned).collect();
        let class = match record.value(&PRIVACY_RETENTION_CLASS) {
            Some(Value::Text(class)) => class.clone(),
            _ => String::new(),
        };
        Self { subjects, class, month: month(at) }
    }
}

/// The place and the reference of a person, if the field is one: `decision/subject`, or `decision/subject/[n]` for a row of a batch.
pub(crate) fn subject(field: &Field) -> Option<(u32, &str)> {
    let rest = field.path.as_str().strip_prefix(DECISION_SUBJECT.as_str())?;
    let place = match rest {
        "" => 0,
        row => row.strip_prefix("/[")?.strip_suffix(']')?.parse().ok()?,
    };
    match &field.value {
        Value::Text(subject) => Some((place, subject)),
        _ => None,
    }
}

/// The month of a time, counted from year 0, in UTC; the last of year 9999 for times after it.
#[must_use]
pub fn month(at: UnixMillis) -> u32 {
    let (year, month, _) = Date::of(at).parts();
    u32::try_from(year * 12 + month - 1).unwrap_or(u32::MAX)
}

/// Keys that a record is about to be sealed under. Until it is dropped no erasure of theirs is finished.
#[derive(Debug)]
pub struct Taken {
    pub(super) keys: Vec<Arc<SubjectKey>>,
    pub(super) lease: Option<Lease>,
}

impl Taken {
    /// None: a key provider wraps by itself.
    pub(crate) const PROVIDER: Self = Self { keys: Vec::new(), lease: None };

    /// Says that the record is with the log, or never will be: the keys are no longer waited for.
    pub fn done(self) {
        drop(self.lease);
    }
}

/// Gives out and opens record keys.
pub trait RecordKeys: Send + Sync {
    /// The key-encryption key in force; records say it.
    fn key_name(&self) -> &KeyId;

    /// The keys for a new record. Makes no call to a key provider and none to a disk.
    ///
    /// # Errors
    /// [`KeyringError::PoolEmpty`] if as many new keys are not at hand.
    fn take(&self, about: &About) -> Result<Taken, KeyringError>;

    /// The keys that the record kept as `kept` is under, for what is added to it.
    ///
    /// # Errors
    /// [`KeyringError::Erased`] if one was destroyed, [`KeyringError::Closing`] if one may be about to be.
    fn take_again(&self, kept: &KeptKey) -> Result<Taken, KeyringError>;

    /// Wraps a record key under keys that were taken.
    ///
    /// # Errors
    /// [`KeyringError`] if the provider cannot be reached or refuses.
    fn keep(&self, taken: &Taken, key: &RecordKey) -> Result<KeptKey, KeyringError>;

    /// Unwraps a record key.
    ///
    /// # Errors
    /// [`KeyringError`] says whether the key was destroyed, is missing or does not fit.
    fn record_key(&self, kept: &KeptKey) -> Result<RecordKey, KeyringError>;

    /// Returns once new keys may be at hand again; at once where there is nothing to wait for.
    fn refilled(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

impl<T: KeyProvider + ?Sized> RecordKeys for T {
    fn key_name(&self) -> &KeyId {
        self.key_id()
    }

    fn take(&self, _about: &About) -> Result<Taken, KeyringError> {
        Ok(Taken::PROVIDER)
    }

    fn take_again(&self, _kept: &KeptKey) -> Result<Taken, KeyringError> {
        Ok(Taken::PROVIDER)
    }

    fn keep(&self, _taken: &Taken, key: &RecordKey) -> Result<KeptKey, KeyringError> {
        Ok(KeptKey { under: Under::Provider(self.key_id().clone()), wrapped: KeyProvider::wrap(self, key)? })
    }

    fn record_key(&self, kept: &KeptKey) -> Result<RecordKey, KeyringError> {
        match &kept.under {
            Under::Provider(id) => KeyProvider::unwrap(self, id, &kept.wrapped),
            Under::Subjects(_) => Err(KeyringError::NoKeyring),
        }
    }
}

/// Wraps `key` under all of `keys` together.
pub(super) fn wrap(keys: &[Arc<SubjectKey>], key: &RecordKey) -> Result<KeptKey, KeyringError> {
    let wrapped = key_wrap::wrap(&cipher(keys), key)?;
    let under = Under::Subjects(keys.iter().map(|key| key.id).collect());
    Ok(KeptKey { under, wrapped })
}

/// Unwraps what [`wrap`] wrapped under the same keys in the same order.
pub(super) fn unwrap(keys: &[Arc<SubjectKey>], wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
    key_wrap::unwrap(&cipher(keys), wrapped)
}

/// `HKDF-SHA-256(salt = 32 zero bytes, IKM = the keys behind each other, info = label and the keys' names)`, one block.
fn cipher(keys: &[Arc<SubjectKey>]) -> KwAes256 {
    let mut material = Zeroizing::new(Vec::with_capacity(keys.len() * KEY_BYTES));
    let mut info = Vec::with_capacity(WRAP_INFO.len() + keys.len() * SubjectKeyId::LEN + 1);
    info.extend_from_slice(WRAP_INFO);
    for key in keys {
        material.extend_from_slice(key.key.read().as_slice());
        info.extend_from_slice(key.id.as_bytes());
    }
    info.push(1);
    let extracted = Zeroizing::new(hmac_sha256(&[0; 32], &material));
    let derived = Zeroizing::new(hmac_sha256(&extracted, &info));
    KwAes256::new(&(*derived).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        // Python: datetime.fromtimestamp(t, UTC).year * 12 + month - 1
        for (at, expected) in [
            (0, 1970 * 12),
            (951_782_399_999, 2000 * 12 + 1),    // 2000-02-28T23:59:59.999Z
            (951_868_800_000, 2000 * 12 + 2),    // 2000-03-01
            (1_735_689_599_999, 2024 * 12 + 11), // 2024-12-31T23:59:59.999Z
            (1_735_689_600_000, 2025 * 12),      // 2025-01-01
            (1_795_000_000_000, 2026 * 12 + 10),
        ] {
            assert_eq!(month(UnixMillis::new(at)), expected, "{at}");
        }
    }

    fn key(byte: u8) -> Arc<SubjectKey> {
        let id = SubjectKeyId::from_bytes([byte; 16]);
        Arc::new(SubjectKey::new(id, Zeroizing::new([byte; 32])))
    }

    #[test]
    fn a_record_key_opens_with_all_its_keys_in_their_order_and_with_no_others() {
        let record = RecordKey::new(Zeroizing::new([9; 32]));
        let kept = wrap(&[key(1), key(2)], &record).unwrap();
        assert_eq!(unwrap(&[key(1), key(2)], &kept.wrapped).unwrap().expose(), &[9; 32]);
        for wrong in [vec![key(1)], vec![key(2)], vec![key(2), key(1)], vec![key(1), key(3)], vec![]] {
            let error = unwrap(&wrong, &kept.wrapped).unwrap_err();
            assert_eq!(error, KeyringError::BadWrappedKey, "{wrong:?}");
        }
    }

    #[test]
    fn wraps_as_the_second_implementation_does() {
        // Python's cryptography: HKDF(SHA256, 32, salt=None, info=b"ledgerstone/record-wrap/v1" + ids) over the keys 01.. and
        // 02.., then aes_key_wrap of 09..: sidecar/tests/oracle/sealed.py.
        let record = RecordKey::new(Zeroizing::new([9; 32]));
        let kept = wrap(&[key(1), key(2)], &record).unwrap();
        assert_eq!(ledgerstone::encoding::hex_encode(kept.wrapped.as_bytes()), ORACLE);
    }

    const ORACLE: &str = "407a8223dbf116599dc1cbfffeb54576ffbecb96daa724b8c748263d4274db6e855a0f95d870ceab";
}
