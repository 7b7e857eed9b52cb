//! The reasons of a row: those that follow from the model, held against those in the record.

use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{Record, Value};

use super::comparison::{Comparison, shown};
use super::{Obstacle, at};
use crate::audit::verdict::Difference;
use crate::recompute::description::{ReasonSource, Reasons};
use crate::recompute::{Model, RowError};

/// A reason that follows from the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    feature: String,
    code: Option<String>,
    text: Option<String>,
    /// How much it weighed, where the reason is a contribution.
    contribution: Option<f64>,
}

/// The reasons that follow, in their order.
pub(super) fn expected(
    model: &Model,
    names: &[String],
    reasons: &Reasons,
    row: &[f64],
) -> Result<Vec<Expected>, RowError> {
    let (margin, sign) = match reasons.from {
        ReasonSource::Points => return points(model, reasons, row),
        ReasonSource::Contributions { margin } => (margin, None),
        ReasonSource::LowestContributions { margin } => (margin, Some(-1.0)),
        ReasonSource::HighestContributions { margin } => (margin, Some(1.0)),
    };
    let all = model.contributions(row)?;
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
    Ok(weights.into_iter().map(reason).collect())
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
