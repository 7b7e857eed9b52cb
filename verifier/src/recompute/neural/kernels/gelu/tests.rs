use candle_core::{Device, Tensor};

use super::*;

/// Numbers of `f32` between -20 and 20, one of some hundred.
fn numbers() -> impl Iterator<Item = f32> {
    let positive = (0..20.0_f32.to_bits()).step_by(331).map(f32::from_bits);
    positive.flat_map(|number| [number, -number])
}

#[test]
fn lies_close_to_the_exact_value() {
    for x in numbers() {
        let exact = f64::from(x) * 0.5 * candle_core::cpu::erf::erfc_f64(-f64::from(x) / 2.0_f64.sqrt());
        let off = (f64::from(one(x)) - exact).abs();
        assert!(off <= 2e-7 * f64::from(x).abs().max(1.0), "{x}: off by {off:e}");
    }
    assert!(one(f32::NAN).is_nan());
    assert_eq!([f32::INFINITY, f32::MAX].map(one), [f32::INFINITY, f32::MAX]);
}

#[test]
fn gives_the_same_bits_side_by_side_and_alone() {
    let values: Vec<f32> = numbers().collect();
    let alone: Vec<u32> = values.iter().map(|x| std::hint::black_box(one(*x)).to_bits()).collect();
    let count = values.len();
    let together = Tensor::from_vec(values, count, &Device::Cpu).unwrap();
    together.inplace_op1(&Gelu).unwrap();
    let together: Vec<u32> = together.to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect();
    assert!(alone == together);
}
