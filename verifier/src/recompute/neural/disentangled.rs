//! `DeBERTa` v2 and v3 by candle's own network, behind checks of what it would take for granted.
//!
//! *Guarantees*: settings that candle leaves out (`conv_kernel_size`) never reach it (`config`).
//!
//! *Does not do*: pooling.

use candle_core::{DType, Device, Result, Tensor};
use candle_transformers::models::debertav2::{Config as Settings, DebertaV2Model};
use serde_json::{Map, Value, json};

use super::config::{Activation, Config};
use super::encoder::Batch;
use super::weights::{Weights, network};
use crate::recompute::error::{ModelError, malformed, unsupported};

/// Buckets or places of relative distances.
const DISTANCES_MAX: i64 = 4096;

pub(super) struct Disentangled(DebertaV2Model);

impl Disentangled {
    pub(super) fn new(
        config: &Config,
        weights: &Weights,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        let settings: Settings = serde_json::from_value(Value::Object(settings(config)?))
            .map_err(|error| ModelError::json("config.json", &error))?;
        let model = DebertaV2Model::load(weights.builder("deberta.", device).pp("deberta"), &settings);
        model.map(Self).map_err(|error| network(&error))
    }

    pub(super) fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let mask = batch.mask.to_dtype(DType::U32)?;
        self.0.forward(&batch.ids, Some(batch.types.clone()), Some(mask))
    }
}

/// The settings that candle reads, each of them given, so that no default of its own is taken.
fn settings(config: &Config) -> std::result::Result<Map<String, Value>, ModelError> {
    let object = &config.object;
    let distance = |key: &'static str| match object.get(key) {
        None | Some(Value::Null) => Ok(-1),
        Some(value) => value
            .as_i64()
            .filter(|number| (-1..=DISTANCES_MAX).contains(number))
            .ok_or_else(|| malformed(format!("config.json {key}"), "is out of range")),
    };
    let activation = match config.activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_approximate",
        Activation::Relu => "relu",
        Activation::Tanh => return Err(unsupported("the activation tanh", "config.json hidden_act")),
    };
    // candle writes its names in lower case and without a break.
    let activation = activation.replace('_', "");
    let (buckets, places) = (distance("position_buckets")?, distance("max_relative_positions")?);
    if buckets == 0 || buckets == 1 {
        return Err(malformed("config.json position_buckets", "is too small"));
    }
    let flag = |key: &str, usual: bool| object.get(key).and_then(Value::as_bool).unwrap_or(usual);
    let settings = json!({
        "vocab_size": config.vocabulary, "hidden_size": config.hidden, "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads, "intermediate_size": config.intermediate, "hidden_act": activation,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": config.positions,
        "type_vocab_size": config.token_types, "initializer_range": 0.0, "layer_norm_eps": config.epsilon,
        "relative_attention": true, "max_relative_positions": places, "pad_token_id": config.pad,
        "position_biased_input": flag("position_biased_input", true), "position_buckets": buckets,
        "share_att_key": flag("share_att_key", false),
        "pos_att_type": object.get("pos_att_type").cloned().unwrap_or_else(|| json!([])),
        "norm_rel_ebd": object.get("norm_rel_ebd").cloned().unwrap_or_else(|| json!("none")),
    });
    match settings {
        Value::Object(settings) => Ok(settings),
        _ => Err(malformed("config.json", "is no object")),
    }
}
