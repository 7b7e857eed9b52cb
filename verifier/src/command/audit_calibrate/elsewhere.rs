//! What was said of the inputs by other processes here, with other numbers of threads, and on other machines.
//!
//! Guarantees: another number of threads is another process, since the engine reads it once. Does not do: read what was said.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use ledgerstone::hash::Hash;

use super::{INPUT_BYTES_MAX, hear_files};
use crate::cli::AuditCalibrateArguments;
use crate::exit::Refusal;
use crate::source::read_input;

/// The lines of a file of texts or prompts.
pub(super) struct Lines {
    text: String,
    /// The file's digest.
    pub(super) digest: Hash,
}

impl Lines {
    /// Reads a file of at most `most` lines.
    pub(super) fn read(path: &Path, most: usize) -> Result<Self, Refusal> {
        let bytes = read_input(path, INPUT_BYTES_MAX)?;
        let digest = Hash::of(&bytes);
        let text = String::from_utf8(bytes).map_err(|error| {
            Refusal::malformed(
                format_args!("{}: byte {} is not UTF-8", path.display(), error.utf8_error().valid_up_to()),
                "Write the texts in UTF-8, one a line.",
            )
        })?;
        let found = text.lines().count();
        if found > most {
            return Err(Refusal::malformed(
                format_args!(
                    "{} has {found} lines, and {most} are the most that are measured with",
                    path.display()
                ),
                "Leave some out.",
            ));
        }
        Ok(Self { text, digest })
    }

    pub(super) fn all(&self) -> Vec<&str> {
        self.text.lines().collect()
    }
}

/// Hands over what other processes and machines said, each with its name.
pub(super) fn hear(
    arguments: &AuditCalibrateArguments,
    command: &[&OsStr],
    mut hear: impl FnMut(&[u8], &str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for threads in &arguments.threads {
        let said = in_another_process(command, *threads)?;
        hear(&said, &format!("another process with {threads} threads"))?;
    }
    hear_files(arguments, hear)
}

fn in_another_process(command: &[&OsStr], threads: u16) -> Result<Vec<u8>, Refusal> {
    let failed = |why: String| {
        Refusal::unavailable(
            format_args!("the model cannot be computed with {threads} threads: {why}"),
            "Run the command again with other --threads.",
        )
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let output = Command::new(program)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .args(command)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(output.status.to_string())) }
}
