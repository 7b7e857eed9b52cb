//! A model folder on disk, as its manifest.
//!
//! Guarantees: files are hashed as they are read, so memory does not grow with them; the number of files and the length of
//! their names are bounded; hidden files count like others; a symbolic link, a pipe, a socket or a device is refused, as OMS
//! does, because what stands behind it is not part of the folder.
//! Does not do: noticing that a file changes while it is read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, StreamHasher};
use ledgerstone::limits::MANIFEST_FILES_MAX;
use ledgerstone::manifest::{Manifest, ManifestError, check_name, is_below};

use crate::exit::Refusal;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The manifest of everything in `folder` but what `left_out` names.
///
/// # Errors
/// [`FolderError`] names the path and what to do.
pub fn read(folder: &Path, left_out: &[impl AsRef<str>]) -> Result<Manifest, FolderError> {
    let unreadable = |path: &Path, source| FolderError::Unreadable { path: path.to_owned(), source };
    let about = fs::symlink_metadata(folder).map_err(|error| unreadable(folder, error))?;
    if !about.is_dir() {
        return Err(FolderError::NotAFolder { path: folder.to_owned() });
    }
    let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), String::new())]);
    let mut seen = 0_usize;
    while let Some((path, name)) = folders.pop() {
        for item in fs::read_dir(&path).map_err(|error| unreadable(&path, error))? {
            let item = item.map_err(|error| unreadable(&path, error))?;
            let path = item.path();
            let name = inside(&name, &item)?;
            if is_below(&name, left_out) {
                continue;
            }
            seen += 1;
            if seen > MANIFEST_FILES_MAX {
                return Err(ManifestError::TooManyFiles.into());
            }
            let kind = item.file_type().map_err(|error| unreadable(&path, error))?;
            if kind.is_dir() {
                folders.push((path, name));
            } else if kind.is_file() {
                let digest = digest(&path).map_err(|error| unreadable(&path, error))?;
                files.push((name, digest));
            } else {
                return Err(FolderError::Special { path, link: kind.is_symlink() });
            }
        }
    }
    Ok(Manifest::new(files)?)
}

/// The name of `item` inside the model folder, below `folder`.
fn inside(folder: &str, item: &fs::DirEntry) -> Result<String, FolderError> {
    let Ok(name) = item.file_name().into_string() else {
        return Err(FolderError::NotText { path: item.path() });
    };
    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
    check_name(&name)?;
    Ok(name)
}

/// SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> io::Result<Hash> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; BUFFER_BYTES]);
    let mut stream = StreamHasher::new();
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(stream.finish()),
            length => stream.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Why a folder has no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is no folder at that path.
    #[error("{} is not a folder: name the folder that holds the model, not a file in it or a link to it", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// A symbolic link, a pipe, a socket or a device.
    #[error("{} is {}: a model folder holds files and folders only", .path.display(), if *.link { "a symbolic link" } else { "no file" })]
    Special {
        /// The path.
        path: PathBuf,
        /// Whether it is a symbolic link.
        link: bool,
    },
    /// A name that is not UTF-8.
    #[error("the name of {} is not UTF-8: rename it", .path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// What was found makes no manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl FolderError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::Unavailable,
            Self::NotAFolder { .. } => Code::Misuse,
            Self::Special { .. } | Self::NotText { .. } => Code::Malformed,
            Self::Manifest(error) => error.code(),
        }
    }
}

impl From<FolderError> for Refusal {
    fn from(error: FolderError) -> Self {
        Self::new(error.code(), &error, "Name the folder that the model server loads; nothing was changed.")
    }
}
