//! Scores, labels and tensors of a record against the numbers of its rows, bit for bit.

use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{Record, Value};

use super::comparison::{Comparison, shown};
use super::{Obstacle, Recomputer, at};
use crate::audit::verdict::Difference;
use crate::recompute::description::{Dtype, Label, Numbers, Tensor};

/// The numbers of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Of a text model, what its classifier sees; else nothing.
    pub(super) vector: Vec<f64>,
    /// Before the objective's last step.
    pub(super) margins: Vec<f64>,
    /// What the library's `predict` gives.
    pub(super) answer: Vec<f64>,
}

impl Outcome {
    pub(super) fn of(&self, of: Numbers) -> &[f64] {
        match of {
            Numbers::Vector => &self.vector,
            Numbers::Margins => &self.margins,
            Numbers::Answer => &self.answer,
        }
    }

    pub(super) fn of_mut(&mut self, of: Numbers) -> &mut Vec<f64> {
        match of {
            Numbers::Vector => &mut self.vector,
            Numbers::Margins => &mut self.margins,
            Numbers::Answer => &mut self.answer,
        }
    }

    fn number(&self, of: Numbers, index: usize) -> f64 {
        self.of(of).get(index).copied().unwrap_or(f64::NAN)
    }
}

impl Recomputer {
    /// Compares everything that the description names with the outcomes of the rows.
    pub(super) fn compare(
        &self,
        record: &Record,
        places: &[Option<u32>],
        outcomes: &[Outcome],
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        for (place, outcome) in places.iter().zip(outcomes) {
            self.compare_scores(record, *place, outcome, comparison)?;
            self.compare_label(record, *place, outcome, comparison)?;
        }
        for tensor in &self.description.tensors {
            compare_tensor(record, tensor, outcomes, comparison)?;
        }
        self.compare_threshold(record, comparison);
        Ok(())
    }

    fn compare_scores(
        &self,
        record: &Record,
        place: Option<u32>,
        outcome: &Outcome,
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        for (number, wanted) in self.description.scores.iter().enumerate() {
            let path = at(schema::score(&wanted.name)?, place)?;
            let Some(Value::Float(recorded)) = record.value(&path) else {
                return Err(Obstacle::Absent(path));
            };
            let recomputed = outcome.number(wanted.of, wanted.index);
            if number == 0 {
                comparison.score(*recorded, recomputed);
            }
            if recorded.to_bits() != recomputed.to_bits() {
                let mut what = path.to_string();
                if let (Some(libm), Numbers::Answer) = (self.engine.libm(), wanted.of) {
                    what += &format!(" (passes through {libm} of this platform's mathematics library)");
                }
                comparison.number(Difference::between(what, Some(recorded), Some(recomputed)));
            }
        }
        Ok(())
    }

    fn compare_label(
        &self,
        record: &Record,
        place: Option<u32>,
        outcome: &Outcome,
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        let Some(recomputed) = self.label(outcome) else { return Ok(()) };
        compare_label(record, place, recomputed, comparison)
    }

    /// The label that follows from numbers; none where the description has none.
    pub(super) fn label(&self, outcome: &Outcome) -> Option<&str> {
        match self.description.label.as_ref()? {
            Label::Threshold { of, index, value, above, below } => {
                Some(if outcome.number(*of, *index) >= *value { above } else { below })
            }
            Label::Largest { of, names } => names.get(largest(outcome.of(*of))).map(String::as_str),
            Label::Words { .. } => None,
        }
    }

    /// How far the number that the label hangs on lies from where the label changes, in words.
    pub(super) fn margin(&self, outcome: &Outcome) -> String {
        match &self.description.label {
            Some(Label::Threshold { of, index, value, .. }) => {
                let distance = (outcome.number(*of, *index) - value).abs();
                format!("the number lies {distance:.2e} from the threshold {value}")
            }
            Some(Label::Largest { of, .. }) => {
                let mut numbers = outcome.of(*of).to_vec();
                numbers.sort_by(|a, b| b.total_cmp(a));
                let margin = match numbers.as_slice() {
                    [first, second, ..] => first - second,
                    _ => 0.0,
                };
                format!("the largest number exceeds the next one by {margin:.2e}")
            }
            _ => String::new(),
        }
    }

    /// The threshold that the route compared with is the model's own.
    fn compare_threshold(&self, record: &Record, comparison: &mut Comparison) {
        let (Some(Label::Threshold { value, .. }), Some(Value::Float(recorded))) =
            (&self.description.label, record.value(&schema::MODEL_THRESHOLD))
        else {
            return;
        };
        if recorded.to_bits() != value.to_bits() {
            comparison.number(Difference::between(schema::MODEL_THRESHOLD, Some(recorded), Some(value)));
        }
    }
}

/// Compares the recorded label of a row.
pub(super) fn compare_label(
    record: &Record,
    place: Option<u32>,
    recomputed: &str,
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let path = at(schema::OUTPUT_LABEL, place)?;
    match record.value(&path) {
        Some(Value::Text(recorded)) if recorded == recomputed => {}
        Some(Value::Text(recorded)) => {
            comparison.label(Difference::between(path, Some(recorded), Some(recomputed)));
        }
        _ => return Err(Obstacle::Absent(path)),
    }
    Ok(())
}

/// The place of the first of the largest numbers.
fn largest(numbers: &[f64]) -> usize {
    let mut best = 0;
    for (place, number) in numbers.iter().enumerate() {
        if numbers.get(best).is_some_and(|most| number > most) {
            best = place;
        }
    }
    best
}

/// Compares a tensor by the digest that the record has of it, over all rows.
#[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened, or the tensor's own rounding")]
fn compare_tensor(
    record: &Record,
    tensor: &Tensor,
    outcomes: &[Outcome],
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let mut data = Vec::new();
    for number in outcomes.iter().flat_map(|outcome| outcome.of(tensor.of)) {
        match tensor.dtype {
            Dtype::F32 => data.extend((*number as f32).to_le_bytes()),
            Dtype::F64 => data.extend(number.to_le_bytes()),
        }
    }
    compare_output(record, &tensor.name, tensor.dtype.as_str(), &data, comparison)
}

/// Compares an output tensor's type and digest with those of `data`, in the recorded shape.
pub(super) fn compare_output(
    record: &Record,
    name: &str,
    dtype: &str,
    data: &[u8],
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let [_, shape, _] = schema::tensor_fields(Side::Output, name, dtype, &[], &[])?;
    let recorded = record.value(&shape.0).ok_or_else(|| Obstacle::Absent(shape.0.clone()))?;
    let extents = extents(recorded).ok_or(Obstacle::Absent(shape.0))?;
    let [dtype, _, digest] = schema::tensor_fields(Side::Output, name, dtype, &extents, data)?;
    for (path, expected) in [dtype, digest] {
        let recorded = record.value(&path).ok_or_else(|| Obstacle::Absent(path.clone()))?;
        if *recorded != expected {
            comparison.number(Difference::between(path, Some(shown(recorded)), Some(shown(&expected))));
        }
    }
    Ok(())
}

fn extents(value: &Value) -> Option<Vec<u64>> {
    let Value::Array(extents) = value else { return None };
    extents
        .iter()
        .map(|extent| match extent {
            Value::Int(extent) => u64::try_from(*extent).ok(),
            _ => None,
        })
        .collect()
}
