//! The weights of a safetensors file, for changes that somebody could make without saying so.
//!
//! *Guarantees*: embeddings are no weights to change a single one of: a token that no text has would show in none.
//!
//! *Does not do*: change them; [`crate::recompute::tamper`] does.

use super::files::Files;
use super::safetensors::{self, Kind};
use crate::recompute::error::{ModelError, unsupported};
use crate::recompute::tamper::{self, Stretch};
pub use crate::recompute::tamper::{ONE_WEIGHTS, Tamper};

/// The file of a folder that has the weights.
const WEIGHTS: &str = "model.safetensors";

impl Tamper {
    /// The model's files with its weights changed.
    ///
    /// # Errors
    /// There are no weights, or none of which one can be changed.
    pub fn apply(self, files: &Files) -> Result<Files, ModelError> {
        match self.changed(files)? {
            Some(changed) => Ok(changed),
            None if matches!(self, Self::OneWeight(_)) => {
                Err(unsupported("a model without matrices of floating-point numbers", WEIGHTS))
            }
            None => Ok(files.clone()),
        }
    }

    /// The same; none if that changes no byte.
    ///
    /// # Errors
    /// There are no weights.
    pub fn changed(self, files: &Files) -> Result<Option<Files>, ModelError> {
        let bytes = files.required(WEIGHTS)?;
        let changed = self.change(bytes, &stretches(bytes)?);
        Ok(changed.map(|changed| files.clone().with(WEIGHTS, changed)))
    }
}

fn stretches(bytes: &[u8]) -> Result<Vec<Stretch>, ModelError> {
    let stretch = |(name, stored): (String, safetensors::Stored<'_>)| {
        let kind = match stored.kind {
            Kind::F32 => tamper::Kind::F32,
            Kind::F16 => tamper::Kind::F16,
            Kind::BF16 => tamper::Kind::Bf16,
            _ => return None,
        };
        let is_matrix = stored.shape.len() == 2;
        Some(Stretch {
            kind,
            start: stored.offset,
            count: stored.bytes.len() / stored.kind.width(),
            row: stored.shape.last().copied().unwrap_or(1),
            is_matrix,
            is_inner: is_matrix && !name.contains("mbed"),
        })
    };
    Ok(safetensors::tensors(bytes)?.into_iter().filter_map(stretch).collect())
}
