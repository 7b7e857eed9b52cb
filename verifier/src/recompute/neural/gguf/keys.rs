//! What the keys of a GGUF file say of the network.
//!
//! *Guarantees*: a key of the network's that is not known here is refused by its name, since it could change what is computed.
//!
//! *Does not do*: read tensors, some of which stretch the turning of places.

use std::collections::BTreeMap;

use super::super::design::{CONTEXT_MAX, Design, Family, Rotary};
use super::super::{float, narrow};
use super::reader::Value;
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Keys of the network that are read, or that say nothing of it, without the family's name.
const KNOWN: [&str; 23] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "attn_logit_softcapping",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "final_logit_softcapping",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

pub(super) struct Values(pub(super) BTreeMap<String, Value>);

impl Values {
    pub(super) fn text(&self, key: &str) -> &str {
        match self.0.get(key) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn list(&self, key: &str) -> Option<(usize, usize, u32)> {
        match self.0.get(key) {
            Some(Value::List(count, longest, kind)) => Some((*count, *longest, *kind)),
            _ => None,
        }
    }

    pub(super) fn optional(&self, key: &str) -> Result<Option<u64>, ModelError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(malformed(shown(key), "is no whole number")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.optional(key)? {
            None => Ok(None),
            Some(number @ 0..=1) => Ok(Some(number == 1)),
            Some(_) => Err(malformed(shown(key), "is neither true nor false")),
        }
    }

    /// The network, with every key that begins with the family's name.
    pub(super) fn design(&self, family: Family, name: &str, vocabulary: usize) -> Result<Design, ModelError> {
        let keys = Keys { values: self, name };
        keys.check_known()?;
        let (width, heads) = (keys.size("embedding_length")?, keys.size("attention.head_count")?);
        let layers = keys.size("block_count")?;
        let even = width / heads;
        let head = keys.optional("attention.key_length")?.unwrap_or(even);
        if keys.optional("attention.value_length")?.is_some_and(|length| length != head) {
            return Err(unsupported(
                "values of another length than keys",
                keys.key("attention.value_length"),
            ));
        }
        if head == even && even * heads != width {
            return Err(malformed(keys.key("attention.head_count"), "does not fit the other sizes"));
        }
        let turned = keys.optional("rope.dimension_count")?.unwrap_or(head);
        let (rotary, local) = keys.rotary(family, turned)?;
        let context = keys.size("context_length")?;
        let [attention_cap, output_cap] = family.caps();
        let stretched = keys.optional("rope.scaling.original_context_length")?.unwrap_or(context);
        let design = Design {
            family,
            layers,
            width,
            inner: keys.size("feed_forward_length")?,
            heads,
            shared: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
            head,
            vocabulary,
            context: context.min(stretched).min(CONTEXT_MAX),
            epsilon: keys.float("attention.layer_norm_rms_epsilon")?.unwrap_or(0.0),
            rotary,
            local,
            window: keys.window(family)?,
            open_every: keys.open_every(family)?,
            scale: 1.0 / scaled_by(family, layers, head, even).sqrt(),
            attention_cap: keys.cap("attn_logit_softcapping", attention_cap)?,
            output_cap: keys.cap("final_logit_softcapping", output_cap)?,
        };
        design.check(name)?;
        Ok(design)
    }
}

/// What queries are scaled by: the largest Gemmas differ from all others, and no key says so.
fn scaled_by(family: Family, layers: usize, head: usize, even: usize) -> f64 {
    match (family, layers) {
        (Family::Gemma2, 46) | (Family::Gemma3, 62) => float(even),
        _ => float(head),
    }
}

struct Keys<'a> {
    values: &'a Values,
    name: &'a str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn check_known(&self) -> Result<(), ModelError> {
        let begin = format!("{}.", self.name);
        let mut keys = self.values.0.keys().filter_map(|key| key.strip_prefix(&begin));
        if let Some(key) = keys.find(|key| !KNOWN.contains(key)) {
            return Err(unsupported("a network with this setting", shown(&self.key(key))));
        }
        if self.optional("expert_count")?.is_some_and(|count| count != 0) {
            return Err(unsupported("a mixture of experts", self.key("expert_count")));
        }
        Ok(())
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let number = self.values.optional(&self.key(key))?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        match self.optional(key)? {
            None => Err(malformed(self.key(key), "is missing")),
            Some(0) => Err(malformed(self.key(key), "is 0")),
            Some(number) => Ok(number),
        }
    }

    fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.values.0.get(&self.key(key)) {
            None => Ok(None),
            Some(Value::Float(number)) if number.is_finite() => Ok(Some(*number)),
            Some(_) => Err(malformed(self.key(key), "is no number")),
        }
    }

    fn cap(&self, key: &str, usual: Option<f64>) -> Result<Option<f64>, ModelError> {
        Ok(self.float(key)?.or(usual).filter(|cap| *cap != 0.0))
    }

    fn window(&self, family: Family) -> Result<Option<usize>, ModelError> {
        let window = self.optional("attention.sliding_window")?.filter(|window| *window != 0);
        match family {
            Family::Phi3 => Ok(window),
            Family::Gemma2 | Family::Gemma3 if window.is_some() => Ok(window),
            Family::Gemma2 | Family::Gemma3 => {
                Err(malformed(self.key("attention.sliding_window"), "is missing"))
            }
            _ if window.is_none() => Ok(None),
            _ => Err(unsupported("attention within a window", self.key("attention.sliding_window"))),
        }
    }

    fn open_every(&self, family: Family) -> Result<usize, ModelError> {
        Ok(self.optional("attention.sliding_window_pattern")?.unwrap_or(family.open_every()))
    }

    /// How layers turn that see every token, and those that see a window.
    fn rotary(&self, family: Family, turned: usize) -> Result<(Rotary, Rotary), ModelError> {
        let base = match (self.float("rope.freq_base")?, family) {
            (None, Family::Gemma3) => return Err(malformed(self.key("rope.freq_base"), "is missing")),
            (base, _) => narrow(base.unwrap_or(10_000.0)),
        };
        let local = self.float("rope.freq_base_swa")?;
        if local.is_some() && family != Family::Gemma3 {
            return Err(unsupported("two ways to turn places", self.key("rope.freq_base_swa")));
        }
        let kind = self.values.text(&self.key("rope.scaling.type"));
        let factor = match (kind, self.float("rope.scaling.factor")?) {
            ("linear", Some(factor)) => Some(narrow(factor)),
            ("" | "none", None) => None,
            ("longrope", None) if family == Family::Phi3 => None,
            _ => {
                let what = format!("rotary places scaled by the way {}", shown(kind));
                return Err(unsupported(what, self.key("rope.scaling.type")));
            }
        };
        let amplitude = match self.float("rope.scaling.attn_factor")? {
            Some(_) if family != Family::Phi3 => {
                return Err(unsupported("scaled attention", self.key("rope.scaling.attn_factor")));
            }
            amplitude => narrow(amplitude.unwrap_or(1.0)),
        };
        let divisors = factor.map_or(Vec::new(), |factor| vec![factor; (turned / 2).min(CONTEXT_MAX)]);
        let rotary = Rotary { base, turned, divisors, amplitude };
        let local = match family {
            Family::Gemma3 => Rotary {
                base: narrow(local.unwrap_or(10_000.0)),
                turned,
                divisors: Vec::new(),
                amplitude: 1.0,
            },
            _ => rotary.clone(),
        };
        Ok((rotary, local))
    }
}
