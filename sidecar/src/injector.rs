//! The injector: a mutating webhook (`admissionregistration.k8s.io/v1`) that puts the sidecar into pods that ask for it.
//!
//! Guarantees: what it puts there is what the chart renders for its policies and its partial, so none of them can drift; a pod that asks
//! gets all of it or is refused with what to change. Every question is bounded in bytes, time and number. Template and certificate are
//! exchanged while it serves, and one that cannot be used changes nothing. Nothing is kept: any number of injectors may serve side by side.
//! Does not do: being needed. Where it is down, the webhook's failure policy and the ValidatingAdmissionPolicy reject what would go
//! unrecorded.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub mod authority;
pub mod kubernetes;
mod pod;
pub mod review;
pub mod rotation;
mod server;
mod template;

pub use self::pod::Refusal;
pub use self::template::{Template, TemplateError};

use self::authority::Terms;
use self::kubernetes::Access;
use self::rotation::Keeper;
use self::server::{Counted, State};
use crate::api::{Ending, ended};
use crate::listen::{Counts, Door, WithPeer};
use crate::metrics::{Metrics, MetricsError};
use crate::tls::{Ask, Files, Protocols, Reloading, TlsError, Versions};

/// How often the template's file is looked at; kubelets take up to a minute to bring a ConfigMap's change.
const LOOK: Duration = Duration::from_secs(5);

/// Time to close connections after the last answer.
const CLOSE: Duration = Duration::from_secs(1);

/// What an injector is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where API servers ask.
    pub listen: SocketAddr,
    /// Where `/live`, `/ready` and `/metrics` are.
    pub admin_listen: SocketAddr,
    /// What is put into pods, as the chart renders it.
    pub template: PathBuf,
    /// Where the certificate comes from.
    pub certificates: Certificates,
    /// How long requests in flight may take after the signal to stop.
    pub drain_deadline: Duration,
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Files that somebody else exchanges, such as cert-manager.
    Given {
        /// The files.
        files: Files,
        /// How often they are looked at.
        period: Duration,
    },
    /// An authority of the injector's own, kept in the cluster.
    Own {
        /// The cluster's objects.
        access: Access,
        /// What is drawn.
        terms: Terms,
        /// How often the objects are looked at.
        period: Duration,
        /// Where the certificate in use is put, in memory rather than on a disk.
        folder: PathBuf,
    },
}

/// An injector with its ports, not serving yet. Its admin port answers already.
pub struct Injector {
    settings: Settings,
    listener: TcpListener,
    state: State,
    metrics: Metrics,
    template: watch::Sender<Arc<Template>>,
    /// What the template was read from.
    json: Vec<u8>,
    ending: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Injector {
    /// Reads the template and binds both ports.
    ///
    /// # Errors
    /// [`InjectorError`] says what to change.
    pub async fn build(settings: Settings) -> Result<Self, InjectorError> {
        let path = settings.template.clone();
        let json = read(&path)?;
        let template = Template::parse(&json).map_err(|reason| InjectorError::Template { path, reason })?;
        let template = watch::Sender::new(Arc::new(template));
        let (listener, admin) = (bind(settings.listen).await?, bind(settings.admin_listen).await?);
        let metrics = Metrics::new()?;
        let counted = Arc::new(Counted::default());
        counted.measure(&metrics);
        let state = State::new(template.subscribe(), counted);
        let (ending, ends): (_, Ending) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let router = server::admin(state.clone(), metrics.clone());
        tasks.spawn(async move {
            if let Err(error) = axum::serve(admin, router).with_graceful_shutdown(ended(ends)).await {
                tracing::error!(%error, "the admin port ended");
            }
        });
        Ok(Self { settings, listener, state, metrics, template, json, ending, tasks })
    }

    /// Where both ports are: reviews, admin.
    ///
    /// # Errors
    /// [`InjectorError::Port`] if the operating system does not say where the first is.
    pub fn address(&self) -> Result<SocketAddr, InjectorError> {
        let address = self.settings.listen;
        self.listener.local_addr().map_err(|source| InjectorError::Port { address, source })
    }

    /// Serves until `stop`, then lets requests in flight finish.
    ///
    /// # Errors
    /// [`InjectorError`] if no certificate can be had, or requests were cut off at the drain's deadline.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), InjectorError> {
        let mut stop = std::pin::pin!(stop);
        self.tasks.spawn(follow(
            self.settings.template.clone(),
            std::mem::take(&mut self.json),
            self.template.clone(),
        ));
        let tls = tokio::select! {
            tls = self.certificate() => tls?,
            () = &mut stop => return Ok(()),
        };
        tls.measure(&self.metrics);
        let counts = Counts::default();
        counts.measure(&self.metrics);
        let address = self.settings.listen;
        let door = Door::new("injector", Protocols::Http).tls(tls, Ask::Nothing);
        let incoming = door.open(self.listener, &counts);
        let incoming = incoming.map_err(|source| InjectorError::Port { address, source })?;
        let ends = self.ending.subscribe();
        let serve = axum::serve(incoming, WithPeer(server::reviews(self.state.clone())));
        let mut serving = tokio::spawn(async move { serve.with_graceful_shutdown(ended(ends)).await });
        self.state.serve(true);
        tracing::info!("serving");
        stop.await;
        self.state.serve(false);
        self.ending.send_replace(true);
        let until = Instant::now() + self.settings.drain_deadline;
        let drained = timeout_at(until + CLOSE, &mut serving).await;
        serving.abort();
        self.tasks.abort_all();
        match drained {
            Ok(_) => Ok(()),
            Err(_) => Err(InjectorError::Cut),
        }
    }

    /// The certificate, with what exchanges it. Waits for the first of an authority of its own.
    async fn certificate(&mut self) -> Result<Reloading, InjectorError> {
        match self.settings.certificates.clone() {
            Certificates::Given { files, period } => {
                let tls = Reloading::load(files, Versions::default())?;
                self.tasks.spawn(tls.clone().watch(period));
                Ok(tls)
            }
            Certificates::Own { access, terms, period, folder } => {
                let (keeper, mut first) = Keeper::new(access, terms, folder);
                self.tasks.spawn(keeper.keep(period));
                let tls = first.wait_for(Option::is_some).await.map_err(|_| InjectorError::Defect)?;
                tls.clone().ok_or(InjectorError::Defect)
            }
        }
    }
}

/// Takes the template's file when it changes.
async fn follow(path: PathBuf, mut seen: Vec<u8>, template: watch::Sender<Arc<Template>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let json = match read(&path) {
            Ok(json) if json == seen => continue,
            Ok(json) => json,
            Err(error) => {
                tracing::error!(%error, "pods get what they got before");
                continue;
            }
        };
        match Template::parse(&json) {
            Ok(new) => {
                tracing::info!(template = ?new, "pods get another sidecar from now on");
                template.send_replace(Arc::new(new));
            }
            Err(error) => tracing::error!(%error, path = %path.display(), "pods get what they got before"),
        }
        seen = json;
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, InjectorError> {
    use std::io::Read as _;
    let unreadable = |source| InjectorError::Unreadable { path: path.to_owned(), source };
    let mut json = Vec::new();
    // One byte more than may be, so that what is too large is seen to be.
    let most = ledgerstone::limits::INJECTOR_TEMPLATE_BYTES_MAX as u64 + 1;
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most).read_to_end(&mut json).map_err(unreadable)?;
    Ok(json)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, InjectorError> {
    TcpListener::bind(address).await.map_err(|source| InjectorError::Port { address, source })
}

/// Why the injector cannot serve, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectorError {
    /// A port cannot be had.
    #[error("port {address} cannot be bound: {source}; change --listen or --admin-listen")]
    Port {
        /// Which.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}; mount the ConfigMap that the chart renders")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The template cannot be used.
    #[error("{path}: {reason}")]
    Template {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: TemplateError,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics cannot be had.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Requests took longer than the drain's deadline.
    #[error("requests were cut off at the drain's deadline: raise --drain-deadline")]
    Cut,
    /// What cannot be.
    #[error("what keeps the certificates ended by itself; report this")]
    Defect,
}

impl InjectorError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Template { reason, .. } => reason.code(),
            Self::Tls(error) => error.code(),
            Self::Metrics(error) => error.code(),
            Self::Cut => Code::Unavailable,
            Self::Defect => Code::Internal,
            Self::Port { .. } | Self::Unreadable { .. } => Code::Misuse,
        }
    }
}
