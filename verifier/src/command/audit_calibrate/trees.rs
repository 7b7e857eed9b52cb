//! What `audit calibrate` measures of a forest of trees: changes of an XGBoost JSON file.
//!
//! Guarantees: what is changed is one leaf in the middle, or the last tree; the file stays well formed. Does not do: other formats, nor models that were
//! trained anew, since there is nothing here to train on.

use std::path::Path;

use ledgerstone::hash::Hash;
use serde_json::Value;

use super::{Measured, Tampered, distance};
use crate::cli::AuditCalibrateArguments;
use crate::command::model_predict::ROWS_BYTES_MAX;
use crate::command::model_show::{self, ModelFile};
use crate::exit::Refusal;
use crate::recompute::rows::Rows;
use crate::recompute::{Model, Precision, RowError};
use crate::source::read_input;

/// What is added to one leaf.
const LEAF_CHANGE: f64 = 0.05;

pub(super) fn measure(arguments: &AuditCalibrateArguments, rows: &Path) -> Result<Measured, Refusal> {
    let ModelFile { model, digest, bytes: file } = model_show::read(&arguments.model)?;
    let about = model.about();
    let bytes = read_input(rows, ROWS_BYTES_MAX)?;
    let refused = |problem: String| {
        Refusal::malformed(
            format_args!("{}: {problem}", rows.display()),
            "Give one column for each feature that `ledgerstone model show` lists, with numbers or empty cells.",
        )
    };
    let rows = Rows::read(&bytes, &about).map_err(refused)?;
    let rows: Vec<Vec<f64>> = rows.iter().collect::<Result<_, _>>().map_err(refused)?;
    let margins = |model: &Model| -> Result<Vec<Vec<f64>>, Refusal> {
        rows.iter()
            .map(|row| model.score(row).map(|score| score.margins))
            .collect::<Result<_, _>>()
            .map_err(unscored)
    };
    let canonical = margins(&model)?;
    let flat: Vec<f64> = rows.concat();
    let mut honest = Vec::new();
    for threads in &arguments.threads {
        let together = model.margins_of_rows(&flat, usize::from(*threads)).map_err(unscored)?;
        for (one, other) in canonical.iter().zip(together.chunks(about.margins.max(1))) {
            honest.push(distance(one, other)?);
        }
    }
    let mut tampers = Vec::new();
    for (name, change) in
        [("one leaf +0.05", one_leaf as fn(&mut [Value]) -> Option<()>), ("last tree left out", last_tree)]
    {
        let changed = margins(&tampered(&file, change)?)?;
        let distances = canonical
            .iter()
            .zip(&changed)
            .map(|(one, other)| distance(one, other))
            .collect::<Result<_, _>>()?;
        tampers.push(Tampered { name, distances });
    }
    Ok(Measured {
        model: digest,
        inputs: Hash::of(&bytes),
        quantity: "margins",
        engine: format!("ledgerstone {}", env!("CARGO_PKG_VERSION")),
        dtype: if about.precision == Precision::F32 { "f32" } else { "f64" },
        batches: vec![1],
        honest,
        tampers,
        attributions: None,
    })
}

fn unscored(error: RowError) -> Refusal {
    Refusal::new(error.code(), error, "Check that the rows are as the model saw them.")
}

fn tampered(file: &[u8], change: fn(&mut [Value]) -> Option<()>) -> Result<Model, Refusal> {
    let unknown = || {
        Refusal::usage(
            "only the leaves of XGBoost models in JSON can be changed here",
            "Give such a model; save it with `booster.save_model(\"model.json\")`.",
        )
    };
    let mut json: Value = serde_json::from_slice(file).map_err(|_| unknown())?;
    let trees = json.pointer_mut("/learner/gradient_booster/model/trees").and_then(Value::as_array_mut);
    trees.and_then(|trees| change(trees)).ok_or_else(unknown)?;
    Model::parse(json.to_string().as_bytes()).map_err(|_| unknown())
}

fn one_leaf(trees: &mut [Value]) -> Option<()> {
    let middle = trees.len() / 2;
    let tree = trees.get_mut(middle)?;
    let leaves = leaves(tree)?;
    let leaf = *leaves.get(leaves.len() / 2)?;
    let value = tree.get_mut("split_conditions")?.get_mut(leaf)?;
    *value = (value.as_f64()? + LEAF_CHANGE).into();
    Some(())
}

fn last_tree(trees: &mut [Value]) -> Option<()> {
    let tree = trees.last_mut()?;
    for leaf in leaves(tree)? {
        *tree.get_mut("split_conditions")?.get_mut(leaf)? = 0.0.into();
    }
    Some(())
}

/// The places of a tree's leaves.
fn leaves(tree: &Value) -> Option<Vec<usize>> {
    let children = tree.get("left_children")?.as_array()?;
    let is_leaf = |(place, child): (usize, &Value)| (child.as_i64() == Some(-1)).then_some(place);
    Some(children.iter().enumerate().filter_map(is_leaf).collect())
}
