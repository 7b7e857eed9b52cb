//! The key file: a key-encryption key in the clear, for development.
//!
//! Guarantees: a key file that others can read is refused; an existing one is never overwritten; what is read is wiped.
//! Does not do: protecting the key from whoever can read the disk; the other providers do.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aes_kw::{KeyInit as _, KwAes256};
use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, base64_encode};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyId, KeyProvider, KeyringError, RecordKey, WrappedKey, key_wrap};
use crate::locked::Locked;

/// Bytes of a key file; a real one has under 200.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// First word of a key file.
const KEY_FILE_MAGIC: &str = "ledgerstone-key-v1";

/// Permission bits that a key file must not have: anything for others, and writing for the group. Reading for the
/// group stays allowed, because a Kubernetes secret with `fsGroup` is mounted that way.
const FORBIDDEN_MODE: u32 = 0o027;

/// A key-encryption key read from a file: for development and tests, because the key lies on the disk in the clear.
pub struct FileKeyProvider {
    id: KeyId,
    cipher: Locked<KwAes256>,
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
        write_private(path, text.as_bytes()).map_err(unwritable)?;
        Ok(Self::from_key(id, key))
    }

    /// Takes a key that is already in memory.
    #[must_use]
    pub fn from_key(id: KeyId, key: &[u8; KEY_BYTES]) -> Self {
        Self { id, cipher: Locked::new(KwAes256::new(&(*key).into())) }
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
        key_wrap::wrap(&self.cipher, key)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if *id != self.id {
            return Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.id.clone() });
        }
        key_wrap::unwrap(&self.cipher, wrapped)
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

/// Writes a new file that only its owner can read, durably.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
