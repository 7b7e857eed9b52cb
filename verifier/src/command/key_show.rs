//! `ledgerstone key show`: the public keys that belong to a key file.
//!
//! Guarantees: prints public keys only, and names no part of a secret in any message. Does not do: changing the file.

use std::path::Path;

use ledgerstone::checkpoint::{LogKeys, LogVerifier};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::KeyShowArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-keys/v1";

/// Bytes of a key file: two lines of about 100.
const KEY_FILE_BYTES_MAX: usize = 4 * 1024;

/// Prints the public keys of the file.
///
/// # Errors
/// The file cannot be read or is no key file.
pub(super) fn run(arguments: &KeyShowArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let keys = read(&arguments.key)?;
    public_keys(&keys.verifier()).print(output)?;
    Ok(Exit::Verified)
}

/// The keys in a file.
///
/// # Errors
/// The file cannot be read or is no key file.
pub(super) fn read(path: &Path) -> Result<LogKeys, Refusal> {
    let bytes = Zeroizing::new(read_input(path, KEY_FILE_BYTES_MAX)?);
    core::str::from_utf8(&bytes)
        .map_err(|_| "it is not text".to_owned())
        .and_then(|text| LogKeys::parse(text).map_err(|error| error.to_string()))
        .map_err(|why| {
            Refusal::malformed(
                format_args!("{} is not a Ledgerstone key file: {why}", path.display()),
                "Name the file that `ledgerstone key generate` or `ledgerstone-sidecar init` wrote.",
            )
        })
}

/// A log's public keys, to print.
#[derive(Debug, Serialize)]
pub(super) struct PublicKeys {
    format: &'static str,
    origin: String,
    vkeys: Vec<String>,
}

/// The public keys of a log.
pub(super) fn public_keys(log: &LogVerifier) -> PublicKeys {
    PublicKeys {
        format: FORMAT,
        origin: log.origin().to_string(),
        vkeys: log.keys().iter().map(ToString::to_string).collect(),
    }
}

impl PublicKeys {
    /// Prints them, one a line.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Refusal> {
        if output.is_json() {
            return output.json(self);
        }
        self.vkeys.iter().try_for_each(|vkey| output.print(&format!("{vkey}\n")))
    }
}
