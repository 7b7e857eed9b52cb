//! The ports of the sidecar: which there are, and what each asks of those who come.
//!
//! | port | TLS where `server.tls` is set | client certificate where their authority is set |
//! | --- | --- | --- |
//! | `grpc`, `http`, `registry`, `recorder` | yes | from everybody; where tokens are taken or the log is public, from whoever has one |
//! | `admin` | yes | from everybody but for `/live` and `/ready`: probes have none |
//! | `links` | yes | from nobody: people open links in browsers |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::access::Doors;
use super::{BuildError, CLOSE, RecoverError};
use crate::access::{AccessLayer, Port as Guarded};
use crate::api::{Ending, ended};
use crate::config::{CertificateSource, Config, TlsConfig};
use crate::handover::Sockets;
use crate::intercept::Session;
use crate::listen::{Counts, Door, Incoming, WithPeer};
use crate::peer::Peer;
use crate::tls::{Ask, Protocols, Reloading, TlsError};

/// What the admin port answers to whoever comes: the questions of a kubelet.
const PROBES: [&str; 2] = ["/live", "/ready"];

/// Bound sockets that nobody is served on yet.
pub(super) struct Ports {
    pub(super) grpc: Port,
    pub(super) http: Port,
    pub(super) registry: Option<Port>,
    pub(super) recorder: Option<Port>,
    pub(super) links: Option<Port>,
    /// Who may come through them.
    pub(super) access: Doors,
}

/// A bound socket.
pub(super) struct Port {
    listener: TcpListener,
    door: Door,
    counts: Counts,
    access: AccessLayer,
}

/// A port that takes connections, and what stands in front of its services.
pub(super) struct Opened {
    pub(super) incoming: Incoming,
    pub(super) access: AccessLayer,
}

impl Opened {
    /// The same, where decisions are made in `session`.
    pub(super) fn counting(self, session: &Arc<Session>) -> Self {
        Self { access: self.access.counting(Arc::clone(session)), ..self }
    }
}

impl Ports {
    /// Binds every port, the admin port beside the others: it is served first.
    pub(super) async fn bind(
        config: &Config,
        sockets: &Sockets,
        tls: Option<&Reloading>,
        counts: &Counts,
    ) -> Result<(Self, Port), BuildError> {
        use Ask::{Certificate, Nothing};
        let access = Doors::new(config)?;
        let binder = Binder { sockets, tls, counts, access: &access };
        let needed = access.certificate();
        let server = &config.server;
        let bind = async |key, address, door| binder.bind(key, address, door).await;
        let if_set = async |key, address, door| match address {
            None => Ok(None),
            Some(address) => binder.bind(key, address, door).await.map(Some),
        };
        let http = |name, ask| (Door::new(name, Protocols::Http), ask);
        let grpc = |name, ask| (Door::new(name, Protocols::Http2), ask);
        let ports = Self {
            grpc: bind(Guarded::Grpc, server.listen, grpc("grpc", needed)).await?,
            http: bind(Guarded::Http, server.http_listen, http("http", needed)).await?,
            registry: if_set(Guarded::Registry, config.registry_listen, grpc("registry", needed)).await?,
            recorder: if_set(Guarded::Recorder, config.recorder_listen, http("recorder", needed)).await?,
            links: if_set(Guarded::Links, config.links.listen, http("links", Nothing)).await?,
            access: access.clone(),
        };
        let unguarded = [(&ports.registry, "register"), (&ports.recorder, "add and read")];
        unguarded
            .into_iter()
            .for_each(|(port, may)| port.iter().for_each(|port| port.warn_if_open_to_all(may)));
        let admin = bind(Guarded::Admin, server.admin_listen, http("admin", Certificate)).await?;
        Ok((ports, admin))
    }
}

/// TLS as the configuration says.
pub(super) async fn tls(config: &TlsConfig) -> Result<Reloading, TlsError> {
    match &config.source {
        CertificateSource::Files(files) => Reloading::load(files.clone(), config.versions),
        CertificateSource::WorkloadApi(address) => {
            Reloading::from_workload_api(address, config.versions).await
        }
    }
}

/// Work that keeps certificates up to date while the sidecar serves.
pub(super) fn follow(config: &Config, tls: Option<Reloading>) -> Option<JoinHandle<()>> {
    Some(tokio::spawn(tls?.watch(config.server.tls_reload_interval)))
}

/// What every port is bound with.
struct Binder<'a> {
    sockets: &'a Sockets,
    tls: Option<&'a Reloading>,
    counts: &'a Counts,
    access: &'a Doors,
}

impl Binder<'_> {
    async fn bind(
        &self,
        port: Guarded,
        address: SocketAddr,
        (door, ask): (Door, Ask),
    ) -> Result<Port, BuildError> {
        let key = port.key();
        let bound = self.sockets.listener(key, address).await;
        let listener = bound.map_err(|source| BuildError::Port { key, address, source })?;
        let door = match self.tls {
            None => door,
            Some(tls) => door.tls(tls.clone(), ask),
        };
        Ok(Port { listener, door, counts: self.counts.clone(), access: self.access.of(port) })
    }
}

impl Port {
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Begins to take connections, and goes on until `ending`.
    pub(super) fn open(self, ending: &Ending) -> io::Result<Opened> {
        let door = self.door.until(ending.clone());
        Ok(Opened { incoming: door.open(self.listener, &self.counts)?, access: self.access })
    }

    /// Says so where whoever reaches a port `may` do what it serves.
    fn warn_if_open_to_all(&self, may: &str) {
        let address = self.address().ok().filter(|address| !address.ip().is_loopback());
        if let Some(address) = address
            && !self.door.needs_certificate()
            && !self.access.is_guarded()
        {
            let name = self.door.name();
            tracing::warn!(
                %address,
                "{name}.listen is not a loopback address and asks for no certificates: whoever reaches it may {may}"
            );
        }
    }
}

/// A gRPC server on an address of its own.
pub(super) struct Side {
    pub(super) address: SocketAddr,
    pub(super) server: JoinHandle<()>,
}

impl Side {
    /// Starts one on `port`, if there is one.
    pub(super) fn start(
        port: Option<Port>,
        ending: &Ending,
        serve: impl FnOnce(Opened) -> JoinHandle<()>,
    ) -> Result<Option<Self>, RecoverError> {
        let Some(port) = port else { return Ok(None) };
        let address = port.address().map_err(RecoverError::Port)?;
        Ok(Some(Self { address, server: serve(port.open(ending).map_err(RecoverError::Port)?) }))
    }
}

/// An HTTP server with a socket of its own.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    ending: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Served {
    pub(super) fn start(port: Port, router: Router) -> io::Result<Self> {
        let address = port.address()?;
        // The guard asks more than this, where there is one.
        let is_mixed = port.door.is_mixed() && !port.access.is_guarded();
        let router = if is_mixed { router.layer(from_fn(probe_or_certificate)) } else { router };
        let (ending, ends): (_, Ending) = watch::channel(false);
        let Opened { incoming, access } = port.open(&ends)?;
        let (router, exhausted) = (access.http(router), incoming.exhausted());
        let serve = async move {
            let serve = axum::serve(incoming, WithPeer(router)).with_graceful_shutdown(ended(exhausted));
            if let Err(error) = serve.await {
                tracing::error!(%error, %address, "an HTTP server ended");
            }
        };
        Ok(Self { address, ending, task: tokio::spawn(serve) })
    }

    /// Has the server end, and returns once every connection is closed.
    pub(super) async fn end(&mut self) {
        self.ending.send_replace(true);
        // It may have been asked before.
        if !self.task.is_finished() {
            _ = (&mut self.task).await;
        }
    }

    /// Ends the server; connections that are still open after a moment are closed.
    pub(super) async fn stop(mut self) {
        self.ending.send_replace(true);
        if !self.task.is_finished() && timeout_at(Instant::now() + CLOSE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Lets whoever comes ask whether the sidecar lives, and answers all else to those who have a certificate.
async fn probe_or_certificate(request: Request, next: Next) -> Response<Body> {
    if PROBES.contains(&request.uri().path()) || Peer::of(request.extensions()).certificate.is_some() {
        return next.run(request).await;
    }
    let mut refused =
        Response::new(Body::from("a client certificate is needed for all but /live and /ready\n"));
    *refused.status_mut() = StatusCode::FORBIDDEN;
    refused
}
