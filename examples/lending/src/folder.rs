//! The folder that a run leaves behind, and where things lie in it.
//!
//! *Guarantees*: an earlier run's folder is replaced; any other folder is left alone and the run refuses to start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use ledgerstone_verifier::recompute::description;

use crate::model;

/// Says that a folder was made by this example and may be replaced by it.
const MARK: &str = ".made-by-the-lending-example";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Makes the folder new, with the model in it.
    ///
    /// # Errors
    /// If something else is at this place, or the folder cannot be written.
    pub fn create(root: &Path) -> Result<Self> {
        let folder = Self { root: root.to_owned() };
        let at = root.display();
        if root.join(MARK).is_file() {
            fs::remove_dir_all(root).with_context(|| format!("cannot replace the earlier run in {at}"))?;
        } else if fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) || root.is_file() {
            bail!("{at} was not made by this example and stays as it is; name another folder with --store");
        }
        for part in [root.join("keys"), root.join("model"), root.join("receipts")] {
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        fs::write(root.join(MARK), "The next run of the lending example replaces this folder.\n")?;
        fs::write(folder.model().join("mortgage.json"), model::FILE)?;
        fs::write(folder.model().join(description::FILE), model::DESCRIPTION)?;
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sidecar's configuration.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join("sidecar.toml")
    }

    /// The model's folder, whose digest is in every entry.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// The evidence for somebody without the log.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.root.join("evidence.bundle")
    }

    /// What recomputing the evidence gave.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join("results.jsonl")
    }

    /// The key that opens sealed records.
    #[must_use]
    pub fn record_key(&self) -> PathBuf {
        self.root.join("keys/records.key")
    }

    /// The store: the log, the sealed records, the journal.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The public part of the store, which any web server can serve.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("store/log")
    }

    /// The policy file that names the log's public keys.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.root.join("store/log.policy")
    }

    /// The receipt of one application.
    #[must_use]
    pub fn receipt(&self, application: u32) -> PathBuf {
        self.root.join(format!("receipts/application-{application}.json"))
    }

    /// A copy of the log with one byte changed.
    #[must_use]
    pub fn tampered(&self) -> PathBuf {
        self.root.join("tampered-log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_an_earlier_run_left() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("run");
        let folder = RunFolder::create(&root).unwrap();
        let left = folder.receipt(7);
        fs::write(&left, "{}").unwrap();
        RunFolder::create(&root).unwrap();
        assert!(!left.exists());
        assert_eq!(fs::read(folder.model().join("mortgage.json")).unwrap(), model::FILE);
    }

    #[test]
    fn leaves_a_folder_alone_that_it_did_not_make() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("thesis.txt");
        fs::write(&precious, "x").unwrap();
        let error = RunFolder::create(dir.path()).unwrap_err();
        assert!(error.to_string().contains("--store"), "{error}");
        let error = RunFolder::create(&precious).unwrap_err();
        assert!(error.to_string().contains("--store"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "x");
    }
}
