//! Whether the model server can be asked past the sidecar: a self-test of where its ports listen.
//!
//! Guarantees: a port of the model server that listens on anything but loopback, in the sidecar's network namespace (in
//! Kubernetes: its pod's), is told in a log line, a metric and, where it must not be, in `/ready`. It is looked for at the
//! start, at every probe of `/ready` and at every heartbeat, because model servers start after their sidecar and restart.
//! Does not do: seeing model servers on other machines, and callers on the pod's own loopback.
//! Reads `/proc/self/net/tcp` and `tcp6` (Linux, `proc_pid_net(5)`).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::outbound::http::Address;

/// The tables of sockets.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Bytes that are read of one table: the kernel lists sockets that listen first, in lines of at most 180 bytes, so some 6,000.
const TABLE_BYTES_MAX: u64 = 1 << 20;

/// What the kernel calls a socket that listens (`TCP_LISTEN`).
const LISTEN: &str = "0A";

/// Ports of the model server beside the one that the sidecar asks, at most.
const PORTS_MAX: usize = 16;

/// What follows where the model server can be asked past the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalOnly {
    /// Nothing, and it is not looked for.
    Off,
    /// A warning and a metric.
    Warn,
    /// The sidecar is not ready either.
    Require,
}

impl LocalOnly {
    /// What there is to choose from.
    pub const CHOICE: &str = "require, warn or off";

    /// Reads one of [`LocalOnly::CHOICE`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "require" => Some(Self::Require),
            "warn" => Some(Self::Warn),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Looks where the model server listens.
#[derive(Debug)]
pub struct Bypass {
    rule: LocalOnly,
    ports: Vec<u16>,
    /// Opened once, and read again from their beginning: a process that gave up files it does not need cannot open them later.
    tables: Vec<File>,
    seen: Mutex<Seen>,
}

/// What was seen when it was last looked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// Sockets of the model server that are not on loopback.
    Open(Vec<SocketAddr>),
    /// Nothing: the tables cannot be read.
    Nothing,
}

impl Bypass {
    /// Watches the ports of a model server at `address` (as `upstream.address` has it) and `others` of it.
    #[must_use]
    pub fn new(rule: LocalOnly, address: &str, others: &[u16]) -> Self {
        let ports: Vec<u16> = local_port(address).into_iter().chain(others.iter().copied()).collect();
        let is_watched = rule != LocalOnly::Off && !ports.is_empty();
        // A kernel without IPv6 has one table only.
        let tables = TABLES.iter().filter(|_| is_watched).filter_map(|table| File::open(table).ok());
        Self { rule, ports, tables: tables.collect(), seen: Mutex::new(Seen::Open(Vec::new())) }
    }

    /// Looks now. Says whether that changed what is known.
    pub fn look(&self) -> bool {
        if self.rule == LocalOnly::Off || self.ports.is_empty() {
            return false;
        }
        let mut seen = self.seen();
        let now = self.now();
        if *seen == now {
            return false;
        }
        match &now {
            Seen::Nothing => tracing::warn!(
                "where the model server listens cannot be seen: {} cannot be read",
                TABLES.join(" and ")
            ),
            Seen::Open(sockets) if sockets.is_empty() => {
                tracing::info!("the model server listens on loopback alone again");
            }
            Seen::Open(sockets) => tracing::warn!(
                listening = %listed(sockets),
                "the model server can be asked past the sidecar: have it listen on 127.0.0.1"
            ),
        }
        *seen = now;
        true
    }

    fn now(&self) -> Seen {
        let mut sockets = Vec::new();
        for table in &self.tables {
            let Ok(text) = read(table) else { return Seen::Nothing };
            sockets.extend(listening(&text).filter(|at| self.ports.contains(&at.port())));
        }
        if self.tables.is_empty() {
            return Seen::Nothing;
        }
        sockets.retain(|at| !is_loopback(at.ip()));
        sockets.sort_unstable();
        sockets.dedup();
        Seen::Open(sockets)
    }

    /// Whether the model server was seen to listen elsewhere, or nothing can be seen.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.seen() != Seen::Open(Vec::new())
    }

    /// Where the model server was seen to listen, if it must not.
    #[must_use]
    pub fn forbidden(&self) -> Option<String> {
        if self.rule != LocalOnly::Require {
            return None;
        }
        match &*self.seen() {
            Seen::Open(sockets) => (!sockets.is_empty()).then(|| listed(sockets)),
            Seen::Nothing => Some("what cannot be seen".to_owned()),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port of a model server on this machine's loopback.
#[must_use]
pub fn local_port(address: &str) -> Option<u16> {
    Address::parse(address).filter(Address::is_this_machine).map(|address| address.port())
}

/// Reads further ports: numbers with commas between.
#[must_use]
pub fn ports(text: &str) -> Option<Vec<u16>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let ports: Option<Vec<u16>> = parts.map(|part| part.parse().ok().filter(|port| *port != 0)).collect();
    ports.filter(|ports| ports.len() <= PORTS_MAX)
}

fn read(mut table: &File) -> io::Result<String> {
    let mut text = String::new();
    table.seek(SeekFrom::Start(0))?;
    table.take(TABLE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Where sockets of a table listen. Lines that are none are passed over: the first names the columns, the last may be cut.
fn listening(table: &str) -> impl Iterator<Item = SocketAddr> {
    table.lines().filter_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let (local, state) = (columns.nth(1)?, columns.nth(1)?);
        if state == LISTEN { socket(local) } else { None }
    })
}

/// `0100007F:1F91`: each 32 bits of the address as the machine's own number, and the port.
fn socket(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.as_flattened()).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn listed(sockets: &[SocketAddr]) -> String {
    sockets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_tables() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                  0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n   \
                  1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1\n   \
                  2: 0100007F:1F92 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 3 1\n   \
                  3: 0100";
        let expected = ["127.0.0.1:8081", "0.0.0.0:8080"].map(|text| text.parse().unwrap());
        assert_eq!(listening(v4).collect::<Vec<_>>(), expected);
        let v6 = "   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0\n   \
                  1: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 0\n   \
                  2: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 0\n";
        let open: Vec<_> = listening(v6).filter(|at| !is_loopback(at.ip())).collect();
        assert_eq!(open, ["[::]:8083".parse().unwrap()]);
    }

    #[test]
    fn what_is_no_table_says_nothing() {
        for text in [
            "",
            "a",
            "0: zz 0 0A",
            "0: 0100007F 0 0A",
            "0: :: :: 0A",
            "0: 0100007F:10000 x 0A",
            "0: é:1 é 0A",
        ] {
            assert_eq!(listening(text).count(), 0, "{text:?}");
        }
    }

    #[test]
    fn knows_which_model_servers_are_local() {
        for (address, expected) in [
            ("http://127.0.0.1:8081", Some(8081)),
            ("https://localhost", Some(443)),
            ("http://[::1]:9", Some(9)),
            ("http://127.8.8.8", Some(80)),
            ("http://10.0.0.7:8081", None),
            ("http://model.lending.svc:8081", None),
            ("unix:/run/model.sock", None),
        ] {
            assert_eq!(local_port(address), expected, "{address}");
        }
    }

    #[test]
    fn further_ports_are_numbers() {
        assert_eq!(ports(""), Some(Vec::new()));
        assert_eq!(ports("8080, 8082"), Some(vec![8080, 8082]));
        for text in ["0", "-1", "65536", "http", "1;2", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"] {
            assert_eq!(ports(text), None, "{text}");
        }
    }
}
