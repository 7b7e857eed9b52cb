//! CatBoost models, from the JSON file that `save_model("model.json", format="json")` writes.
//!
//! *Guarantees*: [`Model::margins`] equals `predict(prediction_type="RawFormulaVal")` of the model that wrote the file, bit for bit, for
//! symmetric trees with numeric features and with categories that are split one by one (`one_hot_max_size`). Values are
//! compared in `f32`, leaves are summed in `f64` from zero in the trees' order, then scaled and shifted. (CatBoost's own reader of
//! JSON rounds some leaves to a neighbouring number, so that a model it read back can differ in the last bit.)
//!
//! *Does not do*: statistics of categories (CTR), trees that are not symmetric, text and embeddings, each refused as
//! [`ModelError::Unsupported`]; probabilities and contributions, which the library computes with approximations of its own.

mod city;
#[cfg(feature = "neural")]
mod table;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub use super::error::{ModelError, RowError};

use super::error::{malformed, shown, unsupported};

/// Bytes of a model file.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

/// Splits of a tree; the library's own bound.
const DEPTH_MAX: usize = 16;

/// A model that was read and checked.
#[derive(Clone, Debug)]
pub struct Model {
    loss: String,
    columns: Vec<Column>,
    feature_names: Vec<String>,
    trees: Vec<Tree>,
    /// Margins of a row.
    outputs: usize,
    scale: f64,
    bias: Vec<f64>,
}

/// What a column of a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Number,
    /// A number whose missing values are above every border.
    NumberMissingAbove,
    /// A whole number that names a category.
    Category,
}

#[derive(Clone, Debug)]
struct Tree {
    splits: Vec<Split>,
    /// The outputs of each leaf together; bit *n* of a leaf's number says that split *n* holds.
    leaves: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Split {
    Above { column: usize, border: f32, missing: bool },
    Is { column: usize, hash: u32 },
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: MODEL_BYTES_MAX });
        }
        let file: FileJson =
            serde_json::from_slice(bytes).map_err(|error| ModelError::json("CatBoost JSON", &error))?;
        if file.ctr_data.is_some() {
            return Err(unsupported("a model that uses statistics of categories", "ctr_data"));
        }
        let Some(trees_json) = &file.oblivious_trees else {
            return Err(unsupported("a model whose trees are not symmetric", "oblivious_trees"));
        };
        let (columns, feature_names) = columns_of(&file.features_info)?;
        let (scale, bias) = &file.scale_and_bias;
        let outputs = bias.len();
        if outputs == 0 {
            return Err(malformed("scale_and_bias[1]", "is empty"));
        }
        let mut trees = Vec::with_capacity(trees_json.len());
        for (number, tree) in trees_json.iter().enumerate() {
            trees.push(tree_of(tree, number, &file.features_info, &columns, outputs)?);
        }
        Ok(Self {
            loss: shown(&file.model_info.params.loss_function.name),
            columns,
            feature_names,
            trees,
            outputs,
            scale: *scale,
            bias: bias.clone(),
        })
    }

    /// The margins of a row, one an output. `NAN` stands for a missing number.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model, or a category that is no whole number.
    pub fn margins(&self, row: &[f64]) -> Result<Vec<f64>, RowError> {
        let (numbers, hashes) = self.row(row)?;
        let mut margins = vec![0.0; self.outputs];
        for tree in &self.trees {
            let leaf = tree.leaf(&numbers, &hashes) * self.outputs;
            for (margin, value) in margins.iter_mut().zip(tree.leaves.iter().skip(leaf)) {
                *margin += value;
            }
        }
        for (output, margin) in margins.iter_mut().enumerate() {
            *margin = self.scaled(*margin, output);
        }
        Ok(margins)
    }

    /// The margin that a sum of leaves is.
    pub(super) fn scaled(&self, sum: f64, output: usize) -> f64 {
        sum * self.scale + self.bias.get(output).copied().unwrap_or_default()
    }

    /// The loss function's name in the library; empty if the file does not say.
    #[must_use]
    pub fn loss(&self) -> &str {
        &self.loss
    }

    /// Margins of a row.
    #[must_use]
    pub fn margin_count(&self) -> usize {
        self.outputs
    }

    /// Columns of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.columns.len()
    }

    /// The columns' names, in the order of a row; empty if the model was trained without names.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Trees, each of which adds one leaf to every output.
    #[must_use]
    pub fn tree_count(&self) -> usize {
        self.trees.len()
    }

    /// A row as numbers, and as hashes of its categories (zero where a column is a number).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the library rounds numbers to f32; a category was checked to be whole"
    )]
    fn row(&self, row: &[f64]) -> Result<(Vec<f32>, Vec<u32>), RowError> {
        if row.len() != self.columns.len() {
            return Err(RowError::Length { expected: self.columns.len(), found: row.len() });
        }
        let mut hashes = vec![0; row.len()];
        for (feature, ((value, column), hash)) in row.iter().zip(&self.columns).zip(&mut hashes).enumerate() {
            if *column == Column::Category {
                let is_code = value.fract() == 0.0 && value.abs() < city::CODE_END;
                let problem = "a category is given as its whole number, at most 9 digits";
                *hash = if is_code {
                    city::category(*value as i64)
                } else {
                    return Err(RowError::Value { feature, problem });
                };
            }
        }
        Ok((row.iter().map(|value| *value as f32).collect(), hashes))
    }
}

impl Tree {
    fn leaf(&self, numbers: &[f32], hashes: &[u32]) -> usize {
        let holds = |split: &Split| match *split {
            Split::Above { column, border, missing } => {
                let value = numbers.get(column).copied().unwrap_or(f32::NAN);
                value > border || (missing && value.is_nan())
            }
            Split::Is { column, hash } => hashes.get(column) == Some(&hash),
        };
        self.splits.iter().enumerate().fold(0, |leaf, (bit, split)| leaf | usize::from(holds(split)) << bit)
    }
}

/// What each column of a row is, and the names where every column has one.
fn columns_of(info: &FeaturesJson) -> Result<(Vec<Column>, Vec<String>), ModelError> {
    if info.text_features.is_some() || info.embedding_features.is_some() {
        return Err(unsupported("a model that reads texts or embeddings", "features_info"));
    }
    let count = info.float_features.len() + info.categorical_features.len();
    let mut found: Vec<Option<(Column, &str)>> = vec![None; count];
    let mut put = |flat: usize, column, name, place: String| match found.get_mut(flat) {
        Some(slot @ None) => {
            *slot = Some((column, name));
            Ok(())
        }
        _ => Err(malformed(
            format!("{place}.flat_feature_index"),
            "names a column that another feature has, or none",
        )),
    };
    for (number, feature) in info.float_features.iter().enumerate() {
        let place = format!("features_info.float_features[{number}]");
        let column = match feature.nan_value_treatment.as_str() {
            "AsIs" | "AsFalse" => Column::Number,
            "AsTrue" => Column::NumberMissingAbove,
            other => {
                return Err(unsupported(format!("the treatment of missing values {}", shown(other)), place));
            }
        };
        if feature.feature_index != number {
            return Err(malformed(
                format!("{place}.feature_index"),
                "is not the feature's place in the list",
            ));
        }
        put(feature.flat_feature_index, column, &feature.feature_id, place)?;
    }
    for (number, feature) in info.categorical_features.iter().enumerate() {
        let place = format!("features_info.categorical_features[{number}]");
        if feature.feature_index != number {
            return Err(malformed(
                format!("{place}.feature_index"),
                "is not the feature's place in the list",
            ));
        }
        put(feature.flat_feature_index, Column::Category, &feature.feature_id, place)?;
    }
    let known: Vec<(Column, &str)> = found.into_iter().flatten().collect();
    let automatic = known.iter().enumerate().all(|(place, (_, name))| *name == place.to_string());
    let given = !automatic && known.iter().all(|(_, name)| !name.is_empty());
    let names = if given { known.iter().map(|(_, name)| (*name).to_owned()).collect() } else { Vec::new() };
    Ok((known.into_iter().map(|(column, _)| column).collect(), names))
}

fn tree_of(
    tree: &TreeJson,
    number: usize,
    info: &FeaturesJson,
    columns: &[Column],
    outputs: usize,
) -> Result<Tree, ModelError> {
    let place = |part: &str| format!("oblivious_trees[{number}].{part}");
    let depth = tree.splits.len();
    if depth > DEPTH_MAX {
        return Err(ModelError::Limit { what: "splits of a tree", found: depth, max: DEPTH_MAX });
    }
    if (1_usize << depth).checked_mul(outputs) != Some(tree.leaf_values.len()) {
        return Err(malformed(place("leaf_values"), "has another length than splits and outputs give"));
    }
    let mut splits = Vec::with_capacity(depth);
    for (bit, split) in tree.splits.iter().enumerate() {
        let place = || place(&format!("splits[{bit}]"));
        let lacking = || malformed(place(), "names a feature that the model does not have");
        splits.push(match (split.split_type.as_str(), split.border, split.value) {
            ("FloatFeature", Some(border), _) => {
                let feature = split.float_feature_index.and_then(|at| info.float_features.get(at));
                let column = feature.ok_or_else(lacking)?.flat_feature_index;
                let missing = columns.get(column) == Some(&Column::NumberMissingAbove);
                Split::Above { column, border, missing }
            }
            ("OneHotFeature", _, Some(value)) => {
                let feature = split.cat_feature_index.and_then(|at| info.categorical_features.get(at));
                let column = feature.ok_or_else(lacking)?.flat_feature_index;
                // The hash's 32 bits, written with a sign.
                let hash = i32::try_from(value).map(i32::cast_unsigned).or_else(|_| u32::try_from(value));
                Split::Is {
                    column,
                    hash: hash.map_err(|_| malformed(place(), "holds no hash of a category"))?,
                }
            }
            ("FloatFeature" | "OneHotFeature", ..) => {
                return Err(malformed(place(), "lacks its border or value"));
            }
            (other, ..) => return Err(unsupported(format!("a split of the type {}", shown(other)), place())),
        });
    }
    Ok(Tree { splits, leaves: tree.leaf_values.clone() })
}

#[derive(Deserialize)]
struct FileJson {
    features_info: FeaturesJson,
    #[serde(default)]
    model_info: InfoJson,
    oblivious_trees: Option<Vec<TreeJson>>,
    scale_and_bias: (f64, Vec<f64>),
    /// Statistics of categories.
    #[serde(alias = "ctrs")]
    ctr_data: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct FeaturesJson {
    #[serde(default)]
    float_features: Vec<FloatFeatureJson>,
    #[serde(default)]
    categorical_features: Vec<CategoryFeatureJson>,
    text_features: Option<IgnoredAny>,
    embedding_features: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct FloatFeatureJson {
    feature_index: usize,
    flat_feature_index: usize,
    #[serde(default)]
    feature_id: String,
    nan_value_treatment: String,
}

#[derive(Deserialize)]
struct CategoryFeatureJson {
    feature_index: usize,
    flat_feature_index: usize,
    #[serde(default)]
    feature_id: String,
}

#[derive(Deserialize)]
struct TreeJson {
    splits: Vec<SplitJson>,
    leaf_values: Vec<f64>,
}

#[derive(Deserialize)]
struct SplitJson {
    split_type: String,
    border: Option<f32>,
    float_feature_index: Option<usize>,
    cat_feature_index: Option<usize>,
    value: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InfoJson {
    params: ParamsJson,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ParamsJson {
    loss_function: LossJson,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LossJson {
    #[serde(rename = "type")]
    name: String,
}

#[cfg(test)]
mod tests;
