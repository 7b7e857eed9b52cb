//! What the sidecar asks of its own accord: every address of it, and which addresses it never asks.
//!
//! Guarantees: an address comes from the configuration, the environment or the command line, never from a caller's request, a
//! model's answer or a redirect (none is followed); its scheme is `http` or `https`; it names no user and no password; it is
//! none that only the platform under this machine answers (link-local addresses, the metadata services of clouds), in none of
//! the ways to write one, and no name that leads to one is followed. Where the metadata service is the point, for the role of
//! an AWS container or machine, exactly its addresses are asked. Private and loopback addresses are asked: model servers,
//! vaults and chain nodes are there.
//! Does not do: deciding whether the server on the other side is the right one; its certificate does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

pub mod http;

/// One row of the table: a URL that somebody configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key of the configuration, the variable of the environment, or the flag.
    pub key: &'static str,
    /// What may stand before `://`.
    pub schemes: &'static str,
    /// What is asked there.
    pub what: &'static str,
}

const fn place(key: &'static str, schemes: &'static str, what: &'static str) -> Place {
    Place { key, schemes, what }
}

/// Every URL that the sidecar asks, or hands to others (`links.public_url`, which it never asks). `docs/hardening.md` shows it.
pub const PLACES: &[Place] = &[
    place("upstream.address", "http, https, unix", "the model server, over gRPC"),
    place("keys.vault.address", "https; http to this machine", "the transit engine of a Vault or OpenBao"),
    place("keys.aws_kms.endpoint", "https; http to this machine", "AWS KMS"),
    place("keys.aws_kms.sts_endpoint", "https; http to this machine", "AWS STS"),
    place("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "a path", "the role of a container, at 169.254.170.2"),
    place(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "https; http to this machine or a role's address",
        "the role of a container",
    ),
    place(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "http to this machine or a role's address",
        "the role of a machine",
    ),
    place("anchors.rfc3161.url", "http, https", "a timestamp authority"),
    place("anchors.opentimestamps.calendars", "http, https", "OpenTimestamps calendars"),
    place("anchors.ethereum.rpc", "http, https", "nodes of an EVM chain"),
    place("anchors.ethereum.beacon", "http, https", "a node of its beacon chain"),
    place("anchor deploy --rpc", "http, https", "the node that a contract is deployed through"),
    place("access.oidc.jwks", "https; http to this machine", "the keys of an issuer of tokens"),
    place("telemetry.endpoint", "http, https", "an OpenTelemetry Collector"),
    place("server.tls.workload_api", "unix", "a SPIFFE agent"),
    place("siem.address", "udp, tcp, tls", "a syslog receiver"),
    place("siem.url", "http, https", "a receiver of events over HTTP: signed batches, Splunk, OTLP"),
    place("siem.brokers", "tcp, tls", "the brokers of a Kafka"),
    place("siem.servers", "nats, tls", "the servers of a NATS"),
    place("links.public_url", "http, https", "nothing: it stands in links that others open"),
];

/// The addresses under which containers and machines of AWS have a role, and nothing else does.
pub const ROLE_ADDRESSES: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Names that clouds give their metadata services.
const METADATA_NAMES: [&str; 5] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// Addresses of metadata services that are not link-local: Alibaba, Azure, Oracle.
const METADATA_ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// How long one address of several may take to answer: a round trip over satellites takes 700 ms. The operating system would wait for
/// two minutes, longer than any caller, and an IPv6 address that leads nowhere stands before the IPv4 address that does.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Why an address is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Only machines on the same wire have such an address, and clouds put their metadata service there.
    #[error("a link-local address")]
    LinkLocal,
    /// It is a cloud's metadata service.
    #[error("a cloud's metadata service")]
    Metadata,
    /// It is no address of one machine.
    #[error("an address of no one machine")]
    NoMachine,
    /// It looks like a number and is not four of them with dots between, or is no IPv6 address.
    #[error("an address in another form than a.b.c.d or [x:y::z]")]
    Form,
}

/// Whether an address may be asked.
///
/// # Errors
/// [`Refused`] says why not.
pub fn check(ip: IpAddr) -> Result<(), Refused> {
    match ip {
        IpAddr::V4(ip) => check_v4(ip),
        IpAddr::V6(ip) => check_v6(ip),
    }
}

fn check_v4(ip: Ipv4Addr) -> Result<(), Refused> {
    if ip.is_link_local() {
        Err(Refused::LinkLocal)
    } else if METADATA_ADDRESSES.contains(&ip) {
        Err(Refused::Metadata)
    } else if ip.octets().first() == Some(&0) || ip.is_multicast() || ip.is_broadcast() {
        Err(Refused::NoMachine)
    } else {
        Ok(())
    }
}

fn check_v6(ip: Ipv6Addr) -> Result<(), Refused> {
    if ip.is_unicast_link_local() {
        return Err(Refused::LinkLocal);
    }
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(Refused::NoMachine);
    }
    match ip.segments() {
        // AWS and Google keep these apart for their metadata services.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Err(Refused::Metadata),
        [0, 0, 0, 0, 0, 0, 0, 1] => Ok(()),
        // An IPv4 address inside: mapped, compatible, translated (RFC 2765), behind NAT64 (RFC 6052, RFC 8215), in 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => check_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => Ok(()),
    }
}

/// Whether the host of a URL, without brackets, may be asked. What a name leads to is checked when it is known.
///
/// # Errors
/// [`Refused`] says why not.
pub fn check_host(host: &str) -> Result<(), Refused> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return check(ip);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // Resolvers take 2852039166, 0xA9FEA9FE, 169.254.43518 and 0251.0376.0251.0376 for 169.254.169.254.
    let is_number = last.starts_with(|c: char| c.is_ascii_digit())
        && last.trim_start_matches("0x").chars().all(|c| c.is_ascii_hexdigit());
    let is_named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || is_number || !name.chars().all(is_named) {
        return Err(Refused::Form);
    }
    if METADATA_NAMES.contains(&name.as_str()) { Err(Refused::Metadata) } else { Ok(()) }
}

/// The addresses of a name that may be asked.
///
/// # Errors
/// The name leads nowhere, or only where nothing is asked.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut refused = None;
    let mut addresses = Vec::new();
    for address in tokio::net::lookup_host((host, port)).await? {
        match check(address.ip()) {
            Ok(()) => addresses.push(address),
            Err(why) => refused = Some((address.ip(), why)),
        }
    }
    match (addresses.is_empty(), refused) {
        (true, Some((ip, why))) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{host} leads to {ip}, {why}, which is never asked"),
        )),
        _ => Ok(addresses),
    }
}

/// Connects to a name or an address. `is_role`: to one of [`ROLE_ADDRESSES`], which is its point.
///
/// # Errors
/// As [`resolve`], or nobody answers.
pub(crate) async fn connect(host: &str, port: u16, is_role: bool) -> io::Result<TcpStream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) if is_role && ROLE_ADDRESSES.contains(&ip) => vec![SocketAddr::new(ip, port)],
        _ => resolve(host, port).await?,
    };
    first_of(&addresses).await
}

/// A connection to the first address that answers, in their order; the last one has all the time that the caller gives.
async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let (last, others) = addresses.split_last().ok_or(io::ErrorKind::NotFound)?;
    for address in others {
        if let Ok(Ok(stream)) = timeout(ANSWER_MAX, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    TcpStream::connect(last).await
}

/// The first `chars_max` characters of what the other side said, printable ASCII on one line.
#[must_use]
pub(crate) fn printable(said: &[u8], chars_max: usize) -> String {
    let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' };
    said.iter().take(chars_max).map(shown).collect::<String>().trim().to_owned()
}

/// A value as messages show it: of a URL no user, no password and no path, because keys stand in all of them.
#[must_use]
pub fn shown(value: &str) -> String {
    each_url(value, |scheme, user, host, path| {
        let user = if user.is_empty() { "" } else { "...@" };
        let path = if path.len() > 1 { "/..." } else { path };
        format!("{scheme}://{user}{host}{path}")
    })
}

/// A value without users and passwords in its URLs.
#[must_use]
pub fn without_users(value: &str) -> String {
    each_url(value, |scheme, user, host, path| {
        let user = if user.is_empty() { "" } else { "...@" };
        format!("{scheme}://{user}{host}{path}")
    })
}

/// The value with each URL in it written anew, from its scheme, user, host and what follows.
fn each_url(value: &str, write: impl Fn(&str, &str, &str, &str) -> String) -> String {
    let word = |word: &str| {
        let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
        let end = rest.find(['/', '?', '#', ',', ' ']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        write(scheme, authority.strip_suffix(host).unwrap_or_default(), host, path)
    };
    value.split_inclusive([',', ' ']).map(word).collect()
}

#[cfg(test)]
mod tests;
