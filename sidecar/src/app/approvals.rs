//! Approvals at start: what the configuration changes is looked at before the session begins.

use std::sync::Arc;

use ledgerstone::approval::Change;
use ledgerstone::entry::RegisteredName;
use tokio::task::spawn_blocking;

use super::{RecoverError, keys};
use crate::approvals::{self, Approvals, Opened, Wanted};
use crate::config::Config;
use crate::index::Index;
use crate::keyring::{Configured, KeyId, KeyProvider};
use crate::reader::LogReader;

/// Reads what the log says about approvals and holds the configuration against it: what is to be announced, and the key provider
/// with the key-encryption key that may be in force.
pub(super) async fn open(
    config: &Config,
    log: &LogReader,
    index: &Arc<Index>,
    keys: &Arc<Configured>,
) -> Result<(Arc<Approvals>, Vec<Change>, Arc<dyn KeyProvider>), RecoverError> {
    let (config, log, index, keys) = (config.clone(), log.clone(), Arc::clone(index), Arc::clone(keys));
    let opened = spawn_blocking(move || {
        let history = approvals::read(&log, Some(&index))?;
        let wanted = Wanted::new(&config, keys.key_id())?;
        let notes = approvals::notes(config.approvals.folder.as_deref())?;
        let held =
            |name: &RegisteredName| KeyId::new(name.as_str()).ok().and_then(|id| keys.with_in_force(&id));
        let opened = approvals::open(config.log.origin, history, wanted, notes, |name| held(name).is_some())?;
        let Opened { approvals, changes, stays } = opened;
        let keys: Arc<dyn KeyProvider> = match stays.as_ref().and_then(held) {
            Some(before) => Arc::new(before),
            None => keys,
        };
        Ok::<_, RecoverError>((approvals, changes, keys))
    });
    opened.await.map_err(|_| RecoverError::Defect)?
}

/// Opens the lookup index. What it does not cover yet is added while the sidecar serves.
pub(super) async fn index(config: &Config, reader: &LogReader) -> Result<Arc<Index>, RecoverError> {
    let (path, size, origin) =
        (config.log.store.join("index"), reader.published().size, keys::origin(config));
    let opened = spawn_blocking(move || Index::open(&path, origin, size)).await;
    Ok(Arc::new(opened.map_err(|_| RecoverError::Defect)??))
}
