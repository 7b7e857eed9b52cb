//! A language model: a prompt in, tokens out, one step at a time.
//!
//! *Guarantees*: every token, those of the prompt too, is a step of its own, because one pass over a whole prompt gives other numbers. The same file, prompt
//! and settings give the same tokens on one machine, whatever the number of threads.
//!
//! *Does not do*: chat templates.

use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use serde::Serialize;
use tokenizers::Tokenizer;

use super::causal::Config;
use super::decoder::{Decoder, Source};
use super::design::Design;
use super::files::Files;
use super::gguf::Header;
use super::sampler::Sampling;
use super::stored::{FolderTensors, GgufTensors};
use super::text::{computing, contained, tokenizer_of};
use super::tokenizer::{self, TEXT_BYTES_MAX};
use super::vocabulary;
use super::weights::{Weights, network};
use crate::recompute::error::{ModelError, RowError, shown};

/// A language model that was read and checked.
pub struct LanguageModel {
    name: String,
    design: Design,
    tokenizer: Tokenizer,
    decoder: Decoder,
    /// The token that is put before a prompt, where the tokenizer does not.
    begin: Option<u32>,
    /// The tokens that end an answer.
    ends: Vec<u32>,
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

impl Difference {
    /// The least tolerance under which an honest machine could have chosen the recorded token; none where it was drawn, since a draw is the seed's, and
    /// where nothing exceeds it.
    #[must_use]
    pub fn tolerance(&self, sampling: &Sampling) -> Option<f64> {
        // Either logit may lie off by the tolerance, to the other side.
        (sampling.temperature == 0.0 && self.behind > 0.0).then(|| f64::from(self.behind) / 2.0)
    }
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
        formatter
            .debug_struct("LanguageModel")
            .field("name", &self.name)
            .field("design", &self.design)
            .finish_non_exhaustive()
    }
}

impl LanguageModel {
    /// Reads a GGUF file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong in it.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        let header = Header::parse(bytes)?;
        contained(|| Self::of_gguf(header, bytes))
            .unwrap_or_else(|problem| Err(ModelError::Network { problem }))
    }

    fn of_gguf(header: Header, bytes: &[u8]) -> Result<Self, ModelError> {
        let content = Content::read(&mut Cursor::new(bytes)).map_err(|error| network(&error))?;
        let tokenizer = vocabulary::tokenizer(&content, &header)
            .map_err(|error| ModelError::Network { problem: shown(&error.to_string()) })?;
        let Header { name, mut design, ends, begin, .. } = header;
        let mut tensors = GgufTensors::new(&content, bytes, design.family);
        for divisors in ["rope_freqs.weight", "rope_factors_short.weight"] {
            if tensors.has(divisors) {
                let numbers = tensors.vector(divisors, design.rotary.turned / 2)?;
                design.rotary.divisors = numbers.to_vec1().map_err(|error| network(&error))?;
                design.local = design.rotary.clone();
                design.check(divisors)?;
            }
        }
        let decoder = Decoder::new(&design, &mut tensors)?;
        // Factors for contexts that are longer than is taken here.
        tensors.finish(&["rope_factors_long.weight"])?;
        Ok(Self { name, design, tokenizer, decoder, begin, ends })
    }

    /// Reads the folder of a model whose weights are not quantised; it is computed in `f32`.
    ///
    /// # Errors
    /// [`ModelError`] says which file is missing or what is wrong in it.
    pub fn load_folder(files: &Files) -> Result<Self, ModelError> {
        let config = Config::parse(files.required("config.json")?, files.optional("generation_config.json"))?;
        tokenizer::check(files.required("tokenizer.json")?)?;
        contained(|| Self::of_folder(config, files))
            .unwrap_or_else(|problem| Err(ModelError::Network { problem }))
    }

    fn of_folder(config: Config, files: &Files) -> Result<Self, ModelError> {
        let Config { design, is_tied, ends } = config;
        let tokenizer = tokenizer_of(files, None, design.vocabulary)?;
        let weights = Weights::read(files.required("model.safetensors")?, &[], &Device::Cpu)?;
        let mut tensors = FolderTensors::new(&weights, design.family, is_tied);
        let decoder = Decoder::new(&design, &mut tensors)?;
        tensors.finish()?;
        Ok(Self { name: String::new(), design, tokenizer, decoder, begin: None, ends })
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
        let room = self.design.context.saturating_sub(prompt.len()).min(tokens_max);
        let ends = self.ends.clone();
        let mut steps: Vec<Step> = Vec::new();
        let mut finish = Finish::Length;
        self.walk(&prompt, |place, logits| {
            if place == room {
                return None;
            }
            let step = step_of(logits, place, sampling);
            steps.push(step);
            if ends.contains(&step.token) {
                finish = Finish::Stop;
                return None;
            }
            // What the last token would lead to is not asked.
            (place + 1 < room).then_some(step.token)
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
            (difference.is_none() && place + 1 < recorded.len()).then_some(token)
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

    /// Shows the logits after each token of a prompt to `seen`, with the token.
    ///
    /// # Errors
    /// [`RowError`] if the prompt is too long or cannot be computed.
    pub fn read(&mut self, prompt: &str, mut seen: impl FnMut(u32, &[f32])) -> Result<(), RowError> {
        let prompt = self.tokens(prompt)?;
        let Some((first, rest)) = prompt.split_first() else { return Ok(()) };
        self.walk(&[*first], |place, logits| {
            // The token of a place was fed when its logits are shown.
            seen(prompt.get(place).copied().unwrap_or(*first), logits);
            rest.get(place).copied()
        })
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
        if recorded.iter().any(|token| *token as usize >= self.design.vocabulary) {
            return Err(RowError::Network {
                problem: "the record has a token outside the vocabulary".to_owned(),
            });
        }
        let found = prompt.len().saturating_add(recorded.len());
        if found > self.design.context {
            return Err(RowError::TextLength {
                what: "tokens with its answer",
                found,
                max: self.design.context,
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
        self.decoder.clear();
        let decoder = &mut self.decoder;
        let mut run = || {
            let checked = |decoder: &Decoder, x: &Tensor| {
                let logits = decoder.logits(x)?;
                if logits.iter().all(|logit| logit.is_finite()) {
                    Ok(logits)
                } else {
                    candle_core::bail!("a logit is not a finite number")
                }
            };
            // What a prompt's tokens before the last one would lead to is not asked.
            let mut x = None;
            for (place, token) in prompt.iter().enumerate() {
                x = Some(decoder.forward(*token, place)?);
            }
            let mut logits = x.map_or(Ok(Vec::new()), |x| checked(decoder, &x))?;
            let mut answered = 0;
            while let Some(token) = next(answered, &logits) {
                let x = decoder.forward(token, prompt.len() + answered)?;
                logits = checked(decoder, &x)?;
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
        let ids: Vec<u32> = self.begin.iter().chain(encoded.get_ids()).copied().collect();
        let max = self.design.context - 1;
        match ids.len() {
            0 => Err(RowError::Network { problem: "the tokenizer makes no token of it".to_owned() }),
            found if found > max => Err(RowError::TextLength { what: "tokens", found, max }),
            _ if ids.iter().any(|id| *id as usize >= self.design.vocabulary) => Err(RowError::Network {
                problem: "the tokenizer makes a token outside the vocabulary".to_owned(),
            }),
            _ => Ok(ids),
        }
    }

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// Tokens of prompt and answer together.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.design.context
    }

    /// The model's name and family.
    #[must_use]
    pub fn name(&self) -> String {
        let family = self.design.family.name();
        if self.name.is_empty() { family.to_owned() } else { format!("{} ({family})", self.name) }
    }
}

fn step_of(logits: &[f32], place: usize, sampling: &Sampling) -> Step {
    let (token, margin) = sampling.choose(logits, place as u64);
    Step { token, logit: logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY), margin }
}
