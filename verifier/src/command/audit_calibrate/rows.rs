//! What `audit calibrate` measures of a model file with rows: which file, which rows, and what the model says of each.
//!
//! Guarantees: a folder's model is the one that its `recompute.json` names, and the profile is the folder's, as decisions name it. Does not do: change a model.

use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;

use super::{Measured, Pace, graph, only_cpu, trees};
use crate::cli::AuditCalibrateArguments;
use crate::command::model_folder;
use crate::command::model_predict::{ROWS_BYTES_MAX, no_row, no_score, read_rows};
use crate::command::model_show::{self, ModelFile};
use crate::exit::Refusal;
use crate::output::Output;
use crate::recompute::description::{self, Input};
use crate::recompute::{About, Model, Precision, Texts};
use crate::source::read_input;

/// Rows; each is computed some twenty times.
const ROWS_MAX: usize = 100_000;

/// A model and the rows that it is measured with.
pub(super) struct Table {
    /// The file that the model was read from.
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) model: Model,
    pub(super) about: About,
    pub(super) rows: Vec<(Vec<f64>, Texts)>,
    /// The name of the file of rows.
    name: String,
    digest: Hash,
    inputs: Hash,
}

/// What a model says of a row: of one that only comes near, every number whose distance an audit bounds.
pub(super) type Numbers = Vec<f64>;

pub(super) fn measure(
    arguments: &AuditCalibrateArguments,
    rows: &Path,
    output: &Output,
) -> Result<Measured, Refusal> {
    only_cpu(arguments, "trees and graphs")?;
    let table = Table::read(&arguments.model, rows)?;
    let pace = Pace::new(output, "rows");
    match table.model {
        Model::Onnx(_) => graph::measure(arguments, &table, pace),
        _ => trees::measure(arguments, &table, pace),
    }
}

impl Table {
    fn read(model: &Path, rows: &Path) -> Result<Self, Refusal> {
        let (path, folder) = if model.is_dir() {
            (model.join(named(model)?), Some(model_folder::digest(model)?))
        } else {
            (model.to_owned(), None)
        };
        let ModelFile { model, digest, bytes } = model_show::read(&path)?;
        let about = model.about();
        let name = rows.display().to_string();
        let csv = read_input(rows, ROWS_BYTES_MAX)?;
        let rows: Result<Vec<_>, String> = read_rows(&name, &csv, &about)?.with_texts().collect();
        let rows = rows.map_err(|problem| no_row(&name, &problem))?;
        if rows.len() > ROWS_MAX {
            return Err(Refusal::malformed(
                format_args!(
                    "{name} has {} rows, and 100,000 are the most that are measured with",
                    rows.len()
                ),
                "Leave some out; a few thousand say as much.",
            ));
        }
        let (digest, inputs) = (folder.unwrap_or(digest), Hash::of(&csv));
        Ok(Self { path, bytes, model, about, rows, name, digest, inputs })
    }

    /// What a model says of every row by itself.
    pub(super) fn numbers(&self, model: &Model, pace: &mut Pace) -> Result<Vec<Numbers>, Refusal> {
        let mut found = Vec::with_capacity(self.rows.len());
        for (place, (row, texts)) in self.rows.iter().enumerate() {
            let score = model.score_with(row, texts).map_err(|error| self.refused(place, &error))?;
            found.push([score.margins, score.answer].concat());
            pace.step(1);
        }
        Ok(found)
    }

    /// The refusal of a row, or of the first of several that were computed side by side.
    pub(super) fn refused(&self, place: usize, error: &crate::recompute::RowError) -> Refusal {
        no_score(&self.name, place + 1, error)
    }

    pub(super) fn measured(&self, is_near: bool) -> Measured {
        Measured {
            model: self.digest,
            inputs: self.inputs,
            quantity: "margins",
            engine: format!("ledgerstone {}", env!("CARGO_PKG_VERSION")),
            dtype: if self.about.precision == Precision::F32 { "f32" } else { "f64" },
            device: crate::recompute::neural::Processor::Cpu,
            batches: vec![1],
            honest: Vec::new(),
            tampers: Vec::new(),
            attributions: None,
            is_near,
        }
    }
}

/// The file that a folder's description names as the model.
fn named(folder: &Path) -> Result<String, Refusal> {
    match model_folder::description(folder)?.map(|description| description.input) {
        Some(Input::Row { model, .. }) => Ok(model),
        Some(Input::Text { .. } | Input::Prompt { .. }) => Err(Refusal::usage(
            format_args!("{} is a folder, and its model reads texts", folder.display()),
            "Give --text FILE instead of --rows.",
        )),
        None => Err(Refusal::usage(
            format_args!(
                "{} has no {}, which says which of its files is the model",
                folder.display(),
                description::FILE
            ),
            "Name the model file, or give --text FILE for a model that reads texts.",
        )),
    }
}
