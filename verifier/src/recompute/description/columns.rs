//! The feature pipeline: what makes a column of the model's row from one recorded feature.

use serde::Deserialize;

use crate::recompute::error::{ModelError, malformed};

/// Steps of one column.
const STEPS_MAX: usize = 64;

/// Edges of one binning.
const EDGES_MAX: usize = 65_536;

/// One column of the model's row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The recorded feature that it comes from (`input/feature/<name>`).
    pub feature: String,
    /// What is done to it, in this order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One transform.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A missing value becomes this number.
    Impute(f64),
    /// 1 where the value is missing, 0 where it is not.
    IsMissing,
    /// 1 where the value is this one, 0 elsewhere and where it is missing (one-hot encoding).
    Equals(Category),
    /// The number of the first of these that the value is; a missing value stays missing, another is refused.
    OneOf(Vec<Category>),
    /// How many of these rising edges are not above the value (binning).
    Bins(Vec<f64>),
    /// The difference from this number.
    Subtract(f64),
    /// The quotient by this number.
    Divide(f64),
    /// The product with this number.
    Multiply(f64),
    /// At least the first and at most the second number.
    Clip(f64, f64),
    /// Rounded to the nearest 32-bit number, as a pipeline that computes in 32 bits does.
    RoundToF32,
}

/// A value that a category has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Category {
    /// Text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
}

/// A recorded feature as the pipeline takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feature<'a> {
    /// Missing.
    Missing,
    /// A number; not NaN.
    Number(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(&'a str),
}

/// Why a column cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// A step for numbers met something else.
    #[error("the feature {feature} is not a number where step {step} needs one")]
    NotANumber {
        /// The feature.
        feature: String,
        /// The step, from 1.
        step: usize,
    },
    /// The pipeline has no number for a category.
    #[error("the feature {feature} has a value that step {step} does not name")]
    Unknown {
        /// The feature.
        feature: String,
        /// The step, from 1.
        step: usize,
    },
    /// What comes out is no number.
    #[error("the feature {feature} is no number after the last step")]
    NoNumber {
        /// The feature.
        feature: String,
    },
}

impl Column {
    /// The column of a feature without steps.
    #[must_use]
    pub fn plain(feature: &str) -> Self {
        Self { feature: feature.to_owned(), steps: Vec::new() }
    }

    /// The number that a feature makes; `NAN` is a missing one.
    ///
    /// # Errors
    /// [`ColumnError`] if a step does not fit the value.
    pub fn number(&self, feature: Feature<'_>) -> Result<f64, ColumnError> {
        let mut value = feature;
        for (step, number) in self.steps.iter().zip(1..) {
            value = self.apply(step, number, value)?;
        }
        match value {
            Feature::Missing => Ok(f64::NAN),
            Feature::Number(number) => Ok(number),
            Feature::Bool(truth) => Ok(f64::from(u8::from(truth))),
            Feature::Text(_) => Err(ColumnError::NoNumber { feature: self.feature.clone() }),
        }
    }

    fn apply<'a>(&self, step: &Step, number: usize, value: Feature<'a>) -> Result<Feature<'a>, ColumnError> {
        let truth = |truth: bool| Ok(Feature::Number(f64::from(u8::from(truth))));
        match step {
            Step::Impute(other) if value == Feature::Missing => return Ok(Feature::Number(*other)),
            Step::Impute(_) => return Ok(value),
            Step::IsMissing => return truth(value == Feature::Missing),
            Step::Equals(category) => return truth(category.is(value)),
            _ if value == Feature::Missing => return Ok(value),
            Step::OneOf(categories) => {
                let place = categories.iter().position(|category| category.is(value));
                let place = place.and_then(|place| u32::try_from(place).ok());
                let unknown = || ColumnError::Unknown { feature: self.feature.clone(), step: number };
                return Ok(Feature::Number(f64::from(place.ok_or_else(unknown)?)));
            }
            _ => {}
        }
        let not_a_number = || ColumnError::NotANumber { feature: self.feature.clone(), step: number };
        let taken = value.as_number().ok_or_else(not_a_number)?;
        Ok(Feature::Number(arithmetic(step, taken)))
    }

    pub(super) fn check(&self, place: usize) -> Result<(), ModelError> {
        let at = || format!("columns[{place}].steps");
        if self.steps.len() > STEPS_MAX {
            return Err(malformed(at(), "a column has at most 64 steps"));
        }
        for step in &self.steps {
            let numbers: &[f64] = match step {
                Step::Impute(one) | Step::Subtract(one) | Step::Divide(one) | Step::Multiply(one) => &[*one],
                Step::Clip(low, high) => &[*low, *high],
                Step::Bins(edges) => edges,
                _ => &[],
            };
            if numbers.len() > EDGES_MAX || numbers.iter().any(|number| !number.is_finite()) {
                return Err(malformed(at(), "numbers are finite, and at most 65,536 edges make bins"));
            }
            match step {
                Step::Divide(zero) if *zero == 0.0 => return Err(malformed(at(), "nothing is divided by 0")),
                Step::Clip(low, high) if low > high => {
                    return Err(malformed(at(), "the first bound of clip is not above the second"));
                }
                Step::Bins(edges) if !edges.is_sorted_by(|a, b| a < b) => {
                    return Err(malformed(at(), "edges of bins rise"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A step that takes a number and gives one.
#[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is the step")]
fn arithmetic(step: &Step, value: f64) -> f64 {
    match step {
        Step::Bins(edges) => {
            let below = edges.partition_point(|edge| *edge <= value);
            f64::from(u32::try_from(below).unwrap_or(u32::MAX))
        }
        Step::Subtract(other) => value - other,
        Step::Divide(other) => value / other,
        Step::Multiply(other) => value * other,
        Step::Clip(low, high) => value.max(*low).min(*high),
        Step::RoundToF32 => f64::from(value as f32),
        Step::Impute(_) | Step::IsMissing | Step::Equals(_) | Step::OneOf(_) => value,
    }
}

impl Category {
    fn is(&self, value: Feature<'_>) -> bool {
        match (self, value) {
            (Self::Text(text), Feature::Text(other)) => text == other,
            (Self::Bool(truth), Feature::Bool(other)) => *truth == other,
            (Self::Number(number), other) => other.as_number() == Some(*number),
            _ => false,
        }
    }
}

impl Feature<'_> {
    fn as_number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bool(truth) => Some(f64::from(u8::from(truth))),
            Self::Missing | Self::Text(_) => None,
        }
    }
}
