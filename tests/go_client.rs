//! Scenario: a log directory is written with this library and read by a Go program that knows only the public formats,
//! with the packages that read the Go checksum database. Danger: the library agrees with itself and with nobody else, or
//! a changed file goes unnoticed by strangers' clients. End: the program accepts every checkpoint, tile, bundle and
//! proof of five tree sizes, and refuses the directory when any one of them has a single bit changed.

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

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency, inclusion};
use ledgerstone::note::KeyName;
use ledgerstone::tile::{EntryBundle, TileEdge, TileKind, TilePath, paths_between};
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

    let output = client.run(&log, &log.vkey, &SIZES);
    let lines: String = [
        "size 1: root, 1 inclusion proofs, 0 consistency proofs, 1 proofs of the log\n",
        "size 5: root, 5 inclusion proofs, 1 consistency proofs, 4 proofs of the log\n",
        "size 256: root, 6 inclusion proofs, 2 consistency proofs, 5 proofs of the log\n",
        "size 700: root, 10 inclusion proofs, 3 consistency proofs, 6 proofs of the log\n",
        "size 65836: root, 12 inclusion proofs, 4 consistency proofs, 7 proofs of the log\n",
    ]
    .concat();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines, "{}", text(&output.stderr));
    assert!(output.status.success());

    refuses_changed_files(&client, &log);
    let stranger = keys([9, 8]).vkeys()[0].to_string();
    refuses(
        &client.run(&log, &stranger, &[700]),
        "malformed note or unverifiable",
        &["no verifiable signatures"],
    );
}

/// Every kind of file that a client of size 700 reads, and what it says when one bit of it is not as it was.
fn refuses_changed_files(client: &Client, log: &Log) {
    let tile = ["downloaded inconsistent tile", "the tiles have another root"];
    let proof = ["invalid transparency proof"];
    let note = ["invalid signature", "malformed note", "no verifiable signatures"];
    for (file, offset, messages) in [
        ("tile/0/000", 40, tile.as_slice()),
        ("tile/0/001", 8191, &tile),
        ("tile/0/002.p/188", 0, &tile),
        ("tile/1/000.p/2", 63, &tile),
        ("tile/entries/000", 4, &proof),
        ("tile/entries/002.p/188", log.len("tile/entries/002.p/188") - 1, &proof),
        ("checkpoint.700", ORIGIN.len() + 1, &note),
        ("checkpoint.700", ORIGIN.len() + 10, &note),
    ] {
        log.with_bit_changed(file, offset, || refuses(&client.run(log, &log.vkey, &[700]), file, messages));
    }
    // Proofs are text: the last line loses its first hash instead of a bit.
    log.with_changed(
        "checkpoint.700.proofs",
        &|text| {
            let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
            let mut words: Vec<_> = last.split(' ').collect();
            words.remove(2);
            format!("{before}\n{}\n", words.join(" "))
        },
        || refuses(&client.run(log, &log.vkey, &SIZES[..4]), "a proof without its first hash", &proof),
    );
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

    /// Lets it check the checkpoints of the given sizes.
    fn run(&self, log: &Log, vkey: &str, sizes: &[u64]) -> Output {
        let checkpoints = sizes.iter().map(|size| log.file(&format!("checkpoint.{size}")));
        Command::new(&self.0).arg(log.folder.path()).arg(vkey).args(checkpoints).output().unwrap()
    }
}

/// A log directory with a checkpoint for each of [`SIZES`], and beside it the log's own proofs.
struct Log {
    folder: TempDir,
    vkey: String,
}

impl Log {
    fn write() -> Self {
        let keys = keys([1, 2]);
        let log = Self { folder: TempDir::new().unwrap(), vkey: keys.vkeys()[0].to_string() };
        let mut edge = TileEdge::empty();
        let mut nodes = MemoryNodes::new();
        for (position, size) in SIZES.into_iter().enumerate() {
            let old = edge.size();
            for index in old.get()..size {
                let leaf = leaf_hash(&entry(index));
                nodes.push(leaf);
                edge.push(leaf, &mut |path, bytes| log.put(&path.to_string(), &bytes));
            }
            edge.partials().for_each(|(path, bytes)| log.put(&path.to_string(), &bytes));
            let size = TreeSize::new(size);
            paths_between(old, size)
                .filter(|path| path.kind() == TileKind::Entries)
                .for_each(|path| log.put(&path.to_string(), &bundle(path)));
            let checkpoint = keys.sign(&keys.checkpoint(size, edge.root()));
            log.put(&format!("checkpoint.{size}"), checkpoint.as_bytes());
            let proofs = proofs(&nodes, size, &SIZES[..position]);
            log.put(&format!("checkpoint.{size}.proofs"), proofs.as_bytes());
        }
        log
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let file = self.file(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    fn len(&self, name: &str) -> usize {
        fs::read(self.file(name)).unwrap().len()
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
    fn with_changed(&self, name: &str, change: &dyn Fn(&str) -> String, check: impl FnOnce()) {
        let before = fs::read_to_string(self.file(name)).unwrap();
        self.put(name, change(&before).as_bytes());
        check();
        self.put(name, before.as_bytes());
    }
}

fn keys(seeds: [u8; 2]) -> LogKeys {
    let [ed25519, ml_dsa] = seeds.map(|seed| [seed; 32]);
    LogKeys::generate_from_seeds(&KeyName::new(ORIGIN).unwrap(), ed25519, ml_dsa).unwrap()
}

/// Entries of different lengths, the first of them empty.
fn entry(index: u64) -> Vec<u8> {
    let length = usize::try_from(index % 50).unwrap();
    index.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn bundle(path: TilePath) -> Vec<u8> {
    let entries: Vec<_> = (path.start().get()..path.end().get()).map(entry).collect();
    EntryBundle::encode(&entries).unwrap()
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
