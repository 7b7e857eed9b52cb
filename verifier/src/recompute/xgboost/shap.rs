//! What of a tree's contributions is XGBoost's own: its mean, and how the tree shows itself to both kinds of TreeSHAP.
//!
//! *Guarantees*: with `treeshap`, the bits of `predict(pred_contribs=True)` of XGBoost 1.3 to 3.2.
//!
//! *Does not do*: sum over trees; the model does.

use super::tree::Tree;
use crate::recompute::interventional::{self, Routed};
use crate::recompute::treeshap::{Explained, Node};

/// The mean of a tree's leaves, weighted by their training rows, at the root.
pub(super) fn mean(tree: &Tree) -> Option<f32> {
    mean_below(tree, 0)
}

fn mean_below(tree: &Tree, at: usize) -> Option<f32> {
    let node = tree.node(at)?;
    if node.is_leaf() {
        return Some(node.value());
    }
    let (left, right) = (node.left(), node.left() + 1);
    let mut sum = mean_below(tree, left)? * tree.cover(left)?;
    sum += mean_below(tree, right)? * tree.cover(right)?;
    Some(sum / tree.cover(at)?)
}

impl Explained for Tree {
    type Float = f32;

    const REFUSES_NO_WEIGHT: bool = true;

    fn node(&self, at: usize, row: &[f32]) -> Option<Node<f32>> {
        let node = self.node(at)?;
        if node.is_leaf() {
            return Some(Node::Leaf(node.value()));
        }
        let hot = self.next(node, row);
        let cold = if hot == node.left() { node.left() + 1 } else { node.left() };
        Some(Node::Split { feature: node.feature(), hot, cold })
    }

    fn cover(&self, at: usize) -> Option<f32> {
        self.cover(at)
    }

    fn depth(&self) -> usize {
        self.depth()
    }
}

impl Routed for Tree {
    type Float = f32;

    fn node(&self, at: usize) -> Option<interventional::Node> {
        let node = self.node(at)?;
        Some(if node.is_leaf() {
            interventional::Node::Leaf(node.value())
        } else {
            interventional::Node::Split { feature: node.feature(), left: node.left(), right: node.left() + 1 }
        })
    }

    /// Rows, thresholds and leaves are `f32` in the library, too.
    fn next(&self, at: usize, row: &[f32]) -> Option<usize> {
        Some(self.next(self.node(at)?, row))
    }
}
