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

use crate::anchor::guard::{self, Last};
use crate::anchor::service::Opened;
use crate::anchor::stored::PublicAnchors;
use crate::anchor::{Anchors, Lane, setup};
use crate::approvals::Approvals;
use crate::bypass::Bypass;
use crate::config::Config;
use crate::console::Console;
use crate::driver::{self, LogHandle, RecoveryReport};
use crate::erasure::Erasures;
use crate::handover::{HandoverError, Sockets};
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
use crate::siem::{Export, Followers};
use crate::status::Status;
use crate::telemetry::Exporter;
use crate::tls::Reloading;
use crate::upstream::Upstream;
use crate::{admin, api, log_keys};

mod access;
mod approvals;
mod counted;
mod drain;
mod error;
mod grpc;
mod hardened;
mod keys;
mod model;
mod overview;
mod ports;
pub(crate) mod previous;
mod receipts;
mod siem;

pub use self::error::{BuildError, DrainError, RecoverError};
use self::ports::{Ports, Served, Side};

/// Time that the gRPC server gets to close its connections after the last answer.
const CLOSE: Duration = Duration::from_secs(1);

/// Longest time that telemetry gets to send what waits: a pod that ends is not held up by a Collector that says nothing.
const FLUSH: Duration = Duration::from_secs(5);

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
    export: Arc<Export>,
    console: Console,
    overview: Arc<overview::Overview>,
    admin: Served,
    telemetry: Exporter,
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
    followers: Followers,
    /// Work that ends with the sidecar: heartbeats, the index, health.
    background: Vec<JoinHandle<()>>,
    telemetry: Exporter,
    /// Work on the files of the anchors, which ends by itself.
    lanes: Vec<JoinHandle<()>>,
    index: Arc<Index>,
    ending: watch::Sender<bool>,
}

impl App {
    /// Reads keys, routes and certificates, and binds every port.
    ///
    /// # Errors
    /// [`BuildError`] names the key of the configuration and what to change.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let bypass = Arc::new(config.upstream.bypass());
        Self::build_with(config, bypass, &Sockets::default(), async { Ok(()) }).await
    }

    /// The same, with a look at the model server that was opened before the process gave up files, and on `sockets` that are bound
    /// already. Nobody is served before `free` says that nobody else serves on them.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_with(
        config: Config,
        bypass: Arc<Bypass>,
        sockets: &Sockets,
        free: impl Future<Output = Result<(), HandoverError>>,
    ) -> Result<Self, BuildError> {
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
        let (ports, admin) = Ports::bind(&config, sockets, tls.as_ref(), &counts).await?;
        let (metrics, status) = (Metrics::new()?, Arc::new(Status::default()));
        let telemetry = Exporter::start(&config, &metrics)?;
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
        free.await?;
        let export = siem::build(&config, &metrics, &models, &anchors)?;
        let console =
            Console::new(&config, &routes, (&status, &metrics), (&models, &anchors, export.alerts()));
        let router =
            admin::router(Arc::clone(&status), metrics.clone(), Arc::clone(&models), Arc::clone(&anchors));
        let overview = overview::Overview::new(&config, &keys, &status, &anchors);
        let router = router.merge(admin::siem(&export)).merge(console.router()).merge(overview.router());
        let admin = Served::start(admin, router)?;
        let parts = Parts {
            config,
            ports,
            keys,
            routes,
            upstream,
            tls,
            metrics,
            models,
            anchors,
            status,
            export,
            console,
            overview,
            admin,
            telemetry,
        };
        Ok(Self { log_keys, receipt_key, lanes, parts })
    }

    /// Opens and recovers the log, opens the lookup index, and starts the session.
    ///
    /// # Errors
    /// [`RecoverError`] says how to recover.
    pub async fn recover(self) -> Result<Recovered, RecoverError> {
        let export = Arc::clone(&self.parts.export);
        let recovered = self.open().await;
        if let Err(error) = &recovered {
            export.refused(error).await;
        }
        recovered
    }

    async fn open(self) -> Result<Recovered, RecoverError> {
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
        parts.overview.serve(&session, &ring, &config.retention.matrix);
        let record_keys: Arc<dyn RecordKeys> = ring.clone();
        let receipts = ReceiptBuilder::new(reader.clone(), record_keys, parts.routes.clone(), receipt_key);
        let (lookup, counted) = (Arc::clone(&index), Arc::clone(status));
        let shown = ReceiptService::new(receipts.clone(), lookup, counted, config.receipt_wait);
        parts.console.open(&reader, shown, &session);
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
        let Self { parts, log, reader, ring, index, approvals, session, lanes, receipts, .. } = self;
        let keys: Arc<dyn RecordKeys> = ring.clone();
        let decisions = recorder(&parts, &session, &keys);
        let followers = siem::follow(&parts.export, &parts.routes, &reader, &log);
        let Parts {
            config, ports, upstream, tls, metrics, models, anchors, status, admin, telemetry, ..
        } = parts;
        let (ending, ends) = watch::channel(false);
        let wait = config.receipt_wait;
        let receipts = ReceiptService::new(receipts, Arc::clone(&index), Arc::clone(&status), wait);
        let links = receipts::serve_links(ports.links, &config, &receipts, &reader)?;
        let services = grpc::Services {
            intercept: Intercept::new(decisions, upstream.clone(), limits(&config)),
            log: api::LogApi::new(reader.clone(), ends.clone()),
            receipts: api::ReceiptsApi::new(receipts.clone(), config.log.origin.clone()),
        };
        let erasures = keys::erasures(&config, &session, &reader, &receipts, &index, &ring, &status);
        let histories = Histories::new(session.clone(), reader.clone(), receipts.clone(), keys, &config);
        let registry = api::RegistryApi::new(&session, &reader, &models, wait, &approvals);
        let registry = Side::start(ports.registry, &ends, |port| grpc::serve_registry(port, registry))?;
        let recorder = Side::start(ports.recorder, &ends, |port| {
            let served = grpc::Records {
                recorder: api::RecorderApi::new(histories),
                keyring: keys::api(&erasures, approvals, &parts.export),
                links: receipts::link_maker(&config, &reader),
            };
            grpc::serve_recorder(port, served)
        })?;
        let grpc_addr = ports.grpc.address().map_err(RecoverError::Port)?;
        let lanes = anchors.spawn(lanes, &reader, &self.verifier, &session, &ends);
        let incoming = ports.grpc.open(&ends).map_err(RecoverError::Port)?.counting(&session);
        let (grpc, health) = grpc::serve(incoming, services, &config.limits, &status, ends)?;
        let router = api::http::router(reader.clone(), receipts, PublicAnchors::new(&config.log.store));
        let http = Served::start(ports.http, router).map_err(RecoverError::Port)?;
        let mut background = vec![
            health,
            tokio::spawn(Arc::clone(&session).run(config.heartbeat_interval)),
            tokio::spawn(Arc::clone(&status).keep_looking(config.heartbeat_interval)),
            tokio::spawn(Builder::new(Arc::clone(&index), reader.clone()).follow()),
        ];
        background.extend(model::watch(&config, models, metrics, &index, &reader));
        background.extend(keys::tasks(&config, reader, erasures.clone()));
        let follow = [ports.access.follow(), ports::follow(&config, tls), model::follow(&config, &upstream)];
        background.extend(follow.into_iter().flatten());
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
            followers,
            background,
            telemetry,
            lanes,
            index,
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
}

/// What records the decisions.
fn recorder(parts: &Parts, session: &Arc<Session>, keys: &Arc<dyn RecordKeys>) -> Recorder {
    let Parts { config, routes, metrics, models, export, telemetry, .. } = parts;
    let (session, keys) = (Arc::clone(session), Arc::clone(keys));
    Recorder::new(session, keys, routes.clone(), config.log.origin.as_str(), metrics.clone())
        .with_models(Arc::clone(models))
        .with_alerts(Arc::clone(export.alerts()))
        .with_tracing(telemetry.tracing())
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
