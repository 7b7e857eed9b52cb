//! The trees as a table for tensor operations.
//!
//! *Guarantees*: the same comparisons, children and leaves as the walk of [`Tree`](super::tree::Tree).
//!
//! *Does not do*: linear trees.

use super::Model;
use super::tree::{Rule, Tree};
use crate::recompute::tensor_trees::{BelowZero, Comparison, Sketch, Table, TensorError, Test};

impl Model {
    pub(in crate::recompute) fn table(&self) -> Result<Table<f64>, TensorError> {
        if self.trees.iter().any(Tree::is_linear) {
            return Err(TensorError::Unsupported { what: "linear trees" });
        }
        let starts = vec![0.0; self.margin_count];
        let mut table =
            Table::new(Comparison::AtMost, BelowZero::FractionDropped, self.feature_count(), starts);
        for (number, tree) in self.trees.iter().enumerate() {
            table.add(number % self.margin_count, 0, |place| tree.sketch(place))?;
        }
        Ok(table)
    }
}

impl Tree {
    /// The node at a place.
    fn sketch(&self, place: usize) -> Option<Sketch<'_, f64>> {
        let Some(split) = self.split(place) else { return self.leaf_value(place).map(Sketch::Leaf) };
        let test = match split.rule {
            Rule::Categories => Test::Categories { listed: self.list(split)?, listed_first: true },
            _ => Test::Threshold(split.threshold),
        };
        Some(Sketch::Split {
            column: split.feature as usize,
            test,
            missing_first: match split.rule {
                Rule::NoMissing => 0.0 <= split.threshold,
                Rule::ZeroMissing | Rule::NanMissing => split.default_left,
                Rule::Categories => false,
            },
            zero_first: (split.rule == Rule::ZeroMissing).then_some(split.default_left),
            first: split.left as usize,
            second: split.right as usize,
        })
    }
}
