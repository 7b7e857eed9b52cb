//! The files of a model folder, as its OMS manifest counts them.
//!
//! Guarantees: the number of files and the length of their names are bounded; hidden files count; what stands at the top
//! and belongs to git or is `model.sig` does not; a symbolic link, a pipe, a socket or a device is refused.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use ledgerstone::limits::MANIFEST_FILES_MAX;
use ledgerstone::manifest::{LEFT_OUT, ManifestError, check_name, is_below};

use super::artifact::{ArtifactError, unreadable};

/// One file.
pub(super) struct Listed {
    /// Its name inside the folder.
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its size and times.
    pub(super) about: Metadata,
}

/// Every file of the folder, in no order.
pub(super) fn list(folder: &Path) -> Result<Vec<Listed>, ArtifactError> {
    let about = fs::symlink_metadata(folder).map_err(|error| unreadable(folder, error))?;
    if !about.is_dir() {
        return Err(ArtifactError::Special { path: folder.to_owned() });
    }
    let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), String::new())]);
    let mut seen = 0_usize;
    while let Some((path, below)) = folders.pop() {
        for item in fs::read_dir(&path).map_err(|error| unreadable(&path, error))? {
            let item = item.map_err(|error| unreadable(&path, error))?;
            let path = item.path();
            let Ok(name) = item.file_name().into_string() else {
                return Err(ArtifactError::NotText { path });
            };
            let name = if below.is_empty() { name } else { format!("{below}/{name}") };
            check_name(&name)?;
            if is_below(&name, &LEFT_OUT) {
                continue;
            }
            seen += 1;
            if seen > MANIFEST_FILES_MAX {
                return Err(ManifestError::TooManyFiles.into());
            }
            let about = item.metadata().map_err(|error| unreadable(&path, error))?;
            if about.is_dir() {
                folders.push((path, name));
            } else if about.is_file() {
                files.push(Listed { name, path, about });
            } else {
                return Err(ArtifactError::Special { path });
            }
        }
    }
    Ok(files)
}
