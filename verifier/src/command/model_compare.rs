//! `ledgerstone model compare`: how the own engine and an onnxruntime library agree on the rows of a CSV file.
//!
//! Guarantees: numbers are compared as bits, row by row; what differs is counted, with the greatest difference and its row. Does not do:
//! say which of the two is right.

use serde::Serialize;

use super::model_predict::{ROWS_BYTES_MAX, no_row, no_score, read_rows};
use super::model_show::{self, ModelFile};
use super::onnxruntime;
use crate::cli::ModelCompareArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, thousands, wrapped};
use crate::recompute::Tolerance;
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-engine-comparison/v1";

/// How the two engines agree.
#[derive(Serialize)]
struct Comparison {
    format: &'static str,
    model: String,
    /// What the library says of its build.
    onnxruntime: String,
    rows: usize,
    margins: Agreement,
    answers: Agreement,
    labels: Labels,
}

/// How numbers of one kind agree.
#[derive(Default, Serialize)]
struct Agreement {
    numbers: usize,
    /// Numbers with the same bits; what is no number in both counts.
    equal: usize,
    /// Rows of which every number has the same bits.
    equal_rows: usize,
    /// The greatest difference, as a share of the greatest number of its row, or of 1.
    greatest: f64,
    /// Its row, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    /// What the model states; none where every bit must be the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<f64>,
}

/// How labels agree.
#[derive(Default, Serialize)]
struct Labels {
    labels: usize,
    equal: usize,
}

/// Compares and prints.
///
/// # Errors
/// A file or the library cannot be used, or a row is none of this model's.
pub(super) fn run(arguments: &ModelCompareArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let ModelFile { model, digest, bytes: file } = model_show::read(&arguments.model)?;
    let about = model.about();
    let mut peer = onnxruntime::open(&arguments.engine_library, &arguments.model, &file, 1)?;
    let name = arguments.rows.display().to_string();
    let bytes = read_input(&arguments.rows, ROWS_BYTES_MAX)?;
    let of = |within: &Option<Tolerance>| Agreement {
        within: within.as_ref().map(|tolerance| tolerance.relative),
        ..Agreement::default()
    };
    let mut found = Comparison {
        format: FORMAT,
        model: digest.to_string(),
        onnxruntime: peer.build().to_owned(),
        rows: 0,
        margins: of(&about.margins_within),
        answers: of(&about.answers_within),
        labels: Labels::default(),
    };
    for (place, row) in read_rows(&name, &bytes, &about)?.with_texts().enumerate() {
        let (row, texts) = row.map_err(|problem| no_row(&name, &problem))?;
        let refused = |error| no_score(&name, place + 1, &error);
        let (mine, labels) = (
            model.score_with(&row, &texts).map_err(refused)?,
            model.labels_with(&row, &texts).map_err(refused)?,
        );
        let theirs = peer.numbers(&row, &texts).map_err(refused)?;
        found.rows += 1;
        found.margins.add(&mine.margins, &theirs.margins, place + 1);
        found.answers.add(&mine.answer, &theirs.answer, place + 1);
        found.labels.labels += labels.len().max(theirs.labels.len());
        found.labels.equal +=
            labels.iter().zip(&theirs.labels).filter(|(mine, theirs)| mine == theirs).count();
    }
    if output.is_json() {
        output.json(&found)?;
    } else {
        output.print(&found.text())?;
    }
    Ok(if found.agrees() { Exit::Verified } else { Exit::Failed })
}

impl Comparison {
    /// Whether everything is equal, or as near as the model states. Labels behind numbers that are only near may turn.
    fn agrees(&self) -> bool {
        let labels = self.labels.equal == self.labels.labels || self.margins.within.is_some();
        self.margins.agrees() && self.answers.agrees() && labels
    }

    fn text(&self) -> String {
        let line = |name: &str, value: &str| wrapped(value, &format!("{name:<17}"), 17);
        let labels = match self.labels.labels {
            0 => String::new(),
            all => line(
                "Labels",
                &format!("{} of {} equal", thousands(self.labels.equal as u64), thousands(all as u64)),
            ),
        };
        [
            line("Model", &self.model),
            line("onnxruntime", &self.onnxruntime),
            line("Rows", &thousands(self.rows as u64)),
            line("Margins", &self.margins.text(self.rows)),
            line("Answers", &self.answers.text(self.rows)),
            labels,
        ]
        .concat()
    }
}

impl Agreement {
    fn add(&mut self, mine: &[f64], theirs: &[f64], row: usize) {
        let count = mine.len().max(theirs.len());
        let is_equal = |(mine, theirs): &(&f64, &f64)| {
            mine.to_bits() == theirs.to_bits() || mine.is_nan() && theirs.is_nan()
        };
        let equal = mine.iter().zip(theirs).filter(is_equal).count();
        self.numbers += count;
        self.equal += equal;
        self.equal_rows += usize::from(equal == count);
        let scale =
            theirs.iter().filter(|number| number.is_finite()).fold(1.0_f64, |scale, x| scale.max(x.abs()));
        let differing = mine.iter().zip(theirs).filter(|pair| !is_equal(pair));
        let mut apart = differing.map(|(mine, theirs)| {
            let apart = (mine - theirs).abs() / scale;
            if apart.is_nan() { f64::INFINITY } else { apart }
        });
        let greatest =
            if mine.len() == theirs.len() { apart.by_ref().fold(0.0, f64::max) } else { f64::INFINITY };
        if greatest > self.greatest {
            (self.greatest, self.row) = (greatest, Some(row));
        }
    }

    fn agrees(&self) -> bool {
        self.equal == self.numbers || self.within.is_some_and(|within| self.greatest <= within)
    }

    fn text(&self, rows: usize) -> String {
        let equal = format!(
            "{} of {} bit-equal, {} of {} entirely",
            thousands(self.equal as u64),
            thousands(self.numbers as u64),
            thousands(self.equal_rows as u64),
            plural(rows as u64, "row", "rows")
        );
        match (self.row, self.within) {
            (None, _) => equal,
            (Some(row), Some(within)) => {
                format!(
                    "{equal}; {:.1e} apart at most, in row {row}, where {within:e} is stated",
                    self.greatest
                )
            }
            (Some(row), None) => {
                format!(
                    "{equal}; {:.1e} apart at most, in row {row}, where every bit is stated",
                    self.greatest
                )
            }
        }
    }
}
