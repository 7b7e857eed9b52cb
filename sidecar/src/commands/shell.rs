//! `completions` and `man`: what a shell and `man` know of the command line, made of the parser itself.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints the completions for a shell.
///
/// # Errors
/// If standard output cannot be written.
pub fn completions(shell: Shell, out: &mut impl Write) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ledgerstone-sidecar", &mut script);
    // clap_complete 4.6.11 writes the hyphen of a program's name in two ways, so that bash finds no command's flags.
    let script =
        String::from_utf8_lossy(&script).replace("ledgerstone__subcmd__sidecar", "ledgerstone__sidecar");
    out.write_all(script.as_bytes()).context("the completions cannot be printed")
}

/// Writes a manual page for each command into `folder`, which is made where it does not exist.
///
/// # Errors
/// If the folder cannot be written.
pub fn man(folder: &Path) -> Result<()> {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("{} cannot be written", folder.display()))
}
