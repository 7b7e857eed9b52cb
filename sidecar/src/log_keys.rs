//! The file with the keys that sign the log.
//!
//! Guarantees: a key file that others can read is refused; an existing one is never overwritten; the text is wiped from
//! memory. Does not do: hardware. Signing is an effect of the log, so a signer elsewhere fits in later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::{LogKeys, LogKeysError};
use ledgerstone::code::Code;
use ledgerstone::note::KeyName;
use zeroize::Zeroizing;

use crate::keyring::{KeyFileError, check_mode, write_private};

/// Bytes of a key file; a real one has under 500.
const FILE_BYTES_MAX: u64 = 8 * 1024;

/// Reads the keys of the log `origin`.
///
/// # Errors
/// [`LogKeyFileError`] says what is wrong with the file, never what it holds.
pub fn load(path: &Path, origin: &KeyName) -> Result<LogKeys, LogKeyFileError> {
    let unreadable = |source| LogKeyFileError::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    check_mode(path, &metadata)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let parsed = LogKeys::parse(&text);
    let keys = parsed.map_err(|source| LogKeyFileError::Malformed { path: path.to_owned(), source })?;
    if keys.origin() != origin {
        let (found, wanted) = (keys.origin().clone(), origin.clone());
        return Err(LogKeyFileError::OtherOrigin { path: path.to_owned(), found, wanted });
    }
    Ok(keys)
}

/// Draws keys for the log `origin` and writes them to a new file that only its owner can read.
///
/// # Errors
/// [`LogKeyFileError`] if there is a file already, or it cannot be written.
pub fn create(path: &Path, origin: &KeyName) -> Result<LogKeys, LogKeyFileError> {
    let mut seeds = Zeroizing::new([[0; 32]; 2]);
    for seed in seeds.iter_mut() {
        getrandom::fill(seed).map_err(|_| LogKeyFileError::NoRandomness)?;
    }
    let [ed25519, ml_dsa] = *seeds;
    let keys = LogKeys::generate_from_seeds(origin, ed25519, ml_dsa);
    let keys = keys.map_err(|source| LogKeyFileError::Malformed { path: path.to_owned(), source })?;
    let written = write_private(path, keys.to_text().as_bytes());
    written.map_err(|source| LogKeyFileError::Unwritable { path: path.to_owned(), source })?;
    Ok(keys)
}

/// Why the keys of a log cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogKeyFileError {
    /// The file cannot be read.
    #[error(
        "cannot read the log key file {path}: {source}; check that it exists and that this user may read it, or create it with `init`"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the log key file {path}: {source}; an existing key is never overwritten")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others can read it.
    #[error(transparent)]
    Mode(#[from] KeyFileError),
    /// It is not a key file.
    #[error("{path} is not a log key file: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LogKeysError,
    },
    /// It holds the keys of another log.
    #[error(
        "the keys in {path} are those of log {found}, and log.origin is {wanted}: set the origin or the file right"
    )]
    OtherOrigin {
        /// The file.
        path: PathBuf,
        /// The log whose keys it holds.
        found: KeyName,
        /// The log of the configuration.
        wanted: KeyName,
    },
    /// No randomness for fresh keys.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl LogKeyFileError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Unwritable { .. } | Self::OtherOrigin { .. } => Code::Misuse,
            Self::Mode(error) => error.code(),
            Self::Malformed { source, .. } => source.code(),
            Self::NoRandomness => Code::Unavailable,
        }
    }
}
