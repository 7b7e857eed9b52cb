//! A sidecar that exports, and the comparison of what arrived with its log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::siem::{Event, Format, Log};
use ledgerstone::store::fs::FsReader;
use serde_json::Value;

use crate::support::{PATIENCE, Running, Sidecar, http_get, request, serve_doubler};

/// One event as a receiver has it: its id, and its text.
pub(crate) type Arrived = (String, String);

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) files: Sidecar,
    running: Running,
    decided: u64,
}

impl World {
    /// A sidecar with one sink; `table` is what stands in its `[[siem]]` beside its name. Small batches and quick retries, so that many
    /// deliveries fail in a short time.
    pub(crate) async fn start(folder: tempfile::TempDir, table: &str) -> Self {
        let files = Sidecar::init(folder.path(), serve_doubler().await);
        let text = std::fs::read_to_string(files.config()).unwrap();
        let common = "name = \"sink\"\nbatch_events = 16\nretry_max = \"300ms\"";
        let timeout = if table.contains("timeout =") { "" } else { "timeout = \"10s\"" };
        std::fs::write(files.config(), format!("{text}\n[[siem]]\n{common}\n{timeout}\n{table}\n")).unwrap();
        let running = files.start();
        // Ready once it answers.
        files.client().await;
        Self { folder, files, running, decided: 0 }
    }

    /// Decides `count` times.
    pub(crate) async fn decide(&mut self, count: u64) {
        let mut client = self.files.client().await;
        for _ in 0..count {
            self.decided += 1;
            client.model_infer(request(&self.decided.to_string(), 1.0)).await.unwrap();
        }
    }

    /// What the sidecar says of its sink.
    pub(crate) async fn standing(&self) -> Value {
        let (status, body) = http_get(self.files.admin, "/siem").await.expect("the admin port answers");
        assert_eq!(status, 200);
        let shown: Value = serde_json::from_slice(&body).unwrap();
        shown["sinks"][0].clone()
    }

    /// Waits until the sink's standing is as wanted.
    pub(crate) async fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let standing = self.standing().await;
            if is_it(&standing) {
                return standing;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "never {what}: {standing}\n{}", self.files.log_lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the sink has accepted every decision so far.
    pub(crate) async fn caught_up(&self) -> Value {
        // Every decision is published some 50 ms after its answer.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let published = FsReader::open(&self.files.store()).size().unwrap().get();
        self.until("caught up", |standing| standing["next_leaf_index"].as_u64().unwrap() >= published).await
    }

    /// Waits until the sink says that something went wrong, and gives the words.
    pub(crate) async fn error(&self, part: &str) -> String {
        let shown = |standing: &Value| standing["error"].as_str().is_some_and(|error| error.contains(part));
        let standing = self.until(&format!("said {part:?}"), shown).await;
        standing["error"].as_str().unwrap().to_owned()
    }

    /// Stops the sidecar; what it logged.
    pub(crate) fn stop(mut self) -> Stopped {
        let accepted = tokio::runtime::Handle::current();
        let accepted = tokio::task::block_in_place(|| accepted.block_on(self.standing()));
        let accepted = accepted["next_leaf_index"].as_u64().unwrap();
        assert!(self.running.stop().success(), "{}", self.files.log_lines());
        Stopped {
            accepted,
            decided: self.decided,
            lines: self.files.log_lines(),
            events: events(&self.files.store()),
            _folder: self.folder,
        }
    }
}

/// Every entry's event.
fn events(store: &Path) -> Vec<Event> {
    let reader = FsReader::open(store);
    let size = reader.size().unwrap();
    let log = Log::new(&KeyName::new("example.com/tests").unwrap());
    let event = |index| {
        let index = LeafIndex::new(index);
        Event::of_entry(&log, index, &reader.entry(index, size).unwrap()).unwrap()
    };
    (0..size.get()).map(event).collect()
}

/// What is known once the sidecar has stopped.
pub(crate) struct Stopped {
    /// Entries that the sink had accepted, as the sidecar said.
    pub(crate) accepted: u64,
    decided: u64,
    pub(crate) lines: String,
    pub(crate) events: Vec<Event>,
    _folder: tempfile::TempDir,
}

impl Stopped {
    /// Holds what arrived, in OCSF, against the log; gives how many copies there were beside the first of each event.
    pub(crate) fn compare(&self, arrived: &[Arrived]) -> usize {
        self.compare_with(arrived, |event| {
            let mut text = String::new();
            Format::Ocsf.render(event, &mut text);
            text
        })
    }

    pub(crate) fn compare_with(&self, arrived: &[Arrived], render: impl Fn(&Event) -> String) -> usize {
        let expected: BTreeMap<String, (usize, String)> = self
            .events
            .iter()
            .enumerate()
            .map(|(at, event)| (event.id().to_string(), (at, render(event))))
            .collect();
        assert_eq!(expected.len(), self.events.len(), "each entry has an id of its own");
        let mut seen = BTreeSet::new();
        let mut alerts = BTreeMap::new();
        let mut copies = 0;
        for (id, text) in arrived {
            let is_new = match expected.get(id) {
                Some((at, expected)) => {
                    assert_eq!(text, expected, "what arrived is what the log says");
                    seen.insert(*at)
                }
                // Alerts are in no entry, and say in which tree they were noticed.
                None => {
                    assert!(text.contains("tree_size"), "no event of this log: {text}");
                    let before = alerts.insert(id, text);
                    assert!(before.is_none_or(|before| before == text), "one id, two alerts");
                    before.is_none()
                }
            };
            copies += usize::from(!is_new);
        }
        let missing: Vec<u64> = (0..self.accepted).filter(|at| !seen.contains(&(*at as usize))).collect();
        assert_eq!(missing, Vec::<u64>::new(), "of {} accepted entries", self.accepted);
        assert!(self.accepted >= self.decided, "{} decisions, {} entries", self.decided, self.accepted);
        copies
    }
}

/// A folder for one test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A file with a secret, which nobody else can read.
pub(crate) fn secret(folder: &Path, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Waits until something listens there.
pub(crate) async fn listens(port: u16, what: &str) {
    let start = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(start.elapsed() < 2 * PATIENCE, "{what} never listened on {port}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
