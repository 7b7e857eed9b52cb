//! What an objective makes of a margin, and of the base score that the file keeps.
//!
//! *Guarantees*: each function is the library's own, operation by operation, in `f32` (the sum under a softmax is in `f64`, as
//! there).
//!
//! *Does not do*: training's part of an objective. Functions marked *libm* use the platform's mathematics library, as
//! XGBoost does, so that their last bit is the same only where the library is.

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// What the sum of the leaves means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objective {
    /// `binary:logistic` and `reg:logistic`: the margin is the logarithm of the odds (*libm*).
    Logistic,
    /// `binary:logitraw`: the same, and the margin is the answer.
    LogitRaw,
    /// `binary:hinge`: the answer is 1 above a margin of 0, else 0.
    Hinge,
    /// `reg:squarederror` and its old name `reg:linear`: the margin is the prediction.
    SquaredError,
    /// Other objectives whose margin is the prediction: `reg:squaredlogerror`, `reg:pseudohubererror`,
    /// `reg:absoluteerror`, `reg:quantileerror`, and the ranking objectives.
    Identity,
    /// `count:poisson`, `reg:gamma`, `reg:tweedie`, `survival:cox`: the prediction is `exp` of the margin (*libm*).
    Log,
    /// `multi:softmax`: the answer is the class of the greatest margin.
    Softmax,
    /// `multi:softprob`: the answer is a probability a class (*libm*).
    Softprob,
}

impl Objective {
    /// The objective of this name.
    pub(super) fn named(name: &str) -> Result<Self, ModelError> {
        match name {
            "binary:logistic" | "reg:logistic" => Ok(Self::Logistic),
            "binary:logitraw" => Ok(Self::LogitRaw),
            "binary:hinge" => Ok(Self::Hinge),
            "reg:squarederror" | "reg:linear" => Ok(Self::SquaredError),
            "reg:squaredlogerror"
            | "reg:pseudohubererror"
            | "reg:absoluteerror"
            | "reg:quantileerror"
            | "rank:pairwise"
            | "rank:ndcg"
            | "rank:map" => Ok(Self::Identity),
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" => Ok(Self::Log),
            "multi:softmax" => Ok(Self::Softmax),
            "multi:softprob" => Ok(Self::Softprob),
            other => Err(unsupported(format!("the objective {}", shown(other)), "learner.objective.name")),
        }
    }

    /// Whether it needs one margin a class.
    pub(super) fn is_of_classes(self) -> bool {
        matches!(self, Self::Softmax | Self::Softprob)
    }

    /// The margin before any tree, from a base score as the user gave it.
    pub(super) fn margin_of(self, score: f32, version: (u64, u64)) -> Result<f32, ModelError> {
        const PLACE: &str = "learner.learner_model_param.base_score";
        let differently = |what: &str| Err(unsupported(what, PLACE));
        match self {
            _ if !score.is_finite() => Err(malformed(PLACE, "is not a finite number")),
            Self::Logistic if !(0.0..=1.0).contains(&score) => Err(malformed(PLACE, "is not a probability")),
            Self::Logistic if !(SCORE_MIN..=1.0 - SCORE_MIN).contains(&score) => differently(
                "a base score within 1e-6 of 0 or 1, which versions of the library read differently,",
            ),
            Self::Logistic => Ok(logit(score)),
            // Before 3.2 it was taken as a probability, since then as a margin.
            Self::LogitRaw if version < (3, 2) => differently(
                "a binary:logitraw model of a version before 3.2, whose base score versions of the library read differently,",
            ),
            Self::Log if score <= 0.0 => Err(malformed(PLACE, "is not above 0, which the objective needs")),
            Self::Log => Ok(score.ln()),
            _ => Ok(score),
        }
    }

    /// Numbers of an answer, of `margins` margins.
    pub(super) fn outputs(self, margins: usize) -> usize {
        if self == Self::Softmax { 1 } else { margins }
    }

    /// Turns the margins of a row into what `predict` gives, in place; what stands behind [`Objective::outputs`] is unspecified.
    pub(super) fn transform(self, margins: &mut [f32]) {
        match self {
            Self::Logistic => margins.iter_mut().for_each(|value| *value = sigmoid(*value)),
            Self::Hinge => margins.iter_mut().for_each(|value| *value = f32::from(u8::from(*value > 0.0))),
            Self::Log => margins.iter_mut().for_each(|value| *value = value.exp()),
            Self::SquaredError | Self::Identity | Self::LogitRaw => {}
            Self::Softprob => softmax(margins),
            Self::Softmax => {
                let class = greatest(margins);
                if let Some(first) = margins.first_mut() {
                    *first = class;
                }
            }
        }
    }

    /// The step from margin to answer that the platform's mathematics library computes.
    #[must_use]
    pub fn libm(self) -> Option<&'static str> {
        match self {
            Self::Logistic | Self::Log | Self::Softprob => Some("exp"),
            _ => None,
        }
    }

    /// What its answer is.
    #[must_use]
    pub fn answer(self) -> &'static str {
        match self {
            Self::Logistic => "probability",
            Self::Softprob => "probability of each class",
            Self::Softmax => "class",
            Self::Hinge => "class, 0 or 1",
            Self::LogitRaw => "margin",
            Self::SquaredError | Self::Identity | Self::Log => "prediction",
        }
    }
}

/// Since 3.2 the library raises and lowers base scores to this distance from 0 and 1; before, it did not.
const SCORE_MIN: f32 = 1e-6;

/// The library's logistic function, operation by operation: the exponent is capped so that `exp` stays finite, and
/// 1e-16 keeps its divisor from zero.
pub(super) fn sigmoid(margin: f32) -> f32 {
    const NOT_ZERO: f32 = 1e-16;
    const EXPONENT_MAX: f32 = 88.7;
    // Not f32::min: C++ `std::min(a, b)` keeps a NaN in its first argument.
    let exponent = if EXPONENT_MAX < -margin { EXPONENT_MAX } else { -margin };
    1.0 / (exponent.exp() + 1.0 + NOT_ZERO)
}

/// The margin at which `probability` gives this base score.
fn logit(base_score: f32) -> f32 {
    -(1.0 / base_score - 1.0).ln()
}

fn softmax(margins: &mut [f32]) {
    let greatest = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for value in margins.iter_mut() {
        *value = (*value - greatest).exp();
        sum += f64::from(*value);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the library divides by the sum rounded to f32")]
    let divisor = sum as f32;
    margins.iter_mut().for_each(|value| *value /= divisor);
}

/// The place of the first of the greatest margins, as a number.
#[expect(clippy::cast_precision_loss, reason = "classes are bounded far below 2^24")]
fn greatest(margins: &[f32]) -> f32 {
    let first = margins.first().copied().unwrap_or_default();
    let (class, _) = margins.iter().enumerate().fold((0, first), |(class, best), (place, &margin)| {
        if margin > best { (place, margin) } else { (class, best) }
    });
    class as f32
}
