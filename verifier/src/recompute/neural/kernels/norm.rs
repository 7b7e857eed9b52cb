//! Layer normalization.
//!
//! *Guarantees*: mean and variance are sums in one order ([`super::sum`]), the variance that of the numbers less their mean.
//!
//! *Does not do*: normalization without a mean.

use candle_core::{CpuStorage, InplaceOp1, Layout, Module, Result, Tensor};
use candle_nn::LayerNorm;
use pulp::{Arch, NullaryFnOnce};

use super::{share, sum, write};

/// Rows that one thread normalises at a time.
const PART: usize = 16;

/// A layer normalization.
pub(in crate::recompute::neural) struct Norm {
    layer: LayerNorm,
    own: Option<Own>,
}

struct Own {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// Of a weight and a bias of one length.
    pub(in crate::recompute::neural) fn new(weight: Tensor, bias: Tensor, epsilon: f64) -> Result<Self> {
        let own = if weight.device().is_cpu() { Some(Own::new(&weight, &bias, epsilon)?) } else { None };
        Ok(Self { layer: LayerNorm::new(weight, bias, epsilon), own })
    }

    /// Of the rows along the last dimension.
    pub(in crate::recompute::neural) fn forward(&self, x: Tensor) -> Result<Tensor> {
        let Some(own) = &self.own else { return self.layer.forward(&x) };
        x.inplace_op1(own)?;
        Ok(x)
    }

    pub(in crate::recompute::neural) const fn layer(&self) -> &LayerNorm {
        &self.layer
    }
}

impl Own {
    fn new(weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Self> {
        let epsilon = crate::recompute::neural::narrow(epsilon);
        Ok(Self { weight: weight.to_vec1()?, bias: bias.to_vec1()?, epsilon })
    }
}

/// Normalises rows one after another.
struct Rows<'a> {
    by: &'a Own,
    rows: &'a mut [f32],
}

impl NullaryFnOnce for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Own { weight, bias, epsilon } = self.by;
        #[expect(clippy::cast_precision_loss, reason = "a row's length")]
        let count = weight.len() as f32;
        for row in self.rows.chunks_exact_mut(weight.len().max(1)) {
            let mean = sum(row, |number| number) / count;
            for number in &mut *row {
                *number -= mean;
            }
            let variance = sum(row, |number| number * number) / count;
            let spread = (variance + epsilon).sqrt();
            for ((number, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                *number = *number / spread * weight + bias;
            }
        }
    }
}

impl InplaceOp1 for Own {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let width = self.weight.len();
        if layout.dims().last() != Some(&width) {
            candle_core::bail!("a normalization of {width} numbers got rows of {:?}", layout.dims())
        }
        let arch = Arch::new();
        share(write(storage, layout)?.chunks_mut(PART * width.max(1)), |_, rows| {
            arch.dispatch(Rows { by: self, rows });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::super::tests::{farthest, made};
    use super::*;

    fn own(width: usize) -> (Own, LayerNorm) {
        let [weight, bias] =
            [1, 2].map(|seed| Tensor::from_vec(made(width, seed), width, &Device::Cpu).unwrap());
        (Own::new(&weight, &bias, 1e-12).unwrap(), LayerNorm::new(weight, bias, 1e-12))
    }

    #[test]
    fn lies_close_to_candles_layer() {
        for (rows, width) in [(1, 2), (17, 33), (40, 384)] {
            let (own, candle) = own(width);
            let x = Tensor::from_vec(made(rows * width, 3), (1, rows, width), &Device::Cpu).unwrap();
            let expected = candle.forward(&x).unwrap();
            x.inplace_op1(&own).unwrap();
            let off = farthest(&x, &expected);
            assert!(off <= 2e-6, "{rows} rows of {width}: {off:e}");
        }
    }

    #[test]
    fn refuses_rows_of_another_length() {
        let x = Tensor::zeros((2, 5), DType::F32, &Device::Cpu).unwrap();
        let error = x.inplace_op1(&own(4).0).unwrap_err();
        assert!(error.to_string().contains("of 4 numbers got rows of [2, 5]"), "{error}");
    }
}
