//! Encoders that normalise behind each step: BERT, `MiniLM`, `DistilBERT`, `RoBERTa` and `XLM-RoBERTa`, which differ in names and places only.
//!
//! *Guarantees*: the operations of `transformers` in `f32`, in a fixed order for one shape of a batch; the activation is the one that `config.json`
//! names (candle's own `DistilBERT` takes the tanh form of GELU, which is off by 1e-3).
//!
//! *Does not do*: pooling; dropout, which does nothing when a model is used.

mod gradient;

use candle_core::{Result, Tensor};
use candle_nn::{Embedding, Module};

use super::config::{Activation, Config, Family};
use super::kernels::{Dense, Norm, attend, gelu};
use super::weights::Weights;
use crate::recompute::error::ModelError;

pub(super) use self::gradient::{Differentiable, Tape};

/// A batch of texts as tokens, filled up to one length.
pub(super) struct Batch {
    /// Tokens, text by text.
    pub(super) ids: Tensor,
    /// Kinds of sentences.
    pub(super) types: Tensor,
    /// 1 for a token, 0 for what fills up, in `f32`.
    pub(super) mask: Tensor,
    /// Places, counted from 0 in each text.
    pub(super) places: Vec<u32>,
    /// Whether any text is filled up.
    pub(super) is_padded: bool,
}

/// The encoder of a text model.
pub(super) struct Encoder {
    words: Embedding,
    places: Embedding,
    types: Option<Embedding>,
    norm: Norm,
    layers: Vec<Layer>,
    /// What is added to a place, and the place of what fills up, in a family that has one.
    first_place: u32,
}

struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    attention_norm: Norm,
    up: Dense,
    down: Dense,
    norm: Norm,
    heads: usize,
    activation: Activation,
}

/// The names of a layer's parts, in the order of [`Layer`].
const BERT_NAMES: [&str; 8] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

const DISTILBERT_NAMES: [&str; 8] = [
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
];

impl Encoder {
    pub(super) fn new(config: &Config, weights: &Weights) -> std::result::Result<Self, ModelError> {
        let width = config.hidden;
        let embedding = |name: &str, rows: usize| {
            let tensor = weights.encoder(&format!("embeddings.{name}.weight"), &[rows, width])?;
            Ok::<_, ModelError>(Embedding::new(tensor, width))
        };
        let (layers, names) = match config.family {
            Family::DistilBert => ("transformer.layer", DISTILBERT_NAMES),
            _ => ("encoder.layer", BERT_NAMES),
        };
        let layer = |number| Layer::new(config, weights, &format!("{layers}.{number}"), names);
        let types = match config.token_types {
            0 => None,
            rows => Some(embedding("token_type_embeddings", rows)?),
        };
        Ok(Self {
            words: embedding("word_embeddings", config.vocabulary)?,
            places: embedding("position_embeddings", config.positions)?,
            types,
            norm: weights.norm("embeddings.LayerNorm", width, config.epsilon)?,
            layers: (0..config.layers).map(layer).collect::<std::result::Result<_, _>>()?,
            first_place: if config.family == Family::Roberta { config.pad + 1 } else { 0 },
        })
    }

    /// The vectors of the tokens: text, token, dimension.
    pub(super) fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let (texts, length) = batch.ids.dims2()?;
        let places: Vec<u32> = batch.places.iter().map(|place| place + self.first_place).collect();
        let places = Tensor::from_vec(places, (texts, length), batch.ids.device())?;
        let mut hidden = self.words.forward(&batch.ids)?;
        if let Some(types) = &self.types {
            hidden = (hidden + types.forward(&batch.types)?)?;
        }
        hidden = self.norm.forward((hidden + self.places.forward(&places)?)?)?;
        let mask = batch.is_padded.then_some(&batch.mask);
        for layer in &self.layers {
            hidden = layer.forward(&hidden, mask)?;
        }
        Ok(hidden)
    }
}

impl Layer {
    fn new(
        config: &Config,
        weights: &Weights,
        at: &str,
        names: [&str; 8],
    ) -> std::result::Result<Self, ModelError> {
        let [query, key, value, output, attention_norm, up, down, norm] =
            names.map(|name| format!("{at}.{name}"));
        let (width, middle) = (config.hidden, config.intermediate);
        Ok(Self {
            query: weights.dense(&query, width, width)?,
            key: weights.dense(&key, width, width)?,
            value: weights.dense(&value, width, width)?,
            output: weights.dense(&output, width, width)?,
            attention_norm: weights.norm(&attention_norm, width, config.epsilon)?,
            up: weights.dense(&up, width, middle)?,
            down: weights.dense(&down, middle, width)?,
            norm: weights.norm(&norm, width, config.epsilon)?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    fn forward(&self, hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let [query, key, value] = [&self.query, &self.key, &self.value].map(|layer| layer.forward(hidden));
        let attended = attend([&query?, &key?, &value?], self.heads, mask)?;
        let hidden = self.attention_norm.forward((self.output.forward(&attended)? + hidden)?)?;
        let middle = activate(self.activation, self.up.forward(&hidden)?)?;
        self.norm.forward((self.down.forward(&middle)? + hidden)?)
    }
}

fn activate(activation: Activation, values: Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => gelu(values),
        Activation::GeluTanh => values.gelu(),
        Activation::Relu => values.relu(),
        Activation::Tanh => values.tanh(),
    }
}
