//! Reasons, from where the route says they stand in the answer.

use ledgerstone::record::Value;
use ledgerstone::record::schema::{self, ReasonPart};
use serde::Deserialize;

use super::{Element, Facts, Fallible, Fields, Row, parameter_text};
use crate::intercept::route::ExplanationConfig;
use ledgerstone::oip::Elements;

/// Fields that reasons may make; past it the tensor's digest alone stands for them. With the fields of the rows and of 256
/// tensors on each side they stay below `ledgerstone::limits::FIELDS_MAX`.
const REASON_FIELDS_MAX: usize = 384;

/// One reason as JSON writes it; any of its parts may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    code: Option<String>,
    text: Option<String>,
    feature: Option<String>,
    contribution: Option<f64>,
    direction: Option<String>,
}

/// Puts the reasons of an answer that could be read.
pub(super) fn put(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let Some(config) = &facts.route.config().explanation else {
        return Ok(());
    };
    let Some(response) = &facts.answered.infer else {
        return Ok(());
    };
    fields.put_some(schema::EXPLANATION_METHOD, config.method.as_deref())?;
    fields.put_some(schema::EXPLANATION_VERSION, config.version.as_deref())?;
    let found = match (&config.parameter, &config.tensor) {
        (Some(name), _) => {
            let text = response.parameters.get(name).and_then(parameter_text);
            text.map(|text| vec![(Row { index: 0, of: 1 }, parse(&text))])
        }
        (None, Some(name)) => tensor(facts, name),
        (None, None) => None,
    };
    match found {
        Some(reasons) => put_reasons(fields, reasons),
        None => {
            fields.output_problem(missing(config));
            Ok(())
        }
    }
}

fn put_reasons(fields: &mut Fields<'_>, reasons: Vec<(Row, Vec<Reason>)>) -> Fallible {
    let count: usize = reasons.iter().map(|(_, reasons)| reasons.iter().map(parts).sum::<usize>()).sum();
    if count > REASON_FIELDS_MAX {
        fields.output_problem(format!(
            "the reasons make {count} fields, of which a record holds {REASON_FIELDS_MAX}; they stand in the answer only"
        ));
        return Ok(());
    }
    for (row, reasons) in reasons {
        for (index, reason) in (0..).zip(reasons) {
            let mut put = |part, value: Option<Value>| {
                let path = schema::reason(index, part);
                value.map_or(Ok(()), |value| fields.put_row(path, row, value))
            };
            put(ReasonPart::Code, reason.code.map(Value::from))?;
            put(ReasonPart::Text, reason.text.map(Value::from))?;
            put(ReasonPart::Feature, reason.feature.map(Value::from))?;
            put(ReasonPart::Contribution, reason.contribution.map(Value::from))?;
            put(ReasonPart::Direction, reason.direction.map(Value::from))?;
        }
    }
    Ok(())
}

fn parts(reason: &Reason) -> usize {
    [
        reason.code.is_some(),
        reason.text.is_some(),
        reason.feature.is_some(),
        reason.contribution.is_some(),
        reason.direction.is_some(),
    ]
    .into_iter()
    .filter(|there| *there)
    .count()
}

/// Reasons of a text: a JSON array of them, one JSON object, or plain words.
fn parse(text: &str) -> Vec<Reason> {
    if let Ok(reasons) = serde_json::from_str::<Vec<Reason>>(text) {
        return reasons;
    }
    match serde_json::from_str::<Reason>(text) {
        Ok(reason) => vec![reason],
        Err(_) => vec![Reason { text: Some(text.to_owned()), ..Reason::default() }],
    }
}

/// Reasons of an output tensor, row by row: text elements are reasons, numbers are contributions.
fn tensor(facts: &Facts<'_>, name: &str) -> Option<Vec<(Row, Vec<Reason>)>> {
    let rows = facts.asked.rows(facts.route);
    let tensor = facts.answered.tensor(name);
    let elements: &Elements = tensor?.elements()?;
    let columns = elements.count.checked_div(rows)?;
    if columns * rows != elements.count {
        return None;
    }
    let names: Vec<&String> =
        facts.route.config().features.iter().flat_map(|features| &features.names).collect();
    let mut elements = elements.iter();
    let rows = Row::all(rows).map(|row| {
        let places = elements.by_ref().take(columns).enumerate();
        let reasons = places.filter_map(|(place, element)| reason(element, names.get(place).copied()));
        (row, reasons.flatten().collect())
    });
    Some(rows.collect())
}

/// Reasons of one element; an element past the named features, such as a bias, is none.
fn reason(element: Element<'_>, feature: Option<&String>) -> Option<Vec<Reason>> {
    match element {
        Element::Bytes(bytes) => Some(parse(&String::from_utf8_lossy(bytes))),
        Element::Float(contribution) => Some(vec![Reason {
            feature: Some(feature?.clone()),
            contribution: Some(contribution),
            direction: Some(direction(contribution).to_owned()),
            ..Reason::default()
        }]),
        Element::Int(_) | Element::Bool(_) => None,
    }
}

fn direction(contribution: f64) -> &'static str {
    if contribution > 0.0 {
        "up"
    } else if contribution < 0.0 {
        "down"
    } else {
        "none"
    }
}

fn missing(config: &ExplanationConfig) -> String {
    let (kind, name) = match (&config.parameter, &config.tensor) {
        (Some(name), _) => ("parameter", name.as_str()),
        (None, name) => ("tensor", name.as_deref().unwrap_or_default()),
    };
    format!("the route takes the reasons from {kind} {name:?}, which the answer does not have")
}
