//! A log in a directory: a whole store directory, or only its public part.
//!
//! Guarantees: reads regular files only (a named pipe in a hostile directory does not hang the reader), and never
//! writes. Does not do: locking; a running sidecar may add files while this reads, and published ones never change.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{ReadError, Source, join};
use crate::exit::Refusal;

/// A directory that holds a log.
#[derive(Clone, Debug)]
pub struct Directory {
    label: String,
    log: PathBuf,
    store: Option<PathBuf>,
}

impl Directory {
    /// The log in `root`: a store directory (it has `log/` or `log.policy`), or a directory with a `checkpoint`.
    ///
    /// # Errors
    /// The directory does not exist, cannot be read, or is neither.
    pub fn open(root: &Path) -> Result<Self, Refusal> {
        let label = root.display().to_string();
        let kind = fs::metadata(root).map_err(|error| {
            Refusal::unavailable(
                format_args!("the directory {label} cannot be opened: {error}"),
                "Check the path, and that this user may read it.",
            )
        })?;
        if !kind.is_dir() {
            return Err(Refusal::malformed(
                format_args!("{label} is a file; a log is a directory"),
                "Name the directory; for a receipt file use `ledgerstone verify receipt`.",
            ));
        }
        let is_store = exists(&root.join("log.policy")) || exists(&root.join("log"));
        if !is_store && !exists(&root.join("checkpoint")) && !exists(&root.join("tile")) {
            return Err(Refusal::malformed(
                format_args!("{label} holds no log: it has neither `log/` nor `checkpoint`"),
                "Name the sidecar's store directory, or a copy of the `log` directory inside it.",
            ));
        }
        Ok(Self {
            label,
            log: if is_store { root.join("log") } else { root.to_path_buf() },
            store: is_store.then(|| root.to_path_buf()),
        })
    }

    /// The directory that holds `checkpoint` and `tile/`.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The store directory around it, where this is one.
    #[must_use]
    pub fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    /// The names in a directory below the log's root, sorted; empty if there is no such directory.
    ///
    /// # Errors
    /// The directory exists and cannot be listed.
    pub fn names(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let place = join(&self.log, path);
        match fs::read_dir(&place) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()
                .map(|mut names| {
                    names.sort();
                    names
                })
                .map_err(|source| ReadError::Io { place: place.display().to_string(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
            Err(source) => Err(ReadError::Io { place: place.display().to_string(), source }),
        }
    }
}

impl Source for Directory {
    fn label(&self) -> &str {
        &self.label
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        read_file(&join(&self.log, path), bytes_max)
    }

    fn directory(&self) -> Option<&Directory> {
        Some(self)
    }

    fn anchors(&self) -> Option<PathBuf> {
        let folder = self.store.as_ref().unwrap_or(&self.log).join("anchors");
        folder.symlink_metadata().is_ok_and(|about| about.is_dir()).then_some(folder)
    }
}

/// Whether anything at all stands at `path`.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The bytes of a regular file of at most `bytes_max` bytes.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let place = path.display().to_string();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing { place: place.clone() },
        _ => ReadError::Io { place: place.clone(), source },
    };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadError::NotAFile { place });
    }
    read_bounded(File::open(path).map_err(failed)?, &place, bytes_max)
}

/// The bytes of the regular file at `path` below `root`, neither of whose elements is a symbolic link.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn read_regular(root: &Path, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let mut place = root.to_path_buf();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let is_last = parts.peek().is_none();
        let fits =
            place.symlink_metadata().map(|about| if is_last { about.is_file() } else { about.is_dir() });
        match fits {
            Ok(true) => {}
            // What reading it says of a file that is not there, this says too.
            Err(_) => break,
            Ok(false) => return Err(ReadError::NotAFile { place: place.display().to_string() }),
        }
    }
    read_file(&join(root, path), bytes_max)
}

/// Everything `reader` gives, if that is at most `bytes_max` bytes.
pub(super) fn read_bounded(reader: impl Read, place: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(bound)
        .read_to_end(&mut bytes)
        .map_err(|source| ReadError::Io { place: place.to_owned(), source })?;
    if bytes.len() > bytes_max {
        return Err(ReadError::TooLarge { place: place.to_owned(), bytes_max });
    }
    Ok(bytes)
}
