//! Where a log is read from: a store directory, a bare directory in the C2SP layout, or a URL.
//!
//! Guarantees: every read is bounded in bytes and, over a network, in time; no network is touched unless the place is
//! an http(s) URL; a file that is missing and a file that cannot be read are different answers. Does not do: deciding
//! what the bytes mean.
//! Layout: C2SP `tlog-tiles`, and `docs/spec/store.md` for the store directory around it.

mod directory;
mod token;
mod web;

use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use ledgerstone::limits::{ENTRY_BYTES_MAX, NOTE_BYTES_MAX};

use crate::exit::Refusal;

pub use directory::Directory;
pub(crate) use directory::read_regular;
pub(crate) use web::{Answered, CA_BYTES_MAX};
pub use web::{CONNECT_TIMEOUT, REQUEST_TIMEOUT, Web, WebOptions, install_crypto_provider};

/// Bytes of a hash tile, and of a full entry bundle of the largest entries with their 2-byte lengths; the larger of
/// the two bounds every read under `tile/`. C2SP lets other logs have entries up to 65,535 bytes, so that is allowed for.
pub const TILE_BYTES_MAX: usize = 256 * (2 + u16::MAX as usize);

const _: () = assert!(256 * (2 + ENTRY_BYTES_MAX) <= TILE_BYTES_MAX, "our own bundles must fit");

/// Somewhere a log can be read from.
pub trait Source {
    /// The place as the user named it, for messages.
    fn label(&self) -> &str;

    /// The bytes of the file at `path`, relative to the log's root (`checkpoint`, `tile/0/000`), if it has at most
    /// `bytes_max` of them.
    ///
    /// # Errors
    /// [`ReadError`] says whether the file is not there or could not be read.
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError>;

    /// The folder of anchors beside this log, where there is one on disk.
    fn anchors(&self) -> Option<PathBuf> {
        None
    }

    /// The directory behind this place, where it is one and its files can be listed.
    fn directory(&self) -> Option<&Directory> {
        None
    }

    /// The log's newest checkpoint as it stands there.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn checkpoint(&self) -> Result<Vec<u8>, ReadError> {
        self.read("checkpoint", NOTE_BYTES_MAX)
    }
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such file.
    #[error("{place} does not exist")]
    Missing {
        /// The file or URL.
        place: String,
    },
    /// There is something else where the file should be.
    #[error("{place} is not a regular file")]
    NotAFile {
        /// The path.
        place: String,
    },
    /// The file is larger than anything that belongs there.
    #[error("{place} is larger than the {bytes_max} bytes that such a file can have")]
    TooLarge {
        /// The file or URL.
        place: String,
        /// The bound it passed.
        bytes_max: usize,
    },
    /// The operating system refused.
    #[error("{place} cannot be read: {source}")]
    Io {
        /// The path.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered, but not with the file.
    #[error("{place} answered with HTTP status {status}")]
    Status {
        /// The URL.
        place: String,
        /// The status.
        status: u16,
    },
    /// The server did not answer in time, or at all, or not in HTTP.
    #[error("{place} cannot be fetched: {source}")]
    Network {
        /// The URL.
        place: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
}

impl ReadError {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::Io { .. } | Self::Status { .. } | Self::Network { .. } => {
                Code::Unavailable
            }
            Self::NotAFile { .. } => Code::Malformed,
            Self::TooLarge { .. } => Code::Limit,
        }
    }

    /// Whether the place answered that there is no such file.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether this says something about the data, and not only about reaching it: the file is not there, or is
    /// something that cannot be part of a log.
    #[must_use]
    pub const fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::NotAFile { .. } | Self::TooLarge { .. })
    }

    /// What the reader can do about it.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "Check the path or address; nothing was changed.",
            Self::NotAFile { .. } | Self::TooLarge { .. } => {
                "Check that this is the file you meant; Ledgerstone writes nothing like it."
            }
            Self::Io { .. } => "Make the file readable for this user, then run the command again.",
            Self::Status { status: 401, .. } => {
                "Show who you are: --cert-file and --key-file, or --token-file."
            }
            Self::Status { status: 403, .. } => "Ask the operator for the role that may read this.",
            Self::Status { status: 300..=399, .. } => "Name the address that it leads to.",
            Self::Status { .. } | Self::Network { .. } => {
                "Check the address and that the server runs, then run the command again."
            }
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let next = error.next();
        Self::new(error.code(), &error, next)
    }
}

/// Opens the place that `name` means: a URL if it starts with `http://` or `https://`, otherwise a directory.
///
/// # Errors
/// Another scheme, a directory that does not exist, or one that holds no log.
pub fn open(name: &str, web: &WebOptions) -> Result<Box<dyn Source>, Refusal> {
    match name.split_once("://") {
        Some(("http" | "https", _)) => Ok(Box::new(Web::new(name, web)?)),
        Some((scheme, _)) => Err(Refusal::usage(
            format_args!("`{scheme}://` is not a place a log can be read from"),
            "Name a directory, or an address that starts with http:// or https://.",
        )),
        None => Ok(Box::new(Directory::open(Path::new(name))?)),
    }
}

/// Reads one input file that the user named; `-` is standard input.
///
/// # Errors
/// The file is missing, unreadable, or larger than `bytes_max`.
pub fn read_input(path: &Path, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    if path.as_os_str() == "-" {
        return directory::read_bounded(io::stdin().lock(), "standard input", bytes_max);
    }
    directory::read_file(path, bytes_max)
}

/// Reads a file that need not be there.
///
/// # Errors
/// As [`read_input`], of a file that is there.
pub fn read_optional(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, ReadError> {
    match directory::read_file(path, bytes_max) {
        Err(ReadError::Missing { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// Joins a log-relative path such as `tile/x001/234` onto a directory, element by element.
fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/').fold(root.to_path_buf(), |mut joined, part| {
        joined.push(part);
        joined
    })
}
