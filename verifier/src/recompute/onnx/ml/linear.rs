//! `LinearClassifier` and `LinearRegressor`.
//!
//! *Guarantees*: sums of products are made in `f64`, the first column's first and the intercept last, and rounded once.
//!
//! *Does not do*: give the engine's bits, whose order of additions depends on the processor and on how many rows it is given.

use super::super::Fault;
use super::super::file::Node;
use super::super::ops::{Built, Inputs};
use super::super::tensor::{Data, Tensor};
use super::scores::{Score, Second, Transform};
use super::table::{Labels, Table, only};
use crate::recompute::error::{ModelError, malformed, unsupported};

/// Coefficients, one row an output.
#[derive(Clone, Debug)]
struct Linear {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    transform: Transform,
    labels: Option<Labels>,
}

pub(crate) fn build(node: &Node<'_>) -> Result<Built, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let is_classifier = node.operation == "LinearClassifier";
    only(
        node,
        match is_classifier {
            true => &[
                "coefficients",
                "intercepts",
                "multi_class",
                "post_transform",
                "classlabels_strings",
                "classlabels_ints",
            ],
            false => &["coefficients", "intercepts", "targets", "post_transform"],
        },
    )?;
    let transform = Transform::named(node.text("post_transform")?.unwrap_or("NONE"));
    let transform = transform.ok_or_else(|| wrong("has an unknown post_transform"))?;
    let (coefficients, mut intercepts) = (node.floats("coefficients")?, node.floats("intercepts")?);
    let labels = match is_classifier {
        true => Some(Labels::read(node, "classlabels_strings", "classlabels_ints")?),
        false => None,
    };
    let outputs = match &labels {
        Some(_) => intercepts.len(),
        None => usize::try_from(node.integer("targets")?.unwrap_or(1)).unwrap_or(0),
    };
    if intercepts.is_empty() && outputs <= coefficients.len() {
        intercepts = vec![0.0; outputs];
    }
    if intercepts.len() != outputs || outputs == 0 || !coefficients.len().is_multiple_of(outputs) {
        return Err(wrong("has coefficients that do not fit its outputs"));
    }
    let is_binary = labels.as_ref().is_some_and(|labels| labels.len() == 2) && outputs == 1;
    if labels.as_ref().is_some_and(|labels| labels.len() != outputs && !is_binary) {
        return Err(wrong("has another number of labels than of classes"));
    }
    if outputs == 1 && transform != Transform::None && !(is_binary && transform != Transform::Probit) {
        return Err(unsupported("a transform of a single score", node.place()));
    }
    let linear = Linear { coefficients, intercepts, transform, labels };
    let mut built = Built::new(move |inputs| linear.run(inputs)).near().by_row();
    built.gives_raw_scores = true;
    built.libm = transform.libm();
    Ok(built)
}

impl Linear {
    fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
        let outputs = self.intercepts.len();
        let columns = self.coefficients.len() / outputs;
        let table = Table::<f32>::of(inputs.get(0)?, columns)?;
        let (mut places, mut scores, mut raw, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for row in table.rows() {
            if row.len() != columns {
                return Err(Fault::new("has another number of coefficients than its input has columns"));
            }
            inputs.charge(self.coefficients.len())?;
            let sums: Vec<f32> = self
                .coefficients
                .chunks_exact(columns.max(1))
                .zip(&self.intercepts)
                .map(|(weights, intercept)| sum(row, weights, *intercept))
                .collect();
            let of_row: Vec<Score<f32>> = sums.iter().map(|sum| Score::given(*sum)).collect();
            if self.labels.is_none() && outputs == 1 {
                raw.extend(&sums);
                scores.extend(&sums);
            } else {
                raw.extend(Transform::None.scores(&of_row, Second::Complement)?);
                scores.extend(self.transform.scores(&of_row, Second::Complement)?);
            }
            places.push(match sums.as_slice() {
                [sum] => usize::from(*sum > 0.0),
                several => greatest(several),
            });
            count += 1;
        }
        let dims = vec![count, scores.len() / count.max(1)];
        let numbers = [Tensor::new(dims.clone(), Data::F32(scores))?, Tensor::new(dims, Data::F32(raw))?];
        match &self.labels {
            Some(labels) => Ok([vec![labels.tensor(&places)?], numbers.to_vec()].concat()),
            None => Ok(numbers.to_vec()),
        }
    }
}

/// The place of the first of the greatest.
pub(super) fn greatest(items: &[f32]) -> usize {
    let mut best = 0;
    let mut of_best = f32::NEG_INFINITY;
    for (place, item) in items.iter().enumerate() {
        if place == 0 || *item > of_best {
            (best, of_best) = (place, *item);
        }
    }
    best
}

#[expect(clippy::cast_possible_truncation, reason = "rounded once, at the end")]
pub(super) fn sum(row: &[f32], weights: &[f32], intercept: f32) -> f32 {
    let products = row.iter().zip(weights).map(|(item, weight)| f64::from(*item) * f64::from(*weight));
    (products.sum::<f64>() + f64::from(intercept)) as f32
}
