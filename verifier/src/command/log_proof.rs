//! `ledgerstone log proof`: the proof that an entry stands in the log, as `c2sp.org/tlog-proof@v1`.
//!
//! Guarantees: a proof is printed only if it leads from the stored entry to the checkpoint's root. Does not do: checking
//! the checkpoint's signatures; whoever gets the proof does, with their own policy.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::receipt::TlogProof;
use serde::Serialize;

use super::{log_checkpoint, proved};
use crate::cli::LogProofArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source::{self, Source, read_input};

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
    let web = arguments.network.options();
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
    let mut proof = None;
    proved::entries(source, signed.checkpoint(), &[index.get()], |entry| {
        proof = Some((entry.leaf, entry.hashes.clone()));
        Ok(())
    })?;
    proof.ok_or_else(|| Refusal::new(Code::Internal, "the entry was not proved", "Report this."))
}
