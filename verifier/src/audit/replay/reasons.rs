//! The reasons of a row: those that follow from the model, held against those in the record.
//!
//! *Guarantees*: reasons that are recorded and that nothing here rechecks are named as such.

#[cfg(feature = "neural")]
mod words;

use std::collections::BTreeMap;

use ledgerstone::hash::Hash;
use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{FieldPath, Record, Value};

use super::comparison::{Comparison, shown};
use super::{Obstacle, RecomputerError, at};
use crate::audit::verdict::Difference;
use crate::recompute::description::{Contributed, ReasonSource, Reasons};
use crate::recompute::rows::Rows;
use crate::recompute::{self, Model, RowError};

#[cfg(feature = "neural")]
pub(super) use self::words::Words;

/// Where every reason of a record stands.
const REASON_PATHS: &str = "explanation/reason/";

/// The rows that contributions compare with.
#[derive(Clone, Debug)]
pub(super) struct Against {
    rows: recompute::Against,
    /// SHA-256 of their file.
    digest: Hash,
}

impl Against {
    /// Reads the background that the description names, if it names one.
    pub(super) fn load(
        files: &BTreeMap<String, Vec<u8>>,
        model: &Model,
        reasons: Option<&Reasons>,
    ) -> Result<Option<Self>, RecomputerError> {
        let Some(Contributed { background: Some(name), permutations, .. }) =
            reasons.and_then(|reasons| reasons.from.contributed())
        else {
            return Ok(None);
        };
        let fit = |problem: String| RecomputerError::Fit { problem };
        let about = model.about();
        if let (Some(problem), None) = (about.interventional, permutations) {
            return Err(fit(format!("contributions against a background are not recomputed: {problem}")));
        }
        let bytes = files.get(name);
        let bytes = bytes.ok_or_else(|| fit(format!("the background {name:?} does not come along")))?;
        let wrong = |problem: String| fit(format!("the background {name:?}: {problem}"));
        let rows: Result<Vec<Vec<f64>>, String> = Rows::read(bytes, &about).map_err(wrong)?.iter().collect();
        let rows = model.against(&rows.map_err(wrong)?.concat(), *permutations);
        Ok(Some(Self { rows: rows.map_err(|error| wrong(error.to_string()))?, digest: Hash::of(bytes) }))
    }
}

/// Why the reasons of a record were not rechecked; none if they were, or if it has none.
pub(super) fn unchecked(record: &Record, reasons: Option<&Reasons>) -> Option<String> {
    let is_reason = |path: &FieldPath| path.as_str().starts_with(REASON_PATHS);
    if !record.fields().iter().any(|field| is_reason(&field.path)) {
        return None;
    }
    match reasons.map(|reasons| &reasons.from) {
        None => Some("the reasons were not rechecked: the model's description does not say how".to_owned()),
        Some(ReasonSource::Sampled { method }) => {
            Some(format!("the reasons were not rechecked: {method} is not reproducible, no seed is recorded"))
        }
        Some(_) => None,
    }
}

/// A reason that follows from the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    feature: String,
    code: Option<String>,
    text: Option<String>,
    /// How much it weighed, where the reason is a contribution.
    contribution: Option<f64>,
}

/// The reasons that follow, in their order; none where nothing follows.
pub(super) fn expected(
    model: &Model,
    against: Option<&Against>,
    names: &[String],
    reasons: &Reasons,
    row: &[f64],
) -> Result<Option<Vec<Expected>>, RowError> {
    let (margin, sign) = match &reasons.from {
        ReasonSource::Points => return points(model, reasons, row).map(Some),
        ReasonSource::IntegratedGradients(_) | ReasonSource::Sampled { .. } => return Ok(None),
        ReasonSource::Contributions(of) => (of.margin, None),
        ReasonSource::LowestContributions(of) => (of.margin, Some(-1.0)),
        ReasonSource::HighestContributions(of) => (of.margin, Some(1.0)),
    };
    let all = match against {
        None => model.contributions(row)?,
        Some(against) => model.contributions_against(row, &against.rows)?,
    };
    let of_margin = all.get(margin).map(Vec::as_slice).unwrap_or_default();
    let mut weights: Vec<(usize, f64)> = of_margin.iter().copied().take(names.len()).enumerate().collect();
    if let Some(sign) = sign {
        weights.retain(|(_, weight)| weight * sign > 0.0);
        // A stable sort: ties stay in the order of the columns.
        weights.sort_by(|(_, a), (_, b)| (b * sign).total_cmp(&(a * sign)));
    }
    weights.truncate(reasons.count);
    let reason = |(place, weight): (usize, f64)| {
        let feature = names.get(place).cloned().unwrap_or_default();
        let words = reasons.table.iter().find(|words| words.feature == feature);
        Expected {
            code: words.map(|words| words.code.clone()),
            text: words.and_then(|words| words.text.clone()),
            contribution: Some(weight),
            feature,
        }
    };
    Ok(Some(weights.into_iter().map(reason).collect()))
}

fn points(model: &Model, reasons: &Reasons, row: &[f64]) -> Result<Vec<Expected>, RowError> {
    let found = model.reasons(row, reasons.count)?;
    let reason = |reason: crate::recompute::scorecard::Reason| Expected {
        feature: reason.feature,
        code: Some(reason.code),
        text: Some(reason.text),
        contribution: None,
    };
    Ok(found.into_iter().map(reason).collect())
}

/// What a record says that contributions compare with is the description's background.
pub(super) fn compare_background(record: &Record, against: Option<&Against>, comparison: &mut Comparison) {
    let path = schema::EXPLANATION_BASELINE_DIGEST;
    let (Some(against), Some(recorded)) = (against, record.value(&path)) else { return };
    if *recorded != Value::from(against.digest) {
        comparison.reasons(Difference::between(path, Some(shown(recorded)), Some(against.digest)));
    }
}

/// Holds the recorded reasons against the expected ones: as many, and every recorded part the same.
pub(super) fn compare(
    record: &Record,
    place: Option<u32>,
    expected: &[Expected],
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let mut compared = 0;
    for (index, reason) in (0..).zip(expected) {
        let mut found = false;
        for (part, value) in [
            (ReasonPart::Code, reason.code.as_deref().map(Value::from)),
            (ReasonPart::Text, reason.text.as_deref().map(Value::from)),
            (ReasonPart::Feature, Some(Value::from(reason.feature.as_str()))),
            (ReasonPart::Contribution, reason.contribution.map(Value::Float)),
        ] {
            let path = at(schema::reason(index, part), place)?;
            let Some(recorded) = record.value(&path) else { continue };
            found = true;
            if let Some(value) = value.filter(|value| value != recorded) {
                comparison.reasons(Difference::between(path, Some(shown(recorded)), Some(shown(&value))));
            }
        }
        if !found {
            let path = at(schema::reason(index, ReasonPart::Code), place)?;
            comparison.reasons(Difference::between(path, None::<&str>, Some(&reason.feature)));
        }
        compared = index + 1;
    }
    for part in [ReasonPart::Code, ReasonPart::Text, ReasonPart::Feature, ReasonPart::Contribution] {
        let path = at(schema::reason(compared, part), place)?;
        if let Some(recorded) = record.value(&path) {
            comparison.reasons(Difference::between(path, Some(shown(recorded)), None::<&str>));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
