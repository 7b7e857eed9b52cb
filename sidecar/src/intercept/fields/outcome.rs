//! Score, label and what they lead to.

use std::borrow::Cow;

use ledgerstone::record::{Record, Value, schema};

use super::{Element, Facts, Fallible, Fields, Row, column};
use crate::gate::Effect;
use crate::intercept::answered::Answered;
use crate::intercept::route::{Action, LabelConfig, Route, ScoreConfig, ThresholdConfig};

/// What stands as the action where the policy gate let no answer out.
const REFUSE: &str = "refuse";

/// What is counted where a record says no action.
const NONE: &str = "none";

/// The label of each row; none for a row that has none.
pub(crate) type Labels<'a> = Vec<Option<Cow<'a, str>>>;

/// Puts score, label, action and whether it is adverse, for each row of an answer that could be read. Where the gate refused,
/// nothing was decided about anybody: the action says so, whatever the label would have led to.
pub(super) fn put(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let config = facts.route.config();
    let rows = facts.asked.rows(facts.route);
    let is_refused = facts.gated.effect() == Effect::Refuse;
    if is_refused {
        all(fields, rows, REFUSE)?;
    }
    if facts.answered.infer.is_none() {
        return Ok(());
    }
    let is_scored = match &config.score {
        Some(score) => put_scores(fields, facts, score, rows)?,
        None => false,
    };
    if config.threshold.is_none() && config.label.is_none() {
        return if is_scored && !is_refused { all(fields, rows, Action::Score.as_str()) } else { Ok(()) };
    }
    let labels = labels(facts.answered, facts.route, rows);
    problems(fields, facts, labels.as_ref());
    for (row, label) in Row::all(rows).zip(labels.into_iter().flatten()) {
        let Some(label) = label else { continue };
        if !is_refused {
            fields.put_row(schema::OUTCOME_ACTION, row, facts.route.action(&label).as_str())?;
            fields.put_row(schema::OUTCOME_ADVERSE, row, facts.route.is_adverse(&label))?;
        }
        fields.put_row(schema::OUTPUT_LABEL, row, label.as_ref())?;
    }
    Ok(())
}

/// Each action of a record with the number of persons it was about; `none` where the record says no action.
pub(crate) type Outcomes = Vec<(&'static str, u64)>;

/// What a record says became of the persons in it. What a mask left out is not counted.
pub(crate) fn outcomes(record: &Record) -> Outcomes {
    let actions = record.fields().iter().filter(|field| {
        let below = field.path.as_str().strip_prefix(schema::OUTCOME_ACTION.as_str());
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    let mut counted = Outcomes::new();
    for field in actions {
        let Value::Text(text) = &field.value else { continue };
        let action = match Action::parse(text) {
            Some(action) => action.as_str(),
            None if text == REFUSE => REFUSE,
            None => continue,
        };
        match counted.iter_mut().find(|(known, _)| *known == action) {
            Some((_, persons)) => *persons += 1,
            None => counted.push((action, 1)),
        }
    }
    if counted.is_empty() {
        counted.push((NONE, 1));
    }
    counted
}

fn all(fields: &mut Fields<'_>, rows: usize, action: &str) -> Fallible {
    Row::all(rows).try_for_each(|row| fields.put_row(schema::OUTCOME_ACTION, row, action))
}

/// Puts the score of each row; false if the tensor is not there or has another form.
fn put_scores(
    fields: &mut Fields<'_>,
    facts: &Facts<'_>,
    score: &ScoreConfig,
    rows: usize,
) -> Result<bool, super::FieldsError> {
    let Some(scores) = scores(facts.answered, score, rows) else {
        fields.output_problem(missing("score", &score.tensor, score.index));
        return Ok(false);
    };
    let path = schema::score(&score.tensor)?;
    for (row, score) in Row::all(rows).zip(&scores) {
        fields.put_row(path.clone(), row, *score)?;
    }
    if facts.route.config().threshold.is_some() && scores.iter().any(|score| score.is_nan()) {
        fields.output_problem("a score is not a number and has no label".to_owned());
    }
    Ok(true)
}

/// Says what is wrong with the labels that the answer itself should hold.
fn problems(fields: &mut Fields<'_>, facts: &Facts<'_>, labels: Option<&Labels<'_>>) {
    let config = facts.route.config();
    let Some(label) = config.label.as_ref().filter(|_| config.threshold.is_none()) else { return };
    match labels {
        None => fields.output_problem(missing("label", &label.tensor, label.index)),
        Some(labels) if labels.iter().any(Option::is_none) => fields
            .output_problem(format!("tensor {:?} holds a label that the route does not name", label.tensor)),
        Some(_) => {}
    }
}

/// The score of each row; nothing if the tensor is not there or has another form.
pub(crate) fn scores(answered: &Answered, score: &ScoreConfig, rows: usize) -> Option<Vec<f64>> {
    let elements = column(answered.tensor(&score.tensor), rows, score.index)?;
    elements.map(number).collect()
}

/// The label of each row, by the threshold of the route or from the answer itself; nothing if there is no such tensor.
pub(crate) fn labels<'a>(answered: &'a Answered, route: &'a Route, rows: usize) -> Option<Labels<'a>> {
    let config = route.config();
    match (&config.threshold, &config.label, &config.score) {
        (Some(threshold), _, Some(score)) => {
            let scores = scores(answered, score, rows)?;
            Some(scores.into_iter().map(|score| by_threshold(threshold, score)).collect())
        }
        (None, Some(config), _) => {
            let elements = column(answered.tensor(&config.tensor), rows, config.index)?;
            Some(elements.map(|element| label(config, element).map(Cow::Borrowed)).collect())
        }
        _ => None,
    }
}

/// The label of a score; none for one that is not a number.
fn by_threshold(threshold: &ThresholdConfig, score: f64) -> Option<Cow<'_, str>> {
    let label = if score >= threshold.value { &threshold.above } else { &threshold.below };
    (!score.is_nan()).then_some(Cow::Borrowed(label))
}

fn label<'c>(config: &'c LabelConfig, element: Element<'_>) -> Option<&'c str> {
    let class = |number: i128| config.names.get(usize::try_from(number).ok()?);
    let name = match element {
        Element::Bytes(bytes) => config.names.iter().find(|name| name.as_bytes() == bytes),
        Element::Int(number) => class(number),
        Element::Bool(truth) => class(truth.into()),
        Element::Float(_) => None,
    };
    name.map(String::as_str)
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
