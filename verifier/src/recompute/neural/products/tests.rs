//! Products against candle's own, bit by bit.
//!
//! Danger: another order of adding, or another rounding of the row, gives other logits than those that a recorder computed by candle's product.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Module};

use super::*;

/// Numbers of very different sizes, the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    (0..count)
        .map(|place| {
            let size = [1.0, 1e-7, 300.0, 0.0][place / 32 % 4];
            (next() as f32 / 8_388_608.0 - 1.0) * size
        })
        .collect()
}

fn stored(rows: usize, columns: usize, kind: GgmlDType, size: f64) -> QMatMul {
    let tensor = Tensor::from_vec(numbers(rows * columns, 7), (rows, columns), &Device::Cpu).unwrap();
    let tensor = (tensor * size).unwrap();
    QMatMul::from_qtensor(QTensor::quantize(&tensor, kind).unwrap()).unwrap()
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn products_have_the_bits_of_candles() {
    for kind in [GgmlDType::Q8_0, GgmlDType::Q4_1, GgmlDType::Q4_0, GgmlDType::Q5_1] {
        for (rows, columns) in
            [(1, 64), (2, 128), (3, 576), (4, 64), (7, 192), (48, 256), (50, 1536), (1030, 576)]
        {
            let stored = stored(rows, columns, kind, 1.0);
            let matrix = Matrix::with(stored.clone(), true);
            for seed in 0..5 {
                let row = Tensor::from_vec(numbers(columns, seed), (1, columns), &Device::Cpu).unwrap();
                let (ours, candles) = (matrix.forward(&row).unwrap(), stored.forward(&row).unwrap());
                assert_eq!(ours.dims(), candles.dims());
                assert_eq!(bits(&ours), bits(&candles), "{kind:?}, {rows} rows of {columns}, {seed}");
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn scales_that_are_no_numbers_are_left_to_candle() {
    let is_ours = |kind, size| Matrix::with(stored(4, 64, kind, size), true).blocks.is_some();
    let can = pulp::x86::V3::is_available();
    for kind in [GgmlDType::Q8_0, GgmlDType::Q4_1] {
        assert_eq!((is_ours(kind, 1.0), is_ours(kind, 1e8)), (can, false), "{kind:?}");
    }
}
