//! `ledgerstone completions` and `ledgerstone man`: what a shell and `man` know of the command line.
//!
//! Guarantees: both are made of the parser itself, so neither names a flag that is not there. Does not do: installing them.

use clap::CommandFactory as _;

use crate::cli::{Arguments, CompletionsArguments, ManArguments};
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};

/// Prints the completions for a shell.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn run(arguments: CompletionsArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "ledgerstone", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Verified)
}

/// Writes a manual page for each command.
///
/// # Errors
/// The folder cannot be made or written.
pub(super) fn man(arguments: &ManArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let folder = &arguments.folder;
    let failed = |error: std::io::Error| {
        Refusal::unavailable(
            format_args!("{} cannot be written: {error}", folder.display()),
            "Name a folder that this user may write.",
        )
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(failed)?;
    let pages = std::fs::read_dir(folder).map_err(failed)?.count() as u64;
    let pages = plural(pages, "file", "files");
    output.remark(&format!("{} has {pages}; read one with `man {0}/ledgerstone.1`.", folder.display()));
    Ok(Exit::Verified)
}
