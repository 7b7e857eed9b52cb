//! A matrix as a language model's file stores it, times one row.
//!
//! *Guarantees*: the bits are those of candle's own product, on every machine: where candle adds up block by block, one row at a time, four rows are added up
//! side by side, each in candle's order.
//!
//! *Does not do*: several rows in one product; kinds of weights, and processors, for which candle's own product is the only one.

use candle_core::quantized::QMatMul;
use candle_core::{Module, Result, Tensor};

#[cfg(target_arch = "x86_64")]
mod blocks;

/// A matrix, and how it is multiplied.
#[derive(Clone)]
pub(super) struct Matrix {
    stored: QMatMul,
    #[cfg(target_arch = "x86_64")]
    blocks: Option<blocks::Blocks>,
}

impl Matrix {
    pub(super) fn new(stored: QMatMul) -> Self {
        // A build that is not optimised would take a hundred times as long as candle, which is optimised in every build.
        Self::with(stored, !cfg!(debug_assertions))
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "there is one way only"))]
    fn with(stored: QMatMul, is_fast: bool) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            blocks: match &stored {
                QMatMul::QTensor(tensor) if is_fast => blocks::Blocks::of(tensor),
                _ => None,
            },
            stored,
        }
    }

    /// The product with a row.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        #[cfg(target_arch = "x86_64")]
        if let (Some(blocks), QMatMul::QTensor(tensor)) = (&self.blocks, &self.stored) {
            return blocks.product(tensor, x);
        }
        self.stored.forward(x)
    }

    /// The rows of these numbers.
    pub(super) fn embedding(&self, rows: &Tensor) -> Result<Tensor> {
        self.stored.embedding(rows)
    }
}

#[cfg(test)]
mod tests;
