//! The operations, by name: what each needs to run, and how near its numbers come to the engine's.
//!
//! *Guarantees*: an operation, version or attribute that is not known here is refused with its name and node.
//!
//! *Does not do*: run a graph.

pub(super) mod elementwise;
pub(super) mod matrix;
pub(super) mod reduce;
pub(super) mod shape;

use std::cell::Cell;
use std::sync::Arc;

use super::Fault;
use super::file::Node;
use super::ml::{features, linear, svm, trees};
use super::tensor::Tensor;
use crate::recompute::error::{ModelError, shown, unsupported};

/// Steps of an evaluation: products added, and for each item made [`STEPS_OF_ITEM`], so that all items together are 2^25.
const WORK_MAX: u64 = 1 << 28;
pub(super) const STEPS_OF_ITEM: usize = 8;

/// What an operation does with its inputs.
pub(super) type Run = Arc<dyn Fn(&Inputs<'_>) -> Result<Vec<Tensor>, Fault> + Send + Sync>;

/// An operation with its attributes.
#[derive(Clone)]
pub(super) struct Built {
    pub(super) run: Run,
    /// Its numbers can differ in the last bits: the engine's order of additions, or its approximation of a function, is its own.
    pub(super) is_near: bool,
    /// The function of the mathematics library behind it.
    pub(super) libm: Option<&'static str>,
    /// It has one more output than the file knows: the scores before their transform.
    pub(super) gives_raw_scores: bool,
    /// Rows of a table do not know of each other.
    pub(super) is_by_row: bool,
    pub(super) trees: usize,
}

impl Built {
    pub(super) fn new(
        run: impl Fn(&Inputs<'_>) -> Result<Vec<Tensor>, Fault> + Send + Sync + 'static,
    ) -> Self {
        let run = Arc::new(run);
        Self { run, is_near: false, libm: None, gives_raw_scores: false, is_by_row: false, trees: 0 }
    }

    /// An operation whose numbers only come near the engine's.
    pub(super) fn near(mut self) -> Self {
        self.is_near = true;
        self
    }

    pub(super) fn by_row(mut self) -> Self {
        self.is_by_row = true;
        self
    }
}

/// What an operation is given.
#[derive(Clone, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) values: Vec<Option<&'a Tensor>>,
    /// Shared by the operations of an evaluation.
    pub(super) work: &'a Cell<u64>,
    /// The values are made up, to learn the tensors' types and dimensions; rules on values do not count.
    pub(super) is_trial: bool,
}

impl<'a> Inputs<'a> {
    pub(super) fn get(&self, place: usize) -> Result<&'a Tensor, Fault> {
        self.optional(place).ok_or(Fault::new("lacks an input"))
    }

    pub(super) fn optional(&self, place: usize) -> Option<&'a Tensor> {
        self.values.get(place).copied().flatten()
    }

    /// Counts work; an error once a model asks for too much.
    pub(super) fn charge(&self, work: usize) -> Result<(), Fault> {
        let sum = self.work.get().saturating_add(work as u64);
        self.work.set(sum);
        if sum > WORK_MAX { Err(Fault::new("takes more steps than a row may")) } else { Ok(()) }
    }
}

/// The versions of the operation sets that a model uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    pub(super) plain: i64,
    pub(super) ml: i64,
}

/// Builds the operation of a node; the inputs' values are those of a trial.
pub(super) fn build(
    node: &Node<'_>,
    inputs: &[Option<&Tensor>],
    versions: Versions,
) -> Result<Built, ModelError> {
    let first = inputs.first().copied().flatten();
    match (node.domain, node.operation) {
        ("", _) if versions.plain == 0 => {
            Err(unsupported("an operation of a set without a version", node.place()))
        }
        ("ai.onnx.ml", _) if versions.ml == 0 => {
            Err(unsupported("an operation of a set without a version", node.place()))
        }
        ("", "If" | "Loop" | "Scan") => {
            Err(unsupported(format!("{} with a graph inside", node.operation), node.place()))
        }
        ("", operation) => match operation {
            "MatMul" | "Gemm" | "BatchNormalization" => matrix::build(node),
            "ArgMax" | "ArgMin" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "Softmax"
            | "LogSoftmax" => reduce::build(node, versions.plain),
            _ => match shape::build(node, versions.plain)? {
                Some(built) => Ok(built),
                None => elementwise::build(node, versions.plain),
            },
        },
        ("ai.onnx.ml", operation) => match operation {
            "TreeEnsembleClassifier" | "TreeEnsembleRegressor" | "TreeEnsemble" => {
                let kind = first.map(Tensor::kind);
                let kind = kind.ok_or_else(|| unsupported("an ensemble without an input", node.place()))?;
                trees::build(node, kind)
            }
            "LinearClassifier" | "LinearRegressor" => linear::build(node),
            "SVMClassifier" | "SVMRegressor" => svm::build(node),
            _ => features::build(node, inputs),
        },
        (domain, _) => {
            Err(unsupported(format!("an operation of the domain {}", shown(domain)), node.place()))
        }
    }
}
