//! Operations that move items without computing: shapes, parts, joints, casts.
//!
//! *Guarantees*: no item changes but by `Cast`, which rounds and truncates as the engine does; a number that the target type does
//! not hold is an error, since what the engine makes of it depends on the processor.
//!
//! *Does not do*: casts to and from texts.

use super::super::Fault;
use super::super::file::Node;
use super::super::ml::table::only;
use super::super::tensor::{
    Data, Kind, Tensor, axis_of, broadcast, broadcast_places, items_of, map_items, pick, places, strides_of,
};
use super::{Built, Inputs};
use crate::recompute::error::{ModelError, malformed, unsupported};

pub(crate) fn build(node: &Node<'_>, version: i64) -> Result<Option<Built>, ModelError> {
    let mut known: &[&str] = &[];
    let built = match node.operation {
        "Identity" | "Dropout" => {
            known = if node.operation == "Dropout" { &["ratio", "seed", "is_test"] } else { &[] };
            let is_dropout = node.operation == "Dropout";
            Built::new(move |inputs| {
                let is_training = inputs
                    .optional(2)
                    .is_some_and(|mode| mode.bools().is_ok_and(|mode| mode.contains(&true)));
                if is_dropout && is_training {
                    return Err(Fault::new("is in training mode"));
                }
                Ok(vec![inputs.get(0)?.clone()])
            })
            .by_row()
        }
        "Cast" => {
            known = &["to", "saturate"];
            let number = node.integer("to")?.unwrap_or(0);
            let to = Kind::numbered(number).filter(|to| !matches!(to, Kind::Text | Kind::U8));
            let to = to.ok_or_else(|| unsupported(format!("a cast to data type {number}"), node.place()))?;
            Built::new(move |inputs| Ok(vec![cast(inputs.get(0)?, to)?])).by_row()
        }
        "Constant" => return constant(node).map(Some),
        "Reshape" => {
            known = &["allowzero"];
            let keeps_zero = node.integer("allowzero")?.unwrap_or(0) != 0;
            Built::new(move |inputs| {
                let input = inputs.get(0)?;
                let dims = reshaped_dims(input, &inputs.get(1)?.i64s()?, keeps_zero)?;
                Ok(vec![input.reshaped(dims)?])
            })
        }
        "Flatten" => {
            known = &["axis"];
            let axis = node.integer("axis")?.unwrap_or(1);
            Built::new(move |inputs| {
                let input = inputs.get(0)?;
                let rank = input.dims().len();
                let at = if axis == i64::try_from(rank).unwrap_or(0) { rank } else { axis_of(axis, rank)? };
                let (before, behind) = input.dims().split_at(at);
                Ok(vec![input.reshaped(vec![before.iter().product(), behind.iter().product()])?])
            })
        }
        "Shape" | "Size" => {
            let is_size = node.operation == "Size";
            Built::new(move |inputs| {
                let input = inputs.get(0)?;
                let dims = input.dims().iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect();
                Ok(vec![match is_size {
                    true => Tensor::scalar(Data::I64(vec![i64::try_from(input.len()).unwrap_or(i64::MAX)]))?,
                    false => Tensor::vector(Data::I64(dims)),
                }])
            })
        }
        _ => return along_axes(node, version),
    };
    only(node, known)?;
    Ok(Some(built))
}

/// Operations that name axes or places along them.
fn along_axes(node: &Node<'_>, version: i64) -> Result<Option<Built>, ModelError> {
    let axis = node.integer("axis")?.unwrap_or(0);
    let mut known: &[&str] = &[];
    let built = match node.operation {
        "Transpose" => {
            known = &["perm"];
            let order = node.integers("perm")?;
            Built::new(move |inputs| Ok(vec![transposed(inputs.get(0)?, &order)?]))
        }
        "Squeeze" | "Unsqueeze" => {
            known = if version < 13 { &["axes"] } else { &[] };
            let axes = if version < 13 { Some(node.integers("axes")?) } else { None };
            let adds = node.operation == "Unsqueeze";
            Built::new(move |inputs| {
                let axes = match (&axes, inputs.optional(1)) {
                    (Some(axes), _) => axes.clone(),
                    (None, Some(axes)) => axes.i64s()?,
                    (None, None) => Vec::new(),
                };
                let input = inputs.get(0)?;
                let dims =
                    if adds { unsqueezed(input.dims(), &axes)? } else { squeezed(input.dims(), &axes)? };
                Ok(vec![input.reshaped(dims)?])
            })
        }
        "Concat" => {
            known = &["axis"];
            Built::new(move |inputs| concatenated(inputs, axis))
        }
        "Gather" => {
            known = &["axis"];
            Built::new(move |inputs| Ok(vec![gathered(inputs.get(0)?, inputs.get(1)?, axis)?]))
        }
        "Slice" if version >= 10 => Built::new(|inputs| Ok(vec![sliced(inputs)?])),
        "Expand" => Built::new(|inputs| {
            let input = inputs.get(0)?;
            let dims = broadcast(input.dims(), &dims_of(&inputs.get(1)?.i64s()?)?)?;
            Ok(vec![picked(input, &broadcast_places(input.dims(), &dims), dims)?])
        }),
        _ => return Ok(None),
    };
    only(node, known)?;
    Ok(Some(built))
}

fn constant(node: &Node<'_>) -> Result<Built, ModelError> {
    let vector = |data: Data| Some(Tensor::vector(data));
    let scalar = |data: Data| Tensor::scalar(data).ok();
    only(node, &["value", "value_float", "value_floats", "value_int", "value_ints"])?;
    let value = if node.has("value") {
        node.tensor("value")?
    } else if let Some(number) = node.float("value_float")? {
        scalar(Data::F32(vec![number]))
    } else if let Some(number) = node.integer("value_int")? {
        scalar(Data::I64(vec![number]))
    } else if node.has("value_floats") {
        vector(Data::F32(node.floats("value_floats")?))
    } else {
        vector(Data::I64(node.integers("value_ints")?))
    };
    let value = value.ok_or_else(|| malformed(node.place(), "has no value"))?;
    Ok(Built::new(move |_| Ok(vec![value.clone()])).by_row())
}

/// The items at these places, in other dimensions.
fn picked(input: &Tensor, from: &[usize], dims: Vec<usize>) -> Result<Tensor, Fault> {
    let data = map_items!(input.data(), items => pick(items, from)?);
    Tensor::new(dims, data)
}

fn cast(input: &Tensor, to: Kind) -> Result<Tensor, Fault> {
    if input.kind() == to {
        return Ok(input.clone());
    }
    let outside = || Fault::new("casts a number that its type does not hold");
    let data = match to {
        Kind::F32 => match input.data() {
            Data::Bool(items) => Data::F32(items.iter().map(|item| f32::from(u8::from(*item))).collect()),
            _ => Data::F32(input.to_f32s()?),
        },
        Kind::F64 => Data::F64(input.to_f64s()?),
        Kind::Bool => Data::Bool(input.to_f64s()?.iter().map(|item| *item != 0.0).collect()),
        Kind::I64 | Kind::I32 => {
            let numbers: Option<Vec<i64>> = match input.data() {
                Data::I64(items) => Some(items.clone()),
                _ => input.to_f64s()?.into_iter().map(whole).collect(),
            };
            let numbers = numbers.ok_or_else(outside)?;
            if to == Kind::I64 {
                Data::I64(numbers)
            } else {
                let narrow: Option<Vec<i32>> = numbers.iter().map(|item| i32::try_from(*item).ok()).collect();
                Data::I32(narrow.ok_or_else(outside)?)
            }
        }
        Kind::Text | Kind::U8 => return Err(Fault::new("casts to a type that is not supported")),
    };
    Tensor::new(input.dims().to_vec(), data)
}

/// The number without its fraction, where it is certain to fit.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(number: f64) -> Option<i64> {
    const END: f64 = 9_007_199_254_740_992.0;
    (number.abs() <= END).then_some(number as i64)
}

fn dims_of(numbers: &[i64]) -> Result<Vec<usize>, Fault> {
    let dims: Option<Vec<usize>> = numbers.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let dims = dims.ok_or(Fault::new("has a dimension below zero"))?;
    items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
    Ok(dims)
}

fn reshaped_dims(input: &Tensor, wanted: &[i64], keeps_zero: bool) -> Result<Vec<usize>, Fault> {
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (place, dim) in wanted.iter().enumerate() {
        dims.push(match dim {
            -1 if open.is_none() => {
                open = Some(place);
                1
            }
            0 if !keeps_zero => {
                *input.dims().get(place).ok_or(Fault::new("keeps a dimension that is not there"))?
            }
            dim => usize::try_from(*dim).map_err(|_| Fault::new("has a dimension below zero"))?,
        });
    }
    if let Some(place) = open {
        let others = items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
        let rest = input.len().checked_div(others).ok_or(Fault::new("leaves a dimension open"))?;
        if let Some(dim) = dims.get_mut(place) {
            *dim = rest;
        }
    }
    Ok(dims)
}

pub(super) fn transposed(input: &Tensor, order: &[i64]) -> Result<Tensor, Fault> {
    let rank = input.dims().len();
    let reversed: Vec<i64> = (0..i64::try_from(rank).unwrap_or(0)).rev().collect();
    let order = if order.is_empty() { reversed.as_slice() } else { order };
    let axes: Result<Vec<usize>, Fault> = order.iter().map(|axis| axis_of(*axis, rank)).collect();
    let axes = axes?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(Fault::new("does not name every axis once"));
    }
    let (dims, strides) = (pick(input.dims(), &axes)?, pick(&strides_of(input.dims()), &axes)?);
    picked(input, &places(&dims, &strides), dims)
}

fn squeezed(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, Fault> {
    let named: Result<Vec<usize>, Fault> = axes.iter().map(|axis| axis_of(*axis, dims.len())).collect();
    let named = named?;
    let is_dropped = |axis: usize, dim: usize| if axes.is_empty() { dim == 1 } else { named.contains(&axis) };
    let mut kept = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        if !is_dropped(axis, *dim) {
            kept.push(*dim);
        } else if *dim != 1 {
            return Err(Fault::new("drops an axis of several items"));
        }
    }
    Ok(kept)
}

fn unsqueezed(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, Fault> {
    let rank = dims.len() + axes.len();
    let named: Result<Vec<usize>, Fault> = axes.iter().map(|axis| axis_of(*axis, rank)).collect();
    let named = named?;
    let mut rest = dims.iter();
    let made: Option<Vec<usize>> =
        (0..rank).map(|axis| if named.contains(&axis) { Some(1) } else { rest.next().copied() }).collect();
    made.filter(|_| rest.next().is_none()).ok_or(Fault::new("adds an axis twice"))
}

fn concatenated(inputs: &Inputs<'_>, axis: i64) -> Result<Vec<Tensor>, Fault> {
    let first = inputs.get(0)?;
    let axis = axis_of(axis, first.dims().len())?;
    let mut dims = first.dims().to_vec();
    let mut parts = Vec::with_capacity(inputs.values.len());
    let mut length = 0_usize;
    for place in 0..inputs.values.len() {
        let part = inputs.get(place)?;
        let mut of_part = part.dims().to_vec();
        let along = of_part.get(axis).copied().unwrap_or(0);
        if let (Some(into), Some(own)) = (of_part.get_mut(axis), dims.get(axis)) {
            *into = *own;
        }
        if of_part != dims || part.kind() != first.kind() {
            return Err(Fault::new("joins tensors of other dimensions or types"));
        }
        length = length.saturating_add(along);
        parts.push(part);
    }
    if let Some(into) = dims.get_mut(axis) {
        *into = length;
    }
    items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
    /// Takes from every part in turn what stands behind each step along the axes before.
    fn join<T: Clone>(parts: &[(&[T], usize)], steps: usize) -> Vec<T> {
        let taken = |step: usize, (items, run): &(&[T], usize)| {
            items.get(step * run..(step + 1) * run).unwrap_or_default().to_vec()
        };
        (0..steps).flat_map(|step| parts.iter().flat_map(move |part| taken(step, part))).collect()
    }
    let steps: usize = dims.get(..axis).unwrap_or_default().iter().product();
    let run = |part: &Tensor| part.len().checked_div(steps).unwrap_or(0);
    macro_rules! joined {
        ($kind:ident) => {{
            let of_parts = parts.iter().map(|part| match part.data() {
                Data::$kind(items) => (items.as_slice(), run(part)),
                _ => (&[][..], 0),
            });
            Data::$kind(join(&of_parts.collect::<Vec<_>>(), steps))
        }};
    }
    let data = match first.data() {
        Data::F32(_) => joined!(F32),
        Data::F64(_) => joined!(F64),
        Data::I64(_) => joined!(I64),
        Data::I32(_) => joined!(I32),
        Data::Bool(_) => joined!(Bool),
        Data::U8(_) => joined!(U8),
        Data::Text(_) => joined!(Text),
    };
    Ok(vec![Tensor::new(dims, data)?])
}

fn gathered(input: &Tensor, indices: &Tensor, axis: i64) -> Result<Tensor, Fault> {
    let axis = axis_of(axis, input.dims().len())?;
    let (before, behind) = input.dims().split_at(axis);
    let (along, behind) = behind.split_first().ok_or(Fault::new("has no axis"))?;
    let chosen: Result<Vec<usize>, Fault> =
        indices.i64s()?.iter().map(|index| axis_of(*index, *along)).collect();
    let chosen = chosen.map_err(|_| Fault::new("names an item that its input does not have"))?;
    let dims = [before, indices.dims(), behind].concat();
    items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
    let run: usize = behind.iter().product();
    let steps: usize = before.iter().product();
    let from: Vec<usize> = (0..steps)
        .flat_map(|step| chosen.iter().map(move |index| step * along + index))
        .flat_map(|start| start * run..(start + 1) * run)
        .collect();
    picked(input, &from, dims)
}

fn sliced(inputs: &Inputs<'_>) -> Result<Tensor, Fault> {
    let input = inputs.get(0)?;
    let (starts, ends) = (inputs.get(1)?.i64s()?, inputs.get(2)?.i64s()?);
    let count = i64::try_from(starts.len()).unwrap_or(i64::MAX);
    let axes = inputs.optional(3).map_or_else(|| Ok((0..count).collect()), Tensor::i64s)?;
    let steps = inputs.optional(4).map_or_else(|| Ok(vec![1; starts.len()]), Tensor::i64s)?;
    let mut chosen: Vec<Vec<usize>> = input.dims().iter().map(|dim| (0..*dim).collect()).collect();
    for (((axis, start), end), step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
        let axis = axis_of(*axis, input.dims().len())?;
        let dim = input.dims().get(axis).copied().and_then(|dim| i64::try_from(dim).ok()).unwrap_or(0);
        let counted = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
        let found: Vec<i64> = match step {
            1.. => {
                let (start, end) = (counted(*start).clamp(0, dim), counted(*end).clamp(0, dim));
                (start..end).step_by(usize::try_from(*step).unwrap_or(usize::MAX)).collect()
            }
            0 => return Err(Fault::new("steps by zero")),
            _ => {
                let (start, end) = (counted(*start).clamp(-1, dim - 1), counted(*end).clamp(-1, dim - 1));
                let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                (end + 1..=start).rev().step_by(step).collect()
            }
        };
        if let Some(chosen) = chosen.get_mut(axis) {
            *chosen = found.into_iter().filter_map(|at| usize::try_from(at).ok()).collect();
        }
    }
    let mut from = vec![0];
    for (chosen, stride) in chosen.iter().zip(strides_of(input.dims())) {
        from = from.iter().flat_map(|place| chosen.iter().map(move |at| place + at * stride)).collect();
    }
    picked(input, &from, chosen.iter().map(Vec::len).collect())
}
