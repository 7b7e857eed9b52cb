//! What the command line does beside serving.

use std::io::Write;

use anyhow::{Context as _, Result};

use crate::config::{Config, Inputs};

mod anchor;
mod bundle;
#[cfg(feature = "ethereum")]
mod evm;
mod init;
mod open;
mod output;
mod rebuild;

pub use self::anchor::anchor_status;
pub use self::bundle::export;
#[cfg(feature = "ethereum")]
pub use self::evm::{anchor_deploy, anchor_key};
pub use self::init::init;
pub use self::open::open;
pub use self::output::Output;
pub use self::rebuild::rebuild;

/// Prints each key of the configuration with its value and who said so.
///
/// # Errors
/// If the configuration would not start.
pub fn explain(inputs: &Inputs, out: &mut impl Write) -> Result<()> {
    write!(out, "{}", Config::explain(inputs)?).context("the configuration cannot be printed")
}
