//! `backup` and `restore`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::backup::{self, Progress, outside};
use crate::cli::upkeep::RestoreArguments;
use crate::config::Config;
use crate::driver::system_clock;
use crate::log_keys;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_millis(500);

/// Copies the store into `folder`.
///
/// # Errors
/// If it cannot be read, or the folder not be written.
pub fn back_up(config: &Config, folder: &Path, out: &mut impl Write) -> Result<()> {
    let made = backup::back_up(config, folder, system_clock().get(), progress(out))?;
    let facts = &made.facts;
    writeln!(
        out,
        "backed up {} of {} entries and more: {} files, {} bytes, {} of the files were there already",
        facts.origin, facts.checkpoint_size, facts.files, facts.bytes, made.kept
    )?;
    writeln!(out, "SHA-256 of its list   {}", made.digest)?;
    writeln!(
        out,
        "not in it: the files of log.key_file, keys.file and receipt.key_file, and the configuration; keep them elsewhere"
    )?;
    Ok(())
}

/// Restores a store, or confirms that one that was restored may be gone on with.
///
/// # Errors
/// If the backup is damaged, something is in the store's place, or a copy outside is ahead.
pub fn restore(config: &Config, arguments: &RestoreArguments, out: &mut impl Write) -> Result<()> {
    let RestoreArguments { from, confirm, nobody_has_a_copy } = arguments;
    match from {
        Some(from) => place(config, from, out),
        None if *nobody_has_a_copy || !confirm.is_empty() => confirmed(config, confirm, out),
        None => bail!(
            "name the folder of a backup, or what confirms one that was restored (--confirm, --nobody-has-a-copy)"
        ),
    }
}

fn place(config: &Config, from: &Path, out: &mut impl Write) -> Result<()> {
    let restored = backup::restore(config, from, progress(out))?;
    let facts = &restored.facts;
    writeln!(out, "restored {} with {} entries", facts.origin, restored.size)?;
    writeln!(out, "root hash   {}", restored.root)?;
    writeln!(
        out,
        "made        {} by release {}",
        ledgerstone::time::UnixMillis::new(facts.made_at_ms),
        facts.software
    )?;
    match restored.keyring {
        None => writeln!(out, "there was no keyring in the backup")?,
        Some(keyring) => {
            writeln!(out, "the keyring is in place; what the log says was destroyed is not in it")?;
            if keyring.lost > 0 {
                writeln!(
                    out,
                    "{} records lie under keys that it does not have, and will never open again",
                    keyring.lost
                )?;
            }
            if keyring.unsaid > 0 {
                writeln!(
                    out,
                    "{} keys were destroyed by erasures that this log does not have",
                    keyring.unsaid
                )?;
            }
        }
    }
    if let Some(path) = restored.links_left {
        writeln!(out, "{} was there already and stays; the one of the backup is left out", path.display())?;
    }
    writeln!(
        out,
        "\nNothing is signed in it yet, because whatever was recorded after the backup would be signed a second time in another way.\n\
         Ask everybody who keeps a checkpoint of this log (witnesses, mirrors, auditors, the newest receipt) for the newest one,\n\
         and hold it against the store: restore --confirm CHECKPOINT. Where nobody can have one: restore --nobody-has-a-copy."
    )?;
    Ok(())
}

fn confirmed(config: &Config, checkpoints: &[PathBuf], out: &mut impl Write) -> Result<()> {
    let keys = log_keys::load(&config.log.key_file, &config.log.origin)?;
    let size = outside::confirm(&config.log.store, &keys.verifier(), checkpoints)?;
    let held = match checkpoints.len() {
        0 => "nobody is said to have a copy".to_owned(),
        count => format!("{count} checkpoints from outside are part of it"),
    };
    writeln!(out, "{held}: the log goes on from {size} entries at the next start")?;
    Ok(())
}

/// Prints how far it is, now and then. What cannot be printed is no reason to stop.
fn progress(out: &mut impl Write) -> impl FnMut(Progress) {
    let mut printed = Instant::now();
    move |Progress { files, bytes }| {
        if printed.elapsed() >= PROGRESS {
            printed = Instant::now();
            _ = writeln!(out, "{files} files, {bytes} bytes so far");
        }
    }
}
