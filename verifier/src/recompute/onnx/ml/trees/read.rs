//! How files give ensembles of trees: one list for each property of a node.
//!
//! *Guarantees*: every list has the length that the others ask for; numbers refer to what is there.
//!
//! *Does not do*: guess what the engine makes of files that its documentation does not allow; those are refused.

use std::collections::{HashMap, HashSet};

use super::super::super::FEATURES_MAX;
use super::super::super::file::Node;
use super::super::forest::{Condition, Float, Forest, Sketch};
use super::super::scores::Transform;
use super::super::table;
use super::{Aggregate, Ensemble, Items, Purpose};
use crate::recompute::error::{ModelError, malformed, unsupported};

/// Numbers that stand in the attribute, or in the one of this name with `_as_tensor`.
fn numbers<T: Float + Items>(node: &Node<'_>, name: &str) -> Result<Vec<T>, ModelError> {
    let listed: Vec<T> = node.floats(name)?.into_iter().map(T::from).collect();
    let in_tensor = T::list(node, &format!("{name}_as_tensor"))?;
    match (listed.is_empty(), in_tensor.is_empty()) {
        (_, true) => Ok(listed),
        (true, false) => Ok(in_tensor),
        (false, false) => Err(malformed(node.place(), "gives the same numbers twice")),
    }
}

fn transform(node: &Node<'_>) -> Result<Transform, ModelError> {
    let name = node.text("post_transform")?.unwrap_or("NONE");
    Transform::named(name).ok_or_else(|| malformed(node.place(), "has an unknown post_transform"))
}

const NODE_ATTRIBUTES: [&str; 16] = [
    "base_values",
    "base_values_as_tensor",
    "nodes_falsenodeids",
    "nodes_featureids",
    "nodes_hitrates",
    "nodes_hitrates_as_tensor",
    "nodes_missing_value_tracks_true",
    "nodes_modes",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_truenodeids",
    "nodes_values",
    "nodes_values_as_tensor",
    "post_transform",
    "classlabels_strings",
    "classlabels_int64s",
];

fn only(node: &Node<'_>, own: &[&str]) -> Result<(), ModelError> {
    table::only(node, &[&NODE_ATTRIBUTES, own].concat())
}

pub(super) fn read_regressor<T: Float + Items>(node: &Node<'_>) -> Result<Ensemble<T>, ModelError> {
    let own = [
        "aggregate_function",
        "n_targets",
        "target_ids",
        "target_nodeids",
        "target_treeids",
        "target_weights",
        "target_weights_as_tensor",
    ];
    only(node, &own)?;
    let aggregate = match node.text("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        _ => return Err(malformed(node.place(), "has an unknown aggregate_function")),
    };
    let outputs = count(node, node.integer("n_targets")?.unwrap_or(0))?;
    let bases: Vec<T> = numbers(node, "base_values")?;
    if !bases.is_empty() && bases.len() != outputs {
        return Err(malformed(node.place(), "has another number of base values than of targets"));
    }
    let (forest, _) = read_forest(node, "target", outputs)?;
    Ok(Ensemble { forest, outputs, bases, transform: transform(node)?, purpose: Purpose::Targets(aggregate) })
}

pub(super) fn read_classifier<T: Float + Items>(node: &Node<'_>) -> Result<Ensemble<T>, ModelError> {
    only(node, &["class_ids", "class_nodeids", "class_treeids", "class_weights", "class_weights_as_tensor"])?;
    let labels = table::Labels::read(node, "classlabels_strings", "classlabels_int64s")?;
    let outputs = labels.len();
    if outputs < 2 {
        return Err(unsupported("a classifier of fewer than two classes", node.place()));
    }
    let bases: Vec<T> = numbers(node, "base_values")?;
    if !(bases.is_empty() || bases.len() == outputs || (outputs == 2 && bases.len() == 1)) {
        return Err(malformed(node.place(), "has another number of base values than of classes"));
    }
    let (forest, votes) = read_forest(node, "class", outputs)?;
    let is_one = votes.iter().all(|(class, _)| votes.first().is_some_and(|(first, _)| first == class));
    let is_binary = outputs == 2 && is_one && !votes.is_empty();
    // Of two classes that both have weights, the engine gives the places, not the labels; but those that are texts.
    let labels = match labels {
        table::Labels::Numbers(_) if outputs == 2 && !is_binary => table::Labels::Numbers(vec![0, 1]),
        other => other,
    };
    let purpose = Purpose::Classes {
        labels,
        is_binary,
        is_all_positive: !votes.iter().any(|(_, weight)| *weight < T::from(0.0)),
    };
    Ok(Ensemble { forest, outputs, bases, transform: transform(node)?, purpose })
}

fn count(node: &Node<'_>, number: i64) -> Result<usize, ModelError> {
    let number = usize::try_from(number).ok().filter(|number| (1..=FEATURES_MAX).contains(number));
    number.ok_or_else(|| malformed(node.place(), "has no possible number of outputs"))
}

/// Every weight that a file gives a class or target.
type Votes<T> = Vec<(u32, T)>;

/// The trees of the first four versions: one list for each property of a node.
fn read_forest<T: Float + Items>(
    node: &Node<'_>,
    prefix: &str,
    outputs: usize,
) -> Result<(Forest<T>, Votes<T>), ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let trees = node.integers("nodes_treeids")?;
    let ids = node.integers("nodes_nodeids")?;
    let columns = node.integers("nodes_featureids")?;
    let modes = node.texts("nodes_modes")?;
    let values: Vec<T> = numbers(node, "nodes_values")?;
    let (yes, no) = (node.integers("nodes_truenodeids")?, node.integers("nodes_falsenodeids")?);
    let missing = node.integers("nodes_missing_value_tracks_true")?;
    let lengths = [ids.len(), columns.len(), modes.len(), values.len(), yes.len(), no.len()];
    if lengths.iter().any(|length| *length != trees.len()) {
        return Err(wrong("has lists of nodes of different lengths"));
    }
    if trees.is_empty() || !(missing.is_empty() || missing.len() == trees.len()) {
        return Err(wrong("has no node, or a list of another length than its nodes"));
    }
    let mut places: HashMap<(i64, i64), usize> = HashMap::with_capacity(trees.len());
    let mut roots = Vec::new();
    for (place, (tree, id)) in trees.iter().zip(&ids).enumerate() {
        if *tree < 0 || places.insert((*tree, *id), place).is_some() {
            return Err(wrong("gives two nodes the same number, or a tree none"));
        }
        if place == 0 || trees.get(place - 1) != Some(tree) {
            roots.push(place);
        }
    }
    let mut leaves = read_weights(node, prefix, outputs, &places)?;
    let votes: Votes<T> = leaves.values().flatten().copied().collect();
    let found: HashSet<i64> = trees.iter().copied().collect();
    if found.len() != roots.len() {
        return Err(unsupported("an ensemble whose trees' nodes are mixed", node.place()));
    }
    let mut sketches = Vec::with_capacity(trees.len());
    for (place, mode) in modes.iter().enumerate() {
        let item = |list: &[i64]| list.get(place).copied().unwrap_or_default();
        if *mode == "LEAF" {
            let weights = leaves.remove(&place).ok_or_else(|| wrong("has a leaf without a weight"))?;
            if outputs == 1 && weights.len() != 1 {
                return Err(unsupported("a leaf of several weights for one target", node.place()));
            }
            sketches.push(Sketch::Leaf(weights));
            continue;
        }
        let value = values.get(place).copied().ok_or_else(|| wrong("has too few values"))?;
        let child = |list: &[i64]| places.get(&(item(&trees), item(list))).copied();
        let (Some(if_true), Some(if_false)) = (child(&yes), child(&no)) else {
            return Err(wrong("has a node that leads to none"));
        };
        sketches.push(Sketch::Split {
            column: usize::try_from(item(&columns)).map_err(|_| wrong("splits on a column below zero"))?,
            condition: condition(mode, value).ok_or_else(|| wrong("has a node of an unknown mode"))?,
            missing_is_true: item(&missing) == 1,
            if_true,
            if_false,
        });
    }
    if !leaves.is_empty() {
        return Err(unsupported("a weight of a node that is no leaf", node.place()));
    }
    let forest = Forest::check(sketches, &roots).map_err(|(_, problem)| wrong(problem))?;
    Ok((forest, votes))
}

fn condition<T>(mode: &str, value: T) -> Option<Condition<T>> {
    match mode {
        "BRANCH_LEQ" => Some(Condition::AtMost(value)),
        "BRANCH_LT" => Some(Condition::Below(value)),
        "BRANCH_GTE" => Some(Condition::AtLeast(value)),
        "BRANCH_GT" => Some(Condition::Above(value)),
        "BRANCH_EQ" => Some(Condition::Equal(value)),
        "BRANCH_NEQ" => Some(Condition::Unequal(value)),
        _ => None,
    }
}

/// The weights of each node, in the file's order.
fn read_weights<T: Float + Items>(
    node: &Node<'_>,
    prefix: &str,
    outputs: usize,
    places: &HashMap<(i64, i64), usize>,
) -> Result<HashMap<usize, Votes<T>>, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let trees = node.integers(&format!("{prefix}_treeids"))?;
    let nodes = node.integers(&format!("{prefix}_nodeids"))?;
    let ids = node.integers(&format!("{prefix}_ids"))?;
    let weights: Vec<T> = numbers(node, &format!("{prefix}_weights"))?;
    if [nodes.len(), ids.len(), weights.len()].iter().any(|length| *length != trees.len()) {
        return Err(wrong("has lists of weights of different lengths"));
    }
    let mut leaves: HashMap<usize, Votes<T>> = HashMap::new();
    for (((tree, id), output), weight) in trees.iter().zip(&nodes).zip(&ids).zip(weights) {
        let place = places.get(&(*tree, *id)).ok_or_else(|| wrong("has a weight of no node"))?;
        let output = usize::try_from(*output).ok().filter(|output| *output < outputs);
        let output = output.and_then(|output| u32::try_from(output).ok());
        let output = output.ok_or_else(|| wrong("has a weight of no output"))?;
        leaves.entry(*place).or_default().push((output, weight));
    }
    Ok(leaves)
}

/// The trees of version 5: splits and leaves in lists of their own.
pub(super) fn read_version_5<T: Float + Items>(node: &Node<'_>) -> Result<Ensemble<T>, ModelError> {
    table::only(
        node,
        &[
            "aggregate_function",
            "leaf_targetids",
            "leaf_weights",
            "membership_values",
            "n_targets",
            "nodes_falseleafs",
            "nodes_falsenodeids",
            "nodes_featureids",
            "nodes_hitrates",
            "nodes_missing_value_tracks_true",
            "nodes_modes",
            "nodes_splits",
            "nodes_trueleafs",
            "nodes_truenodeids",
            "post_transform",
            "tree_roots",
        ],
    )?;
    let wrong = |problem| malformed(node.place(), problem);
    let aggregate = match node.integer("aggregate_function")?.unwrap_or(1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        _ => return Err(wrong("has an unknown aggregate_function")),
    };
    let transform = Transform::numbered(node.integer("post_transform")?.unwrap_or(0));
    let outputs = count(node, node.integer("n_targets")?.unwrap_or(1))?;
    let mut sketches = splits_of_version_5(node)?;
    let splits = sketches.len();
    let targets = node.integers("leaf_targetids")?;
    let weights: Vec<T> = T::list(node, "leaf_weights")?;
    if targets.len() != weights.len() {
        return Err(wrong("has lists of leaves of different lengths"));
    }
    for (target, weight) in targets.iter().zip(weights) {
        let target = u32::try_from(*target).ok().filter(|target| (*target as usize) < outputs);
        let target = target.ok_or_else(|| wrong("has a weight of no target"))?;
        sketches.push(Sketch::Leaf(vec![(target, weight)]));
    }
    let mut roots = Vec::new();
    for root in node.integers("tree_roots")? {
        let root = usize::try_from(root).ok().filter(|root| *root < splits);
        let root = root.ok_or_else(|| wrong("has a tree whose root is no node"))?;
        // A tree of one leaf is written as a split whose ways both lead to it.
        roots.push(match sketches.get(root) {
            Some(Sketch::Split { if_true, if_false, .. }) if if_true == if_false && *if_true >= splits => {
                *if_true
            }
            _ => root,
        });
    }
    let forest = Forest::check(sketches, &roots).map_err(|(_, problem)| wrong(problem))?;
    let transform = transform.ok_or_else(|| wrong("has an unknown post_transform"))?;
    Ok(Ensemble { forest, outputs, bases: Vec::new(), transform, purpose: Purpose::Targets(aggregate) })
}

fn splits_of_version_5<T: Float + Items>(node: &Node<'_>) -> Result<Vec<Sketch<T>>, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let columns = node.integers("nodes_featureids")?;
    let modes = table::small_numbers(node, "nodes_modes")?;
    let values: Vec<T> = T::list(node, "nodes_splits")?;
    let (yes, no) = (node.integers("nodes_truenodeids")?, node.integers("nodes_falsenodeids")?);
    let (yes_leaf, no_leaf) = (node.integers("nodes_trueleafs")?, node.integers("nodes_falseleafs")?);
    let missing = node.integers("nodes_missing_value_tracks_true")?;
    let count = columns.len();
    let lengths = [modes.len(), values.len(), yes.len(), no.len(), yes_leaf.len(), no_leaf.len()];
    if lengths.iter().any(|length| *length != count) || !(missing.is_empty() || missing.len() == count) {
        return Err(wrong("has lists of nodes of different lengths"));
    }
    // The sets of nodes stand one after the other, each ended by what is no number.
    let members: Vec<T> = T::list(node, "membership_values")?;
    let mut sets = members.split(|value| value.is_missing());
    let mut sketches = Vec::with_capacity(count);
    for (place, mode) in modes.iter().enumerate() {
        let item = |list: &[i64]| list.get(place).copied().unwrap_or_default();
        let value = values.get(place).copied().ok_or_else(|| wrong("has too few values"))?;
        let condition = match mode {
            0 => Condition::AtMost(value),
            1 => Condition::Below(value),
            2 => Condition::AtLeast(value),
            3 => Condition::Above(value),
            4 => Condition::Equal(value),
            5 => Condition::Unequal(value),
            6 => match sets.next() {
                Some(set) if !set.is_empty() && set.iter().all(|member| is_category(*member)) => {
                    Condition::Member(set.to_vec())
                }
                Some(set) if !set.is_empty() => {
                    return Err(unsupported("a set of what are no categories", node.place()));
                }
                _ => return Err(wrong("has a node without its set")),
            },
            _ => return Err(wrong("has a node of an unknown mode")),
        };
        let child = |list: &[i64], leaf: &[i64]| {
            let behind = if item(leaf) == 0 { 0 } else { count };
            usize::try_from(item(list)).ok().and_then(|child| child.checked_add(behind))
        };
        let (Some(if_true), Some(if_false)) = (child(&yes, &yes_leaf), child(&no, &no_leaf)) else {
            return Err(wrong("has a node that leads to none"));
        };
        sketches.push(Sketch::Split {
            column: usize::try_from(item(&columns)).map_err(|_| wrong("splits on a column below zero"))?,
            condition,
            missing_is_true: item(&missing) == 1,
            if_true,
            if_false,
        });
    }
    Ok(sketches)
}

/// Whether a number is whole and has 32 bits; what the engine makes of another at a set depends on the set.
pub(super) fn is_category<T: Float>(number: T) -> bool {
    const MAX: f32 = 1_073_741_824.0;
    let narrow = number.narrow();
    T::from(narrow.trunc()) == number && narrow.abs() <= MAX
}
