//! A model file, and what of it must hold before a [`Model`] exists.
//!
//! *Guarantees*: reads what XGBoost 1.0 to 3.x write as JSON and UBJSON; takes no memory on the word of a count in the file.
//!
//! *Does not do*: know the trees' own rules; that is `tree`.

use super::linear::Linear;
use super::schema::{BoosterJson, BoosterModelJson, FileJson, LearnerJson, TreeJson};
use super::tree::{Defect, Tree};
use super::{Booster, FEATURES_MAX, GroupTree, MODEL_BYTES_MAX, Model, Objective, ubjson};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Outputs of a model, classes or targets. A row's answer is that long.
const OUTPUTS_MAX: usize = 1 << 16;

/// Reads and checks a model file.
pub(super) fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    if bytes.len() > MODEL_BYTES_MAX {
        return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: MODEL_BYTES_MAX });
    }
    let file: FileJson = match bytes {
        [b'{', b'L' | b'i' | b'U' | b'I' | b'l', ..] => ubjson::from_slice(bytes)?,
        [b'b', b'i', b'n', b'f', ..] => {
            return Err(unsupported("a model in the old binary format", "the first bytes of the file"));
        }
        _ => serde_json::from_slice(bytes).map_err(|error| ModelError::json("XGBoost JSON", &error))?,
    };
    let version = version_of(&file.version)?;
    let learner = file.learner;
    let objective = Objective::named(&learner.objective.name)?;
    let outputs = outputs_of(&learner, objective)?;
    let feature_count = feature_count_of(&learner)?;
    let base_margins = base_margins_of(objective, &learner.learner_model_param.base_score, outputs, version)?;
    let booster = booster_of(&learner, feature_count, outputs)?;
    Ok(Model {
        objective,
        objective_name: learner.objective.name,
        version,
        base_margins,
        feature_count,
        feature_names: learner.feature_names,
        booster,
    })
}

/// A version that this reader was never compared with may mean something else by the same words.
fn version_of(version: &[u64]) -> Result<(u64, u64), ModelError> {
    match version {
        [major @ 1..=3, rest @ ..] => Ok((*major, rest.first().copied().unwrap_or(0))),
        [major, ..] => Err(unsupported(format!("a file of XGBoost {major}"), "version[0]")),
        [] => Err(malformed("version", "is empty")),
    }
}

/// Margins of a row: one, or one a class or target.
fn outputs_of(learner: &LearnerJson, objective: Objective) -> Result<usize, ModelError> {
    let param = &learner.learner_model_param;
    let claimed = param.num_class.max(param.num_target).max(1);
    if param.num_class > 1 && param.num_target > 1 {
        return Err(unsupported(
            "a model of several targets of several classes",
            "learner.learner_model_param",
        ));
    }
    if (param.num_class > 0) != objective.is_of_classes() {
        return Err(malformed(
            "learner.learner_model_param.num_class",
            "is set for another kind of objective than the file names",
        ));
    }
    match usize::try_from(claimed) {
        Ok(outputs) if outputs <= OUTPUTS_MAX => Ok(outputs),
        found => {
            Err(ModelError::Limit { what: "outputs", found: found.unwrap_or(usize::MAX), max: OUTPUTS_MAX })
        }
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
            "learner.feature_names",
            "has another length than learner_model_param.num_feature says",
        ));
    }
    Ok(count)
}

/// Before 3.1 the base score is a number in text, since then a list in text. It is kept as the user gave it, so
/// the margin is derived here as the library derives it when it loads the file.
fn base_margins_of(
    objective: Objective,
    text: &str,
    outputs: usize,
    version: (u64, u64),
) -> Result<Vec<f32>, ModelError> {
    const PLACE: &str = "learner.learner_model_param.base_score";
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let mut margins = Vec::with_capacity(outputs);
    for part in inner.split(',') {
        if margins.len() == outputs {
            return Err(malformed(PLACE, "has more numbers than the model has outputs"));
        }
        let score: f32 = part.trim().parse().map_err(|_| malformed(PLACE, "is not a number"))?;
        margins.push(objective.margin_of(score, version)?);
    }
    match margins.first().copied() {
        Some(first) if margins.len() == 1 => margins.resize(outputs, first),
        _ if margins.len() == outputs => {}
        _ => return Err(malformed(PLACE, "has fewer numbers than the model has outputs")),
    }
    Ok(margins)
}

fn booster_of(learner: &LearnerJson, feature_count: usize, outputs: usize) -> Result<Booster, ModelError> {
    let booster = &learner.gradient_booster;
    match booster.name.as_str() {
        "gbtree" if booster.weight_drop.is_empty() => {
            let place = "learner.gradient_booster.model";
            let trees = trees_of(&booster.model, place, feature_count, outputs)?;
            check_rounds(learner, &booster.model, outputs)?;
            Ok(Booster::Trees { trees, weights: None })
        }
        "gbtree" => {
            Err(malformed("learner.gradient_booster.weight_drop", "stands in a model that is not DART"))
        }
        "dart" => dart_of(learner, feature_count, outputs),
        "gblinear" => {
            let linear = Linear::check(booster.model.weights.clone(), feature_count, outputs);
            linear
                .map(Booster::Linear)
                .map_err(|problem| malformed("learner.gradient_booster.model.weights", problem))
        }
        other => Err(unsupported(format!("the booster {}", shown(other)), "learner.gradient_booster.name")),
    }
}

fn dart_of(learner: &LearnerJson, feature_count: usize, outputs: usize) -> Result<Booster, ModelError> {
    let booster = &learner.gradient_booster;
    let inner: &BoosterJson = booster
        .gbtree
        .as_deref()
        .ok_or_else(|| malformed("learner.gradient_booster.gbtree", "is missing in a DART model"))?;
    let trees = trees_of(&inner.model, "learner.gradient_booster.gbtree.model", feature_count, outputs)?;
    check_rounds(learner, &inner.model, outputs)?;
    let place = "learner.gradient_booster.weight_drop";
    if booster.weight_drop.len() != trees.len() {
        return Err(malformed(place, "has another length than there are trees"));
    }
    if booster.weight_drop.iter().any(|weight| !weight.is_finite()) {
        return Err(malformed(place, "holds a weight that is not a finite number"));
    }
    Ok(Booster::Trees { trees, weights: Some(booster.weight_drop.clone()) })
}

/// After early stopping the library's two interfaces use different trees, unless the last round was the best.
fn check_rounds(learner: &LearnerJson, model: &BoosterModelJson, outputs: usize) -> Result<(), ModelError> {
    const PLACE: &str = "learner.attributes.best_iteration";
    let Some(best) = &learner.attributes.best_iteration else {
        return Ok(());
    };
    let best: u64 = best.parse().map_err(|_| malformed(PLACE, "is not a whole number"))?;
    let trees_a_round = model.gbtree_model_param.num_parallel_tree.max(1).saturating_mul(outputs as u64);
    if best.checked_add(1) == Some(model.trees.len() as u64 / trees_a_round) {
        return Ok(());
    }
    Err(unsupported(
        "a model that holds rounds after its best one (save booster[: best_iteration + 1] instead)",
        PLACE,
    ))
}

fn trees_of(
    model: &BoosterModelJson,
    place: &str,
    feature_count: usize,
    outputs: usize,
) -> Result<Vec<GroupTree>, ModelError> {
    if model.gbtree_model_param.num_trees != model.trees.len() as u64 {
        return Err(malformed(
            format!("{place}.trees"),
            "has another length than gbtree_model_param.num_trees says",
        ));
    }
    if model.tree_info.len() != model.trees.len() {
        return Err(malformed(format!("{place}.tree_info"), "has another length than there are trees"));
    }
    let mut trees = Vec::with_capacity(model.trees.len());
    for (number, (tree, group)) in model.trees.iter().zip(&model.tree_info).enumerate() {
        let place = || format!("{place}.trees[{number}]");
        refuse_other_trees(number, tree, place)?;
        let output = usize::try_from(*group).ok().filter(|group| *group < outputs);
        let output = output.ok_or_else(|| {
            malformed(format!("tree_info[{number}]"), "names an output that the model lacks")
        })?;
        let tree = Tree::check(tree, feature_count).map_err(|defect| placed(&place(), &defect))?;
        trees.push(GroupTree { tree, output });
    }
    Ok(trees)
}

/// Trees that are valid and of another kind, or stand in another place than their number says.
fn refuse_other_trees(number: usize, tree: &TreeJson, place: impl Fn() -> String) -> Result<(), ModelError> {
    if tree.id.is_some_and(|id| id != number as u64) {
        return Err(malformed(
            format!("{}.id", place()),
            "is not the tree's place in the list; the order of the trees is part of the sum",
        ));
    }
    if tree.tree_param.size_leaf_vector > 1 {
        return Err(unsupported(
            "a tree with several values a leaf",
            format!("{}.tree_param.size_leaf_vector", place()),
        ));
    }
    Ok(())
}

fn placed(place: &str, defect: &Defect) -> ModelError {
    let node = defect.node.map_or_else(String::new, |node| format!("[{node}]"));
    malformed(format!("{place}.{}{node}", defect.array), defect.problem)
}
