//! ONNX models, from the `.onnx` file that a converter or exporter wrote, as onnxruntime with one thread computes them.
//!
//! *Guarantees*: a graph of operations that are reproduced exactly gives the bits of `onnxruntime` 1.31 on x86-64 (sums of trees in the
//! order of the trees, in the type of the input, the base value last); [`Model::near_operations`] names the operations of a graph
//! that only come near. Files are hostile input: other files, custom operations, functions, graphs within graphs and whatever
//! else is not known are refused; no evaluation makes more than a fixed number of items.
//!
//! *Does not do*: batches whose rows know of each other; contributions.

mod file;
mod graph;
mod ml;
mod ops;
#[cfg(feature = "onnxruntime")]
mod rewrite;
#[cfg(feature = "onnxruntime")]
pub mod runtime;
mod tensor;
mod weights;
mod wire;

pub use super::error::{ModelError, RowError};
pub use weights::weights;

use super::Texts;
use super::error::{shown, unsupported};
use file::File;
use graph::Graph;
use tensor::{Data, Tensor};

/// Bytes of a model file.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

/// Columns of a row, and outputs of an operation.
pub const FEATURES_MAX: usize = 1 << 20;

const FORMAT: &str = "ONNX";

/// Items of a block of rows that are evaluated together.
const BLOCK_ITEMS: usize = 1 << 16;

/// The greatest difference from the engine that its other order of additions explains, against the greatest number of the answer or 1.
const NEAR: f64 = 1e-5;
/// Sums over support vectors cancel, and so lose more.
const NEAR_OF_MACHINES: f64 = 1e-4;

/// How near these operations come to the engine's numbers: about ten times the greatest difference measured, see
/// `docs/recompute.md`.
#[must_use]
pub fn near(operations: &[String]) -> f64 {
    let is_machine = |operation: &String| operation.starts_with("SVM");
    if operations.iter().any(is_machine) { NEAR_OF_MACHINES } else { NEAR }
}

/// What is wrong with an operation's inputs or attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    problem: &'static str,
}

impl Fault {
    fn new(problem: &'static str) -> Self {
        Self { problem }
    }
}

/// A model that was read and checked.
#[derive(Clone, Debug)]
pub struct Model {
    graph: Graph,
    producer: String,
    sets: String,
    margins: usize,
    answers: usize,
    is_double: bool,
}

/// What a row gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// The scores before their transform; of a graph without a scoring operation its outputs.
    pub margins: Vec<f64>,
    /// The graph's outputs of floating-point numbers, or, of a graph without such, of whole numbers.
    pub answer: Vec<f64>,
    /// The graph's other outputs, such as a class.
    pub labels: Vec<String>,
}

impl Model {
    /// Whether a file's first bytes are those of an ONNX model: its version as the first field.
    #[must_use]
    pub fn is_start(bytes: &[u8]) -> bool {
        matches!(bytes, [8, 1..=31, ..])
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: MODEL_BYTES_MAX });
        }
        let file = File::read(bytes)?;
        let named = |(domain, version): &(&str, i64)| {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            format!("{} {version}", shown(domain))
        };
        let mut sets: Vec<String> = file.operation_sets.iter().map(named).collect();
        sets.sort();
        sets.dedup();
        let producer = shown(file.producer);
        let (graph, trial) = Graph::build(file)?;
        if trial.answer.is_empty() {
            return Err(unsupported("a graph whose outputs are not numbers", "GraphProto.output"));
        }
        let is_double = graph.gives_doubles();
        let (margins, answers) = (trial.margins.len(), trial.answer.len());
        Ok(Self { graph, producer, sets: sets.join(", "), margins, answers, is_double })
    }

    /// What the model says of a row. `NAN` stands for a missing value.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model, or values that the graph does not take.
    pub fn numbers(&self, row: &[f64]) -> Result<Numbers, RowError> {
        self.numbers_with(row, Texts::none())
    }

    /// What the model says of a row of which some columns stand for texts.
    ///
    /// # Errors
    /// As [`Model::numbers`]; a column that takes a text has none.
    pub fn numbers_with(&self, row: &[f64], texts: &Texts) -> Result<Numbers, RowError> {
        let mut found = self.graph.run(row, texts, 1)?;
        let found = found
            .pop()
            .filter(|found| found.margins.len() == self.margins && found.answer.len() == self.answers);
        found.ok_or_else(|| RowError::Graph {
            place: "graph".to_owned(),
            problem: "gives another number of numbers for this row",
        })
    }

    /// What the model says of rows that are computed side by side.
    ///
    /// # Errors
    /// As [`Model::numbers_with`], for one of the rows that are refused; the graph does not take several rows ([`Model::takes_batches`]).
    pub fn numbers_of_rows(&self, rows: &[f64], texts: &Texts) -> Result<Vec<Numbers>, RowError> {
        let count = rows.len() / self.feature_count().max(1);
        if count != 1 && !self.takes_batches() {
            return Err(RowError::Graph { place: "graph".to_owned(), problem: "takes one row at a time" });
        }
        self.graph.run(rows, texts, count)
    }

    /// Whether the inputs take several rows; an operation may still make rows know of each other.
    #[must_use]
    pub fn takes_batches(&self) -> bool {
        self.graph.takes_rows()
    }

    /// The margins of many rows, one after the other in `rows` and in the answer; the same bits as [`Model::numbers`].
    ///
    /// # Errors
    /// As [`Model::numbers`], for one of the rows that are refused.
    pub fn margins_of_rows(&self, rows: &[f64]) -> Result<Vec<f64>, RowError> {
        let columns = self.feature_count().max(1);
        let block = if self.graph.is_by_row() { (BLOCK_ITEMS / columns).max(1) } else { 1 };
        let mut margins = Vec::with_capacity(rows.len() / columns * self.margins);
        for rows in rows.chunks(columns * block) {
            for found in self.graph.run(rows, Texts::none(), rows.len() / columns)? {
                margins.extend(found.margins);
            }
        }
        Ok(margins)
    }

    /// Operations behind the margins that only come near the engine's numbers; none where every bit is the engine's.
    #[must_use]
    pub fn near_operations_of_margins(&self) -> &[String] {
        self.graph.near_margins()
    }

    /// The same for the answer.
    #[must_use]
    pub fn near_operations(&self) -> &[String] {
        self.graph.near_answers()
    }

    /// Columns of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.graph.columns()
    }

    /// The inputs' names, where each is one column.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        self.graph.names()
    }

    /// The columns that take texts.
    #[must_use]
    pub fn text_columns(&self) -> Vec<usize> {
        self.graph.text_columns()
    }

    /// Margins of a row.
    #[must_use]
    pub fn margin_count(&self) -> usize {
        self.margins
    }

    /// Numbers of an answer.
    #[must_use]
    pub fn answer_count(&self) -> usize {
        self.answers
    }

    /// Whether a number of its answer has 64 bits.
    #[must_use]
    pub fn is_double(&self) -> bool {
        self.is_double
    }

    /// Trees of all ensembles.
    #[must_use]
    pub fn tree_count(&self) -> usize {
        self.graph.trees()
    }

    /// The function of the mathematics library behind the answer, if any.
    #[must_use]
    pub fn libm(&self) -> Option<&'static str> {
        self.graph.libm()
    }

    /// The program that wrote the file.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// The operation sets that it uses, with their versions.
    #[must_use]
    pub fn operation_sets(&self) -> &str {
        &self.sets
    }

    /// The operations that make the scores, or the number of operations of a graph without such.
    #[must_use]
    pub fn purpose(&self) -> String {
        self.graph.purpose()
    }
}

/// What a tensor holds, as texts.
fn texts(tensor: &Tensor) -> Vec<String> {
    match tensor.data() {
        Data::F32(items) => items.iter().map(ToString::to_string).collect(),
        Data::F64(items) => items.iter().map(ToString::to_string).collect(),
        Data::I64(items) => items.iter().map(ToString::to_string).collect(),
        Data::I32(items) => items.iter().map(ToString::to_string).collect(),
        Data::Bool(items) => items.iter().map(ToString::to_string).collect(),
        Data::U8(items) => items.iter().map(ToString::to_string).collect(),
        Data::Text(items) => items.clone(),
    }
}

#[cfg(test)]
mod tests;
