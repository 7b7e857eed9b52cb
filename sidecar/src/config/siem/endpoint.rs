//! What sinks of several kinds have in common: where they connect to, the files of TLS, and secrets in files.
//!
//! Guarantees: a secret goes nowhere without TLS, except within this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::At;
use crate::config::error::ConfigError;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;

/// Servers of one sink: more than the largest clusters advertise.
const SERVERS_MAX: usize = 32;

/// The certificates that a server is checked against, and those that are shown to it, all PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities of servers.
    pub ca_file: Option<PathBuf>,
    /// The certificate chain and the key of this side.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    pub(super) fn read(
        at: &At<'_>,
        base: &Path,
        [ca, cert, key]: [&Option<String>; 3],
    ) -> Result<Self, ConfigError> {
        let identity = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                Some((at.path("siem.cert", cert, base)?, at.path("siem.key", key, base)?))
            }
            (Some(_), None) => return Err(ConfigError::Half { present: "siem.cert", absent: "siem.key" }),
            (None, Some(_)) => return Err(ConfigError::Half { present: "siem.key", absent: "siem.cert" }),
        };
        Ok(Self { ca_file: at.optional_path("siem.ca_file", ca.as_deref(), base)?, identity })
    }

    /// The certificate chain and the key of this side.
    pub(crate) fn identity(&self) -> Option<(&Path, &Path)> {
        self.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()))
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert.as_path(), key.as_path()]);
        self.ca_file.as_deref().into_iter().chain(identity)
    }
}

/// Reads the URL of a receiver over HTTP, and the files of its TLS.
pub(super) fn url(
    at: &At<'_>,
    base: &Path,
    url: &str,
    files: [&Option<String>; 3],
) -> Result<(Address, TlsFiles), ConfigError> {
    let [ca, cert, _] = files;
    let url = at.address("siem.url", url, ca.as_deref())?;
    let tls = TlsFiles::read(at, base, files)?;
    match cert {
        // Whoever wrote it counts on being known by it.
        Some(cert) if !url.is_tls() => Err(at.wrong("siem.cert", cert, "this beside an https address only")),
        _ => Ok((url, tls)),
    }
}

/// Reads `SCHEME://HOST:PORT`, where `plain` is the scheme without TLS and `tls` the one with; the address has `https` for that.
pub(super) fn servers(
    at: &At<'_>,
    key: &'static str,
    texts: &[String],
    plain: &str,
    tls: &TlsFiles,
) -> Result<Vec<Address>, ConfigError> {
    let expected =
        format!("1 to {SERVERS_MAX} of {plain}://HOST:PORT, or of tls://HOST:PORT with ca_file beside them");
    if !(1..=SERVERS_MAX).contains(&texts.len()) {
        return Err(at.wrong(key, &texts.len().to_string(), &expected));
    }
    let read = |text: &String| at.read(key, text, &expected, |text| address(text, plain));
    let servers: Vec<Address> = texts.iter().map(read).collect::<Result<_, _>>()?;
    let is_tls = servers.iter().any(Address::is_tls);
    // One of them without TLS would be where whoever breaks the others' connections leads it.
    if is_tls && (tls.ca_file.is_none() || !servers.iter().all(Address::is_tls)) {
        return Err(at.wrong(key, &texts.join(" "), &expected));
    }
    if let Some((cert, _)) = tls.identity.as_ref().filter(|_| !is_tls) {
        return Err(at.wrong("siem.cert", &cert.display().to_string(), "this beside tls:// addresses only"));
    }
    Ok(servers)
}

fn address(text: &str, plain: &str) -> Option<Address> {
    let (scheme, rest) = text.split_once("://")?;
    let http = if scheme == "tls" { "https" } else { "http" };
    // Without a port HTTP's would be taken.
    let has_port =
        rest.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    let address = Address::parse(&format!("{http}://{rest}")).filter(Address::has_no_path)?;
    (has_port && !rest.ends_with('/') && (scheme == "tls" || scheme == plain)).then_some(address)
}

/// The file with a secret that goes to `servers`.
pub(super) fn secret<'a>(
    at: &At<'_>,
    base: &Path,
    key: &'static str,
    path: &str,
    servers: impl IntoIterator<Item = &'a Address>,
) -> Result<PathBuf, ConfigError> {
    match servers.into_iter().find(|server| !server.is_tls() && !server.is_this_machine()) {
        None => at.path(key, path, base),
        Some(server) => Err(at.wrong(key, path, &format!("TLS to {}, which would see it", server.host()))),
    }
}

/// Whether events are compressed on their way.
pub(super) fn is_compressed(at: &At<'_>, text: &str) -> Result<bool, ConfigError> {
    at.read("siem.compression", text, "gzip or none", |text| match text {
        "gzip" => Some(true),
        "none" => Some(false),
        _ => None,
    })
}

/// A text of 1 to `chars_max` printable ASCII characters without spaces, none of them in `without`.
pub(super) fn word(
    at: &At<'_>,
    key: &'static str,
    text: &str,
    chars_max: usize,
    without: &str,
) -> Result<String, ConfigError> {
    let expected = format!("1 to {chars_max} printable characters without spaces, and none of {without:?}");
    let is_one = |text: &str| text.chars().all(|c| c.is_ascii_graphic() && !without.contains(c));
    at.read(key, text, &expected, |text| {
        ((1..=chars_max).contains(&text.len()) && is_one(text)).then(|| text.to_owned())
    })
}

/// How long a connection may take.
pub(super) fn connect_timeout(at: &At<'_>, text: &str) -> Result<Duration, ConfigError> {
    at.duration("siem.connect_timeout", text)
}

pub(super) fn gzip() -> String {
    "gzip".to_owned()
}

pub(super) fn three_seconds() -> String {
    "3s".to_owned()
}

/// The path of a secret in a file.
pub(super) fn path_of(secret: &SecretSource) -> Option<&Path> {
    match secret {
        SecretSource::File(path) => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_servers_with_a_port_and_no_more() {
        assert!(address("tls://kafka-1.example:9093", "tcp").unwrap().is_tls());
        assert_eq!(address("tcp://[::1]:9092", "tcp").unwrap().host(), "::1");
        for wrong in [
            "kafka-1.example:9092",
            "nats://kafka-1.example:9092",
            "http://kafka-1.example:9092",
            "tcp://kafka-1.example",
            "tcp://kafka-1.example:9092/",
            "tcp://kafka-1.example:9092/x",
            "tcp://user:word@kafka-1.example:9092",
            "tcp://[::1]",
            "tcp://169.254.169.254:9092",
            "tcp://:9092",
            "tcp://kafka-1.example:0",
            "tcp://kafka-1.example:65536",
        ] {
            assert_eq!(address(wrong, "tcp"), None, "{wrong}");
        }
    }
}
