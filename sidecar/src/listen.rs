//! The one listener of every port, with TLS and without.
//!
//! Guarantees: each connection that is handed on has a [`Peer`]; where clients need a certificate it has been verified, in a resumed
//! session too. Bounded: handshakes under way, their time, open connections and how long one may be silent, each per port, so that
//! connections that never get anywhere hold up neither others nor memory. Nothing panics and nothing ends the listener.
//! Does not do: reading what is asked, limiting how often somebody asks.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::middleware::AddExtension;
use axum::serve::IncomingStream;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::api::{Ending, ended};
use crate::driver::system_clock;
use crate::peer::Peer;
use crate::tls::{Ask, Leaf, Loaded, Protocols, Reloading};

mod connection;
mod counts;

pub use self::connection::Connection;
pub use self::counts::Counts;
use self::counts::{OnPort, Why};

/// Open connections of one port: one for each of the 1,024 requests that may be in flight, and at about 64 KiB each (two TLS
/// buffers of 16 KiB, the same in HTTP/2) not more than 64 MiB. The next one is closed at once.
pub const CONNECTIONS_MAX: usize = 1024;

/// Handshakes under way on one port: at 32 KiB each 8 MiB. The oldest makes room for the next one, so that whoever holds all of them
/// open holds up nobody: a client that means it has finished long before 256 others have come.
pub const HANDSHAKES_MAX: usize = 256;

/// Time of one handshake: two round trips around the world, a lost packet sent again, and a slow device's signature.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// How long a connection may be silent. gRPC servers here ask after 60 seconds whether the other end is still there, and wait 20.
pub const SILENCE: Duration = Duration::from_secs(150);

/// Connections that wait to be served: the server takes them as fast as it can spawn a task for each.
const READY: usize = 16;

/// Pause after the system refuses to accept: for want of descriptors, for example, which come back as connections close.
const BREATHER: Duration = Duration::from_millis(100);

/// How long a connection that came last has to send its first bytes before its server ends: until then HTTP/1 is not told from HTTP/2,
/// and a server that ends closes what it cannot tell.
const FIRST_WORDS: Duration = Duration::from_millis(200);

/// What a port is: its name in metrics, what is spoken on it, and whether by TLS.
#[derive(Clone, Debug)]
pub struct Door {
    name: &'static str,
    protocols: Protocols,
    tls: Option<(Reloading, Ask)>,
    ending: Option<Ending>,
}

impl Door {
    /// A port without TLS.
    #[must_use]
    pub const fn new(name: &'static str, protocols: Protocols) -> Self {
        Self { name, protocols, tls: None, ending: None }
    }

    /// The same with TLS.
    #[must_use]
    pub fn tls(self, tls: Reloading, ask: Ask) -> Self {
        Self { tls: Some((tls, ask)), ..self }
    }

    /// The same until `ending` says so. Who has come through by then is served; who waits outside is left to whoever listens next.
    pub(crate) fn until(self, ending: Ending) -> Self {
        Self { ending: Some(ending), ..self }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether nobody is served without a certificate.
    pub(crate) fn needs_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|(tls, ask)| *ask == Ask::CertificateAlways && tls.asks_clients())
    }

    /// Whether a client may come without a certificate and others have one: what needs one must ask [`Peer::certificate`].
    pub(crate) fn is_mixed(&self) -> bool {
        self.tls.as_ref().is_some_and(|(tls, ask)| *ask == Ask::Certificate && tls.asks_clients())
    }

    /// Takes connections from `listener`, until what is returned is dropped.
    ///
    /// # Errors
    /// If the operating system does not say where the port is.
    pub fn open(self, listener: TcpListener, counts: &Counts) -> io::Result<Incoming> {
        let address = listener.local_addr()?;
        let (ready, incoming) = mpsc::channel(READY);
        let secured = self.tls.as_ref().map(|(tls, ask)| Secured::new(tls, *ask, self.protocols));
        // Without somebody who ends it, it goes on until it is dropped.
        let (never, lasting) = watch::channel(false);
        let ending = self.ending.unwrap_or(lasting);
        let port = Port {
            first_words: if self.protocols == Protocols::Http { FIRST_WORDS } else { Duration::ZERO },
            open: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            counts: counts.port(self.name),
            secured,
            ready,
            handshakes: JoinSet::new(),
            oldest: VecDeque::new(),
        };
        let task = tokio::spawn(async move {
            port.run(listener, ending).await;
            drop(never);
        });
        Ok(Incoming { address, incoming, exhausted: watch::Sender::new(false), task })
    }
}

/// Connections that are ready to be served: a stream for tonic, a listener for axum.
#[derive(Debug)]
pub struct Incoming {
    address: SocketAddr,
    incoming: mpsc::Receiver<Connection>,
    /// Says that the door was closed and everybody who came through was handed on.
    exhausted: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Incoming {
    /// Turns true once nobody comes any more: what has to be told where a listener cannot end.
    pub(crate) fn exhausted(&self) -> Ending {
        self.exhausted.subscribe()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.incoming.recv().await {
            Some(connection) => {
                let address = connection.address();
                (connection, address)
            }
            None => {
                self.exhausted.send_replace(true);
                std::future::pending().await
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A router each of whose requests says who sent it.
#[derive(Clone, Debug)]
pub struct WithPeer(pub Router);

impl tower::Service<IncomingStream<'_, Incoming>> for WithPeer {
    type Response = AddExtension<Router, Peer>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: IncomingStream<'_, Incoming>) -> Self::Future {
        let peer = axum::Extension(connection.io().peer().clone());
        std::future::ready(Ok(tower::Layer::layer(&peer, self.0.clone())))
    }
}

/// What one port takes connections with.
struct Port {
    /// How long whoever comes last has to begin.
    first_words: Duration,
    open: Arc<Semaphore>,
    counts: Arc<OnPort>,
    secured: Option<Secured>,
    ready: mpsc::Sender<Connection>,
    handshakes: JoinSet<()>,
    /// The handshakes that are under way, in the order in which they began, among some that are over.
    oldest: VecDeque<AbortHandle>,
}

impl Port {
    async fn run(mut self, listener: TcpListener, ending: Ending) {
        let (mut closed, mut last) = (pin!(ended(ending)), None);
        loop {
            let accepted = tokio::select! {
                () = &mut closed => break,
                accepted = listener.accept() => accepted,
                Some(_) = self.handshakes.join_next() => continue,
            };
            match accepted {
                Ok((stream, address)) => {
                    last = Some(Instant::now());
                    self.take(stream, address).await;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; raise the limit of open files");
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
        drop(listener);
        while self.handshakes.join_next().await.is_some() {}
        if let Some(last) = last {
            tokio::time::sleep_until(last + self.first_words).await;
        }
    }

    async fn take(&mut self, stream: TcpStream, address: SocketAddr) {
        // Answers are written whole; waiting to make fuller packets of them costs up to 40 ms.
        _ = stream.set_nodelay(true);
        let Ok(open) = Arc::clone(&self.open).try_acquire_owned() else {
            self.counts.refused(Why::TooMany);
            return;
        };
        let Some(secured) = &mut self.secured else {
            let peer = Peer { address: Some(address), certificate: None };
            _ = self.ready.send(Connection::plain(stream, address, peer, self.counts.open(open))).await;
            return;
        };
        if secured.loaded.borrow().is_withdrawn() {
            self.counts.refused(Why::Withdrawn);
            return;
        }
        let handshake = Handshake {
            acceptor: secured.acceptor(),
            needs_certificate: secured.needs_certificate,
            counts: Arc::clone(&self.counts),
            ready: self.ready.clone(),
        };
        self.make_room();
        self.oldest.push_back(self.handshakes.spawn(handshake.run(stream, address, open)));
    }

    /// Makes room for one more handshake.
    fn make_room(&mut self) {
        if self.oldest.len() < HANDSHAKES_MAX {
            return;
        }
        self.oldest.retain(|handshake| !handshake.is_finished());
        if self.oldest.len() >= HANDSHAKES_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            oldest.abort();
            self.counts.refused(Why::MadeRoom);
        }
    }
}

/// Whether only the connection is at fault that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// TLS of one port.
struct Secured {
    loaded: watch::Receiver<Arc<Loaded>>,
    ask: Ask,
    protocols: Protocols,
    config: Arc<ServerConfig>,
    needs_certificate: bool,
}

impl Secured {
    fn new(tls: &Reloading, ask: Ask, protocols: Protocols) -> Self {
        let mut loaded = tls.follow();
        let now = Arc::clone(&loaded.borrow_and_update());
        let (config, needs_certificate) = (now.server(ask, protocols), now.needs_certificate(ask));
        Self { loaded, ask, protocols, config, needs_certificate }
    }

    /// What the next handshake is made with.
    fn acceptor(&mut self) -> TlsAcceptor {
        if self.loaded.has_changed().unwrap_or(false) {
            let now = Arc::clone(&self.loaded.borrow_and_update());
            self.config = now.server(self.ask, self.protocols);
            self.needs_certificate = now.needs_certificate(self.ask);
        }
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// One handshake.
struct Handshake {
    acceptor: TlsAcceptor,
    needs_certificate: bool,
    counts: Arc<OnPort>,
    ready: mpsc::Sender<Connection>,
}

impl Handshake {
    async fn run(self, stream: TcpStream, address: SocketAddr, open: OwnedSemaphorePermit) {
        let stream = match tokio::time::timeout(HANDSHAKE_TIME, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.counts.refused(Why::of(&error)),
            Err(_) => return self.counts.refused(Why::TooSlow),
        };
        // A resumed session was not verified again: its certificate may have ended since.
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = match shown.map(|leaf| Leaf::read(leaf)) {
            Some(Ok(leaf)) if leaf.not_after > system_clock() => Some(leaf.peer),
            Some(Ok(_)) => return self.counts.refused(Why::Expired),
            Some(Err(_)) => return self.counts.refused(Why::BadCertificate),
            None if self.needs_certificate => return self.counts.refused(Why::NoCertificate),
            None => None,
        };
        let peer = Peer { address: Some(address), certificate };
        _ = self.ready.send(Connection::tls(stream, address, peer, self.counts.open(open))).await;
    }
}
