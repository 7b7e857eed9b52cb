//! `record open`: decrypts the record of one decision, and of what was added to it, for the operator.
//!
//! Guarantees: reads the log's files only, so it runs beside a sidecar and without a lookup index; says whether the
//! record is the one that the entry commits to.

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use ledgerstone::encoding::base64_encode;
use ledgerstone::entry::{AccessPurpose, DecisionId, Entry, Kind, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::tile::TILE_WIDTH;
use serde_json::{Value as Json, json};

use super::reading;
use crate::access::reads::Read;
use crate::config::Config;
use crate::keyring::{KeyringError, RecordKeys};
#[cfg(feature = "notices")]
use crate::notices::Told;
use crate::reader::{LogReader, Stored};
use crate::seal::{OpenError, SealedContent};
use crate::value::fields_to_json;

/// Prints the record of `decision`, and those that were added to it, as JSON.
///
/// # Errors
/// If the log has no such decision, or its record does not open or is not the one the entry commits to.
pub fn open(config: &Config, decision: &str, out: &mut impl Write) -> Result<()> {
    let decision = DecisionId::parse(decision).context("DECISION_ID")?;
    let log = LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    let keys = super::record_keys(config)?;
    let mut places = find(&log, &decision)?;
    if !places.is_empty() {
        reading::note(config, AccessPurpose::Record, read(decision, &places))?;
    }
    let Some((index, entry)) = places.pop() else {
        bail!("the published log of {} entries has no decision {decision}", log.published().size);
    };
    let content = content(&log, keys.as_ref(), index, &entry)?
        .with_context(|| format!("entry {index} is decision {decision} and has no sealed record"))?;
    let mut shown = printed(index, &entry, &content);
    let mut later = Vec::new();
    for (index, entry) in places.iter().rev() {
        let content = self::content(&log, keys.as_ref(), *index, entry)?;
        let fields = content.map(|content| fields_to_json(content.record.fields()));
        later.push(json!({
            "kind": entry.kind.as_str(),
            "leaf_index": index.get(),
            "recorded_at": entry.recorded_at.to_string(),
            "fields": fields,
        }));
    }
    if let (false, Json::Object(shown)) = (later.is_empty(), &mut shown) {
        shown.insert("later".to_owned(), Json::Array(later));
    }
    let text = serde_json::to_string_pretty(&shown)?;
    writeln!(out, "{text}").context("the record cannot be printed")
}

/// The decision and everything that was added to it, opened, in the log's order.
///
/// # Errors
/// If the log has no such decision, or a record does not open or is not the one the entry commits to.
#[cfg(feature = "notices")]
pub(super) fn history(config: &Config, decision: &str) -> Result<Vec<Told>> {
    let decision = DecisionId::parse(decision).context("--decision")?;
    let log = LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    let keys = super::record_keys(config)?;
    let places = find(&log, &decision)?;
    if places.is_empty() {
        bail!("the published log of {} entries has no decision {decision}", log.published().size);
    }
    reading::note(config, AccessPurpose::Notice, read(decision, &places))?;
    let mut told = Vec::with_capacity(places.len());
    for (index, entry) in places.iter().rev() {
        if entry.commitment.is_none() {
            continue;
        }
        // Without it a reason or an outcome would be left out in silence.
        let content = content(&log, keys.as_ref(), *index, entry)?.with_context(|| {
            format!("the record of entry {index}, which is about the decision, is not there")
        })?;
        told.push(Told { kind: entry.kind, recorded_at: entry.recorded_at, record: content.record });
    }
    Ok(told)
}

/// What is read of a decision whose entries are at `places`, the newest first.
fn read(decision: DecisionId, places: &[(LeafIndex, Entry)]) -> Read {
    let records = places.iter().rev().filter(|(_, entry)| entry.commitment.is_some());
    Read::Of(decision, records.map(|(index, _)| *index).collect())
}

/// The opened record of the entry at `index`, if it has one and it is the one that the entry commits to.
fn content(
    log: &LogReader,
    keys: &dyn RecordKeys,
    index: LeafIndex,
    entry: &Entry,
) -> Result<Option<SealedContent>> {
    let content = log.opened(keys, index, entry)?.transpose();
    if let Err(OpenError::Keys(KeyringError::Erased { leaf })) = &content {
        bail!("the record of entry {index} was erased{}", erasure(log, *leaf));
    }
    let content = content.with_context(|| format!("the record of entry {index} does not open"))?;
    if content.as_ref().is_some_and(|content| content.committed(entry).is_none()) {
        bail!("the record of entry {index} is not the one that the entry commits to: keep both as evidence");
    }
    Ok(content)
}

/// What the log says of an erasure.
fn erasure(log: &LogReader, leaf: Option<LeafIndex>) -> String {
    let Some(leaf) = leaf else { return ": the entry that says so is on its way".to_owned() };
    let entry = log.entry(leaf).ok().and_then(|bytes| Entry::decode(&bytes).ok());
    match entry.as_ref().map(Entry::kind_details) {
        Some(Ok(KindDetails::Erasure(erasure))) => {
            let (ground, operator) = (erasure.ground.as_str(), &erasure.operator);
            format!(": entry {leaf} of the log says so (ground {ground}, operator {operator})")
        }
        _ => format!(": entry {leaf} of the log says so"),
    }
}

/// The entries about a decision, the newest first and its own last; none if the log has no such decision. The log is
/// searched from its end: decisions that somebody asks about are mostly recent.
fn find(log: &LogReader, decision: &DecisionId) -> Result<Vec<(LeafIndex, Entry)>> {
    let (size, mut found) = (log.published().size, Vec::new());
    for number in (0..size.get().div_ceil(u64::from(TILE_WIDTH))).rev() {
        let records = log.records(&log.bundle(number)?, |_, _| false)?;
        let about =
            records.into_iter().rev().filter(|record| record.entry.decision.as_ref() == Some(decision));
        let about = about.filter(|record| record.entry.kind != Kind::Access);
        for Stored { index, entry, .. } in about {
            let is_own = entry.kind == Kind::Decision;
            found.push((index, entry));
            if is_own {
                return Ok(found);
            }
        }
    }
    Ok(Vec::new())
}

fn printed(index: LeafIndex, entry: &Entry, content: &SealedContent) -> Json {
    let raw = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| base64_encode(bytes));
    json!({
        "decision_id": entry.decision.map(|decision| decision.to_string()),
        "leaf_index": index.get(),
        "recorded_at": entry.recorded_at.to_string(),
        "writer": entry.writer.as_str(),
        "fields": fields_to_json(content.record.fields()),
        "request_base64": raw(&content.request),
        "response_base64": raw(&content.response),
    })
}
