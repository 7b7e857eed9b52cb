//! The file with the key that signs COSE receipts.
//!
//! Guarantees: as for the log's own keys: a file that others can read is refused, an existing one is never overwritten, the text
//! is wiped from memory. A file of another purpose is refused by its first line. Does not do: hardware.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use ledgerstone::cose::{ReceiptSigningKey, ReceiptSigningKeyError};
use ledgerstone::note::KeyName;
use zeroize::Zeroizing;

use crate::keyring::{KeyFileError, check_mode, write_private};

/// Bytes of a key file; a real one has under 400.
const FILE_BYTES_MAX: u64 = 4 * 1024;

/// Reads the receipt key of the log `origin`.
///
/// # Errors
/// [`ReceiptKeyFileError`] says what is wrong with the file, never what it holds.
pub fn load(path: &Path, origin: &KeyName) -> Result<ReceiptSigningKey, ReceiptKeyFileError> {
    let unreadable = |source| ReceiptKeyFileError::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    check_mode(path, &metadata)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let key = ReceiptSigningKey::parse(&text);
    let key = key.map_err(|source| ReceiptKeyFileError::Malformed { path: path.to_owned(), source })?;
    if key.receipt_key().origin() != origin {
        let (found, wanted) = (key.receipt_key().origin().clone(), origin.clone());
        return Err(ReceiptKeyFileError::OtherOrigin { path: path.to_owned(), found, wanted });
    }
    Ok(key)
}

/// Draws a receipt key for the log `origin` and writes it to a new file that only its owner can read.
///
/// # Errors
/// [`ReceiptKeyFileError`] if there is a file already, or it cannot be written.
pub fn create(path: &Path, origin: &KeyName) -> Result<ReceiptSigningKey, ReceiptKeyFileError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| ReceiptKeyFileError::NoRandomness)?;
    let key = ReceiptSigningKey::from_seed(origin.clone(), &seed);
    let key = key.map_err(|source| ReceiptKeyFileError::Malformed { path: path.to_owned(), source })?;
    let written = write_private(path, key.to_text().as_bytes());
    written.map_err(|source| ReceiptKeyFileError::Unwritable { path: path.to_owned(), source })?;
    Ok(key)
}

/// Why the receipt key of a log cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptKeyFileError {
    /// The file cannot be read.
    #[error(
        "cannot read the receipt key file {path}: {source}; create it with `ledgerstone-sidecar receipt key`, or leave receipt.key_file out"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the receipt key file {path}: {source}; an existing key is never overwritten")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others can read it.
    #[error(transparent)]
    Mode(#[from] KeyFileError),
    /// It is not a receipt key file.
    #[error("{path} is not a receipt key file: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ReceiptSigningKeyError,
    },
    /// It holds the key of another log.
    #[error(
        "the receipt key in {path} is that of log {found}, and log.origin is {wanted}: set the origin or the file right"
    )]
    OtherOrigin {
        /// The file.
        path: PathBuf,
        /// The log whose key it holds.
        found: KeyName,
        /// The log of the configuration.
        wanted: KeyName,
    },
    /// No randomness for a fresh key.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl ReceiptKeyFileError {
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
