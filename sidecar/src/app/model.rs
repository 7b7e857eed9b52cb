//! The model server as the configuration has it, and what is shown to it, kept up to date.

use std::sync::Arc;

use ledgerstone::hash::Hash;
use tokio::task::{JoinHandle, spawn_blocking};

use super::BuildError;
use crate::config::{Config, UpstreamConfig};
use crate::index::Index;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::reader::LogReader;
use crate::tls::{self, TlsError};
use crate::upstream::{Upstream, UpstreamOptions};

/// Where the model server is, with the authority and the certificate that the files hold now.
pub(super) fn options(config: &Config) -> Result<UpstreamOptions, BuildError> {
    read(&config.upstream).map_err(BuildError::Tls)
}

fn read(config: &UpstreamConfig) -> Result<UpstreamOptions, TlsError> {
    let mut options = UpstreamOptions::new(&config.address);
    options.connect_timeout = config.connect_timeout;
    options.request_timeout = config.request_timeout;
    let identity = config.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
    options.tls = config.ca_file.as_deref().map(|ca| tls::client(ca, identity)).transpose()?;
    Ok(options)
}

/// Work that learns which models were registered before, and looks whether their files change.
pub(super) fn watch(
    config: &Config,
    models: Arc<Models>,
    metrics: Metrics,
    index: &Arc<Index>,
    reader: &LogReader,
) -> [JoinHandle<()>; 2] {
    let registered = Arc::clone(&models).read_back(Arc::clone(index), reader.clone());
    [tokio::spawn(registered), tokio::spawn(models.watch(config.models_watch_interval, metrics))]
}

/// Work that takes the files of the upstream's TLS again when they have changed.
pub(super) fn follow(config: &Config, upstream: &Upstream) -> Option<JoinHandle<()>> {
    config.upstream.ca_file.as_ref()?;
    let (files, upstream, every) =
        (config.upstream.clone(), upstream.clone(), config.server.tls_reload_interval);
    // What was read at the start is taken once more: the files may have changed while the log was recovered.
    let mut seen = None;
    Some(tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let (files, upstream, before) = (files.clone(), upstream.clone(), seen);
            let again = spawn_blocking(move || again(&files, &upstream, before)).await;
            seen = again.unwrap_or(seen);
        }
    }))
}

/// Takes the files if they are not those `seen`, and says which they are.
fn again(files: &UpstreamConfig, upstream: &Upstream, seen: Option<Hash>) -> Option<Hash> {
    let now = match digest(files) {
        Ok(now) if Some(now) == seen => return seen,
        Ok(now) => Some(now),
        Err(error) => {
            tracing::error!(%error, "upstream: the connection goes on with the old files");
            return seen;
        }
    };
    let taken = read(files).map_err(anyhow::Error::from);
    match taken.and_then(|options| Ok(upstream.replace(&options)?)) {
        Ok(()) => tracing::info!("upstream: new calls use the new certificate files"),
        Err(error) => tracing::error!(%error, "upstream: the connection goes on with the old files"),
    }
    now
}

/// The same for the same bytes in the same files.
fn digest(files: &UpstreamConfig) -> Result<Hash, TlsError> {
    let identity = files.identity.iter().flat_map(|(cert, key)| [cert.as_path(), key.as_path()]);
    let mut digests = Vec::new();
    for path in files.ca_file.as_deref().into_iter().chain(identity) {
        digests.extend_from_slice(Hash::of(&tls::read(path, tls::FILE_BYTES_MAX)?).as_bytes());
    }
    Ok(Hash::of(&digests))
}
