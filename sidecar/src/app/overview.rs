//! What `/status` on the admin port says as JSON: the numbers and settings that `ledgerstone doctor` and `ledgerstone top` ask for.
//!
//! Guarantees: no secret and no value of a decision, a path only within an error; what takes long (the key provider, retention) is asked
//! for at most once every [`PROBE_EVERY`] and by one thread at a time, however often somebody asks here or leaves again, and is waited
//! for no longer than [`PROBE_PATIENCE`]. Does not do: judging; the reader does.
//! Format: `docs/operations.md`, section on `/status`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::get;
use ledgerstone::time::UnixMillis;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::anchor::{Anchors, Standing};
use crate::config::Config;
use crate::intercept::Session;
use crate::intercept::recorder::now;
use crate::keyring::{Configured, KEY_BYTES, KeyProvider, Keyring, RecordKey, month};
use crate::retention::{self, Matrix};
use crate::status::Status;

/// The format of the document.
const FORMAT: &str = "ledgerstone-status/v1";

/// How long what the key provider and the keyring said is said again: one call a minute costs nobody anything.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// How long somebody waits here for what takes long; what comes later is said next time.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);

/// What `/status` says it from.
pub(super) struct Overview {
    /// What does not change while the sidecar runs.
    settings: Value,
    routes: Value,
    origin: String,
    writer: String,
    store: PathBuf,
    /// The name of the key provider, and the key that the configuration wants.
    key: (&'static str, String),
    lag_alarm: Duration,
    started: UnixMillis,
    status: Arc<Status>,
    anchors: Arc<Anchors>,
    machine: Machine,
    serving: OnceLock<Serving>,
    probe: Arc<Probe>,
}

/// What there is once the sidecar serves.
struct Serving {
    session: Arc<Session>,
    ring: Arc<Keyring>,
    matrix: Matrix,
}

/// What took long to find out, and whether it is being found out.
#[derive(Default)]
struct Probe {
    known: Mutex<Known>,
    found: Notify,
}

#[derive(Default)]
struct Known {
    last: Option<(Instant, Probed)>,
    asking: Option<Instant>,
}

/// What took long to find out.
#[derive(Clone)]
struct Probed {
    at: UnixMillis,
    /// Why the key provider does not wrap and unwrap, if it does not.
    keys: Result<(), String>,
    /// Records whose time is over; nothing where the keyring cannot be read.
    overdue: Option<u64>,
}

impl Overview {
    /// What is known of a sidecar that is being built.
    pub(super) fn new(
        config: &Config,
        keys: &Configured,
        status: &Arc<Status>,
        anchors: &Arc<Anchors>,
    ) -> Arc<Self> {
        let routes = config
            .routes
            .iter()
            .map(|route| json!({"name": route.name, "use_case": route.use_case, "packs": route.packs}));
        Arc::new(Self {
            settings: settings(config),
            routes: routes.collect(),
            origin: config.log.origin.to_string(),
            writer: config.writer.to_string(),
            store: config.log.store.clone(),
            key: (config.keys.current.kind(), keys.key_id().as_str().to_owned()),
            lag_alarm: config.anchors.lag_alarm,
            started: now(),
            status: Arc::clone(status),
            anchors: Arc::clone(anchors),
            machine: Machine::look(),
            serving: OnceLock::new(),
            probe: Arc::default(),
        })
    }

    /// Says what there is once the sidecar serves.
    pub(super) fn serve(&self, session: &Arc<Session>, ring: &Arc<Keyring>, matrix: &Matrix) {
        let (session, ring, matrix) = (Arc::clone(session), Arc::clone(ring), matrix.clone());
        // Set once, by the one caller that builds the application.
        _ = self.serving.set(Serving { session, ring, matrix });
    }

    /// The route of the admin port.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/status", get(say)).with_state(Arc::clone(self))
    }

    async fn document(self: Arc<Self>) -> Value {
        let probed = self.probe().await;
        let store = self.store.clone();
        // A task that panicked leaves both null, which the reader takes for not told.
        let (disk, journal) =
            spawn_blocking(move || (disk(&store), journal(&store))).await.unwrap_or_default();
        let serving = self.serving.get();
        let at = now();
        json!({
            "format": FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "time_ms": at.get(),
            "started_ms": self.started.get(),
            "origin": self.origin,
            "writer": self.writer,
            "session": serving.map(|serving| serving.session.id().to_string()),
            "last_heartbeat_ms": serving.and_then(|serving| serving.session.last_heartbeat()).map(UnixMillis::get),
            "not_live": self.status.live().err().map(|why| why.to_string()),
            "not_ready": self.status.ready().err().map(|why| why.to_string()),
            "settings": self.settings,
            "routes": self.routes,
            "resident_bytes": self.machine.resident(),
            "files_max": self.machine.files_max,
            "disk": disk.map(|(free, total)| json!({"free_bytes": free, "total_bytes": total})),
            "journal": journal.map(|(segments, bytes)| json!({"segments": segments, "bytes": bytes})),
            "keys": {
                "provider": self.key.0,
                "wanted": self.key.1,
                "in_force": serving.map(|serving| serving.ring.provider().key_id().as_str()),
                "checked_ms": probed.as_ref().map(|probed| probed.at.get()),
                "error": probed.as_ref().and_then(|probed| probed.keys.as_ref().err()),
            },
            "records_overdue": probed.as_ref().and_then(|probed| probed.overdue),
            "anchors": self.anchors.lanes().map(|lane| self.lane(lane, at)).collect::<Value>(),
        })
    }

    fn lane(&self, lane: &Standing, now: UnixMillis) -> Value {
        let shown = lane.shown();
        let waits = shown.waiting_since.map_or(0, |since| now.millis_since(since) / 1_000);
        json!({
            "lane": lane.lane().to_string(),
            "kind": lane.kind().as_str(),
            "state": shown.state,
            "confirmed_size": lane.confirmed_size().get(),
            "lag_seconds": waits,
            "lag_alarm_seconds": self.lag_alarm.as_secs(),
            "last_error": shown.error.map(|(_, error)| error),
            "alarms": shown.alarms.into_iter().map(|(_, alarm)| alarm).collect::<Vec<_>>(),
        })
    }

    /// Asks what takes long, unless it was asked a moment ago.
    async fn probe(&self) -> Option<Probed> {
        let Serving { ring, matrix, .. } = self.serving.get()?;
        let (ring, matrix) = (Arc::clone(ring), matrix.clone());
        let find = move || {
            let over = retention::dry_run(&ring, &matrix, month(now())).ok();
            let overdue = over.map(|classes| classes.iter().map(|class| class.records).sum());
            Probed { at: now(), keys: round_trip(ring.provider()), overdue }
        };
        Some(self.probe.ask(find).await)
    }
}

impl Probe {
    /// What was found a moment ago, or what `find` finds if it does so in time.
    async fn ask(self: &Arc<Self>, find: impl FnOnce() -> Probed + Send + 'static) -> Probed {
        let found = self.found.notified();
        let asking = match self.begin() {
            Err(known) => return known,
            Ok((since, false)) => since,
            Ok((since, true)) => {
                // On its own, so that it goes on to its end when whoever asks leaves, and nobody begins another meanwhile.
                let probe = Arc::clone(self);
                tokio::spawn(async move {
                    let found = spawn_blocking(find).await;
                    let panicked = || Probed {
                        at: now(),
                        keys: Err("asking it panicked: report it".to_owned()),
                        overdue: None,
                    };
                    probe.end(found.unwrap_or_else(|_| panicked()));
                });
                since
            }
        };
        // Late or not, what is known then is said.
        _ = timeout(PROBE_PATIENCE, found).await;
        match &self.known().last {
            Some((at, probed)) if *at >= asking => probed.clone(),
            last => Probed {
                at: now(),
                keys: Err(format!("it has not answered for {} s", asking.elapsed().as_secs())),
                overdue: last.as_ref().and_then(|(_, probed)| probed.overdue),
            },
        }
    }

    /// Since when it is asked, and whether from now on; or what was found a moment ago.
    fn begin(&self) -> Result<(Instant, bool), Probed> {
        let mut known = self.known();
        if let Some((at, probed)) = &known.last
            && at.elapsed() < PROBE_EVERY
        {
            return Err(probed.clone());
        }
        let is_new = known.asking.is_none();
        Ok((*known.asking.get_or_insert_with(Instant::now), is_new))
    }

    fn end(&self, found: Probed) {
        let mut known = self.known();
        *known = Known { last: Some((Instant::now(), found)), asking: None };
        drop(known);
        self.found.notify_waiters();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn say(State(overview): State<Arc<Overview>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "application/json")], format!("{:#}\n", overview.document().await))
}

/// What of the configuration a reader needs to judge the rest. Addresses, periods and yes or no; no path, no secret.
fn settings(config: &Config) -> Value {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let server = &config.server;
    let ports: [(&str, Option<SocketAddr>); 6] = [
        ("grpc", Some(server.listen)),
        ("http", Some(server.http_listen)),
        ("admin", Some(server.admin_listen)),
        ("recorder", config.recorder_listen),
        ("registry", config.registry_listen),
        ("links", config.links.listen),
    ];
    let listen: serde_json::Map<String, Value> = ports
        .into_iter()
        .filter_map(|(name, address)| Some((name.to_owned(), address?.to_string().into())))
        .collect();
    json!({
        "listen": listen,
        "tls": server.tls.is_some(),
        "access": config.access.is_some(),
        "heartbeat_ms": ms(config.heartbeat_interval),
        "publish_ms": ms(config.log.publish_interval),
        "keyring_backup_ms": config.keys.backup_interval.map(ms),
        "retention_ms": config.retention.interval.map(ms),
    })
}

/// Has the provider wrap and unwrap a random key.
fn round_trip(provider: &dyn KeyProvider) -> Result<(), String> {
    let mut random = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|_| "the operating system gives no randomness".to_owned())?;
    let key = RecordKey::new(random);
    let wrapped = provider.wrap(&key).map_err(|error| error.to_string())?;
    let again = provider.unwrap(provider.key_id(), &wrapped).map_err(|error| error.to_string())?;
    if again.expose() == key.expose() {
        return Ok(());
    }
    Err("what came back is another key than was wrapped: do not use this provider".to_owned())
}

/// Segments of the journal and their bytes.
fn journal(store: &Path) -> Option<(u64, u64)> {
    let segments = fs::read_dir(store.join("journal")).ok()?.filter_map(Result::ok);
    // A segment that was recycled meanwhile has no length any more.
    Some(segments.fold((0, 0), |(count, bytes), segment| {
        (count + 1, bytes + segment.metadata().map_or(0, |about| about.len()))
    }))
}

/// What the operating system says of the process.
struct Machine {
    /// Opened once: a process that gave up files may not find it again.
    memory: Option<File>,
    files_max: Option<u64>,
}

#[cfg(target_os = "linux")]
impl Machine {
    fn look() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self { memory: File::open("/proc/self/statm").ok(), files_max: files }
    }

    /// Bytes of the process in memory (`statm`, second number, in pages; `proc_pid_statm(5)`).
    fn resident(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt as _;
        let mut text = [0; 128];
        let length = self.memory.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(text.get(..length)?).ok()?;
        let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        pages.checked_mul(u64::try_from(region::page::size()).ok()?)
    }
}

/// Bytes that are free for this process on the disk of the store, and all of them.
#[cfg(target_os = "linux")]
fn disk(store: &Path) -> Option<(u64, u64)> {
    let about = rustix::fs::statvfs(store).ok()?;
    Some((about.f_bavail.checked_mul(about.f_frsize)?, about.f_blocks.checked_mul(about.f_frsize)?))
}

#[cfg(not(target_os = "linux"))]
impl Machine {
    fn look() -> Self {
        Self { memory: None, files_max: None }
    }

    fn resident(&self) -> Option<u64> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
fn disk(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    fn found() -> Probed {
        Probed { at: now(), keys: Ok(()), overdue: Some(0) }
    }

    #[tokio::test]
    async fn a_provider_that_hangs_holds_one_thread_and_nobody_who_asks() {
        let (probe, begun) = (Arc::<Probe>::default(), Arc::new(AtomicUsize::new(0)));
        let (free, hangs) = channel::<()>();
        let hangs = Arc::new(Mutex::new(hangs));
        let ask = || {
            let (probe, begun, hangs) = (Arc::clone(&probe), Arc::clone(&begun), Arc::clone(&hangs));
            async move {
                let find = move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    _ = hangs.lock().unwrap().recv();
                    found()
                };
                probe.ask(find).await
            }
        };
        // Those who leave leave nothing behind that is begun again.
        for _ in 0..20 {
            assert!(timeout(Duration::from_millis(5), ask()).await.is_err());
        }
        let said = ask().await;
        assert!(said.keys.unwrap_err().contains("has not answered for 3 s"));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        drop(free);
        assert_eq!(ask().await.keys, Ok(()));
        assert_eq!(ask().await.keys, Ok(()), "it was asked a moment ago");
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
