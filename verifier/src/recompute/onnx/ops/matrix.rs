//! Products of matrices, and `BatchNormalization`.
//!
//! *Guarantees*: products are added in `f64`, the first item's first, and rounded once to the tensor's type.
//!
//! *Does not do*: give the engine's bits, whose order of additions depends on the processor and on how many rows it is given.

use super::super::Fault;
use super::super::file::Node;
use super::super::ml::table::only;
use super::super::tensor::{Tensor, broadcast, broadcast_places, pick};
use super::reduce::like;
use super::shape::transposed;
use super::{Built, Inputs};
use crate::recompute::error::{ModelError, shown, unsupported};

pub(crate) fn build(node: &Node<'_>) -> Result<Built, ModelError> {
    match node.operation {
        "MatMul" => {
            only(node, &[])?;
            Ok(Built::new(|inputs| Ok(vec![product(inputs, inputs.get(0)?, inputs.get(1)?)?])).near())
        }
        "Gemm" => {
            only(node, &["alpha", "beta", "transA", "transB"])?;
            let flag = |name: &str| Ok::<_, ModelError>(node.integer(name)?.unwrap_or(0) != 0);
            let (turns_a, turns_b) = (flag("transA")?, flag("transB")?);
            let alpha = f64::from(node.float("alpha")?.unwrap_or(1.0));
            let beta = f64::from(node.float("beta")?.unwrap_or(1.0));
            Ok(Built::new(move |inputs| gemm(inputs, (turns_a, turns_b), (alpha, beta))).near())
        }
        "BatchNormalization" => {
            only(node, &["epsilon", "momentum", "spatial", "training_mode"])?;
            if node.integer("training_mode")?.unwrap_or(0) != 0 || node.integer("spatial")?.unwrap_or(1) == 0
            {
                return Err(unsupported("BatchNormalization in training, or not by channel", node.place()));
            }
            let epsilon = f64::from(node.float("epsilon")?.unwrap_or(1e-5));
            Ok(Built::new(move |inputs| normalized(inputs, epsilon)).near())
        }
        other => Err(unsupported(format!("the operation {}", shown(other)), node.place())),
    }
}

fn product(inputs: &Inputs<'_>, a: &Tensor, b: &Tensor) -> Result<Tensor, Fault> {
    let too_few = || Fault::new("multiplies what has no dimension");
    let of_a = if a.dims().len() == 1 { [&[1], a.dims()].concat() } else { a.dims().to_vec() };
    let of_b = if b.dims().len() == 1 { [b.dims(), &[1]].concat() } else { b.dims().to_vec() };
    let (outer_a, [rows, inner]) = of_a.split_last_chunk::<2>().ok_or_else(too_few)?;
    let (outer_b, [inner_b, columns]) = of_b.split_last_chunk::<2>().ok_or_else(too_few)?;
    if inner != inner_b {
        return Err(Fault::new("multiplies matrices that do not fit"));
    }
    let outer = broadcast(outer_a, outer_b)?;
    let dims = [outer.as_slice(), &[*rows, *columns]].concat();
    let items =
        super::super::tensor::items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
    inputs.charge(items.saturating_mul(*inner))?;
    let (items_a, items_b) = (a.to_f64s()?, b.to_f64s()?);
    let mut found = Vec::with_capacity(items);
    for (at_a, at_b) in broadcast_places(outer_a, &outer).iter().zip(broadcast_places(outer_b, &outer)) {
        let matrix_b = items_b.get(at_b * inner * columns..(at_b + 1) * inner * columns).unwrap_or_default();
        for row in 0..*rows {
            let start = (at_a * rows + row) * inner;
            let mut sums = vec![0.0; *columns];
            let of_row = items_a.get(start..start + inner).unwrap_or_default();
            for (item, row_b) in of_row.iter().zip(matrix_b.chunks_exact((*columns).max(1))) {
                sums.iter_mut().zip(row_b).for_each(|(sum, of_b)| *sum += item * of_b);
            }
            found.append(&mut sums);
        }
    }
    let mut dims = dims;
    if b.dims().len() == 1 {
        dims.pop();
    }
    if a.dims().len() == 1 {
        dims.remove(outer.len());
    }
    Tensor::new(dims, like(a, found)?)
}

fn gemm(inputs: &Inputs<'_>, turns: (bool, bool), factors: (f64, f64)) -> Result<Vec<Tensor>, Fault> {
    let (a, b) = (inputs.get(0)?, inputs.get(1)?);
    if a.dims().len() != 2 || b.dims().len() != 2 || a.kind() != b.kind() {
        return Err(Fault::new("multiplies what is no pair of matrices of one type"));
    }
    let widened = |tensor: &Tensor, turns: bool| {
        let tensor = if turns { transposed(tensor, &[1, 0])? } else { tensor.clone() };
        Tensor::new(tensor.dims().to_vec(), super::super::tensor::Data::F64(tensor.to_f64s()?))
    };
    let sum = product(inputs, &widened(a, turns.0)?, &widened(b, turns.1)?)?;
    let (alpha, beta) = factors;
    let mut items: Vec<f64> = sum.to_f64s()?.into_iter().map(|item| alpha * item).collect();
    if let Some(c) = inputs.optional(2) {
        if broadcast(c.dims(), sum.dims())? != sum.dims() {
            return Err(Fault::new("adds what does not fit the product"));
        }
        let added = pick(&c.to_f64s()?, &broadcast_places(c.dims(), sum.dims()))?;
        items.iter_mut().zip(added).for_each(|(item, added)| *item += beta * added);
    }
    Ok(vec![Tensor::new(sum.dims().to_vec(), like(a, items)?)?])
}

fn normalized(inputs: &Inputs<'_>, epsilon: f64) -> Result<Vec<Tensor>, Fault> {
    let input = inputs.get(0)?;
    let channels = *input.dims().get(1).ok_or(Fault::new("has no channels"))?;
    let of_channel = |place: usize| {
        let values = inputs.get(place)?.to_f64s()?;
        if values.len() == channels { Ok(values) } else { Err(Fault::new("has another number of channels")) }
    };
    let (scale, bias, mean, variance) = (of_channel(1)?, of_channel(2)?, of_channel(3)?, of_channel(4)?);
    let run: usize = input.dims().iter().skip(2).product();
    let factors: Vec<(f64, f64)> = scale
        .iter()
        .zip(bias)
        .zip(mean.iter().zip(variance))
        .map(|((scale, bias), (mean, variance))| {
            let factor = scale / (variance + epsilon).sqrt();
            (factor, bias - mean * factor)
        })
        .collect();
    let mut items = input.to_f64s()?;
    let by_channel = items.chunks_mut(run.max(1)).zip(factors.iter().cycle());
    by_channel
        .for_each(|(items, (factor, bias))| items.iter_mut().for_each(|item| *item = *item * factor + bias));
    Ok(vec![Tensor::new(input.dims().to_vec(), like(input, items)?)?])
}
