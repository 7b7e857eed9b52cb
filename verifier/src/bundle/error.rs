//! Why a bundle is not to be relied on, or does not read.

use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::CheckpointError;
use ledgerstone::code::Code;
use ledgerstone::evidence::RunError;

use crate::exit::Refusal;

/// Why a bundle is not to be relied on, or does not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file cannot be read, or is no archive.
    #[error("{} does not read as a bundle: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system or the decoder said.
        source: io::Error,
    },
    /// The file is encrypted and does not open.
    #[error("{} is encrypted and does not open: {problem}", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A member is something other than a file, or its name is not text.
    #[error("the bundle holds something that is no file")]
    NotAFile,
    /// A member stands where it does not belong.
    #[error("the bundle holds {name:?} where it does not belong")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A member is not there.
    #[error("the bundle ends before {name:?}: it was cut off")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A member ends early.
    #[error("the bundle ends inside {name:?}: it was cut off")]
    Truncated {
        /// Its name.
        name: String,
    },
    /// A member is larger than any such member is.
    #[error("{name:?} in the bundle claims {size} bytes, at most {bytes_max} are read")]
    TooLarge {
        /// Its name.
        name: String,
        /// The size that it claims.
        size: u64,
        /// The bound.
        bytes_max: usize,
    },
    /// The models are larger than what is read.
    #[error("the models in the bundle have more than {bytes_max} bytes together")]
    Models {
        /// The bound.
        bytes_max: u64,
    },
    /// The header is none, or contradicts what follows.
    #[error("the bundle's header is not to be relied on: {problem}")]
    Header {
        /// What is wrong.
        problem: String,
    },
    /// The checkpoint does not read.
    #[error("the checkpoint in the bundle does not read: {0}")]
    Checkpoint(#[source] CheckpointError),
    /// A model is not the one that it is named by.
    #[error("the model {digest} of the bundle: {problem}")]
    Model {
        /// The digest that it is named by.
        digest: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The tree that was drawn from is not the beginning of the bundle's.
    #[error("the draw in the bundle is of another history: {problem}")]
    Draw {
        /// What is wrong.
        problem: String,
    },
    /// A run is no run, or its entries are not in the tree.
    #[error("part {number} of the bundle: {source}")]
    Run {
        /// Its place, from 0.
        number: u64,
        /// What is wrong.
        source: RunError,
    },
    /// Entries stand in another order, or others stand there.
    #[error("the bundle holds entry {found} where {} belongs", expected.map_or("nothing more".to_owned(), |index| format!("entry {index}")))]
    Order {
        /// The leaf index that belongs there, if any.
        expected: Option<u64>,
        /// The one that is there.
        found: u64,
    },
    /// An entry is missing at the end.
    #[error("the bundle lacks entry {index}, which it says that it holds")]
    MissingEntry {
        /// Its leaf index.
        index: u64,
    },
    /// Whoever took the parts wanted no more.
    #[error("reading the bundle was stopped")]
    Stopped,
    /// There are fewer runs than the header says.
    #[error("the bundle ends after {found} of {expected} parts: it was cut off")]
    FewerRuns {
        /// As the header says.
        expected: u64,
        /// As there are.
        found: u64,
    },
}

impl BundleError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Code::Unavailable,
                _ => Code::Malformed,
            },
            Self::Decrypt { .. } => Code::Unavailable,
            Self::Model { .. } | Self::Draw { .. } | Self::Order { .. } | Self::MissingEntry { .. } => {
                Code::Inconsistent
            }
            Self::Run { source, .. } => source.code(),
            Self::TooLarge { .. } | Self::Models { .. } => Code::Limit,
            Self::Checkpoint(error) => error.code(),
            _ => Code::Malformed,
        }
    }
}

impl From<BundleError> for Refusal {
    fn from(error: BundleError) -> Self {
        let next = match error.code() {
            Code::Inconsistent => "Keep the file as evidence, and ask the operator for the bundle again.",
            Code::Unavailable => {
                "Check the path, the permissions and --identity, then run the command again."
            }
            _ => "Ask the operator to export the bundle again, and compare its SHA-256 after the transfer.",
        };
        Self::new(error.code(), &error, next)
    }
}
