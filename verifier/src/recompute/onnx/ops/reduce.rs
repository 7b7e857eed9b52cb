//! Operations along axes: `ArgMax`, `ArgMin`, sums, means, greatest and least items, `Softmax`, `LogSoftmax`.
//!
//! *Guarantees*: `ArgMax`, `ArgMin`, `ReduceMax` and `ReduceMin` have the engine's bits.
//!
//! *Does not do*: give the bits of sums and means, which the engine adds in vectors of the processor; here they are added in `f64`,
//! one after the other, and rounded once.

use super::super::Fault;
use super::super::file::Node;
use super::super::ml::table::only;
use super::super::tensor::{Data, Tensor, axis_of, pick, places, strides_of};
use super::elementwise::is_numeric;
use super::{Built, Inputs};
use crate::recompute::error::{ModelError, shown, unsupported};

/// The first version whose reductions take their axes as an input; sums did so earlier.
const AXES_INPUT: i64 = 18;
const AXES_INPUT_OF_SUM: i64 = 13;

pub(crate) fn build(node: &Node<'_>, version: i64) -> Result<Built, ModelError> {
    match node.operation {
        "ArgMax" | "ArgMin" => {
            only(node, &["axis", "keepdims", "select_last_index"])?;
            let axis = node.integer("axis")?.unwrap_or(0);
            let keeps = node.integer("keepdims")?.unwrap_or(1) != 0;
            let is_last = node.integer("select_last_index")?.unwrap_or(0) != 0;
            let sign = if node.operation == "ArgMax" { 1.0 } else { -1.0 };
            Ok(Built::new(move |inputs| chosen(inputs.get(0)?, axis, keeps, is_last, sign)))
        }
        "Softmax" | "LogSoftmax" => {
            only(node, &["axis"])?;
            let is_log = node.operation == "LogSoftmax";
            // Before version 13 everything from the axis on was one vector.
            let joins = version < 13;
            let axis = node.integer("axis")?.unwrap_or(if joins { 1 } else { -1 });
            Ok(Built::new(move |inputs| Ok(vec![softmax(inputs.get(0)?, axis, joins, is_log)?])).near())
        }
        operation => {
            let reduce: fn(&[f64]) -> f64 = match operation {
                "ReduceSum" => |items| items.iter().sum(),
                "ReduceMean" => |items| items.iter().sum::<f64>() / items.len() as f64,
                "ReduceMax" => |items| items.iter().copied().fold(f64::NEG_INFINITY, greater),
                "ReduceMin" => |items| -items.iter().map(|item| -item).fold(f64::NEG_INFINITY, greater),
                other => return Err(unsupported(format!("the operation {}", shown(other)), node.place())),
            };
            let first = if operation == "ReduceSum" { AXES_INPUT_OF_SUM } else { AXES_INPUT };
            let in_attribute = version < first;
            only(
                node,
                if in_attribute { &["axes", "keepdims"] } else { &["keepdims", "noop_with_empty_axes"] },
            )?;
            let keeps = node.integer("keepdims")?.unwrap_or(1) != 0;
            let is_idle = node.integer("noop_with_empty_axes")?.unwrap_or(0) != 0;
            let axes = if in_attribute { Some(node.integers("axes")?) } else { None };
            let built = Built::new(move |inputs| {
                let axes = match (&axes, inputs.optional(1)) {
                    (Some(axes), _) => axes.clone(),
                    (None, Some(axes)) => axes.i64s()?,
                    (None, None) => Vec::new(),
                };
                if axes.is_empty() && is_idle {
                    return Ok(vec![inputs.get(0)?.clone()]);
                }
                reduced(inputs, &axes, keeps, reduce)
            });
            let is_exact = matches!(operation, "ReduceMax" | "ReduceMin");
            Ok(if is_exact { built } else { built.near() })
        }
    }
}

/// The greater number; what is no number wins.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// For every item of the box without the axis, the places along the axis.
fn along(dims: &[usize], axis: usize) -> Result<(Vec<usize>, Vec<usize>), Fault> {
    let strides = strides_of(dims);
    let length = *dims.get(axis).ok_or(Fault::new("names an axis that its input does not have"))?;
    let stride = strides.get(axis).copied().unwrap_or(1);
    let mut outer = dims.to_vec();
    if let Some(dim) = outer.get_mut(axis) {
        *dim = 1;
    }
    Ok((places(&outer, &strides), (0..length).map(|at| at * stride).collect()))
}

fn chosen(input: &Tensor, axis: i64, keeps: bool, is_last: bool, sign: f64) -> Result<Vec<Tensor>, Fault> {
    if !is_numeric(input) {
        return Err(Fault::new("is not of numbers"));
    }
    let axis = axis_of(axis, input.dims().len())?;
    let items = input.to_f64s()?;
    let (starts, offsets) = along(input.dims(), axis)?;
    let mut found = Vec::with_capacity(starts.len());
    for start in starts {
        let mut best: Option<(i64, f64)> = None;
        for (place, offset) in (0_i64..).zip(&offsets) {
            let item = sign * items.get(start + offset).copied().unwrap_or(f64::NAN);
            if best.is_none_or(|(_, best)| item > best || (is_last && item == best)) {
                best = Some((place, item));
            }
        }
        found.push(best.ok_or(Fault::new("chooses among no items"))?.0);
    }
    let mut dims = input.dims().to_vec();
    if keeps {
        dims.iter_mut().skip(axis).take(1).for_each(|dim| *dim = 1);
    } else {
        dims.remove(axis);
    }
    Ok(vec![Tensor::new(dims, Data::I64(found))?])
}

fn reduced(
    inputs: &Inputs<'_>,
    axes: &[i64],
    keeps: bool,
    reduce: fn(&[f64]) -> f64,
) -> Result<Vec<Tensor>, Fault> {
    let input = inputs.get(0)?;
    let rank = input.dims().len();
    let named: Result<Vec<usize>, Fault> = axes.iter().map(|axis| axis_of(*axis, rank)).collect();
    let named = named?;
    let is_reduced = |axis: usize| named.is_empty() || named.contains(&axis);
    let strides = strides_of(input.dims());
    let part = |reduced: bool| -> Vec<usize> {
        let dims = input.dims().iter().enumerate();
        dims.map(|(axis, dim)| if is_reduced(axis) == reduced { *dim } else { 1 }).collect()
    };
    let (outer, inner) = (part(false), part(true));
    let offsets = places(&inner, &strides);
    let items = input.to_f64s()?;
    let mut found = Vec::new();
    for start in places(&outer, &strides) {
        let at: Vec<usize> = offsets.iter().map(|offset| start + offset).collect();
        found.push(reduce(&pick(&items, &at)?));
    }
    let dims = match keeps {
        true => outer,
        false => {
            let kept = input.dims().iter().enumerate().filter(|(axis, _)| !is_reduced(*axis));
            kept.map(|(_, dim)| *dim).collect()
        }
    };
    Ok(vec![Tensor::new(dims, like(input, found)?)?])
}

/// Numbers in the type of a tensor of floating-point numbers.
#[expect(clippy::cast_possible_truncation, reason = "a 32-bit value is rounded once")]
pub(super) fn like(tensor: &Tensor, items: Vec<f64>) -> Result<Data, Fault> {
    match tensor.data() {
        Data::F32(_) => Ok(Data::F32(items.into_iter().map(|item| item as f32).collect())),
        Data::F64(_) => Ok(Data::F64(items)),
        _ => Err(Fault::new("is not of floating-point numbers")),
    }
}

fn softmax(input: &Tensor, axis: i64, joins: bool, is_log: bool) -> Result<Tensor, Fault> {
    let axis = axis_of(axis, input.dims().len())?;
    let items = input.to_f64s()?;
    let joined = |dims: &[usize]| {
        let (before, behind) = dims.split_at(axis);
        vec![before.iter().product::<usize>(), behind.iter().product()]
    };
    let (starts, offsets) = match joins {
        true => along(&joined(input.dims()), 1)?,
        false => along(input.dims(), axis)?,
    };
    let mut scores = vec![0.0; items.len()];
    for start in starts {
        let at: Vec<usize> = offsets.iter().map(|offset| start + offset).collect();
        let of_row = pick(&items, &at)?;
        let greatest = of_row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = of_row.iter().map(|item| (item - greatest).exp()).sum();
        for (item, at) in of_row.iter().zip(at) {
            let score = if is_log { item - greatest - sum.ln() } else { (item - greatest).exp() / sum };
            scores.iter_mut().skip(at).take(1).for_each(|into| *into = score);
        }
    }
    Tensor::new(input.dims().to_vec(), like(input, scores)?)
}
