//! The keys that wrap record keys: a [`KeyProvider`] says how; a file, a PKCS#11 token, a Vault or AWS KMS holds them.
//!
//! Guarantees: a record key leaves this module only wrapped or inside a type that is wiped when dropped and never printed;
//! what was wrapped under an earlier key unwraps as long as that key is among the previous ones; a call of a provider ends
//! within its time limit, and says what to do when it failed; a refused PIN is not tried again. Keys for each subject are
//! those of the [`Keyring`].
//!
//! | provider | a wrapped key is |
//! | --- | --- |
//! | [`FileKeyProvider`] | AES Key Wrap (RFC 3394), 40 bytes |
//! | [`pkcs11`] | a byte for the mechanism, then AES Key Wrap, or nonce and AES-GCM |
//! | [`vault`] | the text `vault:vN:...` of the transit engine |
//! | [`aws_kms`] | the ciphertext blob of AWS KMS |
//!
//! The file and, where it can, the token use AES Key Wrap because it needs no nonce: a key-encryption key that wraps
//! millions of record keys under random 96-bit nonces would run into the bound of NIST SP 800-38D, section 8.3. The
//! services change their key's version before that.

mod backup;
mod counts;
mod database;
mod error;
mod follow;
mod hot;
mod key_wrap;
mod notes;
mod restore;
mod ring;
mod rotate;
mod subject;

use std::fmt;
use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SubjectKeyId;
use zeroize::Zeroizing;

#[cfg(feature = "aws-kms")]
pub mod aws_kms;
mod configured;
mod fault;
mod file;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod remote;
mod secret;
pub mod vault;

pub use self::configured::{Configured, Created, KeysError, Provider, open};
pub use self::fault::Fault;
pub use self::file::{FileKeyProvider, KeyFileError};
pub(crate) use self::file::{check_mode, create_private, write_private};
pub(crate) use self::secret::read_lines;
pub use self::secret::{SecretError, SecretSource};

pub use self::backup::{SLOTS_MAX, copy_of};
pub use self::counts::Counts;
pub(crate) use self::database::StoredKey;
pub use self::error::RingError;
pub use self::follow::Follower;
pub(crate) use self::hot::REMEMBERED_MAX;
pub(crate) use self::notes::{Fresh, Note, Rekeyed};
pub use self::restore::{Restored, begin_again, restore};
pub use self::ring::{Keyring, file, folder, to_read};
pub use self::subject::{About, KeptKey, RecordKeys, SubjectKey, Taken, Under, month};
pub(crate) use self::subject::{RecordRef, subject};

/// Length of every symmetric key here, in bytes.
pub const KEY_BYTES: usize = 32;

/// Length of a wrapped record key from the largest provider foreseen: a cloud KMS answers with a few hundred bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 1024;

/// The name of a key-encryption key: 1 to 64 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// Takes a name that keeps the rule of this type.
    ///
    /// # Errors
    /// [`KeyringError::BadKeyId`] if the name is empty, too long or has other characters.
    pub fn new(name: &str) -> Result<Self, KeyringError> {
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(KeyringError::BadKeyId)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of one sealed record. Wiped when dropped, never printed.
pub struct RecordKey(Zeroizing<[u8; KEY_BYTES]>);

impl RecordKey {
    /// Takes fresh random bytes.
    #[must_use]
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The same key, for a thread that makes the call.
    #[cfg(feature = "pkcs11")]
    fn copy(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}

/// A record key as it is stored beside the record it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// Takes bytes that a provider made.
    ///
    /// # Errors
    /// [`KeyringError::BadWrappedKey`] if there are none or more than [`WRAPPED_KEY_BYTES_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyringError> {
        if bytes.is_empty() || bytes.len() > WRAPPED_KEY_BYTES_MAX {
            return Err(KeyringError::BadWrappedKey);
        }
        Ok(Self(bytes))
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Wraps and unwraps record keys under a key-encryption key that never leaves the provider.
pub trait KeyProvider: Send + Sync {
    /// The key that new record keys are wrapped under.
    fn key_id(&self) -> &KeyId;

    /// Wraps `key` under the key named by [`KeyProvider::key_id`].
    ///
    /// # Errors
    /// [`KeyringError`] if the provider cannot be reached or refuses.
    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError>;

    /// Unwraps a key that was wrapped under the key named `id`.
    ///
    /// # Errors
    /// [`KeyringError::UnknownKey`] if the provider does not hold `id`, [`KeyringError::BadWrappedKey`] if the bytes
    /// were not wrapped under it.
    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError>;

    /// Whether a call may wait for a device or a server. Such a call belongs on a thread that may block.
    fn may_block(&self) -> bool {
        false
    }
}

impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    fn key_id(&self) -> &KeyId {
        (**self).key_id()
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        (**self).wrap(key)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        (**self).unwrap(id, wrapped)
    }

    fn may_block(&self) -> bool {
        (**self).may_block()
    }
}

/// Why a record key could not be wrapped or unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The name of a key breaks the rule of [`KeyId`].
    #[error("a key id has 1 to 64 characters of a-z, 0-9, '.', '_' and '-'")]
    BadKeyId,
    /// The record was sealed under a key that this provider does not hold.
    #[error(
        "the record is sealed under key {wanted}, and the key provider holds {held}: configure the key provider that holds {wanted}"
    )]
    UnknownKey {
        /// The key that the record names.
        wanted: KeyId,
        /// The key that the provider holds.
        held: KeyId,
    },
    /// The wrapped key does not unwrap: it was changed, or the key file holds another key under the same name.
    #[error(
        "the wrapped record key does not unwrap: it was changed, or the key provider holds another key under this name"
    )]
    BadWrappedKey,
    /// The provider did not do it this time. The same call may succeed later.
    #[error("the key provider of {id} is not available: {fault}")]
    Unavailable {
        /// The key.
        id: KeyId,
        /// What happened.
        fault: Fault,
    },
    /// The provider does not do it until somebody changes something.
    #[error("the key provider of {id} refuses: {fault}")]
    Refused {
        /// The key.
        id: KeyId,
        /// What happened.
        fault: Fault,
    },
    /// A key of the record was destroyed.
    #[error("the record was erased{}", at(.leaf))]
    Erased {
        /// Where the log says so; nothing while that is under way.
        leaf: Option<LeafIndex>,
    },
    /// A key of the record is being erased, or is asked whether it may be.
    #[error("the record is about to be erased, unless that is refused: try again")]
    Closing,
    /// A key of the record is not in the keyring.
    #[error(
        "the record is under the subject key {id}, which the keyring does not have: restore it from a backup"
    )]
    UnknownSubjectKey {
        /// The key.
        id: SubjectKeyId,
    },
    /// The record is under subject keys, and there is no keyring at hand.
    #[error("the record is under subject keys, and no keyring was opened")]
    NoKeyring,
    /// There is no key at hand that is nobody's yet.
    #[error(
        "no new subject key is at hand; try again, and see whether the key provider and the keyring's disk answer"
    )]
    PoolEmpty,
    /// The keyring cannot be read; the log lines say why.
    #[error("the keyring cannot be read; try again, and see its log lines")]
    Unreadable,
}

fn at(leaf: &Option<LeafIndex>) -> String {
    leaf.map(|leaf| format!(": entry {leaf} of the log says so")).unwrap_or_default()
}

impl KeyringError {
    /// The error for what happened to a call about the key `id`.
    #[must_use]
    pub(crate) fn of(id: &KeyId, fault: Fault) -> Self {
        let id = id.clone();
        match fault.code() {
            Code::Unavailable => Self::Unavailable { id, fault },
            Code::Inconsistent => Self::BadWrappedKey,
            _ => Self::Refused { id, fault },
        }
    }

    /// Whether this says something of the provider and nothing of the wrapped key.
    #[must_use]
    pub const fn is_of_provider(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }

    /// Whether the same key may be had later, or with another configuration.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        self.is_of_provider() || matches!(self, Self::UnknownKey { .. } | Self::Unreadable)
    }

    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadKeyId | Self::UnknownKey { .. } | Self::NoKeyring | Self::Erased { .. } => Code::Misuse,
            Self::BadWrappedKey => Code::Inconsistent,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Refused { fault, .. } => fault.code(),
            Self::UnknownSubjectKey { .. } | Self::PoolEmpty | Self::Unreadable | Self::Closing => {
                Code::Unavailable
            }
        }
    }
}

/// What a wrapped key is bound to where the provider can bind: its purpose, and the name of the key that wraps it.
fn bound(id: &KeyId) -> Vec<u8> {
    format!("ledgerstone/record-key/v1\n{id}").into_bytes()
}

/// Unwraps under keys that a test holds.
#[cfg(test)]
pub(crate) fn unwrap_under<const N: usize>(
    keys: [(SubjectKeyId, [u8; KEY_BYTES]); N],
    wrapped: &WrappedKey,
) -> Result<RecordKey, KeyringError> {
    let keys = keys.map(|(id, key)| std::sync::Arc::new(SubjectKey::new(id, Zeroizing::new(key))));
    subject::unwrap(&keys, wrapped)
}
