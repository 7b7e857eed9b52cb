//! Why a bundle could not be exported.

use std::io;
use std::path::PathBuf;

use ledgerstone::checkpoint::CheckpointError;
use ledgerstone::merkle::TreeSize;
use ledgerstone::merkle::subtree::SubtreeError;

use crate::reader::LogReadError;

/// Why a bundle could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// The published checkpoint does not read.
    #[error("the log's checkpoint does not read: {0}")]
    Checkpoint(#[source] CheckpointError),
    /// The entries asked for are not there.
    #[error(
        "the log's tree has {size} entries and so has no entries {first} to {last}: name indices below its size"
    )]
    Range {
        /// The first one asked for.
        first: u64,
        /// The last one.
        last: u64,
        /// The tree's size.
        size: TreeSize,
    },
    /// An entry is not in its bundle.
    #[error("entry {index} is not in its entry bundle: restore the log's tiles from a copy")]
    NotThere {
        /// The leaf index.
        index: u64,
    },
    /// The draw's transcript is none, or of another log.
    #[error("{} is not a draw that can be exported: {problem}", path.display())]
    Draw {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A model cannot be read.
    #[error("the model {} cannot be exported: {problem}", path.display())]
    Model {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A recipient is not one of age.
    #[error("{recipient:?} is not an age recipient (age1...): {problem}")]
    Recipient {
        /// As given.
        recipient: String,
        /// What is wrong.
        problem: String,
    },
    /// A file is larger than it may be.
    #[error("{} is larger than {bytes_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
    /// The bundle's name is taken.
    #[error("{} exists already: name another file, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// What an interrupted export left is of another one.
    #[error(
        "{} was left by an interrupted export of something else: delete it, or repeat that export with the same arguments",
        path.display()
    )]
    OtherPartial {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The header cannot be written.
    #[error("the bundle's header cannot be written: {0}")]
    Header(#[source] serde_json::Error),
    /// A run is no subtree, which is a defect.
    #[error("a run is no subtree: {0}")]
    Subtree(#[source] SubtreeError),
}
