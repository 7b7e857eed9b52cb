//! One part of a bundle: proved, opened, run again.

use std::collections::BTreeMap;

use ledgerstone::entry::{DecisionDetails, Entry, Kind, KindDetails};
use ledgerstone::evidence::RecordPart;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::schema;
use ledgerstone::record::{Contents, Field, Record, Value};
use ledgerstone::registry::Registrations;

use super::{Judged, RunError, Stop};
use crate::audit::replay::Recomputer;
use crate::audit::results::Decision;
use crate::audit::verdict::{Difference, Replayed, Verdict};
use crate::bundle::{BundleError, Order};

/// A model that came along.
pub(super) struct JudgedModel {
    /// The digest of the list of its files.
    pub(super) manifest: Option<Hash>,
    /// What runs it, or why it cannot be used.
    pub(super) recomputer: Result<Recomputer, String>,
}

/// Everything that a thread needs to judge.
pub(super) struct Judge {
    order: Order,
    models: BTreeMap<Hash, JudgedModel>,
    /// How many of the listed entries were drawn as decisions; the others were skipped because they are none.
    drawn: Option<u64>,
    /// The registrations that every decision's model must stand in; none where nothing was registered and nobody asks for it.
    registrations: Option<Registrations>,
}

impl Judge {
    pub(super) fn new(
        order: Order,
        models: BTreeMap<Hash, JudgedModel>,
        drawn: Option<u64>,
        registrations: Option<Registrations>,
    ) -> Self {
        Self { order, models, drawn, registrations }
    }

    pub(super) const fn order(&self) -> &Order {
        &self.order
    }

    /// Judges every decision of a part, unless `stop` comes; of one that `is_done` only the proof is checked.
    pub(super) fn part(
        &self,
        number: u64,
        bytes: &[u8],
        is_done: bool,
        stop: &Stop<'_>,
    ) -> Result<Judged, RunError> {
        let proved = self.order.prove(number, bytes)?;
        let mut decisions = Vec::new();
        for ((index, entry), (_, record)) in proved.entries.iter().zip(&proved.run.entries) {
            let is_decision = entry.kind == Kind::Decision;
            if let Some(drawn) = self.drawn.filter(|drawn| is_decision != (number < *drawn)) {
                let (what, place) =
                    if number < drawn { ("drawn", "no decision") } else { ("skipped", "a decision") };
                return Err(RunError::Draw(format!("entry {index} was {what}, and is {place}")));
            }
            if stop.is_set() {
                return Err(RunError::Bundle(BundleError::Stopped));
            }
            if is_decision && !is_done {
                decisions.push(self.decision(index.get(), entry, record));
            }
        }
        let (first, entries) = (proved.run.first.get(), proved.entries.len() as u64);
        Ok(Judged { first, entries, decisions })
    }

    fn decision(&self, index: u64, entry: &Entry, record: &RecordPart) -> Decision {
        let contents = match record.contents(entry) {
            Ok(contents) => contents,
            Err(why) => return Decision::new(index, None, Replayed::unverifiable(why)),
        };
        if is_unanswered(entry, &contents.record) {
            return Decision::new(index, None, Replayed::no_answer());
        }
        let mut replayed = match self.recomputer(entry, &contents.record).and_then(|recomputer| {
            raw_is_recorded(&contents)?;
            Ok(recomputer)
        }) {
            Ok(recomputer) => recomputer.replay(&contents.record, contents.response),
            Err(why) => Replayed::unverifiable(why),
        };
        if let Some(why) = self.unregistered(index, entry) {
            replayed.verdict = Verdict::Unverifiable;
            replayed.differences.push(Difference::obstacle(why));
        }
        Decision::new(index, adverse(&contents.record), replayed)
    }

    /// Why a decision's model is none that the log registered before the decision.
    fn unregistered(&self, index: u64, entry: &Entry) -> Option<String> {
        let registrations = self.registrations.as_ref()?;
        let digest = entry.model?;
        let registered = registrations.registered(&digest, LeafIndex::new(index));
        registered
            .is_none()
            .then(|| format!("the log did not register the model {digest} before this decision"))
    }

    /// The model that a decision names.
    fn recomputer(&self, entry: &Entry, record: &Record) -> Result<&Recomputer, String> {
        let digest = entry.model.ok_or("the entry names no model")?;
        if record.value(&schema::MODEL_DIGEST) != Some(&Value::from(digest)) {
            return Err("the record names another model than its entry".to_owned());
        }
        let Some(model) = self.models.get(&digest) else {
            return Err(format!("the model {digest} does not come along"));
        };
        // The root that names a folder does not bind the names of its files; what the record has does.
        let recorded = record.value(&schema::MODEL_MANIFEST);
        if recorded.is_some_and(|recorded| Some(recorded) != model.manifest.map(Value::from).as_ref()) {
            return Err(format!("the files of the model {digest} have other names than the recorded ones"));
        }
        let usable = model.recomputer.as_ref();
        usable.map_err(|problem| format!("the model {digest} cannot be used: {problem}"))
    }
}

/// Whether a call ended in an error, by its entry, and its record agrees: no output but an error, no outcome, no explanation. An entry that
/// says so over a record with an answer is a decision like any other.
fn is_unanswered(entry: &Entry, record: &Record) -> bool {
    let has_failed =
        matches!(entry.kind_details(), Ok(KindDetails::Decision(DecisionDetails { status })) if status != 0);
    let is_answer = |field: &Field| {
        let first = field.path.segments().next().unwrap_or_default();
        ["output", "outcome", "explanation"].contains(&first) && field.path != schema::OUTPUT_ERROR
    };
    has_failed && !record.fields().iter().any(is_answer)
}

/// That the wire's bytes which came along are those that the record has the digests of.
fn raw_is_recorded(contents: &Contents<'_>) -> Result<(), String> {
    for (bytes, path) in
        [(contents.request, schema::INPUT_RAW_DIGEST), (contents.response, schema::OUTPUT_RAW_DIGEST)]
    {
        let recorded = contents.record.value(&path);
        if bytes.is_some_and(|bytes| recorded != Some(&Value::from(Hash::of(bytes)))) {
            return Err(format!("the bytes that came along are not those of {path}"));
        }
    }
    Ok(())
}

/// Whether a decision was against the person, in one row at least.
fn adverse(record: &Record) -> Option<bool> {
    let truth = |value: &Value| match value {
        Value::Bool(truth) => Some(*truth),
        _ => None,
    };
    if let Some(value) = record.value(&schema::OUTCOME_ADVERSE) {
        return truth(value);
    }
    let mut found = None;
    for place in 0.. {
        let path = schema::OUTCOME_ADVERSE.place(place).ok()?;
        let Some(value) = record.value(&path) else { return found };
        found = Some(found.unwrap_or(false) || truth(value)?);
    }
    found
}

#[cfg(test)]
mod tests;
