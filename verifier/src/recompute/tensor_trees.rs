//! Forests as tensor operations, for the main processor or a graphics processor, with the bits of [`Model::margins_of_rows`].
//!
//! *Guarantees*: the margins are those of the scalar walk, bit for bit: the operations are comparisons, lookups and single additions in the
//! trees' order, of which IEEE 754 leaves nothing open. What differs from the scalar walk is only how many rows and trees are taken at once.
//! Memory on the device is bounded by the forest and by one batch. A model that is no forest of a known kind is refused by name.
//!
//! *Does not do*: the last step from margins to an answer, which stays on the main processor ([`Model::answer`]); contributions; ONNX graphs,
//! linear models and linear leaves.

mod symmetric;
mod table;
mod walk;

use candle_core::WithDType;
use ledgerstone::code::Code;

use super::error::{RowError, shown};
use super::model::Model;
use super::processor::{Processor, ProcessorError};
use super::{catboost, lightgbm, xgboost};
use symmetric::Symmetric;
pub(super) use symmetric::{SymmetricSplit, SymmetricTrees};
pub(super) use table::{BelowZero, Comparison, Sketch, Table, Test};
use walk::Walk;

/// Why a model cannot be computed by tensor operations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The model is of a kind that only the scalar engine knows.
    #[error("{what} cannot be computed by tensor operations")]
    Unsupported {
        /// What the model is or uses.
        what: &'static str,
    },
    /// The model has more of something than is laid out.
    #[error("the model has {found} {what}, at most {max} are laid out for tensor operations")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// How many the model has.
        found: usize,
        /// How many are laid out.
        max: usize,
    },
    /// The processor is not there.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// The engine cannot take the model up, for want of memory most likely.
    #[error("the engine cannot take the model up: {problem}")]
    Engine {
        /// What the engine says.
        problem: String,
    },
}

impl TensorError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unsupported { .. } => Code::Misuse,
            Self::Limit { .. } => Code::Limit,
            Self::Processor(error) => error.code(),
            Self::Engine { .. } => Code::Unavailable,
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } | Self::Limit { .. } => {
                "Leave --engine out: row by row it is computed, with the same bits."
            }
            Self::Processor(error) => error.advice(),
            Self::Engine { .. } => "Free memory of the processor, or leave --engine out.",
        }
    }

    fn engine(error: &candle_core::Error) -> Self {
        Self::Engine { problem: first_line(error) }
    }
}

/// How many rows, and rows times trees, are walked at once. It changes the time and the memory, not the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    rows_max: usize,
    places_max: usize,
}

/// Numbers of a batch's rows, and of its margins: 2^25 `f64` take 256 MiB.
const NUMBERS_MAX: usize = 1 << 25;

impl Batch {
    /// What one operation reads and writes on the main processor stays in its cache: 2^15 places take 256 KiB in `f64`.
    const CPU: Self = Self { rows_max: 1 << 10, places_max: 1 << 15 };
    /// A graphics processor needs many places at once, and some ten lists of 2^24 places in `f64` or less fit in 2 GiB.
    const CUDA: Self = Self { rows_max: 1 << 16, places_max: 1 << 24 };

    /// Rows of a batch, for a model of so many numbers a row.
    fn rows(self, width: usize) -> usize {
        (NUMBERS_MAX / width.max(1)).clamp(1, self.rows_max)
    }

    /// Trees that are walked together.
    fn trees(self, rows: usize) -> usize {
        (self.places_max / rows.max(1)).max(1)
    }
}

/// A forest that was taken to a processor.
pub struct TensorForest {
    engine: Engine,
    columns: usize,
    outputs: usize,
    batch: Batch,
    processor: Processor,
}

enum Engine {
    XgBoost(Walk<f32>),
    LightGbm(Walk<f64>),
    /// The model's own code reads the rows, and scales the sums.
    CatBoost(Symmetric, catboost::Model),
}

impl std::fmt::Debug for TensorForest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TensorForest").field("processor", &self.processor).finish_non_exhaustive()
    }
}

impl TensorForest {
    /// Takes a model's trees to a processor.
    ///
    /// # Errors
    /// [`TensorError`] if the model is no forest of a known kind, or the processor is not there.
    pub fn new(model: &Model, processor: Processor) -> Result<Self, TensorError> {
        let about = model.about();
        let batch = match processor {
            Processor::Cpu => Batch::CPU,
            Processor::Cuda => Batch::CUDA,
        };
        let device = processor.device()?;
        let failed = |error: candle_core::Error| TensorError::engine(&error);
        let engine = match model {
            Model::XgBoost(model) => Engine::XgBoost(Walk::new(model.table()?, &device).map_err(failed)?),
            Model::LightGbm(model) => Engine::LightGbm(Walk::new(model.table()?, &device).map_err(failed)?),
            Model::CatBoost(model) => {
                Engine::CatBoost(Symmetric::new(model.symmetric_trees()?, &device)?, model.without_trees())
            }
            Model::Scorecard(_) => return Err(TensorError::Unsupported { what: "a scorecard" }),
            Model::Onnx(_) => return Err(TensorError::Unsupported { what: "an ONNX graph" }),
        };
        Ok(Self { engine, columns: about.features, outputs: about.margins, batch, processor })
    }

    /// The margins of rows, one after the other in `rows` and in the answer; the bits of [`Model::margins_of_rows`].
    ///
    /// # Errors
    /// [`RowError`] if a row is none of this model's, or the engine fails, for want of memory most likely.
    pub fn margins_of_rows(&self, rows: &[f64]) -> Result<Vec<f64>, RowError> {
        let columns = self.columns.max(1);
        if !rows.len().is_multiple_of(columns) {
            return Err(RowError::Length { expected: columns, found: rows.len() % columns });
        }
        let mut margins = Vec::with_capacity(rows.len() / columns * self.outputs);
        for rows in rows.chunks(self.batch.rows(columns.max(self.outputs)) * columns) {
            let count = rows.len() / columns;
            match &self.engine {
                Engine::XgBoost(walk) => {
                    let rows = xgboost::taken(rows, columns)?;
                    in_rows(
                        &walk.margins(&rows, count, self.batch).map_err(engine)?,
                        f64::from,
                        &mut margins,
                    );
                }
                Engine::LightGbm(walk) => {
                    let rows = lightgbm::taken(rows);
                    in_rows(
                        &walk.margins(&rows, count, self.batch).map_err(engine)?,
                        |sum| sum,
                        &mut margins,
                    );
                }
                Engine::CatBoost(trees, model) => {
                    let (numbers, hashes) = model.taken(rows)?;
                    let sums = trees.sums(&numbers, &hashes, count, self.batch).map_err(engine)?;
                    let begin = margins.len();
                    in_rows(&sums, |sum| sum, &mut margins);
                    margins.iter_mut().skip(begin).enumerate().for_each(|(place, sum)| {
                        *sum = model.scaled(*sum, place % self.outputs);
                    });
                }
            }
        }
        Ok(margins)
    }

    /// The same forest, walked for at most so many rows at once, and for so many rows times trees. It changes the time and the memory that are taken,
    /// not the bits.
    #[must_use]
    pub fn in_batches_of(self, rows_max: usize, places_max: usize) -> Self {
        Self { batch: Batch { rows_max: rows_max.max(1), places_max }, ..self }
    }

    /// Where the forest is.
    #[must_use]
    pub fn processor(&self) -> Processor {
        self.processor
    }
}

/// Lists of one output each, as the outputs of each row together.
fn in_rows<T: WithDType>(outputs: &[Vec<T>], widen: impl Fn(T) -> f64, into: &mut Vec<f64>) {
    let count = outputs.first().map_or(0, Vec::len);
    for row in 0..count {
        into.extend(outputs.iter().filter_map(|output| output.get(row)).map(|value| widen(*value)));
    }
}

fn engine(error: candle_core::Error) -> RowError {
    RowError::Engine { problem: first_line(&error) }
}

/// The first line is the message; a backtrace may follow it.
fn first_line(error: &candle_core::Error) -> String {
    shown(error.to_string().lines().next().unwrap_or_default())
}
