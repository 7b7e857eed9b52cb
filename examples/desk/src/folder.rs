//! The folder that a run leaves behind, and where things lie in it.
//!
//! *Guarantees*: an earlier run's folder is replaced; any other folder is left alone and the run refuses to start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
    models: Vec<PathBuf>,
}

impl RunFolder {
    /// Makes the folder of the example `name` new.
    ///
    /// # Errors
    /// If something else is at this place, or the folder cannot be written.
    pub fn create(root: &Path, name: &str) -> Result<Self> {
        let at = root.display();
        // Says that the folder was made by this example and may be replaced by it.
        let mark = root.join(format!(".made-by-the-{name}-example"));
        if mark.is_file() {
            fs::remove_dir_all(root).with_context(|| format!("cannot replace the earlier run in {at}"))?;
        } else if fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) || root.is_file() {
            bail!("{at} was not made by this example and stays as it is; name another folder with --store");
        }
        for part in [root.join("keys"), root.join("receipts"), root.join("audit")] {
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        fs::write(mark, format!("The next run of the {name} example replaces this folder.\n"))?;
        Ok(Self { root: root.to_owned(), models: Vec::new() })
    }

    /// Puts a model's files into a folder of their own. The folder's digest is in every entry, and it goes into evidence.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn add_model(&mut self, name: &str, files: &[(&str, &[u8])]) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for (file, bytes) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            fs::write(path, bytes)?;
        }
        self.models.push(folder.clone());
        Ok(folder)
    }

    /// The same folder with one of its models only: what is exported from it holds no other.
    #[must_use]
    pub fn with_model(&self, name: &str) -> Self {
        let model = self.root.join(name);
        Self {
            root: self.root.clone(),
            models: self.models.iter().filter(|one| **one == model).cloned().collect(),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The models' folders.
    #[must_use]
    pub fn models(&self) -> &[PathBuf] {
        &self.models
    }

    /// The sidecar's configuration.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join("sidecar.toml")
    }

    /// The root certificate of the example's own timestamp authority.
    #[must_use]
    pub fn authority_roots(&self) -> PathBuf {
        self.root.join("keys/authority.pem")
    }

    /// The key that pays for anchors on a chain.
    #[must_use]
    pub fn anchor_key(&self) -> PathBuf {
        self.root.join("keys/anchor.key")
    }

    /// What the chain node said.
    #[must_use]
    pub fn chain_log(&self) -> PathBuf {
        self.root.join("chain.log")
    }

    /// The file that says whom a reader of the anchors trusts.
    #[must_use]
    pub fn anchor_trust(&self) -> PathBuf {
        self.root.join("anchor-trust.toml")
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

    /// A file of the audit by sample.
    #[must_use]
    pub fn audit(&self, file: &str) -> PathBuf {
        self.root.join("audit").join(file)
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

    /// The receipt of one decision, by the name of whom it is about.
    #[must_use]
    pub fn receipt(&self, name: &str) -> PathBuf {
        self.root.join(format!("receipts/{name}.json"))
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
        let folder = RunFolder::create(&root, "lending").unwrap();
        let left = folder.receipt("application-7");
        fs::write(&left, "{}").unwrap();
        let mut folder = RunFolder::create(&root, "lending").unwrap();
        assert!(!left.exists());
        let model = folder.add_model("model", &[("mortgage.json", b"{}")]).unwrap();
        assert_eq!(fs::read(model.join("mortgage.json")).unwrap(), b"{}");
        assert_eq!(folder.models(), std::slice::from_ref(&model));
        folder.add_model("other", &[]).unwrap();
        assert_eq!(folder.with_model("model").models(), [model]);
    }

    #[test]
    fn leaves_a_folder_alone_that_it_did_not_make() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("thesis.txt");
        fs::write(&precious, "x").unwrap();
        let error = RunFolder::create(dir.path(), "lending").unwrap_err();
        assert!(error.to_string().contains("--store"), "{error}");
        let error = RunFolder::create(&precious, "lending").unwrap_err();
        assert!(error.to_string().contains("--store"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "x");
        let other = dir.path().join("other");
        RunFolder::create(&other, "healthcare").unwrap();
        assert!(RunFolder::create(&other, "lending").is_err(), "another example's run");
    }
}
