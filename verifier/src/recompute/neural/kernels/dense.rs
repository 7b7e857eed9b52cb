//! A linear layer.
//!
//! *Guarantees*: those of [`Panels`], with the bias added last.
//!
//! *Does not do*: layers without a bias.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Module, Result, Shape, Tensor};
use candle_nn::Linear;
use pulp::Arch;

use super::panels::{PANEL, Panels};
use super::{pieces, read, share};

/// A linear layer.
pub(in crate::recompute::neural) enum Dense {
    /// On a main processor.
    Own(Product),
    /// On another one.
    Candle { layer: Linear, bias: Tensor },
}

/// A layer's weights and bias, as the own kernel reads them.
pub(in crate::recompute::neural) struct Product {
    panels: Panels,
    bias: Vec<f32>,
}

impl Dense {
    /// Of weights (numbers to, numbers from) and a bias (numbers to).
    pub(in crate::recompute::neural) fn new(weight: &Tensor, bias: Tensor) -> Result<Self> {
        if weight.device().is_cpu() {
            return Ok(Self::Own(Product::new(weight, &bias)?));
        }
        // Laid out as it is multiplied: otherwise every text has the whole matrix turned round again, which takes longer than to multiply.
        let layer = Linear::new(weight.t()?.contiguous()?.t()?, Some(bias.clone()));
        Ok(Self::Candle { layer, bias })
    }

    /// The layer's numbers of rows, in any shape before their last dimension.
    pub(in crate::recompute::neural) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Own(product) => x.apply_op1_no_bwd(product),
            Self::Candle { layer, .. } => layer.forward(x),
        }
    }

    /// The weights (numbers to, numbers from) and the bias (numbers to).
    pub(in crate::recompute::neural) fn parts(&self) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Own(Product { panels, bias }) => {
                let weight = Tensor::from_vec(panels.columns(), (panels.to, panels.from), &Device::Cpu)?;
                Ok((weight, Tensor::new(bias.as_slice(), &Device::Cpu)?))
            }
            Self::Candle { layer, bias } => Ok((layer.weight().clone(), bias.clone())),
        }
    }
}

impl Product {
    fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let from = weight.dim(1)?;
        let weights: Vec<f32> = weight.flatten_all()?.to_vec1()?;
        Ok(Self {
            panels: Panels::of_columns(weights.chunks_exact(from.max(1)), from),
            bias: bias.to_vec1()?,
        })
    }
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Panels { from, to, .. } = self.panels;
        let before = match layout.dims().split_last() {
            Some((last, before)) if *last == from => before,
            _ => candle_core::bail!("a layer from {from} numbers got rows of {:?}", layout.dims()),
        };
        let x = read(storage, layout)?;
        let mut y = vec![0.0; x.len() / from.max(1) * to];
        let arch = Arch::new();
        share(pieces(&mut y, to, PANEL), |place, part| {
            let bias = self.bias.get(place * PANEL..).unwrap_or_default();
            self.panels.multiply(arch, place, x, bias, part);
        });
        Ok((CpuStorage::F32(y), Shape::from([before, &[to]].concat())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{farthest, made};
    use super::*;

    fn parts(from: usize, to: usize) -> (Tensor, Tensor) {
        let weight = Tensor::from_vec(made(to * from, 1), (to, from), &Device::Cpu).unwrap();
        (weight, Tensor::from_vec(made(to, 2), to, &Device::Cpu).unwrap())
    }

    #[test]
    fn lies_close_to_candles_layer() {
        for (rows, from, to) in [(1, 1, 1), (7, 33, 65), (40, 384, 130)] {
            let x = Tensor::from_vec(made(rows * from, 3), (1, rows, from), &Device::Cpu).unwrap();
            let (weight, bias) = parts(from, to);
            let own = x.apply_op1_no_bwd(&Product::new(&weight, &bias).unwrap()).unwrap();
            assert_eq!(own.dims(), [1, rows, to]);
            let candle = Linear::new(weight, Some(bias)).forward(&x).unwrap();
            let off = farthest(&own, &candle);
            assert!(off <= 1e-5, "{rows} rows from {from} to {to}: {off:e}");
        }
    }

    #[test]
    fn refuses_rows_of_another_length() {
        let (weight, bias) = parts(4, 3);
        let x = Tensor::zeros((2, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
        let error = x.apply_op1_no_bwd(&Product::new(&weight, &bias).unwrap()).unwrap_err();
        assert!(error.to_string().contains("from 4 numbers got rows of [2, 5]"), "{error}");
    }
}
