//! `ledgerstone model predict`: recomputes what a model says of the rows of a CSV file, or of the lines of a text file (`text`).
//!
//! Guarantees: every number is the model's own library's; each is printed so that it reads back as itself. A row that cannot
//! be scored stops the command, with its line. Does not do: judging the numbers; rounding them.

#[cfg(feature = "neural")]
pub(super) mod attributions;
mod peer;
mod tensors;
mod text;

use std::path::Path;

use serde::{Serialize, Serializer};

use super::model_show::{self, ModelFile};
use crate::cli::{Engine, ModelPredictArguments};
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable};
use crate::recompute::processor::Processor;
use crate::recompute::rows::Rows;
use crate::recompute::scorecard::Reason;
use crate::recompute::{About, Against, Model, Permutations, Precision, RowError, Score, Texts};
use crate::source::read_input;

/// The format of a line of this command's JSON.
const FORMAT: &str = "ledgerstone-prediction/v1";

/// Bytes of a file of rows.
pub(super) const ROWS_BYTES_MAX: usize = 1 << 30;

/// Prints what the model says of each row.
///
/// # Errors
/// A file cannot be read, is malformed, or holds a row that is none of this model's.
pub(super) fn run(arguments: &ModelPredictArguments, output: &mut Output) -> Result<Exit, Refusal> {
    match (&arguments.rows, &arguments.text) {
        (Some(rows), _) => predict_rows(arguments, rows, output),
        (None, Some(texts)) => text::run(arguments, texts, output),
        (None, None) => Err(Refusal::usage("there is nothing to recompute", "Give --rows or --text.")),
    }
}

fn predict_rows(
    arguments: &ModelPredictArguments,
    rows: &Path,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    if arguments.engine != Engine::Tensors && arguments.device != Processor::Cpu {
        return Err(Refusal::usage(
            "row by row, trees are computed on the main processor only",
            "Give --engine tensors, too, or leave --device out.",
        ));
    }
    if arguments.engine != Engine::Onnxruntime && arguments.engine_library.is_some() {
        return Err(Refusal::usage(
            "only --engine onnxruntime takes a library",
            "Leave --engine-library out, or give --engine onnxruntime.",
        ));
    }
    let ModelFile { model, digest, bytes: file } = model_show::read(&arguments.model)?;
    let about = model.about();
    let drawn = arguments.evaluations.zip(arguments.seed);
    let drawn = drawn.map(|(evaluations, seed)| Permutations { evaluations, seed });
    let against =
        arguments.background.as_deref().map(|path| against(&model, &about, path, drawn)).transpose()?;
    let name = rows.display().to_string();
    let bytes = read_input(rows, ROWS_BYTES_MAX)?;
    let rows = read_rows(&name, &bytes, &about)?;
    let how = match arguments.engine {
        Engine::Scalar => {
            one_by_one(&model, &about, &rows, &name, (arguments, against.as_ref()), output)?;
            String::new()
        }
        Engine::Tensors => tensors::run(&model, &about, &rows, &name, arguments, output)?.to_owned(),
        Engine::Onnxruntime => peer::run(&file, &about, &rows, &name, arguments, output)?,
    };
    if output.is_closed() {
        return Ok(Exit::Verified);
    }
    output.remark(&format!("Recomputed with the model of SHA-256 {digest}{how}."));
    if !rows.unused().is_empty() {
        output.remark(&format!(
            "Columns that the model does not have: {}.",
            printable(&rows.unused().join(", "))
        ));
    }
    Ok(Exit::Verified)
}

/// Prints what the model says of each row, computed by itself.
fn one_by_one(
    model: &Model,
    about: &About,
    rows: &Rows<'_>,
    name: &str,
    (arguments, against): (&ModelPredictArguments, Option<&Against>),
    output: &mut Output,
) -> Result<(), Refusal> {
    for (number, row) in rows.with_texts().enumerate() {
        let row = row.map_err(|problem| no_row(name, &problem))?;
        predict(model, about, number + 1, &row, arguments, against)
            .map_err(|error| no_score(name, number + 1, &error))?
            .print(output)?;
        if output.is_closed() {
            break;
        }
    }
    Ok(())
}

pub(super) fn no_row(name: &str, problem: &str) -> Refusal {
    Refusal::malformed(format_args!("{name}: {problem}"), "Write a decimal number, or leave the cell empty.")
}

pub(super) fn no_score(name: &str, row: usize, error: &RowError) -> Refusal {
    Refusal::new(
        error.code(),
        format_args!("{name}, row {row}: {error}"),
        "Check that the rows are as the model saw them.",
    )
}

pub(super) fn read_rows<'a>(name: &str, bytes: &'a [u8], about: &About) -> Result<Rows<'a>, Refusal> {
    Rows::read(bytes, about).map_err(|problem| {
        Refusal::malformed(
            format_args!("{name} does not fit the model: {problem}"),
            "Give one column for each feature that `ledgerstone model show` lists.",
        )
    })
}

/// The rows that contributions compare with.
fn against(
    model: &Model,
    about: &About,
    path: &Path,
    drawn: Option<Permutations>,
) -> Result<Against, Refusal> {
    let name = path.display().to_string();
    let bytes = read_input(path, ROWS_BYTES_MAX)?;
    let rows: Result<Vec<Vec<f64>>, String> = read_rows(&name, &bytes, about)?.iter().collect();
    let rows = rows.map_err(|problem| no_row(&name, &problem))?;
    model.against(&rows.concat(), drawn).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{name} is no background: {error}"),
            "Give the rows that the explainer was made with.",
        )
    })
}

/// A row's numbers.
#[derive(Serialize)]
struct Prediction<'a> {
    format: &'static str,
    /// Place of the row in the file, from 1; the line of names does not count.
    row: usize,
    margins: Vec<Number>,
    answer: Vec<Number>,
    /// What the model itself calls the row beside its numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contributions: Option<Vec<Contributions<'a>>>,
    /// Worst first.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<Reason>>,
}

/// What the features contributed to a margin.
#[derive(Serialize)]
struct Contributions<'a> {
    /// What is the same for every row.
    base: Number,
    features: Vec<Contribution<'a>>,
}

#[derive(Serialize)]
struct Contribution<'a> {
    feature: std::borrow::Cow<'a, str>,
    value: Number,
}

/// A number in the model's own type, so that its shortest text reads back as itself.
#[derive(Clone, Copy)]
struct Number(f64, Precision);

impl std::fmt::Display for Number {
    #[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened")]
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.1 {
            Precision::F32 => (self.0 as f32).fmt(formatter),
            Precision::F64 => self.0.fmt(formatter),
        }
    }
}

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Precision::F32 => serializer.serialize_f32(self.0 as f32),
            Precision::F64 => serializer.serialize_f64(self.0),
        }
    }
}

fn predict<'a>(
    model: &Model,
    about: &'a About,
    number: usize,
    (row, texts): &(Vec<f64>, Texts),
    arguments: &ModelPredictArguments,
    against: Option<&Against>,
) -> Result<Prediction<'a>, RowError> {
    let mut prediction = Prediction::of(model.score_with(row, texts)?, about, number);
    // shap adds up in f64, whatever the model computes in.
    let precision = if against.is_some() { Precision::F64 } else { about.precision };
    let named = |output: &Vec<f64>| {
        let (base, values) = output.split_last().map_or((0.0, &[][..]), |(base, values)| (*base, values));
        let feature = |place: usize| -> std::borrow::Cow<'a, str> {
            match about.feature_names.get(place) {
                Some(name) => name.as_str().into(),
                None => format!("column {}", place + 1).into(),
            }
        };
        let features = values.iter().enumerate();
        let features = features
            .map(|(place, value)| Contribution { feature: feature(place), value: Number(*value, precision) });
        Contributions { base: Number(base, precision), features: features.collect() }
    };
    prediction.contributions = match (arguments.contributions, against) {
        (true, None) => Some(model.contributions(row)?.iter().map(named).collect()),
        (true, Some(against)) => Some(model.contributions_against(row, against)?.iter().map(named).collect()),
        (false, _) => None,
    };
    prediction.reasons = match arguments.reasons {
        0 => None,
        count => Some(model.reasons(row, count)?),
    };
    prediction.labels = model.labels_with(row, texts)?;
    Ok(prediction)
}

impl Prediction<'_> {
    fn of(score: Score, about: &About, row: usize) -> Self {
        let own = |values: Vec<f64>| values.into_iter().map(|value| Number(value, about.precision)).collect();
        Self {
            format: FORMAT,
            row,
            margins: own(score.margins),
            answer: own(score.answer),
            labels: Vec::new(),
            contributions: None,
            reasons: None,
        }
    }

    fn print(&self, output: &mut Output) -> Result<(), Refusal> {
        if output.is_json() { output.json_line(self) } else { output.print(&self.text()) }
    }

    fn text(&self) -> String {
        let list = |numbers: &[Number]| {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            numbers.join(" ")
        };
        let mut text =
            format!("row {}  margin {}  answer {}", self.row, list(&self.margins), list(&self.answer));
        if !self.labels.is_empty() {
            text += &format!("  label {}", printable(&self.labels.join(" ")));
        }
        text.push('\n');
        for (output, contributions) in self.contributions.iter().flatten().enumerate() {
            if self.margins.len() > 1 {
                text += &format!("  margin {}\n", output + 1);
            }
            let mut features: Vec<&Contribution<'_>> =
                contributions.features.iter().filter(|feature| feature.value.0 != 0.0).collect();
            features.sort_by(|a, b| b.value.0.abs().total_cmp(&a.value.0.abs()));
            for Contribution { feature, value } in features {
                text += &format!("  {value:>+16}  {}\n", printable(feature));
            }
            text += &format!("  {:>+16}  for every row\n", contributions.base);
        }
        for Reason { code, text: reason, feature, points } in self.reasons.iter().flatten() {
            let said = format!("  reason {code}: {reason} ({feature}, {points} from its best)\n");
            text += &printable(&said);
        }
        text
    }
}
