//! `receipt ...`: what the operator does with receipts beside serving them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ledgerstone::cose::ReceiptSigningKey;
use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::store::fs::{StdDisk, name_receipt_key};

use super::init::create_folder;
use crate::cli::ReceiptCommand;
use crate::config::Config;
use crate::intercept::Routes;
use crate::keyring::RecordKeys;
use crate::reader::LogReader;
use crate::receipt_key;
use crate::receipts::ReceiptBuilder;

mod export;
mod link;

pub use self::export::receipt_export;
pub use self::link::{receipt_letter, receipt_link, receipt_revoke};

/// Does what a `receipt` command asks for.
///
/// # Errors
/// What the command says.
pub fn receipt(config: &Config, command: &ReceiptCommand, out: &mut impl Write) -> Result<()> {
    match command {
        ReceiptCommand::Key => receipt_key(config, out),
        ReceiptCommand::Link(arguments) => receipt_link(config, arguments, out),
        ReceiptCommand::Revoke(arguments) => receipt_revoke(config, arguments, out),
        ReceiptCommand::Letter(arguments) => receipt_letter(config, arguments, out),
        ReceiptCommand::Export(arguments) => receipt_export(config, arguments, out),
    }
}

/// What makes receipts from the log's files, beside a sidecar or without one.
struct Tools {
    log: LogReader,
    builder: ReceiptBuilder,
}

impl Tools {
    fn new(config: &Config) -> Result<Self> {
        let store = &config.log.store;
        let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
        let keys: Arc<dyn RecordKeys> = super::record_keys(config)?.into();
        let routes = Routes::build(&config.routes, &config.base)?;
        let path = config.receipt_key_file.as_deref();
        let signer = path.map(|path| receipt_key::load(path, &config.log.origin)).transpose()?;
        let builder = ReceiptBuilder::new(log.clone(), keys, routes, signer.map(Arc::new));
        Ok(Self { log, builder })
    }
}

/// A decision id, or the reference that stands for it.
fn decision(text: &str) -> Result<DecisionId> {
    match (text.parse(), text.parse::<Reference>()) {
        (Ok(decision), _) => Ok(decision),
        (_, Ok(reference)) => Ok(reference.decision()),
        (_, Err(error)) => Err(error).context("--decision: neither a decision id nor a reference"),
    }
}

/// `receipt key`: draws the receipt key where it does not exist, and names it in the log's policy.
///
/// # Errors
/// If the sidecar is running, there is no log, or a file cannot be read or written.
pub fn receipt_key(config: &Config, out: &mut impl Write) -> Result<()> {
    let path = config.receipt_key_file.as_deref().context(
        "receipt.key_file is not set: name the file that the key is to be in, then run the command again",
    )?;
    let key = signing_key(path, config, out)?;
    let store = &config.log.store;
    name_receipt_key(&StdDisk::new(store), key.receipt_key())
        .with_context(|| format!("log.store: {}", store.display()))?;
    writeln!(out, "The log's policy names receipt key {}.", key.receipt_key().kid())?;
    let policy = store.join("log.policy");
    writeln!(out, "Hand {} out again: readers need the key to check COSE receipts.", policy.display())?;
    Ok(())
}

/// The receipt key in the file at `path`, drawn where there is no such file.
pub(super) fn signing_key(path: &Path, config: &Config, out: &mut impl Write) -> Result<ReceiptSigningKey> {
    if path.exists() {
        let key = receipt_key::load(path, &config.log.origin)?;
        writeln!(out, "found the key that signs COSE receipts in {}", path.display())?;
        return Ok(key);
    }
    create_folder(path)?;
    let key = receipt_key::create(path, &config.log.origin)?;
    writeln!(out, "created the key that signs COSE receipts in {} (mode 0600)", path.display())?;
    Ok(key)
}
