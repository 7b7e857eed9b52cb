//! The application: built from a configuration, recovered, spawned, drained.
//!
//! Guarantees: [`App::build`] binds every port or none is served; nothing is served before the log is recovered and the
//! session's start entry is durable, except the admin port; [`Running::drain`] ends the session with a stop entry, lets
//! requests in flight finish until its deadline, and leaves everything published and durable.
//! Does not do: reading the configuration, waiting for signals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::checkpoint::{LogKeys, LogVerifier};
use ledgerstone::cose::ReceiptSigningKey;
use ledgerstone::entry::SessionId;
use ledgerstone::log::Bounds;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::anchor::guard::{self, Last};
use crate::anchor::service::Opened;
use crate::anchor::stored::PublicAnchors;
use crate::anchor::{Anchors, Lane, setup};
use crate::approvals::Approvals;
use crate::bypass::Bypass;
use crate::config::Config;
use crate::driver::{self, LogHandle, RecoveryReport};
use crate::erasure::Erasures;
use crate::history::Histories;
use crate::index::{Builder, Index};
use crate::intercept::recorder::now;
use crate::intercept::{Intercept, Limits, Recorder, Routes, Session, SessionOptions};
use crate::keyring::{self, Configured, Keyring, RecordKeys};
use crate::listen::Counts;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::reader::LogReader;
use crate::receipts::{ReceiptBuilder, ReceiptService};
use crate::status::Status;
use crate::tls::Reloading;
use crate::upstream::Upstream;
use crate::{admin, api, log_keys};

mod access;
mod approvals;
mod counted;
mod error;
mod grpc;
mod hardened;
mod keys;
mod model;
mod ports;
pub(crate) mod previous;
mod receipts;

pub use self::error::{BuildError, DrainError, RecoverError};
use self::ports::{Ports, Served, Side};

/// Time that the gRPC server gets to close its connections after the last answer.
const CLOSE: Duration = Duration::from_secs(1);

/// Everything that can be had without touching the log: ports, keys, routes. The admin port answers already.
pub struct App {
    /// Goes to the log's driver when the log is opened.
    log_keys: LogKeys,
    /// Signs COSE receipts, if the log has a key for them.
    receipt_key: Option<Arc<ReceiptSigningKey>>,
    /// Where the log's head will be fixed.
    lanes: Vec<Box<dyn Lane>>,
    parts: Parts,
}

/// What [`App`] was built of and serving needs.
struct Parts {
    config: Config,
    ports: Ports,
    keys: Arc<Configured>,
    routes: Routes,
    upstream: Upstream,
    tls: Option<Reloading>,
    metrics: Metrics,
    models: Arc<Models>,
    anchors: Arc<Anchors>,
    status: Arc<Status>,
    admin: Served,
}

/// An application with a recovered log and an open session.
pub struct Recovered {
    parts: Parts,
    log: LogHandle,
    report: RecoveryReport,
    reader: LogReader,
    ring: Arc<Keyring>,
    index: Arc<Index>,
    approvals: Arc<Approvals>,
    session: Arc<Session>,
    lanes: Opened,
    verifier: LogVerifier,
    receipts: ReceiptBuilder,
}

/// An application that serves.
pub struct Running {
    /// Where the gRPC port is.
    pub grpc_addr: SocketAddr,
    /// Where the HTTP port is.
    pub http_addr: SocketAddr,
    /// Where the admin port is.
    pub admin_addr: SocketAddr,
    /// Where the registry is, if it is served.
    pub registry_addr: Option<SocketAddr>,
    /// Where entries are added to decisions, if anywhere.
    pub recorder_addr: Option<SocketAddr>,
    /// Where links to receipts are opened, if anywhere.
    pub links_addr: Option<SocketAddr>,
    status: Arc<Status>,
    anchors: Arc<Anchors>,
    erasures: Erasures,
    session: Arc<Session>,
    log: LogHandle,
    grpc: JoinHandle<()>,
    /// The registry and the recorder, where they are served.
    sides: [Option<Side>; 2],
    http: Served,
    links: Option<Served>,
    admin: Served,
    /// Work that ends with the sidecar: heartbeats, the index, health.
    background: Vec<JoinHandle<()>>,
    ending: watch::Sender<bool>,
}

impl App {
    /// Reads keys, routes and certificates, and binds every port.
    ///
    /// # Errors
    /// [`BuildError`] names the key of the configuration and what to change.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let bypass = config.upstream.bypass();
        Self::build_with(config, bypass).await
    }

    /// The same, with a look at the model server that was opened before the process gave up files.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_with(config: Config, bypass: Bypass) -> Result<Self, BuildError> {
        let log_keys = log_keys::load(&config.log.key_file, &config.log.origin)?;
        let keys = keyring::open(&config.keys)?;
        let receipt_key = receipts::key(&config)?;
        let routes = Routes::build(&config.routes, &config.base)?;
        if config.recorder_listen.is_none() {
            routes.tell_what_must_follow();
        }
        let upstream = Upstream::new(&model::options(&config)?)?;
        let tls = match &config.server.tls {
            None => None,
            Some(tls) => Some(ports::tls(tls).await?),
        };
        let counts = Counts::default();
        let (ports, admin) = Ports::bind(&config, tls.as_ref(), &counts).await?;
        let (metrics, status) = (Metrics::new()?, Arc::new(Status::default()));
        status.measure(&metrics);
        status.guard(bypass);
        ports.access.measure(&metrics);
        counts.measure(&metrics);
        if let Some(tls) = &tls {
            tls.measure(&metrics);
        }
        let models = Arc::new(Models::new(routes.clone()));
        models.measure(&metrics);
        // The keys of lanes may be wrapped, and unwrapping them may wait for the provider.
        let lanes = setup::lanes(&config.anchors, &config.log.origin, keys.as_ref())?;
        let anchors = Anchors::new(&lanes, config.anchors.quorum.clone(), config.anchors.lag_alarm);
        anchors.measure(&metrics);
        let router =
            admin::router(Arc::clone(&status), metrics.clone(), Arc::clone(&models), Arc::clone(&anchors));
        let admin = Served::start(admin, router)?;
        let parts =
            Parts { config, ports, keys, routes, upstream, tls, metrics, models, anchors, status, admin };
        Ok(Self { log_keys, receipt_key, lanes, parts })
    }

    /// Opens and recovers the log, opens the lookup index, and starts the session.
    ///
    /// # Errors
    /// [`RecoverError`] says how to recover.
    pub async fn recover(self) -> Result<Recovered, RecoverError> {
        let Self { log_keys, receipt_key, lanes, parts } = self;
        let Parts { config, metrics, status, keys, .. } = &parts;
        let (verifier, last) = (log_keys.verifier(), guarded(config).await?);
        let (store, options) = (config.log.store.clone(), driver_options(config, metrics));
        let opened = spawn_blocking(move || driver::open(&store, log_keys, options)).await;
        let (log, report) = opened.map_err(|_| RecoverError::Defect)??;
        status.counter().up_to(report.size);
        let reader = LogReader::open(&config.log.store, log.published())?;
        let named = receipts::named_key(receipt_key.as_deref(), &reader)?;
        let lanes = open_lanes(config, lanes, last, &reader, &verifier).await?;
        let index = approvals::index(config, &reader).await?;
        let (approvals, changes, keys) = approvals::open(config, &reader, &index, keys).await?;
        let ring = keys::open(config, &reader, keys, metrics).await?;
        let options = SessionOptions {
            writer: config.writer.clone(),
            id: session_id()?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: config.digest,
            previous: previous::session(&reader, &config.writer)?,
        };
        let counted = Arc::new(counted::Counted::new(log.clone(), status.counter()));
        let session = Session::start(counted, options).await?;
        if let Some(key) = named {
            session.announce_receipt_key(key.to_cose()).await?;
        }
        approvals.announce(&session, changes, now).await?;
        status.serve(log.clone(), Arc::clone(&session), Arc::clone(&index));
        let record_keys: Arc<dyn RecordKeys> = ring.clone();
        let receipts = ReceiptBuilder::new(reader.clone(), record_keys, parts.routes.clone(), receipt_key);
        Ok(Recovered {
            parts,
            log,
            report,
            reader,
            ring,
            index,
            approvals,
            session,
            lanes,
            verifier,
            receipts,
        })
    }

    /// Recovers and serves.
    ///
    /// # Errors
    /// As [`App::recover`].
    pub async fn spawn(self) -> Result<Running, RecoverError> {
        self.recover().await?.spawn()
    }
}

impl Recovered {
    /// What recovery found and did.
    #[must_use]
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Serves.
    ///
    /// # Errors
    /// [`RecoverError`] if the operating system does not say where a port is.
    pub fn spawn(self) -> Result<Running, RecoverError> {
        let Self { parts, log, reader, ring, index, approvals, session, lanes, verifier, receipts, .. } =
            self;
        let Parts { config, ports, routes, upstream, tls, metrics, models, anchors, status, admin, .. } =
            parts;
        let keys: Arc<dyn RecordKeys> = ring.clone();
        let (ending, ends) = watch::channel(false);
        let (origin, wait) = (&config.log.origin, config.receipt_wait);
        let receipts = ReceiptService::new(receipts, Arc::clone(&index), Arc::clone(&status), wait);
        let links = receipts::serve_links(ports.links, &config, &receipts, &reader)?;
        let decisions =
            Recorder::new(Arc::clone(&session), Arc::clone(&keys), routes, origin.as_str(), metrics.clone())
                .with_models(Arc::clone(&models));
        let services = grpc::Services {
            intercept: Intercept::new(decisions, upstream.clone(), limits(&config)),
            log: api::LogApi::new(reader.clone(), ends.clone()),
            receipts: api::ReceiptsApi::new(receipts.clone(), origin.clone()),
        };
        let erasures = keys::erasures(&config, &session, &reader, &receipts, &index, &ring, &status);
        let histories =
            Histories::new(Arc::clone(&session), reader.clone(), receipts.clone(), keys.clone(), &config);
        let registrations = api::RegistryApi::new(&session, &reader, &models, wait, &approvals);
        let registry =
            Side::start(ports.registry, |port| grpc::serve_registry(port, registrations, ends.clone()))?;
        let recorder = Side::start(ports.recorder, |port| {
            let served = grpc::Records {
                recorder: api::RecorderApi::new(histories),
                keyring: api::KeyringApi::new(erasures.clone(), approvals),
                links: receipts::link_maker(&config, &reader),
            };
            grpc::serve_recorder(port, served, ends.clone())
        })?;
        let grpc_addr = ports.grpc.address().map_err(RecoverError::Port)?;
        let lanes = anchors.spawn(lanes, &reader, &verifier, &session, &ends);
        let incoming = ports.grpc.open().map_err(RecoverError::Port)?.counting(&session);
        let (grpc, health) = grpc::serve(incoming, services, &config.limits, &status, ends)?;
        let router = api::http::router(reader.clone(), receipts, PublicAnchors::new(&config.log.store));
        let http = Served::start(ports.http, router).map_err(RecoverError::Port)?;
        let mut background = vec![
            health,
            tokio::spawn(Arc::clone(&models).read_back(Arc::clone(&index), reader.clone())),
            tokio::spawn(models.watch(config.models_watch_interval, metrics)),
            tokio::spawn(Arc::clone(&session).run(config.heartbeat_interval)),
            tokio::spawn(Arc::clone(&status).keep_looking(config.heartbeat_interval)),
            tokio::spawn(Builder::new(index, reader.clone()).follow()),
        ];
        background.extend(keys::tasks(&config, reader, erasures.clone()));
        background.extend(ports.access.follow().into_iter().chain(lanes));
        background.extend(ports::follow(&config, tls).into_iter().chain(model::follow(&config, &upstream)));
        Ok(Running {
            grpc_addr,
            http_addr: http.address,
            admin_addr: admin.address,
            registry_addr: registry.as_ref().map(|side| side.address),
            recorder_addr: recorder.as_ref().map(|side| side.address),
            links_addr: links.as_ref().map(|links| links.address),
            links,
            status,
            anchors,
            erasures,
            session,
            log,
            grpc,
            sides: [registry, recorder],
            http,
            admin,
            background,
            ending,
        })
    }
}

impl Running {
    /// What the sidecar is doing.
    #[must_use]
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// What erases, holds and releases.
    #[must_use]
    pub fn erasures(&self) -> &Erasures {
        &self.erasures
    }

    /// How its anchors stand.
    #[must_use]
    pub fn anchors(&self) -> &Arc<Anchors> {
        &self.anchors
    }

    /// Takes no further request, lets those in flight finish for at most `deadline`, writes the stop entry, publishes
    /// everything and lets go of the store and the keyring.
    ///
    /// # Errors
    /// [`DrainError`] if the session ended without a stop entry or the log halted.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), DrainError> {
        let until = Instant::now() + deadline;
        self.status.drain();
        self.ending.send_replace(true);
        let stopped = self.session.stop(until).await;
        if timeout_at(until.max(Instant::now() + CLOSE), &mut self.grpc).await.is_err() {
            self.grpc.abort();
        }
        for side in self.sides.iter().flatten() {
            side.server.abort();
        }
        for task in &self.background {
            task.abort();
        }
        let log = self.log.stop().await;
        self.http.stop().await;
        if let Some(links) = self.links {
            links.stop().await;
        }
        self.admin.stop().await;
        let ring = Arc::clone(self.erasures.ring());
        if let Ok(Err(error)) = spawn_blocking(move || ring.close()).await {
            tracing::error!(%error, code = %error.code(), "the keyring was not closed in order; copy its -wal file with it");
        }
        stopped.map_err(DrainError::Session)?;
        log.map_err(DrainError::Log)
    }
}

fn driver_options(config: &Config, metrics: &Metrics) -> driver::Options {
    let interval = u64::try_from(config.log.publish_interval.as_millis()).unwrap_or(u64::MAX);
    let metrics = metrics.clone();
    driver::Options {
        segment_bytes_max: config.log.segment_bytes,
        bounds: Bounds { publish_interval_ms: interval, ..Bounds::default() },
        on_batch: Some(Arc::new(move |entries, sync| metrics.batch(entries, sync))),
        runtime: Some(tokio::runtime::Handle::current()),
        ..driver::Options::default()
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        message_bytes_max: config.limits.message_bytes_max,
        in_flight_max: config.limits.in_flight_max,
        ..Limits::default()
    }
}

/// Looks at what was stated last, before the log is opened and anything is signed.
async fn guarded(config: &Config) -> Result<Vec<Last>, RecoverError> {
    let (store, origin) = (config.log.store.clone(), config.log.origin.clone());
    let checked = spawn_blocking(move || guard::check_size(&store, &origin)).await;
    Ok(checked.map_err(|_| RecoverError::Defect)??)
}

/// Holds the log against what was stated last, and opens the files of the lanes.
async fn open_lanes(
    config: &Config,
    lanes: Vec<Box<dyn Lane>>,
    last: Vec<Last>,
    log: &LogReader,
    verifier: &LogVerifier,
) -> Result<Opened, RecoverError> {
    let (store, origin) = (config.log.store.clone(), config.log.origin.clone());
    let (log, verifier) = (log.clone(), verifier.clone());
    let opened = spawn_blocking(move || {
        Anchors::check(&last, &log, &verifier)?;
        Ok(Anchors::open(&store, &origin, lanes)?)
    });
    opened.await.map_err(|_| RecoverError::Defect)?
}

fn session_id() -> Result<SessionId, RecoverError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| RecoverError::NoRandomness)?;
    Ok(SessionId::from_bytes(id))
}
