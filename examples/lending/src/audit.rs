//! Runs a decision again from its record and compares every recorded number, bit for bit.
//!
//! *Guarantees*: a record passes only if it is the one that the log committed to, names this model, and margin,
//! probability and label follow from its recorded features.
//!
//! *Does not do*: say that the features were true, or that this computation ran when the record says.

use std::path::Path;

use anyhow::{Context, Result};
use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{Commitment, FieldPath, Record, RecordBuilder, RecordSecret, Value};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::{EntryBundle, TileKind, TileSource as _, paths};
use ledgerstone_sidecar::keyring::KeyProvider;
use ledgerstone_sidecar::seal::{self, SealedContent};
use ledgerstone_verifier::recompute::xgboost::Model;

use crate::oip_server::{MARGIN, PROBABILITY};

/// The label of a probability at the threshold or above.
pub const APPROVE: &str = "approve";

/// The label of a probability below the threshold.
pub const DENY: &str = "deny";

/// The model that decisions are run again on.
#[derive(Debug)]
pub struct Auditor<'a> {
    /// The model.
    pub model: &'a Model,
    /// SHA-256 of its file.
    pub digest: Hash,
    /// The lowest probability that is approved.
    pub threshold: f64,
}

/// What a record says that does not follow from its inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// The record is not the one that the log holds a commitment to.
    Commitment,
    /// It names another model.
    Model,
    /// An input is absent, or is not what the model takes.
    Input(String),
    /// The model gives another sum of leaves; its bits are in the record as a digest.
    Margin {
        /// What the model gives.
        recomputed: f32,
    },
    /// The model gives another probability.
    Probability {
        /// What the record says, if it says anything.
        recorded: Option<f64>,
        /// What the model gives.
        recomputed: f64,
    },
    /// Another label follows from the probability that the model gives.
    Label {
        /// What the record says, if it says anything.
        recorded: Option<String>,
        /// What follows.
        recomputed: &'static str,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        match self {
            Self::Commitment => f.write_str("the record is not the one that the log committed to"),
            Self::Model => f.write_str("the record names another model"),
            Self::Input(problem) => write!(f, "the inputs cannot be run again: {problem}"),
            Self::Margin { recomputed } => {
                write!(f, "the recorded margin is not the {recomputed} that the model gives")
            }
            Self::Probability { recorded, recomputed } => {
                let recorded = said(recorded.map(|value| format!("{value:.9}")));
                write!(f, "recorded probability {recorded}, the model gives {recomputed:.9}")
            }
            Self::Label { recorded, recomputed } => {
                write!(f, "recorded outcome \"{}\", the model gives \"{recomputed}\"", said(recorded.clone()))
            }
        }
    }
}

impl Auditor<'_> {
    /// Compares a record with the log's commitment and with the model; nothing is found in a true record.
    ///
    /// # Errors
    /// If a path of the record's schema cannot be made, which is a defect.
    pub fn check(
        &self,
        record: &Record,
        secret: &RecordSecret,
        committed: Option<Commitment>,
    ) -> Result<Vec<Difference>> {
        let mut found = Vec::new();
        if committed != Some(record.commit(secret).commitment()) {
            found.push(Difference::Commitment);
        }
        if record.value(&schema::MODEL_DIGEST) != Some(&Value::from(self.digest)) {
            found.push(Difference::Model);
        }
        match self.features(record)? {
            Ok(features) => self.compare(record, &features, &mut found)?,
            Err(difference) => found.push(difference),
        }
        Ok(found)
    }

    /// The model's row from the record's features.
    #[expect(clippy::cast_possible_truncation, reason = "the way back is compared: no bit is lost unseen")]
    fn features(&self, record: &Record) -> Result<Result<Vec<f32>, Difference>> {
        let mut row = Vec::with_capacity(self.model.feature_count());
        for name in self.model.feature_names() {
            match record.value(&schema::feature(name)?) {
                Some(Value::Float(value)) if value.is_nan() || f64::from(*value as f32) == *value => {
                    row.push(*value as f32);
                }
                Some(_) => return Ok(Err(Difference::Input(format!("{name} is not a 32-bit float")))),
                None => return Ok(Err(Difference::Input(format!("{name} is not in the record")))),
            }
        }
        Ok(Ok(row))
    }

    /// Compares what the record says was answered with what the model gives.
    fn compare(&self, record: &Record, features: &[f32], found: &mut Vec<Difference>) -> Result<()> {
        let margin = match self.model.margin(features) {
            Ok(margin) => margin,
            Err(error) => {
                found.push(Difference::Input(error.to_string()));
                return Ok(());
            }
        };
        if margin_fields(margin)?.iter().any(|(path, value)| record.value(path) != Some(value)) {
            found.push(Difference::Margin { recomputed: margin });
        }
        let probability = f64::from(self.model.probability(margin));
        let recorded = record.value(&schema::score(PROBABILITY)?);
        if recorded != Some(&Value::Float(probability)) {
            let recorded = recorded.and_then(float);
            found.push(Difference::Probability { recorded, recomputed: probability });
        }
        let label = if probability >= self.threshold { APPROVE } else { DENY };
        let recorded = record.value(&schema::OUTPUT_LABEL);
        if recorded != Some(&Value::from(label)) {
            found.push(Difference::Label { recorded: recorded.and_then(text), recomputed: label });
        }
        Ok(())
    }
}

/// Type, shape and digest of the margin's tensor: the record holds its bits as a digest.
fn margin_fields(margin: f32) -> Result<[(FieldPath, Value); 3]> {
    Ok(schema::tensor_fields(Side::Output, MARGIN, "FP32", &[1, 1], &margin.to_le_bytes())?)
}

/// One decision of the log, its record opened and run again.
#[derive(Debug)]
pub struct Audited {
    /// Where its entry stands.
    pub index: LeafIndex,
    /// Its id.
    pub decision: DecisionId,
    /// The opened record.
    pub content: SealedContent,
    /// What the log holds about the record.
    pub committed: Option<Commitment>,
    /// What does not hold; nothing for a true record.
    pub differences: Vec<Difference>,
}

/// Opens and runs again every decision of a store.
///
/// # Errors
/// If the store or a sealed record cannot be read.
pub fn check_store(store: &Path, keys: &dyn KeyProvider, auditor: &Auditor<'_>) -> Result<Vec<Audited>> {
    let reader = FsReader::open(store);
    let mut audited = Vec::new();
    for path in paths(reader.size()?).filter(|path| path.kind() == TileKind::Entries) {
        let bundle = reader.read(&path)?;
        let mut offset = 0;
        for (index, bytes) in (path.start().get()..).map(LeafIndex::new).zip(EntryBundle::decode(&bundle)?) {
            let entry = Entry::decode(bytes)?;
            let Some(sealed) = entry.sealed else { continue };
            if let (Kind::Decision, Some(decision)) = (entry.kind, entry.decision) {
                let content = seal::open(keys, &decision, &reader.sealed_at(index, offset, sealed)?)
                    .with_context(|| format!("the record of entry {index}"))?;
                let committed = entry.commitment;
                let differences = auditor.check(&content.record, &content.secret, committed)?;
                audited.push(Audited { index, decision, content, committed, differences });
            }
            offset += sealed.length;
        }
    }
    Ok(audited)
}

/// The record with one value replaced, as somebody would who has the database and the keys, but not the log.
///
/// # Errors
/// If the record has no such field.
pub fn doctored(record: &Record, path: &FieldPath, value: Value) -> Result<Record> {
    record.value(path).with_context(|| format!("the record has no {path}"))?;
    let mut builder = RecordBuilder::new();
    for field in record.fields() {
        let value = if field.path == *path { value.clone() } else { field.value.clone() };
        builder.add(field.path.clone(), value)?;
    }
    Ok(builder.build()?)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
