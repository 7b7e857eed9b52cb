//! The commands, one verb a file, and the way from the parsed command line to them.
//!
//! Guarantees: a command either has a verdict or says why it has none. Does not do: parsing arguments (`cli`), setting
//! text (`output`).

mod key_generate;
mod key_show;
mod trust;

use crate::cli::{Command, KeyCommand};
use crate::exit::{Exit, Refusal};
use crate::output::Output;

/// Runs one command.
///
/// # Errors
/// Why it has no verdict.
pub fn run(command: &Command, output: &mut Output) -> Result<Exit, Refusal> {
    match command {
        Command::Key(KeyCommand::Generate(arguments)) => key_generate::run(arguments, output),
        Command::Key(KeyCommand::Show(arguments)) => key_show::run(arguments, output),
        _ => Ok(Exit::Undecided),
    }
}
