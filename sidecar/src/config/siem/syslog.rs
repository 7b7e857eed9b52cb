//! A syslog receiver: where it is, over what, and when a message counts as taken.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::At;
use super::endpoint::TlsFiles;
use crate::config::error::ConfigError;
use crate::config::quantity;
use crate::outbound;

const ADDRESS: &str =
    "udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT, no link-local or metadata address";
const CONFIRM: &str = "close, or sent: for receivers that leave a closed connection open";

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram a message (RFC 5426).
    Udp,
    /// Octet-counted frames (RFC 6587, section 3.4.1).
    Tcp,
    /// The same inside TLS (RFC 5425).
    Tls,
}

/// When messages on a connection count as taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// When the receiver closed the connection after this side did: it has read everything.
    Close,
    /// When the connection still stood some time after they were sent.
    Sent,
}

/// A syslog receiver.
#[derive(Clone, Debug)]
pub struct SyslogConfig {
    /// What carries the messages.
    pub transport: Transport,
    /// The receiver's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that its certificate must have.
    pub server_name: Option<ServerName<'static>>,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// When messages count as taken.
    pub confirm: Confirm,
    /// How often that is asked, and so how much is sent again after a break.
    pub confirm_interval: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyslogTable {
    address: String,
    server_name: Option<String>,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    #[serde(default = "close")]
    confirm: String,
    #[serde(default = "ten_seconds")]
    confirm_interval: String,
}

fn close() -> String {
    "close".to_owned()
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

impl SyslogConfig {
    pub(super) fn read(table: SyslogTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let (transport, host, port) = at.read("siem.address", &table.address, ADDRESS, address)?;
        let named = [("siem.ca_file", &table.ca_file), ("siem.cert", &table.cert), ("siem.key", &table.key)];
        let is_tls = transport == Transport::Tls;
        if let Some((key, value)) = named.iter().find(|(_, value)| value.is_some() && !is_tls) {
            let value = value.as_deref().unwrap_or_default();
            return Err(at.wrong(key, value, "this beside a tls:// address only"));
        }
        if is_tls && table.ca_file.is_none() {
            let expected = "ca_file beside a tls:// address: whose certificates to trust, as PEM";
            return Err(at.wrong("siem.address", &table.address, expected));
        }
        let name = table.server_name.as_deref().unwrap_or(&host).to_owned();
        let expected = "the name or the address that the receiver's certificate is for";
        let server_name = is_tls.then(|| {
            at.read("siem.server_name", &name, expected, |text| ServerName::try_from(text.to_owned()).ok())
        });
        let tls = TlsFiles::read(at, base, named.map(|(_, value)| value))?;
        Ok(Self {
            transport,
            host,
            port,
            server_name: server_name.transpose()?,
            tls,
            confirm: at.read("siem.confirm", &table.confirm, CONFIRM, |text| match text {
                "close" => Some(Confirm::Close),
                "sent" => Some(Confirm::Sent),
                _ => None,
            })?,
            confirm_interval: at.read(
                "siem.confirm_interval",
                &table.confirm_interval,
                quantity::DURATION,
                quantity::duration,
            )?,
        })
    }

    /// The files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.tls.files()
    }
}

/// Reads an address of a host that may be asked.
fn address(text: &str) -> Option<(Transport, String, u16)> {
    let (scheme, rest) = text.split_once("://")?;
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return None,
    };
    let (written, digits) = rest.rsplit_once(':')?;
    let port: u16 = digits.parse().ok()?;
    let host = written.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(written);
    let is_form = host.contains(':') == written.starts_with('[') && port > 0 && digits == port.to_string();
    (is_form && outbound::check_host(host).is_ok()).then(|| (transport, host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_of_three_transports_and_nothing_else() {
        assert_eq!(address("udp://siem.example:514"), Some((Transport::Udp, "siem.example".into(), 514)));
        assert_eq!(address("tcp://127.0.0.1:601"), Some((Transport::Tcp, "127.0.0.1".into(), 601)));
        assert_eq!(address("tls://[::1]:6514"), Some((Transport::Tls, "::1".into(), 6514)));
        for wrong in [
            "",
            "siem.example:514",
            "syslog://siem.example:514",
            "tcp://siem.example",
            "tcp://siem.example:0",
            "tcp://siem.example:+5",
            "tcp://siem.example:0514",
            "tcp://siem.example:65536",
            "tcp://:514",
            "tcp://::1:514",
            "tcp://[siem.example]:514",
            "tcp://user@siem.example:514",
            "tcp://siem.example/x:514",
            "udp://169.254.169.254:514",
            "tls://metadata.google.internal:443",
            "tcp://2852039166:514",
        ] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
