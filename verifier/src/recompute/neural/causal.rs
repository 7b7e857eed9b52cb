//! `config.json` of a causal language model: the plan of its network, checked before memory is taken for it.
//!
//! *Guarantees*: a setting that would compute something else than what is reproduced here is refused by its key.
//!
//! *Does not do*: compare the sizes with the weights; building the network does, tensor by tensor.

mod rotary;

use serde_json::{Map, Value};

use super::design::{CONTEXT_MAX, Design, Family};
use super::float;
use super::keys::{Keys, at};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// What the settings say.
#[derive(Debug, PartialEq)]
pub struct Config {
    /// The network.
    pub design: Design,
    /// Whether the last matrix is that of the tokens' vectors.
    pub is_tied: bool,
    /// The tokens that end an answer.
    pub ends: Vec<u32>,
}

impl Config {
    /// Reads and checks `config.json`, and `generation_config.json` where there is one.
    ///
    /// # Errors
    /// [`ModelError`] names the key.
    pub fn parse(bytes: &[u8], generation: Option<&[u8]>) -> Result<Self, ModelError> {
        let object: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| ModelError::json("config.json", &error))?;
        let keys = Keys(&object);
        let family = keys.family()?;
        keys.check_options(family)?;
        let (width, heads) = (keys.size("hidden_size")?, keys.size("num_attention_heads")?);
        let head = match keys.count("head_dim")? {
            Some(head) => head,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(malformed(at("num_attention_heads"), "does not divide the hidden size")),
        };
        let (rotary, local, room) = rotary::read(&keys, family, head)?;
        let scaled = match family.is_gemma() {
            true => keys
                .number("query_pre_attn_scalar")?
                .ok_or_else(|| malformed(at("query_pre_attn_scalar"), "is missing"))?,
            false => float(head),
        };
        let [attention_cap, output_cap] = family.caps();
        let design = Design {
            family,
            layers: keys.size("num_hidden_layers")?,
            width,
            inner: keys.size("intermediate_size")?,
            heads,
            shared: keys.count("num_key_value_heads")?.unwrap_or(heads),
            head,
            vocabulary: keys.size("vocab_size")?,
            context: keys.size("max_position_embeddings")?.min(room).min(CONTEXT_MAX),
            epsilon: keys.number("rms_norm_eps")?.unwrap_or(0.0),
            rotary,
            local,
            window: keys.window(family)?,
            open_every: keys.open_every(family)?,
            scale: 1.0 / scaled.sqrt(),
            attention_cap: keys.cap("attn_logit_softcapping", attention_cap)?,
            output_cap: keys.cap("final_logit_softcapping", output_cap)?,
        };
        design.check("config.json")?;
        keys.check_layers(&design)?;
        let is_tied = keys.flag("tie_word_embeddings")?.unwrap_or(family.is_tied());
        if family.is_tied() && !is_tied {
            return Err(unsupported("a Gemma with a last matrix of its own", at("tie_word_embeddings")));
        }
        let generation = generation.map(serde_json::from_slice::<Map<String, Value>>).transpose();
        let generation = generation.map_err(|error| ModelError::json("generation_config.json", &error))?;
        let generation = generation.as_ref().filter(|object| object.contains_key("eos_token_id"));
        let ends = generation.map_or(keys, Keys).ends(design.vocabulary)?;
        Ok(Self { design, is_tied, ends })
    }
}

impl Keys<'_> {
    fn family(&self) -> Result<Family, ModelError> {
        let named = self.get("architectures").and_then(Value::as_array);
        let named = match named.map(Vec::as_slice) {
            Some([Value::String(one)]) => one.as_str(),
            _ => return Err(malformed(at("architectures"), "does not name one network")),
        };
        let known = Family::ALL.into_iter().find(|(_, _, class, _)| *class == named);
        let known = known.map(|(family, ..)| family);
        known.ok_or_else(|| {
            unsupported(format!("a language model of type {}", shown(named)), at("architectures"))
        })
    }

    /// Settings that change what is computed, in a way that is not reproduced.
    fn check_options(&self, family: Family) -> Result<(), ModelError> {
        let activation = self.text("hidden_activation").or_else(|| self.text("hidden_act"));
        let expected = if family.is_gemma() { "gelu_pytorch_tanh" } else { "silu" };
        match activation {
            Some(activation) if activation != expected => {
                return Err(unsupported(format!("the activation {}", shown(activation)), at("hidden_act")));
            }
            Some(_) => {}
            None if family.is_gemma() => {}
            None => return Err(malformed(at("hidden_act"), "is missing")),
        }
        for key in ["use_sliding_window", "use_bidirectional_attention"] {
            if self.flag(key)? == Some(true) {
                return Err(unsupported("such attention", at(key)));
            }
        }
        if self.get("quantization_config").is_some() {
            return Err(unsupported("a folder of quantised weights", at("quantization_config")));
        }
        Ok(())
    }

    fn cap(&self, key: &str, usual: Option<f64>) -> Result<Option<f64>, ModelError> {
        if self.0.contains_key(key) { self.number(key) } else { Ok(usual) }
    }

    fn window(&self, family: Family) -> Result<Option<usize>, ModelError> {
        match (family, self.count("sliding_window")?) {
            (Family::Gemma2 | Family::Gemma3, None) => Err(malformed(at("sliding_window"), "is missing")),
            (Family::Gemma2 | Family::Gemma3 | Family::Phi3, window) => Ok(window),
            // Qwen's settings name a window that `use_sliding_window` turns on.
            (Family::Qwen2 | Family::Qwen3, _) | (_, None) => Ok(None),
            (_, Some(_)) => Err(unsupported("attention within a window", at("sliding_window"))),
        }
    }

    fn open_every(&self, family: Family) -> Result<usize, ModelError> {
        match family {
            Family::Gemma3 => {
                let written = match self.count("sliding_window_pattern")? {
                    None => self.count("_sliding_window_pattern")?,
                    written => written,
                };
                Ok(written.unwrap_or(family.open_every()))
            }
            family => Ok(family.open_every()),
        }
    }

    /// That a list of the layers' kinds says what the other settings say.
    fn check_layers(&self, design: &Design) -> Result<(), ModelError> {
        let Some(listed) = self.get("layer_types") else { return Ok(()) };
        let expected = (0..design.layers).map(|layer| match design.is_local(layer) {
            true => "sliding_attention",
            false => "full_attention",
        });
        let listed = listed.as_array().map(|kinds| kinds.iter().map(Value::as_str));
        if listed.is_some_and(|kinds| kinds.eq(expected.map(Some))) {
            Ok(())
        } else {
            Err(unsupported("layers in this order", at("layer_types")))
        }
    }

    fn ends(&self, vocabulary: usize) -> Result<Vec<u32>, ModelError> {
        let bad = || malformed(at("eos_token_id"), "names no token of the vocabulary");
        let token = |value: &Value| {
            let number = value
                .as_u64()
                .filter(|number| usize::try_from(*number).is_ok_and(|number| number < vocabulary));
            number.and_then(|number| u32::try_from(number).ok()).ok_or_else(bad)
        };
        match self.get("eos_token_id") {
            Some(Value::Array(values)) if (1..=64).contains(&values.len()) => {
                values.iter().map(token).collect()
            }
            Some(value) => Ok(vec![token(value)?]),
            None => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests;
