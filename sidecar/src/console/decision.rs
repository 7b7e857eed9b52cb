//! One decision: the entries about it as the log shows them to everybody, each with the proof that it is in the tree.
//!
//! Guarantees: entries and proofs go out as they are; who gets them checks them against the checkpoint that comes along. Nothing sealed
//! is opened. Does not do: believing the lookup index ([`ReceiptService`](crate::receipts::ReceiptService) reads what it names).

use ledgerstone::encoding::base64_encode;
use ledgerstone::entry::DecisionId;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use serde_json::{Value as Json, json};
use tokio::task::spawn_blocking;

use super::Open;
use crate::reader::LogReadError;
use crate::receipts::ServeError;

/// Entries about one decision that are handed out; of about 2 KiB each with its proof they make 128 KiB.
const ENTRIES_MAX: usize = 64;

/// The entries about `decision`, or why there are none to show.
///
/// # Errors
/// [`ServeError`] says whether to ask again.
pub(super) async fn shown(open: &Open, decision: DecisionId) -> Result<Json, ServeError> {
    let places = open.receipts.decision(decision, open.log.published().size).await?;
    let log = open.log.clone();
    let read = move || -> Result<Json, LogReadError> {
        let published = log.published();
        let prove = |(index, entry): &(LeafIndex, ledgerstone::entry::Entry)| -> Result<Json, LogReadError> {
            let encoded = |hash: &Hash| base64_encode(hash.as_bytes());
            let proof: Vec<String> = log.inclusion(*index, published.size)?.iter().map(encoded).collect();
            let kind = entry.kind.as_str();
            Ok(
                json!({"index": index.get(), "kind": kind, "entry": base64_encode(&log.entry(*index)?), "proof": proof}),
            )
        };
        let entries: Result<Vec<Json>, _> = places.entries.iter().take(ENTRIES_MAX).map(prove).collect();
        Ok(json!({
            "decision": decision.to_string(),
            "checkpoint": &*published.checkpoint,
            "entries": entries?,
            "withheld": places.entries.len().saturating_sub(ENTRIES_MAX),
        }))
    };
    Ok(spawn_blocking(read).await.map_err(|_| ServeError::Defect)??)
}
