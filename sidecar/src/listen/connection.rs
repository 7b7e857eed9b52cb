//! One connection, with TLS or without, and who is at its other end.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::SILENCE;
use super::counts::Open;
use crate::peer::Peer;

/// A connection that is ready to be served. It ends when nothing was read or written for [`SILENCE`].
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    address: SocketAddr,
    peer: Peer,
    heard: Instant,
    silence: Pin<Box<Sleep>>,
    _open: Open,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(super) fn plain(stream: TcpStream, address: SocketAddr, peer: Peer, open: Open) -> Self {
        Self::new(Stream::Plain(stream), address, peer, open)
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, address: SocketAddr, peer: Peer, open: Open) -> Self {
        Self::new(Stream::Tls(Box::new(stream)), address, peer, open)
    }

    fn new(stream: Stream, address: SocketAddr, peer: Peer, open: Open) -> Self {
        let heard = Instant::now();
        Self { stream, address, peer, heard, silence: Box::pin(sleep_until(heard + SILENCE)), _open: open }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The address of the other end.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the other end was silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.silence.as_mut().poll(cx));
            // The timer is not moved with every byte; when it rings it is set anew for what was heard meanwhile.
            let until = self.heard + SILENCE;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(until);
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Calls `$method` of the stream that it is.
macro_rules! forward {
    ($connection:expr, $method:ident $(, $argument:expr)*) => {
        match &mut $connection.stream {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let ready @ Poll::Ready(_) = forward!(self, poll_read, cx, buf) {
            self.heard = Instant::now();
            return ready;
        }
        self.poll_silence(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = forward!(self, poll_write, cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = forward!(self, poll_write_vectored, cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown, cx)
    }
}

impl Connection {
    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.heard = Instant::now();
        }
        written
    }
}
