//! `record open`: decrypts the record of one decision for the operator.
//!
//! Guarantees: reads the log's files only, so it runs beside a sidecar and without a lookup index; says whether the
//! record is the one that the entry commits to.

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use ledgerstone::encoding::base64_encode;
use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::Value;
use ledgerstone::tile::TILE_WIDTH;
use serde_json::{Map, Value as Json, json};

use crate::config::Config;
use crate::keyring::FileKeyProvider;
use crate::reader::LogReader;
use crate::seal::{self, SealedContent};

/// Prints the record of `decision` as JSON.
///
/// # Errors
/// If the log has no such decision, or its record does not open or is not the one the entry commits to.
pub fn open(config: &Config, decision: &str, out: &mut impl Write) -> Result<()> {
    let decision = DecisionId::parse(decision).context("DECISION_ID")?;
    let log = LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    let keys = FileKeyProvider::load(&config.key_file)?;
    let Some((index, entry)) = find(&log, &decision)? else {
        bail!("the published log of {} entries has no decision {decision}", log.published().size);
    };
    let Some(sealed) = log.sealed(index)? else {
        bail!("entry {index} is decision {decision} and has no sealed record");
    };
    let content = seal::open(&keys, &decision, &sealed).context("the record does not open")?;
    if Some(content.record.commit(&content.secret).commitment()) != entry.commitment {
        bail!("the record of entry {index} is not the one that the entry commits to: keep both as evidence");
    }
    let text = serde_json::to_string_pretty(&printed(index, &entry, &content))?;
    writeln!(out, "{text}").context("the record cannot be printed")
}

/// Searches the log from its end: decisions that somebody asks about are mostly recent.
fn find(log: &LogReader, decision: &DecisionId) -> Result<Option<(LeafIndex, Entry)>> {
    let size = log.published().size;
    for number in (0..size.get().div_ceil(u64::from(TILE_WIDTH))).rev() {
        let records = log.records(&log.bundle(number)?, |_, _| false)?;
        let found = records.into_iter().find(|record| {
            record.entry.kind == Kind::Decision && record.entry.decision.as_ref() == Some(decision)
        });
        if let Some(record) = found {
            return Ok(Some((record.index, record.entry)));
        }
    }
    Ok(None)
}

fn printed(index: LeafIndex, entry: &Entry, content: &SealedContent) -> Json {
    let fields =
        content.record.fields().iter().map(|field| (field.path.as_str().to_owned(), value(&field.value)));
    let raw = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| base64_encode(bytes));
    json!({
        "decision_id": entry.decision.map(|decision| decision.to_string()),
        "leaf_index": index.get(),
        "recorded_at": entry.recorded_at.to_string(),
        "writer": entry.writer.as_str(),
        "fields": fields.collect::<Map<String, Json>>(),
        "request_base64": raw(&content.request),
        "response_base64": raw(&content.response),
    })
}

/// A value for a person to read. What JSON has no number for is text.
fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => {
            i64::try_from(*value).map_or_else(|_| json!(value.to_string()), |value| json!(value))
        }
        Value::Float(value) if value.is_finite() => json!(value),
        Value::Float(value) => json!(value.to_string()),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!({ "base64": base64_encode(value) }),
        Value::Array(values) => values.iter().map(self::value).collect(),
    }
}
