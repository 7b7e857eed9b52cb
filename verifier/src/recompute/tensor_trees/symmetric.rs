//! Symmetric trees, in which all splits of a level are the same: a leaf's number is its splits' answers as bits.
//!
//! *Guarantees*: as for the other trees, one operation for each comparison, lookup and addition, and the additions in the trees' order.
//!
//! *Does not do*: the scale and bias behind the sum, which the model's own code applies.

use candle_core::{DType, Device, Result, Tensor};

use super::walk::{look, on};
use super::{Batch, TensorError};

/// A split.
#[derive(Clone, Copy, Debug)]
pub(in crate::recompute) enum SymmetricSplit {
    Above { column: u32, border: f32, missing: bool },
    Is { column: u32, hash: u32 },
}

/// Trees as a format gives them.
#[derive(Clone, Debug)]
pub(in crate::recompute) struct SymmetricTrees {
    /// Columns of a row.
    pub(in crate::recompute) columns: usize,
    pub(in crate::recompute) outputs: usize,
    /// For each tree its splits, the lowest bit first.
    pub(in crate::recompute) splits: Vec<Vec<SymmetricSplit>>,
    /// The trees' leaves one after the other, the outputs of a leaf together.
    pub(in crate::recompute) leaves: Vec<f64>,
}

/// Symmetric trees on a device.
pub(super) struct Symmetric {
    trees: Vec<Tree>,
    /// One list an output.
    leaves: Vec<Tensor>,
    has_categories: bool,
    columns: usize,
    device: Device,
}

struct Tree {
    splits: Vec<SymmetricSplit>,
    /// Where its leaves begin.
    first: u32,
}

/// A level of some trees; a tree that does not have it gets a split that nothing passes.
struct Level {
    columns: Tensor,
    borders: Tensor,
    missing: Tensor,
    by_category: Tensor,
    hashes: Tensor,
}

impl Symmetric {
    pub(super) fn new(trees: SymmetricTrees, device: &Device) -> core::result::Result<Self, TensorError> {
        let mut first = 0_u32;
        let mut numbered = Vec::with_capacity(trees.splits.len());
        for splits in trees.splits {
            let next = 1_u32.checked_shl(u32::try_from(splits.len()).unwrap_or(u32::MAX));
            let next = next.and_then(|leaves| first.checked_add(leaves));
            numbered.push(Tree { splits, first });
            let found = trees.leaves.len() / trees.outputs.max(1);
            first = next.ok_or(TensorError::Limit { what: "leaves", found, max: u32::MAX as usize })?;
        }
        let is_category = |split: &SymmetricSplit| matches!(split, SymmetricSplit::Is { .. });
        let of_output = |output: usize| -> Vec<f64> {
            trees.leaves.iter().skip(output).step_by(trees.outputs.max(1)).copied().collect()
        };
        let leaves: Result<Vec<Tensor>> =
            (0..trees.outputs).map(|output| on(of_output(output), device)).collect();
        Ok(Self {
            has_categories: numbered.iter().any(|tree| tree.splits.iter().any(is_category)),
            trees: numbered,
            leaves: leaves.map_err(|error| TensorError::engine(&error))?,
            columns: trees.columns,
            device: device.clone(),
        })
    }

    /// The sums of `count` rows, one list an output; `hashes` stand where a column is a category.
    pub(super) fn sums(
        &self,
        numbers: &[f32],
        hashes: &[u32],
        count: usize,
        batch: Batch,
    ) -> Result<Vec<Vec<f64>>> {
        let shape = (count, self.columns);
        let (numbers, has_missing) = match self.columns {
            0 => (Tensor::zeros((1, count), DType::F32, &self.device)?, false),
            _ => {
                let has_missing = numbers.iter().any(|number| number.is_nan());
                (Tensor::from_slice(numbers, shape, &self.device)?.t()?.contiguous()?, has_missing)
            }
        };
        let hashes = match self.has_categories {
            true => Some(Tensor::from_slice(hashes, shape, &self.device)?.t()?.contiguous()?),
            false => None,
        };
        let zeros = || Tensor::zeros(count, DType::F64, &self.device);
        let mut sums = self.leaves.iter().map(|_| zeros()).collect::<Result<Vec<_>>>()?;
        for tile in self.trees.chunks(batch.trees(count)) {
            let places = self.places(tile, &numbers, hashes.as_ref(), has_missing)?;
            for (sum, leaves) in sums.iter_mut().zip(&self.leaves) {
                let values = look(leaves, &places)?;
                for tree in 0..tile.len() {
                    *sum = (&*sum + values.get(tree)?)?;
                }
            }
        }
        sums.iter().map(Tensor::to_vec1).collect()
    }

    /// The leaf of each tree for each row: trees down, rows across.
    fn places(
        &self,
        tile: &[Tree],
        numbers: &Tensor,
        hashes: Option<&Tensor>,
        has_missing: bool,
    ) -> Result<Tensor> {
        let shape = (tile.len(), numbers.dim(1)?);
        let levels = tile.iter().map(|tree| tree.splits.len()).max().unwrap_or(0);
        let mut places = Tensor::zeros(shape, DType::U32, &self.device)?;
        for bit in (0..levels).rev() {
            let level = self.level(tile, bit)?;
            let value = numbers.index_select(&level.columns, 0)?;
            let mut holds = value.broadcast_gt(&level.borders)?;
            if has_missing {
                holds = value.ne(&value)?.where_cond(&level.missing.broadcast_as(shape)?, &holds)?;
            }
            if let Some(hashes) = hashes {
                let equal = hashes.index_select(&level.columns, 0)?.broadcast_eq(&level.hashes)?;
                holds = level.by_category.broadcast_as(shape)?.contiguous()?.where_cond(&equal, &holds)?;
            }
            places = ((&places + &places)? + holds.to_dtype(DType::U32)?)?;
        }
        let firsts: Vec<u32> = tile.iter().map(|tree| tree.first).collect();
        places.broadcast_add(&Tensor::from_vec(firsts, (tile.len(), 1), &self.device)?)
    }

    fn level(&self, tile: &[Tree], bit: usize) -> Result<Level> {
        let shape = (tile.len(), 1);
        let (mut columns, mut borders) = (Vec::new(), Vec::new());
        let (mut missing, mut by_category, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for tree in tile {
            let (column, border, is_missing, hash) = match tree.splits.get(bit) {
                Some(SymmetricSplit::Above { column, border, missing }) => (*column, *border, *missing, None),
                Some(SymmetricSplit::Is { column, hash }) => (*column, f32::INFINITY, false, Some(*hash)),
                None => (0, f32::INFINITY, false, None),
            };
            columns.push(column);
            borders.push(border);
            missing.push(u8::from(is_missing));
            by_category.push(u8::from(hash.is_some()));
            hashes.push(hash.unwrap_or(0));
        }
        Ok(Level {
            columns: on(columns, &self.device)?,
            borders: Tensor::from_vec(borders, shape, &self.device)?,
            missing: Tensor::from_vec(missing, shape, &self.device)?,
            by_category: Tensor::from_vec(by_category, shape, &self.device)?,
            hashes: Tensor::from_vec(hashes, shape, &self.device)?,
        })
    }
}
