//! GELU, `x Φ(x)`, in the form with the error function.
//!
//! *Guarantees*: additions, multiplications, divisions and choices only; within 2e-7 of the exact value, or of it in proportion where `x` is above 1.
//!
//! *Does not do*: the form with the hyperbolic tangent, which other networks were trained with.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};
use pulp::{Arch, NullaryFnOnce};

use super::exponential::exp;
use super::{share, write};

/// Numbers that one thread computes at a time.
const PART: usize = 8192;

/// `exp(a²/2) erfc(a/√2) / 2`, the share of the normal distribution beyond `a` without how fast it falls, as powers of `1/(1 + 0.3 a)`: least
/// greatest error in proportion for `a` up to 13.5, which is 8.8e-8.
const BEYOND: [f32; 9] = [
    6.853_478e-6,
    0.119_493_05,
    0.121_882_14,
    0.094_832_63,
    0.142_185_94,
    -0.076_000_966,
    0.228_218_59,
    -0.168_952_6,
    0.038_334_407,
];

/// Of every number.
pub(in crate::recompute::neural) fn gelu(values: Tensor) -> Result<Tensor> {
    if !values.device().is_cpu() {
        return values.gelu_erf();
    }
    values.inplace_op1(&Gelu)?;
    Ok(values)
}

struct Gelu;

impl InplaceOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let arch = Arch::new();
        share(write(storage, layout)?.chunks_mut(PART), |_, part| {
            arch.dispatch(Each(part));
        });
        Ok(())
    }
}

struct Each<'a>(&'a mut [f32]);

impl NullaryFnOnce for Each<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for number in self.0 {
            *number = one(*number);
        }
    }
}

#[inline(always)]
fn one(x: f32) -> f32 {
    let u = 1.0 / (1.0 + 0.3 * x.abs());
    let beyond = BEYOND.iter().rev().fold(0.0, |sum, factor| sum * u + factor);
    let below = beyond * exp(-0.5 * x * x);
    x * if x < 0.0 { below } else { 1.0 - below }
}

#[cfg(test)]
mod tests;
