//! What was found while comparing, and the verdict that it makes.

use ledgerstone::record::Value;

use crate::audit::verdict::{Difference, Replayed, Verdict};

/// Differences that are kept of one decision; more say nothing more.
const DIFFERENCES_MAX: usize = 64;

/// What was found while comparing.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    numbers_differ: bool,
    label_differs: bool,
    reasons_differ: bool,
    differences: Vec<Difference>,
    scores: Vec<(f64, f64)>,
}

impl Comparison {
    /// The first score of a row, as recorded and as recomputed.
    pub(super) fn score(&mut self, recorded: f64, recomputed: f64) {
        self.scores.push((recorded, recomputed));
    }

    pub(super) fn number(&mut self, difference: Difference) {
        self.numbers_differ = true;
        self.keep(difference);
    }

    pub(super) fn label(&mut self, difference: Difference) {
        self.label_differs = true;
        self.keep(difference);
    }

    pub(super) fn reasons(&mut self, difference: Difference) {
        self.reasons_differ = true;
        self.keep(difference);
    }

    /// Something that is said and is no difference.
    #[cfg(feature = "neural")]
    pub(super) fn remark(&mut self, said: Difference) {
        self.keep(said);
    }

    fn keep(&mut self, difference: Difference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }

    /// Whether every number and every label follows.
    pub(super) const fn follows(&self) -> bool {
        !self.numbers_differ && !self.label_differs
    }

    pub(super) fn replayed(self) -> Replayed {
        let verdict = match (self.numbers_differ, self.label_differs) {
            (_, true) => Verdict::OutcomeFlips,
            (true, false) => Verdict::MismatchSameOutcome,
            (false, false) => Verdict::Exact,
        };
        Replayed {
            verdict,
            reasons_differ: self.reasons_differ,
            differences: self.differences,
            scores: self.scores,
            distance: None,
            reasons_unchecked: None,
        }
    }
}

/// A recorded value for a difference: none of these is a person's, they are a model's output.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => ledgerstone::encoding::hex_encode(bytes),
        Value::Float(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "null".to_owned(),
        Value::Array(_) => "an array".to_owned(),
    }
}
