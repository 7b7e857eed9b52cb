//! What the command line does beside serving.

use std::io::Write;

use anyhow::{Context as _, Result};

use crate::cli::AnchorCommand;
use crate::config::{Config, Inputs};

mod anchor;
mod bundle;
#[cfg(feature = "ethereum")]
mod evm;
mod init;
mod open;
mod output;
mod packs;
mod rebuild;

pub use self::anchor::anchor_status;
pub use self::bundle::export;
#[cfg(feature = "ethereum")]
pub use self::evm::{anchor_deploy, anchor_key};
pub use self::init::init;
pub use self::open::open;
pub use self::output::Output;
pub use self::packs::packs;
pub use self::rebuild::rebuild;

/// Runs `anchor ...`; `load` reads the configuration where one is needed.
///
/// # Errors
/// Those of the command.
pub fn anchor(
    command: &AnchorCommand,
    load: impl FnOnce() -> Result<Config>,
    out: &mut impl Write,
) -> Result<()> {
    match command {
        AnchorCommand::Status => anchor_status(&load()?, out),
        #[cfg(feature = "ethereum")]
        AnchorCommand::Key(arguments) => anchor_key(arguments, out),
        #[cfg(feature = "ethereum")]
        AnchorCommand::Deploy(arguments) => anchor_deploy(arguments, out),
    }
}

/// Prints each key of the configuration with its value and who said so.
///
/// # Errors
/// If the configuration would not start.
pub fn explain(inputs: &Inputs, out: &mut impl Write) -> Result<()> {
    write!(out, "{}", Config::explain(inputs)?).context("the configuration cannot be printed")
}
