//! `tokenizer.json`: checked for what could make cutting a text into tokens slow, random or another than the recorder's.
//!
//! *Guarantees*: only parts that are listed here pass; a regular expression passes only if it is, letter by letter, one that published
//! models use, because a backtracking engine can be made to take forever by one; pieces, replacements and words are bounded. Memory is a small multiple
//! of the file's.
//!
//! *Does not do*: cut texts; the crate `tokenizers` does, in `text`.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Bytes of a text that is scored: 8192 tokens, the most that any family takes, of 8 bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 16;

/// Bytes of a token. With [`TEXT_BYTES_MAX`] it bounds the lattice of a unigram model: 2^24 pieces.
const PIECE_BYTES_MAX: usize = 256;

/// Letters of a word that a WordPiece model searches; the time is the square of it.
const WORD_LETTERS_MAX: usize = 1000;

/// Bytes that one match is replaced with, or that are put before a text.
const REPLACEMENT_BYTES_MAX: usize = 16;

/// Regular expressions of published tokenizers: GPT-2, Llama 3, Qwen 2 and 3, runs of spaces (XLM-RoBERTa, DeBERTa), lines and single digits.
const KNOWN_EXPRESSIONS: [&str; 7] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    " {2,}",
    "[\r\n]",
    r"\s+",
    r"\p{N}",
];

const NORMALIZERS: [&str; 13] = [
    "BertNormalizer",
    "Strip",
    "StripAccents",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "Nmt",
    "Precompiled",
    "Replace",
    "Prepend",
    "ByteLevel",
];
const PRE_TOKENIZERS: [&str; 8] = [
    "BertPreTokenizer",
    "ByteLevel",
    "Metaspace",
    "Whitespace",
    "WhitespaceSplit",
    "Punctuation",
    "Digits",
    "Split",
];
const PROCESSORS: [&str; 4] = ["BertProcessing", "RobertaProcessing", "TemplateProcessing", "ByteLevel"];
const DECODERS: [&str; 8] =
    ["WordPiece", "ByteLevel", "Metaspace", "BPEDecoder", "ByteFallback", "Fuse", "Strip", "Replace"];

#[derive(Deserialize)]
struct FileJson {
    normalizer: Option<PartJson>,
    pre_tokenizer: Option<PartJson>,
    post_processor: Option<PartJson>,
    decoder: Option<PartJson>,
    model: ModelJson,
    #[serde(default)]
    added_tokens: Longest,
}

#[derive(Deserialize)]
struct PartJson {
    r#type: String,
    pattern: Option<PatternJson>,
    /// What `Replace` writes; an object in other parts.
    #[serde(default)]
    content: Longest,
    #[serde(default)]
    prepend: Longest,
    #[serde(default, alias = "pretokenizers", alias = "processors", alias = "decoders")]
    normalizers: Vec<Self>,
}

#[derive(Deserialize)]
enum PatternJson {
    String(String),
    Regex(String),
}

#[derive(Deserialize)]
struct ModelJson {
    r#type: String,
    dropout: Option<f32>,
    max_input_chars_per_word: Option<usize>,
    #[serde(default)]
    vocab: Longest,
    #[serde(default)]
    continuing_subword_prefix: Longest,
    #[serde(default)]
    end_of_word_suffix: Longest,
}

/// Checks a `tokenizer.json`.
///
/// # Errors
/// [`ModelError`] says what is not known or bounded, and in which part.
pub fn check(bytes: &[u8]) -> Result<(), ModelError> {
    let file: FileJson =
        serde_json::from_slice(bytes).map_err(|error| ModelError::json("tokenizer.json", &error))?;
    check_part(file.normalizer.as_ref(), &NORMALIZERS, "normalizer")?;
    check_part(file.pre_tokenizer.as_ref(), &PRE_TOKENIZERS, "pre_tokenizer")?;
    check_part(file.post_processor.as_ref(), &PROCESSORS, "post_processor")?;
    check_part(file.decoder.as_ref(), &DECODERS, "decoder")?;
    let model = &file.model;
    if !["WordPiece", "BPE", "Unigram", "WordLevel"].contains(&model.r#type.as_str()) {
        return Err(unsupported(
            format!("a tokenizer of type {}", shown(&model.r#type)),
            "tokenizer.json model.type",
        ));
    }
    if model.dropout.is_some_and(|rate| rate != 0.0) {
        return Err(unsupported(
            "a tokenizer that leaves out merges at random",
            "tokenizer.json model.dropout",
        ));
    }
    let limits = [
        ("bytes in a token", model.vocab.0.max(file.added_tokens.0), PIECE_BYTES_MAX),
        (
            "bytes in a prefix",
            model.continuing_subword_prefix.0.max(model.end_of_word_suffix.0),
            REPLACEMENT_BYTES_MAX,
        ),
        ("letters in a word", model.max_input_chars_per_word.unwrap_or(0), WORD_LETTERS_MAX),
    ];
    match limits.into_iter().find(|(_, found, max)| found > max) {
        Some((what, found, max)) => Err(ModelError::Limit { what, found, max }),
        None => Ok(()),
    }
}

fn check_part(part: Option<&PartJson>, known: &[&str], name: &'static str) -> Result<(), ModelError> {
    let Some(part) = part else { return Ok(()) };
    if part.r#type == "Sequence" {
        return part.normalizers.iter().try_for_each(|inner| check_part(Some(inner), known, name));
    }
    if !known.contains(&part.r#type.as_str()) {
        return Err(unsupported(
            format!("a {name} {}", shown(&part.r#type)),
            format!("tokenizer.json {name}"),
        ));
    }
    let bounded = part.r#type != "Replace" && part.r#type != "Prepend"
        || part.content.0.max(part.prepend.0) <= REPLACEMENT_BYTES_MAX;
    match &part.pattern {
        Some(PatternJson::Regex(expression)) if !KNOWN_EXPRESSIONS.contains(&expression.as_str()) => {
            Err(unsupported(
                format!(
                    "the regular expression {}, which no published model is known to use,",
                    shown(expression)
                ),
                format!("tokenizer.json {name}"),
            ))
        }
        Some(PatternJson::String(text)) if text.is_empty() => {
            Err(malformed(format!("tokenizer.json {name}.pattern"), "is empty"))
        }
        _ if !bounded => Err(malformed(format!("tokenizer.json {name}"), "replaces with more than 16 bytes")),
        _ => Ok(()),
    }
}

/// The length of the longest string in a value, of which nothing is kept.
#[derive(Clone, Copy, Default)]
struct Longest(usize);

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LongestVisitor)
    }
}

struct LongestVisitor;

impl<'de> Visitor<'de> for LongestVisitor {
    type Value = Longest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Longest, E> {
        Ok(Longest(text.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Longest, A::Error> {
        let mut longest = Longest(0);
        while let Some(inner) = sequence.next_element::<Longest>()? {
            longest.0 = longest.0.max(inner.0);
        }
        Ok(longest)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Longest, A::Error> {
        let mut longest = Longest(0);
        while let Some((key, value)) = map.next_entry::<Longest, Longest>()? {
            longest.0 = longest.0.max(key.0).max(value.0);
        }
        Ok(longest)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_unit<E>(self) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_none<E>(self) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Longest, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Longest(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version": "1.0", "truncation": null, "added_tokens": [{"id": 0, "content": "[PAD]"}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": true},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordPiece", "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "a": 1}}}"#;

    #[test]
    fn accepts_what_is_known() {
        check(GOOD.as_bytes()).unwrap();
    }

    #[test]
    fn refuses_what_could_take_forever_or_differ() {
        let long = "a".repeat(300);
        for (from, to, why) in [
            (" {2,}", "(a+)+$", "a pathological expression"),
            (
                r#""content": " "}"#,
                &format!(r#""content": "{long}"}}"#),
                "a replacement that blows a text up",
            ),
            (
                r#""max_input_chars_per_word": 100"#,
                r#""max_input_chars_per_word": 1000000"#,
                "words without end",
            ),
            (r#""a": 1"#, &format!(r#""{long}": 1"#), "a piece without end"),
            ("[PAD]\"}", &format!("{long}\"}}"), "an added piece without end"),
            (r#""type": "WordPiece""#, r#""type": "WordPiece", "dropout": 0.1"#, "chance"),
            ("WordPiece", "Magic", "an unknown model"),
            ("Whitespace", "UnicodeScripts", "an unknown pre-tokenizer"),
            ("Strip", "Shout", "an unknown normalizer"),
            ("Fuse", "CTC", "an unknown decoder"),
            (r#"{"Regex": " {2,}"}"#, r#"{"String": ""}"#, "an empty pattern"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{why}");
            assert!(check(bad.as_bytes()).is_err(), "{why}");
        }
    }
}
