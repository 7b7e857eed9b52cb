//! The parts of a model file that scoring and explaining need, as the library names them.
//!
//! *Guarantees*: numbers go from text to `f32` in one rounding; counts that stand in the file as text are read as counts.
//!
//! *Does not do*: check what the numbers say; `file` and `tree` do. Fields that neither needs (gains, parents, settings of
//! the training) are passed over.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

#[derive(Deserialize)]
pub(super) struct FileJson {
    pub(super) learner: LearnerJson,
    pub(super) version: Vec<u64>,
}

#[derive(Deserialize)]
pub(super) struct LearnerJson {
    #[serde(default)]
    pub(super) attributes: AttributesJson,
    #[serde(default)]
    pub(super) feature_names: Vec<String>,
    pub(super) gradient_booster: BoosterJson,
    pub(super) learner_model_param: LearnerParamJson,
    pub(super) objective: ObjectiveJson,
}

#[derive(Deserialize, Default)]
pub(super) struct AttributesJson {
    pub(super) best_iteration: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ObjectiveJson {
    pub(super) name: String,
}

/// Counts stand in the file as text. Those that an older version does not write are zero.
#[derive(Deserialize)]
pub(super) struct LearnerParamJson {
    pub(super) base_score: String,
    #[serde(default, deserialize_with = "count")]
    pub(super) num_class: u64,
    #[serde(deserialize_with = "count")]
    pub(super) num_feature: u64,
    #[serde(default, deserialize_with = "count")]
    pub(super) num_target: u64,
}

/// Each booster keeps other things here, so that everything but the name is optional.
#[derive(Deserialize)]
pub(super) struct BoosterJson {
    pub(super) name: String,
    #[serde(default)]
    pub(super) model: BoosterModelJson,
    /// The trees of a `dart` booster.
    pub(super) gbtree: Option<Box<BoosterJson>>,
    /// What each tree of a `dart` booster is multiplied by.
    #[serde(default)]
    pub(super) weight_drop: Vec<f32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct BoosterModelJson {
    pub(super) gbtree_model_param: GbtreeParamJson,
    /// The output that each tree adds to.
    pub(super) tree_info: Vec<i64>,
    pub(super) trees: Vec<TreeJson>,
    /// The coefficients of a `gblinear` booster, all outputs of a feature together, the intercepts last.
    pub(super) weights: Vec<f32>,
}

#[derive(Deserialize, Default)]
pub(super) struct GbtreeParamJson {
    #[serde(deserialize_with = "count")]
    pub(super) num_trees: u64,
    #[serde(default, deserialize_with = "count")]
    pub(super) num_parallel_tree: u64,
}

/// A tree as parallel arrays, one item a node; item 0 is the root.
#[derive(Deserialize)]
pub(super) struct TreeJson {
    pub(super) id: Option<u64>,
    pub(super) left_children: Vec<i32>,
    pub(super) right_children: Vec<i32>,
    /// The threshold of a split, the value of a leaf.
    pub(super) split_conditions: Vec<f32>,
    pub(super) split_indices: Vec<u32>,
    pub(super) default_left: Vec<MissingLeft>,
    /// The weight of the training rows that reached a node; only explanations need it.
    #[serde(default)]
    pub(super) sum_hessian: Vec<f32>,
    /// 0 numeric, 1 categorical; absent before 1.3.
    #[serde(default)]
    pub(super) split_type: Vec<u8>,
    /// The categorical splits' nodes, rising.
    #[serde(default)]
    pub(super) categories_nodes: Vec<u32>,
    /// Where the categories of each of those begin in `categories`, and how many they are.
    #[serde(default)]
    pub(super) categories_segments: Vec<u64>,
    #[serde(default)]
    pub(super) categories_sizes: Vec<u64>,
    /// The categories that go right.
    #[serde(default)]
    pub(super) categories: Vec<i64>,
    pub(super) tree_param: TreeParamJson,
}

#[derive(Deserialize)]
pub(super) struct TreeParamJson {
    #[serde(deserialize_with = "count")]
    pub(super) num_nodes: u64,
    #[serde(default, deserialize_with = "count")]
    pub(super) size_leaf_vector: u64,
}

/// Whether a missing value goes left: `true` and `false` before 2.0, 1 and 0 since.
#[derive(Clone, Copy)]
pub(super) struct MissingLeft(pub(super) bool);

impl<'de> Deserialize<'de> for MissingLeft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = MissingLeft;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false, 1 or 0")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<MissingLeft, E> {
                Ok(MissingLeft(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<MissingLeft, E> {
                match value {
                    0 | 1 => Ok(MissingLeft(value == 1)),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(value), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<MissingLeft, E> {
                match value {
                    0 | 1 => Ok(MissingLeft(value == 1)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A count that the file writes as text.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom("expected a whole number in quotes"))
}
