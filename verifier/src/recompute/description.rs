//! How a model's folder is recomputed: which file is the model, what makes its columns from recorded features, and which
//! recorded numbers, labels and reasons must follow (`docs/spec/recompute-description.md`).
//!
//! *Guarantees*: a description that was read names only what it fixes exactly; a key or a step that the page does not have is
//! refused. The arithmetic of the steps is in `f64`, one rounding an operation, in the order of the file.
//!
//! *Does not do*: read the model or a record.

mod columns;
#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use self::columns::{Column, ColumnError, Feature, Step};
use super::error::{ModelError, malformed, shown};

/// The name of the file in the model's folder.
pub const FILE: &str = "recompute.json";

/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 16 << 20;

/// Columns, outputs, labels and reasons; each.
const ITEMS_MAX: usize = 65_536;

const FORMAT_NAME: &str = "ledgerstone-recompute/v1";
const KIND: &str = "a recompute description";

/// How a model is recomputed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    format: String,
    /// The model's file, in the same folder.
    pub model: String,
    /// What makes each column of the model's row; where it is left out, the feature of each column's own name.
    #[serde(default)]
    pub columns: Option<Vec<Column>>,
    /// The type in which the model server took the features.
    pub dtype: Dtype,
    /// Recorded scores, and what they are of the model.
    #[serde(default)]
    pub scores: Vec<Score>,
    /// Recorded output tensors, and what they are of the model.
    #[serde(default)]
    pub tensors: Vec<Tensor>,
    /// What makes the label.
    #[serde(default)]
    pub label: Option<Label>,
    /// What makes the reasons.
    #[serde(default)]
    pub reasons: Option<Reasons>,
}

/// The type of a number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Dtype {
    /// 32 bits.
    #[serde(rename = "FP32")]
    F32,
    /// 64 bits.
    #[serde(rename = "FP64")]
    F64,
}

impl Dtype {
    /// Its name in the Open Inference Protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F64 => "FP64",
        }
    }
}

/// Which numbers of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Those before the objective's last step.
    Margins,
    /// What the library's `predict` gives.
    Answer,
}

/// A recorded score.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Its name in the record (`output/score/<name>`).
    pub name: String,
    /// Which numbers it is one of.
    pub of: Numbers,
    /// Its place among them, from 0.
    #[serde(default)]
    pub index: usize,
}

/// A recorded output tensor: rows, and all of these numbers in each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// Its name in the record (`output/tensor/<name>`).
    pub name: String,
    /// Which numbers it holds.
    pub of: Numbers,
    /// Their type.
    pub dtype: Dtype,
}

/// What makes the label of a row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Label {
    /// One number against a threshold.
    Threshold {
        /// Which numbers it is one of.
        of: Numbers,
        /// Its place among them, from 0.
        #[serde(default)]
        index: usize,
        /// The threshold.
        value: f64,
        /// The label of a number that is equal or above.
        above: String,
        /// The label of a number below.
        below: String,
    },
    /// The first of the largest numbers.
    Largest {
        /// Which numbers.
        of: Numbers,
        /// The label of each.
        names: Vec<String>,
    },
}

/// What makes the reasons of a row.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// Where they come from.
    pub from: ReasonSource,
    /// How many there are at most.
    pub count: usize,
    /// The code and words of a column, for contributions.
    #[serde(default)]
    pub table: Vec<ReasonWords>,
}

/// Where reasons come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReasonSource {
    /// A scorecard's points below the best.
    Points,
    /// Every contribution to one margin, in the order of the columns.
    Contributions {
        /// Which margin, from 0.
        #[serde(default)]
        margin: usize,
        /// The file in the model's folder whose rows they compare with; none for path-dependent TreeSHAP.
        #[serde(default)]
        background: Option<String>,
    },
    /// The contributions to one margin that push it down, largest first; ties in the order of the columns.
    LowestContributions {
        /// Which margin, from 0.
        #[serde(default)]
        margin: usize,
        /// The file in the model's folder whose rows they compare with; none for path-dependent TreeSHAP.
        #[serde(default)]
        background: Option<String>,
    },
    /// The contributions to one margin that push it up, largest first; ties in the order of the columns.
    HighestContributions {
        /// Which margin, from 0.
        #[serde(default)]
        margin: usize,
        /// The file in the model's folder whose rows they compare with; none for path-dependent TreeSHAP.
        #[serde(default)]
        background: Option<String>,
    },
    /// A method that draws at random, such as LIME or KernelSHAP. Nothing follows from the model, and a run says so.
    Sampled {
        /// Its name.
        method: String,
    },
}

impl ReasonSource {
    /// The file of the rows that contributions compare with.
    #[must_use]
    pub fn background(&self) -> Option<&str> {
        match self {
            Self::Points | Self::Sampled { .. } => None,
            Self::Contributions { background, .. }
            | Self::LowestContributions { background, .. }
            | Self::HighestContributions { background, .. } => background.as_deref(),
        }
    }
}

/// The words of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonWords {
    /// The model's column.
    pub feature: String,
    /// Its code.
    pub code: String,
    /// What the code says.
    #[serde(default)]
    pub text: Option<String>,
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let limit =
            |what, found, max| if found > max { Err(ModelError::Limit { what, found, max }) } else { Ok(()) };
        limit("bytes of description", bytes.len(), DESCRIPTION_BYTES_MAX)?;
        let description: Self =
            serde_json::from_slice(bytes).map_err(|error| ModelError::json(KIND, &error))?;
        if description.format != FORMAT_NAME {
            return Err(ModelError::Unsupported {
                what: format!("a description of format {}", shown(&description.format)),
                place: "format".to_owned(),
            });
        }
        limit("columns", description.columns.as_ref().map_or(0, Vec::len), ITEMS_MAX)?;
        limit("outputs", description.scores.len() + description.tensors.len(), ITEMS_MAX)?;
        if let Some(columns) = &description.columns {
            columns.iter().enumerate().try_for_each(|(place, column)| column.check(place))?;
        }
        description.check_label()?;
        Ok(description)
    }

    /// Which numbers the label hangs on.
    #[must_use]
    pub fn label_of(&self) -> Option<Numbers> {
        match &self.label {
            None => None,
            Some(Label::Threshold { of, .. } | Label::Largest { of, .. }) => Some(*of),
        }
    }

    fn check_label(&self) -> Result<(), ModelError> {
        match &self.label {
            Some(Label::Threshold { value, .. }) if !value.is_finite() => {
                Err(malformed("label.threshold.value", "a threshold is a finite number"))
            }
            Some(Label::Largest { names, .. }) if names.is_empty() || names.len() > ITEMS_MAX => {
                Err(malformed("label.largest.names", "there is one name for each number"))
            }
            _ => Ok(()),
        }
    }
}
