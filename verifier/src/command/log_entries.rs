//! `ledgerstone log entries`: lists entries, one a line.
//!
//! Guarantees: memory does not grow with the log; every byte string and time of an entry is in the JSON. Does not do:
//! verifying; it says so.

use std::ops::RangeInclusive;

use ledgerstone::encoding::hex_encode;
use ledgerstone::entry::{Detail, Entry};
use ledgerstone::hash::leaf_hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::tile::{EntryBundle, TILE_WIDTH, TileKind, TilePath};
use serde::Serialize;

use super::log_checkpoint;
use crate::cli::LogEntriesArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, printable};
use crate::source::{self, ReadError, Source, TILE_BYTES_MAX};

/// The format of a line of this command's JSON.
const FORMAT: &str = "ledgerstone-entry/v1";

/// Lists the entries that the command line asks for.
///
/// # Errors
/// The log cannot be read, is malformed, or has no such entries.
pub(super) fn run(arguments: &LogEntriesArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let size = log_checkpoint::parse(source.as_ref(), &source.checkpoint()?)?.checkpoint().size;
    let mut exit = Exit::Verified;
    if let Some(range) = range(arguments, size)? {
        let width = u64::from(TILE_WIDTH);
        for bundle in range.start() / width..=range.end() / width {
            let bytes = read_bundle(source.as_ref(), bundle, size)?;
            let entries = decode(source.as_ref(), bundle, &bytes)?;
            for (index, bytes) in (bundle * width..).zip(entries).filter(|(index, _)| range.contains(index)) {
                if !line(LeafIndex::new(index), bytes, output)? {
                    exit = Exit::Malformed;
                }
                if output.is_closed() {
                    return Ok(exit);
                }
            }
        }
    }
    output.remark(
        "Listed, not verified: `ledgerstone verify log` checks that these are the entries that were signed.",
    );
    Ok(exit)
}

/// The indices asked for; nothing in an empty log of which nothing in particular is asked.
fn range(arguments: &LogEntriesArguments, size: TreeSize) -> Result<Option<RangeInclusive<u64>>, Refusal> {
    let Some(newest) = size.get().checked_sub(1) else {
        return if arguments.from == 0 && arguments.to.is_none() { Ok(None) } else { Err(outside(size)) };
    };
    let last = arguments.to.unwrap_or(newest);
    if arguments.from > last {
        return Err(Refusal::usage(
            format_args!("there is nothing from {} to {last}", arguments.from),
            "Give --from a leaf index that is not above --to.",
        ));
    }
    if last > newest { Err(outside(size)) } else { Ok(Some(arguments.from..=last)) }
}

fn outside(size: TreeSize) -> Refusal {
    Refusal::usage(
        format_args!(
            "the log's checkpoint covers {}, counted from 0",
            plural(size.get(), "entry", "entries")
        ),
        "Ask for leaf indices below that number.",
    )
}

/// The bytes of the bundle with this index in a tree of `size` leaves.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_bundle(source: &dyn Source, bundle: u64, size: TreeSize) -> Result<Vec<u8>, ReadError> {
    let full = TilePath::full(TileKind::Entries, bundle);
    let width = size.get().saturating_sub(full.start().get()).min(u64::from(TILE_WIDTH));
    let path =
        u16::try_from(width).ok().and_then(|width| TilePath::partial(TileKind::Entries, bundle, width).ok());
    let path = path.unwrap_or(full);
    match source.read(&path.to_string(), TILE_BYTES_MAX) {
        Err(error) if error.is_missing() && !path.is_full() => {
            source.read(&full.to_string(), TILE_BYTES_MAX).map_err(|_| error)
        }
        other => other,
    }
}

/// The entries in a bundle's bytes.
///
/// # Errors
/// They are no bundle.
pub(super) fn decode<'a>(
    source: &dyn Source,
    bundle: u64,
    bytes: &'a [u8],
) -> Result<Vec<&'a [u8]>, Refusal> {
    EntryBundle::decode(bytes).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!(
                "{} of {} cannot be used: {error}",
                TilePath::full(TileKind::Entries, bundle),
                source.label()
            ),
            "Run `ledgerstone verify log` on it to see what else is wrong.",
        )
    })
}

/// Prints one entry; false if its bytes are none.
fn line(index: LeafIndex, bytes: &[u8], output: &mut Output) -> Result<bool, Refusal> {
    let entry = Entry::decode(bytes);
    match (&entry, output.is_json()) {
        (Ok(entry), true) => output.json_line(&EntryJson::new(index, bytes, entry))?,
        (Ok(entry), false) => output.print(&text(index, entry))?,
        (Err(error), true) => output.json_line(&BrokenJson {
            format: FORMAT,
            leaf_index: index.get(),
            leaf_hash: leaf_hash(bytes).to_string(),
            error: error.to_string(),
        })?,
        (Err(error), false) => output.print(&format!(
            "{:>8}  cannot be read: {}\n",
            index.get(),
            printable(&error.to_string())
        ))?,
    }
    Ok(entry.is_ok())
}

/// One entry as a line of text.
fn text(index: LeafIndex, entry: &Entry) -> String {
    let kind = entry.kind.to_string();
    let decision = entry.decision.map_or_else(String::new, |decision| format!("  {decision}"));
    format!(
        "{:>8}  {}  {kind:<10}  {}  {:>6}{decision}\n",
        index.get(),
        entry.recorded_at,
        entry.writer,
        entry.sequence
    )
}

/// Bytes that should be an entry and are not.
#[derive(Serialize)]
struct BrokenJson {
    format: &'static str,
    leaf_index: u64,
    leaf_hash: String,
    error: String,
}

/// One entry as JSON. Hashes are lowercase hex.
#[derive(Serialize)]
struct EntryJson {
    format: &'static str,
    leaf_index: u64,
    leaf_hash: String,
    kind: &'static str,
    writer: String,
    session: String,
    sequence: u64,
    recorded_at: String,
    recorded_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<CommitmentJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    details: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct CommitmentJson {
    root: String,
    count: u32,
}

#[derive(Serialize)]
struct SealedJson {
    digest: String,
    length: u64,
}

impl EntryJson {
    fn new(index: LeafIndex, bytes: &[u8], entry: &Entry) -> Self {
        let details = entry.details.iter().map(|(key, detail)| (key.to_string(), detail_json(detail)));
        Self {
            format: FORMAT,
            leaf_index: index.get(),
            leaf_hash: leaf_hash(bytes).to_string(),
            kind: entry.kind.as_str(),
            writer: entry.writer.to_string(),
            session: entry.session.to_string(),
            sequence: entry.sequence,
            recorded_at: entry.recorded_at.to_string(),
            recorded_at_ms: entry.recorded_at.get(),
            decision_id: entry.decision.map(|decision| decision.to_string()),
            links: entry.links.iter().map(|link| link.get()).collect(),
            commitment: entry.commitment.map(|commitment| CommitmentJson {
                root: commitment.root.to_string(),
                count: commitment.count,
            }),
            sealed: entry
                .sealed
                .map(|sealed| SealedJson { digest: sealed.digest.to_string(), length: sealed.length }),
            model: entry.model.map(|model| model.to_string()),
            policy: entry.policy.map(|policy| policy.to_string()),
            mode: entry.mode.map(ledgerstone::entry::Mode::as_str),
            details: details.collect(),
        }
    }
}

fn detail_json(detail: &Detail) -> serde_json::Value {
    match detail {
        Detail::Uint(value) => (*value).into(),
        Detail::Bytes(value) => hex_encode(value).into(),
        Detail::Text(value) => value.as_str().into(),
        Detail::Bool(value) => (*value).into(),
    }
}
