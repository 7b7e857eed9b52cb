//! The JSON of a model file, and what of it must hold before a [`Model`] exists.
//!
//! *Guarantees*: reads what XGBoost 1.0 to 3.x write; takes numbers from text to `f32` in one rounding; takes no memory on
//! the word of a count in the file.
//!
//! *Does not do*: read what scoring does not need (gains, covers, parents, settings of the training).

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::tree::{Defect, Tree};
use super::{FEATURES_MAX, MODEL_BYTES_MAX, Model, ModelError, Objective, logit};

/// Reads and checks a model file.
pub(super) fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    if bytes.len() > MODEL_BYTES_MAX {
        return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: MODEL_BYTES_MAX });
    }
    refuse_other_formats(bytes)?;
    let file: FileJson = serde_json::from_slice(bytes).map_err(|error| ModelError::Json {
        line: error.line(),
        column: error.column(),
        problem: error.to_string(),
    })?;
    check_version(&file.version)?;
    let learner = file.learner;
    check_outputs(&learner)?;
    check_rounds(&learner)?;
    let objective = objective_of(&learner)?;
    let feature_count = feature_count_of(&learner)?;
    Ok(Model {
        objective,
        base_margin: base_margin_of(objective, &learner.learner_model_param.base_score)?,
        feature_count,
        feature_names: learner.feature_names,
        trees: trees_of(&learner.gradient_booster, feature_count)?,
    })
}

/// The other two formats of the library, told apart from broken JSON because the remedy is another.
fn refuse_other_formats(bytes: &[u8]) -> Result<(), ModelError> {
    let what = match bytes {
        [b'{', b'L' | b'i' | b'U' | b'I' | b'l', ..] => "a model saved as UBJSON",
        [b'b', b'i', b'n', b'f', ..] => "a model in the old binary format",
        _ => return Ok(()),
    };
    Err(unsupported(what, "the first bytes of the file"))
}

fn objective_of(learner: &LearnerJson) -> Result<Objective, ModelError> {
    match learner.objective.name.as_str() {
        "binary:logistic" | "reg:logistic" => Ok(Objective::Logistic),
        "reg:squarederror" | "reg:linear" => Ok(Objective::SquaredError),
        other => Err(unsupported(format!("the objective {}", shown(other)), "learner.objective.name")),
    }
}

/// One number a row: trees of one output, no classes beyond two, one target.
fn check_outputs(learner: &LearnerJson) -> Result<(), ModelError> {
    let param = &learner.learner_model_param;
    let model = &learner.gradient_booster.model;
    if learner.gradient_booster.name != "gbtree" {
        return Err(unsupported(
            format!("the booster {}", shown(&learner.gradient_booster.name)),
            "learner.gradient_booster.name",
        ));
    }
    let several = [
        (param.num_class > 1, "classes", "learner_model_param.num_class"),
        (param.num_target > 1, "targets", "learner_model_param.num_target"),
        (model.tree_info.iter().any(|group| *group != 0), "outputs", "gradient_booster.model.tree_info"),
        (!model.weight_drop.is_empty(), "weights of its trees (DART)", "gradient_booster.model.weight_drop"),
    ];
    match several.iter().find(|(found, ..)| *found) {
        Some((_, what, place)) => {
            Err(unsupported(format!("a model of several {what}"), format!("learner.{place}")))
        }
        None => Ok(()),
    }
}

/// After early stopping the library's two interfaces use different trees, unless the last round was the best.
fn check_rounds(learner: &LearnerJson) -> Result<(), ModelError> {
    const PLACE: &str = "learner.attributes.best_iteration";
    let Some(best) = &learner.attributes.best_iteration else {
        return Ok(());
    };
    let best: u64 = best.parse().map_err(|_| malformed(PLACE.to_owned(), "is not a whole number"))?;
    let model = &learner.gradient_booster.model;
    let trees_a_round = model.gbtree_model_param.num_parallel_tree.max(1);
    if best.checked_add(1) == Some(model.trees.len() as u64 / trees_a_round) {
        return Ok(());
    }
    Err(unsupported(
        "a model that holds rounds after its best one (save booster[: best_iteration + 1] instead)",
        PLACE,
    ))
}

/// A version that this reader was never compared with may mean something else by the same words.
fn check_version(version: &[u64]) -> Result<(), ModelError> {
    match version.first() {
        Some(1..=3) => Ok(()),
        Some(major) => Err(unsupported(format!("a file of XGBoost {major}"), "version[0]")),
        None => Err(malformed("version".to_owned(), "is empty")),
    }
}

fn feature_count_of(learner: &LearnerJson) -> Result<usize, ModelError> {
    let claimed = learner.learner_model_param.num_feature;
    let count = usize::try_from(claimed).unwrap_or(usize::MAX);
    if count > FEATURES_MAX {
        return Err(ModelError::Limit { what: "features", found: count, max: FEATURES_MAX });
    }
    let names = learner.feature_names.len();
    if names != 0 && names != count {
        return Err(malformed(
            "learner.feature_names".to_owned(),
            "has another length than learner_model_param.num_feature says",
        ));
    }
    Ok(count)
}

/// Before 3.1 the base score is a number in text, since then a list in text. It is kept as the user gave it, so
/// the margin is derived here as the library derives it when it loads the file.
fn base_margin_of(objective: Objective, text: &str) -> Result<f32, ModelError> {
    const PLACE: &str = "learner.learner_model_param.base_score";
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if inner.contains(',') {
        return Err(unsupported("a base score for each of several outputs", PLACE));
    }
    let score: f32 = inner.trim().parse().map_err(|_| malformed(PLACE.to_owned(), "is not a number"))?;
    match objective {
        _ if !score.is_finite() => Err(malformed(PLACE.to_owned(), "is not a finite number")),
        Objective::Logistic if !(0.0..=1.0).contains(&score) => {
            Err(malformed(PLACE.to_owned(), "is not a probability"))
        }
        Objective::Logistic if !(SCORE_MIN..=1.0 - SCORE_MIN).contains(&score) => Err(unsupported(
            "a base score within 1e-6 of 0 or 1, which versions of the library read differently,",
            PLACE,
        )),
        Objective::Logistic => Ok(logit(score)),
        Objective::SquaredError => Ok(score),
    }
}

/// Since 3.2 the library raises and lowers base scores to this distance from 0 and 1; before, it did not.
const SCORE_MIN: f32 = 1e-6;

fn trees_of(booster: &BoosterJson, feature_count: usize) -> Result<Vec<Tree>, ModelError> {
    const PLACE: &str = "learner.gradient_booster.model";
    let model = &booster.model;
    if model.gbtree_model_param.num_trees != model.trees.len() as u64 {
        return Err(malformed(
            format!("{PLACE}.trees"),
            "has another length than gbtree_model_param.num_trees says",
        ));
    }
    let mut trees = Vec::with_capacity(model.trees.len());
    for (number, tree) in model.trees.iter().enumerate() {
        let place = format!("{PLACE}.trees[{number}]");
        refuse_other_trees(number, tree, &place)?;
        trees.push(Tree::check(tree, feature_count).map_err(|defect| placed(&place, &defect))?);
    }
    Ok(trees)
}

/// Trees that are valid and of another kind, or stand in another place than their number says.
fn refuse_other_trees(number: usize, tree: &TreeJson, place: &str) -> Result<(), ModelError> {
    if tree.id.is_some_and(|id| id != number as u64) {
        return Err(malformed(
            format!("{place}.id"),
            "is not the tree's place in the list; the order of the trees is part of the sum",
        ));
    }
    if tree.split_type.iter().any(|kind| *kind != 0) {
        return Err(unsupported("a categorical split", format!("{place}.split_type")));
    }
    if tree.tree_param.size_leaf_vector > 1 {
        return Err(unsupported(
            "a tree with several values a leaf",
            format!("{place}.tree_param.size_leaf_vector"),
        ));
    }
    Ok(())
}

fn placed(place: &str, defect: &Defect) -> ModelError {
    let node = defect.node.map_or_else(String::new, |node| format!("[{node}]"));
    malformed(format!("{place}.{}{node}", defect.array), defect.problem)
}

fn malformed(place: String, problem: &'static str) -> ModelError {
    ModelError::Malformed { place, problem }
}

fn unsupported(what: impl Into<String>, place: impl Into<String>) -> ModelError {
    ModelError::Unsupported { what: what.into(), place: place.into() }
}

/// Text from the file, short and printable enough for an error message.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect()
}

#[derive(Deserialize)]
struct FileJson {
    learner: LearnerJson,
    version: Vec<u64>,
}

#[derive(Deserialize)]
struct LearnerJson {
    #[serde(default)]
    attributes: AttributesJson,
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: BoosterJson,
    learner_model_param: LearnerParamJson,
    objective: ObjectiveJson,
}

#[derive(Deserialize, Default)]
struct AttributesJson {
    best_iteration: Option<String>,
}

#[derive(Deserialize)]
struct ObjectiveJson {
    name: String,
}

/// Counts stand in the file as text. Those that an older version does not write are zero.
#[derive(Deserialize)]
struct LearnerParamJson {
    base_score: String,
    #[serde(default, deserialize_with = "count")]
    num_class: u64,
    #[serde(deserialize_with = "count")]
    num_feature: u64,
    #[serde(default, deserialize_with = "count")]
    num_target: u64,
}

/// Other boosters keep other things here, so that everything is optional until the name was checked.
#[derive(Deserialize)]
struct BoosterJson {
    name: String,
    #[serde(default)]
    model: BoosterModelJson,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BoosterModelJson {
    gbtree_model_param: GbtreeParamJson,
    tree_info: Vec<i64>,
    trees: Vec<TreeJson>,
    weight_drop: Vec<de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
struct GbtreeParamJson {
    #[serde(deserialize_with = "count")]
    num_trees: u64,
    #[serde(default, deserialize_with = "count")]
    num_parallel_tree: u64,
}

/// A tree as parallel arrays, one item a node; item 0 is the root.
#[derive(Deserialize)]
pub(super) struct TreeJson {
    id: Option<u64>,
    pub(super) left_children: Vec<i32>,
    pub(super) right_children: Vec<i32>,
    /// The threshold of a split, the value of a leaf.
    pub(super) split_conditions: Vec<f32>,
    pub(super) split_indices: Vec<u32>,
    pub(super) default_left: Vec<MissingLeft>,
    /// 0 numeric, 1 categorical; absent before 1.3.
    #[serde(default)]
    split_type: Vec<u8>,
    pub(super) tree_param: TreeParamJson,
}

#[derive(Deserialize)]
pub(super) struct TreeParamJson {
    #[serde(deserialize_with = "count")]
    pub(super) num_nodes: u64,
    #[serde(default, deserialize_with = "count")]
    size_leaf_vector: u64,
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
