//! `ledgerstone log checkpoint`: the log's newest signed statement, byte for byte, to keep.
//!
//! Guarantees: prints the bytes as signed; with a policy prints them only if they verify. Does not do: walking the log.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::verify::{self, Verdict};
use serde::Serialize;

use super::trust;
use crate::cli::LogCheckpointArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output};
use crate::source::{self, Source};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-checkpoint/v1";

/// A checkpoint as JSON.
#[derive(Serialize)]
struct CheckpointJson {
    format: &'static str,
    origin: String,
    tree_size: u64,
    root: String,
    /// Whether the signatures were checked against a policy; they are right where this is true.
    verified: bool,
    note: String,
}

/// Prints the checkpoint.
///
/// # Errors
/// It cannot be read or is malformed.
pub(super) fn run(arguments: &LogCheckpointArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let note = source.checkpoint()?;
    let signed = parse(source.as_ref(), &note)?;
    if let Some(policy) = &policy {
        let (report, _) = verify::checkpoint(&note, Some(policy));
        if report.verdict() != Verdict::Verified {
            let next = vec![
                "Check that the policy is this log's; do not keep this checkpoint as a true one.".to_owned(),
            ];
            let meaning = "this checkpoint is not to be relied on";
            return output.answer(&Answer { report, meaning, next });
        }
    }
    let note = String::from_utf8_lossy(&note).into_owned();
    if output.is_json() {
        let checkpoint = signed.checkpoint();
        output.json(&CheckpointJson {
            format: FORMAT,
            origin: checkpoint.origin.to_string(),
            tree_size: checkpoint.size.get(),
            root: checkpoint.root.to_string(),
            verified: policy.is_some(),
            note,
        })?;
        return Ok(Exit::Verified);
    }
    output.print(&note)?;
    output.remark(match policy {
        Some(_) => "Verified: signed by the keys of your policy.",
        None => "Printed, not verified: give --policy FILE to have the signatures checked.",
    });
    Ok(Exit::Verified)
}

/// The checkpoint in `note`, which came from `source`.
///
/// # Errors
/// It is none.
pub(super) fn parse(source: &dyn Source, note: &[u8]) -> Result<SignedCheckpoint, Refusal> {
    SignedCheckpoint::parse(note).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("the checkpoint of {} cannot be used: {error}", source.label()),
            "Run `ledgerstone verify log` on it to see what else is wrong.",
        )
    })
}
