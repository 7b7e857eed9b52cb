//! How a LightGBM tree shows itself to both kinds of TreeSHAP.
//!
//! *Guarantees*: the path-dependent kind walks as the library does; the interventional kind walks only where shap, which has 32-bit
//! thresholds and one rule for missing values, goes the library's way.
//!
//! *Does not do*: sum over trees.

use super::{Rule, Tree};
use crate::recompute::interventional::{self, Routed};
use crate::recompute::treeshap::{DEPTH_MAX, Explained, Node};

impl Explained for Tree {
    type Float = f64;

    const REFUSES_NO_WEIGHT: bool = false;

    fn node(&self, at: usize, row: &[f64]) -> Option<Node<f64>> {
        let Some(split) = self.splits.get(at) else {
            return self.leaves.get(at.checked_sub(self.splits.len())?).copied().map(Node::Leaf);
        };
        let hot = self.next(split, row);
        let (left, right) = (split.left as usize, split.right as usize);
        Some(Node::Split {
            feature: split.feature as usize,
            hot,
            cold: if hot == left { right } else { left },
        })
    }

    fn cover(&self, at: usize) -> Option<f64> {
        self.counts.get(at).copied()
    }

    fn depth(&self) -> usize {
        self.depth
    }
}

impl Routed for Tree {
    type Float = f64;

    #[expect(clippy::cast_possible_truncation, reason = "shap keeps leaves in 32 bits")]
    fn node(&self, at: usize) -> Option<interventional::Node> {
        let Some(split) = self.splits.get(at) else {
            let leaf = self.leaves.get(at.checked_sub(self.splits.len())?)?;
            return Some(interventional::Node::Leaf(*leaf as f32));
        };
        Some(interventional::Node::Split {
            feature: split.feature as usize,
            left: split.left as usize,
            right: split.right as usize,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "shap keeps thresholds in 32 bits")]
    fn next(&self, at: usize, row: &[f64]) -> Option<usize> {
        let split = self.splits.get(at)?;
        let value = *row.get(split.feature as usize)?;
        let of_shap =
            if value.is_nan() { split.default_left } else { value <= f64::from(split.threshold as f32) };
        let next = self.next(split, row);
        let child = if of_shap { split.left } else { split.right };
        (next == child as usize).then_some(next)
    }
}

impl Tree {
    /// Whether shap reads a split otherwise than the library.
    pub(in crate::recompute::lightgbm) fn misread_by_shap(&self) -> bool {
        self.splits.iter().any(|split| matches!(split.rule, Rule::Categories | Rule::ZeroMissing))
    }

    /// Whether shap's numbers of nodes, or the walk's depth, do not reach.
    pub(in crate::recompute::lightgbm) fn is_large(&self) -> bool {
        self.depth > DEPTH_MAX || self.splits.len() + self.leaves.len() > interventional::SHORT_MAX
    }
}
