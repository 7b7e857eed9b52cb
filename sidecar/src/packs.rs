//! Regulation packs for the sidecar: those that come with it, those in files, and the check of a log against them.
//!
//! Guarantees: what a route or a command names is found or refused with what is wrong. Does not do: judging a decision;
//! `ledgerstone::pack` does.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::limits::PACK_BYTES_MAX;
use ledgerstone::pack::{BUILT_IN, Pack, PackError, PackRef};

pub mod check;
pub mod tally;

/// The packs that come with the sidecar, by name.
#[must_use]
pub fn built_in() -> Vec<Arc<Pack>> {
    BUILT_IN.iter().filter_map(|(name, _)| Pack::built_in(name)).map(Arc::new).collect()
}

/// Reads a pack from a file.
///
/// # Errors
/// [`PackFileError`] names the file and what is wrong.
pub fn read(path: &Path) -> Result<Arc<Pack>, PackFileError> {
    let unreadable = |source| PackFileError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte past the limit is enough to be refused for its length.
    let most = PACK_BYTES_MAX as u64 + 1;
    File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    let pack = Pack::parse(&bytes);
    pack.map(Arc::new).map_err(|source| PackFileError::Malformed { path: path.to_owned(), source })
}

/// Packs to look up by what records name them by.
#[derive(Clone, Debug)]
pub struct Shelf(Vec<Arc<Pack>>);

impl Shelf {
    /// The packs that come along, and `others`.
    #[must_use]
    pub fn new(others: impl IntoIterator<Item = Arc<Pack>>) -> Self {
        let mut packs = built_in();
        packs.extend(others);
        Self(packs)
    }

    /// The very pack, byte for byte.
    #[must_use]
    pub fn find(&self, reference: &PackRef) -> Option<&Arc<Pack>> {
        self.0.iter().find(|pack| pack.reference == *reference)
    }
}

/// Why a file is no pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackFileError {
    /// It cannot be read.
    #[error(
        "the pack {path} cannot be read ({source}): check the path; relative ones start at the configuration file"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is not one.
    #[error("{path} is no regulation pack: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PackError,
    },
}

impl PackFileError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::Unavailable,
            Self::Malformed { source, .. } => source.code(),
        }
    }
}
