//! How far honest recomputations of a network lie apart, measured before the audit: `ledgerstone audit calibrate`.
//!
//! *Guarantees*: the profile is measured on the model in the run's folder and signed with the auditor's laboratory's key.
//!
//! *Does not do*: measure other machines than this one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ledgerstone::hash::Hash;
use ledgerstone_verifier::audit::profile::Profile;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::output::scientific;

use crate::commands::{ask, text};
use crate::folder::RunFolder;

/// A signed tolerance profile.
#[derive(Clone, Debug)]
pub struct Tolerance {
    /// Its file.
    pub file: PathBuf,
    /// The public key that signed it.
    pub key: String,
    /// SHA-256 of the file, which a plan names.
    pub sha256: Hash,
    /// What was measured.
    pub profile: Profile,
}

impl Tolerance {
    /// Measures a model of the run with texts.
    ///
    /// # Errors
    /// If a text has two lines, or the command refuses.
    pub fn calibrate(folder: &RunFolder, model: &Path, texts: &[&str]) -> Result<Self> {
        let key = folder.audit("laboratory.key");
        let made =
            ask("key generate --origin laboratory.example", &[("--output", key.clone())], Exit::Verified)?;
        let vkey = made.pointer("/vkeys/0").and_then(serde_json::Value::as_str);
        let vkey = vkey.context("a key has no public half")?.to_owned();
        let lines: String = texts.iter().map(|text| format!("{text}\n")).collect();
        anyhow::ensure!(
            lines.lines().count() == texts.len(),
            "a text of several lines cannot be measured with"
        );
        fs::write(folder.audit("texts.txt"), lines)?;
        let file = folder.audit("model.profile");
        let files = [
            ("", model.to_owned()),
            ("--text", folder.audit("texts.txt")),
            ("--key", key),
            ("--output", file.clone()),
        ];
        let said = ask("audit calibrate", &files, Exit::Verified)?;
        let bytes = fs::read(&file)?;
        let profile = Profile::open(&bytes, &vkey.parse()?)?;
        anyhow::ensure!(text(&said, "model")? == profile.model, "the profile is of another model");
        Ok(Self { file, key: vkey, sha256: Hash::of(&bytes), profile })
    }

    /// What is tolerated, to be read.
    #[must_use]
    pub fn tau(&self) -> String {
        scientific(self.profile.tau)
    }

    /// Adds a tolerance, if there is one, to the words and files of a command.
    #[must_use]
    pub fn given(this: Option<&Self>, words: &str, files: &mut Vec<(&str, PathBuf)>) -> String {
        let Some(tolerance) = this else { return words.to_owned() };
        files.push(("--profile", tolerance.file.clone()));
        format!("{words} --profile-key {}", tolerance.key)
    }
}
