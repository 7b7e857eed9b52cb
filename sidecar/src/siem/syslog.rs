//! A syslog receiver, over UDP, TCP or TLS.
//!
//! Guarantees: over TCP and TLS a message counts as accepted when the receiver closed the connection after this side did and its TCP
//! refused nothing, which says that it has read everything; or, where the configuration says so, when the connection stood for so long
//! after the last message that its TCP had acknowledged everything. What was sent since the last time that this was so is sent again
//! after a break. A receiver that is gone without a word is noticed within the confirm interval. Over UDP a message counts as accepted
//! when the operating system took it; the name of the receiver is resolved anew every [`RESOLVED_MAX`].
//! Source: RFC 5424 for the messages, RFC 5426 over UDP, RFC 6587 section 3.4.1 over TCP, RFC 5425 over TLS.
//! Does not do: knowing that the receiver has stored what it read. Syslog has no word for that.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial;
use super::sink::{Rendered, Said, Sink, SinkError, SinkFault};
use crate::config::siem::{Confirm, SyslogConfig, Transport};
use crate::outbound;

/// Bytes of a datagram: those of IPv4 without the headers of IP and UDP.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Bytes that a receiver may say before it closes. It has nothing to say.
const SAID_BYTES_MAX: usize = 16 << 10;

/// How long datagrams go to the address that a name led to. Nobody says that a receiver has moved.
const RESOLVED_MAX: Duration = Duration::from_secs(60);

/// How long the refusal of what crossed the receiver's end of the connection may be on its way: a round trip over satellites.
const CROSSING_MAX: Duration = Duration::from_secs(1);

/// Both ways of a connection.
trait Both: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// What the operating system knows to have gone wrong and told nobody yet.
    fn fault(&self) -> io::Result<Option<io::Error>>;
}

impl Both for TcpStream {
    fn fault(&self) -> io::Result<Option<io::Error>> {
        self.take_error()
    }
}

impl Both for TlsStream<TcpStream> {
    fn fault(&self) -> io::Result<Option<io::Error>> {
        self.get_ref().0.take_error()
    }
}

/// A connection, and when something was last sent on it.
struct Sent {
    connection: Box<dyn Both>,
    last: Instant,
}

/// A syslog receiver.
pub(super) struct SyslogSink {
    config: SyslogConfig,
    /// How long a receiver has for closing a connection.
    limit: Duration,
    /// What was sent on it is not confirmed.
    connection: Option<Sent>,
    /// With when its address was resolved.
    datagrams: Option<(UdpSocket, Instant)>,
}

impl SyslogSink {
    /// Reads the files of TLS, so that a wrong one is known before anything is sent.
    pub(super) fn new(config: &SyslogConfig, limit: Duration) -> Result<Self, SinkFault> {
        if config.transport == Transport::Tls {
            dial::client(&config.tls)?;
        }
        Ok(Self { config: config.clone(), limit, connection: None, datagrams: None })
    }

    async fn send_datagrams(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let (socket, since) = match self.datagrams.take().filter(|(_, since)| since.elapsed() < RESOLVED_MAX)
        {
            Some(resolved) => resolved,
            None => {
                let socket = datagrams(&self.config.host, self.config.port).await.map_err(unreachable)?;
                (socket, Instant::now())
            }
        };
        for (accepted, Rendered { text, .. }) in batch.iter().enumerate() {
            let fault = match socket.send(text.as_bytes()).await {
                Ok(_) => continue,
                Err(_) if text.len() > DATAGRAM_BYTES_MAX => {
                    SinkFault::TooLarge { bytes: text.len(), bytes_max: Some(DATAGRAM_BYTES_MAX) }
                }
                Err(error) => unreachable(error),
            };
            return Err(SinkError { accepted, fault });
        }
        self.datagrams = Some((socket, since));
        Ok(())
    }

    async fn send_frames(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            None => connect(&self.config, self.unacknowledged_max()).await?,
            Some(Sent { mut connection, .. }) => {
                if end(&mut connection).await.is_some() {
                    return Err(BROKEN.into());
                }
                connection
            }
        };
        let mut frames = String::with_capacity(batch.iter().map(|rendered| rendered.text.len() + 8).sum());
        for Rendered { text, .. } in batch {
            // MSG-LEN SP SYSLOG-MSG, the length in octets.
            frames.push_str(&text.len().to_string());
            frames.push(' ');
            frames.push_str(text);
        }
        connection.write_all(frames.as_bytes()).await.map_err(unreachable)?;
        connection.flush().await.map_err(unreachable)?;
        self.connection = Some(Sent { connection, last: Instant::now() });
        Ok(())
    }

    /// How long a connection rests before what was sent on it counts as acknowledged.
    fn rest(&self) -> Duration {
        self.config.confirm_interval.min(self.limit)
    }

    /// How long the receiver's TCP may acknowledge nothing. Linux counts from the first time that it sent something again, so half of
    /// the rest is left for that.
    fn unacknowledged_max(&self) -> Duration {
        match self.config.confirm {
            Confirm::Sent => self.rest() / 2,
            Confirm::Close => self.config.confirm_interval,
        }
    }
}

#[tonic::async_trait]
impl Sink for SyslogSink {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        match self.config.transport {
            Transport::Udp => self.send_datagrams(batch).await,
            Transport::Tcp | Transport::Tls => self.send_frames(batch).await,
        }
    }

    fn confirm_interval(&self) -> Option<Duration> {
        (self.config.transport != Transport::Udp).then_some(self.config.confirm_interval)
    }

    async fn confirm(&mut self) -> Result<(), SinkError> {
        let Some(Sent { mut connection, last }) = self.connection.take() else { return Ok(()) };
        match self.config.confirm {
            Confirm::Sent => {
                sleep_until(last + self.rest()).await;
                if end(&mut connection).await.is_some() {
                    return Err(BROKEN.into());
                }
                self.connection = Some(Sent { connection, last });
                Ok(())
            }
            Confirm::Close => {
                let closed = timeout(self.limit, close(connection, self.limit / 2)).await;
                closed.unwrap_or(Err(LEFT_OPEN)).map_err(SinkError::from)
            }
        }
    }
}

const BROKEN: SinkFault =
    SinkFault::Unconfirmed { reason: "it closed the connection, and what it read is not known" };

const LEFT_OPEN: SinkFault = SinkFault::Unconfirmed {
    reason: "it did not close the connection after this side did; if it never does, set confirm = \"sent\"",
};

/// Says that no more comes, and waits until the receiver says the same; `crossing_max` bounds how long a refusal is waited for.
async fn close(mut connection: Box<dyn Both>, crossing_max: Duration) -> Result<(), SinkFault> {
    match end(&mut connection).await {
        None => {}
        // A receiver that closes of its own accord has read what came before, and its TCP refuses what comes later.
        Some(Ok(())) => {
            sleep(CROSSING_MAX.min(crossing_max)).await;
            return unless_refused(&*connection);
        }
        Some(Err(_)) => return Err(BROKEN),
    }
    connection.shutdown().await.map_err(unreachable)?;
    let mut said = Vec::new();
    let limit = SAID_BYTES_MAX as u64 + 1;
    match (&mut connection).take(limit).read_to_end(&mut said).await {
        Ok(_) if said.len() <= SAID_BYTES_MAX => unless_refused(&*connection),
        Ok(_) => Err(SinkFault::Garbage { expected: "the end of the connection", said: Said::of(&said) }),
        Err(error) if is_end(&error) => unless_refused(&*connection),
        // A reset, for example: it says that something was not read.
        Err(error) => Err(unreachable(error)),
    }
}

/// Reading tells nobody that something was refused once the end was read, and closing is no error then; the socket knows it.
fn unless_refused(connection: &dyn Both) -> Result<(), SinkFault> {
    connection.fault().map_err(unreachable)?.map_or(Ok(()), |_| Err(BROKEN))
}

/// Receivers end TLS with the connection, without a close_notify.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// How the connection ended, as far as that is known here, if it did. What the receiver says is passed over.
async fn end(connection: &mut Box<dyn Both>) -> Option<io::Result<()>> {
    poll_fn(|context| {
        let mut bytes = [0; 256];
        // Bounded, so that a receiver that never ends to talk does not hold up the others.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *connection).poll_read(context, &mut buffer) {
                Poll::Pending => return Poll::Ready(None),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(Err(error)) if !is_end(&error) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(_) => return Poll::Ready(Some(Ok(()))),
            }
        }
        Poll::Ready(None)
    })
    .await
}

async fn connect(config: &SyslogConfig, unacknowledged_max: Duration) -> Result<Box<dyn Both>, SinkFault> {
    let stream = outbound::connect(&config.host, config.port, false).await.map_err(unreachable)?;
    bound_unacknowledged(&stream, unacknowledged_max);
    let Some(name) = config.server_name.clone() else { return Ok(Box::new(stream)) };
    let connector = TlsConnector::from(Arc::new(dial::client(&config.tls)?));
    Ok(Box::new(connector.connect(name, stream).await.map_err(unreachable)?))
}

/// Has the operating system break a connection whose other side acknowledged nothing for `limit` (RFC 5482).
#[cfg(target_os = "linux")]
fn bound_unacknowledged(stream: &TcpStream, limit: Duration) {
    // 0 would be the operating system's own bound, of a quarter of an hour.
    let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1);
    // Without it the connection breaks later.
    _ = rustix::net::sockopt::set_tcp_user_timeout(stream, millis);
}

#[cfg(not(target_os = "linux"))]
fn bound_unacknowledged(_: &TcpStream, _: Duration) {}

async fn datagrams(host: &str, port: u16) -> io::Result<UdpSocket> {
    let addresses = outbound::resolve(host, port).await?;
    let first = addresses.first().ok_or(io::ErrorKind::NotFound)?;
    let any: &str = if first.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(first).await?;
    Ok(socket)
}

fn unreachable(error: io::Error) -> SinkFault {
    SinkFault::Unreachable { reason: error.to_string() }
}

#[cfg(test)]
mod tests;
