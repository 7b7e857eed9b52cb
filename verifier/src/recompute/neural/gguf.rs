//! The header of a GGUF file, checked before an engine takes memory for what it claims.
//!
//! *Guarantees*: every string, list and tensor lies inside the file; lists hold no lists; no key stands twice; the sizes of the network are bounded and fit each
//! other. A family, a tokenizer, or a setting of the network that is not known is refused by its name. Memory is a small multiple of the header's length.
//!
//! *Does not do*: read weights.

mod keys;
mod reader;

use std::collections::BTreeMap;

use self::keys::Values;
use self::reader::{Reader, Stored, Value};
pub use super::design::CONTEXT_MAX;
use super::design::{Design, Family};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};
use crate::recompute::tamper::{Block, Kind, Stretch};

/// Bytes of a file.
pub const GGUF_BYTES_MAX: usize = 4_000_000_000;

/// Keys and tensors of a file; the largest published ones have some hundreds and some thousands.
const ENTRIES_MAX: u64 = 1 << 14;
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 1024;

/// Blocks of quantised numbers by the type's number: how many of how many bytes, the first byte of numbers, and a bit in it that is one number's alone.
const BLOCKS: [(u32, Block); 10] = [
    (2, block(32, 18, 2, 0x08)),
    (3, block(32, 20, 4, 0x08)),
    (6, block(32, 22, 6, 0x08)),
    (7, block(32, 24, 8, 0x08)),
    (8, Block { has_bytes: true, ..block(32, 34, 2, 0x40) }),
    (10, block(256, 84, 16, 0x02)),
    (11, block(256, 110, 32, 0x02)),
    (12, block(256, 144, 16, 0x08)),
    (13, block(256, 176, 48, 0x08)),
    (14, block(256, 210, 0, 0x08)),
];

const fn block(numbers: usize, bytes: usize, first: usize, bit: u8) -> Block {
    Block { numbers, bytes, first, bit, has_bytes: false }
}

/// The type of strings in a list.
const LIST_OF_TEXTS: u32 = 8;

/// What the header says of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The name that the file gives, empty if it gives none.
    pub name: String,
    /// The network.
    pub design: Design,
    /// The tokens that end an answer.
    pub ends: Vec<u32>,
    /// The token that is put before a prompt.
    pub begin: Option<u32>,
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
    /// Qwen's words, in which digits stand alone.
    Qwen2,
    /// Llama 3's words, in which up to three digits stand together.
    Llama3,
    /// Not at all: pieces of `SentencePiece`, by their scores, with or without a space put before the text.
    Pieces {
        /// Whether a space is put before the text.
        prefix: bool,
    },
}

impl Split {
    fn of(values: &Values) -> Result<Self, ModelError> {
        let (model, pre) = (values.text("tokenizer.ggml.model"), values.text("tokenizer.ggml.pre"));
        match (model, pre) {
            ("gpt2", "smollm") => Ok(Self::SmolLm),
            ("gpt2", "gpt-2" | "phi-2") => Ok(Self::Gpt2),
            ("gpt2", "qwen2") => Ok(Self::Qwen2),
            ("gpt2", "llama-bpe") => Ok(Self::Llama3),
            ("llama", "" | "default") => {
                Ok(Self::Pieces { prefix: values.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) })
            }
            (model, pre) => {
                let what = format!("the tokenizer {} {}", shown(model), shown(pre));
                Err(unsupported(what, "tokenizer.ggml.pre"))
            }
        }
    }

    /// Whether a prompt begins with the first token where the file does not say.
    const fn begins(self) -> bool {
        matches!(self, Self::Llama3 | Self::Pieces { .. })
    }
}

/// What stands before the weights.
struct Parts {
    values: Values,
    tensors: Vec<Stored>,
    /// Where the weights begin.
    data: usize,
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, ModelError> {
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
        let tensors = (0..tensors).map(|_| reader.tensor()).collect::<Result<Vec<_>, _>>()?;
        let alignment = match values.get("general.alignment") {
            None => 32,
            Some(Value::Number(alignment @ 8..=4096)) if alignment.is_power_of_two() => {
                usize::try_from(*alignment).unwrap_or(32)
            }
            Some(_) => return Err(malformed("general.alignment", "is no power of two from 8 to 4096")),
        };
        let data = reader.at.next_multiple_of(alignment);
        let room = bytes.len().saturating_sub(data);
        if tensors.iter().any(|tensor| tensor.place.end > room) {
            return Err(malformed("a tensor", "does not lie inside the file"));
        }
        Ok(Self { values: Values(values), tensors, data })
    }
}

/// The weights of a file, for changes that somebody could make without saying so.
///
/// # Errors
/// [`ModelError`] as for [`Header::parse`].
pub fn weights(bytes: &[u8]) -> Result<Vec<Stretch>, ModelError> {
    let Parts { tensors, data, .. } = Parts::read(bytes)?;
    let stretch = |tensor: Stored| {
        let kind = match tensor.kind {
            0 => Kind::F32,
            1 => Kind::F16,
            30 => Kind::Bf16,
            number => {
                Kind::Block(*BLOCKS.iter().find(|(known, _)| *known == number).map(|(_, block)| block)?)
            }
        };
        let is_matrix = tensor.sides.len() == 2;
        Some(Stretch {
            kind,
            start: data + tensor.place.start,
            count: tensor.sides.iter().product(),
            row: tensor.sides.first().copied().unwrap_or(1),
            is_matrix,
            is_inner: is_matrix && !tensor.name.contains("embd"),
        })
    };
    Ok(tensors.into_iter().filter_map(stretch).collect())
}

impl Header {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong, and with which key or tensor.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::of(&Parts::read(bytes)?.values)
    }

    fn of(values: &Values) -> Result<Self, ModelError> {
        let architecture = values.text("general.architecture");
        let known = Family::ALL.into_iter().find(|(_, name, ..)| *name == architecture);
        let Some((family, ..)) = known else {
            let what = format!("a network of type {}", shown(architecture));
            return Err(unsupported(what, "general.architecture"));
        };
        let split = Split::of(values)?;
        let vocabulary = match values.list("tokenizer.ggml.tokens") {
            Some((count, longest, LIST_OF_TEXTS)) if count > 0 && longest <= TOKEN_BYTES_MAX => count,
            _ => {
                return Err(malformed(
                    "tokenizer.ggml.tokens",
                    "is missing, or has a token above 1024 bytes",
                ));
            }
        };
        let token = |key: &'static str| match values.optional(key)? {
            None => Ok(None),
            Some(token) => match u32::try_from(token) {
                Ok(narrow) if usize::try_from(token).is_ok_and(|token| token < vocabulary) => {
                    Ok(Some(narrow))
                }
                _ => Err(malformed(key, "is no token of the vocabulary")),
            },
        };
        let ends =
            ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
        let ends =
            ends.into_iter().filter_map(|key| token(key).transpose()).collect::<Result<Vec<_>, _>>()?;
        if ends.is_empty() {
            return Err(malformed("tokenizer.ggml.eos_token_id", "is missing"));
        }
        if values.flag("tokenizer.ggml.add_eos_token")? == Some(true) {
            return Err(unsupported(
                "a prompt that ends with a token of its own",
                "tokenizer.ggml.add_eos_token",
            ));
        }
        let begin = token("tokenizer.ggml.bos_token_id")?;
        let begins = values.flag("tokenizer.ggml.add_bos_token")?.unwrap_or_else(|| split.begins());
        if begins && begin.is_none() {
            return Err(malformed("tokenizer.ggml.bos_token_id", "is missing"));
        }
        let design = values.design(family, architecture, vocabulary)?;
        Ok(Self {
            name: values.text("general.name").to_owned(),
            design,
            ends,
            begin: begin.filter(|_| begins),
            split,
        })
    }
}

#[cfg(test)]
mod tests;
