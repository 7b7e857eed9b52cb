//! Handing over to a successor without a call that fails: its sockets, then its log (`docs/restart.md`).
//!
//! Guarantees: the log has one owner at a time. The successor gets the listening sockets while this sidecar serves; this one finishes
//! what it has and lets go of the log before the successor opens it, while callers wait in the sockets' queues; and this one
//! goes on where the successor does not come into service. Only a process of the same user or root is handed anything. What is read from
//! the other end is bounded. Carries INV-2 and INV-5: the log's lock decides, whatever is said here.
//! Does not do: starting the successor. `run --take-over` is started by whoever starts sidecars; this process may start none.
//!
//! | who | says | over the Unix socket `server.handover` |
//! | --- | --- | --- |
//! | predecessor | version, origin, key and address of each socket; the sockets | `wire` |
//! | successor | `T`, once it has everything it needs but the log | |
//! | predecessor | `R`, once its session has ended and the log is closed | |
//! | successor | `S`, once it serves | |
//!
//! An end that is closed says no: before `T` nothing has changed; a predecessor that is gone has let go; a successor that is gone
//! before `S` has failed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::timeout;

mod wire;

/// How long the first message may take, either way: both ends are on one machine and have nothing else to do.
const GREETING: Duration = Duration::from_secs(5);

/// How long a successor may take to read its keys, certificates and models before it asks for the log: providers of keys may be slow.
const PREPARATION: Duration = Duration::from_secs(300);

/// Sockets that one sidecar listens on, at most: six ports, and room for more.
const SOCKETS_MAX: usize = 16;

/// The successor wants the log.
const TAKE: u8 = b'T';
/// The log is closed.
const RELEASED: u8 = b'R';
/// The successor serves.
const SERVES: u8 = b'S';

/// The listening sockets of a program, so that they outlive who serves on them.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<Vec<Held>>);

/// One of them.
#[derive(Debug)]
struct Held {
    /// The key of the configuration.
    key: String,
    /// What the configuration says; with port 0 the socket's own is another.
    address: SocketAddr,
    listener: std::net::TcpListener,
    /// Whether this program listens on it: the configuration of the one before may have named others.
    is_wanted: bool,
}

impl Sockets {
    /// The socket of `key` at `address`: one that is held, or a new one, which is held from then on.
    pub(crate) async fn listener(&self, key: &str, address: SocketAddr) -> io::Result<TcpListener> {
        let held =
            self.held().iter_mut().find(|held| held.key == key && held.address == address).map(Held::want);
        if let Some(listener) = held {
            let listener = listener?;
            listener.set_nonblocking(true)?;
            return TcpListener::from_std(listener);
        }
        let listener = TcpListener::bind(address).await?.into_std()?;
        let bound = listener.try_clone()?;
        self.held().push(Held { key: key.to_owned(), address, listener, is_wanted: true });
        TcpListener::from_std(bound)
    }

    /// Closes those that nobody asked for: whoever connected to one would wait for somebody who never comes.
    pub(crate) fn close_unwanted(&self) {
        self.held().retain(|Held { key, address, is_wanted, .. }| {
            if !is_wanted {
                tracing::info!(key, %address, "closed: the configuration does not name this port any more");
            }
            *is_wanted
        });
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn want(&mut self) -> io::Result<std::net::TcpListener> {
        self.is_wanted = true;
        self.listener.try_clone()
    }
}

/// How a sidecar comes into service.
#[derive(Debug)]
pub enum Entrance {
    /// Nothing is handed over, now or later.
    Alone,
    /// There is nobody to take over from; a successor may come.
    First(StdUnixListener),
    /// A sidecar runs that hands over.
    Successor(StdUnixStream),
}

impl Entrance {
    /// Looks whether a sidecar answers at `path`. Before the process gives up making sockets.
    ///
    /// # Errors
    /// [`HandoverError`] says what to do.
    pub fn find(path: Option<&Path>, take_over: bool) -> Result<Self, HandoverError> {
        let Some(path) = path else {
            return if take_over { Err(HandoverError::NotConfigured) } else { Ok(Self::Alone) };
        };
        let fault = |source| HandoverError::Socket { path: path.to_owned(), source };
        match StdUnixStream::connect(path) {
            Ok(stream) if take_over => return Ok(Self::Successor(stream)),
            Ok(_) => return Err(HandoverError::Running { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // A file that is no socket refuses too, and is not ours.
                if !fs::symlink_metadata(path).map_err(fault)?.file_type().is_socket() {
                    return Err(fault(io::ErrorKind::AlreadyExists.into()));
                }
                fs::remove_file(path).map_err(fault)?;
            }
            Err(error) => return Err(fault(error)),
        }
        let listener = StdUnixListener::bind(path).map_err(fault)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fault)?;
        Ok(Self::First(listener))
    }

    /// Goes in: with the sockets of the sidecar that runs, if one does.
    ///
    /// # Errors
    /// [`HandoverError`] if it hands over none.
    pub async fn enter(self, origin: &str) -> Result<Entered, HandoverError> {
        match self {
            Self::Alone => Ok(Entered::default()),
            Self::First(listener) => {
                Ok(Entered { doorway: Some(Doorway::new(listener, origin)?), ..Entered::default() })
            }
            Self::Successor(stream) => {
                stream.set_nonblocking(true).map_err(HandoverError::Exchange)?;
                let stream = UnixStream::from_std(stream).map_err(HandoverError::Exchange)?;
                same_user(&stream)?;
                let greeting = timeout(GREETING, wire::receive(&stream)).await;
                let (listener, sockets) = greeting.map_err(|_| HandoverError::Silent)??.of(origin)?;
                Ok(Entered {
                    doorway: Some(Doorway::new(listener, origin)?),
                    predecessor: Some(Predecessor(stream)),
                    sockets,
                })
            }
        }
    }
}

/// A sidecar on its way into service.
#[derive(Debug, Default)]
pub struct Entered {
    /// Where a successor comes to.
    pub doorway: Option<Doorway>,
    /// Who still serves.
    pub predecessor: Option<Predecessor>,
    /// What it listens on.
    pub sockets: Sockets,
}

/// The sidecar that is taken over from.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Asks it for the log of `store`, and returns once it has let go of it.
    ///
    /// # Errors
    /// [`HandoverError`] if that takes longer than `patience`; it goes on serving then.
    pub async fn released(&self, store: &Path, patience: Duration) -> Result<(), HandoverError> {
        let answered = async {
            wire::say(&self.0, TAKE).await?;
            wire::hear(&self.0).await
        };
        let answer = match timeout(patience, answered).await.map_err(|_| HandoverError::Silent)? {
            Err(HandoverError::Exchange(error)) if error.kind() == io::ErrorKind::BrokenPipe => None,
            answer => answer?,
        };
        match answer {
            Some(RELEASED) => Ok(()),
            Some(_) => Err(HandoverError::Words),
            None => {
                // One that is gone lets go as well, but closes its files after its sockets, and one that was told to stop drains first.
                unlocked(store, patience).await;
                Ok(())
            }
        }
    }

    /// Tells it that it is not needed any more.
    pub async fn relieve(self) {
        // It may be gone already.
        _ = wire::say(&self.0, SERVES).await;
    }
}

/// Returns once nobody has the store open, or after `patience`: whoever opens the log then says what is wrong.
pub(crate) async fn unlocked(store: &Path, patience: Duration) {
    let free = async {
        while let Ok(None) = StdDisk::new(store).lock("lock") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    _ = timeout(patience, free).await;
}

/// Where successors come to.
#[derive(Debug)]
pub struct Doorway {
    listener: UnixListener,
    origin: String,
}

impl Doorway {
    fn new(listener: StdUnixListener, origin: &str) -> Result<Self, HandoverError> {
        listener.set_nonblocking(true).map_err(HandoverError::Exchange)?;
        let listener = UnixListener::from_std(listener).map_err(HandoverError::Exchange)?;
        Ok(Self { listener, origin: origin.to_owned() })
    }

    /// Waits for a successor that has all of `sockets` and everything else it needs, and asks for the log.
    pub async fn successor(&self, sockets: &Sockets) -> Successor {
        loop {
            let offered = match self.listener.accept().await {
                Ok((stream, _)) => self.offer(stream, sockets).await,
                Err(error) => Err(HandoverError::Exchange(error)),
            };
            match offered {
                Ok(successor) => return successor,
                Err(error) => {
                    tracing::warn!(%error, code = %error.code(), "nobody took over; this sidecar goes on");
                    // The operating system may refuse for a while.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn offer(&self, stream: UnixStream, sockets: &Sockets) -> Result<Successor, HandoverError> {
        same_user(&stream)?;
        let sent = timeout(GREETING, wire::send(&stream, &self.listener, &self.origin, sockets)).await;
        sent.map_err(|_| HandoverError::Silent)??;
        match timeout(PREPARATION, wire::hear(&stream)).await.map_err(|_| HandoverError::Silent)?? {
            Some(TAKE) => Ok(Successor(stream)),
            Some(_) => Err(HandoverError::Words),
            None => Err(HandoverError::Gone),
        }
    }
}

/// Who takes over.
#[derive(Debug)]
pub struct Successor(UnixStream);

impl Successor {
    /// Gives it the log, and says whether it came into service.
    pub async fn serves(self) -> bool {
        let said = async {
            wire::say(&self.0, RELEASED).await?;
            wire::hear(&self.0).await
        };
        matches!(said.await, Ok(Some(SERVES)))
    }
}

/// Whether `text` is a first message, for the fuzzer.
#[doc(hidden)]
#[must_use]
pub fn is_greeting(text: &[u8]) -> bool {
    wire::parse(text).is_some()
}

/// Whoever is at the other end could as well end this process and read its files.
fn same_user(stream: &UnixStream) -> Result<(), HandoverError> {
    let (other, own) =
        (stream.peer_cred().map_err(HandoverError::Exchange)?.uid(), rustix::process::geteuid());
    if other == 0 || other == own.as_raw() { Ok(()) } else { Err(HandoverError::Stranger { uid: other }) }
}

/// Why nothing was handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// There is no socket to ask at.
    #[error("run --take-over needs server.handover, the Unix socket at which the sidecar that runs is asked")]
    NotConfigured,
    /// Somebody serves, and was not to be taken over.
    #[error(
        "a sidecar runs and answers at server.handover = {}: take over from it with `run --take-over`, or stop it first", path.display()
    )]
    Running {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be had.
    #[error(
        "server.handover = {}: the socket cannot be made or asked ({source}): name a path in a folder that this user may write, shorter than 100 bytes, where no other file lies", path.display()
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The exchange broke.
    #[error("nothing was handed over ({0}); try again")]
    Exchange(#[source] io::Error),
    /// The other end closed the connection before it asked for the log; its own log lines say why.
    #[error("the other sidecar went away before it asked for the log; its log lines say why")]
    Gone,
    /// The other end takes too long.
    #[error("the other sidecar did not answer in time; see its log lines, and try again")]
    Silent,
    /// The other end speaks another protocol.
    #[error(
        "the other end of server.handover does not speak this protocol: stop what runs there, and start this one as usual"
    )]
    Words,
    /// The other end serves another log.
    #[error(
        "the sidecar that answers at server.handover writes the log {found}, and this one is for {origin}: give each its own server.handover"
    )]
    OtherLog {
        /// The log of the other end.
        found: String,
        /// This one's.
        origin: String,
    },
    /// The other end is somebody else.
    #[error(
        "the process at the other end of server.handover belongs to user {uid}: run both sidecars as one user"
    )]
    Stranger {
        /// Its user.
        uid: u32,
    },
}

impl HandoverError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotConfigured | Self::Running { .. } | Self::OtherLog { .. } | Self::Stranger { .. } => {
                Code::Misuse
            }
            Self::Socket { .. } | Self::Exchange(_) | Self::Gone | Self::Silent => Code::Unavailable,
            Self::Words => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
