//! Scenario: a log is written with this library's store and read by a Go program that knows only the public formats,
//! with the packages that read the Go checksum database. Danger: the library agrees with itself and with nobody else, or
//! a changed file goes unnoticed by strangers' clients. End: the program accepts every checkpoint, tile, bundle and
//! proof of five tree sizes, also where partial tiles are gone, and refuses the log when a single bit of one is changed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, starts the client and says what it skips"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{Entry, HeartbeatDetails, SessionId, WriterName};
use ledgerstone::hash::{Hash, empty_root};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency, inclusion};
use ledgerstone::note::KeyName;
use ledgerstone::store::batch::{Batch, BatchEntry};
use ledgerstone::store::fs::{Identity, Opened, Options, StdDisk};
use ledgerstone::store::{self, ApplyStore, CommitStore, Outcome};
use ledgerstone::time::UnixMillis;
use tempfile::TempDir;

const ORIGIN: &str = "log.example/go-client";

/// The sizes at which the log has a checkpoint: one leaf, a partial tile, a full one, both, and three levels of tiles.
const SIZES: [u64; 5] = [1, 5, 256, 700, 65_836];

#[test]
fn a_go_client_accepts_the_log_and_refuses_it_with_any_bit_changed() {
    let build = TempDir::new().unwrap();
    let Some(client) = Client::build(build.path()) else {
        return;
    };
    let log = Log::write();

    let output = client.run(&log, &log.vkey);
    let lines: String = [
        "size 1: root, 1 inclusion proofs, 0 consistency proofs, 1 proofs of the log\n",
        "size 5: root, 5 inclusion proofs, 1 consistency proofs, 4 proofs of the log\n",
        "size 256: root, 6 inclusion proofs, 2 consistency proofs, 5 proofs of the log\n",
        "size 700: root, 10 inclusion proofs, 3 consistency proofs, 6 proofs of the log\n",
        "size 65836: root, 12 inclusion proofs, 4 consistency proofs, 7 proofs of the log\n",
    ]
    .concat();
    assert_eq!(text(&output.stdout), lines, "{}", text(&output.stderr));
    assert!(output.status.success());

    refuses_changed_files(&client, &log);
    let stranger = keys([9, 8]).vkeys()[0].to_string();
    refuses(&client.run(&log, &stranger), "a stranger's key", &["no verifiable signatures"]);
}

/// Every kind of file that the client reads, and what it says when one bit of it is not as it was.
fn refuses_changed_files(client: &Client, log: &Log) {
    let tile = ["downloaded inconsistent tile", "the tiles have another root"];
    let proof = ["invalid transparency proof"];
    let note = ["invalid signature", "malformed note", "no verifiable signatures"];
    let last_bundle = fs::read(log.file("log/tile/entries/257.p/44")).unwrap();
    for (file, offset, messages) in [
        ("log/tile/0/000", 40, tile.as_slice()),
        ("log/tile/0/001", 8191, &tile),
        ("log/tile/0/002", 0, &tile),
        ("log/tile/0/257.p/44", 32, &tile),
        ("log/tile/1/000", 63, &tile),
        ("log/tile/1/001.p/1", 31, &tile),
        ("log/tile/2/000.p/1", 0, &tile),
        ("log/tile/entries/000", 4, &proof),
        ("log/tile/entries/257.p/44", last_bundle.len() - 1, &proof),
        ("checkpoint.700", ORIGIN.len() + 1, &note),
        ("checkpoint.700", ORIGIN.len() + 10, &note),
    ] {
        log.with_bit_changed(file, offset, || refuses(&client.run(log, &log.vkey), file, messages));
    }
    // A proof is a line of text; instead of a bit the last one loses a hash.
    let without_a_hash = |text: &str| {
        let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
        let mut words: Vec<_> = last.split(' ').collect();
        words.remove(2);
        format!("{before}\n{}\n", words.join(" "))
    };
    log.with_changed("checkpoint.700.proofs", without_a_hash, || {
        refuses(&client.run(log, &log.vkey), "a proof without its first hash", &proof);
    });
}

fn refuses(output: &Output, what: &str, messages: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what} is accepted: {said}{}", text(&output.stdout));
    assert!(messages.iter().any(|message| said.contains(message)), "{what}: {said}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The built Go program.
struct Client(PathBuf);

impl Client {
    /// Builds it; nothing where Go or its modules are not to be had, which is a failure in CI.
    fn build(folder: &Path) -> Option<Self> {
        let binary = folder.join("client");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
        for arguments in [&["mod", "download"][..], &["build", "-o", binary.to_str().unwrap(), "."]] {
            let output = Command::new("go").args(arguments).current_dir(&source).output();
            let failure = match output {
                Ok(output) if output.status.success() => continue,
                Ok(output) => text(&output.stderr),
                Err(error) => error.to_string(),
            };
            let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            let may_skip = arguments[0] == "mod" && !ci;
            assert!(may_skip, "go {arguments:?}: {failure}");
            println!("skipped: the Go client cannot be built here: {failure}");
            return None;
        }
        Some(Self(binary))
    }

    /// Lets it check every checkpoint of the log.
    fn run(&self, log: &Log, vkey: &str) -> Output {
        let checkpoints = SIZES.iter().map(|size| log.file(&format!("checkpoint.{size}")));
        Command::new(&self.0).arg(log.file("log")).arg(vkey).args(checkpoints).output().unwrap()
    }
}

/// A store whose log has published a checkpoint of each of [`SIZES`]; beside it, those checkpoints and proofs.
struct Log {
    folder: TempDir,
    vkey: String,
}

impl Log {
    fn write() -> Self {
        let keys = keys([1, 2]);
        let log = Self { folder: TempDir::new().unwrap(), vkey: keys.vkeys()[0].to_string() };
        let disk = StdDisk::new(log.folder.path());
        let identity = Identity::new(keys.verifier()).unwrap();
        let empty = keys.sign(&keys.checkpoint(TreeSize::EMPTY, empty_root()));
        store::fs::init(&disk, &identity, &empty).unwrap();
        // Segments so small that each batch fills one: what is published is recycled at once.
        let options = Options { segment_bytes_max: 16 * 1024 };
        let mut opened = store::fs::open(disk, &identity, &options).unwrap();
        let mut nodes = MemoryNodes::new();
        for (position, size) in SIZES.into_iter().enumerate() {
            grow(&mut opened, &mut nodes, size);
            let checkpoint = keys.checkpoint(nodes.size(), nodes.root());
            let note = keys.sign(&checkpoint);
            assert_stored(&opened.tiles.publish(&checkpoint, &note));
            assert_stored(&opened.tiles.recycle());
            log.put(&format!("checkpoint.{size}"), note.as_bytes());
            log.put(
                &format!("checkpoint.{size}.proofs"),
                proofs(&nodes, checkpoint.size, &SIZES[..position]).as_bytes(),
            );
        }
        assert!(!log.file("log/tile/0/002.p/188").exists(), "partial tiles of full ones are removed");
        log
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).unwrap();
    }

    /// Runs `check` while one bit of a file is changed.
    fn with_bit_changed(&self, name: &str, offset: usize, check: impl FnOnce()) {
        let before = fs::read(self.file(name)).unwrap();
        let mut bytes = before.clone();
        bytes[offset] ^= 1;
        self.put(name, &bytes);
        check();
        self.put(name, &before);
    }

    /// Runs `check` while a text file is changed.
    fn with_changed(&self, name: &str, change: impl Fn(&str) -> String, check: impl FnOnce()) {
        let before = fs::read_to_string(self.file(name)).unwrap();
        self.put(name, change(&before).as_bytes());
        check();
        self.put(name, before.as_bytes());
    }
}

/// Appends heartbeats until the log has `size` entries.
fn grow(opened: &mut Opened<StdDisk>, nodes: &mut MemoryNodes, size: u64) {
    while nodes.size().get() < size {
        let first = nodes.size().get();
        let entries: Vec<_> = (first..size.min(first + 1024))
            .map(|sequence| BatchEntry { bytes: entry(sequence), sealed: Vec::new() })
            .collect();
        let batch = Batch::build(&opened.head.range, UnixMillis::new(first), entries).unwrap();
        batch.leaves().iter().for_each(|leaf| nodes.push(*leaf));
        assert_stored(&opened.journal.stage(&batch));
        assert_stored(&opened.journal.commit());
        opened.head.range = batch.after().clone();
        assert_stored(&opened.tiles.apply(&[Arc::new(batch)]));
    }
}

fn assert_stored(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Stored), "{outcome:?}");
}

fn keys(seeds: [u8; 2]) -> LogKeys {
    let [ed25519, ml_dsa] = seeds.map(|seed| [seed; 32]);
    LogKeys::generate_from_seeds(&KeyName::new(ORIGIN).unwrap(), ed25519, ml_dsa).unwrap()
}

fn entry(sequence: u64) -> Vec<u8> {
    let writer = WriterName::parse("go-client").unwrap();
    let details = HeartbeatDetails { in_flight: 0, lowest_in_flight: sequence };
    Entry::heartbeat(writer, SessionId::from_bytes([7; 16]), sequence, details).encode().unwrap()
}

/// What the library proves about the tree of `size` leaves, in the words of the Go client.
fn proofs(nodes: &MemoryNodes, size: TreeSize, earlier: &[u64]) -> String {
    let mut lines = String::new();
    let mut line = |kind: &str, place: u64, hashes: &[Hash]| {
        let hashes: Vec<_> = hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
        writeln!(lines, "{kind} {place} {}", hashes.join(" ")).unwrap();
    };
    let mut indexes = vec![0, size.get() / 2, size.get() - 1];
    indexes.dedup();
    for index in indexes {
        line("inclusion", index, &inclusion::prove(nodes, LeafIndex::new(index), size).unwrap());
    }
    for from in earlier {
        line("consistency", *from, &consistency::prove(nodes, TreeSize::new(*from), size).unwrap());
    }
    lines
}
