//! Where the database lies: a directory of its own for each time the index starts again.
//!
//! Guarantees: a database that was given up never shares a directory with the next one. Its background threads may still
//! write for a while after it was dropped, and would damage a new database under the same name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::IndexError;

/// The directory of the index and the number of its current database.
pub(super) struct Generations {
    path: PathBuf,
    current: u64,
}

impl Generations {
    /// Finds the newest generation under `path`, the first one if there is none, and deletes older ones.
    pub(super) fn find(path: &Path) -> Result<Self, IndexError> {
        let unusable = |source| IndexError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        let names = fs::read_dir(path)
            .map_err(unusable)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let current = names.filter_map(|name| number(&name)).max().unwrap_or(0);
        let found = Self { path: path.to_owned(), current };
        found.delete_older();
        Ok(found)
    }

    /// The number of the current database.
    pub(super) const fn number(&self) -> u64 {
        self.current
    }

    /// The directory of the current database.
    pub(super) fn current(&self) -> PathBuf {
        self.path.join(format!("{:016x}", self.current))
    }

    /// Goes on to a directory that nothing was written to.
    pub(super) fn next(&mut self) -> Result<(), IndexError> {
        self.current = self.current.wrapping_add(1);
        let path = self.current();
        let made = fs::create_dir_all(&path);
        made.map_err(|source| IndexError::Directory { path, source })?;
        self.delete_older();
        Ok(())
    }

    /// Deletes every other generation. What cannot be deleted now is tried again at the next start.
    fn delete_older(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.filter_map(io::Result::ok) {
            let name = entry.file_name();
            if name.to_str().and_then(number).is_some_and(|number| number != self.current) {
                _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|number| format!("{number:016x}") == name)
}
