//! The service's folder: `runs/` with one folder a run, `uploads/` for what is not whole yet, `lock`.
//!
//! *Guarantees*: one service at a time has the folder; a run appears in it whole or not at all, and is gone from `runs/` before it is taken
//! apart; what is not whole is cleared away at the start; only the service's own user can read anything.
//!
//! *Does not do*: wipe what it deletes, or encrypt what it keeps.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ledgerstone::encoding::hex_encode;

use super::record::Record;
use super::{RunId, ServeError};

/// What was uploaded, in the folder of its run.
pub(super) const BUNDLE: &str = "bundle";
/// The auditor's draw.
pub(super) const DRAW: &str = "draw.json";
/// The description.
pub(super) const DESCRIPTION: &str = "description.json";
/// The results.
pub(super) const RESULTS: &str = "results.jsonl";
/// The results of a run that is not done, as `audit::run` names them.
pub(super) const PARTIAL: &str = "results.jsonl.partial";

const RECORD: &str = "run.json";
const RUNS: &str = "runs";
const UPLOADS: &str = "uploads";
const LOCK: &str = "lock";

/// Bytes of a run's record.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// A run's folder, what it says of the run if that reads, and its bytes.
type Kept = (PathBuf, Option<(RunId, Record)>, u64);

/// The folder, locked.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Held for as long as the service runs.
    _lock: File,
}

impl Folder {
    /// Makes the folder where there is none, locks it, and clears away what never became whole.
    pub(super) fn open(root: &Path) -> Result<Self, ServeError> {
        make(root)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(root.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ServeError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = Self { root: root.to_owned(), _lock: lock };
        make(&folder.root.join(RUNS))?;
        match fs::remove_dir_all(folder.root.join(UPLOADS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => make(&folder.root.join(UPLOADS))?,
        }
        Ok(folder)
    }

    /// Every run that is there, with the bytes of its folder; without a record where that does not read.
    pub(super) fn runs(&self) -> Result<Vec<Kept>, ServeError> {
        let mut runs = Vec::new();
        for item in fs::read_dir(self.root.join(RUNS))? {
            let path = item?.path();
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let record = read_bounded(&path.join(RECORD)).ok().and_then(|bytes| Record::parse(&bytes));
            let bytes = bytes_in(&path);
            runs.push((path, id.zip(record), bytes));
        }
        Ok(runs)
    }

    /// A file of a run.
    pub(super) fn path(&self, id: RunId, name: &str) -> PathBuf {
        self.run(id).join(name)
    }

    /// Writes a run's record, durably.
    pub(super) fn save(&self, id: RunId, record: &Record) -> Result<(), ServeError> {
        save(&self.run(id), record)
    }

    /// A fresh folder for what is not whole yet.
    pub(super) fn stage(&self) -> Result<Staged, ServeError> {
        let path = self.aside()?;
        make(&path)?;
        Ok(Staged { path })
    }

    /// Makes what was staged a run.
    pub(super) fn adopt(&self, staged: &Staged, id: RunId, record: &Record) -> Result<(), ServeError> {
        save(&staged.path, record)?;
        fs::rename(&staged.path, self.run(id))?;
        sync(&self.root.join(RUNS))?;
        Ok(())
    }

    /// Deletes a run.
    pub(super) fn delete(&self, id: RunId) -> Result<(), ServeError> {
        let aside = self.aside()?;
        fs::rename(self.run(id), &aside)?;
        sync(&self.root.join(RUNS))?;
        fs::remove_dir_all(aside)?;
        Ok(())
    }

    fn run(&self, id: RunId) -> PathBuf {
        self.root.join(RUNS).join(id.to_string())
    }

    /// A name in `uploads/` that nothing has.
    fn aside(&self) -> Result<PathBuf, ServeError> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| ServeError::NoRandomness)?;
        Ok(self.root.join(UPLOADS).join(hex_encode(&name)))
    }
}

/// A folder for what is not whole yet; gone when it is dropped, unless it was adopted.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
}

impl Staged {
    /// A fresh file in it.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.path.join(name))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What stays is cleared away at the next start.
        _ = fs::remove_dir_all(&self.path);
    }
}

fn save(folder: &Path, record: &Record) -> Result<(), ServeError> {
    let fresh = folder.join("run.json.new");
    let text = serde_json::to_vec_pretty(record).map_err(io::Error::from)?;
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(RECORD))?;
    sync(folder)?;
    Ok(())
}

fn make(path: &Path) -> Result<(), ServeError> {
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(path)?)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RECORD_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RECORD_BYTES_MAX {
        return Err(io::Error::other("the record is too long"));
    }
    Ok(bytes)
}

/// Bytes of the files in a folder, as far as they can be seen.
fn bytes_in(folder: &Path) -> u64 {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    items.filter_map(|item| item.metadata().ok()).map(|about| about.len()).sum()
}
