//! A log with fixed keys and times, written by the library's own store: what the tests and the speed example check.

use std::path::Path;
use std::sync::Arc;

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{
    DecisionDetails, DecisionId, Entry, GapDetails, GapReason, HeartbeatDetails, Kind, ModelDetails,
    PolicyDetails, RegisteredName, RegisteredVersion, SealedRef, SessionId, StartDetails, WriterName,
};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::note::KeyName;
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value};
use ledgerstone::siem::{Event, Format, Log};
use ledgerstone::store::batch::{Batch, BatchEntry};
use ledgerstone::store::fs::{FsReader, Identity, OpenError, Opened, Options, StdDisk, init, open};
use ledgerstone::store::{ApplyStore, CommitStore, Outcome};
use ledgerstone::tile::TileNodes;
use ledgerstone::time::UnixMillis;

/// The log's name.
pub(crate) const ORIGIN: &str = "log.example.com/lending";

/// When the first batch is cut: 2026-11-18T11:06:40Z.
const START_MS: u64 = 1_795_000_000_000;

/// Keys from fixed seeds; `number` tells logs apart.
pub(crate) fn keys(origin: &str, number: u8) -> LogKeys {
    let origin = KeyName::new(origin).expect("an origin");
    LogKeys::generate_from_seeds(&origin, [number; 32], [number + 1; 32]).expect("fixed seeds make keys")
}

/// The policy that trusts these keys.
pub(crate) fn policy(keys: &LogKeys) -> Policy {
    Policy::for_log(&keys.vkeys()).expect("a log's keys make a policy")
}

/// A log that is being written, batch by batch.
pub(crate) struct LogWriter {
    keys: LogKeys,
    opened: Opened<StdDisk>,
    head: CompactRange,
    batches: u64,
    /// Every batch with the checkpoint that was published after it.
    pub(crate) published: Vec<(Arc<Batch>, String)>,
}

impl LogWriter {
    /// Creates a log in the directory `store`, which exists.
    pub(crate) fn create(store: &Path, keys: LogKeys, segment_bytes_max: u64) -> Self {
        let disk = StdDisk::new(store);
        let identity = Identity::new(keys.verifier()).expect("an identity");
        let empty = keys.checkpoint(TreeSize::EMPTY, ledgerstone::hash::empty_root());
        init(&disk, &identity, &keys.sign(&empty)).expect("the store is created");
        // A process that another test is just starting holds every open file, the lock of `init` too, until it runs.
        let unlocked =
            (0..500).find_map(|_| match open(disk.clone(), &identity, &Options { segment_bytes_max }) {
                Err(OpenError::Locked) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    None
                }
                opened => Some(opened),
            });
        let opened = unlocked.expect("the store is unlocked").expect("the store opens");
        Self { keys, opened, head: CompactRange::empty(), batches: 0, published: Vec::new() }
    }

    /// Commits, applies and publishes one batch, a second after the one before it.
    pub(crate) fn batch(&mut self, entries: Vec<Drafted>) {
        let batch = self.commit(entries);
        stored(self.opened.tiles.apply(&[Arc::clone(&batch)]));
        let checkpoint = self.keys.checkpoint(batch.size(), batch.root());
        let note = self.keys.sign(&checkpoint);
        stored(self.opened.tiles.publish(&checkpoint, &note));
        self.published.push((batch, note));
    }

    /// Commits one batch to the journal and leaves it there, as a crash right after the commit does.
    pub(crate) fn commit(&mut self, entries: Vec<Drafted>) -> Arc<Batch> {
        let time = UnixMillis::new(START_MS + 1000 * self.batches);
        self.batches += 1;
        let entries = entries
            .into_iter()
            .map(|Drafted { mut entry, sealed }| {
                entry.recorded_at = time;
                BatchEntry { bytes: entry.encode().expect("an entry"), sealed }
            })
            .collect();
        let batch = Arc::new(Batch::build(&self.head, time, entries).expect("a batch"));
        stored(self.opened.journal.stage(&batch));
        stored(self.opened.journal.commit());
        self.head = batch.after().clone();
        batch
    }

    /// Drops the journal segments that are no longer needed.
    pub(crate) fn recycle(&mut self) {
        stored(self.opened.tiles.recycle());
    }

    /// Stops in order.
    pub(crate) fn stop(mut self) -> Vec<(Arc<Batch>, String)> {
        stored(self.opened.tiles.settle());
        self.published
    }
}

fn stored(outcome: Outcome) {
    assert!(matches!(outcome, Outcome::Stored), "{outcome:?}");
}

/// An entry without its time, and its sealed record.
pub(crate) struct Drafted {
    pub(crate) entry: Entry,
    pub(crate) sealed: Vec<u8>,
}

impl From<Entry> for Drafted {
    fn from(entry: Entry) -> Self {
        Self { entry, sealed: Vec::new() }
    }
}

/// A writer's session.
pub(crate) struct Recorder {
    session: SessionId,
    sequence: u64,
}

impl Recorder {
    /// The session numbered `number` of the one writer.
    pub(crate) const fn new(number: u8) -> Self {
        Self { session: SessionId::from_bytes([number; 16]), sequence: 0 }
    }

    fn writer() -> WriterName {
        WriterName::parse("sidecar-1").expect("a writer's name")
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn start(&self, previous: Option<u8>) -> Drafted {
        let details = StartDetails {
            version: "0.1.0".to_owned(),
            configuration: Hash::of(b"configuration"),
            previous_session: previous.map(|number| SessionId::from_bytes([number; 16])),
        };
        Entry::start(Self::writer(), self.session, details).into()
    }

    /// The decision numbered `number` with its sealed record of `sealed_bytes` bytes.
    pub(crate) fn decision(&mut self, number: u64, sealed_bytes: usize) -> Drafted {
        let commitment = record(number).commit(&secret(number)).commitment();
        self.decision_with(number, commitment, sealed_bytes)
    }

    /// The same with a commitment that was made before.
    pub(crate) fn decision_with(
        &mut self,
        number: u64,
        commitment: ledgerstone::record::Commitment,
        sealed_bytes: usize,
    ) -> Drafted {
        let sequence = self.next();
        let sealed: Vec<u8> = (0..sealed_bytes).map(|at| (at as u64 * 31 + number * 7) as u8).collect();
        let mut entry = Entry::decision(
            Self::writer(),
            self.session,
            sequence,
            decision_id(number),
            commitment,
            DecisionDetails { status: 0 },
        );
        entry.model = Some(Hash::of(b"model"));
        entry.mode = Some(ledgerstone::entry::Mode::Strict);
        if !sealed.is_empty() {
            entry.sealed = Some(SealedRef::of(&sealed));
        }
        Drafted { entry, sealed }
    }

    /// A review of the decision at `index`.
    pub(crate) fn review(&mut self, number: u64, index: u64) -> Drafted {
        let sequence = self.next();
        let mut entry = Entry::new(Kind::Review, Self::writer(), self.session, sequence);
        entry.decision = Some(decision_id(number));
        entry.links = vec![LeafIndex::new(index)];
        entry.commitment = Some(record(number + 1000).commit(&secret(number)).commitment());
        entry.into()
    }

    pub(crate) fn heartbeat(&mut self) -> Drafted {
        let sequence = self.next();
        let details = HeartbeatDetails { in_flight: 0, lowest_in_flight: sequence };
        Entry::heartbeat(Self::writer(), self.session, sequence, details).into()
    }

    /// Leaves one sequence number out and says so.
    pub(crate) fn gap(&mut self) -> Drafted {
        let missing = self.next();
        let sequence = self.next();
        let details = GapDetails { first: missing, last: missing, reason: GapReason::Abandoned };
        Entry::gap(Self::writer(), self.session, sequence, details).into()
    }

    /// Leaves one sequence number out and does not say so.
    pub(crate) fn skip(&mut self) {
        self.next();
    }

    /// Registers `artifact` as a version of the lending model.
    pub(crate) fn model(&mut self, version: &str, artifact: &[u8]) -> Drafted {
        let sequence = self.next();
        let details = ModelDetails {
            name: RegisteredName::parse("lending").expect("a name"),
            version: RegisteredVersion::parse(version).expect("a version"),
            signature: Some(Hash::of(b"model.sig")),
        };
        Entry::model(Self::writer(), self.session, sequence, Hash::of(artifact), details).into()
    }

    /// Registers the plan of an audit.
    pub(crate) fn plan(&mut self) -> Drafted {
        let sequence = self.next();
        let details = PolicyDetails { kind: RegisteredName::parse("audit-plan").expect("a name") };
        Entry::policy(Self::writer(), self.session, sequence, Hash::of(b"plan"), details).into()
    }

    pub(crate) fn stop(&mut self) -> Drafted {
        let sequence = self.next();
        Entry::stop(Self::writer(), self.session, sequence).into()
    }
}

/// The id of the decision numbered `number`, a UUIDv7.
pub(crate) fn decision_id(number: u64) -> DecisionId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(START_MS + number).to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    bytes[8..].copy_from_slice(&(0x8000_0000_0000_0000 | number).to_be_bytes());
    DecisionId::from_bytes(bytes)
}

fn secret(number: u64) -> RecordSecret {
    let mut bytes = [0x5e; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    RecordSecret::from_bytes(bytes)
}

/// The record of the decision numbered `number`.
pub(crate) fn record(number: u64) -> Record {
    let path = |text: &str| FieldPath::parse(text).expect("a path");
    let fields = [
        ("decision/id", Value::Text(decision_id(number).to_string())),
        ("decision/use_case", Value::Text("credit scoring".to_owned())),
        ("time/received", Value::Int(i128::from(START_MS + number))),
        ("model/name", Value::Text("lending".to_owned())),
        ("model/version", Value::Text("3".to_owned())),
        ("input/feature/income", Value::Float(5_200.0 + number as f64)),
        ("input/feature/loan_amount", Value::Float(128_000.0)),
        ("output/score/approve", Value::Float(0.31)),
        ("outcome/action", Value::Text("deny".to_owned())),
        ("outcome/adverse", Value::Bool(true)),
        ("explanation/reason/[0]/text", Value::Text("Debt is high compared with income".to_owned())),
        ("explanation/reason/[0]/contribution", Value::Float(-1.25)),
    ];
    let builder = fields.into_iter().fold(RecordBuilder::new(), |builder, (text, value)| {
        builder.field(path(text), value).expect("a field")
    });
    builder.build().expect("a record")
}

/// The receipt of the decision numbered `number` at `index`, from the newest tree in `store`.
pub(crate) fn receipt(number: u64, index: u64, store: &Path) -> Receipt {
    let (reader, index) = (FsReader::open(store), LeafIndex::new(index));
    let size = reader.size().expect("a published size");
    let entry = reader.entry(index, size).expect("an entry");
    let proof = inclusion::prove(&TileNodes::new(&reader, size), index, size).expect("a proof");
    let note = String::from_utf8(reader.checkpoint().expect("a checkpoint")).expect("a note is text");
    let record = record(number);
    let shown = record.indices(|path| !path.as_str().starts_with("input/"));
    let disclosure = record.commit(&secret(number)).disclose(&shown).expect("fields to show");
    Receipt::new(entry, disclosure, index, proof, note).expect("a receipt")
}

/// What a SIEM holds of the log in `store`, one event a line.
pub(crate) fn events(store: &Path, format: Format) -> String {
    let reader = FsReader::open(store);
    let size = reader.size().expect("a published size");
    let log = Log::new(&KeyName::new(ORIGIN).expect("an origin"));
    let mut text = String::new();
    for index in (0..size.get()).map(LeafIndex::new) {
        let bytes = reader.entry(index, size).expect("an entry");
        format.render(&Event::of_entry(&log, index, &bytes).expect("an event"), &mut text);
        text.push('\n');
    }
    text
}

/// A session that dies with sequence number 2 in its hands, and another, stopped, whose start entry names `previous`.
pub(crate) fn crashed_log(store: &Path, keys: LogKeys, previous: Option<u8>) -> LogWriter {
    let mut log = LogWriter::create(store, keys, 64 * 1024 * 1024);
    let mut first = Recorder::new(1);
    let mut entries = vec![first.start(None), first.decision(1, 30)];
    first.skip();
    entries.push(first.decision(2, 30));
    log.batch(entries);
    let mut second = Recorder::new(2);
    log.batch(vec![second.start(previous), second.stop()]);
    log
}

/// A log that registers its model, serves another one for one decision before that is registered, too, and has a plan.
pub(crate) fn registered_log(store: &Path, keys: LogKeys) -> LogWriter {
    let mut log = LogWriter::create(store, keys, 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    let changed = |mut drafted: Drafted| {
        drafted.entry.model = Some(Hash::of(b"changed model"));
        drafted
    };
    log.batch(vec![recorder.start(None), recorder.model("3", b"model"), recorder.decision(1, 40)]);
    log.batch(vec![recorder.decision(2, 25), changed(recorder.decision(3, 33)), recorder.plan()]);
    log.batch(vec![
        recorder.model("3.1", b"changed model"),
        changed(recorder.decision(4, 17)),
        recorder.stop(),
    ]);
    log
}

/// A small log as a sidecar leaves it after stopping: twelve entries in three batches, a session with a declared gap.
pub(crate) fn small_log(store: &Path, keys: LogKeys, segment_bytes_max: u64) -> LogWriter {
    let mut log = LogWriter::create(store, keys, segment_bytes_max);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None), recorder.decision(1, 40), recorder.decision(2, 25)]);
    log.batch(vec![
        recorder.decision(3, 33),
        recorder.gap(),
        recorder.heartbeat(),
        recorder.decision(4, 17),
        recorder.decision(5, 60),
    ]);
    log.batch(vec![recorder.review(2, 2), recorder.decision(6, 21), recorder.heartbeat(), recorder.stop()]);
    log
}

/// Every file below `folder`, sorted.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).expect("a folder");
        std::fs::copy(&path, target).expect("a copy");
    }
}
