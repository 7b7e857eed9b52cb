//! What a sidecar's admin port says, as far as it is documented: `/status` and `/siem` as JSON, `/metrics` as Prometheus text.
//!
//! Guarantees: everything is bounded before it is read; a page that lacks what it must say is refused, and what it may leave out is
//! nothing, never zero. Does not do: asking; judging.
//! Format: `docs/operations.md`, section on `/status`; `docs/siem-export.md`, section on `/siem`; Prometheus text exposition format 0.0.4.

pub mod exposition;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes of `/status` and `/siem`: a few hundred for each of at most 16 lanes, 64 sinks and 4,096 routes.
pub const STATUS_BYTES_MAX: usize = 2 << 20;

/// Bytes of a page of text: a line for each route or reason.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The format of `/status`.
pub const STATUS_FORMAT: &str = "ledgerstone-status/v1";

/// `/status`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// [`STATUS_FORMAT`].
    pub format: String,
    /// Version of the sidecar.
    pub version: String,
    /// Its clock, milliseconds since 1970.
    pub time_ms: u64,
    /// When it started.
    pub started_ms: u64,
    /// The log's name.
    pub origin: String,
    /// The sidecar's name in its entries.
    pub writer: String,
    /// When the last heartbeat of this session was durable.
    pub last_heartbeat_ms: Option<u64>,
    /// Why it is not live.
    pub not_live: Option<String>,
    /// Why it is not ready.
    pub not_ready: Option<String>,
    /// What its configuration says.
    pub settings: Settings,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Bytes of the process in memory.
    pub resident_bytes: Option<u64>,
    /// File descriptors that it may have open.
    pub files_max: Option<u64>,
    /// The disk of the store.
    pub disk: Option<Disk>,
    /// The journal.
    pub journal: Option<Journal>,
    /// The key provider.
    pub keys: Keys,
    /// Records whose time is over and that are still there.
    pub records_overdue: Option<u64>,
    /// The lanes.
    pub anchors: Vec<Lane>,
}

/// What the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Settings {
    /// Where each port listens.
    pub listen: BTreeMap<String, String>,
    /// Whether the ports speak TLS.
    pub tls: bool,
    /// Whether calls need a role.
    pub access: bool,
    /// The period of heartbeats.
    pub heartbeat_ms: Option<u64>,
    /// The longest time until an entry is public.
    pub publish_ms: Option<u64>,
    /// The period of copies of the keyring; none where none are made.
    pub keyring_backup_ms: Option<u64>,
    /// The period of retention sweeps; none where none are made.
    pub retention_ms: Option<u64>,
}

/// One route.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// The use case that records name.
    pub use_case: Option<String>,
    /// Its regulation packs.
    pub packs: Vec<String>,
}

/// The disk of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Disk {
    /// Bytes free.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
}

/// The journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Journal {
    /// Files.
    pub segments: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The key provider.
#[derive(Clone, Debug, Deserialize)]
pub struct Keys {
    /// Its name in the configuration.
    pub provider: String,
    /// The key that the configuration wants.
    pub wanted: String,
    /// The key that wraps.
    pub in_force: Option<String>,
    /// When it was asked.
    pub checked_ms: Option<u64>,
    /// Why it does not wrap and unwrap.
    pub error: Option<String>,
}

/// One lane.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Lane {
    /// Its name.
    pub lane: String,
    /// Its kind.
    pub kind: String,
    /// Where its newest statement is.
    pub state: String,
    /// Leaves that it has fixed.
    pub confirmed_size: u64,
    /// How long the oldest entry waits that it has not fixed.
    pub lag_seconds: u64,
    /// How long one may.
    pub lag_alarm_seconds: u64,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Alarms that stand.
    pub alarms: Vec<String>,
}

/// `/siem`.
#[derive(Clone, Debug, Deserialize)]
pub struct Siem {
    /// The sinks.
    pub sinks: Vec<Sink>,
}

/// One sink of `/siem`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sink {
    /// Its name.
    pub sink: String,
    /// Its kind.
    pub kind: String,
    /// What it is doing: `starting`, `following`, `retrying`, `refused`, `ended`.
    pub state: String,
    /// The leaf index that it is owed next.
    pub next_leaf_index: u64,
    /// Published entries that it has not accepted.
    pub lag_events: u64,
    /// How long the oldest of them waits.
    pub lag_seconds: u64,
    /// Alerts that were given up because too many waited.
    pub alerts_missed: u64,
    /// What last went wrong, if nothing went well since.
    pub error: Option<String>,
}

impl Sink {
    /// Whether nothing is sent until somebody mends its cursor.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.state == "refused"
    }
}

/// What every page says of itself.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format: String,
}

/// Reads `/status`.
///
/// # Errors
/// What is wrong with it, for a message.
pub fn status(bytes: &[u8]) -> Result<Status, String> {
    let Format { format } = read(bytes)?;
    if format == STATUS_FORMAT {
        read(bytes)
    } else {
        Err(format!("its format is `{format}`, not {STATUS_FORMAT}"))
    }
}

/// Reads `/siem`.
///
/// # Errors
/// What is wrong with it, for a message.
pub fn sinks(bytes: &[u8]) -> Result<Vec<Sink>, String> {
    read(bytes).map(|Siem { sinks }| sinks)
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"format":"ledgerstone-status/v1","version":"1","time_ms":1,"started_ms":1,"origin":"o","writer":"w",
        "settings":{"listen":{},"tls":false,"access":false},"routes":[],"keys":{"provider":"file","wanted":"k"},"anchors":[],"new":[1]}"#;

    #[test]
    fn a_status_says_everything_that_is_judged_or_is_refused() {
        for bytes in ["", "[]", "null", "{}", r#"{"format":"x"}"#, r#"{"format":1}"#, "\u{feff}{}"] {
            assert!(status(bytes.as_bytes()).is_err(), "{bytes}");
        }
        let told = status(STATUS.as_bytes()).unwrap();
        assert_eq!((told.disk, told.records_overdue, told.settings), (None, None, Settings::default()));
        // Each of these would be judged as if all were well.
        for name in [
            "settings", "listen", "tls", "access", "routes", "keys", "anchors", "version", "origin",
            "time_ms",
        ] {
            let without = STATUS.replace(&format!("\"{name}\""), "\"renamed\"");
            let why = status(without.as_bytes()).unwrap_err();
            assert!(why.contains(name), "{name}: {why}");
        }
    }

    #[test]
    fn a_sink_says_how_it_stands_or_is_refused() {
        let page = r#"{"sinks":[{"sink":"soc","kind":"syslog","state":"refused","next_leaf_index":9,"lag_events":7,"lag_seconds":3,
            "delivered":2,"retries":1,"alerts_missed":0,"error":"no","error_at":5}],"alerts_held_back":0}"#;
        let told = sinks(page.as_bytes()).unwrap();
        assert!(told[0].is_refused() && told[0].sink == "soc" && told[0].error.as_deref() == Some("no"));
        for name in [
            "sinks",
            "sink",
            "kind",
            "state",
            "next_leaf_index",
            "lag_events",
            "lag_seconds",
            "alerts_missed",
        ] {
            let without = page.replace(&format!("\"{name}\""), "\"renamed\"");
            assert!(sinks(without.as_bytes()).is_err(), "{name}");
        }
        assert!(sinks(b"{}").is_err() && sinks(b"[]").is_err());
    }
}
