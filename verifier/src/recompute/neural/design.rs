//! The plan of a language model's network: its family, and sizes that were checked before memory is taken for them.
//!
//! *Guarantees*: every size is within a bound and fits the others, whichever file it was read from.
//!
//! *Does not do*: compare the sizes with the weights; building the network does, tensor by tensor.

use crate::recompute::error::{ModelError, malformed};

/// Tokens of prompt and answer together.
pub const CONTEXT_MAX: usize = 4096;

const LAYERS_MAX: usize = 256;
const WIDTH_MAX: usize = 1 << 15;
/// Numbers in the middle of a layer.
const INNER_MAX: usize = 1 << 17;
/// Numbers of one head.
const HEAD_MAX: usize = 1024;
/// Tokens; vocabularies have up to 300,000.
const VOCABULARY_MAX: usize = 1 << 20;

/// A family of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3, and what follows it, as `SmolLM` and Mistral without a window.
    Llama,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Phi 3 and 3.5.
    Phi3,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3, its texts alone.
    Gemma3,
}

impl Family {
    /// All families, with their names in GGUF files, in `config.json` (`architectures`), and for people.
    pub const ALL: [(Self, &'static str, &'static str, &'static str); 6] = [
        (Self::Llama, "llama", "LlamaForCausalLM", "Llama"),
        (Self::Qwen2, "qwen2", "Qwen2ForCausalLM", "Qwen 2"),
        (Self::Qwen3, "qwen3", "Qwen3ForCausalLM", "Qwen 3"),
        (Self::Phi3, "phi3", "Phi3ForCausalLM", "Phi 3"),
        (Self::Gemma2, "gemma2", "Gemma2ForCausalLM", "Gemma 2"),
        (Self::Gemma3, "gemma3", "Gemma3ForCausalLM", "Gemma 3"),
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(family, ..)| *family == self).map_or("", |(.., name)| name)
    }

    /// Whether a layer also normalizes what its parts answer, and a token's vector is scaled.
    #[must_use]
    pub const fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }

    /// Whether queries and keys are normalized head by head.
    #[must_use]
    pub const fn has_head_norms(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Gemma3)
    }

    /// Whether queries, keys and values are one matrix, and the two halves of the middle another.
    #[must_use]
    pub const fn is_joined(self) -> bool {
        matches!(self, Self::Phi3)
    }

    /// The bounds that attention's products and the logits bend to where a file does not say.
    #[must_use]
    pub const fn caps(self) -> [Option<f64>; 2] {
        match self {
            Self::Gemma2 => [Some(50.0), Some(30.0)],
            _ => [None, None],
        }
    }

    /// Every how manieth layer sees every token where a file does not say; 0 for none.
    #[must_use]
    pub const fn open_every(self) -> usize {
        match self {
            Self::Gemma2 => 2,
            Self::Gemma3 => 6,
            _ => 0,
        }
    }

    /// Whether the last matrix is always that of the tokens' vectors.
    #[must_use]
    pub const fn is_tied(self) -> bool {
        self.is_gemma()
    }
}

/// How places turn queries and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// The base of the frequencies.
    pub base: f32,
    /// Numbers of a head that are turned.
    pub turned: usize,
    /// What frequencies are divided by: none, or one number for each.
    pub divisors: Vec<f32>,
    /// What the turned numbers are multiplied by.
    pub amplitude: f32,
}

/// The plan of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// The family.
    pub family: Family,
    /// Layers.
    pub layers: usize,
    /// Numbers of a token's vector.
    pub width: usize,
    /// Numbers in the middle of a layer.
    pub inner: usize,
    /// Attention heads.
    pub heads: usize,
    /// Heads of keys and values.
    pub shared: usize,
    /// Numbers of a head.
    pub head: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of prompt and answer together.
    pub context: usize,
    /// What normalization adds to the mean square.
    pub epsilon: f64,
    /// Turning in layers that see every token.
    pub rotary: Rotary,
    /// Turning in layers that see a window.
    pub local: Rotary,
    /// Tokens that a layer with a window sees, the newest included.
    pub window: Option<usize>,
    /// Every how manieth layer sees every token although there is a window; 0 for none.
    pub open_every: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f64,
    /// The bound that those products bend to.
    pub attention_cap: Option<f64>,
    /// The bound that logits bend to.
    pub output_cap: Option<f64>,
}

impl Design {
    /// Whether a layer sees a window only.
    #[must_use]
    pub const fn is_local(&self, layer: usize) -> bool {
        self.window.is_some() && (self.open_every == 0 || !(layer + 1).is_multiple_of(self.open_every))
    }

    /// Checks sizes and settings against their bounds and each other.
    pub(super) fn check(&self, file: &str) -> Result<(), ModelError> {
        let sizes = [
            ("layers", self.layers, LAYERS_MAX),
            ("numbers of a token's vector", self.width, WIDTH_MAX),
            ("numbers in the middle of a layer", self.inner, INNER_MAX),
            ("attention heads", self.heads, WIDTH_MAX),
            ("numbers of an attention head", self.head, HEAD_MAX),
            ("numbers of all attention heads", self.heads.saturating_mul(self.head), WIDTH_MAX),
            ("tokens of the vocabulary", self.vocabulary, VOCABULARY_MAX),
        ];
        if let Some((what, found, max)) = sizes.into_iter().find(|(_, found, max)| found > max) {
            return Err(ModelError::Limit { what, found, max });
        }
        let bad = |problem| Err(malformed(file, problem));
        if sizes.iter().any(|(_, found, _)| *found == 0) {
            return bad("has a size of 0");
        }
        if self.shared == 0 || self.shared > self.heads || !self.heads.is_multiple_of(self.shared) {
            return bad("has heads of keys that do not divide the attention heads");
        }
        for rotary in [&self.rotary, &self.local] {
            let Rotary { base, turned, divisors, amplitude } = rotary;
            if *turned == 0 || *turned > self.head || turned % 2 == 1 {
                return bad("turns more numbers than a head has, none, or an odd number of them");
            }
            let is_count = divisors.is_empty() || divisors.len() == turned / 2;
            let is_sound = divisors.iter().all(|divisor| (1e-3..=1e6).contains(divisor));
            if !(1.0..=1e9).contains(base) || !is_count || !is_sound || !(0.1..=10.0).contains(amplitude) {
                return bad("has rotary settings that are out of range");
            }
        }
        let caps = [self.attention_cap, self.output_cap];
        if !(1e-12..=1.0).contains(&self.epsilon)
            || !(1e-6..=1.0).contains(&self.scale)
            || caps.into_iter().flatten().any(|cap| !(0.1..=1e6).contains(&cap))
        {
            return bad("has a normalization, scale or cap that is out of range");
        }
        if self.context < 2 || self.context > CONTEXT_MAX || self.window == Some(0) {
            return bad("leaves no room for an answer");
        }
        Ok(())
    }
}
