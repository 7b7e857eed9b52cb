//! Scorecards and linear models from Ledgerstone's own JSON (`docs/spec/scorecard.md`).
//!
//! *Guarantees*: the arithmetic is the page's, in `f64`: the base, then each term in the order of the file, one rounding an operation. What
//! each feature contributes is its term, so that the contributions add up to the score in the very bits. Reasons are sorted by
//! what a feature cost against the best it could have given, ties in the order of the file.
//!
//! *Does not do*: fit anything; read a setting that the page does not have, which is refused.

mod file;

use std::cmp::Ordering;

use serde::Serialize;

pub use super::error::{ModelError, RowError};

/// Bytes of a scorecard.
pub const SCORECARD_BYTES_MAX: usize = 1 << 24;

/// A scorecard that was read and checked.
#[derive(Clone, Debug)]
pub struct Scorecard {
    name: String,
    adverse: Adverse,
    link: Link,
    base: f64,
    features: Vec<String>,
    terms: Vec<Term>,
}

/// Which scores are bad for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Adverse {
    Low,
    High,
}

/// What the answer is of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Link {
    Identity,
    Logistic,
}

/// What one feature adds.
#[derive(Clone, Debug)]
struct Term {
    rule: Rule,
    /// What a missing value adds; none if the card has no rule for it.
    missing: Option<f64>,
    /// What the term would add at its best for the person; none where reasons leave it out.
    best: Option<f64>,
    code: String,
    text: String,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Upper bounds, rising, the last one infinite, and the points below each.
    Bins(Vec<(f64, f64)>),
    /// Values and their points, and the points of every other value.
    Values(Vec<(f64, f64)>, Option<f64>),
    /// The coefficient, what is subtracted from the value first, and what the difference is divided by.
    Linear { coefficient: f64, center: f64, scale: f64 },
}

/// Why a score is not better: what a feature cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The code in the lender's table.
    pub code: String,
    /// What the code says.
    pub text: String,
    /// The column's name.
    pub feature: String,
    /// Points below the most that this feature could have given (above the least, where high scores are bad).
    pub points: f64,
}

impl Scorecard {
    /// Reads a scorecard.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// What the base and each feature add, the base last.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length, or a value that the card has no rule for.
    pub fn contributions(&self, row: &[f64]) -> Result<Vec<f64>, RowError> {
        if row.len() != self.terms.len() {
            return Err(RowError::Length { expected: self.terms.len(), found: row.len() });
        }
        let mut contributions = Vec::with_capacity(row.len() + 1);
        for (feature, (value, term)) in row.iter().zip(&self.terms).enumerate() {
            if value.is_infinite() {
                return Err(RowError::Infinite { feature });
            }
            let points = term.points(*value).map_err(|problem| RowError::Value { feature, problem })?;
            contributions.push(points);
        }
        contributions.push(self.base);
        Ok(contributions)
    }

    /// The score: the base, and to it each feature's contribution in the order of the file.
    ///
    /// # Errors
    /// As [`Scorecard::contributions`].
    pub fn score(&self, row: &[f64]) -> Result<f64, RowError> {
        let contributions = self.contributions(row)?;
        let points = contributions.iter().take(self.terms.len());
        Ok(points.fold(self.base, |sum, points| sum + points))
    }

    /// What the link makes of a score.
    #[must_use]
    pub fn answer(&self, score: f64) -> f64 {
        match self.link {
            Link::Identity => score,
            Link::Logistic => 1.0 / (1.0 + (-score).exp()),
        }
    }

    /// The features that cost the person most, at most `count`, none that cost nothing.
    ///
    /// # Errors
    /// As [`Scorecard::contributions`].
    pub fn reasons(&self, row: &[f64], count: usize) -> Result<Vec<Reason>, RowError> {
        let contributions = self.contributions(row)?;
        let mut reasons: Vec<Reason> = Vec::new();
        for ((term, feature), points) in self.terms.iter().zip(&self.features).zip(contributions) {
            let Some(best) = term.best else { continue };
            let cost = if self.adverse == Adverse::Low { best - points } else { points - best };
            if cost > 0.0 {
                let (code, text) = (term.code.clone(), term.text.clone());
                reasons.push(Reason { code, text, feature: feature.clone(), points: cost });
            }
        }
        // A stable sort, so that ties stay in the order of the file.
        reasons.sort_by(|a, b| b.points.partial_cmp(&a.points).unwrap_or(Ordering::Equal));
        reasons.truncate(count);
        Ok(reasons)
    }

    /// The card's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns' names, in the order of a row.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.features
    }

    /// The step from score to answer that the platform's mathematics library computes.
    #[must_use]
    pub fn libm(&self) -> Option<&'static str> {
        (self.link == Link::Logistic).then_some("exp")
    }
}

impl Term {
    fn points(&self, value: f64) -> Result<f64, &'static str> {
        if value.is_nan() {
            return self.missing.ok_or("it is missing, and the card does not say what that gives");
        }
        match &self.rule {
            Rule::Bins(bins) => {
                let bin = bins.iter().find(|(below, _)| value < *below);
                bin.map(|(_, points)| *points).ok_or("it is in no bin")
            }
            Rule::Values(values, other) => {
                let listed = values.iter().find(|(listed, _)| *listed == value).map(|(_, points)| *points);
                listed.or(*other).ok_or("the card does not list it")
            }
            Rule::Linear { coefficient, center, scale } => {
                let points = coefficient * ((value - center) / scale);
                if points.is_finite() { Ok(points) } else { Err("its term is too large for a number") }
            }
        }
    }
}

#[cfg(test)]
mod tests;
