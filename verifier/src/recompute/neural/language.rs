//! A language model from a GGUF file: a prompt in, tokens out, one step at a time.
//!
//! *Guarantees*: every token, those of the prompt too, is a step of its own, because one pass over a whole prompt gives other numbers. The same file, prompt
//! and settings give the same tokens on one machine, whatever the number of threads.
//!
//! *Does not do*: chat templates; other networks than Llama's.

use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use ledgerstone::hash::Hash;
use serde::Serialize;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use super::gguf::{Header, Split};
use super::sampler::Sampling;
use super::text::{computing, contained};
use super::tokenizer::TEXT_BYTES_MAX;
use super::weights::network;
use crate::recompute::error::{ModelError, RowError, shown};

/// A language model that was read and checked.
pub struct LanguageModel {
    header: Header,
    tokenizer: Tokenizer,
    weights: ModelWeights,
    digest: Hash,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model said so.
    Stop,
    /// There were as many tokens as were asked for, or as there is room for.
    Length,
}

/// A token of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The token.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
    /// By how much the greatest logit of this step exceeds the next one.
    pub margin: f32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generation {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer, that which ends it included.
    pub steps: Vec<Step>,
    /// The answer as text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
}

/// Where a recorded answer leaves the recomputed one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Place of the token in the answer, from 0.
    pub step: usize,
    /// The token of the record.
    pub recorded: u32,
    /// The token that the model gives there; none if it had ended.
    pub recomputed: u32,
    /// By how much the recomputed token's logit exceeds the recorded one's: near 0 it may be rounding, far from it is not.
    pub behind: f32,
}

/// What the model says at one step of a recorded answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// What it would have chosen.
    pub chosen: Step,
    /// Its logit of the recorded token.
    pub logit: f32,
}

impl Followed {
    /// What logits say at a step of which `recorded` is the token.
    fn at(place: usize, recorded: u32, logits: &[f32], sampling: &Sampling) -> Self {
        let logit = logits.get(recorded as usize).copied().unwrap_or(f32::NEG_INFINITY);
        Self { chosen: step_of(logits, place, sampling), logit }
    }

    /// How the model's choice differs from the `recorded` token of this step; none if it is the same.
    #[must_use]
    pub fn difference(&self, step: usize, recorded: u32) -> Option<Difference> {
        let recomputed = self.chosen.token;
        let behind = self.chosen.logit - self.logit;
        (recomputed != recorded).then_some(Difference { step, recorded, recomputed, behind })
    }
}

impl std::fmt::Debug for LanguageModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LanguageModel").field("header", &self.header).finish_non_exhaustive()
    }
}

impl LanguageModel {
    /// Reads a GGUF file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong in it.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        let header = Header::parse(bytes)?;
        let build = || {
            let mut reader = Cursor::new(bytes);
            let content = Content::read(&mut reader)?;
            let mut tokenizer = Tokenizer::from_gguf(&content)?;
            // candle takes GPT-2's words with a space put before them, whatever the file says.
            let words = ByteLevel::new(false, true, true);
            tokenizer.with_pre_tokenizer(Some(match header.split {
                Split::Gpt2 => PreTokenizerWrapper::from(words),
                Split::SmolLm => Sequence::new(vec![Digits::new(true).into(), words.into()]).into(),
            }));
            let weights = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu)?;
            Ok((tokenizer, weights))
        };
        let built = contained(build).map_err(|problem| ModelError::Network { problem })?;
        let (tokenizer, weights) = built.map_err(|error: candle_core::Error| network(&error))?;
        Ok(Self { header, tokenizer, weights, digest: Hash::of(bytes) })
    }

    /// Answers a prompt with at most `tokens_max` tokens.
    ///
    /// # Errors
    /// [`RowError`] if the prompt is too long or cannot be computed.
    pub fn generate(
        &mut self,
        prompt: &str,
        tokens_max: usize,
        sampling: &Sampling,
    ) -> Result<Generation, RowError> {
        let prompt = self.tokens(prompt)?;
        let room = self.header.context.saturating_sub(prompt.len()).min(tokens_max);
        let end = self.header.end;
        let mut steps: Vec<Step> = Vec::new();
        let mut finish = Finish::Length;
        self.walk(&prompt, |place, logits| {
            if place == room {
                return None;
            }
            let step = step_of(logits, place, sampling);
            steps.push(step);
            if step.token == end {
                finish = Finish::Stop;
                return None;
            }
            Some(step.token)
        })?;
        let ids: Vec<u32> = steps.iter().map(|step| step.token).collect();
        let text = self.text_of(&ids)?;
        Ok(Generation { prompt_tokens: prompt.len(), steps, text, finish })
    }

    /// Where the model, following a recorded answer token by token, would first have said another; none if it says the same.
    ///
    /// # Errors
    /// As [`LanguageModel::generate`]; also if the record has a token outside the vocabulary.
    pub fn compare(
        &mut self,
        prompt: &str,
        recorded: &[u32],
        sampling: &Sampling,
    ) -> Result<Option<Difference>, RowError> {
        let prompt = self.checked(prompt, recorded)?;
        let mut difference = None;
        self.walk(&prompt, |place, logits| {
            let token = *recorded.get(place)?;
            difference = Followed::at(place, token, logits, sampling).difference(place, token);
            difference.is_none().then_some(token)
        })?;
        Ok(difference)
    }

    /// What the model says at each step of a recorded answer, followed token by token.
    ///
    /// # Errors
    /// As [`LanguageModel::compare`].
    pub fn follow(
        &mut self,
        prompt: &str,
        recorded: &[u32],
        sampling: &Sampling,
    ) -> Result<Vec<Followed>, RowError> {
        let prompt = self.checked(prompt, recorded)?;
        let mut steps = Vec::with_capacity(recorded.len());
        self.walk(&prompt, |place, logits| {
            let token = *recorded.get(place)?;
            steps.push(Followed::at(place, token, logits, sampling));
            // What the last token would lead to is not asked.
            (place + 1 < recorded.len()).then_some(token)
        })?;
        Ok(steps)
    }

    /// The tokens of an answer as text, without those that only end it.
    ///
    /// # Errors
    /// [`RowError`] if they are none of the model's.
    pub fn text_of(&self, tokens: &[u32]) -> Result<String, RowError> {
        let text = contained(|| self.tokenizer.decode(tokens, true))
            .map_err(|problem| RowError::Network { problem })?;
        text.map_err(|error| RowError::Network { problem: shown(&error.to_string()) })
    }

    /// The tokens of a prompt, after which a recorded answer has room.
    fn checked(&self, prompt: &str, recorded: &[u32]) -> Result<Vec<u32>, RowError> {
        let prompt = self.tokens(prompt)?;
        if recorded.iter().any(|token| *token as usize >= self.header.vocabulary) {
            return Err(RowError::Network {
                problem: "the record has a token outside the vocabulary".to_owned(),
            });
        }
        let found = prompt.len().saturating_add(recorded.len());
        if found > self.header.context {
            return Err(RowError::TextLength {
                what: "tokens with its answer",
                found,
                max: self.header.context,
            });
        }
        Ok(prompt)
    }

    /// Feeds the prompt and then what `next` says of the logits, one token a step, until it says nothing.
    fn walk(
        &mut self,
        prompt: &[u32],
        mut next: impl FnMut(usize, &[f32]) -> Option<u32>,
    ) -> Result<(), RowError> {
        self.weights.clear_kv_cache();
        let weights = &mut self.weights;
        let mut run = || {
            let mut forward = |token: u32, place: usize| -> candle_core::Result<Vec<f32>> {
                let input = Tensor::from_vec(vec![token], (1, 1), &Device::Cpu)?;
                weights.forward(&input, place)?.flatten_all()?.to_vec1()
            };
            let mut logits = Vec::new();
            for (place, token) in prompt.iter().enumerate() {
                logits = forward(*token, place)?;
            }
            let mut answered = 0;
            while let Some(token) = next(answered, &logits) {
                logits = forward(token, prompt.len() + answered)?;
                answered += 1;
            }
            Ok(())
        };
        contained(&mut run)
            .map_err(|problem| RowError::Network { problem })?
            .map_err(|error| computing(&error))
    }

    fn tokens(&self, prompt: &str) -> Result<Vec<u32>, RowError> {
        if prompt.len() > TEXT_BYTES_MAX {
            return Err(RowError::TextLength { what: "bytes", found: prompt.len(), max: TEXT_BYTES_MAX });
        }
        let encoded = contained(|| self.tokenizer.encode_fast(prompt, true))
            .map_err(|problem| RowError::Network { problem })?
            .map_err(|error| RowError::Network { problem: shown(&error.to_string()) })?;
        match encoded.get_ids() {
            [] => Err(RowError::Network { problem: "the tokenizer makes no token of it".to_owned() }),
            ids if ids.len() >= self.header.context => {
                Err(RowError::TextLength { what: "tokens", found: ids.len(), max: self.header.context - 1 })
            }
            ids => Ok(ids.to_vec()),
        }
    }

    /// What the file's header says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }
}

fn step_of(logits: &[f32], place: usize, sampling: &Sampling) -> Step {
    let (token, margin) = sampling.choose(logits, place as u64);
    Step { token, logit: logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY), margin }
}
