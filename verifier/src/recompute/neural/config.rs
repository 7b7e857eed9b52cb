//! `config.json` of a text encoder: which family, and its sizes, checked before memory is taken for them.
//!
//! *Guarantees*: every size is within a bound and fits the others; an architecture, activation or option that would compute something
//! else than what is reproduced here is refused by its key.
//!
//! *Does not do*: compare the sizes with the weights; building the network does, tensor by tensor.

use serde_json::{Map, Value};

use super::head::LABELS_MAX;
use super::keys::Keys;
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Layers of an encoder; the largest published ones have 48.
const LAYERS_MAX: usize = 96;
/// Numbers of a token's vector; the largest published encoders have 2560.
const HIDDEN_MAX: usize = 8192;
/// Numbers in the middle of a layer.
const INTERMEDIATE_MAX: usize = 1 << 16;
/// Tokens of the vocabulary; XLM-RoBERTa has 250,002.
const VOCABULARY_MAX: usize = 1 << 20;
/// Places of a text; ModernBERT has 8192.
const POSITIONS_MAX: usize = 8192 + 2;
/// Kinds of sentences.
const TOKEN_TYPES_MAX: usize = 16;

/// The families that are reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// BERT, and MiniLM, which has its shape.
    Bert,
    /// `DistilBERT`.
    DistilBert,
    /// `RoBERTa` and `XLM-RoBERTa`.
    Roberta,
    /// `DeBERTa` in its second and third version.
    DebertaV2,
    /// `ModernBERT`.
    ModernBert,
}

impl Family {
    /// The name people know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bert => "BERT",
            Self::DistilBert => "DistilBERT",
            Self::Roberta => "RoBERTa",
            Self::DebertaV2 => "DeBERTa v2",
            Self::ModernBert => "ModernBERT",
        }
    }
}

/// What a layer does to its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x times the normal distribution's function at x.
    Gelu,
    /// The same with a hyperbolic tangent.
    GeluTanh,
    /// The positive part.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
}

/// What a classifier's probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One label is right.
    Single,
    /// Each label is right or wrong by itself.
    Several,
    /// The logits are the answer.
    Regression,
}

/// The classifier that `config.json` says stands on the encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// The labels in the order of the logits.
    pub labels: Vec<String>,
    /// What its probabilities are.
    pub problem: Problem,
}

/// A checked `config.json`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The family.
    pub family: Family,
    /// Layers.
    pub layers: usize,
    /// Attention heads; they divide `hidden`.
    pub heads: usize,
    /// Numbers of a token's vector.
    pub hidden: usize,
    /// Numbers in the middle of a layer.
    pub intermediate: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Places of a text, those that the family keeps for itself included.
    pub positions: usize,
    /// Kinds of sentences; 0 where the family has none.
    pub token_types: usize,
    /// What layer normalization adds to the variance.
    pub epsilon: f64,
    /// What a layer does to its numbers.
    pub activation: Activation,
    /// The token that fills a batch up.
    pub pad: u32,
    /// The classifier, if the architecture has one.
    pub classifier: Option<Classifier>,
    /// The whole object, for what only one family has.
    pub object: Map<String, Value>,
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`ModelError`] names the key.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let object: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| ModelError::json("config.json", &error))?;
        let keys = Keys(&object);
        let family = family_of(keys)?;
        let distil = family == Family::DistilBert;
        let name = |usual: &'static str, distilled: &'static str| if distil { distilled } else { usual };
        let layers = size(keys, name("num_hidden_layers", "n_layers"), LAYERS_MAX)?;
        let heads = size(keys, name("num_attention_heads", "n_heads"), HIDDEN_MAX)?;
        let hidden = size(keys, name("hidden_size", "dim"), HIDDEN_MAX)?;
        let intermediate = size(keys, name("intermediate_size", "hidden_dim"), INTERMEDIATE_MAX)?;
        let vocabulary = size(keys, "vocab_size", VOCABULARY_MAX)?;
        let positions = size(keys, "max_position_embeddings", POSITIONS_MAX)?;
        let token_types = match family {
            Family::Bert | Family::Roberta => size(keys, "type_vocab_size", TOKEN_TYPES_MAX)?,
            Family::DebertaV2 => keys.count("type_vocab_size")?.unwrap_or(0).min(TOKEN_TYPES_MAX + 1),
            _ => 0,
        };
        let epsilon = if distil { 1e-12 } else { keys.epsilon()? };
        let activation = match family {
            Family::DistilBert => keys.activation("activation")?,
            Family::ModernBert => keys.activation("hidden_activation")?,
            _ => keys.activation("hidden_act")?,
        };
        let pad = keys.count("pad_token_id")?.unwrap_or(0);
        if !hidden.is_multiple_of(heads) {
            return Err(malformed("config.json num_attention_heads", "does not divide the hidden size"));
        }
        if token_types > TOKEN_TYPES_MAX || pad >= vocabulary {
            return Err(malformed("config.json type_vocab_size or pad_token_id", "is out of range"));
        }
        let pad = u32::try_from(pad).map_err(|_| malformed("config.json pad_token_id", "is out of range"))?;
        check_options(keys, family)?;
        let classifier = classifier_of(keys)?;
        let config = Self {
            family,
            layers,
            heads,
            hidden,
            intermediate,
            vocabulary,
            positions,
            token_types,
            epsilon,
            activation,
            pad,
            classifier,
            object: Map::new(),
        };
        if config.tokens_max() < 3 {
            return Err(malformed("config.json max_position_embeddings", "leaves no room for a text"));
        }
        Ok(Self { object, ..config })
    }

    /// Tokens of a text, the special ones included.
    #[must_use]
    pub const fn tokens_max(&self) -> usize {
        match self.family {
            // Places begin behind that of the token that fills up.
            Family::Roberta => self.positions.saturating_sub(self.pad as usize + 1),
            _ => self.positions,
        }
    }
}

/// A size that is bounded.
fn size(keys: Keys<'_>, key: &'static str, max: usize) -> Result<usize, ModelError> {
    match keys.size(key)? {
        found if found > max => Err(ModelError::Limit { what: key, found, max }),
        found => Ok(found),
    }
}

impl Keys<'_> {
    fn is(&self, key: &str, expected: bool) -> bool {
        self.0.get(key).is_none_or(|value| value.is_null() || value.as_bool() == Some(expected))
    }

    fn epsilon(&self) -> Result<f64, ModelError> {
        let both =
            [self.0.get("layer_norm_eps"), self.0.get("norm_eps")].map(|value| value.and_then(Value::as_f64));
        match both {
            [Some(epsilon), None] | [None, Some(epsilon)] if epsilon > 0.0 && epsilon < 1.0 => Ok(epsilon),
            [Some(one), Some(other)] if one > 0.0 && one < 1.0 && one.to_bits() == other.to_bits() => Ok(one),
            _ => Err(malformed(
                "config.json layer_norm_eps",
                "is missing, out of range, or contradicts norm_eps",
            )),
        }
    }

    fn activation(&self, key: &'static str) -> Result<Activation, ModelError> {
        match self.text(key) {
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some("relu") => Ok(Activation::Relu),
            Some("tanh") => Ok(Activation::Tanh),
            other => Err(unsupported(
                format!("the activation {}", shown(other.unwrap_or("that is missing"))),
                format!("config.json {key}"),
            )),
        }
    }
}

fn family_of(keys: Keys<'_>) -> Result<Family, ModelError> {
    match keys.text("model_type") {
        Some("bert") => Ok(Family::Bert),
        Some("distilbert") => Ok(Family::DistilBert),
        Some("roberta" | "xlm-roberta" | "camembert") => Ok(Family::Roberta),
        Some("deberta-v2") => Ok(Family::DebertaV2),
        Some("modernbert") => Ok(Family::ModernBert),
        other => Err(unsupported(
            format!("a network of type {}", shown(other.unwrap_or("that is missing"))),
            "config.json model_type",
        )),
    }
}

/// Options that change what is computed, in a way that is not reproduced.
fn check_options(keys: Keys<'_>, family: Family) -> Result<(), ModelError> {
    let refuse = |key: &'static str| Err(unsupported("this option", format!("config.json {key}")));
    if keys.text("position_embedding_type").is_some_and(|kind| kind != "absolute") {
        return refuse("position_embedding_type");
    }
    let off: &[&'static str] = match family {
        Family::ModernBert => &["attention_bias", "mlp_bias", "norm_bias"],
        // Its sinusoids are computed once, into the file, so that the option changes nothing that is read.
        Family::DistilBert => &[],
        _ => &["is_decoder", "add_cross_attention"],
    };
    if let Some(key) = off.iter().find(|key| !keys.is(key, false)) {
        return refuse(key);
    }
    if family == Family::ModernBert {
        size(keys, "global_attn_every_n_layers", LAYERS_MAX)?;
        size(keys, "local_attention", POSITIONS_MAX)?;
        for theta in ["global_rope_theta", "local_rope_theta"] {
            if !keys.0.get(theta).and_then(Value::as_f64).is_some_and(|theta| (1.0..=1e9).contains(&theta)) {
                return Err(malformed(format!("config.json {theta}"), "is missing or out of range"));
            }
        }
        if !keys.is("classifier_bias", false)
            || keys.0.get("rope_scaling").is_some_and(|value| !value.is_null())
        {
            return refuse("classifier_bias or rope_scaling");
        }
        if keys.text("classifier_activation").is_some_and(|name| name != "gelu") {
            return refuse("classifier_activation");
        }
    }
    if family == Family::DebertaV2 {
        if keys.count("conv_kernel_size")?.unwrap_or(0) > 0 {
            return refuse("conv_kernel_size");
        }
        if keys.0.get("relative_attention").is_some_and(|value| value.as_bool() != Some(true)) {
            return refuse("relative_attention");
        }
        for key in ["attention_head_size", "embedding_size", "pooler_hidden_size"] {
            let usual = if key == "attention_head_size" { None } else { keys.count("hidden_size")? };
            let found = keys.count(key)?;
            if found.is_some() && found != usual {
                return refuse(key);
            }
        }
    }
    Ok(())
}

fn classifier_of(keys: Keys<'_>) -> Result<Option<Classifier>, ModelError> {
    let architectures = keys.0.get("architectures").and_then(Value::as_array);
    let is_classifier = architectures.into_iter().flatten().filter_map(Value::as_str);
    if !is_classifier.into_iter().any(|name| name.ends_with("ForSequenceClassification")) {
        return Ok(None);
    }
    let named = keys.0.get("id2label").and_then(Value::as_object);
    let labels: Vec<String> = match named {
        // What transformers takes where the file says nothing.
        None => vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()],
        Some(named) if named.len() > LABELS_MAX => {
            return Err(ModelError::Limit { what: "labels", found: named.len(), max: LABELS_MAX });
        }
        Some(named) => {
            let label =
                |place: usize| named.get(&place.to_string()).and_then(Value::as_str).map(str::to_owned);
            let labels: Option<Vec<String>> = (0..named.len()).map(label).collect();
            labels
                .filter(|labels| !labels.is_empty())
                .ok_or_else(|| malformed("config.json id2label", "does not name the labels 0, 1 and so on"))?
        }
    };
    let problem = match keys.text("problem_type") {
        Some("multi_label_classification") => Problem::Several,
        Some("single_label_classification") => Problem::Single,
        Some("regression") => Problem::Regression,
        None if labels.len() == 1 => Problem::Several,
        None => Problem::Single,
        Some(other) => {
            return Err(unsupported(
                format!("the problem type {}", shown(other)),
                "config.json problem_type",
            ));
        }
    };
    Ok(Some(Classifier { labels, problem }))
}

#[cfg(test)]
mod tests;
