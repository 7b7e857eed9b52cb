//! What goes over the Unix socket: one message with sockets (`SCM_RIGHTS`, unix(7)), then single bytes.
//!
//! The message is text, at most [`GREETING_BYTES_MAX`] bytes: `ledgerstone-handover/v1`, the log's origin, a line with key and address
//! for each socket, an empty line. The sockets come with it: the Unix socket itself, then those of the lines, in their order.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Mutex;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};

use super::{HandoverError, Held, SOCKETS_MAX, Sockets};

/// The first line.
const VERSION: &str = "ledgerstone-handover/v1";

/// Bytes of the message: an origin of at most 1 KiB, and 16 lines of a key, a space and an address of at most 128 bytes.
const GREETING_BYTES_MAX: usize = 4096;

/// What a predecessor says first.
#[derive(Debug)]
pub(super) struct Greeting {
    origin: String,
    named: Vec<(String, SocketAddr)>,
    descriptors: Vec<OwnedFd>,
}

/// Reads the text of the first message: the origin, and key and address of each socket; nothing if it is none.
pub(super) fn parse(text: &[u8]) -> Option<(String, Vec<(String, SocketAddr)>)> {
    let mut lines = std::str::from_utf8(text).ok()?.strip_suffix("\n\n")?.split('\n');
    let (version, origin) = (lines.next()?, lines.next()?.to_owned());
    let named = lines.map(|line| {
        let (key, address) = line.split_once(' ')?;
        Some((key.to_owned(), address.parse().ok()?))
    });
    let named = named.collect::<Option<Vec<_>>>()?;
    (version == VERSION && named.len() < SOCKETS_MAX).then_some((origin, named))
}

impl Greeting {
    /// The message with its sockets; nothing if they are not as many as it names.
    fn read(text: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let (origin, named) = parse(text)?;
        (named.len() + 1 == descriptors.len()).then_some(Self { origin, named, descriptors })
    }

    /// The sockets, if they are those of the log `origin`.
    pub(super) fn of(self, origin: &str) -> Result<(StdUnixListener, Sockets), HandoverError> {
        if self.origin != origin {
            return Err(HandoverError::OtherLog { found: self.origin, origin: origin.to_owned() });
        }
        let mut descriptors = self.descriptors.into_iter();
        let doorway = descriptors.next().ok_or(HandoverError::Words)?;
        let held = self.named.into_iter().zip(descriptors);
        let held = held.map(|((key, address), listener)| Held {
            key,
            address,
            listener: listener.into(),
            is_wanted: false,
        });
        Ok((doorway.into(), Sockets(Mutex::new(held.collect()))))
    }
}

/// Sends the first message.
pub(super) async fn send(
    stream: &UnixStream,
    doorway: &UnixListener,
    origin: &str,
    sockets: &Sockets,
) -> Result<(), HandoverError> {
    stream.writable().await.map_err(HandoverError::Exchange)?;
    let held = sockets.held();
    let lines: String = held.iter().map(|held| format!("{} {}\n", held.key, held.address)).collect();
    let text = format!("{VERSION}\n{origin}\n{lines}\n");
    let descriptors: Vec<_> =
        std::iter::once(doorway.as_fd()).chain(held.iter().map(|held| held.listener.as_fd())).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // A new connection has room for a message of this size, so it goes out whole.
    let fits =
        text.len() <= GREETING_BYTES_MAX && control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = stream.try_io(Interest::WRITABLE, || {
        Ok(sendmsg(stream, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?)
    });
    match sent {
        Ok(bytes) if fits && bytes == text.len() => Ok(()),
        Ok(_) => Err(HandoverError::Words),
        Err(error) => Err(HandoverError::Exchange(error)),
    }
}

/// Waits for the first message.
pub(super) async fn receive(stream: &UnixStream) -> Result<Greeting, HandoverError> {
    let mut text = [0; GREETING_BYTES_MAX];
    let (bytes, descriptors) = stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut text)];
            let received = recvmsg(stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(more) = message {
                    descriptors.extend(more);
                }
            }
            Ok((received.bytes, descriptors))
        })
        .await
        .map_err(HandoverError::Exchange)?;
    if bytes == 0 {
        return Err(HandoverError::Gone);
    }
    Greeting::read(text.get(..bytes).unwrap_or_default(), descriptors).ok_or(HandoverError::Words)
}

/// Says one byte.
pub(super) async fn say(stream: &UnixStream, word: u8) -> Result<(), HandoverError> {
    let said = stream.async_io(Interest::WRITABLE, || stream.try_write(&[word])).await;
    said.map(drop).map_err(HandoverError::Exchange)
}

/// Waits for one byte; nothing if the other end is gone.
pub(super) async fn hear(stream: &UnixStream) -> Result<Option<u8>, HandoverError> {
    let mut word = [0];
    loop {
        stream.readable().await.map_err(HandoverError::Exchange)?;
        match stream.try_read(&mut word) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(word.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A process that was killed leaves a connection that is reset.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(HandoverError::Exchange(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| std::fs::File::open("/dev/null").unwrap().into()).collect()
    }

    #[test]
    fn reads_a_greeting_with_a_socket_for_each_line() {
        let text = b"ledgerstone-handover/v1\nlog.example/a\nserver.listen 127.0.0.1:7450\nserver.http_listen [::1]:0\n\n";
        let greeting = Greeting::read(text, descriptors(3)).unwrap();
        assert_eq!(greeting.origin, "log.example/a");
        assert_eq!(greeting.named[1], ("server.http_listen".to_owned(), "[::1]:0".parse().unwrap()));
        assert!(matches!(greeting.of("log.example/b"), Err(HandoverError::OtherLog { .. })));
    }

    #[test]
    fn refuses_what_is_no_greeting_of_this_version() {
        let head = "ledgerstone-handover/v1\nlog.example/a\n";
        for (text, count) in [
            (String::new(), 1),
            ("\n\n".to_owned(), 1),
            (head.to_owned(), 1),
            (format!("{head}\n").replace("v1", "v2"), 1),
            (format!("{head}\n"), 0),
            (format!("{head}\n"), 2),
            (format!("{head}server.listen\n\n"), 2),
            (format!("{head}server.listen 7450\n\n"), 2),
            (format!("{head}server.listen 127.0.0.1:7450\n\n"), 1),
            (format!("{head}\nserver.listen 127.0.0.1:7450\n\n"), 2),
        ] {
            assert!(Greeting::read(text.as_bytes(), descriptors(count)).is_none(), "{text:?}, {count}");
        }
        assert!(Greeting::read(b"ledgerstone-handover/v1\n\xff\n\n", descriptors(1)).is_none());
    }
}
