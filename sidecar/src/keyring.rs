//! The keys that wrap record keys: a `KeyProvider` says how, the file provider is the one for development.
//!
//! Guarantees: a record key leaves this module only wrapped (AES Key Wrap, RFC 3394) or inside a type that is wiped
//! when dropped and never printed; a key file that others can read is refused.
//! Does not do: keys for each subject, rotation, hardware; a provider for those implements the same trait.
//!
//! AES Key Wrap is used because it needs no nonce: a key-encryption key that wraps millions of record keys under random
//! 96-bit nonces would run into the bound of NIST SP 800-38D, section 8.3.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aes_kw::{KeyInit as _, KwAes256};
use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, base64_encode};
use zeroize::{Zeroize as _, Zeroizing};

/// Length of every symmetric key here, in bytes.
pub const KEY_BYTES: usize = 32;

/// Length of a wrapped record key from the largest provider foreseen: a cloud KMS answers with a few hundred bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 1024;

/// Bytes of a key file; a real one has under 200.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// First word of a key file.
const KEY_FILE_MAGIC: &str = "ledgerstone-key-v1";

/// Bytes that AES Key Wrap adds (RFC 3394, section 2.2.1).
const WRAP_OVERHEAD_BYTES: usize = 8;

/// Permission bits that a key file must not have: anything for others, and writing for the group. Reading for the
/// group stays allowed, because a Kubernetes secret with `fsGroup` is mounted that way.
const FORBIDDEN_MODE: u32 = 0o027;

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
}

impl KeyringError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadKeyId | Self::UnknownKey { .. } => Code::Misuse,
            Self::BadWrappedKey => Code::Inconsistent,
        }
    }
}

/// A key-encryption key read from a file: for development and tests, because the key lies on the disk in the clear.
pub struct FileKeyProvider {
    id: KeyId,
    cipher: KwAes256,
}

impl FileKeyProvider {
    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file is not there, not readable, open to others, or not a key file.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        check_mode(path, &metadata)?;
        if metadata.len() > KEY_FILE_BYTES_MAX {
            return Err(KeyFileError::malformed(path, "it is larger than 4096 bytes"));
        }
        let text = Zeroizing::new(fs::read(path).map_err(unreadable)?);
        let text = str::from_utf8(&text).map_err(|_| KeyFileError::malformed(path, "it is not text"))?;
        Self::parse(path, text)
    }

    /// Writes a key file with the fresh random `key` at `path`, readable by its owner only, and returns its provider.
    ///
    /// # Errors
    /// [`KeyFileError::Unwritable`] if the file exists already or cannot be written.
    pub fn create(path: &Path, id: KeyId, key: &[u8; KEY_BYTES]) -> Result<Self, KeyFileError> {
        let unwritable = |source| KeyFileError::Unwritable { path: path.to_owned(), source };
        let encoded = Zeroizing::new(base64_encode(key));
        let text = Zeroizing::new(format!("{KEY_FILE_MAGIC} {id} {}\n", encoded.as_str()));
        let mut file = create_private(path).map_err(unwritable)?;
        file.write_all(text.as_bytes()).map_err(unwritable)?;
        file.sync_all().map_err(unwritable)?;
        Ok(Self::from_key(id, key))
    }

    /// Takes a key that is already in memory.
    #[must_use]
    pub fn from_key(id: KeyId, key: &[u8; KEY_BYTES]) -> Self {
        Self { id, cipher: KwAes256::new(&(*key).into()) }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyFileError> {
        let malformed = |what| KeyFileError::malformed(path, what);
        let line = text.strip_suffix('\n').unwrap_or(text);
        let mut words = line.split(' ');
        if words.next() != Some(KEY_FILE_MAGIC) {
            return Err(malformed("it does not start with \"ledgerstone-key-v1\""));
        }
        let (Some(id), Some(key), None) = (words.next(), words.next(), words.next()) else {
            return Err(malformed("it is not three words on one line"));
        };
        let id = KeyId::new(id).map_err(|_| malformed("its second word is not a key id"))?;
        let key = base64_decode(key).map_err(|_| malformed("its third word is not base64"))?;
        let key = Zeroizing::new(key);
        let key: &[u8; KEY_BYTES] =
            key.as_slice().try_into().map_err(|_| malformed("its key is not 32 bytes long"))?;
        Ok(Self::from_key(id, key))
    }
}

impl fmt::Debug for FileKeyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKeyProvider({})", self.id)
    }
}

impl KeyProvider for FileKeyProvider {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        let mut wrapped = vec![0; KEY_BYTES + WRAP_OVERHEAD_BYTES];
        self.cipher.wrap_key(key.expose(), &mut wrapped).map_err(|_| KeyringError::BadWrappedKey)?;
        WrappedKey::new(wrapped)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if *id != self.id {
            return Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.id.clone() });
        }
        if wrapped.as_bytes().len() != KEY_BYTES + WRAP_OVERHEAD_BYTES {
            return Err(KeyringError::BadWrappedKey);
        }
        let mut buffer = Zeroizing::new([0; KEY_BYTES + WRAP_OVERHEAD_BYTES]);
        let key = self
            .cipher
            .unwrap_key(wrapped.as_bytes(), buffer.as_mut_slice())
            .map_err(|_| KeyringError::BadWrappedKey)?;
        let mut key: [u8; KEY_BYTES] = key.try_into().map_err(|_| KeyringError::BadWrappedKey)?;
        let record_key = RecordKey::new(Zeroizing::new(key));
        key.zeroize();
        Ok(record_key)
    }
}

/// Why a key file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file could not be read.
    #[error("cannot read the key file {path}: {source}; check that it exists and that this user may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write the key file {path}: {source}; an existing key is never overwritten")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Other users of the machine could read or change the key.
    #[error(
        "the key file {path} has mode {mode:03o}: others could read or change the key; run `chmod 600 {path}`"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key file.
    #[error(
        "{path} is not a key file: {what}; a key file is one line, `ledgerstone-key-v1 ID BASE64-OF-32-BYTES`"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without any of its content.
        what: &'static str,
    },
}

impl KeyFileError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Unwritable { .. } => Code::Unavailable,
            Self::TooOpen { .. } => Code::Misuse,
            Self::Malformed { .. } => Code::Malformed,
        }
    }

    fn malformed(path: &Path, what: &'static str) -> Self {
        Self::Malformed { path: path.to_owned(), what }
    }
}

#[cfg(unix)]
pub(crate) fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & FORBIDDEN_MODE == 0 {
        return Ok(());
    }
    Err(KeyFileError::TooOpen { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
pub(crate) fn check_mode(_path: &Path, _metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

#[cfg(unix)]
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests;
