//! `ledgerstone key generate`: the keys of a new log.
//!
//! Guarantees: the secret file is created with mode 0600 and never replaces anything; only public keys are printed.
//! Does not do: creating the log (that is `ledgerstone-sidecar init`).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::note::KeyName;
use ledgerstone::policy::Policy;
use zeroize::Zeroizing;

use super::key_show::public_keys;
use crate::cli::KeyGenerateArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;

/// Makes the keys, writes the files, prints the public half.
///
/// # Errors
/// The origin is no origin, there is no randomness, or a file exists already or cannot be written.
pub(super) fn run(arguments: &KeyGenerateArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let origin = KeyName::new(&arguments.origin).map_err(|error| {
        Refusal::usage(
            format_args!("`{}` cannot be a log's origin: {error}", arguments.origin),
            "Choose a name like `log.example.com/lending`, without spaces and plus signs.",
        )
    })?;
    if let Some(path) = arguments.policy.as_ref().filter(|path| path.symlink_metadata().is_ok()) {
        return Err(exists(path));
    }
    let keys = generate(&origin)?;
    write_new(&arguments.output, keys.to_text().as_bytes(), Secrecy::Secret)?;
    if let Some(path) = &arguments.policy {
        let policy = Policy::for_log(&keys.vkeys())
            .map_err(|error| Refusal::new(error.code(), error, "Report this: a fresh key was refused."))?;
        write_new(path, &policy.to_bytes(), Secrecy::Public)?;
    }
    public_keys(&keys.verifier()).print(output)?;
    output.remark(&format!(
        "Secret keys written to {}. Back them up: a log whose keys are lost can never grow again.",
        arguments.output.display()
    ));
    Ok(Exit::Verified)
}

/// Keys from the system's randomness.
fn generate(origin: &KeyName) -> Result<LogKeys, Refusal> {
    let mut seeds = [Zeroizing::new([0; 32]), Zeroizing::new([0; 32])];
    for seed in &mut seeds {
        getrandom::fill(seed.as_mut_slice()).map_err(|error| {
            Refusal::unavailable(
                format_args!("the system gives no randomness: {error}"),
                "Run this on a system with a working random source; keys from anything less are not secret.",
            )
        })?;
    }
    let [ed25519, ml_dsa] = &seeds;
    LogKeys::generate_from_seeds(origin, **ed25519, **ml_dsa)
        .map_err(|error| Refusal::new(error.code(), error, "Run the command again."))
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Its owner alone.
    Secret,
    /// Whoever the system's defaults let.
    Public,
}

/// Writes a file that must not exist yet, durably.
///
/// # Errors
/// It exists, or cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), Refusal> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secrecy == Secrecy::Secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Refusal::unavailable(
            format_args!("{} cannot be written: {error}", path.display()),
            "Check that the directory exists, has room, and that this user may write there.",
        ),
    })
}

pub(crate) fn exists(path: &Path) -> Refusal {
    Refusal::usage(
        format_args!("{} exists already and was left as it is", path.display()),
        "Choose another file name, or move that file away first.",
    )
}
