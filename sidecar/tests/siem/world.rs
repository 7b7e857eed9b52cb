//! A sidecar with sinks, and what its log says that they must have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::siem::{Event, Format, Log};
use ledgerstone::store::fs::FsReader;
use serde_json::Value;

use crate::support::{PATIENCE, Running, Sidecar, http_get, request, serve_doubler};

/// Everything that the operating system can take away is taken away, so that what sinks need is known to be left.
const REQUIRED: &str = "[hardening]\nlandlock = \"required\"\nseccomp = \"required\"\n";

/// A sidecar with sinks, in a folder of its own.
pub struct World {
    pub folder: tempfile::TempDir,
    pub sidecar: Sidecar,
}

impl World {
    /// A sidecar with these `[[siem]]` tables; `{folder}` stands for its folder.
    pub async fn new(tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        let world = Self { folder, sidecar };
        world.add(&format!("{REQUIRED}{tables}"));
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds to the configuration.
    pub fn add(&self, text: &str) {
        let before = std::fs::read_to_string(self.sidecar.config()).unwrap();
        let text = text.replace("{folder}", self.folder.path().to_str().unwrap());
        std::fs::write(self.sidecar.config(), format!("{before}\n{text}\n")).unwrap();
    }

    /// Starts the sidecar and waits until it serves.
    pub async fn start(&self) -> Running {
        let running = self.sidecar.start();
        drop(self.sidecar.client().await);
        running
    }

    /// Has `count` decisions made; the longest that one of them took.
    pub async fn decide(&self, count: usize) -> Duration {
        let mut client = self.sidecar.client().await;
        let mut longest = Duration::ZERO;
        for n in 0..count {
            let start = Instant::now();
            client.model_infer(request(&format!("r-{n}"), 1.5)).await.unwrap();
            longest = longest.max(start.elapsed());
        }
        longest
    }

    /// How the sink stands, as the admin port says it.
    pub async fn sink(&self, name: &str) -> Value {
        let Some((200, body)) = http_get(self.sidecar.admin, "/siem").await else { return Value::Null };
        let told: Value = serde_json::from_slice(&body).unwrap();
        told["sinks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|sink| sink["sink"] == name)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until how the sink stands is as `holds` says.
    pub async fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let sink = self.sink(name).await;
            if !sink.is_null() && holds(&sink) {
                return sink;
            }
            assert!(start.elapsed() < PATIENCE, "never {what}: {sink}\n{}", self.sidecar.log_lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the sink has accepted at least the first `entries` entries.
    pub async fn accepted(&self, name: &str, entries: u64) {
        self.until(name, &format!("accepted {entries} entries"), |sink| {
            sink["next_leaf_index"].as_u64().unwrap() >= entries
        })
        .await;
    }

    /// Entries that are published.
    pub fn size(&self) -> u64 {
        FsReader::open(&self.sidecar.store()).size().unwrap().get()
    }

    /// Every event of the log as `write` writes it, by its place.
    pub fn events(&self, write: impl Fn(&Event) -> String) -> BTreeMap<u64, String> {
        let reader = FsReader::open(&self.sidecar.store());
        let (size, log) = (reader.size().unwrap(), Log::new(&KeyName::new("example.com/tests").unwrap()));
        let event = |index| {
            let index = LeafIndex::new(index);
            Event::of_entry(&log, index, &reader.entry(index, size).unwrap()).unwrap()
        };
        (0..size.get()).map(|index| (index, write(&event(index)))).collect()
    }

    /// The lines that a sink must have at least once, of the first `entries` entries: each in its exact bytes, none but these, and, where
    /// `at_most` says so, none more often than that.
    pub fn assert_has(&self, lines: &[String], entries: u64, write: impl Fn(&Event) -> String) {
        let expected = self.events(write);
        let known: BTreeSet<&String> = expected.values().collect();
        let there: BTreeSet<&String> = lines.iter().collect();
        let missing: Vec<_> = expected.range(..entries).filter(|(_, line)| !there.contains(line)).collect();
        assert!(missing.is_empty(), "{} of {entries} are missing: {:?}", missing.len(), missing.first());
        let strange: Vec<_> = there.difference(&known).filter(|line| !is_alert(line)).collect();
        assert!(strange.is_empty(), "no entry says {:?}", strange.first());
    }
}

fn is_alert(line: &str) -> bool {
    ["sink_late", "tamper", "unregistered_model", "rollback_refused"].iter().any(|kind| line.contains(kind))
}

pub fn ocsf(event: &Event) -> String {
    let mut text = String::new();
    Format::Ocsf.render(event, &mut text);
    text
}

/// A message of RFC 5424 with the event in `format`, or in its structured data alone.
pub fn syslog(format: Option<Format>) -> impl Fn(&Event) -> String {
    move |event| {
        let mut text = String::new();
        Format::rfc5424(format, event, &mut text);
        text
    }
}

/// The lines of a file; none where there is none yet.
pub fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A port on loopback that nobody listens on.
pub fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()))
}
