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
use self::reader::{Reader, Value};
pub use super::design::CONTEXT_MAX;
use super::design::{Design, Family};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Bytes of a file.
pub const GGUF_BYTES_MAX: usize = 4_000_000_000;

/// Keys and tensors of a file; the largest published ones have some hundreds and some thousands.
const ENTRIES_MAX: u64 = 1 << 14;
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 1024;

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
