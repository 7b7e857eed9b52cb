//! Score, label and what they lead to.

use ledgerstone::record::schema;

use super::{Element, Facts, Fallible, Fields, Row, column};
use crate::intercept::route::{Action, LabelConfig, ScoreConfig, ThresholdConfig};

/// Puts score, label, action and whether it is adverse, for each row of an answer that could be read.
pub(super) fn put(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let config = facts.route.config();
    if facts.answered.infer.is_none() {
        return Ok(());
    }
    let rows = facts.asked.rows(facts.route);
    let scores = match &config.score {
        Some(score) => scores(fields, facts, score, rows)?,
        None => None,
    };
    let labels = match (&config.threshold, &config.label) {
        (Some(threshold), _) => scores.map(|scores| by_threshold(fields, threshold, &scores)),
        (None, Some(label)) => from_tensor(fields, facts, label, rows),
        (None, None) => {
            return if scores.is_some() { all(fields, rows, Action::Score) } else { Ok(()) };
        }
    };
    for (row, label) in Row::all(rows).zip(labels.into_iter().flatten()) {
        let Some(label) = label else { continue };
        fields.put_row(schema::OUTCOME_ACTION, row, facts.route.action(&label).as_str())?;
        fields.put_row(schema::OUTCOME_ADVERSE, row, facts.route.is_adverse(&label))?;
        fields.put_row(schema::OUTPUT_LABEL, row, label)?;
    }
    Ok(())
}

fn all(fields: &mut Fields<'_>, rows: usize, action: Action) -> Fallible {
    Row::all(rows).try_for_each(|row| fields.put_row(schema::OUTCOME_ACTION, row, action.as_str()))
}

/// The score of each row, also put as fields; nothing if the tensor is not there or has another form.
fn scores(
    fields: &mut Fields<'_>,
    facts: &Facts<'_>,
    score: &ScoreConfig,
    rows: usize,
) -> Result<Option<Vec<f64>>, super::FieldsError> {
    let elements = column(facts.answered.tensor(&score.tensor), rows, score.index);
    let scores: Option<Vec<f64>> = elements.and_then(|elements| elements.map(number).collect::<Option<_>>());
    let Some(scores) = scores else {
        fields.output_problem(missing("score", &score.tensor, score.index));
        return Ok(None);
    };
    let path = schema::score(&score.tensor)?;
    for (row, score) in Row::all(rows).zip(&scores) {
        fields.put_row(path.clone(), row, *score)?;
    }
    Ok(Some(scores))
}

/// The label of each score; none for a score that is not a number.
fn by_threshold(fields: &mut Fields<'_>, threshold: &ThresholdConfig, scores: &[f64]) -> Vec<Option<String>> {
    if scores.iter().any(|score| score.is_nan()) {
        fields.output_problem("a score is not a number and has no label".to_owned());
    }
    let label = |score: &f64| {
        if score.is_nan() {
            None
        } else if *score >= threshold.value {
            Some(threshold.above.clone())
        } else {
            Some(threshold.below.clone())
        }
    };
    scores.iter().map(label).collect()
}

/// The label that the answer itself holds for each row; none where it is not one of the route's.
fn from_tensor(
    fields: &mut Fields<'_>,
    facts: &Facts<'_>,
    config: &LabelConfig,
    rows: usize,
) -> Option<Vec<Option<String>>> {
    let Some(elements) = column(facts.answered.tensor(&config.tensor), rows, config.index) else {
        fields.output_problem(missing("label", &config.tensor, config.index));
        return None;
    };
    let labels: Vec<Option<String>> = elements.map(|element| label(config, element)).collect();
    if labels.iter().any(Option::is_none) {
        fields
            .output_problem(format!("tensor {:?} holds a label that the route does not name", config.tensor));
    }
    Some(labels)
}

fn label(config: &LabelConfig, element: Element<'_>) -> Option<String> {
    let class = |number: i128| config.names.get(usize::try_from(number).ok()?);
    match element {
        Element::Bytes(bytes) => config.names.iter().find(|name| name.as_bytes() == bytes).cloned(),
        Element::Int(number) => class(number).cloned(),
        Element::Bool(truth) => class(truth.into()).cloned(),
        Element::Float(_) => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "scores are compared as binary64; integer scores past 2^53 round"
)]
fn number(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Float(value) => Some(value),
        Element::Int(value) => Some(value as f64),
        Element::Bool(value) => Some(f64::from(u8::from(value))),
        Element::Bytes(_) => None,
    }
}

fn missing(what: &str, tensor: &str, index: usize) -> String {
    format!(
        "the route takes the {what} from column {index} of tensor {tensor:?}, which the answer does not have"
    )
}
