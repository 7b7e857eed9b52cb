//! The `gblinear` booster: coefficients instead of trees.
//!
//! *Guarantees*: the library's order: the intercept plus the base margin, then the features from first to last, a missing one
//! adding nothing; every operation in `f32`.
//!
//! *Does not do*: anything about how the coefficients were found.

/// Coefficients, all outputs of a feature together, the intercepts last.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weights: Vec<f32>,
    outputs: usize,
}

impl Linear {
    pub(super) fn check(
        weights: Vec<f32>,
        feature_count: usize,
        outputs: usize,
    ) -> Result<Self, &'static str> {
        if feature_count.checked_add(1).and_then(|rows| rows.checked_mul(outputs)) != Some(weights.len()) {
            return Err("has another length than features and outputs give");
        }
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err("holds a coefficient that is not a finite number");
        }
        Ok(Self { weights, outputs })
    }

    /// Intercept of an output.
    fn intercept(&self, output: usize) -> f32 {
        let at = self.weights.len() - self.outputs + output;
        self.weights.get(at).copied().unwrap_or_default()
    }

    /// Coefficients of an output, in the order of the features.
    fn of(&self, output: usize) -> impl Iterator<Item = f32> {
        self.weights.iter().skip(output).step_by(self.outputs).copied()
    }

    pub(super) fn margin(&self, features: &[f32], output: usize, base_margin: f32) -> f32 {
        let present = features.iter().zip(self.of(output)).filter(|(value, _)| !value.is_nan());
        present.fold(self.intercept(output) + base_margin, |sum, (value, weight)| sum + value * weight)
    }

    /// One contribution a feature, then what stays for every row.
    pub(super) fn contributions(&self, features: &[f32], output: usize, base_margin: f32, into: &mut [f32]) {
        for ((place, value), weight) in into.iter_mut().zip(features).zip(self.of(output)) {
            *place = if value.is_nan() { 0.0 } else { value * weight };
        }
        if let Some(last) = into.last_mut() {
            *last = self.intercept(output) + base_margin;
        }
    }
}
