//! The JSON of a scorecard, and what of it must hold before a [`Scorecard`] exists.
//!
//! *Guarantees*: a key that `docs/spec/scorecard.md` does not have is refused; every bin can be reached; the best that a feature
//! can give is derived here once.
//!
//! *Does not do*: judge whether the points are sensible.

use serde::Deserialize;

use super::{Adverse, Link, Rule, SCORECARD_BYTES_MAX, Scorecard, Term};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// The format's name and version.
const FORMAT: &str = "ledgerstone-scorecard/v1";

/// The largest magnitude of a number in a card, so that no sum of terms overflows.
const NUMBER_MAX: f64 = 1e15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson {
    format: String,
    name: String,
    adverse: Adverse,
    link: Link,
    base: f64,
    terms: Vec<TermJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermJson {
    feature: String,
    reason: Option<ReasonJson>,
    missing: Option<f64>,
    bins: Option<Vec<BinJson>>,
    values: Option<Vec<ValueJson>>,
    other: Option<f64>,
    coefficient: Option<f64>,
    center: Option<f64>,
    scale: Option<f64>,
    reference: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonJson {
    code: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BinJson {
    below: Option<f64>,
    points: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueJson {
    value: f64,
    points: f64,
}

pub(super) fn read(bytes: &[u8]) -> Result<Scorecard, ModelError> {
    if bytes.len() > SCORECARD_BYTES_MAX {
        return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: SCORECARD_BYTES_MAX });
    }
    let file: FileJson =
        serde_json::from_slice(bytes).map_err(|error| ModelError::json("a Ledgerstone scorecard", &error))?;
    if file.format != FORMAT {
        return Err(unsupported(format!("the format {}", shown(&file.format)), "format"));
    }
    let mut features: Vec<String> = Vec::with_capacity(file.terms.len());
    let mut terms = Vec::with_capacity(file.terms.len());
    check_size(file.base, || "base".to_owned())?;
    for (number, term) in file.terms.iter().enumerate() {
        let place = format!("terms[{number}]");
        if term.feature.is_empty() || features.contains(&term.feature) {
            return Err(malformed(format!("{place}.feature"), "is empty or stands in another term, too"));
        }
        features.push(term.feature.clone());
        terms.push(term_of(term, file.adverse, &place)?);
    }
    if terms.is_empty() {
        return Err(malformed("terms", "is empty"));
    }
    let FileJson { name, adverse, link, base, .. } = file;
    Ok(Scorecard { name, adverse, link, base, features, terms })
}

fn term_of(term: &TermJson, adverse: Adverse, place: &str) -> Result<Term, ModelError> {
    let rule = match (&term.bins, &term.values, term.coefficient) {
        (Some(bins), None, None) => bins_of(bins, place)?,
        (None, Some(values), None) => values_of(values, term.other, place)?,
        (None, None, Some(coefficient)) => {
            let (center, scale) = (term.center.unwrap_or(0.0), term.scale.unwrap_or(1.0));
            if scale == 0.0 {
                return Err(malformed(format!("{place}.scale"), "is zero"));
            }
            Rule::Linear { coefficient, center, scale }
        }
        _ => return Err(malformed(place, "needs exactly one of bins, values and coefficient")),
    };
    let is_linear = matches!(rule, Rule::Linear { .. });
    let misplaced = [
        ("other", term.other.is_some() && !matches!(rule, Rule::Values(..))),
        ("center", term.center.is_some() && !is_linear),
        ("scale", term.scale.is_some() && !is_linear),
        ("reference", term.reference.is_some() != (is_linear && term.reason.is_some())),
    ];
    if let Some((key, _)) = misplaced.iter().find(|(_, found)| *found) {
        return Err(malformed(
            format!("{place}.{key}"),
            "does not fit the kind of term, or is missing in one that has a reason",
        ));
    }
    for number in
        [term.missing, term.coefficient, term.center, term.scale, term.reference].into_iter().flatten()
    {
        check_size(number, || place.to_owned())?;
    }
    let (code, text) =
        term.reason.as_ref().map(|reason| (reason.code.clone(), reason.text.clone())).unwrap_or_default();
    let mut read = Term { rule, missing: term.missing, best: None, code, text };
    read.best = match (&term.reason, term.reference) {
        (None, _) => None,
        (Some(_), Some(reference)) => {
            Some(read.points(reference).map_err(|problem| malformed(format!("{place}.reference"), problem))?)
        }
        (Some(_), None) => best_of(&read, adverse),
    };
    Ok(read)
}

/// The best points that any value, or a missing one, can give.
fn best_of(term: &Term, adverse: Adverse) -> Option<f64> {
    let (listed, other) = match &term.rule {
        Rule::Bins(bins) => (bins.as_slice(), None),
        Rule::Values(values, other) => (values.as_slice(), *other),
        Rule::Linear { .. } => return None,
    };
    let all = listed.iter().map(|(_, points)| *points).chain(other).chain(term.missing);
    all.reduce(if adverse == Adverse::Low { f64::max } else { f64::min })
}

fn bins_of(bins: &[BinJson], place: &str) -> Result<Rule, ModelError> {
    let mut read: Vec<(f64, f64)> = Vec::with_capacity(bins.len());
    for (number, bin) in bins.iter().enumerate() {
        let at = || format!("{place}.bins[{number}]");
        check_size(bin.points, at)?;
        let is_last = number + 1 == bins.len();
        let below = match bin.below {
            None if is_last => f64::INFINITY,
            Some(below) if !is_last => below,
            _ => return Err(malformed(at(), "has a bound if it is the last bin, or none if it is not")),
        };
        if read.last().is_some_and(|(before, _)| *before >= below) {
            return Err(malformed(at(), "does not rise above the bin before"));
        }
        read.push((below, bin.points));
    }
    if read.is_empty() { Err(malformed(format!("{place}.bins"), "is empty")) } else { Ok(Rule::Bins(read)) }
}

fn values_of(values: &[ValueJson], other: Option<f64>, place: &str) -> Result<Rule, ModelError> {
    let mut read: Vec<(f64, f64)> = Vec::with_capacity(values.len());
    for (number, value) in values.iter().enumerate() {
        let at = || format!("{place}.values[{number}]");
        check_size(value.points, at)?;
        if read.iter().any(|(before, _)| *before == value.value) {
            return Err(malformed(at(), "stands in the list twice"));
        }
        read.push((value.value, value.points));
    }
    if let Some(other) = other {
        check_size(other, || format!("{place}.other"))?;
    }
    if read.is_empty() {
        Err(malformed(format!("{place}.values"), "is empty"))
    } else {
        Ok(Rule::Values(read, other))
    }
}

fn check_size(number: f64, place: impl Fn() -> String) -> Result<(), ModelError> {
    if number.abs() <= NUMBER_MAX { Ok(()) } else { Err(malformed(place(), "holds a number above 1e15")) }
}
