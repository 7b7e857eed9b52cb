//! What the device can do at best, measured in the same run: bytes moved and numbers multiplied a second.

use candle_core::{DType, Device, Tensor};
use ledgerstone_verifier::recompute::processor::Processor;

use super::fastest;

pub(crate) struct Floor {
    /// Bytes a second that an addition of two long lists reads and writes.
    pub(crate) bytes: f64,
    /// Additions and multiplications a second of a large product of matrices in `f32`.
    pub(crate) operations: f64,
}

impl Floor {
    pub(crate) fn measure(processor: Processor, turns: usize) -> Self {
        let (device, length, side) = match processor {
            Processor::Cpu => (Device::Cpu, 1 << 24, 1024),
            Processor::Cuda => (Device::new_cuda(0).expect("a graphics processor"), 1 << 28, 8192),
        };
        let list = Tensor::ones(length, DType::F32, &device).expect("memory");
        let matrix = Tensor::rand(0_f32, 1.0, (side, side), &device).expect("memory");
        let mut work = || (&list + &list).and_then(|_| device.synchronize()).expect("an addition");
        work();
        let (_, adding) = fastest(turns, &mut work);
        let mut work = || matrix.matmul(&matrix).and_then(|_| device.synchronize()).expect("a product");
        work();
        let (_, multiplying) = fastest(turns, &mut work);
        let floor = Self {
            bytes: 3.0 * 4.0 * length as f64 / adding,
            operations: 2.0 * (side as f64).powi(3) / multiplying,
        };
        println!(
            "floor: {:.1} GB/s moved by additions, {:.3} TFLOP/s in an f32 product of {side} x {side}",
            floor.bytes / 1e9,
            floor.operations / 1e12
        );
        floor
    }
}
