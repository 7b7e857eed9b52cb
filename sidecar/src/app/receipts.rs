//! What the application does for receipts: their key, and the listener for links to them.

use std::sync::Arc;

use ledgerstone::cose::{ReceiptKey, ReceiptSigningKey};

use super::ports::{Port, Served};
use super::{BuildError, RecoverError};
use crate::config::Config;
use crate::driver::system_clock;
use crate::links::{self, LinkBook, LinkMaker};
use crate::locked;
use crate::reader::LogReader;
use crate::receipt_key;
use crate::receipts::ReceiptService;

/// The key that signs COSE receipts, if the configuration names one.
pub(super) fn key(config: &Config) -> Result<Option<Arc<ReceiptSigningKey>>, BuildError> {
    let Some(path) = &config.receipt_key_file else {
        tracing::info!("receipt.key_file is not set: receipts carry no COSE receipt");
        return Ok(None);
    };
    let key = Arc::new(receipt_key::load(path, &config.log.origin)?);
    locked::keep(&key.secrets());
    Ok(Some(key))
}

/// The public half of `key`, if the log's policy names it: a receipt that readers cannot check is not given out.
pub(super) fn named_key<'a>(
    key: Option<&'a ReceiptSigningKey>,
    log: &LogReader,
) -> Result<Option<&'a ReceiptKey>, RecoverError> {
    let key = key.map(ReceiptSigningKey::receipt_key);
    match key {
        Some(key) if !log.policy().receipt_keys().contains(key) => Err(RecoverError::UnnamedReceiptKey),
        key => Ok(key),
    }
}

/// Serves links on `port`, if there is one, after the links that expired were dropped.
pub(super) fn serve_links(
    port: Option<Port>,
    config: &Config,
    receipts: &ReceiptService,
    log: &LogReader,
) -> Result<Option<Served>, RecoverError> {
    let (Some(port), Some(path)) = (port, &config.links.file) else { return Ok(None) };
    let links = LinkBook::open(path)?;
    links.prune(system_clock())?;
    let router = links::http::router(links, receipts.clone(), log.policy_text());
    Ok(Some(Served::start(port, router).map_err(RecoverError::Port)?))
}

/// What makes links, where they are configured.
pub(super) fn link_maker(config: &Config, log: &LogReader) -> Option<LinkMaker> {
    LinkMaker::new(config, log.clone()).ok()
}
