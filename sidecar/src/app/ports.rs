//! The ports of the sidecar: which there are, and what each asks of those who come.
//!
//! | port | TLS where `server.tls` is set | client certificate where their authority is set |
//! | --- | --- | --- |
//! | `grpc`, `http`, `registry`, `recorder` | yes | from everybody |
//! | `admin` | yes | from everybody but for `/live` and `/ready`: probes have none |
//! | `links` | yes | from nobody: people open links in browsers |

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{BuildError, CLOSE, RecoverError};
use crate::api::{Ending, ended};
use crate::config::{CertificateSource, Config, TlsConfig};
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
}

/// A bound socket.
pub(super) struct Port {
    listener: TcpListener,
    door: Door,
    counts: Counts,
}

impl Ports {
    /// Binds every port, the admin port beside the others: it is served first.
    pub(super) async fn bind(
        config: &Config,
        tls: Option<&Reloading>,
        counts: &Counts,
    ) -> Result<(Self, Port), BuildError> {
        use Ask::{Certificate, CertificateAlways, Nothing};
        let binder = Binder { tls, counts };
        let server = &config.server;
        let bind = async |key, address, door| binder.bind(key, address, door).await;
        let if_set = async |key, address, door| match address {
            None => Ok(None),
            Some(address) => binder.bind(key, address, door).await.map(Some),
        };
        let http = |name, ask| (Door::new(name, Protocols::Http), ask);
        let grpc = |name, ask| (Door::new(name, Protocols::Http2), ask);
        let ports = Self {
            grpc: bind("server.listen", server.listen, grpc("grpc", CertificateAlways)).await?,
            http: bind("server.http_listen", server.http_listen, http("http", CertificateAlways)).await?,
            registry: if_set("registry.listen", config.registry_listen, grpc("registry", CertificateAlways))
                .await?,
            recorder: if_set("recorder.listen", config.recorder_listen, http("recorder", CertificateAlways))
                .await?,
            links: if_set("links.listen", config.links.listen, http("links", Nothing)).await?,
        };
        let unguarded = [(&ports.registry, "register"), (&ports.recorder, "add and read")];
        unguarded
            .into_iter()
            .for_each(|(port, may)| port.iter().for_each(|port| port.warn_if_open_to_all(may)));
        let admin = bind("server.admin_listen", server.admin_listen, http("admin", Certificate)).await?;
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
    tls: Option<&'a Reloading>,
    counts: &'a Counts,
}

impl Binder<'_> {
    async fn bind(
        &self,
        key: &'static str,
        address: SocketAddr,
        (door, ask): (Door, Ask),
    ) -> Result<Port, BuildError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| BuildError::Port { key, address, source })?;
        let door = match self.tls {
            None => door,
            Some(tls) => door.tls(tls.clone(), ask),
        };
        Ok(Port { listener, door, counts: self.counts.clone() })
    }
}

impl Port {
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Begins to take connections.
    pub(super) fn open(self) -> io::Result<Incoming> {
        self.door.open(self.listener, &self.counts)
    }

    /// Says so where whoever reaches a port `may` do what it serves.
    fn warn_if_open_to_all(&self, may: &str) {
        let address = self.address().ok().filter(|address| !address.ip().is_loopback());
        if let Some(address) = address
            && !self.door.needs_certificate()
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
        serve: impl FnOnce(Incoming) -> JoinHandle<()>,
    ) -> Result<Option<Self>, RecoverError> {
        let Some(port) = port else { return Ok(None) };
        let address = port.address().map_err(RecoverError::Port)?;
        Ok(Some(Self { address, server: serve(port.open().map_err(RecoverError::Port)?) }))
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
        let router = if port.door.is_mixed() { router.layer(from_fn(probe_or_certificate)) } else { router };
        let incoming = port.open()?;
        let (ending, ends): (_, Ending) = watch::channel(false);
        let serve = async move {
            let serve = axum::serve(incoming, WithPeer(router)).with_graceful_shutdown(ended(ends));
            if let Err(error) = serve.await {
                tracing::error!(%error, %address, "an HTTP server ended");
            }
        };
        Ok(Self { address, ending, task: tokio::spawn(serve) })
    }

    /// Ends the server; connections that are still open after a moment are closed.
    pub(super) async fn stop(mut self) {
        self.ending.send_replace(true);
        if timeout_at(Instant::now() + CLOSE, &mut self.task).await.is_err() {
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
