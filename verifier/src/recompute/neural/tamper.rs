//! Changes to a model's weights that somebody could make without saying so, for measuring how well a tolerance tells them apart.
//!
//! *Guarantees*: every change leaves the file well formed and the weights stored as `f32`, so that only the numbers differ. The same file gives the same
//! changes.
//!
//! *Does not do*: hide anything; the digest of the files changes with every one of them.

use super::files::Files;
use super::safetensors::{self, Kind, Stored};
use crate::recompute::error::{ModelError, unsupported};

/// Single weights that are tried. Some of them hardly matter to any text, so that one alone would say little.
pub const ONE_WEIGHTS: usize = 16;

/// A change of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// One weight of the encoder, plus 0.01: the n-th of [`ONE_WEIGHTS`] that lie evenly among those of its matrices.
    OneWeight(usize),
    /// All weights rounded to half precision.
    F16,
    /// All weights rounded to the upper half of a single.
    Bf16,
    /// All matrices rounded to 255 steps a row.
    Int8,
}

impl Tamper {
    /// Those that change every weight.
    pub const WHOLE: [Self; 3] = [Self::F16, Self::Bf16, Self::Int8];

    /// Its name in a profile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWeight(_) => "one weight +0.01",
            Self::F16 => "weights f16",
            Self::Bf16 => "weights bf16",
            Self::Int8 => "weights int8",
        }
    }

    /// The model's files with its weights changed.
    ///
    /// # Errors
    /// There are no weights, or none that are stored as `f32`.
    pub fn apply(self, files: &Files) -> Result<Files, ModelError> {
        let bytes = files.required("model.safetensors")?;
        let tensors = safetensors::tensors(bytes)?;
        let mut changed = bytes.to_vec();
        let matrices = tensors.iter().filter(|(_, stored)| stored.kind == Kind::F32);
        if let Self::OneWeight(number) = self {
            // Embeddings are left alone: a token that no text has would show in none.
            let inner =
                matrices.filter(|(name, stored)| !name.contains("mbedding") && stored.shape.len() == 2);
            let inner: Vec<&Stored<'_>> = inner.map(|(_, stored)| stored).collect();
            let weights: usize = inner.iter().map(|stored| stored.bytes.len() / 4).sum();
            let mut place = weights / (2 * ONE_WEIGHTS) * (2 * (number % ONE_WEIGHTS) + 1);
            for stored in inner {
                let here = stored.bytes.len() / 4;
                if place < here {
                    change(&mut changed, stored.offset + place * 4, |number| number + 0.01);
                    return Ok(files.clone().with("model.safetensors", changed));
                }
                place -= here;
            }
            return Err(unsupported("a model without f32 matrices", "model.safetensors"));
        }
        for (_, stored) in matrices {
            self.round(stored, &mut changed);
        }
        Ok(files.clone().with("model.safetensors", changed))
    }

    fn round(self, stored: &Stored<'_>, changed: &mut [u8]) {
        let row = stored.shape.last().copied().unwrap_or(1).max(1) * 4;
        for (place, numbers) in stored.bytes.chunks(row).enumerate() {
            let values =
                numbers.chunks_exact(4).filter_map(|bytes| Some(f32::from_le_bytes(*bytes.first_chunk()?)));
            let step = values.fold(0.0_f32, |most, number| most.max(number.abs())) / 127.0;
            let start = stored.offset + place * row;
            for offset in (start..start + numbers.len()).step_by(4) {
                change(changed, offset, |number| match self {
                    Self::F16 => half::f16::from_f32(number).to_f32(),
                    Self::Bf16 => half::bf16::from_f32(number).to_f32(),
                    Self::Int8 if stored.shape.len() == 2 && step > 0.0 => (number / step).round() * step,
                    Self::Int8 | Self::OneWeight(_) => number,
                });
            }
        }
    }
}

fn change(bytes: &mut [u8], offset: usize, to: impl Fn(f32) -> f32) {
    if let Some(number) = bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *number = to(f32::from_le_bytes(*number)).to_le_bytes();
    }
}
