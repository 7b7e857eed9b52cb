//! Evidence bundles of a log that is made up in memory: of a scorecard, where every decision follows from its record, or of any model and records.

use ledgerstone::entry::{DecisionDetails, Entry, Mode, SessionId, WriterName};
use ledgerstone::evidence::{FORMAT, Header, ModelPart, RecordPart, Run, Selection, part};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::manifest::Manifest;
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::subtree::{self, Subtree};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::{Record, RecordBuilder, RecordSecret, Value, encode_contents, schema};
use ledgerstone::time::UnixMillis;

use crate::log;

/// Entries of one part: those of one full tile.
const PART: usize = 256;

/// Twice the value.
const CARD: &str = r#"{"format": "ledgerstone-scorecard/v1", "name": "doubler", "adverse": "low", "link": "identity", "base": 0,
    "terms": [{"feature": "value", "coefficient": 2}]}"#;

/// How it is recomputed.
pub(crate) const DESCRIPTION: &str = r#"{"format": "ledgerstone-recompute/v1", "model": "card.json", "dtype": "FP64",
    "scores": [{"name": "score", "of": "margins"}]}"#;

/// What a bundle is made of.
pub(crate) struct Evidence {
    /// Decisions in the log.
    pub(crate) decisions: u64,
    /// Tells bundles of one length apart.
    pub(crate) number: u64,
    /// Whether the model comes with its description.
    pub(crate) is_described: bool,
}

impl Evidence {
    pub(crate) const fn of(decisions: u64, number: u64) -> Self {
        Self { decisions, number, is_described: true }
    }

    /// The bundle's file.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        zstd::bulk::compress(&self.archive(), 1).expect("a frame")
    }

    /// The archive in it.
    pub(crate) fn archive(&self) -> Vec<u8> {
        let mut files = vec![("card.json", CARD)];
        if self.is_described {
            files.push(("recompute.json", DESCRIPTION));
        }
        let files: Vec<_> =
            files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
        let model = root(&files);
        let decisions: Vec<_> = (0..self.decisions).map(|place| (self.record(place, model), None)).collect();
        archive(&files, &decisions)
    }

    fn record(&self, place: u64, model: Hash) -> Record {
        let value = (self.number * 1_000_000 + place) as f64 + 0.5;
        let fields = [
            (schema::MODEL_DIGEST, Value::from(model)),
            (schema::feature("value").expect("a path"), Value::Float(value)),
            (schema::score("score").expect("a path"), Value::Float(2.0 * value)),
        ];
        let builder = fields.into_iter().fold(RecordBuilder::new(), |builder, (path, value)| {
            builder.field(path, value).expect("a field")
        });
        builder.build().expect("a record")
    }
}

/// A model's files by name.
type Files = [(String, Vec<u8>)];

/// What decisions name a model's folder by.
pub(crate) fn root(files: &Files) -> Hash {
    let manifest = Manifest::new(files.iter().map(|(name, bytes)| (name.clone(), Hash::of(bytes))));
    manifest.expect("a manifest").root()
}

/// The bundle of one model and its decisions, each with the response that is kept of it.
#[allow(dead_code, reason = "not every test decides by a model of its own")]
pub(crate) fn bundle(files: &Files, decisions: &[(Record, Option<Vec<u8>>)]) -> Vec<u8> {
    zstd::bulk::compress(&archive(files, decisions), 1).expect("a frame")
}

fn archive(files: &Files, decisions: &[(Record, Option<Vec<u8>>)]) -> Vec<u8> {
    let model = root(files);
    let entries: Vec<_> = (0..)
        .zip(decisions)
        .map(|(place, (record, response))| decision(place, model, record, response.as_deref()))
        .collect();
    let nodes: MemoryNodes = entries.iter().map(|(entry, _)| leaf_hash(entry)).collect();
    let (size, root) = (nodes.size(), nodes.root());
    let keys = log::keys(log::ORIGIN, 1);
    let header = Header {
        format: FORMAT.to_owned(),
        origin: log::ORIGIN.to_owned(),
        tree_size: size.get(),
        root: root.to_string(),
        selection: Selection::Range { first_index: 0, last_index: entries.len() as u64 - 1 },
        entries: entries.len() as u64,
        runs: entries.len().div_ceil(PART) as u64,
        models: vec![ModelPart {
            digest: model.to_string(),
            files: files.len() as u64,
            bytes: files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        }],
        registrations: 0,
    };
    let mut archive = tar::Builder::new(Vec::new());
    let mut member = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).expect("a member");
    };
    member(part::HEADER, &serde_json::to_vec(&header).expect("a header"));
    member(part::CHECKPOINT, keys.sign(&keys.checkpoint(size, root)).as_bytes());
    member(part::POLICY, log::policy(&keys).to_string().as_bytes());
    for (name, bytes) in files {
        member(&format!("{}{model}/{name}", part::MODELS), bytes);
    }
    for (number, entries) in entries.chunks(PART).enumerate() {
        let first = (number * PART) as u64;
        let end = TreeSize::new(first + entries.len() as u64);
        let subtree = Subtree::new(LeafIndex::new(first), end).expect("a subtree");
        let proof = subtree::prove_consistency(&nodes, subtree, size).expect("a proof");
        let run = Run { first: LeafIndex::new(first), entries: entries.to_vec(), proof };
        member(&format!("{}{first:012}.cbor", part::RUNS), &run.encode());
    }
    archive.into_inner().expect("an archive")
}

fn decision(place: u64, model: Hash, record: &Record, response: Option<&[u8]>) -> (Vec<u8>, RecordPart) {
    let mut secret = [0x5e; 32];
    secret[..8].copy_from_slice(&place.to_be_bytes());
    let secret = RecordSecret::from_bytes(secret);
    let mut entry = Entry::decision(
        WriterName::parse("sidecar-1").expect("a name"),
        SessionId::from_bytes([1; 16]),
        place + 1,
        log::decision_id(place),
        record.commit(&secret).commitment(),
        DecisionDetails { status: 0 },
    );
    entry.model = Some(model);
    entry.mode = Some(Mode::Strict);
    entry.recorded_at = UnixMillis::new(1_795_000_000_000 + place);
    let contents = encode_contents(&secret, record, None, response);
    (entry.encode().expect("an entry"), RecordPart::Opened(contents))
}
