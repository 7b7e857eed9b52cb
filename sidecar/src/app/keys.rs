//! The keyring at start: opened, told what the log says, and filled, before anything is served.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ledgerstone::hash::Hash;
use tokio::task::{JoinHandle, spawn_blocking};

use super::RecoverError;
use crate::api::KeyringApi;
use crate::approvals::Approvals;
use crate::config::Config;
use crate::erasure::{self, Erasures};
use crate::index::Index;
use crate::intercept::Session;
use crate::intercept::recorder::now;
use crate::keyring::{Follower, KeyProvider, Keyring};
use crate::metrics::Metrics;
use crate::reader::LogReader;
use crate::receipts::ReceiptService;
use crate::retention;
use crate::siem::Export;
use crate::status::Status;

/// How long to wait after keys could not be wrapped anew.
const ROTATE_RETRY: Duration = Duration::from_secs(60);

/// The log's name as the keyring and the lookup index know it.
pub(super) fn origin(config: &Config) -> Hash {
    Hash::of(config.log.origin.as_str().as_bytes())
}

/// What answers about the keyring over the network.
pub(super) fn api(erasures: &Erasures, approvals: Arc<Approvals>, export: &Export) -> KeyringApi {
    KeyringApi::new(erasures.clone(), approvals).with_alerts(Arc::clone(export.alerts()))
}

/// Opens the keyring of the log and lets it learn everything that is published.
pub(super) async fn open(
    config: &Config,
    reader: &LogReader,
    provider: Arc<dyn KeyProvider>,
    metrics: &Metrics,
) -> Result<Arc<Keyring>, RecoverError> {
    let (store, origin, pool) = (config.log.store.clone(), origin(config), config.keys.pool);
    let log = reader.clone();
    let opened = spawn_blocking(move || {
        let ring = Arc::new(Keyring::open(&store, origin, provider, pool)?);
        Follower::new(Arc::clone(&ring), log).start()?;
        ring.begin()?;
        Ok::<_, RecoverError>(ring)
    });
    let ring = opened.await.map_err(|_| RecoverError::Defect)??;
    measure(&ring, metrics);
    Ok(ring)
}

/// Adds the gauges of the keyring.
fn measure(ring: &Arc<Keyring>, metrics: &Metrics) {
    let gauge = |name, what, read: fn(&Keyring) -> u64| {
        let ring = Arc::downgrade(ring);
        metrics.gauge(name, what, move || ring.upgrade().map_or(0, |ring| read(&ring)));
    };
    gauge("ledgerstone_subject_keys", "Subject keys that somebody has", |ring| ring.counts().assigned);
    gauge("ledgerstone_subject_keys_pooled", "Subject keys at hand that are nobody's", |ring| {
        ring.pooled() as u64
    });
    gauge("ledgerstone_subject_keys_destroyed", "Subject keys that were destroyed", |ring| {
        ring.counts().destroyed
    });
    gauge("ledgerstone_erasures", "Erasures since the start", Keyring::erasures);
    gauge("ledgerstone_last_erasure_timestamp_seconds", "When the last erasure was, 0 for none", |ring| {
        ring.last_erasure() / 1000
    });
    gauge("ledgerstone_holds", "Legal holds that stand", |ring| ring.counts().holds);
    gauge("ledgerstone_keyring_bytes", "Bytes of the keyring", |ring| ring.counts().bytes);
    gauge("ledgerstone_keyring_size", "Leaves that the keyring covers", |ring| ring.covered().borrow().get());
}

/// What erases, holds and releases, of the parts that there are.
pub(super) fn erasures(
    config: &Config,
    session: &Arc<Session>,
    log: &LogReader,
    receipts: &ReceiptService,
    index: &Arc<Index>,
    ring: &Arc<Keyring>,
    status: &Arc<Status>,
) -> Erasures {
    for route in &config.routes {
        let class = route.retention.as_deref().unwrap_or_default();
        if !class.is_empty() && config.retention.matrix.months(class).is_none() {
            tracing::warn!(route = %route.name, "the retention class of this route is not known: its records are kept for good");
        }
    }
    Erasures::new(erasure::Parts {
        session: Arc::clone(session),
        log: log.clone(),
        receipts: receipts.clone(),
        index: Arc::clone(index),
        ring: Arc::clone(ring),
        status: Arc::clone(status),
        matrix: config.retention.matrix.clone(),
        doubted: AtomicU64::new(0),
    })
}

/// What goes on beside serving: the keyring follows the log and keeps its pool full, interrupted erasures are finished, copies made, keys rotated, records that are over erased.
pub(super) fn tasks(config: &Config, log: LogReader, erasures: Erasures) -> Vec<JoinHandle<()>> {
    let ring = Arc::clone(erasures.ring());
    let mut tasks = vec![
        tokio::spawn(Follower::new(Arc::clone(&ring), log).follow()),
        tokio::spawn(ring.refill()),
        tokio::spawn(erasures.clone().run()),
    ];
    if let Some(interval) = config.keys.backup_interval {
        tasks.push(tokio::spawn(back_up(Arc::clone(erasures.ring()), interval)));
    }
    tasks.push(tokio::spawn(rotate(Arc::clone(erasures.ring()))));
    if let Some(interval) = config.retention.interval {
        let operator = config.retention.operator.clone();
        tasks.push(tokio::spawn(retention::run(erasures, operator, interval)));
    }
    tasks
}

/// Copies the keyring when the newest copy is older than `interval`, at the earliest soon after the start.
async fn back_up(ring: Arc<Keyring>, interval: Duration) {
    let looked = Arc::clone(&ring);
    let newest = spawn_blocking(move || looked.newest_backup()).await;
    let mut wait = first_copy(newest.ok().and_then(Result::ok).flatten(), now().get(), interval);
    loop {
        tokio::time::sleep(wait).await;
        wait = interval;
        let copied = Arc::clone(&ring);
        match spawn_blocking(move || copied.back_up(now().get())).await {
            Ok(Err(error)) => tracing::error!(%error, code = %error.code(), "the keyring was not backed up"),
            _ => tracing::debug!("the keyring was backed up"),
        }
    }
}

/// How long to wait for the first copy if the newest one was made at a time, both in milliseconds since 1970.
fn first_copy(newest: Option<u64>, now: u64, interval: Duration) -> Duration {
    let age = newest.map_or(interval, |at| Duration::from_millis(now.saturating_sub(at)));
    interval.saturating_sub(age).max(retention::SOON.min(interval))
}

/// Wraps what lies under earlier key-encryption keys anew until nothing is left.
async fn rotate(ring: Arc<Keyring>) {
    let mut done = 0;
    loop {
        let rotated = Arc::clone(&ring);
        match spawn_blocking(move || rotated.rotate()).await {
            Ok(Ok((0, false))) | Err(_) => return,
            Ok(Ok((keys, false))) => {
                let keys = done + keys;
                tracing::info!(keys, "every subject key is under the key-encryption key in force");
                return;
            }
            Ok(Ok((keys, true))) => done += keys,
            Ok(Err(error)) => {
                tracing::error!(%error, code = %error.code(), "subject keys cannot be wrapped anew");
                tokio::time::sleep(ROTATE_RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_that_is_restarted_often_copies_its_keyring_as_often_as_one_that_is_not() {
        let (now, day) = (1_795_000_000_000, Duration::from_secs(86_400));
        let ago = |hours: u64| Some(now - hours * 3_600_000);
        let expected = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(first_copy(None, now, day), retention::SOON);
        assert_eq!(first_copy(ago(30), now, day), retention::SOON);
        assert_eq!(first_copy(ago(10), now, day), expected(14));
        assert_eq!(first_copy(ago(0), now, day), day);
        assert_eq!(first_copy(Some(now + 5), now, day), day, "a clock that was set back");
        let second = Duration::from_secs(1);
        assert_eq!(first_copy(None, now, second), second);
    }
}
