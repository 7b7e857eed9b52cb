//! One recorded decision, run again: the record's features through the model's description, and what must follow compared.
//!
//! *Guarantees*: every number is compared as bits; what the description names and the record lacks makes the decision
//! unverifiable; a feature that cannot have been what the model server saw is refused, not rounded.
//!
//! *Does not do*: check that the record is the one the log committed to; whoever calls this has done that.

mod reasons;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{FieldPath, Record, Value};

use super::verdict::{Difference, Replayed, Verdict};
use crate::recompute::description::{self, Column, Description, Dtype, Label, Numbers, Tensor};
use crate::recompute::{Model, ModelError, RowError, Score};
use reasons::Against;
use rows::Rows;

/// Differences that are kept of one decision; more say nothing more.
const DIFFERENCES_MAX: usize = 64;

/// A model and how recorded decisions are run on it again.
#[derive(Clone, Debug)]
pub struct Recomputer {
    model: Model,
    columns: Vec<Column>,
    /// The columns' names: the model's own, or the features that they come from.
    names: Vec<String>,
    description: Description,
    /// What contributions compare with.
    against: Option<Against>,
    /// Whether the answer passes through a function of the platform's mathematics library.
    libm: Option<&'static str>,
}

/// Why a model's folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecomputerError {
    /// The folder does not say how to recompute.
    #[error("the model comes without {}, which says how its decisions are recomputed", description::FILE)]
    NoDescription,
    /// The file that the description names is not in the folder.
    #[error("the description names the model file {name:?}, which does not come along")]
    NoModel {
        /// The file.
        name: String,
    },
    /// A file does not read, or holds what is not reproduced.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        source: ModelError,
    },
    /// The description names something that the model does not have.
    #[error("the description does not fit the model: {problem}")]
    Fit {
        /// What does not fit.
        problem: String,
    },
}

impl Recomputer {
    /// Reads a model from the files of its folder.
    ///
    /// # Errors
    /// [`RecomputerError`] says what is missing, wrong, or not reproduced.
    pub fn load(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, RecomputerError> {
        let file = |name: &str, source| RecomputerError::File { file: name.to_owned(), source };
        let text = files.get(description::FILE).ok_or(RecomputerError::NoDescription)?;
        let description = Description::parse(text).map_err(|source| file(description::FILE, source))?;
        let name = &description.model;
        let bytes = files.get(name).ok_or_else(|| RecomputerError::NoModel { name: name.clone() })?;
        let model = Model::parse(bytes).map_err(|source| file(name, source))?;
        let about = model.about();
        let columns = match &description.columns {
            Some(columns) => columns.clone(),
            None => about.feature_names.iter().map(|name| Column::plain(name)).collect(),
        };
        let fit = |problem: String| RecomputerError::Fit { problem };
        if columns.len() != about.features {
            return Err(fit(format!(
                "it makes {} columns, and the model takes {}",
                columns.len(),
                about.features
            )));
        }
        let counts = |of: Numbers| match of {
            Numbers::Margins => about.margins,
            Numbers::Answer => about.answers,
        };
        for score in &description.scores {
            if score.index >= counts(score.of) {
                return Err(fit(format!(
                    "score {:?} has the place {} of {}",
                    score.name,
                    score.index,
                    counts(score.of)
                )));
            }
        }
        match &description.label {
            Some(Label::Threshold { of, index, .. }) if *index >= counts(*of) => {
                return Err(fit(format!("the label hangs on place {index} of {}", counts(*of))));
            }
            Some(Label::Largest { of, names }) if names.len() != counts(*of) => {
                return Err(fit(format!("{} labels for {} numbers", names.len(), counts(*of))));
            }
            _ => {}
        }
        // Compared as bits, such numbers would look tampered with; an audit within a tolerance needs the profile that says which.
        let near = |of: Numbers| match of {
            Numbers::Margins => about.margins_within.as_ref(),
            Numbers::Answer => about.answers_within.as_ref(),
        };
        let compared = description.scores.iter().map(|score| score.of);
        let compared = compared.chain(description.tensors.iter().map(|tensor| tensor.of));
        if let Some(tolerance) = compared.chain(description.label_of()).find_map(near) {
            return Err(fit(format!(
                "its numbers are reproduced only within {} of themselves, and a run compares bits",
                tolerance.relative
            )));
        }
        let names = match about.feature_names {
            names if names.len() == columns.len() => names,
            _ => columns.iter().map(|column| column.feature.clone()).collect(),
        };
        let against = Against::load(files, &model, description.reasons.as_ref())?;
        Ok(Self { model, columns, names, libm: about.libm, description, against })
    }

    /// What the model is.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs a recorded decision again.
    #[must_use]
    pub fn replay(&self, record: &Record) -> Replayed {
        let mut replayed = match self.compared(record) {
            Ok(comparison) => comparison.replayed(),
            Err(why) => Replayed::unverifiable(why),
        };
        replayed.reasons_unchecked = reasons::unchecked(record, self.description.reasons.as_ref());
        replayed
    }

    fn compared(&self, record: &Record) -> Result<Comparison, Obstacle> {
        let features = Rows::read(record, &self.columns, self.description.dtype)?;
        let mut comparison = Comparison::default();
        let mut scores = Vec::with_capacity(features.count());
        for (row, numbers) in features.iter() {
            let score = self.model.score(numbers).map_err(Obstacle::Row)?;
            self.compare_scores(record, features.place(row), &score, &mut comparison)?;
            self.compare_label(record, features.place(row), &score, &mut comparison)?;
            if let Some(reasons) = &self.description.reasons {
                let expected =
                    reasons::expected(&self.model, self.against.as_ref(), &self.names, reasons, numbers);
                if let Some(expected) = expected.map_err(Obstacle::Row)? {
                    reasons::compare(record, features.place(row), &expected, &mut comparison)?;
                }
            }
            scores.push(score);
        }
        for tensor in &self.description.tensors {
            compare_tensor(record, tensor, &scores, &mut comparison)?;
        }
        if self.description.scores.is_empty() && self.description.tensors.is_empty() {
            return Err(Obstacle::NothingToCompare);
        }
        self.compare_threshold(record, &mut comparison);
        reasons::compare_background(record, self.against.as_ref(), &mut comparison);
        Ok(comparison)
    }

    fn compare_scores(
        &self,
        record: &Record,
        place: Option<u32>,
        score: &Score,
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        for (number, wanted) in self.description.scores.iter().enumerate() {
            let path = at(schema::score(&wanted.name)?, place)?;
            let Some(Value::Float(recorded)) = record.value(&path) else {
                return Err(Obstacle::Absent(path));
            };
            let recomputed = numbers(score, wanted.of).get(wanted.index).copied().unwrap_or(f64::NAN);
            if number == 0 {
                comparison.scores.push((*recorded, recomputed));
            }
            if recorded.to_bits() != recomputed.to_bits() {
                let mut what = path.to_string();
                if let (Some(libm), Numbers::Answer) = (self.libm, wanted.of) {
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
        score: &Score,
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        let recomputed = match &self.description.label {
            None => return Ok(()),
            Some(Label::Threshold { of, index, value, above, below }) => {
                let number = numbers(score, *of).get(*index).copied().unwrap_or(f64::NAN);
                if number >= *value { above } else { below }
            }
            Some(Label::Largest { of, names }) => {
                let place = largest(numbers(score, *of));
                names.get(place).ok_or(Obstacle::NothingToCompare)?
            }
        };
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

fn numbers(score: &Score, of: Numbers) -> &[f64] {
    match of {
        Numbers::Margins => &score.margins,
        Numbers::Answer => &score.answer,
    }
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

/// `path` for one row of several.
fn at(path: FieldPath, place: Option<u32>) -> Result<FieldPath, Obstacle> {
    Ok(match place {
        None => path,
        Some(place) => path.place(place)?,
    })
}

/// Compares a tensor by the digest that the record has of it, over all rows.
#[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened, or the tensor's own rounding")]
fn compare_tensor(
    record: &Record,
    tensor: &Tensor,
    scores: &[Score],
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let mut data = Vec::new();
    for number in scores.iter().flat_map(|score| numbers(score, tensor.of)) {
        match tensor.dtype {
            Dtype::F32 => data.extend((*number as f32).to_le_bytes()),
            Dtype::F64 => data.extend(number.to_le_bytes()),
        }
    }
    let [dtype, shape, _] =
        schema::tensor_fields(Side::Output, &tensor.name, tensor.dtype.as_str(), &[], &[])?;
    let recorded = record.value(&shape.0).ok_or_else(|| Obstacle::Absent(shape.0.clone()))?;
    let extents = extents(recorded).ok_or(Obstacle::Absent(shape.0))?;
    let fields = schema::tensor_fields(Side::Output, &tensor.name, tensor.dtype.as_str(), &extents, &data)?;
    let [_, _, digest] = fields;
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

/// A recorded value for a difference: none of these is a person's, they are a model's output.
fn shown(value: &Value) -> String {
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

/// What was found while comparing.
#[derive(Debug, Default)]
struct Comparison {
    numbers_differ: bool,
    label_differs: bool,
    reasons_differ: bool,
    differences: Vec<Difference>,
    scores: Vec<(f64, f64)>,
}

impl Comparison {
    fn number(&mut self, difference: Difference) {
        self.numbers_differ = true;
        self.keep(difference);
    }

    fn label(&mut self, difference: Difference) {
        self.label_differs = true;
        self.keep(difference);
    }

    fn reasons(&mut self, difference: Difference) {
        self.reasons_differ = true;
        self.keep(difference);
    }

    fn keep(&mut self, difference: Difference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }

    fn replayed(self) -> Replayed {
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
            reasons_unchecked: None,
        }
    }
}

/// What stands in the way of recomputing.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("the record has no {0} that could be compared")]
    Absent(FieldPath),
    #[error("the description names no number to compare")]
    NothingToCompare,
    #[error("the model does not take the recorded row: {0}")]
    Row(RowError),
    #[error("{0}")]
    Input(String),
    #[error("a name of the description makes no path: {0}")]
    Path(#[from] ledgerstone::record::FieldPathError),
}

impl Obstacle {
    fn input(problem: impl Display) -> Self {
        Self::Input(problem.to_string())
    }
}
