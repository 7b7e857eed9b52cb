//! `init`: creates the log, and its keys where they do not exist.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::encoding::hex_encode;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::keys::ProviderConfig;
use crate::keyring::{FileKeyProvider, KEY_BYTES, KeyId};
use crate::{driver, log_keys};

/// Creates the log of `config`, and says what was created and what to hand to those who will check it.
///
/// # Errors
/// If there is a log already, or a key or the store cannot be created. A key that was created stays.
pub fn init(config: &Config, out: &mut impl Write) -> Result<()> {
    let policy = config.log.store.join("log.policy");
    if policy.exists() {
        let store = config.log.store.display();
        bail!("{store} holds a log already; a log is created once. Run it, or choose another log.store");
    }
    let keys = signing_keys(config, out)?;
    record_key(config, out)?;
    let receipts = config.receipt_key_file.as_deref();
    let receipts = receipts.map(|path| super::receipt::signing_key(path, config, out)).transpose()?;
    let receipt_keys: Vec<_> = receipts.iter().map(|key| key.receipt_key().clone()).collect();
    driver::init_with_receipt_keys(&config.log.store, &keys, &receipt_keys)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    writeln!(out, "created the log {} in {}", config.log.origin, config.log.store.display())?;
    writeln!(out, "\nkeys that verify the log:")?;
    for vkey in keys.vkeys() {
        writeln!(out, "  {vkey}")?;
    }
    for key in &receipt_keys {
        writeln!(out, "key that verifies its COSE receipts:\n  {}", key.kid())?;
    }
    writeln!(out, "\nThe same keys stand in {}.", policy.display())?;
    writeln!(out, "Hand that file to whoever will check receipts or the log, on a way you trust.")?;
    Ok(())
}

/// As [`init`], unless the store holds the log of `config` already: then nothing is written.
///
/// # Errors
/// As [`init`], and if the keys of the log that is there cannot be read.
pub fn init_if_absent(config: &Config, out: &mut impl Write) -> Result<()> {
    let policy = config.log.store.join("log.policy");
    if !policy.exists() {
        return init(config, out);
    }
    log_keys::load(&config.log.key_file, &config.log.origin)?;
    let store = config.log.store.display();
    writeln!(out, "{store} holds the log {} already; nothing was changed", config.log.origin)?;
    Ok(())
}

fn signing_keys(config: &Config, out: &mut impl Write) -> Result<LogKeys> {
    let path = &config.log.key_file;
    if path.exists() {
        let keys = log_keys::load(path, &config.log.origin)?;
        writeln!(out, "found the keys that sign the log in {}", path.display())?;
        return Ok(keys);
    }
    create_folder(path)?;
    let keys = log_keys::create(path, &config.log.origin)?;
    writeln!(out, "created the keys that sign the log in {} (mode 0600)", path.display())?;
    Ok(keys)
}

/// Draws the key file where it does not exist; says of another provider how its key is made.
fn record_key(config: &Config, out: &mut impl Write) -> Result<()> {
    match &config.keys.current {
        ProviderConfig::File { path } => key_file(path, out),
        other => {
            writeln!(out, "the key that wraps record keys is held by {}", other.kind())?;
            writeln!(out, "  `keys create` makes it where it does not exist, `keys check` tries it")?;
            Ok(())
        }
    }
}

/// Draws the key file at `path` where it does not exist.
pub(super) fn key_file(path: &Path, out: &mut impl Write) -> Result<()> {
    if path.exists() {
        let keys = FileKeyProvider::load(path)?;
        writeln!(out, "found the key that wraps record keys in {} ({keys:?})", path.display())?;
        return Ok(());
    }
    create_folder(path)?;
    let mut random = Zeroizing::new([0; KEY_BYTES + 4]);
    getrandom::fill(random.as_mut_slice()).context("the operating system gives no randomness")?;
    let (key, name) = random.split_first_chunk::<KEY_BYTES>().context("no key was drawn")?;
    FileKeyProvider::create(path, KeyId::new(&format!("kek-{}", hex_encode(name)))?, key)?;
    writeln!(out, "created the key that wraps record keys in {} (mode 0600)", path.display())?;
    writeln!(out, "  without it no record can be read again: keep a copy apart from the store")?;
    Ok(())
}

/// Makes the folder of a key file.
pub(super) fn create_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))
}
