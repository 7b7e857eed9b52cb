//! One TLS handshake with each port: whether the chain holds now, and whether it will in two weeks.
//!
//! Guarantees: bounded in time; nothing is sent but the handshake. Does not do: parsing certificates. Whether a certificate is about
//! to end is asked of the same code that decides whether it holds, with a clock that is ahead.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::finding::{Findings, Level};
use crate::exit::Refusal;
use crate::source::{CA_BYTES_MAX, WebOptions, read_input};

/// How long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// How long a connection may take to stand, and a whole handshake after it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

const NAME: &str = "tls.certificate";

/// A clock that stands.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Checks the certificate that each of these addresses (host and port) shows, with `now` in milliseconds since 1970, and gives
/// those addresses where nothing can be asked.
pub(super) fn check(
    findings: &mut Findings,
    addresses: &[String],
    web: &WebOptions,
    now: u64,
) -> Vec<String> {
    let now = Duration::from_millis(now);
    let (mut found, mut fixes, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for address in addresses {
        let (level, detail, fix) = match handshake(address, web, now) {
            Ok(()) => match handshake(address, web, now + SOON) {
                Err(Fault::Certificate(error)) if is_over(&error) => (
                    Level::Warn,
                    format!("The certificate at {address}, or one of its authorities, ends within 14 days."),
                    RENEW,
                ),
                _ => continue,
            },
            Err(Fault::Certificate(error)) => {
                (Level::Fail, format!("{address}: {}", said(&error)), fix(&error))
            }
            Err(Fault::Other(error)) => {
                (Level::Fail, format!("{address} does not finish a TLS handshake: {error}."), SPEAKS)
            }
            Err(Fault::Files(refusal)) => {
                findings.open(NAME, refusal.message, refusal.next);
                return addresses.to_vec();
            }
        };
        if level == Level::Fail {
            closed.push(address.clone());
        }
        found.push((level, detail));
        fixes.push(fix);
    }
    fixes.dedup();
    if !addresses.is_empty() {
        findings.sum(
            NAME,
            "The certificate of every port holds, for 14 days at least.",
            found,
            fixes.join(" "),
        );
    }
    closed
}

const RENEW: &str = "Renew it and put it in the place of server.tls.cert and server.tls.key; the sidecar takes it within \
                     server.tls.reload_interval, without a restart (docs/tls.md).";

const SPEAKS: &str = "Start the sidecar, check that server.tls is set and that the address is the sidecar's; its metric \
                      ledgerstone_connections_refused_total says by reason what it refused.";

/// Why there was no handshake.
enum Fault {
    /// The server's certificate does not hold.
    Certificate(CertificateError),
    /// Something else.
    Other(io::Error),
    /// A file of ours cannot be used.
    Files(Refusal),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

impl From<rustls::Error> for Fault {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => Self::Certificate(certificate),
            error => Self::Other(io::Error::other(error)),
        }
    }
}

fn handshake(address: &str, web: &WebOptions, at: Duration) -> Result<(), Fault> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| Fault::Other(io::Error::other(error)))?;
    let mut client = ClientConnection::new(Arc::new(config(web, at)?), name)?;
    let mut stream = connect(address)?;
    let until = Instant::now() + PATIENCE;
    while client.is_handshaking() || client.wants_write() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        // One step at a time, because a server that sends a byte now and then would otherwise be waited for without an end.
        if client.wants_write() {
            client.write_tls(&mut stream)?;
        } else if client.read_tls(&mut stream)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        } else {
            client.process_new_packets()?;
        }
    }
    Ok(())
}

/// A connection to the first of the addresses behind a name that takes one: `localhost` often has two, and a port listens on one.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for place in address.to_socket_addrs()?.take(ADDRESSES_MAX) {
        match TcpStream::connect_timeout(&place, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn config(web: &WebOptions, at: Duration) -> Result<ClientConfig, Fault> {
    let provider = CryptoProvider::get_default().cloned();
    let provider =
        provider.ok_or_else(|| Fault::Other(io::Error::other("no crypto provider is installed")))?;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(At(UnixTime::since_unix_epoch(at))))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(web)?);
    let mut config = match &web.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = read_input(chain, CA_BYTES_MAX).map_err(|error| Fault::Files(error.into()))?;
            let key = read_input(key, CA_BYTES_MAX).map_err(|error| Fault::Files(error.into()))?;
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
            let no_pem = |_| Fault::Files(not_pem("--cert-file or --key-file"));
            builder.with_client_auth_cert(
                chain.map_err(no_pem)?,
                PrivateKeyDer::from_pem_slice(&key).map_err(no_pem)?,
            )?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(web: &WebOptions) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &web.ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let pem = read_input(path, CA_BYTES_MAX).map_err(|error| Fault::Files(error.into()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| Fault::Files(not_pem("--ca-file")))?;
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn not_pem(flag: &str) -> Refusal {
    Refusal::malformed(
        format_args!("what {flag} names is no PEM of its kind"),
        "Give PEM files, the key unencrypted.",
    )
}

const fn is_over(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. })
}

/// What is wrong, in a sentence.
fn said(error: &CertificateError) -> String {
    use CertificateError as Error;
    match error {
        error if is_over(error) => "its certificate has expired.".to_owned(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "its certificate does not hold yet.".to_owned()
        }
        Error::UnknownIssuer => "nobody whom you trust signed its certificate.".to_owned(),
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            "its certificate is for another name than this address.".to_owned()
        }
        other => format!("its certificate does not hold: {other}."),
    }
}

/// What to do about it.
const fn fix(error: &CertificateError) -> &'static str {
    use CertificateError as Error;
    match error {
        Error::UnknownIssuer => {
            "Give --ca-file with the authority that signed it, or have server.tls.cert hold the whole chain."
        }
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            "Ask by a name that the certificate has, or issue one that has this name among its subjectAltNames."
        }
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "Set this machine's clock, or wait until it holds."
        }
        _ => RENEW,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;
    use crate::source::install_crypto_provider;

    #[test]
    fn a_port_that_dribbles_is_given_up_in_time() {
        install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            // The head of a record of 16 KiB, and then a byte of it at a time.
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.write_all(&[22, 3, 3, 0x40, 0]);
            while stream.write_all(&[0]).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let begun = Instant::now();
        let ended = handshake(&address, &WebOptions::default(), Duration::from_secs(1_800_000_000));
        assert!(matches!(ended, Err(Fault::Other(_))));
        assert!(begun.elapsed() < 2 * PATIENCE, "{:?}", begun.elapsed());
    }
}
