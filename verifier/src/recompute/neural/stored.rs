//! The tensors of a language model, as a GGUF file or a folder of safetensors stores them.
//!
//! *Guarantees*: a tensor of another shape than asked for is refused, and so is one that nothing asked for: it would change what the model says.
//!
//! *Does not do*: know the network.

use std::collections::BTreeSet;
use std::io::Cursor;

use candle_core::quantized::QMatMul;
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};

use super::decoder::Source;
use super::design::Family;
use super::weights::{Weights, network};
use crate::recompute::error::{ModelError, shown, unsupported};

fn nothing_left(name: Option<&str>) -> Result<(), ModelError> {
    match name {
        None => Ok(()),
        Some(name) => Err(unsupported("a network with this tensor", format!("tensor {}", shown(name)))),
    }
}

/// Those of a GGUF file.
pub(super) struct GgufTensors<'a> {
    content: &'a Content,
    bytes: &'a [u8],
    is_interleaved: bool,
    /// Tensors that were asked for.
    taken: BTreeSet<String>,
}

impl<'a> GgufTensors<'a> {
    pub(super) fn new(content: &'a Content, bytes: &'a [u8], family: Family) -> Self {
        Self { content, bytes, is_interleaved: family == Family::Llama, taken: BTreeSet::new() }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<candle_core::quantized::QTensor, ModelError> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(ModelError::Network { problem: format!("{name} is missing") });
        };
        if info.shape.dims() != shape {
            let problem =
                format!("{name} has the shape {:?}, and the header asks for {shape:?}", info.shape.dims());
            return Err(ModelError::Network { problem });
        }
        self.taken.insert(name.to_owned());
        let mut reader = Cursor::new(self.bytes);
        self.content.tensor(&mut reader, name, &Device::Cpu).map_err(|error| network(&error))
    }

    /// Refuses tensors that nothing asked for.
    pub(super) fn finish(&self, unread: &[&str]) -> Result<(), ModelError> {
        let mut names = self.content.tensor_infos.keys().map(String::as_str);
        nothing_left(names.find(|name| !self.taken.contains(*name) && !unread.contains(name)))
    }
}

impl Source for GgufTensors<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<QMatMul, ModelError> {
        QMatMul::from_qtensor(self.tensor(name, &[rows, columns])?).map_err(|error| network(&error))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, ModelError> {
        self.tensor(name, &[length])?.dequantize(&Device::Cpu).map_err(|error| network(&error))
    }

    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn is_interleaved(&self) -> bool {
        self.is_interleaved
    }
}

/// Names in a layer, as GGUF files and as transformers write them.
const NAMES: [(&str, &str); 17] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_output", "self_attn.o_proj"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
];

/// Those of a folder.
pub(super) struct FolderTensors<'a> {
    weights: &'a Weights,
    family: Family,
    /// Whether the last matrix is that of the tokens' vectors, although there may be another in the file.
    is_tied: bool,
    /// Tensors that were asked for.
    taken: BTreeSet<String>,
}

impl<'a> FolderTensors<'a> {
    pub(super) const fn new(weights: &'a Weights, family: Family, is_tied: bool) -> Self {
        Self { weights, family, is_tied, taken: BTreeSet::new() }
    }

    /// The name in the folder.
    fn name(&self, name: &str) -> String {
        let (whole, end) = name.rsplit_once('.').unwrap_or((name, ""));
        let (layer, part) = match whole.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => (format!("model.layers.{layer}."), part),
            None => (String::new(), whole),
        };
        let theirs = match part {
            "ffn_norm" if self.family.is_gemma() => "pre_feedforward_layernorm",
            "ffn_up" if self.family.is_joined() => "mlp.gate_up_proj",
            part => NAMES.iter().find(|(ours, _)| *ours == part).map_or(part, |(_, theirs)| theirs),
        };
        format!("{layer}{theirs}.{end}")
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let name = self.name(name);
        let tensor = self.weights.tensor(&name, shape);
        self.taken.insert(name);
        tensor
    }

    /// Refuses tensors that nothing asked for.
    pub(super) fn finish(&self) -> Result<(), ModelError> {
        let is_known = |name: &str| {
            self.taken.contains(name)
                || name.ends_with(".inv_freq")
                || self.is_tied && name == "lm_head.weight"
        };
        nothing_left(self.weights.names().find(|name| !is_known(name)))
    }
}

impl Source for FolderTensors<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<QMatMul, ModelError> {
        Ok(QMatMul::Tensor(self.tensor(name, &[rows, columns])?))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, ModelError> {
        let stored = self.tensor(name, &[length])?;
        let is_norm = name.ends_with("norm.weight");
        // Gemma stores by how much its norms differ from 1.
        if self.family.is_gemma() && is_norm {
            (stored + 1.0).map_err(|error| network(&error))
        } else {
            Ok(stored)
        }
    }

    fn has(&self, name: &str) -> bool {
        // A matrix that the settings promise is asked for, so that its absence is named.
        if name == "output.weight" { !self.is_tied } else { self.weights.has(&self.name(name)) }
    }

    fn is_interleaved(&self) -> bool {
        false
    }
}
