//! `ModernBERT` by candle's own network, behind checks of what it would take for granted.
//!
//! *Guarantees*: every layer but the first has its first normalization, which candle would leave out in silence where the file has none.
//!
//! *Does not do*: pooling.

use candle_core::{Device, Result, Tensor};
use candle_transformers::models::modernbert::{Config as Settings, ModernBert};
use serde_json::{Value, json};

use super::config::{Activation, Config};
use super::encoder::Batch;
use super::weights::{Weights, network};
use crate::recompute::error::{ModelError, unsupported};

pub(super) struct Modern(ModernBert);

impl Modern {
    pub(super) fn new(
        config: &Config,
        weights: &Weights,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        if config.activation != Activation::Gelu {
            return Err(unsupported("an activation other than gelu", "config.json hidden_activation"));
        }
        for layer in 1..config.layers {
            weights.encoder(&format!("layers.{layer}.attn_norm.weight"), &[config.hidden])?;
        }
        let key = |name: &str| config.object.get(name).cloned().unwrap_or(Value::Null);
        let settings = json!({
            "vocab_size": config.vocabulary, "hidden_size": config.hidden, "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads, "intermediate_size": config.intermediate,
            "max_position_embeddings": config.positions, "layer_norm_eps": config.epsilon, "pad_token_id": config.pad,
            "global_attn_every_n_layers": key("global_attn_every_n_layers"),
            "global_rope_theta": key("global_rope_theta"), "local_attention": key("local_attention"),
            "local_rope_theta": key("local_rope_theta"),
        });
        let settings: Settings =
            serde_json::from_value(settings).map_err(|error| ModelError::json("config.json", &error))?;
        ModernBert::load(weights.builder("model.", device), &settings)
            .map(Self)
            .map_err(|error| network(&error))
    }

    pub(super) fn forward(&self, batch: &Batch) -> Result<Tensor> {
        self.0.forward(&batch.ids, &batch.mask)
    }
}
