//! Connections of sinks, with TLS where it is asked for.
//!
//! Guarantees: only addresses that may be asked ([`crate::outbound`]) are connected to; TLS is checked against the certificates that
//! the operator named and no others; its files are read for each connection, so that one that was replaced holds from the next on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::sink::SinkFault;
use crate::config::siem::TlsFiles;
use crate::outbound::http::{Address, CaError, Client, client_config};
use crate::{outbound, seal};

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// A connection.
pub(super) type Stream = Box<dyn Duplex>;

/// Whom to try next of several that are asked in turn.
///
/// A delivery may be given up before all of them were tried. The next one goes on where that one was, so that servers that answer
/// nothing never keep those behind them from being asked.
#[derive(Debug, Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// Whoever's turn it is of `all`, the turn then being the next one's; nothing where there is nobody.
    pub(super) fn next<'a>(&mut self, all: &'a [Address]) -> Option<&'a Address> {
        let at = self.0.checked_rem(all.len())?;
        self.0 = at + 1;
        all.get(at)
    }

    /// Whoever was last is asked first the next time.
    pub(super) const fn stay(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

/// Connects, without TLS.
pub(super) async fn open(address: &Address) -> Result<Stream, SinkFault> {
    let stream = outbound::connect(address.host(), address.port(), false).await.map_err(unreachable)?;
    // A batch is written at once, and its answer waited for.
    _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

/// Puts TLS around a connection to `address`, offering `protocols` (RFC 7301).
pub(super) async fn secure(
    stream: Stream,
    address: &Address,
    files: &TlsFiles,
    protocols: &[&[u8]],
) -> Result<Stream, SinkFault> {
    let mut config = client(files)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(address.host().to_owned())
        .map_err(|_| unreachable(io::Error::other("no certificate can be for that host")))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(unreachable)?;
    Ok(Box::new(stream))
}

/// Whether the files of TLS can be used, where there is TLS.
pub(super) fn check(files: &TlsFiles, addresses: &[Address]) -> Result<(), SinkFault> {
    if addresses.iter().any(Address::is_tls) { client(files).map(drop) } else { Ok(()) }
}

/// TLS with these files, as they are now.
pub(super) fn client(files: &TlsFiles) -> Result<ClientConfig, SinkFault> {
    client_config(files.ca_file.as_deref(), files.identity()).map_err(|error| unusable(files, &error))
}

/// Names the key of the configuration whose file cannot be used.
fn unusable(files: &TlsFiles, error: &CaError) -> SinkFault {
    let is_shown = |path: &str| files.identity().is_some_and(|(cert, _)| cert == Path::new(path));
    let what = match error {
        CaError::Identity { .. } => "siem.key",
        CaError::Unreadable { path, .. } | CaError::Malformed { path } if is_shown(path) => "siem.cert",
        _ => "siem.ca_file",
    };
    SinkFault::Setting { what, reason: error.to_string() }
}

fn unreachable(error: io::Error) -> SinkFault {
    SinkFault::Unreachable { reason: error.to_string() }
}

/// A client for what speaks HTTP/1.1.
pub(super) fn http(limit: Duration, files: &TlsFiles) -> Result<Client, SinkFault> {
    let client = Client::renewing(limit, files.ca_file.as_deref(), files.identity());
    Ok(client.map_err(|error| unusable(files, &error))?.keeping_connections())
}

/// Random bytes that nobody else can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SinkFault> {
    Ok(*seal::random().map_err(|error| unreachable(io::Error::other(error)))?)
}

/// The other side ended the connection.
pub(super) fn closed() -> SinkFault {
    SinkFault::Unreachable { reason: "it closed the connection".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_with_the_next_one_and_stays_with_one_that_answered() {
        let all: Vec<Address> = ["a", "b", "c"]
            .map(|host| format!("http://{host}:1"))
            .iter()
            .map(|url| Address::parse(url).unwrap())
            .collect();
        let mut turn = Turn::default();
        let mut next = || turn.next(&all).unwrap().host().to_owned();
        assert_eq!([next(), next(), next(), next()], ["a", "b", "c", "a"]);
        turn.stay();
        assert_eq!(turn.next(&all).unwrap().host(), "a");
        assert_eq!(turn.next(&all[..1]).unwrap().host(), "a", "whatever there is");
        assert_eq!(turn.next(&[]), None);
    }
}
