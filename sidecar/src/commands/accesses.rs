//! `record accesses`: who opened records, as the log's access entries and their sealed records say.
//!
//! Guarantees: one line of JSON for each, in the log's order; one whose record does not open is printed without its reader, and says so. Does not do:
//! opening the records that were read.

use std::io::Write;

use anyhow::{Context as _, Result};
use ledgerstone::entry::{DecisionId, Entry, Kind, KindDetails};
use ledgerstone::record::schema::{CALLER_ADDRESS, CALLER_PRINCIPAL, CALLER_WORKLOAD};
use ledgerstone::record::{FieldPath, Record, Value};
use ledgerstone::tile::TILE_WIDTH;
use serde_json::{Value as Json, json};

use crate::config::Config;
use crate::keyring::RecordKeys;
use crate::reader::{LogReader, Stored};

/// Prints who read, of all records or of one decision's: those named by it, and stretches of the log that its entries are in.
///
/// # Errors
/// If the log or the keys cannot be read.
pub fn accesses(config: &Config, decision: Option<&str>, out: &mut impl Write) -> Result<()> {
    let decision = decision.map(DecisionId::parse).transpose().context("DECISION_ID")?;
    let store = &config.log.store;
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    let keys = super::record_keys(config)?;
    let (size, mut about) = (log.published().size.get(), Vec::new());
    for number in 0..size.div_ceil(u64::from(TILE_WIDTH)) {
        for stored in log.records(&log.bundle(number)?, |_, _| false)? {
            let Stored { index, entry, .. } = &stored;
            if entry.kind != Kind::Access {
                if decision.is_some() && entry.decision == decision {
                    about.push(index.get());
                }
                continue;
            }
            if decision.is_none() || is_of(entry, decision, &about) {
                writeln!(out, "{}", printed(&log, keys.as_ref(), &stored)?)?;
            }
        }
    }
    Ok(())
}

/// Whether an access was to records of the decision, whose entries so far are at `about`.
fn is_of(entry: &Entry, decision: Option<DecisionId>, about: &[u64]) -> bool {
    let stretch = match entry.kind_details() {
        Ok(KindDetails::Access(access)) => access.stretch,
        _ => None,
    };
    entry.decision == decision
        || stretch.is_some_and(|(first, last)| about.iter().any(|index| (first..=last).contains(index)))
}

fn printed(log: &LogReader, keys: &dyn RecordKeys, stored: &Stored) -> Result<Json> {
    let Stored { index, entry, .. } = stored;
    let (purpose, stretch) = match entry.kind_details() {
        Ok(KindDetails::Access(access)) => (access.purpose.as_str(), access.stretch),
        _ => ("", None),
    };
    let opened = log.opened(keys, *index, entry)?.and_then(std::result::Result::ok);
    let content = opened.filter(|content| content.committed(entry).is_some());
    let said = |path: &FieldPath| content.as_ref().and_then(|content| text(&content.record, path));
    Ok(json!({
        "leaf_index": index.get(),
        "recorded_at": entry.recorded_at.to_string(),
        "purpose": purpose,
        "decision_id": entry.decision.map(|decision| decision.to_string()),
        "read": entry.links.iter().map(|link| link.get()).collect::<Vec<_>>(),
        "read_from_to": stretch.map(|(first, last)| [first, last]),
        "reader": if content.is_some() { "opened" } else { "closed" },
        "workload": said(&CALLER_WORKLOAD),
        "principal": said(&CALLER_PRINCIPAL),
        "address": said(&CALLER_ADDRESS),
    }))
}

fn text(record: &Record, path: &FieldPath) -> Option<String> {
    match record.value(path) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}
