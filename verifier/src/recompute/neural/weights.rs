//! The weights of a network by name, in the shapes that its settings give.
//!
//! *Guarantees*: every number is widened to `f32` without loss and is finite; a tensor of another shape than asked for is refused, before a layer is
//! built from it.
//!
//! *Does not do*: quantised weights; `f64` weights, which `f32` would round.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use super::kernels::{Dense, Norm};
use super::safetensors::{self, Kind};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// The tensors of a file.
pub(super) struct Weights {
    tensors: HashMap<String, Tensor>,
    /// What the encoder's names begin with.
    prefix: String,
    kind: Kind,
}

impl Weights {
    /// Reads a file of weights. The encoder's names begin with the first of `prefixes` that a name begins with, or with nothing.
    pub(super) fn read(bytes: &[u8], prefixes: &[&str], device: &Device) -> Result<Self, ModelError> {
        let mut tensors = HashMap::new();
        let mut kind = Kind::F32;
        for (name, stored) in safetensors::tensors(bytes)? {
            // Places written out as whole numbers, in older files.
            if stored.kind == Kind::I64 {
                continue;
            }
            let at = || format!("tensor {}", shown(&name));
            let numbers = widened(stored.kind, stored.bytes)
                .ok_or_else(|| unsupported("a weight that is not F32, F16 or BF16", at()))?;
            if !numbers.iter().all(|number| number.is_finite()) {
                return Err(malformed(at(), "has a number that is not finite"));
            }
            if stored.kind != Kind::F32 {
                kind = stored.kind;
            }
            let tensor = Tensor::from_vec(numbers, stored.shape, device).map_err(|error| network(&error))?;
            tensors.insert(name, tensor);
        }
        let begins = |prefix: &&&str| tensors.keys().any(|name| name.starts_with(**prefix));
        let prefix = prefixes.iter().find(begins).map_or(String::new(), |prefix| (*prefix).to_owned());
        Ok(Self { tensors, prefix, kind })
    }

    /// The type in which the numbers are stored.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// A tensor of the encoder.
    pub(super) fn encoder(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.tensor(&format!("{}{name}", self.prefix), shape)
    }

    /// A tensor by its whole name.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        match self.tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
            Some(tensor) => Err(ModelError::Network {
                problem: format!(
                    "{name} has the shape {:?}, and config.json asks for {shape:?}",
                    tensor.dims()
                ),
            }),
            None => Err(ModelError::Network { problem: format!("{name} is missing") }),
        }
    }

    /// Whether there is a tensor of this whole name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The names of the tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A linear layer of the encoder.
    pub(super) fn dense(&self, name: &str, from: usize, to: usize) -> Result<Dense, ModelError> {
        let weight = self.encoder(&format!("{name}.weight"), &[to, from])?;
        let bias = self.encoder(&format!("{name}.bias"), &[to])?;
        Dense::new(&weight, bias).map_err(|error| network(&error))
    }

    /// A layer normalization of the encoder.
    pub(super) fn norm(&self, name: &str, width: usize, epsilon: f64) -> Result<Norm, ModelError> {
        let weight = self.encoder(&format!("{name}.weight"), &[width])?;
        let bias = self.encoder(&format!("{name}.bias"), &[width])?;
        Norm::new(weight, bias, epsilon).map_err(|error| network(&error))
    }

    /// What candle's own models are built from, with names that begin as they expect.
    pub(super) fn builder(&self, expected: &str, device: &Device) -> VarBuilder<'static> {
        let renamed = |(name, tensor): (&String, &Tensor)| match name.strip_prefix(&self.prefix) {
            Some(rest) => (format!("{expected}{rest}"), tensor.clone()),
            None => (name.clone(), tensor.clone()),
        };
        VarBuilder::from_tensors(self.tensors.iter().map(renamed).collect(), DType::F32, device)
    }
}

/// An error of the engine's while a network is built.
pub(super) fn network(error: &candle_core::Error) -> ModelError {
    // The first line is the message; a backtrace may follow it.
    let said = error.to_string();
    ModelError::Network { problem: shown(said.lines().next().unwrap_or_default()) }
}

fn widened(kind: Kind, bytes: &[u8]) -> Option<Vec<f32>> {
    let numbers = match kind {
        Kind::F32 => {
            bytes.chunks_exact(4).filter_map(|b| Some(f32::from_le_bytes(*b.first_chunk()?))).collect()
        }
        Kind::F16 => bytes
            .chunks_exact(2)
            .filter_map(|b| Some(half::f16::from_le_bytes(*b.first_chunk()?).to_f32()))
            .collect(),
        Kind::BF16 => bytes
            .chunks_exact(2)
            .filter_map(|b| Some(half::bf16::from_le_bytes(*b.first_chunk()?).to_f32()))
            .collect(),
        _ => return None,
    };
    Some(numbers)
}
