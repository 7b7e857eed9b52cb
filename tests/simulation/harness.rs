//! A log on a disk in memory, driven by hand, and an oracle that knows what was promised to whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex};

use ledgerstone::checkpoint::{Checkpoint, LogVerifier};
use ledgerstone::entry::{
    DecisionDetails, DecisionId, Entry, HeartbeatDetails, SealedRef, SessionId, WriterName,
};
use ledgerstone::hash::Hash;
use ledgerstone::log::{Bounds, Draft, Effect, Event, Head, Refusal, Sequencer};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::note::{KeyName, SignatureType, Signer, SigningKey};
use ledgerstone::record::Commitment;
use ledgerstone::store::fs::{
    FsJournal, FsReader, FsTiles, Identity, OpenError, Opened, Options, RecoveryReport, init, open,
};
use ledgerstone::store::memory::{Fate, MemoryDisk};
use ledgerstone::store::{ApplyStore, CommitStore, Operation, Outcome};
use ledgerstone::tile::{EntryBundle, TILE_WIDTH, TileEdge, TileKind, TilePath, paths};
use ledgerstone::time::UnixMillis;

/// One key is enough here: what two of them sign is tested where they are made, and this makes thousands of signatures.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let name = KeyName::new("simulation.example/log").unwrap();
    SigningKey::from_seed(name, SignatureType::Ed25519, &[7; 32]).unwrap()
});

/// Lines of a world's trace that are printed when a check fails in it.
const LINES_PRINTED: usize = 120;

pub(crate) fn identity() -> Identity {
    Identity::new(LogVerifier::new(vec![KEY.verifier_key().clone()]).unwrap()).unwrap()
}

fn sign(checkpoint: &Checkpoint) -> String {
    checkpoint.sign(&[&*KEY]).unwrap_or_else(|never| match never {})
}

/// A log that runs on a [`MemoryDisk`].
pub(crate) struct Running {
    sequencer: Sequencer<u64>,
    journal: FsJournal<MemoryDisk>,
    tiles: FsTiles<MemoryDisk>,
    /// What the commit thread would do next.
    committing: VecDeque<Effect<u64>>,
    signing: VecDeque<Checkpoint>,
    /// What the apply thread would do next.
    applying: VecDeque<Effect<u64>>,
    pub(crate) halted: bool,
    pub(crate) stopped: bool,
}

/// What the log owes to its callers and readers.
#[derive(Default)]
pub(crate) struct Oracle {
    /// What was asked for, by ticket: the entry with its sealed record.
    asked: BTreeMap<u64, (Entry, Vec<u8>)>,
    /// Tickets that were answered, with the index they got.
    pub(crate) answered: BTreeMap<u64, LeafIndex>,
    /// Tickets of which was said that they are not in the log.
    refused: BTreeSet<u64>,
    /// The root of each tree that was signed.
    signed: BTreeMap<TreeSize, Hash>,
    /// The largest tree that was reported as published.
    published: TreeSize,
}

/// What happened in a world. Printed where a check fails.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

pub(crate) struct World {
    pub(crate) disk: MemoryDisk,
    pub(crate) now: UnixMillis,
    pub(crate) log: Option<Running>,
    pub(crate) oracle: Oracle,
    pub(crate) bounds: Bounds,
    pub(crate) options: Options,
    trace: Trace,
    next_ticket: u64,
}

impl World {
    /// A disk with a log on it that is not running. Nothing fails yet.
    pub(crate) fn new(seed: u64, bounds: Bounds, segment_bytes_max: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        let empty = Checkpoint {
            origin: KEY.verifier_key().name().clone(),
            size: TreeSize::EMPTY,
            root: ledgerstone::hash::empty_root(),
        };
        init(&disk, &identity(), &sign(&empty)).unwrap();
        let mut oracle = Oracle::default();
        oracle.signed.insert(empty.size, empty.root);
        let world = Self {
            disk,
            now: UnixMillis::new(1_795_000_000_000),
            log: None,
            oracle,
            bounds,
            options: Options { segment_bytes_max },
            trace: Trace::default(),
            next_ticket: 0,
        };
        world.set_fates(|_, _| Fate::Succeed);
        world
    }

    /// What each operation on the disk comes to, from now on.
    pub(crate) fn set_fates(&self, mut fates: impl FnMut(Operation, &str) -> Fate + Send + 'static) {
        let trace = self.trace.clone();
        self.disk.set_fates(Some(Box::new(move |operation, path| {
            let fate = fates(operation, path);
            trace.push(format!("    {operation} {path}: {fate:?}"));
            fate
        })));
    }

    /// What happened so far, a line each.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.0.lock().unwrap().clone()
    }

    /// Opens the log. What recovery promises is checked at once.
    pub(crate) fn start(&mut self) -> Result<RecoveryReport, OpenError> {
        assert!(self.log.is_none(), "one process at a time");
        let opened = open(self.disk.clone(), &identity(), &self.options);
        let Opened { journal, tiles, head, published, report, .. } = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.trace.push(format!("open: {error:?}"));
                return Err(error);
            }
        };
        self.trace.push(format!("open: {report:?}"));
        assert!(published.size >= self.oracle.published, "INV-2: what is public went back");
        for (ticket, index) in &self.oracle.answered {
            assert!(index.is_in(head.range.size()), "INV-3: ticket {ticket} was answered and is lost");
        }
        let last_signed = self.oracle.signed.keys().next_back().copied().unwrap_or_default();
        assert!(last_signed <= head.range.size(), "INV-3: a tree was signed that is lost");
        let head = Head { range: head.range, time: head.time };
        let name = KEY.verifier_key().name().clone();
        let mut log = Running {
            sequencer: Sequencer::new(name, self.bounds, head, published.size),
            journal,
            tiles,
            committing: VecDeque::new(),
            signing: VecDeque::new(),
            applying: VecDeque::new(),
            halted: false,
            stopped: false,
        };
        let effects = log.sequencer.start(self.now);
        self.log = Some(log);
        self.sort(effects);
        Ok(report)
    }

    /// Asks for an entry with `sealed` bytes of sealed record, none if 0.
    pub(crate) fn append(&mut self, sealed: usize) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let sealed: Vec<u8> = (0..sealed).map(|at| (at as u64 * 31 + ticket) as u8).collect();
        let entry = entry(ticket, &sealed);
        let named = entry.sealed.is_some().then(|| sealed.clone());
        let draft = Draft::new(entry.clone(), named).unwrap();
        self.oracle.asked.insert(ticket, (entry, sealed));
        self.event(Event::Append { ticket, draft });
    }

    pub(crate) fn event(&mut self, event: Event<u64>) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            let effects = log.sequencer.handle(now, event);
            self.sort(effects);
        }
    }

    /// Does the next thing that the commit thread would do; `false` if there is none.
    pub(crate) fn step_commit(&mut self) -> bool {
        let Some(effect) = self.log.as_mut().and_then(|log| log.committing.pop_front()) else {
            return false;
        };
        self.trace.push(brief(&effect));
        let Some(log) = &mut self.log else { return false };
        match effect {
            Effect::Stage(batch) => {
                let outcome = log.journal.stage(&batch);
                self.report(Event::Staged(outcome));
            }
            Effect::Commit => {
                let outcome = log.journal.commit();
                self.report(Event::Committed(outcome));
            }
            other => unreachable!("{other:?} is not for the commit thread"),
        }
        true
    }

    /// Signs the next checkpoint; `false` if there is none.
    pub(crate) fn step_sign(&mut self) -> bool {
        let Some(checkpoint) = self.log.as_mut().and_then(|log| log.signing.pop_front()) else {
            return false;
        };
        self.check_signing(&checkpoint);
        self.report(Event::Signed(sign(&checkpoint).into()));
        true
    }

    /// Does the next thing that the apply thread would do; `false` if there is none.
    pub(crate) fn step_apply(&mut self) -> bool {
        let Some(effect) = self.log.as_mut().and_then(|log| log.applying.pop_front()) else {
            return false;
        };
        self.trace.push(brief(&effect));
        let Some(log) = &mut self.log else { return false };
        let outcome = match effect {
            Effect::Apply(batches) => log.tiles.apply(&batches),
            Effect::Publish { checkpoint, note } => {
                let outcome = log.tiles.publish(&checkpoint, &note);
                if matches!(outcome, Outcome::Stored) {
                    assert!(checkpoint.size >= self.oracle.published, "INV-2: what is public went back");
                    self.oracle.published = checkpoint.size;
                }
                outcome
            }
            Effect::Recycle => log.tiles.recycle(),
            Effect::Settle => log.tiles.settle(),
            other => unreachable!("{other:?} is not for the apply thread"),
        };
        self.report(Event::Applied(outcome));
        true
    }

    /// Does everything there is to do, commit thread first.
    pub(crate) fn run_dry(&mut self) {
        while self.step_commit() || self.step_sign() || self.step_apply() {}
    }

    /// Ends the process without notice; the power stays.
    pub(crate) fn kill(&mut self) {
        self.log = None;
        self.disk.kill_process();
        self.trace.push("killed".to_owned());
    }

    /// Takes the power away and gives it back.
    pub(crate) fn lose_power(&mut self) {
        self.log = None;
        self.disk.lose_power();
        self.disk.restore_power();
        self.trace.push("power lost".to_owned());
    }

    fn report(&mut self, event: Event<u64>) {
        self.trace.push(format!("  {event:?}"));
        self.event(event);
    }

    fn sort(&mut self, effects: Vec<Effect<u64>>) {
        for effect in effects {
            match effect {
                Effect::Stage(_) | Effect::Commit => self.log.as_mut().unwrap().committing.push_back(effect),
                Effect::Sign(checkpoint) => self.log.as_mut().unwrap().signing.push_back(checkpoint),
                Effect::Apply(_) | Effect::Publish { .. } | Effect::Recycle | Effect::Settle => {
                    self.log.as_mut().unwrap().applying.push_back(effect);
                }
                Effect::Answer(answered) => {
                    self.trace.push(format!("answer {:?}", answered.tickets));
                    self.check_answer(&answered);
                }
                Effect::Refuse { ticket, refusal } => {
                    self.trace.push(format!("refuse {ticket}: {refusal:?}"));
                    assert!(!self.oracle.answered.contains_key(&ticket), "INV-5: answered and refused");
                    if !matches!(refusal, Refusal::Unknown(_)) {
                        self.oracle.refused.insert(ticket);
                    }
                }
                Effect::Halt(halt) => {
                    self.trace.push(format!("halt: {halt:?}"));
                    self.log.as_mut().unwrap().halted = true;
                }
                Effect::Stopped => self.log.as_mut().unwrap().stopped = true,
                other => unreachable!("{other:?} is new"),
            }
        }
    }

    /// INV-1 and INV-3: no second root for a size, and what is signed is there after the worst of power losses.
    fn check_signing(&mut self, checkpoint: &Checkpoint) {
        let known = self.oracle.signed.insert(checkpoint.size, checkpoint.root);
        assert!(known.is_none_or(|root| root == checkpoint.root), "INV-1: two roots for {}", checkpoint.size);
        let durable = self.disk.durable_copy();
        let opened = open(durable, &identity(), &self.options);
        let size = opened.expect("what is durable opens").head.range.size();
        assert!(size >= checkpoint.size, "INV-3: size {} is signed, {size} is durable", checkpoint.size);
    }

    /// INV-4, INV-5 and INV-9: each answer is proved by a signed checkpoint, which INV-3 has durable.
    fn check_answer(&mut self, answered: &ledgerstone::log::Answered<u64>) {
        let batch = &answered.batch;
        let signed = self.oracle.signed.get(&batch.size());
        assert_eq!(signed, Some(&batch.root()), "INV-9: answered before it was durable and signed");
        let head = identity_verifier().verify(answered.checkpoint.as_bytes()).unwrap();
        assert_eq!((head.size, head.root), (batch.size(), batch.root()));
        for ((index, leaf), ticket) in (batch.first().get()..).zip(batch.leaves()).zip(&answered.tickets) {
            let index = LeafIndex::new(index);
            let proof = batch.prove(index).unwrap();
            inclusion::verify(leaf, index, head.size, &proof, &head.root).expect("INV-4: the proof holds");
            let before = self.oracle.answered.insert(*ticket, index);
            assert!(before.is_none(), "INV-5: ticket {ticket} was answered twice");
            assert!(!self.oracle.refused.contains(ticket), "INV-5: refused and answered");
        }
    }

    /// Reads the log as a stranger would and holds it against everything that was promised.
    pub(crate) fn check_public(&self) {
        let reader = FsReader::new(self.disk.clone());
        let head = identity_verifier().verify(&reader.checkpoint().unwrap()).unwrap();
        assert!(head.size >= self.oracle.published, "INV-2: what is public went back");
        let mut expected = ExpectedFiles::default();
        let mut last = UnixMillis::default();
        let mut seen = BTreeSet::new();
        let files = self.disk.files();
        for (index, bytes, sealed) in entries(&files, head.size) {
            let entry = Entry::decode(&bytes).unwrap();
            assert!(entry.recorded_at >= last, "INV-2: time went back at {index}");
            last = entry.recorded_at;
            let ticket = entry.sequence;
            assert!(seen.insert(ticket), "INV-5: ticket {ticket} has two indices");
            assert!(!self.oracle.refused.contains(&ticket), "ticket {ticket} was refused and is in the log");
            let (asked, asked_sealed) = &self.oracle.asked[&ticket];
            assert_eq!(Entry { recorded_at: last, ..asked.clone() }, entry, "INV-5: another entry");
            assert_eq!(*asked_sealed, sealed, "another sealed record");
            expected.push(bytes, &sealed);
            let signed = self.oracle.signed.get(&expected.edge.size());
            assert!(
                signed.is_none_or(|root| *root == expected.tree.root()),
                "INV-1: a signed root is not the tree's"
            );
            let given = self.oracle.answered.get(&ticket);
            assert!(given.is_none_or(|given| given.get() == index), "INV-5: answered with another index");
        }
        assert_eq!(head.root, expected.tree.root(), "INV-1: the public root is the tree's");
        expected.check(&files);
        if let Some(last) = head.size.last_index() {
            reader.entry(last, head.size).unwrap();
            reader.sealed(last).unwrap();
        }
    }

    /// Everything answered is public.
    pub(crate) fn check_all_public(&self) {
        let size = FsReader::new(self.disk.clone()).size().unwrap();
        for (ticket, index) in &self.oracle.answered {
            assert!(index.is_in(size), "INV-4: ticket {ticket} was answered and is not public");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace();
            let lines = if std::env::var("SIM_SEED").is_ok() { trace.len() } else { LINES_PRINTED };
            eprintln!("{}", trace[trace.len().saturating_sub(lines)..].join("\n"));
        }
    }
}

fn identity_verifier() -> LogVerifier {
    LogVerifier::new(vec![KEY.verifier_key().clone()]).unwrap()
}

/// The entries of the public tree with index and sealed record, read file by file.
fn entries(files: &BTreeMap<String, Vec<u8>>, size: TreeSize) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for path in paths(size).filter(|path| path.kind() == TileKind::Entries) {
        let bundle = files.get(&format!("log/{path}")).unwrap_or_else(|| panic!("INV-6: {path} is missing"));
        let mut sealed = files.get(&format!("sealed/{:03}", path.index())).map_or(&[][..], |file| file);
        for (index, bytes) in (path.start().get()..).zip(EntryBundle::decode(bundle).unwrap()) {
            let named = Entry::decode(bytes).unwrap().sealed.map_or(0, |named| named.length);
            let (record, rest) = sealed.split_at(usize::try_from(named).unwrap());
            found.push((index, bytes.to_vec(), record.to_vec()));
            sealed = rest;
        }
    }
    found
}

/// The files an uninterrupted run leaves (INV-6), made entry by entry.
#[derive(Default)]
struct ExpectedFiles {
    tree: MemoryNodes,
    edge: TileEdge,
    tiles: BTreeMap<TilePath, Vec<u8>>,
    entries: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
}

impl ExpectedFiles {
    fn push(&mut self, entry: Vec<u8>, sealed: &[u8]) {
        let leaf = ledgerstone::hash::leaf_hash(&entry);
        self.tree.push(leaf);
        self.edge.push(leaf, &mut |path, bytes| {
            self.tiles.insert(path, bytes);
        });
        if self.entries.len().is_multiple_of(usize::from(TILE_WIDTH)) {
            self.sealed.push(Vec::new());
        }
        self.entries.push(entry);
        self.sealed.last_mut().unwrap().extend_from_slice(sealed);
    }

    fn check(&self, files: &BTreeMap<String, Vec<u8>>) {
        for path in paths(self.edge.size()) {
            let found = files.get(&format!("log/{path}"));
            let partial = || self.edge.partials().find(|(tile, _)| *tile == path).map(|(_, bytes)| bytes);
            let expected = match path.kind() {
                TileKind::Hashes(_) => self.tiles.get(&path).cloned().or_else(partial),
                TileKind::Entries => {
                    let start = usize::try_from(path.start().get()).unwrap();
                    let entries = &self.entries[start..start + usize::from(path.width())];
                    Some(EntryBundle::encode(entries).unwrap())
                }
            };
            assert_eq!(found, expected.as_ref(), "INV-6: {path} is not what an uninterrupted run leaves");
        }
        for (bundle, expected) in self.sealed.iter().enumerate() {
            let found = files.get(&format!("sealed/{bundle:03}")).cloned().unwrap_or_default();
            // What follows belongs to entries that are committed but not public yet.
            let found = found.get(..expected.len());
            assert_eq!(found, Some(&expected[..]), "INV-6: sealed records of bundle {bundle}");
        }
    }
}

/// An effect without the bytes of its batches.
fn brief(effect: &Effect<u64>) -> String {
    match effect {
        Effect::Stage(batch) => format!("stage {}..{}", batch.first(), batch.size()),
        Effect::Apply(batches) => format!("apply up to {:?}", batches.last().map(|batch| batch.size())),
        other => format!("{other:?}"),
    }
}

/// The entry of a ticket. Its sequence says which ticket.
fn entry(ticket: u64, sealed: &[u8]) -> Entry {
    let writer = WriterName::parse("simulation").unwrap();
    let session = SessionId::from_bytes([1; 16]);
    if sealed.is_empty() {
        let details = HeartbeatDetails { in_flight: 0, lowest_in_flight: ticket };
        return Entry::heartbeat(writer, session, ticket, details);
    }
    let mut id = [2; 16];
    id[..8].copy_from_slice(&ticket.to_be_bytes());
    let commitment = Commitment { root: Hash::of(&ticket.to_be_bytes()), count: 1 };
    let details = DecisionDetails { status: 0 };
    let mut entry = Entry::decision(writer, session, ticket, DecisionId::from_bytes(id), commitment, details);
    entry.model = Some(Hash::of(b"model"));
    entry.mode = Some(ledgerstone::entry::Mode::Strict);
    entry.sealed = Some(SealedRef::of(sealed));
    entry
}

/// SplitMix64: one seed, one world.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
