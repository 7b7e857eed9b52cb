//! `TreeEnsembleClassifier`, `TreeEnsembleRegressor` and `TreeEnsemble`: how a file gives their trees, and what the leaves' weights
//! add up to.
//!
//! *Guarantees*: onnxruntime's sums in its order, with one thread: leaf after leaf in the order of the trees, in the type of the
//! input (32 bits for whole numbers), the base value last; then its rules for two classes.
//!
//! *Does not do*: read the lists of a file.

mod read;

use std::sync::Arc;

use super::super::file::Node;
use super::super::ops::{Built, Inputs};
use super::super::tensor::{Data, Kind, Tensor};
use super::super::{FEATURES_MAX, Fault};
use super::forest::{Float, Forest};
use super::scores::{Score, Second, Transform};
use super::table::{self, Table};
use crate::recompute::error::{ModelError, malformed, unsupported};
use read::{is_category, read_classifier, read_regressor, read_version_5};

/// How leaves make a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What the sums mean.
#[derive(Clone, Debug)]
enum Purpose {
    Targets(Aggregate),
    Classes {
        labels: table::Labels,
        /// Two classes, and weights of one of them only.
        is_binary: bool,
        is_all_positive: bool,
    },
}

/// An ensemble that was read and checked.
#[derive(Clone, Debug)]
struct Ensemble<T> {
    forest: Forest<T>,
    outputs: usize,
    bases: Vec<T>,
    transform: Transform,
    purpose: Purpose,
}

/// Builds the operation; its last output is the scores without the transform.
pub(crate) fn build(node: &Node<'_>, input: Kind) -> Result<Built, ModelError> {
    match input {
        Kind::F64 => build_of::<f64>(node),
        Kind::F32 => build_of::<f32>(node),
        Kind::I64 | Kind::I32 if node.operation == "TreeEnsembleClassifier" => build_of::<f32>(node),
        _ => Err(unsupported("an ensemble of trees over such an input", node.place())),
    }
}

fn build_of<T: Float + Items>(node: &Node<'_>) -> Result<Built, ModelError> {
    let ensemble: Ensemble<T> = match node.operation {
        "TreeEnsemble" => read_version_5(node)?,
        "TreeEnsembleRegressor" => read_regressor(node)?,
        _ => read_classifier(node)?,
    };
    if ensemble.forest.columns() > FEATURES_MAX {
        return Err(malformed(node.place(), "splits on a column that no row has"));
    }
    // Only the newest operation gives its sums in their own type.
    let is_narrowed = node.operation != "TreeEnsemble";
    let mut built = Built::new({
        let ensemble = Arc::new(ensemble.clone());
        move |inputs| ensemble.run(inputs, is_narrowed)
    });
    built.trees = ensemble.forest.tree_count();
    built.libm = ensemble.transform.libm();
    built.gives_raw_scores = true;
    built.is_by_row = true;
    Ok(built)
}

/// Types whose tensors an ensemble reads.
pub(crate) trait Items: Sized {
    fn of(tensor: &Tensor) -> Result<std::borrow::Cow<'_, [Self]>, Fault>
    where
        Self: Clone;
    fn list(node: &Node<'_>, name: &str) -> Result<Vec<Self>, ModelError>;
    fn data(items: Vec<Self>) -> Data;
}

impl Items for f32 {
    fn of(tensor: &Tensor) -> Result<std::borrow::Cow<'_, [Self]>, Fault> {
        match tensor.data() {
            Data::F32(items) => Ok(items.as_slice().into()),
            _ => Ok(tensor.to_f32s()?.into()),
        }
    }

    fn list(node: &Node<'_>, name: &str) -> Result<Vec<Self>, ModelError> {
        let wrong = || malformed(node.place(), "has numbers of another type than its input");
        match node.tensor(name)?.map(Tensor::into_data) {
            None => Ok(Vec::new()),
            Some(Data::F32(items)) => Ok(items),
            Some(_) => Err(wrong()),
        }
    }

    fn data(items: Vec<Self>) -> Data {
        Data::F32(items)
    }
}

impl Items for f64 {
    fn of(tensor: &Tensor) -> Result<std::borrow::Cow<'_, [Self]>, Fault> {
        match tensor.data() {
            Data::F64(items) => Ok(items.as_slice().into()),
            _ => Err(Fault::new("is not of 64-bit floating-point numbers")),
        }
    }

    fn list(node: &Node<'_>, name: &str) -> Result<Vec<Self>, ModelError> {
        let wrong = || malformed(node.place(), "has numbers of another type than its input");
        match node.tensor(name)?.map(Tensor::into_data) {
            None => Ok(Vec::new()),
            Some(Data::F64(items)) => Ok(items),
            Some(_) => Err(wrong()),
        }
    }

    fn data(items: Vec<Self>) -> Data {
        Data::F64(items)
    }
}

impl<T: Float + Items> Ensemble<T> {
    fn run(&self, inputs: &Inputs<'_>, is_narrowed: bool) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.get(0)?;
        let table = Table::<T>::of(tensor, self.forest.columns())?;
        let count = table.rows().len();
        inputs.charge(count.saturating_mul(self.forest.tree_count().max(1)))?;
        for column in self.forest.category_columns() {
            let is_odd = |value: &T| !value.is_missing() && !is_category(*value);
            if !inputs.is_trial && table.rows().any(|row| row.get(column).is_some_and(is_odd)) {
                return Err(Fault::new(
                    "splits on a set of categories, and is given what is no whole number",
                ));
            }
        }
        let mut sums = vec![Score::none(); count.saturating_mul(self.outputs)];
        self.add(&table, &mut sums);
        let (mut labels, mut scores, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for sums in sums.chunks_exact_mut(self.outputs) {
            match &self.purpose {
                Purpose::Targets(aggregate) => {
                    self.finish_targets(*aggregate, sums);
                    let of_row = self.targets(sums)?;
                    raw.extend(sums.iter().map(|sum| sum.value()));
                    scores.extend(of_row);
                }
                Purpose::Classes { is_binary, is_all_positive, .. } => {
                    let (sums, label, second) = self.finish_classes(sums, *is_binary, *is_all_positive)?;
                    labels.push(label);
                    scores.extend(self.transform.scores(&sums, second)?);
                    raw.extend(Transform::None.scores(&sums, second)?);
                }
            }
        }
        let dims = vec![count, self.outputs];
        let tensor = |items: Vec<T>| {
            let data = match is_narrowed {
                true => Data::F32(items.into_iter().map(Float::narrow).collect()),
                false => T::data(items),
            };
            Tensor::new(dims.clone(), data)
        };
        match &self.purpose {
            Purpose::Targets(_) => Ok(vec![tensor(scores)?, tensor(raw)?]),
            Purpose::Classes { labels: names, .. } => {
                Ok(vec![names.tensor(&labels)?, tensor(scores)?, tensor(raw)?])
            }
        }
    }

    /// Adds every leaf to its outputs' sums, in the order of the trees.
    fn add(&self, table: &Table<'_, T>, sums: &mut [Score<T>]) {
        let aggregate = match &self.purpose {
            Purpose::Targets(Aggregate::Min) => Aggregate::Min,
            Purpose::Targets(Aggregate::Max) => Aggregate::Max,
            _ => Aggregate::Sum,
        };
        if let (Aggregate::Sum, Some(output)) = (aggregate, self.forest.only_output()) {
            return self.add_single(table, sums, output);
        }
        self.forest.leaves(table.items(), table.columns(), |row, leaf| {
            for (output, weight) in self.forest.weights(leaf) {
                let Some(sum) = sums.get_mut(row * self.outputs + *output as usize) else { continue };
                let sum_next = match aggregate {
                    Aggregate::Min if sum.is_given && sum.sum <= *weight => sum.sum,
                    Aggregate::Max if sum.is_given && sum.sum >= *weight => sum.sum,
                    Aggregate::Min | Aggregate::Max => *weight,
                    _ => sum.sum + *weight,
                };
                *sum = Score::given(sum_next);
            }
        });
    }

    /// As [`Self::add`], where every leaf has one weight and all of them are of one output.
    fn add_single(&self, table: &Table<'_, T>, sums: &mut [Score<T>], output: usize) {
        let mut totals = vec![T::from(0.0); sums.len() / self.outputs];
        self.forest.leaves(table.items(), table.columns(), |row, leaf| {
            if let Some(total) = totals.get_mut(row) {
                *total = *total + self.forest.weight(leaf);
            }
        });
        let sums = sums.iter_mut().skip(output).step_by(self.outputs);
        sums.zip(totals).for_each(|(sum, total)| *sum = Score::given(total));
    }

    fn finish_targets(&self, aggregate: Aggregate, sums: &mut [Score<T>]) {
        let is_single = self.outputs == 1;
        for (place, sum) in sums.iter_mut().enumerate() {
            let base = self.bases.get(place).copied();
            match aggregate {
                // What no leaf gave stays without a score, whatever its base value.
                Aggregate::Sum | Aggregate::Average => {
                    if aggregate == Aggregate::Average {
                        sum.sum = sum.sum / T::of_count(self.forest.tree_count());
                    }
                    sum.sum = sum.sum + base.unwrap_or(T::from(0.0));
                    sum.is_given |= is_single;
                }
                Aggregate::Min | Aggregate::Max => {
                    sum.sum = base.unwrap_or(T::from(0.0)) + sum.value();
                    sum.is_given |= is_single;
                }
            }
        }
    }

    /// The engine transforms the score of a single target by PROBIT only.
    fn targets(&self, sums: &[Score<T>]) -> Result<Vec<T>, Fault> {
        match (sums, self.transform) {
            ([sum], Transform::Probit) => Ok(vec![T::from(super::scores::probit(sum.value().narrow()))]),
            ([sum], _) => Ok(vec![sum.value()]),
            _ => self.transform.scores(sums, Second::Undefined),
        }
    }

    /// The classes' sums with base values, the place of the label, and what becomes of a single score.
    fn finish_classes(
        &self,
        sums: &mut [Score<T>],
        is_binary: bool,
        is_all_positive: bool,
    ) -> Result<(Vec<Score<T>>, usize, Second), Fault> {
        let mut second = Second::Undefined;
        let [zero, one] = sums else {
            for (sum, base) in sums.iter_mut().zip(&self.bases) {
                *sum = Score::given(if sum.is_given { sum.sum + *base } else { *base });
            }
            let mut label: Option<(usize, T)> = None;
            for (place, sum) in sums.iter().enumerate() {
                if sum.is_given && label.is_none_or(|(_, greatest)| sum.sum > greatest) {
                    label = Some((place, sum.sum));
                }
            }
            let (label, _) = label.ok_or(Fault::new("has a row that no leaf gives a class"))?;
            return Ok((sums.to_vec(), label, second));
        };
        let mut is_single = false;
        match *self.bases {
            [_, base] if one.is_given => {
                *one = Score::given(base + zero.sum);
                zero.sum = -one.sum;
            }
            [base_of_zero, base_of_one] => {
                one.sum = one.sum + base_of_one;
                zero.sum = zero.sum + base_of_zero;
            }
            [base] => {
                zero.sum = zero.sum + base;
                is_single = !one.is_given;
            }
            _ => {
                second = Second::Negation;
                is_single = !one.is_given;
            }
        }
        let positive = if one.is_given { one.sum } else { zero.value() };
        let half = if is_binary && is_all_positive { 0.5 } else { 0.0 };
        if is_binary {
            second = if is_all_positive { Second::Complement } else { Second::Negation };
        }
        let label = usize::from(positive > T::from(half));
        let kept = if is_single { vec![*zero] } else { vec![*zero, *one] };
        Ok((kept, label, second))
    }
}
