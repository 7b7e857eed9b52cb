//! `ledgerstone log proof`: the proof that an entry stands in the log, as `c2sp.org/tlog-proof@v1`.
//!
//! Guarantees: a proof is printed only if it leads from the stored entry to the checkpoint's root. Does not do: checking
//! the checkpoint's signatures; whoever gets the proof does, with their own policy.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::code::Code;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::receipt::TlogProof;
use ledgerstone::tile::{TILE_WIDTH, TileNodes, TilePath, TileSource};
use serde::Serialize;

use super::log_checkpoint;
use super::log_entries::{decode, read_bundle};
use crate::cli::LogProofArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source::{self, ReadError, Source, TILE_BYTES_MAX, WebOptions, read_input};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-proof/v1";

/// A proof as JSON.
#[derive(Serialize)]
struct ProofJson {
    format: &'static str,
    origin: String,
    leaf_index: u64,
    tree_size: u64,
    leaf_hash: String,
    hashes: Vec<String>,
    tlog_proof: String,
}

/// Prints the proof.
///
/// # Errors
/// The log cannot be read, has no such entry, or its tiles do not lead to the checkpoint's root.
pub(super) fn run(arguments: &LogProofArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let web = WebOptions { ca: arguments.network.ca.clone() };
    let source = source::open(&arguments.source, &web)?;
    let newest = source.checkpoint()?;
    let newest_size = log_checkpoint::parse(source.as_ref(), &newest)?.checkpoint().size;
    let note = match &arguments.checkpoint {
        Some(path) => read_input(path, NOTE_BYTES_MAX)?,
        None => newest,
    };
    let signed = log_checkpoint::parse(source.as_ref(), &note)?;
    check_size(arguments, &signed, newest_size)?;
    let index = LeafIndex::new(arguments.index);
    let (leaf, hashes) = prove(source.as_ref(), index, &signed)?;
    let proof =
        TlogProof { extra: None, index, hashes, checkpoint: String::from_utf8_lossy(&note).into_owned() };
    if !output.is_json() {
        output.print(&proof.to_string())?;
        return Ok(Exit::Verified);
    }
    output.json(&ProofJson {
        format: FORMAT,
        origin: signed.checkpoint().origin.to_string(),
        leaf_index: index.get(),
        tree_size: signed.checkpoint().size.get(),
        leaf_hash: leaf.to_string(),
        hashes: proof.hashes.iter().map(ToString::to_string).collect(),
        tlog_proof: proof.to_string(),
    })?;
    Ok(Exit::Verified)
}

/// Refuses sizes and indices for which there is no signed tree.
fn check_size(
    arguments: &LogProofArguments,
    signed: &SignedCheckpoint,
    newest: TreeSize,
) -> Result<(), Refusal> {
    let size = signed.checkpoint().size;
    if let Some(wanted) = arguments.size.filter(|wanted| *wanted != size.get()) {
        return Err(Refusal::usage(
            format_args!("the checkpoint is for size {size}, not {wanted}, and a proof needs a signed one"),
            "Give --checkpoint FILE with a checkpoint of that size, or leave --size out.",
        ));
    }
    if size > newest {
        return Err(Refusal::usage(
            format_args!("the checkpoint is for size {size}, but this log only reaches {newest}"),
            "Use a newer copy of the log.",
        ));
    }
    if arguments.index < size.get() {
        return Ok(());
    }
    Err(Refusal::usage(
        format_args!(
            "there is no entry {} in a tree of {}, counted from 0",
            arguments.index,
            plural(size.get(), "entry", "entries")
        ),
        "Ask for a leaf index below that number.",
    ))
}

/// The leaf hash of the stored entry and its proof, checked against the checkpoint's root.
fn prove(
    source: &dyn Source,
    index: LeafIndex,
    signed: &SignedCheckpoint,
) -> Result<(Hash, Vec<Hash>), Refusal> {
    let checkpoint = signed.checkpoint();
    let bundle = index.get() / u64::from(TILE_WIDTH);
    let bytes = read_bundle(source, bundle, checkpoint.size)?;
    let entries = decode(source, bundle, &bytes)?;
    let place = usize::try_from(index.get() % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
    let entry = entries.get(place).ok_or_else(|| unprovable("its bundle is too short", Code::Malformed))?;
    let leaf = leaf_hash(entry);
    let tiles = Tiles(source);
    let nodes = TileNodes::new(&tiles, checkpoint.size);
    let hashes = inclusion::prove(&nodes, index, checkpoint.size)
        .map_err(|error| unprovable(&chain(&error), error.code()))?;
    inclusion::verify(&leaf, index, checkpoint.size, &hashes, &checkpoint.root)
        .map_err(|error| unprovable(&error.to_string(), error.code()))?;
    Ok((leaf, hashes))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn unprovable(why: &str, code: Code) -> Refusal {
    Refusal::new(
        code,
        format_args!("the entry cannot be proved: {why}"),
        "Run `ledgerstone verify log` to see which file of the log is wrong.",
    )
}

/// The tiles at a source.
struct Tiles<'a>(&'a dyn Source);

impl TileSource for Tiles<'_> {
    type Error = ReadError;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, ReadError> {
        self.0.read(&path.to_string(), TILE_BYTES_MAX)
    }
}
