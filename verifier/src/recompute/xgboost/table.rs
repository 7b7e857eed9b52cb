//! The trees as a table for tensor operations.
//!
//! *Guarantees*: the same comparisons, children and leaves as the walk of [`Tree`](super::tree::Tree); a DART tree's leaves are multiplied by
//! its weight here, in the one rounding that the walk has, too.
//!
//! *Does not do*: linear boosters.

use super::{Booster, GroupTree, Model};
use crate::recompute::tensor_trees::{BelowZero, Comparison, Sketch, Table, TensorError, Test};

impl Model {
    pub(in crate::recompute) fn table(&self) -> Result<Table<f32>, TensorError> {
        let Booster::Trees { trees, weights } = &self.booster else {
            return Err(TensorError::Unsupported { what: "a linear booster" });
        };
        let mut table = Table::new(
            Comparison::Below,
            BelowZero::NoCategory,
            self.feature_count,
            self.base_margins.clone(),
        );
        for (number, GroupTree { tree, output }) in trees.iter().enumerate() {
            let weight = weights.as_ref().and_then(|weights| weights.get(number));
            let weighted = |leaf: f32| weight.map_or(leaf, |weight| leaf * weight);
            table.add(*output, 0, |place| {
                let node = tree.node(place)?;
                Some(if node.is_leaf() {
                    Sketch::Leaf(weighted(node.value()))
                } else {
                    Sketch::Split {
                        column: node.feature(),
                        test: match tree.listed(node) {
                            None => Test::Threshold(node.value()),
                            Some(listed) => Test::Categories { listed, listed_first: false },
                        },
                        missing_first: node.missing_left(),
                        zero_first: None,
                        first: node.left(),
                        second: node.left() + 1,
                    }
                })
            })?;
        }
        Ok(table)
    }
}
