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
mod words;

use serde::{Deserialize, Serialize};

pub use self::columns::{Column, ColumnError, Feature, Step};
pub use self::words::{Push, WordReasons};
use super::error::{ModelError, malformed, shown};
use super::neural::sampler::Sampling;
use super::permutations::{EVALUATIONS_MAX, Permutations};

/// The name of the file in the model's folder.
pub const FILE: &str = "recompute.json";

/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 16 << 20;

/// Columns, outputs, labels and reasons; each.
pub const ITEMS_MAX: usize = 65_536;

/// Words that make labels of an answer.
const WORDS_MAX: usize = 1024;

/// Tokens of an answer, as `docs/spec/generation.md` bounds them.
const TOKENS_MAX: usize = 4096;

const FORMAT_NAME: &str = "ledgerstone-recompute/v1";
const KIND: &str = "a recompute description";

/// How a model is recomputed.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// What the model is given.
    pub input: Input,
    /// Recorded scores, and what they are of the model.
    pub scores: Vec<Score>,
    /// Recorded output tensors, and what they are of the model.
    pub tensors: Vec<Tensor>,
    /// What makes the label.
    pub label: Option<Label>,
    /// What makes the reasons.
    pub reasons: Option<Reasons>,
}

/// What a model is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Numbers, for a model in one file.
    Row {
        /// The model's file, in the same folder.
        model: String,
        /// What makes each column of the model's row; where it is left out, the feature of each column's own name.
        columns: Option<Vec<Column>>,
        /// The type in which the model server took the features.
        dtype: Dtype,
    },
    /// A text, for the text model that the folder is.
    Text {
        /// The feature that is the text.
        feature: String,
    },
    /// A prompt, for a language model.
    Prompt {
        /// The model's file, in the same folder; none where the folder is the model.
        model: Option<String>,
        /// What is asked, and where the answer stands.
        prompt: Prompt,
    },
}

/// What a language model is asked, and where its answer stands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The feature that is the prompt.
    pub feature: String,
    /// Tokens of an answer at most.
    pub tokens_max: usize,
    /// What logits are divided by; 0 takes the greatest.
    pub temperature: f64,
    /// The share of the likeliest tokens that is drawn from.
    pub top_p: f64,
    /// What the draws follow from.
    pub seed: u64,
    /// The output tensor of the answer's tokens.
    pub tokens: String,
    /// The output tensor of their logits.
    pub logits: String,
    /// The output tensor of the answer as text, where there is one.
    #[serde(default)]
    pub text: Option<String>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    columns: Option<Vec<Column>>,
    #[serde(default)]
    dtype: Option<Dtype>,
    #[serde(default)]
    text: Option<Text>,
    #[serde(default)]
    prompt: Option<Prompt>,
    #[serde(default)]
    scores: Vec<Score>,
    #[serde(default)]
    tensors: Vec<Tensor>,
    #[serde(default)]
    label: Option<Label>,
    #[serde(default)]
    reasons: Option<Reasons>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    feature: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Those before the objective's last step; of a text model the logits.
    Margins,
    /// What the library's `predict` gives; of a text model the probabilities.
    Answer,
    /// Of a text model, what its classifier sees, or the embedding.
    Vector,
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
    /// The first of some words in a language model's answer.
    Words {
        /// The words, each its own label. The one that stands first in the answer counts, whatever its case.
        names: Vec<String>,
        /// The label of an answer with none of them.
        otherwise: String,
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
    Contributions(Contributed),
    /// The contributions to one margin that push it down, largest first; ties in the order of the columns.
    LowestContributions(Contributed),
    /// The contributions to one margin that push it up, largest first; ties in the order of the columns.
    HighestContributions(Contributed),
    /// The words of a text that push a number of a text model most, by integrated gradients; ties in the order of the text.
    IntegratedGradients(WordReasons),
    /// A method that draws at random without a recorded seed, such as LIME or KernelSHAP. Nothing follows from the model, and a run says so.
    Sampled {
        /// Its name.
        method: String,
    },
}

/// Which contributions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contributed {
    /// Which margin, from 0.
    #[serde(default)]
    pub margin: usize,
    /// The file in the model's folder whose rows they compare with; none for path-dependent TreeSHAP.
    #[serde(default)]
    pub background: Option<String>,
    /// How orders of features are drawn; none where all of them count.
    #[serde(default)]
    pub permutations: Option<Permutations>,
}

impl ReasonSource {
    /// Which contributions they are, if they are some.
    #[must_use]
    pub fn contributed(&self) -> Option<&Contributed> {
        match self {
            Self::Points | Self::IntegratedGradients(_) | Self::Sampled { .. } => None,
            Self::Contributions(of) | Self::LowestContributions(of) | Self::HighestContributions(of) => {
                Some(of)
            }
        }
    }
}

/// The words of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonWords {
    /// The model's column; of a text, a word, whatever its case.
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
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| ModelError::json(KIND, &error))?;
        if written.format != FORMAT_NAME {
            return Err(ModelError::Unsupported {
                what: format!("a description of format {}", shown(&written.format)),
                place: "format".to_owned(),
            });
        }
        limit("columns", written.columns.as_ref().map_or(0, Vec::len), ITEMS_MAX)?;
        limit("outputs", written.scores.len() + written.tensors.len(), ITEMS_MAX)?;
        if let Some(columns) = &written.columns {
            columns.iter().enumerate().try_for_each(|(place, column)| column.check(place))?;
        }
        let Written { model, columns, dtype, text, prompt, scores, tensors, label, reasons, .. } = written;
        let input = match (model, dtype, text, prompt, columns) {
            (Some(model), Some(dtype), None, None, columns) => Input::Row { model, columns, dtype },
            (None, None, Some(Text { feature }), None, None) => Input::Text { feature },
            (model, None, None, Some(prompt), None) => Input::Prompt { model, prompt },
            _ => {
                return Err(malformed(
                    "the file",
                    "has either model and dtype, and perhaps columns; or text; or prompt, and perhaps model",
                ));
            }
        };
        let description = Self { input, scores, tensors, label, reasons };
        description.check_label()?;
        description.check_input()?;
        Ok(description)
    }

    /// Which numbers the label hangs on.
    #[must_use]
    pub fn label_of(&self) -> Option<Numbers> {
        match &self.label {
            None | Some(Label::Words { .. }) => None,
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
            Some(Label::Words { names, .. })
                if names.is_empty() || names.len() > WORDS_MAX || names.iter().any(String::is_empty) =>
            {
                Err(malformed("label.words.names", "there are 1 to 1,024 words, none of them empty"))
            }
            _ => Ok(()),
        }
    }

    /// That nothing is asked for which such an input does not give.
    fn check_input(&self) -> Result<(), ModelError> {
        let is_answer = matches!(self.label, Some(Label::Words { .. }));
        self.check_reasons()?;
        let Input::Prompt { prompt, .. } = &self.input else {
            return if is_answer {
                Err(malformed("label.words", "is for a language model's answer"))
            } else {
                Ok(())
            };
        };
        if !self.scores.is_empty() || !self.tensors.is_empty() || self.label.is_some() && !is_answer {
            return Err(malformed(
                "the file",
                "of a language model names tensors in prompt, no scores, and a label of words",
            ));
        }
        if prompt.tokens_max == 0 || prompt.tokens_max > TOKENS_MAX || !prompt.sampling().is_sound() {
            return Err(malformed(
                "prompt",
                "has 1 to 4,096 tokens, a temperature of 0 to 100 and a top_p above 0 and not above 1",
            ));
        }
        Ok(())
    }

    /// That the reasons are of a kind that the input has.
    fn check_reasons(&self) -> Result<(), ModelError> {
        if let Some(Contributed { background, permutations: Some(drawn), .. }) =
            self.reasons.as_ref().and_then(|reasons| reasons.from.contributed())
            && (background.is_none() || !(1..=EVALUATIONS_MAX).contains(&drawn.evaluations))
        {
            return Err(malformed(
                "reasons.from",
                "has permutations, which need a background and 1 to 1,048,576 evaluations",
            ));
        }
        match (&self.input, self.reasons.as_ref().map(|reasons| &reasons.from)) {
            (_, None) => Ok(()),
            (Input::Text { .. }, Some(ReasonSource::IntegratedGradients(words))) => words.check(),
            (Input::Text { .. }, Some(ReasonSource::Sampled { .. })) => Ok(()),
            (Input::Row { .. }, Some(ReasonSource::IntegratedGradients(_))) => {
                Err(malformed("reasons.from", "has integrated_gradients, which are of a text"))
            }
            (Input::Row { .. }, Some(_)) => Ok(()),
            (Input::Text { .. }, Some(_)) => {
                Err(malformed("reasons.from", "of a text model is integrated_gradients or sampled"))
            }
            (Input::Prompt { .. }, Some(_)) => {
                Err(malformed("reasons", "are recomputed of models that take rows of numbers or a text"))
            }
        }
    }
}

impl Prompt {
    /// How tokens are chosen.
    #[must_use]
    pub const fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, seed: self.seed }
    }
}

impl Label {
    /// The label of a language model's answer; none for another kind of label.
    #[must_use]
    pub fn of_answer(&self, answer: &str) -> Option<&str> {
        let Self::Words { names, otherwise } = self else { return None };
        let answer = answer.to_lowercase();
        let found = names.iter().filter_map(|name| Some((answer.find(&name.to_lowercase())?, name)));
        // The place first; of two words at one place the one that is named first.
        Some(found.min_by_key(|(place, _)| *place).map_or(otherwise, |(_, name)| name))
    }
}
