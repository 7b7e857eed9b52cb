//! A model of any known format: what a command or an audit needs of it, whatever library trained it.
//!
//! *Guarantees*: a row is `f64` values, each of which a format that computes in `f32` rounds once, as its library does with such
//! input; every number of an answer is the library's, widened to `f64` without loss.
//!
//! *Does not do*: arithmetic of its own.

use serde::Serialize;

use super::error::{ModelError, RowError};
use super::interventional::Background;
use super::permutations::{self, Permutations};
use super::scorecard::{Reason, Scorecard};
use super::{Texts, catboost, lightgbm, onnx, xgboost};

/// Bytes of a model file of any format.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

const _: () =
    assert!(MODEL_BYTES_MAX == xgboost::MODEL_BYTES_MAX && MODEL_BYTES_MAX == lightgbm::MODEL_BYTES_MAX);
const _: () = assert!(MODEL_BYTES_MAX == onnx::MODEL_BYTES_MAX);

const CATBOOST_UNEXPLAINED: &str = "CatBoost's method of computing them is not reproduced";
const ONNX_UNEXPLAINED: &str = "ONNX defines none";
const NOT_AGAINST: &str = "they are recomputed for XGBoost and LightGBM";
const NEAR: &str = "the margins only come near, and so would the contributions";
const TAKES_TEXTS: &str = "the model takes texts";

/// A model file that was read and checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Model {
    /// XGBoost, JSON or UBJSON.
    XgBoost(xgboost::Model),
    /// LightGBM text.
    LightGbm(lightgbm::Model),
    /// CatBoost JSON.
    CatBoost(catboost::Model),
    /// A scorecard or linear model of Ledgerstone's own format.
    Scorecard(Scorecard),
    /// An ONNX graph.
    Onnx(onnx::Model),
}

/// What contributions compare a row with, and how.
#[derive(Clone, Debug)]
pub enum Against {
    /// Every order in which features can come, by the trees' own structure: interventional TreeSHAP.
    Orders(Background),
    /// Some orders, drawn at random from a seed, of any model.
    Permutations {
        /// Rows one after the other.
        rows: Vec<f64>,
        /// How the orders are drawn.
        drawn: Permutations,
    },
}

/// What a model says of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The numbers before the objective's last step, one an output. Compare these.
    pub margins: Vec<f64>,
    /// What the library's `predict` gives.
    pub answer: Vec<f64>,
}

/// The type in which a model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

/// How near numbers come that do not have the library's bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tolerance {
    /// The greatest difference from the library that its other order of additions explains, as a share of the greatest number of the
    /// same answer, or of 1 if that is greater.
    pub relative: f64,
    /// The operations of the model that only come near.
    pub operations: Vec<String>,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct About {
    /// Format and library, such as `XGBoost 3.2, gbtree`.
    pub kind: String,
    /// The objective's name in the library.
    pub objective: String,
    /// What one number of an answer is.
    pub answer: &'static str,
    /// Margins of a row.
    pub margins: usize,
    /// Numbers of an answer.
    pub answers: usize,
    /// Trees; none in a linear model.
    pub trees: usize,
    /// Columns of a row.
    pub features: usize,
    /// The columns' names in the order of a row; empty if the file has none.
    pub feature_names: Vec<String>,
    /// The columns that take texts, from 0 and in their order; none in most models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text_columns: Vec<usize>,
    /// The type in which the library computes.
    pub precision: Precision,
    /// The function of the platform's mathematics library behind the answer, if any. The margins need none.
    pub libm: Option<&'static str>,
    /// How near the margins come; none where they have the library's bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margins_within: Option<Tolerance>,
    /// How near the answers come; none where they have the library's bits, within one mathematics library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers_within: Option<Tolerance>,
    /// Why contributions are not recomputed; none where they are.
    pub contributions: Option<&'static str>,
    /// Why contributions against a background are not recomputed; none where they are.
    pub interventional: Option<&'static str>,
}

impl Model {
    /// Reads a model file of any known format, told by its first bytes.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
        match bytes.get(start..) {
            Some([0x80, 2..=5, ..]) => Err(ModelError::Program { what: "a Python pickle" }),
            Some([b'P', b'K', 3, 4, ..]) => Err(ModelError::Program {
                what: "a zip file, in which PyTorch and Keras keep pickles and code",
            }),
            _ if onnx::Model::is_start(bytes) => onnx::Model::parse(bytes).map(Self::Onnx),
            Some([b'{', rest @ ..]) => match first_key(rest) {
                Some(b"format") => Scorecard::parse(bytes).map(Self::Scorecard),
                Some(b"learner" | b"version") => xgboost::Model::parse(bytes).map(Self::XgBoost),
                Some(
                    b"features_info" | b"ctr_data" | b"ctrs" | b"model_info" | b"oblivious_trees"
                    | b"scale_and_bias" | b"trees",
                ) => catboost::Model::parse(bytes).map(Self::CatBoost),
                // UBJSON has a length where JSON has a quote.
                None if matches!(rest, [b'L' | b'i' | b'U' | b'I' | b'l', ..]) => {
                    xgboost::Model::parse(bytes).map(Self::XgBoost)
                }
                _ => Err(ModelError::Unrecognised),
            },
            Some([b'b', b'i', b'n', b'f', ..]) => xgboost::Model::parse(bytes).map(Self::XgBoost),
            Some([b't', b'r', b'e', b'e', b'\n' | b'\r', ..]) => {
                lightgbm::Model::parse(bytes).map(Self::LightGbm)
            }
            _ => Err(ModelError::Unrecognised),
        }
    }

    /// What the model says of a row. `NAN` stands for a missing value.
    ///
    /// # Errors
    /// [`RowError`] if the row is none of this model's.
    pub fn score(&self, row: &[f64]) -> Result<Score, RowError> {
        self.score_with(row, Texts::none())
    }

    /// What the model says of a row of which some columns ([`About::text_columns`]) stand for texts.
    ///
    /// # Errors
    /// As [`Model::score`]; a column that takes a text has none.
    pub fn score_with(&self, row: &[f64], texts: &Texts) -> Result<Score, RowError> {
        match self {
            Self::XgBoost(model) => {
                let margins = model.margins(&narrow(row))?;
                Ok(Score { answer: widen(&model.answer(&margins)), margins: widen(&margins) })
            }
            Self::LightGbm(model) => {
                let margins = model.margins(row)?;
                Ok(Score { answer: model.answer(&margins), margins })
            }
            Self::CatBoost(model) => {
                let margins = model.margins(row)?;
                Ok(Score { answer: margins.clone(), margins })
            }
            Self::Scorecard(card) => {
                let score = card.score(row)?;
                Ok(Score { margins: vec![score], answer: vec![card.answer(score)] })
            }
            Self::Onnx(model) => {
                let numbers = model.numbers_with(row, texts)?;
                Ok(Score { margins: numbers.margins, answer: numbers.answer })
            }
        }
    }

    /// What the library's `predict` makes of a row's margins; none where the answer is not made of the margins alone, as in ONNX graphs.
    #[must_use]
    pub fn answer(&self, margins: &[f64]) -> Option<Vec<f64>> {
        match self {
            Self::XgBoost(model) => Some(widen(&model.answer(&narrow(margins)))),
            Self::LightGbm(model) => Some(model.answer(margins)),
            Self::CatBoost(_) => Some(margins.to_vec()),
            Self::Scorecard(card) => margins.first().map(|score| vec![card.answer(*score)]),
            Self::Onnx(_) => None,
        }
    }

    /// The classes and other labels that the model itself gives a row beside its numbers; none in most formats.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn labels(&self, row: &[f64]) -> Result<Vec<String>, RowError> {
        self.labels_with(row, Texts::none())
    }

    /// The same of a row of which some columns stand for texts.
    ///
    /// # Errors
    /// As [`Model::score_with`].
    pub fn labels_with(&self, row: &[f64], texts: &Texts) -> Result<Vec<String>, RowError> {
        match self {
            Self::Onnx(model) => Ok(model.numbers_with(row, texts)?.labels),
            _ => Ok(Vec::new()),
        }
    }

    /// The margins of many rows, one after the other in `rows` and in the answer, computed by `threads` threads; the same bits
    /// as [`Model::score`].
    ///
    /// # Errors
    /// As [`Model::score`], for one of the rows that are refused.
    pub fn margins_of_rows(&self, rows: &[f64], threads: usize) -> Result<Vec<f64>, RowError> {
        let columns = self.about().features.max(1);
        if !rows.len().is_multiple_of(columns) {
            return Err(RowError::Length { expected: columns, found: rows.len() % columns });
        }
        let share = (rows.len() / columns).div_ceil(threads.max(1)).max(1) * columns;
        let parts: Vec<&[f64]> = rows.chunks(share).collect();
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                parts.iter().map(|part| scope.spawn(|| self.margins_of_part(part, columns))).collect();
            let mut margins = Vec::new();
            for worker in workers {
                match worker.join() {
                    Ok(part) => margins.extend(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(margins)
        })
    }

    fn margins_of_part(&self, rows: &[f64], columns: usize) -> Result<Vec<f64>, RowError> {
        match self {
            Self::XgBoost(model) => Ok(widen(&model.margins_of_rows(&narrow(rows))?)),
            Self::LightGbm(model) => model.margins_of_rows(rows),
            Self::Onnx(model) => model.margins_of_rows(rows),
            _ => {
                let scores: Result<Vec<Score>, RowError> =
                    rows.chunks(columns).map(|row| self.score(row)).collect();
                Ok(scores?.into_iter().flat_map(|score| score.margins).collect())
            }
        }
    }

    /// For each margin one contribution a feature and then the part that is the same for every row.
    ///
    /// # Errors
    /// [`RowError`] if the row is none of this model's, or the library defines no contributions that are known here.
    pub fn contributions(&self, row: &[f64]) -> Result<Vec<Vec<f64>>, RowError> {
        match self {
            Self::XgBoost(model) => {
                Ok(model.contributions(&narrow(row))?.iter().map(|output| widen(output)).collect())
            }
            Self::LightGbm(model) => model.contributions(row),
            Self::CatBoost(_) => Err(RowError::Contributions { problem: CATBOOST_UNEXPLAINED }),
            Self::Scorecard(card) => Ok(vec![card.contributions(row)?]),
            Self::Onnx(_) => Err(RowError::Contributions { problem: ONNX_UNEXPLAINED }),
        }
    }

    /// Rows of this model that contributions compare with, one after the other; `drawn` says how orders of features are drawn, or
    /// that all of them count.
    ///
    /// # Errors
    /// [`RowError`] if a row is none of this model's, there are none or too many, or the model's contributions are not recomputed so.
    pub fn against(&self, rows: &[f64], drawn: Option<Permutations>) -> Result<Against, RowError> {
        match (self, drawn) {
            (_, Some(drawn)) => {
                let About { features, margins_within, text_columns, .. } = self.about();
                if margins_within.is_some() {
                    return Err(RowError::Contributions { problem: NEAR });
                }
                if !text_columns.is_empty() {
                    return Err(RowError::Contributions { problem: TAKES_TEXTS });
                }
                if rows.len().checked_rem(features) != Some(0) {
                    return Err(RowError::Length { expected: features, found: rows.len() });
                }
                Ok(Against::Permutations { rows: rows.to_vec(), drawn })
            }
            (Self::XgBoost(model), None) => model.background(&narrow(rows)).map(Against::Orders),
            (Self::LightGbm(model), None) => model.background(rows).map(Against::Orders),
            _ => Err(RowError::Contributions { problem: NOT_AGAINST }),
        }
    }

    /// For each margin one contribution a feature, against rows of this model, and then their mean margin: as shap's interventional
    /// TreeSHAP computes it, or its permutation sampling.
    ///
    /// # Errors
    /// [`RowError`] if the row is none of this model's, or shap would not explain this model so.
    pub fn contributions_against(&self, row: &[f64], against: &Against) -> Result<Vec<Vec<f64>>, RowError> {
        match (self, against) {
            (Self::XgBoost(model), Against::Orders(rows)) => model.contributions_against(&narrow(row), rows),
            (Self::LightGbm(model), Against::Orders(rows)) => model.contributions_against(row, rows),
            (_, Against::Orders(_)) => Err(RowError::Contributions { problem: NOT_AGAINST }),
            (_, Against::Permutations { rows, drawn }) => {
                let About { features, margins, .. } = self.about();
                if row.len() != features {
                    return Err(RowError::Length { expected: features, found: row.len() });
                }
                let of = |row: &[f64]| self.margins_of_part(row, features);
                permutations::contributions(row, rows, margins, *drawn, of)
            }
        }
    }

    /// Why the answer is not better for the person, worst first, at most `count`: the features of a scorecard that cost most.
    ///
    /// # Errors
    /// [`RowError`] if the row is none of this model's, or the model is no scorecard.
    pub fn reasons(&self, row: &[f64], count: usize) -> Result<Vec<Reason>, RowError> {
        match self {
            Self::Scorecard(card) => card.reasons(row, count),
            _ => Err(RowError::NoReasons),
        }
    }

    /// What the model is.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::XgBoost(model) => about_xgboost(model),
            Self::LightGbm(model) => about_lightgbm(model),
            Self::CatBoost(model) => about_catboost(model),
            Self::Scorecard(card) => about_scorecard(card),
            Self::Onnx(model) => about_onnx(model),
        }
    }
}

fn about_xgboost(model: &xgboost::Model) -> About {
    let (major, minor) = model.version();
    let objective = model.objective();
    let margins = vec![0.0; model.margin_count()];
    About {
        kind: format!("XGBoost {major}.{minor}, {}", model.booster_name()),
        objective: model.objective_name().to_owned(),
        answer: objective.answer(),
        margins: margins.len(),
        answers: model.answer(&margins).len(),
        trees: model.tree_count(),
        features: model.feature_count(),
        feature_names: model.feature_names().to_vec(),
        text_columns: Vec::new(),
        precision: Precision::F32,
        libm: objective.libm(),
        margins_within: None,
        answers_within: None,
        contributions: model.unexplained(),
        interventional: model.unexplained_against(),
    }
}

fn about_lightgbm(model: &lightgbm::Model) -> About {
    let objective = model.objective();
    About {
        kind: format!("LightGBM text {}", model.version()),
        objective: model.objective_name().to_owned(),
        answer: objective.answer(),
        margins: model.margin_count(),
        answers: model.margin_count(),
        trees: model.tree_count(),
        features: model.feature_count(),
        feature_names: given_names(model.feature_names()),
        text_columns: Vec::new(),
        precision: Precision::F64,
        libm: objective.libm(),
        margins_within: None,
        answers_within: None,
        contributions: model.unexplained(),
        interventional: model.unexplained_against(),
    }
}

fn about_catboost(model: &catboost::Model) -> About {
    About {
        kind: "CatBoost JSON".to_owned(),
        objective: model.loss().to_owned(),
        answer: "raw value",
        margins: model.margin_count(),
        answers: model.margin_count(),
        trees: model.tree_count(),
        features: model.feature_count(),
        feature_names: model.feature_names().to_vec(),
        text_columns: Vec::new(),
        precision: Precision::F64,
        libm: None,
        margins_within: None,
        answers_within: None,
        contributions: Some(CATBOOST_UNEXPLAINED),
        interventional: Some(NOT_AGAINST),
    }
}

fn about_scorecard(card: &Scorecard) -> About {
    About {
        kind: "Ledgerstone scorecard v1".to_owned(),
        objective: card.name().to_owned(),
        answer: if card.libm().is_some() { "probability" } else { "score" },
        margins: 1,
        answers: 1,
        trees: 0,
        features: card.feature_names().len(),
        feature_names: card.feature_names().to_vec(),
        text_columns: Vec::new(),
        precision: Precision::F64,
        libm: card.libm(),
        margins_within: None,
        answers_within: None,
        contributions: None,
        interventional: Some(NOT_AGAINST),
    }
}

fn about_onnx(model: &onnx::Model) -> About {
    let within = |operations: &[String]| {
        let near = || Tolerance { relative: onnx::near(operations), operations: operations.to_vec() };
        (!operations.is_empty()).then(near)
    };
    About {
        kind: format!("ONNX of {}, made by {}", model.operation_sets(), model.producer()),
        objective: model.purpose(),
        answer: "outputs of the graph",
        margins: model.margin_count(),
        answers: model.answer_count(),
        trees: model.tree_count(),
        features: model.feature_count(),
        feature_names: model.feature_names().to_vec(),
        text_columns: model.text_columns(),
        precision: if model.is_double() { Precision::F64 } else { Precision::F32 },
        libm: model.libm(),
        margins_within: within(model.near_operations_of_margins()),
        answers_within: within(model.near_operations()),
        contributions: Some(ONNX_UNEXPLAINED),
        interventional: Some(NOT_AGAINST),
    }
}

/// The first key of a JSON object whose brace was read, if it has no escapes.
fn first_key(rest: &[u8]) -> Option<&[u8]> {
    let mut parts = rest.trim_ascii_start().strip_prefix(b"\"")?.splitn(2, |byte| *byte == b'"');
    parts.next().filter(|_| parts.next().is_some())
}

/// Names that the user gave; LightGBM writes `Column_0`, `Column_1` and so on where there were none.
fn given_names(names: &[String]) -> Vec<String> {
    let automatic = names.iter().enumerate().all(|(place, name)| *name == format!("Column_{place}"));
    if automatic { Vec::new() } else { names.to_vec() }
}

#[expect(clippy::cast_possible_truncation, reason = "the library rounds its input to f32, too")]
fn narrow(row: &[f64]) -> Vec<f32> {
    row.iter().map(|value| *value as f32).collect()
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
