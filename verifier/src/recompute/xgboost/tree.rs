//! One regression tree, checked once so that walking it cannot fail.
//!
//! *Guarantees*: every node reached from the root has two children that exist or none, is reached over one way only, and
//! splits on a column that the model has, at a threshold that is a number. So a walk ends at a leaf after fewer steps
//! than the tree has nodes.
//!
//! *Does not do*: look at nodes that the root does not reach; XGBoost leaves pruned nodes in its files.

use super::file::TreeJson;

/// A tree whose nodes were checked.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Split { feature: u32, threshold: f32, missing_left: bool, left: u32, right: u32 },
    Leaf(f32),
}

/// What is wrong with a tree, and in which of its arrays and at which node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) array: &'static str,
    pub(super) node: Option<usize>,
    pub(super) problem: &'static str,
}

impl Tree {
    /// Checks a tree of the file for a model of `feature_count` columns.
    pub(super) fn check(tree: &TreeJson, feature_count: usize) -> Result<Self, Defect> {
        check_lengths(tree)?;
        let mut nodes = Vec::with_capacity(tree.left_children.len());
        for index in 0..tree.left_children.len() {
            nodes.push(node_at(tree, index)?);
        }
        let checked = Self { nodes };
        checked.check_reached(feature_count)?;
        Ok(checked)
    }

    /// The leaf that a row of the model's length falls into.
    #[expect(
        clippy::indexing_slicing,
        reason = "check_reached proved that every node reached from the root names a feature below the row's length and children below the node count"
    )]
    pub(super) fn leaf(&self, features: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf(value) => return value,
                Node::Split { feature, threshold, missing_left, left, right } => {
                    let value = features[feature as usize];
                    let goes_left = if value.is_nan() { missing_left } else { value < threshold };
                    at = if goes_left { left } else { right } as usize;
                }
            }
        }
    }

    /// Walks every way from the root once.
    fn check_reached(&self, feature_count: usize) -> Result<(), Defect> {
        let mut reached = vec![false; self.nodes.len()];
        let mut ways = vec![(0_usize, "left_children", 0_usize)];
        while let Some((at, array, from)) = ways.pop() {
            let (Some(node), Some(seen)) = (self.nodes.get(at), reached.get_mut(at)) else {
                return Err(Defect::at(array, from, "names a node that the tree does not have"));
            };
            if *seen {
                return Err(Defect::at(array, from, "leads to a node that another way reaches too"));
            }
            *seen = true;
            match *node {
                Node::Leaf(value) if !value.is_finite() => {
                    return Err(Defect::at("split_conditions", at, "is a leaf that is not a finite number"));
                }
                Node::Leaf(_) => {}
                Node::Split { threshold, .. } if threshold.is_nan() => {
                    return Err(Defect::at("split_conditions", at, "is a threshold that is not a number"));
                }
                Node::Split { feature, .. } if feature as usize >= feature_count => {
                    return Err(Defect::at(
                        "split_indices",
                        at,
                        "names a feature that the model does not have",
                    ));
                }
                Node::Split { left, right, .. } => {
                    ways.push((right as usize, "right_children", at));
                    ways.push((left as usize, "left_children", at));
                }
            }
        }
        Ok(())
    }
}

impl Defect {
    fn at(array: &'static str, node: usize, problem: &'static str) -> Self {
        Self { array, node: Some(node), problem }
    }
}

/// Every array of a tree holds one item a node; the children say how many nodes there are.
fn check_lengths(tree: &TreeJson) -> Result<(), Defect> {
    let nodes = tree.left_children.len();
    let whole = |array, problem| Defect { array, node: None, problem };
    if nodes == 0 {
        return Err(whole("left_children", "is empty; a tree has at least its root"));
    }
    if u32::try_from(nodes).is_err() {
        return Err(whole("left_children", "has more nodes than a node number can name"));
    }
    let lengths = [
        ("right_children", tree.right_children.len()),
        ("split_conditions", tree.split_conditions.len()),
        ("split_indices", tree.split_indices.len()),
        ("default_left", tree.default_left.len()),
    ];
    for (array, length) in lengths {
        if length != nodes {
            return Err(whole(array, "has another length than left_children"));
        }
    }
    if tree.tree_param.num_nodes != nodes as u64 {
        return Err(whole("tree_param.num_nodes", "is another number than left_children has nodes"));
    }
    Ok(())
}

/// The node at a place of the arrays. The caller checked that all have this place.
fn node_at(tree: &TreeJson, index: usize) -> Result<Node, Defect> {
    let item = |array, problem| Defect::at(array, index, problem);
    let (Some(&left), Some(&right), Some(&condition), Some(&feature), Some(&missing_left)) = (
        tree.left_children.get(index),
        tree.right_children.get(index),
        tree.split_conditions.get(index),
        tree.split_indices.get(index),
        tree.default_left.get(index),
    ) else {
        return Err(item("left_children", "has no such item in every array"));
    };
    match (u32::try_from(left), u32::try_from(right)) {
        (Err(_), Err(_)) if left == LEAF && right == LEAF => Ok(Node::Leaf(condition)),
        (Ok(left), Ok(right)) => {
            Ok(Node::Split { feature, threshold: condition, missing_left: missing_left.0, left, right })
        }
        (Err(_), _) => Err(item("left_children", "is neither a node nor the -1 of a leaf")),
        (_, Err(_)) => Err(item("right_children", "is neither a node nor the -1 of a leaf")),
    }
}

/// What stands in place of a child at a leaf.
const LEAF: i32 = -1;
