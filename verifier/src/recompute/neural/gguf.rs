//! The header of a GGUF file, checked before an engine takes memory for what it claims.
//!
//! *Guarantees*: every string, list and tensor lies inside the file; lists hold no lists; no key stands twice; the sizes of the network are bounded and fit each
//! other. Memory is a small multiple of the header's length.
//!
//! *Does not do*: read weights.

use std::collections::BTreeMap;

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Bytes of a file.
pub const GGUF_BYTES_MAX: usize = 4_000_000_000;

/// Tokens of prompt and answer together: what the engine's table of turns holds.
pub const CONTEXT_MAX: usize = 4096;

/// Keys and tensors of a file; the largest published ones have some hundreds and some thousands.
const ENTRIES_MAX: u64 = 1 << 14;
/// Bytes of a string; chat templates have some thousands.
const STRING_BYTES_MAX: u64 = 1 << 17;
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 1024;
/// Elements of a list; vocabularies have up to 300,000.
const ELEMENTS_MAX: u64 = 1 << 20;
const LAYERS_MAX: u64 = 256;
const WIDTH_MAX: u64 = 1 << 15;

/// Bytes of a block and numbers in it, by the type's number in the format.
const KINDS: [(u32, usize, usize); 13] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
    (30, 1, 2),
];

/// What the header says of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name that the file gives, empty if it gives none.
    pub name: String,
    /// Layers.
    pub layers: usize,
    /// Numbers of a token's vector.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of prompt and answer together.
    pub context: usize,
    /// The token that ends an answer.
    pub end: u32,
    /// How texts are split before tokens are looked for.
    pub split: Split,
}

/// How texts are split before tokens are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// GPT-2's words.
    Gpt2,
    /// Single digits, then GPT-2's words.
    SmolLm,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Float(f64),
    Text(String),
    /// Number of elements and the longest string among them.
    List(usize, usize),
}

impl Header {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong, and with which key or tensor.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(4)? != b"GGUF" || !matches!(reader.u32()?, 2 | 3) {
            return Err(ModelError::Syntax {
                format: "GGUF",
                place: "byte 0".to_owned(),
                problem: "it begins otherwise than such a file of version 2 or 3".to_owned(),
            });
        }
        let (tensors, keys) = (reader.u64()?, reader.u64()?);
        if tensors > ENTRIES_MAX || keys > ENTRIES_MAX {
            return Err(malformed("the header", "has more than 16,384 keys or tensors"));
        }
        let mut values = BTreeMap::new();
        for _ in 0..keys {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind)?;
            if values.insert(key.clone(), value).is_some() {
                return Err(malformed(shown(&key), "stands twice"));
            }
        }
        let ends = (0..tensors).map(|_| reader.tensor()).collect::<Result<Vec<_>, _>>()?;
        let alignment = match values.get("general.alignment") {
            None => 32,
            Some(Value::Number(alignment @ 8..=4096)) if alignment.is_power_of_two() => {
                usize::try_from(*alignment).unwrap_or(32)
            }
            Some(_) => return Err(malformed("general.alignment", "is no power of two from 8 to 4096")),
        };
        let data = bytes.len().saturating_sub(reader.at.next_multiple_of(alignment));
        if ends.into_iter().any(|end| end > data) {
            return Err(malformed("a tensor", "does not lie inside the file"));
        }
        Self::of(&Values(values))
    }

    fn of(values: &Values) -> Result<Self, ModelError> {
        let text = |key: &str| match values.0.get(key) {
            Some(Value::Text(text)) => text.as_str(),
            _ => "",
        };
        if text("general.architecture") != "llama" {
            let what = format!("a network of type {}", shown(text("general.architecture")));
            return Err(unsupported(what, "general.architecture"));
        }
        let (width, heads) = (
            values.size("llama.embedding_length", WIDTH_MAX)?,
            values.size("llama.attention.head_count", WIDTH_MAX)?,
        );
        let shared = values.size("llama.attention.head_count_kv", heads)?;
        let turned = values.size("llama.rope.dimension_count", width)?;
        if !width.is_multiple_of(heads)
            || !heads.is_multiple_of(shared)
            || turned != width / heads
            || turned % 2 == 1
        {
            return Err(malformed("llama.attention.head_count", "does not fit the other sizes"));
        }
        values.check_options()?;
        let split = match (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre")) {
            ("gpt2", "smollm") => Split::SmolLm,
            ("gpt2", "gpt-2") => Split::Gpt2,
            (model, pre) => {
                let what = format!("the tokenizer {} {}", shown(model), shown(pre));
                return Err(unsupported(what, "tokenizer.ggml.pre"));
            }
        };
        let vocabulary = match values.0.get("tokenizer.ggml.tokens") {
            Some(Value::List(count, longest)) if *count > 0 && *longest <= TOKEN_BYTES_MAX => *count,
            _ => {
                return Err(malformed(
                    "tokenizer.ggml.tokens",
                    "is missing, or has a token above 1024 bytes",
                ));
            }
        };
        let end = values.number("tokenizer.ggml.eos_token_id")?;
        let context = usize::try_from(values.number("llama.context_length")?).unwrap_or(usize::MAX);
        let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        match u32::try_from(end) {
            Ok(end) if narrow(u64::from(end)) < vocabulary && context > 1 => Ok(Self {
                name: text("general.name").to_owned(),
                layers: narrow(values.size("llama.block_count", LAYERS_MAX)?),
                width: narrow(width),
                heads: narrow(heads),
                vocabulary,
                context: context.min(CONTEXT_MAX),
                end,
                split,
            }),
            _ => Err(malformed("tokenizer.ggml.eos_token_id or llama.context_length", "is out of range")),
        }
    }
}

struct Values(BTreeMap<String, Value>);

impl Values {
    /// Options that change what is computed, in a way that is not reproduced.
    fn check_options(&self) -> Result<(), ModelError> {
        if matches!(self.0.get("llama.expert_count"), Some(value) if *value != Value::Number(0)) {
            return Err(unsupported("a mixture of experts", "llama.expert_count"));
        }
        if self.0.keys().any(|key| key.starts_with("llama.rope.scaling")) {
            return Err(unsupported("scaled rotary places", "llama.rope.scaling"));
        }
        for (key, least, most) in
            [("llama.attention.layer_norm_rms_epsilon", 1e-12, 1.0), ("llama.rope.freq_base", 1.0, 1e9)]
        {
            match self.0.get(key) {
                Some(Value::Float(number)) if (least..=most).contains(number) => {}
                None if key == "llama.rope.freq_base" => {}
                _ => return Err(malformed(key, "is missing or out of range")),
            }
        }
        Ok(())
    }

    fn number(&self, key: &'static str) -> Result<u64, ModelError> {
        match self.0.get(key) {
            Some(Value::Number(number)) => Ok(*number),
            _ => Err(malformed(key, "is missing or no whole number")),
        }
    }

    fn size(&self, key: &'static str, max: u64) -> Result<u64, ModelError> {
        match self.number(key)? {
            0 => Err(malformed(key, "is 0")),
            number if number <= max => Ok(number),
            _ => Err(malformed(key, "is larger than is read")),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ModelError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| malformed(format!("byte {}", self.at), "the file ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        Ok(self.take(4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    }

    fn u64(&mut self) -> Result<u64, ModelError> {
        Ok(self.take(8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    fn string(&mut self) -> Result<&'a [u8], ModelError> {
        let at = self.at;
        let length = self.u64()?;
        match usize::try_from(length) {
            Ok(count) if length <= STRING_BYTES_MAX => self.take(count),
            _ => Err(malformed(format!("byte {at}"), "is a string above 128 KiB")),
        }
    }

    fn text(&mut self) -> Result<String, ModelError> {
        let at = self.at;
        let text = std::str::from_utf8(self.string()?).map(str::to_owned);
        text.map_err(|_| malformed(format!("byte {at}"), "is not UTF-8"))
    }

    fn value(&mut self, kind: u32) -> Result<Value, ModelError> {
        let at = self.at;
        let value = match kind {
            // Whole numbers; a negative one becomes larger than any bound.
            0 | 1 | 7 => Value::Number(self.take(1)?.first().copied().map_or(0, u64::from)),
            2 | 3 => {
                Value::Number(self.take(2)?.first_chunk().map_or(0, |b| u64::from(u16::from_le_bytes(*b))))
            }
            4 | 5 => Value::Number(u64::from(self.u32()?)),
            10 | 11 => Value::Number(self.u64()?),
            6 => Value::Float(f64::from(f32::from_bits(self.u32()?))),
            12 => Value::Float(f64::from_bits(self.u64()?)),
            8 => Value::Text(self.text()?),
            9 => {
                let (inner, count) = (self.u32()?, self.u64()?);
                if inner == 9 || count > ELEMENTS_MAX {
                    return Err(malformed(
                        format!("byte {at}"),
                        "is a list of lists, or has above a million elements",
                    ));
                }
                let mut longest = 0;
                for _ in 0..count {
                    match inner {
                        8 => longest = longest.max(self.string()?.len()),
                        inner => drop(self.value(inner)?),
                    }
                }
                Value::List(usize::try_from(count).unwrap_or(usize::MAX), longest)
            }
            _ => return Err(malformed(format!("byte {at}"), "has an unknown type")),
        };
        Ok(value)
    }

    /// Where a tensor ends, from the beginning of the data.
    fn tensor(&mut self) -> Result<usize, ModelError> {
        let name = self.text()?;
        let bad = |problem| malformed(format!("tensor {}", shown(&name)), problem);
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > 4 {
            return Err(bad("has none or more than 4 dimensions"));
        }
        let mut count = Some(1_usize);
        for _ in 0..dimensions {
            let side = usize::try_from(self.u64()?).ok();
            count = count.and_then(|count| count.checked_mul(side?));
        }
        let kind = self.u32()?;
        let offset = usize::try_from(self.u64()?).ok();
        let Some((_, block, width)) = KINDS.iter().find(|(number, ..)| *number == kind) else {
            return Err(unsupported(format!("a tensor of type {kind}"), format!("tensor {}", shown(&name))));
        };
        let size = count
            .filter(|count| count.is_multiple_of(*block))
            .and_then(|count| (count / block).checked_mul(*width));
        size.and_then(|size| offset?.checked_add(size)).ok_or_else(|| bad("has sizes that cannot be"))
    }
}

#[cfg(test)]
mod tests;
