//! The trees as lists for tensor operations.
//!
//! *Guarantees*: the same splits, bits and leaves as the walk of [`Model::margins`].

use super::{Model, RowError, Split};
use crate::recompute::tensor_trees::{SymmetricSplit, SymmetricTrees, TensorError};

impl Model {
    pub(in crate::recompute) fn symmetric_trees(&self) -> Result<SymmetricTrees, TensorError> {
        let found = self.columns.len();
        let number = |column: usize| {
            u32::try_from(column).map_err(|_| TensorError::Limit {
                what: "columns",
                found,
                max: u32::MAX as usize,
            })
        };
        let split = |split: &Split| {
            Ok(match *split {
                Split::Above { column, border, missing } => {
                    SymmetricSplit::Above { column: number(column)?, border, missing }
                }
                Split::Is { column, hash } => SymmetricSplit::Is { column: number(column)?, hash },
            })
        };
        let splits: Result<Vec<Vec<SymmetricSplit>>, TensorError> =
            self.trees.iter().map(|tree| tree.splits.iter().map(split).collect()).collect();
        let leaves = self.trees.iter().flat_map(|tree| tree.leaves.iter().copied()).collect();
        Ok(SymmetricTrees { columns: self.columns.len(), outputs: self.outputs, splits: splits?, leaves })
    }

    /// What reads rows and scales sums.
    pub(in crate::recompute) fn without_trees(&self) -> Self {
        Self {
            loss: self.loss.clone(),
            columns: self.columns.clone(),
            feature_names: self.feature_names.clone(),
            trees: Vec::new(),
            outputs: self.outputs,
            scale: self.scale,
            bias: self.bias.clone(),
        }
    }

    /// Rows as the library takes them up: as numbers, and as hashes of their categories.
    pub(in crate::recompute) fn taken(&self, rows: &[f64]) -> Result<(Vec<f32>, Vec<u32>), RowError> {
        let (mut numbers, mut hashes) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for row in rows.chunks(self.columns.len().max(1)) {
            let (row_numbers, row_hashes) = self.row(row)?;
            numbers.extend(row_numbers);
            hashes.extend(row_hashes);
        }
        Ok((numbers, hashes))
    }
}
