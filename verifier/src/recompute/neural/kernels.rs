//! What an encoder computes, as this program computes it on a main processor: linear layers, attention, normalization and GELU.
//!
//! *Guarantees*: IEEE 754's own operations only, in one order, which is written down with each; so one text gives the same bits on every main processor, on any
//! number of threads, alone, in a batch and filled up.
//!
//! *Does not do*: other processors, on which candle's operations compute; activations with a hyperbolic tangent, which are the mathematics library's.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, Layout, Result};

mod attention;
mod dense;
mod exponential;
mod gelu;
mod norm;
mod panels;

pub(super) use attention::attend;
pub(super) use dense::Dense;
pub(super) use gelu::gelu;
pub(super) use norm::Norm;

/// Sums that are added up side by side, place by place, before they are added to each other.
const LANES: usize = 16;

/// Numbers that lie one after another.
fn read<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((start, end))) => Ok(numbers.get(start..end).unwrap_or_default()),
        _ => candle_core::bail!("numbers that are not f32 one after another"),
    }
}

/// As [`read`], to be changed.
fn write<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((start, end))) => Ok(numbers.get_mut(start..end).unwrap_or_default()),
        _ => candle_core::bail!("numbers that are not f32 one after another"),
    }
}

/// Cuts rows into pieces of `length`: all first pieces, all second ones, and so on.
fn pieces(rows: &mut [f32], width: usize, length: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts = Vec::new();
    parts.resize_with(width.div_ceil(length), || Vec::with_capacity(rows.len() / width.max(1)));
    for row in rows.chunks_exact_mut(width.max(1)) {
        parts.iter_mut().zip(row.chunks_mut(length)).for_each(|(part, piece)| part.push(piece));
    }
    parts
}

/// Does each part's work on one of the threads. `work` gets the part's place, and must not share work out itself.
fn share<T: Send>(parts: impl IntoIterator<Item = T>, work: impl Fn(usize, &mut T) + Sync) {
    let parts: Vec<Mutex<T>> = parts.into_iter().map(Mutex::new).collect();
    candle_core::utils::barrier_pool().execute_chunked(parts.len(), |range| {
        for (place, part) in parts.iter().enumerate().take(range.end).skip(range.start) {
            work(place, &mut part.lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
}

/// The sum of what `of` makes of numbers: [`LANES`] sums of every 16th, which are then added from the first to the last. Zeros at the end change nothing.
#[inline(always)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, number)| *sum += of(*number));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, number)| *sum += of(*number));
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    /// The greatest distance of a number from candle's.
    pub(super) fn farthest(own: &Tensor, candle: &Tensor) -> f32 {
        (own - candle).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    /// Numbers between -1 and 1.
    pub(super) fn made(count: usize, seed: usize) -> Vec<f32> {
        let number = |place: usize| u16::try_from((place * 37 + seed * 11) % 101).unwrap();
        (0..count).map(|place| f32::from(number(place)) / 50.5 - 1.0).collect()
    }
}
