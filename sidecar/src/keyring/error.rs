//! Why the keyring cannot be used.

use std::io;
use std::path::PathBuf;

use ledgerstone::code::Code;

use super::KeyringError;
use crate::reader::LogReadError;

/// Why the keyring cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// SQLite.
    #[error("the keyring cannot be used ({0}): check its disk, or restore it from a backup")]
    Sqlite(#[from] rusqlite::Error),
    /// The file.
    #[error("the keyring {path} cannot be used ({source}): give access to it")]
    File {
        /// Where it lies.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another file.
    #[error("{path} is not a keyring: restore it from a backup (`keyring restore`)")]
    NoKeyring {
        /// Where it lies.
        path: PathBuf,
    },
    /// Another format.
    #[error("the keyring has format {found}, and this build reads 1: use the build that wrote it")]
    Format {
        /// The format found.
        found: i64,
    },
    /// Another log's.
    #[error("the keyring is another log's: restore this log's own (`keyring restore`)")]
    OtherLog,
    /// Something in it is not what the sidecar wrote.
    #[error("the keyring is damaged ({what}): restore it from a backup (`keyring restore`)")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// It knows entries that the log does not have.
    #[error(
        "the keyring knows {known} entries and the log has {size}: restore the log from a later copy, or, if there is none, \
         bring the keyring back to this one (`keyring restore --from` a copy of it)"
    )]
    Ahead {
        /// Entries that the keyring knows.
        known: u64,
        /// Entries of the log.
        size: u64,
    },
    /// It was made anew while records lie under keys that it does not have.
    #[error(
        "there was no keyring, and {records} records of the log are under keys of one: restore it from a backup \
         (`keyring restore`), or give them up for good (`keyring restore --without-backup`)"
    )]
    Missing {
        /// Records that do not open.
        records: u64,
    },
    /// What the keyring in place knows and the log does not would be lost.
    #[error(
        "the keyring that would be replaced cannot be read ({source}): it may know of an erasure that the log does not say yet, \
         whose keys the copy would bring back; put it in order, or give that up (`keyring restore --discard-current`)"
    )]
    Current {
        /// Why.
        source: Box<RingError>,
    },
    /// Too many restores.
    #[error("{path} has as many replaced keyrings as are kept: take away those named replaced-*.db")]
    Replaced {
        /// The folder.
        path: PathBuf,
    },
    /// There is a keyring that may be used.
    #[error("there is a keyring in use; nothing is given up while it is there")]
    NotEmpty,
    /// Another process reads the file without end.
    #[error("another process holds the keyring; end it: what was destroyed is not wiped before")]
    Busy,
    /// A path that SQLite does not take.
    #[error("the path of a keyring is UTF-8 and new")]
    Path,
    /// A key provider.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// No randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// A part of the sidecar panicked.
    #[error("the keyring failed because of a defect; report it")]
    Defect,
}

impl RingError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Sqlite(_) | Self::File { .. } | Self::Busy | Self::NoRandomness => Code::Unavailable,
            Self::NoKeyring { .. } | Self::Format { .. } | Self::Damaged { .. } => Code::Malformed,
            Self::OtherLog | Self::NotEmpty | Self::Path | Self::Missing { .. } => Code::Misuse,
            Self::Replaced { .. } => Code::Limit,
            Self::Current { source } => source.code(),
            Self::Ahead { .. } => Code::Inconsistent,
            Self::Keys(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Defect => Code::Internal,
        }
    }
}
