//! XGBoost models, from the JSON file that `save_model("model.json")` writes, with the library's own bits.
//!
//! *Guarantees*: [`Model::margin`] equals `Booster.predict(output_margin=True)` and [`Model::probability`] equals
//! `Booster.predict()` of XGBoost 1.3 to 3.x bit for bit, for the objectives of [`Objective`] and files of 1.0 to 3.x.
//! (Before 1.3 the library added the base margin last.) What makes it so: thresholds and leaves are read from text straight to `f32` (through `f64` they would be rounded twice), the sum starts
//! at the base margin and takes the trees in order, `value < threshold` goes left, a missing value goes where the file
//! says.
//!
//! *Does not do*: categorical splits, several classes or targets, DART, linear boosters, the binary and UBJSON formats.
//! Each is refused as [`ModelError::Unsupported`].
//!
//! Two steps use the platform's mathematics library, as XGBoost does: the base margin of `binary:logistic` (one
//! logarithm a model) and the probability (one exponential a row). Compare margins first. With `base_score` 0.5 the base
//! margin is zero everywhere.

mod file;
mod tree;

use ledgerstone::code::Code;

use tree::Tree;

/// Bytes of a model file. A forest of 20,000 trees of depth 8 takes about 1.2 GB of text; such models are shipped as
/// UBJSON, which is refused anyway.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

/// Columns of a row. A row is checked before it is scored, so this bounds the work of one call.
pub const FEATURES_MAX: usize = 1 << 20;

/// A model that was read and checked: scoring cannot fail except by what the row is.
#[derive(Clone, Debug)]
pub struct Model {
    objective: Objective,
    base_margin: f32,
    feature_count: usize,
    feature_names: Vec<String>,
    trees: Vec<Tree>,
}

/// What the sum of the leaves means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objective {
    /// `binary:logistic` and `reg:logistic`: the margin is the logarithm of the odds.
    Logistic,
    /// `reg:squarederror` and its old name `reg:linear`: the margin is the prediction.
    SquaredError,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// The sum of the base margin and one leaf of each tree. `NAN` stands for a missing value.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model, or holds an infinity, which the library refuses too.
    pub fn margin(&self, features: &[f32]) -> Result<f32, RowError> {
        if features.len() != self.feature_count {
            return Err(RowError::Length { expected: self.feature_count, found: features.len() });
        }
        if let Some(feature) = features.iter().position(|value| value.is_infinite()) {
            return Err(RowError::Infinite { feature });
        }
        Ok(self.trees.iter().fold(self.base_margin, |sum, tree| sum + tree.leaf(features)))
    }

    /// What the library's `predict` makes of a margin: the probability of the positive class, or for
    /// [`Objective::SquaredError`] the margin itself.
    #[must_use]
    pub fn probability(&self, margin: f32) -> f32 {
        match self.objective {
            Objective::Logistic => sigmoid(margin),
            Objective::SquaredError => margin,
        }
    }

    /// What the margin means.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The margin of a row before any tree.
    #[must_use]
    pub fn base_margin(&self) -> f32 {
        self.base_margin
    }

    /// Columns of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }

    /// The columns' names, in the order of a row; empty if the model was trained without names.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Trees, each of which adds one leaf.
    #[must_use]
    pub fn tree_count(&self) -> usize {
        self.trees.len()
    }
}

/// The library's logistic function, operation by operation: the exponent is capped so that `exp` stays finite, and
/// 1e-16 keeps its divisor from zero.
fn sigmoid(margin: f32) -> f32 {
    const NOT_ZERO: f32 = 1e-16;
    const EXPONENT_MAX: f32 = 88.7;
    // Not f32::min: C++ `std::min(a, b)` keeps a NaN in its first argument.
    let exponent = if EXPONENT_MAX < -margin { EXPONENT_MAX } else { -margin };
    1.0 / (exponent.exp() + 1.0 + NOT_ZERO)
}

/// The margin at which `probability` gives this base score.
fn logit(base_score: f32) -> f32 {
    -(1.0 / base_score - 1.0).ln()
}

/// Why a model file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file is not well-formed JSON, or a part of it has another type than the format says.
    #[error(
        "the model file does not read as an XGBoost model at line {line}, column {column}: {problem}; export it again with save_model(\"model.json\")"
    )]
    Json {
        /// Line of the file, from 1.
        line: usize,
        /// Column of the line, from 1.
        column: usize,
        /// What the JSON reader says.
        problem: String,
    },
    /// The file is JSON of the right shape, but says something that cannot be.
    #[error(
        "the model file contradicts itself at {place}: {problem}; export it again with save_model(\"model.json\")"
    )]
    Malformed {
        /// Path in the file, as `learner.gradient_booster.model.trees[3].left_children[7]`.
        place: String,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A model that exists, and that this evaluator does not reproduce.
    #[error(
        "{what} cannot be recomputed exactly yet ({place}); recomputing covers gbtree models with numeric splits, one output, and binary:logistic or reg:squarederror, saved as JSON"
    )]
    Unsupported {
        /// What the model uses.
        what: String,
        /// Where the file says so.
        place: String,
    },
    /// The file is larger than [`MODEL_BYTES_MAX`] or has more columns than [`FEATURES_MAX`].
    #[error("the model file has {found} {what}, at most {max} are read")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// How many the file has.
        found: usize,
        /// How many are read.
        max: usize,
    },
}

impl ModelError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Json { .. } | Self::Malformed { .. } => Code::Malformed,
            Self::Unsupported { .. } => Code::Misuse,
            Self::Limit { .. } => Code::Limit,
        }
    }
}

/// Why a row was not scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has too few or too many columns.
    #[error(
        "the model takes rows of {expected} features, this one has {found}; check that it was recorded for this model"
    )]
    Length {
        /// Columns the model takes.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// A feature is infinite; XGBoost refuses to score such a row.
    #[error("feature {feature} is infinite; XGBoost scores finite and missing (NaN) values only")]
    Infinite {
        /// Column of the row, from 0.
        feature: usize,
    },
}

impl RowError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Length { .. } | Self::Infinite { .. } => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
