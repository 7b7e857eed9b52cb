//! A text encoder with what stands on it: a text in; a vector, logits and probabilities out.
//!
//! *Guarantees*: the numbers are computed in `f32`. [`TextModel::score`] is the canonical way: one text, nothing filled up. A panic inside the tokenizer
//! or the engine, should hostile files reach one, becomes an error.
//!
//! *Does not do*: pairs of texts; cutting a text other than the model's files say.

mod attributions;

use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{Device, Tensor};
use serde::Serialize;
use tokenizers::{Tokenizer, TruncationParams};

use super::Processor;
use super::config::{Config, Family};
use super::disentangled::Disentangled;
use super::encoder::{Batch, Encoder};
use super::files::Files;
use super::head::{self, Link};
use super::modern::Modern;
use super::pooling::{self, Pooling};
use super::readout::Readout;
use super::safetensors::Kind;
use super::tokenizer::{self, TEXT_BYTES_MAX};
use super::weights::Weights;
use crate::recompute::error::{ModelError, RowError, malformed, shown};

pub use self::attributions::{Attributions, GradientType, Gradients, TokenShare, WordShare};

/// Numbers of a batch's attention: texts × heads × tokens². 2^28 of them have 1 GiB.
const ATTENTION_MAX: usize = 1 << 28;

/// The engine that computes, with its version.
pub const ENGINE: &str = "candle 0.11.1";

/// A text model that was read and checked.
pub struct TextModel {
    config: Config,
    tokenizer: Tokenizer,
    network: Network,
    readout: Readout,
    stored: Kind,
    tokens_max: usize,
    truncates: bool,
    device: Device,
}

enum Network {
    Plain(Encoder),
    Disentangled(Disentangled),
    Modern(Modern),
}

/// What a model says of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextScore {
    /// What the classifier sees, or the embedding: record this. A changed weight shows in it long before it shows in a probability.
    pub vector: Vec<f32>,
    /// One a label; empty without a classifier.
    pub logits: Vec<f32>,
    /// One a label; empty without a classifier, or with one that gives none.
    pub probabilities: Vec<f32>,
    /// Tokens of the text, the special ones included, as far as the model looked.
    pub tokens: usize,
}

/// What a text model is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextAbout {
    /// The family.
    pub family: &'static str,
    /// Layers, heads, numbers of a vector, tokens of the vocabulary.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers of a token's vector.
    pub width: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of a text, the special ones included.
    pub tokens_max: usize,
    /// Whether a longer text is cut; else it is refused.
    pub truncates: bool,
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// Whether the vector is divided by its length.
    pub normalize: bool,
    /// The labels; none without a classifier.
    pub labels: Vec<String>,
    /// What probabilities are of logits; none without a classifier.
    pub link: Option<Link>,
    /// The type in which the file stores the weights; the computation is in `f32`.
    pub stored: &'static str,
    /// The engine, with its version.
    pub engine: &'static str,
}

impl std::fmt::Debug for TextModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TextModel").field("about", &self.about()).finish_non_exhaustive()
    }
}

impl TextModel {
    /// Reads a model, to be computed on the main processor.
    ///
    /// # Errors
    /// [`ModelError`] says which file is missing or what is wrong in it.
    pub fn load(files: &Files) -> Result<Self, ModelError> {
        Self::load_on(files, Processor::Cpu)
    }

    /// Reads a model, to be computed on a processor of the caller's choice.
    ///
    /// # Errors
    /// As [`TextModel::load`], or this program cannot use such a processor.
    pub fn load_on(files: &Files, processor: Processor) -> Result<Self, ModelError> {
        let device = processor.device()?;
        let config = Config::parse(files.required("config.json")?)?;
        tokenizer::check(files.required("tokenizer.json")?)?;
        let sentence = pooling::read(files)?;
        let head = match (files.optional("head.json"), files.optional("head.safetensors")) {
            (Some(json), Some(weights)) => Some(head::read(json, weights, config.hidden)?),
            (None, None) => None,
            (Some(_), None) => return Err(ModelError::Missing { file: "head.safetensors" }),
            (None, Some(_)) => return Err(ModelError::Missing { file: "head.json" }),
        };
        contained(|| Self::build(files, config, sentence, head, device))
            .unwrap_or_else(|problem| Err(ModelError::Network { problem }))
    }

    fn build(
        files: &Files,
        config: Config,
        sentence: Option<pooling::Sentence>,
        head: Option<head::Head>,
        device: Device,
    ) -> Result<Self, ModelError> {
        let prefixes: &[&str] = match config.family {
            Family::Bert => &["bert."],
            Family::DistilBert => &["distilbert."],
            Family::Roberta => &["roberta."],
            Family::DebertaV2 => &["deberta."],
            Family::ModernBert => &["model."],
        };
        let weights = Weights::read(files.required("model.safetensors")?, prefixes, &device)?;
        let network = match config.family {
            Family::DebertaV2 => Network::Disentangled(Disentangled::new(&config, &weights, &device)?),
            Family::ModernBert => Network::Modern(Modern::new(&config, &weights, &device)?),
            _ => Network::Plain(Encoder::new(&config, &weights)?),
        };
        let readout = match (&sentence, &config.classifier, head) {
            (Some(sentence), _, head @ Some(_)) | (Some(sentence), None, head @ None) => {
                Readout::of_sentence(sentence, head, config.hidden)
            }
            (_, Some(classifier), None) => Readout::of_classifier(classifier, &config, &weights)?,
            (None, ..) => return Err(ModelError::Missing { file: "1_Pooling/config.json" }),
        };
        let given = sentence.and_then(|sentence| sentence.tokens_max);
        let tokens_max = given.unwrap_or(usize::MAX).min(config.tokens_max());
        let truncates = given.is_some();
        let tokenizer = tokenizer_of(files, truncates.then_some(tokens_max), config.vocabulary)?;
        let stored = weights.kind();
        Ok(Self { config, tokenizer, network, readout, stored, tokens_max, truncates, device })
    }

    /// What the model says of a text, computed by itself: the canonical way.
    ///
    /// # Errors
    /// [`RowError`] if the text is too long or cannot be computed.
    pub fn score(&self, text: &str) -> Result<TextScore, RowError> {
        let mut scores = self.score_batch(&[text], None)?;
        scores.pop().ok_or_else(|| RowError::Network { problem: "no answer".to_owned() })
    }

    /// What the model says of texts computed side by side, filled up to `length` tokens, or to the longest of them: as a recorder did it
    /// that answered in batches. The last bits depend on the batch where candle computes.
    ///
    /// # Errors
    /// [`RowError`] if a text is too long, `length` is less than its tokens, or the batch is too large.
    pub fn score_batch(&self, texts: &[&str], length: Option<usize>) -> Result<Vec<TextScore>, RowError> {
        contained(|| self.computed(texts, length))
            .unwrap_or_else(|problem| Err(RowError::Network { problem }))
    }

    fn computed(&self, texts: &[&str], length: Option<usize>) -> Result<Vec<TextScore>, RowError> {
        let ids = texts.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let longest = ids.iter().map(Vec::len).max().unwrap_or(0);
        let length = length.unwrap_or(longest);
        let limit = |what, found, max| {
            if found > max { Err(RowError::TextLength { what, found, max }) } else { Ok(()) }
        };
        limit("tokens", longest, length.min(self.tokens_max))?;
        limit("tokens with what fills up", length, self.tokens_max)?;
        let attention =
            texts.len().saturating_mul(self.config.heads).saturating_mul(length.saturating_mul(length));
        limit("numbers of attention in its batch", attention, ATTENTION_MAX)?;
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let hidden = self.hidden(&ids, length).map_err(|error| computing(&error))?;
        let width = self.config.hidden;
        let rows = hidden.chunks_exact((length * width).max(1)).zip(&ids);
        Ok(rows
            .map(|(row, ids)| {
                let tokens = row.get(..ids.len() * width).unwrap_or_default();
                let read = self.readout.read(tokens, width);
                TextScore {
                    vector: read.vector,
                    logits: read.logits,
                    probabilities: read.probabilities,
                    tokens: ids.len(),
                }
            })
            .collect())
    }

    /// What the model's last layers make of a vector: logits and probabilities, the same on every machine with one mathematics library.
    ///
    /// # Errors
    /// [`RowError`] if the vector has another length than the model's.
    pub fn read_vector(&self, vector: &[f32]) -> Result<TextScore, RowError> {
        let expected = self.config.hidden;
        if vector.len() != expected {
            return Err(RowError::Length { expected, found: vector.len() });
        }
        let (logits, probabilities) = self.readout.read_vector(vector);
        Ok(TextScore { vector: vector.to_vec(), logits, probabilities, tokens: 0 })
    }

    /// The tokens of a text.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, RowError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(RowError::TextLength { what: "bytes", found: text.len(), max: TEXT_BYTES_MAX });
        }
        let encoded = self
            .tokenizer
            .encode_fast(text, true)
            .map_err(|error| RowError::Network { problem: shown(&error.to_string()) })?;
        match encoded.get_ids() {
            [] => Err(RowError::Network { problem: "the tokenizer makes no token of it".to_owned() }),
            ids if ids.iter().any(|id| *id as usize >= self.config.vocabulary) => Err(RowError::Network {
                problem: "the tokenizer makes a token outside the vocabulary".to_owned(),
            }),
            ids => Ok(ids.to_vec()),
        }
    }

    fn hidden(&self, ids: &[Vec<u32>], length: usize) -> candle_core::Result<Vec<f32>> {
        let shape = (ids.len(), length);
        let mut tokens = Vec::with_capacity(ids.len() * length);
        let mut mask = Vec::with_capacity(ids.len() * length);
        let mut places = Vec::with_capacity(ids.len() * length);
        for row in ids {
            let filled = length.saturating_sub(row.len());
            tokens.extend(row.iter().copied().chain(std::iter::repeat_n(self.config.pad, filled)));
            mask.extend(std::iter::repeat_n(1.0_f32, row.len()).chain(std::iter::repeat_n(0.0, filled)));
            places.extend((0_u32..).take(length));
        }
        let batch = Batch {
            is_padded: mask.contains(&0.0),
            ids: Tensor::from_vec(tokens, shape, &self.device)?,
            types: Tensor::zeros(shape, candle_core::DType::U32, &self.device)?,
            mask: Tensor::from_vec(mask, shape, &self.device)?,
            places,
        };
        let hidden = match &self.network {
            Network::Plain(encoder) => encoder.forward(&batch)?,
            Network::Disentangled(encoder) => encoder.forward(&batch)?,
            Network::Modern(encoder) => encoder.forward(&batch)?,
        };
        hidden.flatten_all()?.to_vec1()
    }

    /// What the model is.
    #[must_use]
    pub fn about(&self) -> TextAbout {
        TextAbout {
            family: self.config.family.name(),
            layers: self.config.layers,
            heads: self.config.heads,
            width: self.config.hidden,
            vocabulary: self.config.vocabulary,
            tokens_max: self.tokens_max,
            truncates: self.truncates,
            pooling: self.readout.pooling(),
            normalize: self.readout.normalize(),
            labels: self.readout.labels().to_vec(),
            link: self.readout.link(),
            stored: match self.stored {
                Kind::F16 => "f16",
                Kind::BF16 => "bf16",
                _ => "f32",
            },
            engine: ENGINE,
        }
    }
}

/// The tokenizer, cutting texts as the model's files say and filling nothing up.
pub(super) fn tokenizer_of(
    files: &Files,
    tokens_max: Option<usize>,
    vocabulary: usize,
) -> Result<Tokenizer, ModelError> {
    let bad = |error: &tokenizers::Error| ModelError::Syntax {
        format: "tokenizer.json",
        place: "the whole file".to_owned(),
        problem: shown(&error.to_string()),
    };
    let mut tokenizer =
        Tokenizer::from_bytes(files.required("tokenizer.json")?).map_err(|error| bad(&error))?;
    if tokenizer.get_vocab_size(true) > vocabulary {
        return Err(malformed("tokenizer.json model.vocab", "has more tokens than config.json's vocab_size"));
    }
    let cut = tokens_max.map(|max_length| TruncationParams { max_length, ..TruncationParams::default() });
    tokenizer.with_padding(None);
    tokenizer.with_truncation(cut).map_err(|error| bad(&error))?;
    Ok(tokenizer)
}

/// Runs what other people's code computes of hostile bytes; a panic becomes a problem to report.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| "the engine stopped at something it did not expect".to_owned())
}

pub(super) fn computing(error: &candle_core::Error) -> RowError {
    RowError::Network { problem: shown(error.to_string().lines().next().unwrap_or_default()) }
}
