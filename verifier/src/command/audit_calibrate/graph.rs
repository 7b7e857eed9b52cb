//! What `audit calibrate` measures of an ONNX graph: other ways to compute it, an onnxruntime library, and changes of its weights.
//!
//! Guarantees: distances are those that `audit run` bounds, of margins and answers; a changed file is read like any other. Does not do: say that another
//! version of the library, or another processor, lies as near.

use serde::Deserialize;

use super::rows::{Numbers, Table};
use super::{Measured, Pace, hear_files, honest, predicted, read_back, tampered};
use crate::cli::AuditCalibrateArguments;
use crate::command::onnxruntime;
use crate::exit::Refusal;
use crate::recompute::tamper::Tamper;
use crate::recompute::{Model, Precision, RowError, Texts, onnx};

/// Every how manieth of the single weights is changed.
const WEIGHTS_STEP: usize = 2;

/// A line of `model predict --json`; other keys are not looked at. What is no number is null there.
#[derive(Deserialize)]
struct Recorded {
    margins: Vec<Option<f64>>,
    answer: Vec<Option<f64>>,
}

pub(super) fn measure(
    arguments: &AuditCalibrateArguments,
    table: &Table,
    mut pace: Pace,
) -> Result<Measured, Refusal> {
    let is_near = table.about.margins_within.is_some() || table.about.answers_within.is_some();
    let mut measured = table.measured(is_near);
    let weights = onnx::weights(&table.bytes).map_err(|error| {
        Refusal::new(error.code(), format_args!("{}: {error}", table.path.display()), "Report this.")
    })?;
    let changes: Vec<Tamper> = Tamper::WHOLE.into_iter().chain(Tamper::one_weights(WEIGHTS_STEP)).collect();
    let batch = usize::from(arguments.batch.max(1));
    let libraries = arguments.engine_library.iter().len();
    let times = 2 + arguments.threads.len() * (1 + 2 * libraries) + arguments.recorded.len() + changes.len();
    pace.expect(table.rows.len(), times);
    let canonical = table.numbers(&table.model, &mut pace)?;
    for threads in &arguments.threads {
        let other = side_by_side(table, usize::from(*threads), &mut pace)?;
        measured.honest.extend(honest(&canonical, &other, "another number of threads")?);
    }
    let mut sizes = vec![1];
    if let Some(other) = together(table, batch, &canonical, &mut pace) {
        measured.batches.push(arguments.batch);
        measured.honest.extend(honest(&canonical, &other, "batches")?);
        sizes.push(batch);
    }
    hear_files(arguments, |said, who| {
        let other = recorded(said, who, table.about.precision)?;
        measured.honest.extend(honest(&canonical, &other, who)?);
        pace.step(table.rows.len());
        Ok(())
    })?;
    if let Some(library) = &arguments.engine_library {
        for threads in &arguments.threads {
            let mut peer = onnxruntime::open(library, &table.path, &table.bytes, usize::from(*threads))?;
            for size in &sizes {
                let asked = |rows: &[f64], texts: &Texts| peer.numbers_of_rows(rows, texts);
                let other = in_batches(table, *size, &mut pace, asked)?;
                measured.honest.extend(honest(&canonical, &other, "onnxruntime")?);
            }
        }
    }
    for tamper in changes {
        let Some(bytes) = tamper.change(&table.bytes, &weights) else {
            pace.step(table.rows.len());
            continue;
        };
        let model = Model::parse(&bytes).map_err(|error| {
            let name = tamper.name();
            Refusal::new(
                error.code(),
                format_args!("the model cannot be used with {name}: {error}"),
                "Report this with the file.",
            )
        })?;
        let other = table.numbers(&model, &mut pace)?;
        measured.tampered(tamper.name(), tampered(&canonical, &other));
    }
    Ok(measured)
}

/// What the model says of every row by itself, a share of the rows in each of `threads` threads.
fn side_by_side(table: &Table, threads: usize, pace: &mut Pace) -> Result<Vec<Numbers>, Refusal> {
    let share = table.rows.len().div_ceil(threads.max(1)).max(1);
    let of_share = |rows: &[(Vec<f64>, Texts)]| -> Result<Vec<Numbers>, RowError> {
        let score = |(row, texts): &(Vec<f64>, Texts)| table.model.score_with(row, texts);
        rows.iter().map(|row| score(row).map(|score| [score.margins, score.answer].concat())).collect()
    };
    let found = std::thread::scope(|scope| {
        let shares: Vec<_> =
            table.rows.chunks(share).map(|rows| scope.spawn(move || of_share(rows))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<Vec<Numbers>, RowError>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        shares.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    });
    pace.step(table.rows.len());
    Ok(found.map_err(|error| table.refused(0, &error))?.concat())
}

/// What the model says of as many rows at once; none of a graph that does not take them, or that makes them know of each other. The own engine rounds
/// every sum once, so that rows which do not know of each other have the same bits in every batch.
fn together(table: &Table, batch: usize, canonical: &[Numbers], pace: &mut Pace) -> Option<Vec<Numbers>> {
    let Model::Onnx(graph) = &table.model else { return None };
    if batch == 1 || !graph.takes_batches() {
        return None;
    }
    let other = in_batches(table, batch, pace, |rows, texts| graph.numbers_of_rows(rows, texts)).ok()?;
    (tampered(canonical, &other).iter().all(|distance| *distance == 0.0)).then_some(other)
}

/// What an engine says of as many rows at once.
fn in_batches(
    table: &Table,
    together: usize,
    pace: &mut Pace,
    mut asked: impl FnMut(&[f64], &Texts) -> Result<Vec<onnx::Numbers>, RowError>,
) -> Result<Vec<Numbers>, Refusal> {
    let mut found = Vec::with_capacity(table.rows.len());
    for (number, part) in table.rows.chunks(together).enumerate() {
        let (rows, texts) = joined(part, &table.about.text_columns);
        let numbers = asked(&rows, &texts).map_err(|error| table.refused(number * together, &error))?;
        found.extend(numbers.into_iter().map(|numbers| [numbers.margins, numbers.answer].concat()));
        pace.step(part.len());
    }
    Ok(found)
}

/// Rows one after the other, with the texts of all of them.
fn joined(part: &[(Vec<f64>, Texts)], text_columns: &[usize]) -> (Vec<f64>, Texts) {
    let mut all = Texts::default();
    let mut rows = Vec::new();
    for (row, texts) in part {
        for (column, number) in row.iter().enumerate() {
            let is_text = text_columns.binary_search(&column).is_ok();
            let text = texts.of(*number).filter(|_| is_text);
            rows.push(text.map_or(*number, |text| all.keep(text)));
        }
    }
    (rows, all)
}

fn recorded(bytes: &[u8], name: &str, precision: Precision) -> Result<Vec<Numbers>, Refusal> {
    let number = |number: Option<f64>| read_back(number.unwrap_or(f64::NAN), precision);
    let numbers =
        |Recorded { margins, answer }| margins.into_iter().chain(answer).map(number).collect::<Numbers>();
    predicted(bytes, name).map(|line| line.map(numbers)).collect()
}
