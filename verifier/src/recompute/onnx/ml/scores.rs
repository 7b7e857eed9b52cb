//! What the operations of `ai.onnx.ml` make of raw scores: their `post_transform`, and the second class of a binary model.
//!
//! *Guarantees*: onnxruntime's arithmetic, operation by operation, in `f32`; the exponential is the platform's, as there.
//!
//! *Does not do*: leave out what looks odd: a score that no leaf gave stays zero whatever base values say, and a single score knows no
//! transform but `LOGISTIC`. The engine does so, too.

use super::forest::Float;
use crate::recompute::onnx::Fault;

/// The step from raw scores to scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

/// What becomes of a single score of a model of two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    /// Nothing says; the engine leaves the second score unwritten.
    Undefined,
    /// One less the score.
    Complement,
    /// The negated score.
    Negation,
}

/// A sum of weights, and whether any leaf added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score<T> {
    pub(crate) sum: T,
    pub(crate) is_given: bool,
}

impl<T: Float> Score<T> {
    pub(crate) fn none() -> Self {
        Self { sum: T::from(0.0), is_given: false }
    }

    pub(crate) fn given(sum: T) -> Self {
        Self { sum, is_given: true }
    }

    /// The sum; zero if no leaf added to it.
    pub(crate) fn value(self) -> T {
        if self.is_given { self.sum } else { T::from(0.0) }
    }
}

impl Transform {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "NONE" => Some(Self::None),
            "SOFTMAX" => Some(Self::Softmax),
            "LOGISTIC" => Some(Self::Logistic),
            "SOFTMAX_ZERO" => Some(Self::SoftmaxZero),
            "PROBIT" => Some(Self::Probit),
            _ => None,
        }
    }

    /// As the engine reads the numbers of `TreeEnsemble`; the specification has `SOFTMAX` as 1 and `LOGISTIC` as 2.
    pub(crate) fn numbered(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Logistic),
            2 => Some(Self::Softmax),
            3 => Some(Self::SoftmaxZero),
            4 => Some(Self::Probit),
            _ => None,
        }
    }

    /// The function of the mathematics library behind it.
    pub(crate) fn libm(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Softmax | Self::Logistic | Self::SoftmaxZero => Some("exp"),
            Self::Probit => Some("log"),
        }
    }

    /// The scores of a row, from its raw ones.
    pub(crate) fn scores<T: Float>(self, scores: &[Score<T>], second: Second) -> Result<Vec<T>, Fault> {
        let [score] = *scores else {
            return Ok(self.of_several(scores.iter().map(|score| score.value()).collect()));
        };
        let score = score.value();
        let logistic = |value: T| T::from(logistic(value.narrow()));
        match (self, second) {
            (Self::Probit, _) | (_, Second::Undefined) => {
                Err(Fault::new("has two classes, but one score, and the engine leaves the other unwritten"))
            }
            (Self::Logistic, _) => Ok(vec![logistic(-score), logistic(score)]),
            (_, Second::Complement) => Ok(vec![T::from(1.0) - score, score]),
            (_, Second::Negation) => Ok(vec![-score, score]),
        }
    }

    fn of_several<T: Float>(self, mut scores: Vec<T>) -> Vec<T> {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = T::from(logistic(score.narrow()))),
            Self::Probit => scores.iter_mut().for_each(|score| *score = T::from(probit(score.narrow()))),
            Self::Softmax => {
                let greatest = greatest(&scores);
                let mut sum = 0.0_f32;
                for score in &mut scores {
                    let power = (score.narrow() - greatest).exp();
                    *score = T::from(power);
                    sum += power;
                }
                scores.iter_mut().for_each(|score| *score = T::from(score.narrow() / sum));
            }
            Self::SoftmaxZero => {
                const ZERO: f32 = 0.000_000_1;
                let greatest = greatest(&scores);
                let of_zero = T::from((-greatest).exp());
                let mut sum = 0.0_f32;
                for score in &mut scores {
                    if score.narrow() > ZERO || score.narrow() < -ZERO {
                        let power = (score.narrow() - greatest).exp();
                        *score = T::from(power);
                        sum += power;
                    } else {
                        *score = *score * of_zero;
                    }
                }
                scores.iter_mut().for_each(|score| *score = *score / T::from(sum));
            }
        }
        scores
    }
}

fn greatest<T: Float>(scores: &[T]) -> f32 {
    let mut greatest = -f32::MAX;
    for score in scores {
        if score.narrow() > greatest {
            greatest = score.narrow();
        }
    }
    greatest
}

/// The engine's logistic function: of the negated value it takes the complement, so that `exp` never overflows.
pub(crate) fn logistic(value: f32) -> f32 {
    let of_size = 1.0 / (1.0 + (-value.abs()).exp());
    if value < 0.0 { 1.0 - of_size } else { of_size }
}

/// The engine's approximation of the inverse of the normal distribution.
pub(crate) fn probit(value: f32) -> f32 {
    const CURVE: f32 = 0.147;
    let value = 2.0 * value - 1.0;
    let sign = if value < 0.0 { -1.0_f32 } else { 1.0 };
    let log = ((1.0 - value) * (1.0 + value)).ln();
    let v = 2.0 / (std::f32::consts::PI * CURVE) + 0.5 * log;
    let v2 = 1.0 / CURVE * log;
    let v3 = -v + (v * v - v2).sqrt();
    std::f32::consts::SQRT_2 * (sign * v3.sqrt())
}
