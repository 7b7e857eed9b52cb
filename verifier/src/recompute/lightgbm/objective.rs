//! What a LightGBM objective makes of the margins.
//!
//! *Guarantees*: the library's own steps in `f64`. Functions marked *libm* use the platform's mathematics library, as the library
//! does.
//!
//! *Does not do*: training's part of an objective.

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// What the sum of the leaves means.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Objective {
    /// `binary` and `multiclassova`: a probability for each margin, with the steepness that the file names (*libm*).
    Sigmoid(f64),
    /// `cross_entropy`: a probability (*libm*).
    CrossEntropy,
    /// `cross_entropy_lambda`: an intensity (*libm*, twice).
    CrossEntropyLambda,
    /// Regressions and rankings whose margin is the answer, and models without an objective of the library's.
    Identity,
    /// `regression sqrt`: the square, with the margin's sign.
    SignedSquare,
    /// `poisson`, `gamma`, `tweedie`: `exp` of the margin (*libm*).
    Log,
    /// `multiclass`: a probability a class (*libm*).
    Softmax,
}

const PLACE: &str = "header.objective";

impl Objective {
    /// Reads the objective's line, for a model of `margins` margins.
    pub(super) fn read(line: Option<&str>, margins: usize) -> Result<Self, ModelError> {
        let Some(line) = line else { return Ok(Self::Identity) };
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let (mut sigmoid, mut classes, mut sqrt) = (None, None, false);
        for word in words {
            match word.split_once(':') {
                Some(("sigmoid", value)) => sigmoid = Some(steepness(value)?),
                Some(("num_class", value)) => classes = value.parse::<usize>().ok(),
                None if word == "sqrt" => sqrt = true,
                _ => return Err(unsupported(format!("the objective setting {}", shown(word)), PLACE)),
            }
        }
        let missing = || malformed(PLACE, "does not say how steep its sigmoid is");
        let (objective, several) = match name {
            "binary" => (Self::Sigmoid(sigmoid.ok_or_else(missing)?), false),
            "multiclassova" => (Self::Sigmoid(sigmoid.ok_or_else(missing)?), true),
            "multiclass" => (Self::Softmax, true),
            "cross_entropy" => (Self::CrossEntropy, false),
            "cross_entropy_lambda" => (Self::CrossEntropyLambda, false),
            "poisson" | "gamma" | "tweedie" => (Self::Log, false),
            "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" if sqrt => {
                (Self::SignedSquare, false)
            }
            "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
            | "rank_xendcg" => (Self::Identity, false),
            "custom" => return Ok(Self::Identity),
            other => return Err(unsupported(format!("the objective {}", shown(other)), PLACE)),
        };
        let fits = if several { classes == Some(margins) } else { margins == 1 };
        if fits {
            Ok(objective)
        } else {
            Err(malformed(PLACE, "fits another number of classes than the header gives"))
        }
    }

    /// Turns the margins of a row into what `predict` gives, in place.
    pub(super) fn transform(self, margins: &mut [f64]) {
        let each = |margins: &mut [f64], step: fn(f64) -> f64| {
            margins.iter_mut().for_each(|value| *value = step(*value))
        };
        match self {
            Self::Identity => {}
            Self::Sigmoid(steepness) => {
                margins.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-steepness * *value).exp()));
            }
            Self::CrossEntropy => each(margins, |value| 1.0 / (1.0 + (-value).exp())),
            Self::CrossEntropyLambda => each(margins, |value| value.exp().ln_1p()),
            Self::SignedSquare => each(margins, |value| {
                let sign = f64::from(i8::from(value > 0.0) - i8::from(value < 0.0));
                sign * value * value
            }),
            Self::Log => each(margins, f64::exp),
            Self::Softmax => {
                let greatest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let mut sum = 0.0;
                for value in margins.iter_mut() {
                    *value = (*value - greatest).exp();
                    sum += *value;
                }
                margins.iter_mut().for_each(|value| *value /= sum);
            }
        }
    }

    /// The step from margin to answer that the platform's mathematics library computes.
    #[must_use]
    pub fn libm(self) -> Option<&'static str> {
        match self {
            Self::Identity | Self::SignedSquare => None,
            Self::CrossEntropyLambda => Some("exp and log1p"),
            _ => Some("exp"),
        }
    }

    /// What one number of its answer is.
    #[must_use]
    pub fn answer(self) -> &'static str {
        match self {
            Self::Sigmoid(_) | Self::CrossEntropy => "probability",
            Self::Softmax => "probability of each class",
            Self::CrossEntropyLambda => "intensity",
            Self::Identity | Self::SignedSquare | Self::Log => "prediction",
        }
    }
}

/// The library reads this number with a parser that rounds several times. Where it has few digits every step is exact or is
/// the one rounding of a division, so that the result is the nearest number; a longer one is refused.
fn steepness(text: &str) -> Result<f64, ModelError> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let fraction_alone = whole.bytes().all(|byte| byte == b'0') || !text.contains('.');
    if !plain || digits > 15 || !fraction_alone {
        return Err(unsupported(format!("a sigmoid of {}", shown(text)), PLACE));
    }
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 => Ok(value),
        _ => Err(malformed(PLACE, "has a sigmoid that is not a number above 0")),
    }
}
