//! What `audit calibrate` measures of a forest of trees: changes of an XGBoost JSON file.
//!
//! Guarantees: what is changed is one leaf in the middle, or the last tree; the file stays well formed. Does not do: other formats, nor models that were
//! trained anew, since there is nothing here to train on.

use serde_json::Value;

use super::rows::Table;
use super::{Measured, Pace, honest, tampered};
use crate::cli::AuditCalibrateArguments;
use crate::exit::Refusal;
use crate::recompute::Model;

/// What is added to one leaf.
const LEAF_CHANGE: f64 = 0.05;

type Change = (&'static str, fn(&mut [Value]) -> Option<()>);

const CHANGES: [Change; 2] = [("one leaf +0.05", one_leaf), ("last tree left out", last_tree)];

pub(super) fn measure(
    arguments: &AuditCalibrateArguments,
    table: &Table,
    mut pace: Pace,
) -> Result<Measured, Refusal> {
    if !arguments.recorded.is_empty() || arguments.engine_library.is_some() {
        return Err(Refusal::usage(
            "the margins of trees are recomputed bit for bit, so nothing near them is honest",
            "Leave --recorded and --engine-library out; `audit run` needs no profile of this model.",
        ));
    }
    let changed = CHANGES.map(|(name, change)| changed(&table.bytes, change).map(|model| (name, model)));
    let changed = changed.into_iter().collect::<Result<Vec<_>, _>>()?;
    pace.expect(table.rows.len(), 1 + arguments.threads.len() + changed.len());
    let margins = |mut numbers: Vec<Vec<f64>>| {
        numbers.iter_mut().for_each(|numbers| numbers.truncate(table.about.margins));
        numbers
    };
    let canonical = margins(table.numbers(&table.model, &mut pace)?);
    let flat: Vec<f64> = table.rows.iter().flat_map(|(row, _)| row).copied().collect();
    let mut measured = table.measured(false);
    for threads in &arguments.threads {
        let together = table
            .model
            .margins_of_rows(&flat, usize::from(*threads))
            .map_err(|error| table.refused(0, &error))?;
        let together: Vec<Vec<f64>> =
            together.chunks(table.about.margins.max(1)).map(<[f64]>::to_vec).collect();
        measured.honest.extend(honest(&canonical, &together, "another number of threads")?);
        pace.step(table.rows.len());
    }
    for (name, model) in changed {
        let other = margins(table.numbers(&model, &mut pace)?);
        measured.tampered(name, tampered(&canonical, &other));
    }
    Ok(measured)
}

fn changed(file: &[u8], change: fn(&mut [Value]) -> Option<()>) -> Result<Model, Refusal> {
    let unknown = || {
        Refusal::usage(
            "only XGBoost models in JSON and ONNX graphs can be changed here",
            "Give such a model; XGBoost saves JSON with `booster.save_model(\"model.json\")`.",
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
