//! Contributions by permutation sampling with a recorded seed: what each feature adds if features come in a random order, the others
//! being those of the rows of a background.
//!
//! *Guarantees*: the numbers of shap 0.51's `PermutationExplainer(margins, background, seed=seed)(row, max_evals=evaluations)`, made anew for
//! the row, bit for bit: numpy's draws, which rows shap does not ask the model again, and every sum in its order, in `f64`.
//!
//! *Does not do*: draws that a row before left behind, so the recorder makes the explainer anew for each decision; clusters of
//! features; other links than the identity.
//!
//! Each permutation is walked forward, from a row of the background to the explained one feature by feature, and back in the same order (Štrumbelj
//! and Kononenko, 2014, "Explaining prediction models and individual predictions with feature contributions").

mod twister;

use serde::Deserialize;

use super::error::RowError;
use super::interventional::BACKGROUND_ROWS_MAX;
use twister::Twister;

/// Evaluations that a row may be granted.
pub const EVALUATIONS_MAX: u32 = 1 << 20;

/// Evaluations times rows of the background: each is a row that the model scores.
const SCORED_MAX: usize = 1 << 26;

/// How permutations are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permutations {
    /// Evaluations for one row at most, shap's `max_evals`: a permutation of *n* features that vary takes 2 *n* + 1.
    pub evaluations: u32,
    /// What the draws follow from, as numpy's `seed` takes it.
    pub seed: u32,
}

/// A row, and what it is compared with.
struct Sampled<'a, M> {
    row: &'a [f64],
    background: Vec<&'a [f64]>,
    outputs: usize,
    margins: M,
}

/// For each of `outputs` margins one contribution a column, and behind them the mean margin of the background.
pub(super) fn contributions(
    row: &[f64],
    background: &[f64],
    outputs: usize,
    permutations: Permutations,
    margins: impl Fn(&[f64]) -> Result<Vec<f64>, RowError>,
) -> Result<Vec<Vec<f64>>, RowError> {
    let refused = |problem| Err(RowError::Contributions { problem });
    let background: Vec<&[f64]> = background.chunks_exact(row.len().max(1)).collect();
    let evaluations = permutations.evaluations as usize;
    match background.len() {
        0 => return refused("the background has no rows"),
        count if count > BACKGROUND_ROWS_MAX => return refused("the background has more than 10,000 rows"),
        count if count.saturating_mul(evaluations) > SCORED_MAX => {
            return refused("evaluations times rows of the background are more than 67,108,864");
        }
        _ => {}
    }
    let sampled = Sampled { row, background, outputs, margins };
    let mut varying: Vec<usize> = (0..row.len()).filter(|column| sampled.varies(*column)).collect();
    let count = evaluations / (2 * varying.len() + 1);
    if count == 0 {
        return refused(
            "there are too few evaluations for one permutation: twice the features that vary, and one",
        );
    }
    let mut found = vec![vec![0.0; row.len() + 1]; outputs];
    let mut draws = Twister::new(permutations.seed);
    for _ in 0..count {
        draws.shuffle(&mut varying);
        sampled.add(&varying, &mut found)?;
        if varying.is_empty() {
            break;
        }
    }
    let ways = f64::from(2 * u32::try_from(count).unwrap_or(u32::MAX));
    for contribution in found.iter_mut().flat_map(|of_output| of_output.iter_mut().take(row.len())) {
        *contribution /= ways;
    }
    Ok(found)
}

impl<M: Fn(&[f64]) -> Result<Vec<f64>, RowError>> Sampled<'_, M> {
    /// Whether a column of a background's row is another than the row's, as numpy's `isclose` tells it.
    fn differs(&self, row: &[f64], column: usize) -> bool {
        let (Some(own), Some(other)) = (self.row.get(column), row.get(column)) else { return false };
        let is_close = (own - other).abs() <= 1e-8 + 1e-5 * other.abs() && other.is_finite();
        !(is_close || own == other)
    }

    fn varies(&self, column: usize) -> bool {
        self.background.iter().any(|row| self.differs(row, column))
    }

    /// Adds what each column of a permutation adds on the way forward and back; the mean of the background replaces that before.
    fn add(&self, order: &[usize], found: &mut [Vec<f64>]) -> Result<(), RowError> {
        let mut masked: Vec<Vec<f64>> = self.background.iter().map(|row| row.to_vec()).collect();
        let mut last = masked.iter().map(|row| (self.margins)(row)).collect::<Result<Vec<_>, _>>()?;
        let mut before = self.mean(&last);
        for (output, base) in found.iter_mut().zip(&before) {
            output.last_mut().into_iter().for_each(|last| *last = *base);
        }
        for is_forward in [true, false] {
            for column in order {
                for ((masked, given), last) in masked.iter_mut().zip(&self.background).zip(&mut last) {
                    let from = if is_forward { self.row } else { given };
                    if let (Some(into), Some(value)) = (masked.get_mut(*column), from.get(*column)) {
                        *into = *value;
                    }
                    // A value that is close is put in, but the model is not asked again.
                    if self.differs(given, *column) {
                        *last = (self.margins)(masked)?;
                    }
                }
                let after = self.mean(&last);
                for ((output, after), before) in found.iter_mut().zip(&after).zip(&before) {
                    let added = if is_forward { after - before } else { before - after };
                    output.get_mut(*column).into_iter().for_each(|sum| *sum += added);
                }
                before = after;
            }
        }
        Ok(())
    }

    /// The mean of each margin, added from the first row to the last.
    fn mean(&self, of_rows: &[Vec<f64>]) -> Vec<f64> {
        let count = f64::from(u32::try_from(of_rows.len()).unwrap_or(u32::MAX));
        let of = |output: usize| {
            of_rows.iter().filter_map(|row| row.get(output)).fold(0.0, |sum, margin| sum + margin)
        };
        (0..self.outputs).map(|output| of(output) / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(row: &[f64]) -> Result<Vec<f64>, RowError> {
        Ok(vec![row[0] + 2.0 * row[1] + row[0] * row[2], row[1]])
    }

    #[test]
    fn contributions_add_up_to_the_margin() {
        let row = [1.0, 2.0, 3.0];
        let background = [0.0, 0.0, 0.0, 1.0, 5.0, -1.0];
        let found =
            contributions(&row, &background, 2, Permutations { evaluations: 70, seed: 3 }, sum).unwrap();
        for (of_output, margin) in found.iter().zip(sum(&row).unwrap()) {
            assert!((of_output.iter().sum::<f64>() - margin).abs() < 1e-12, "{of_output:?}");
        }
        assert_eq!(found[1], [0.0, -0.5, 0.0, 2.5]);
    }

    #[test]
    fn another_seed_draws_other_orders() {
        let rows: Vec<f64> = (0..40).map(f64::from).collect();
        let product = |row: &[f64]| Ok(vec![row.iter().product()]);
        let of = |seed| {
            let how = Permutations { evaluations: 20, seed };
            contributions(&rows[30..38], &rows[..16], 1, how, product).unwrap()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_row_that_is_the_background_has_no_contributions() {
        let how = Permutations { evaluations: 1, seed: 0 };
        let found = contributions(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 2, how, sum).unwrap();
        assert_eq!(found, [vec![0.0, 0.0, 0.0, 8.0], vec![0.0, 0.0, 0.0, 2.0]]);
    }

    /// shap 0.51 says these numbers. They add up to less than the margin, because the first row of the background is not asked again.
    #[test]
    fn a_close_value_is_put_in_and_the_model_is_not_asked_again() {
        let how = Permutations { evaluations: 50, seed: 7 };
        let product = |row: &[f64]| Ok(vec![row[0] * 3.0 + row[0] * row[1]]);
        let found = contributions(&[1.000_000_1, 2.0], &[1.0, 0.0, 5.0, 1.0], 1, how, product).unwrap();
        assert_eq!(found, [[-8.999_999_775_000_001, 2.500_000_145, 11.5]]);
    }

    #[test]
    fn refuses_what_cannot_be_drawn_and_what_would_take_for_ever() {
        let problem = |background: &[f64], evaluations| {
            contributions(&[1.0, 2.0, 3.0], background, 2, Permutations { evaluations, seed: 0 }, sum)
                .unwrap_err()
                .to_string()
        };
        assert!(problem(&[], 100).contains("no rows"));
        assert!(problem(&[0.0; 3], 6).contains("too few evaluations"));
        assert!(problem(&[0.0; 30_003], 100).contains("more than 10,000"));
        assert!(problem(&[0.0; 30_000], EVALUATIONS_MAX).contains("times rows"));
    }
}
