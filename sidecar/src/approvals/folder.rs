//! The folder with signed approvals of what the configuration changes.
//!
//! Guarantees: bounded in files and bytes. What is no signed note is passed over when a change looks for its own.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use ledgerstone::limits::{APPROVAL_FILES_MAX, NOTE_BYTES_MAX};

use super::StartError;

/// The files of `folder`, in the order of their names. None without a folder.
///
/// # Errors
/// [`StartError`] if the folder cannot be read or has too many files.
pub(crate) fn notes(folder: Option<&Path>) -> Result<Vec<Vec<u8>>, StartError> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if !path.is_file() {
            continue;
        }
        if paths.len() == APPROVAL_FILES_MAX {
            return Err(StartError::TooManyFiles { path: folder.to_owned() });
        }
        paths.push(path);
    }
    paths.sort();
    let mut notes = Vec::with_capacity(paths.len());
    for path in paths {
        let mut note = Vec::new();
        let file = fs::File::open(&path).map_err(unreadable(&path))?;
        file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut note).map_err(unreadable(&path))?;
        if note.len() > NOTE_BYTES_MAX {
            tracing::warn!(path = %path.display(), "a file in approvals.folder is too long for an approval, and is passed over");
            continue;
        }
        notes.push(note);
    }
    Ok(notes)
}
