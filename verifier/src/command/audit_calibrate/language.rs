//! What `audit calibrate` measures of a language model: other numbers of threads, recorded answers, changes of the weights, another seed.
//!
//! Guarantees: the canonical answer is made step by step, and another one is followed token by token and judged as `audit run` judges it: by its logits, and by
//! the tolerance under which its tokens could be the model's. Does not do: chat templates; prompts of several lines.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;
use serde::Deserialize;

use super::elsewhere::{self, Lines};
use super::{Measured, Pace, bounded, found, only_cpu, read_back};
use crate::audit::profile::{self, BEYOND};
use crate::cli::AuditCalibrateArguments;
use crate::command::language_file::Stored;
use crate::command::{model_folder, model_generate};
use crate::exit::Refusal;
use crate::output::Output;
use crate::recompute::Precision;
use crate::recompute::description::Prompt;
use crate::recompute::neural::sampler::Sampling;
use crate::recompute::neural::{ENGINE, Followed, Generation, LanguageModel, Processor};
use crate::recompute::tamper::Tamper;
use crate::source::read_optional;

/// Prompts; each is answered some ten times, token by token.
const PROMPTS_MAX: usize = 256;

/// Tokens of an answer where nothing says how many.
const TOKENS_USUAL: u16 = 16;

/// Tokens of an answer at most.
const TOKENS_MAX: usize = 4096;

/// Bytes of a folder's settings.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// Every how manieth of the single weights is changed: each is a model to load.
const WEIGHTS_STEP: usize = 4;

/// Changes of every weight.
const WHOLE: [Tamper; 4] = [Tamper::F16, Tamper::Bf16, Tamper::Int8, Tamper::Int4];

/// An answer's tokens and their logits.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer {
    tokens: Vec<u32>,
    logits: Vec<f64>,
}

/// What is read of `model generate --json`; other keys are not looked at.
#[derive(Deserialize)]
struct Recorded {
    format: String,
    model: String,
    sampling: Sampling,
    steps: Vec<RecordedStep>,
}

#[derive(Deserialize)]
struct RecordedStep {
    token: u32,
    logit: f64,
}

/// What is asked, and of which model.
struct Asked {
    /// The GGUF file or the folder of safetensors.
    path: PathBuf,
    stored: Stored,
    /// What decisions name the model by.
    digest: Hash,
    sampling: Sampling,
    tokens: usize,
}

/// Whether a folder without a description is a language model's.
pub(super) fn is_folder(folder: &Path) -> Result<bool, Refusal> {
    let config = read_optional(&folder.join("config.json"), CONFIG_BYTES_MAX)?.unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    let name = config.pointer("/architectures/0").and_then(serde_json::Value::as_str);
    Ok(name.is_some_and(|name| name.ends_with("ForCausalLM")))
}

pub(super) fn measure(
    arguments: &AuditCalibrateArguments,
    prompts: &Path,
    described: Option<(Option<String>, Prompt)>,
    output: &Output,
) -> Result<Measured, Refusal> {
    only_cpu(arguments, "language models")?;
    let asked = Asked::read(arguments, described)?;
    let inputs = Lines::read(prompts, PROMPTS_MAX)?;
    let lines = inputs.all();
    let mut model = asked.stored.load(&asked.path)?;
    let mut pace = Pace::new(output, "answers");
    let changes: Vec<Tamper> = WHOLE.into_iter().chain(Tamper::one_weights(WEIGHTS_STEP)).collect();
    let seeds = usize::from(asked.sampling.temperature > 0.0);
    let others = arguments.threads.len() + arguments.recorded.len();
    pace.expect(lines.len(), 1 + others + changes.len() + seeds);
    let canonical = asked.answers(&mut model, &lines, &asked.sampling, &mut pace)?;
    let mut measured = Measured {
        model: asked.digest,
        inputs: inputs.digest,
        quantity: "logits",
        engine: ENGINE.to_owned(),
        dtype: "f32",
        device: Processor::Cpu,
        batches: vec![1],
        honest: Vec::new(),
        tampers: Vec::new(),
        attributions: None,
        is_near: true,
    };
    let command = asked.command(prompts);
    elsewhere::hear(arguments, &command.iter().map(AsRef::as_ref).collect::<Vec<_>>(), |said, who| {
        let other = asked.recorded(said, who)?;
        if other.len() != lines.len() {
            return Err(super::other_count(lines.len(), other.len(), who));
        }
        let distances = asked.distances(&mut model, &lines, &canonical, &other)?;
        for (place, distance) in distances.into_iter().enumerate() {
            measured.honest.push(bounded(distance, place, who)?);
        }
        pace.step(lines.len());
        Ok(())
    })?;
    for tamper in changes {
        let Some(stored) = asked.stored.changed(tamper, &asked.path)? else {
            pace.step(lines.len());
            continue;
        };
        let other = asked.answers(&mut stored.load(&asked.path)?, &lines, &asked.sampling, &mut pace)?;
        measured.tampered(tamper.name(), asked.distances(&mut model, &lines, &canonical, &other)?);
    }
    if seeds > 0 {
        let sampling = Sampling { seed: asked.sampling.seed.wrapping_add(1), ..asked.sampling };
        let other = asked.answers(&mut model, &lines, &sampling, &mut pace)?;
        measured.tampered("seed +1", asked.distances(&mut model, &lines, &canonical, &other)?);
    }
    Ok(measured)
}

impl Asked {
    fn read(
        arguments: &AuditCalibrateArguments,
        described: Option<(Option<String>, Prompt)>,
    ) -> Result<Self, Refusal> {
        let (file, settings) = described.unzip();
        let given = &arguments.model;
        let path = file.flatten().map_or_else(|| given.clone(), |name| given.join(name));
        let usual = settings.as_ref().map_or(Sampling::GREEDY, Prompt::sampling);
        let sampling = Sampling {
            temperature: arguments.temperature.unwrap_or(usual.temperature),
            top_p: arguments.top_p.unwrap_or(usual.top_p),
            seed: arguments.seed.unwrap_or(usual.seed),
        };
        if !sampling.is_sound() {
            return Err(model_generate::unsound());
        }
        let tokens = arguments.tokens.map(usize::from).or(settings.map(|settings| settings.tokens_max));
        let tokens = tokens.unwrap_or(usize::from(TOKENS_USUAL));
        if !(1..=TOKENS_MAX).contains(&tokens) {
            return Err(Refusal::usage(
                format_args!("an answer of {tokens} tokens cannot be measured"),
                "Give --tokens from 1 to 4096; a few say as much as many.",
            ));
        }
        let stored = Stored::read(&path)?;
        if stored.is_other_file() {
            return Err(Refusal::usage(
                format_args!("{} is no GGUF file, and no folder of a model that reads texts", path.display()),
                "Give --rows CSV for another model file.",
            ));
        }
        let digest = if path == *given { stored.digest } else { model_folder::digest(given)? };
        Ok(Self { path, stored, digest, sampling, tokens })
    }

    fn answers(
        &self,
        model: &mut LanguageModel,
        prompts: &[&str],
        sampling: &Sampling,
        pace: &mut Pace,
    ) -> Result<Vec<Answer>, Refusal> {
        let answer = |prompt: &&str| {
            let answer = model.generate(prompt, self.tokens, sampling).map(Answer::from);
            pace.step(1);
            answer.map_err(|error| model_generate::refused(&error))
        };
        prompts.iter().map(answer).collect()
    }

    /// How far answers lie from what the model says, as an audit judges them.
    fn distances(
        &self,
        model: &mut LanguageModel,
        prompts: &[&str],
        canonical: &[Answer],
        other: &[Answer],
    ) -> Result<Vec<f64>, Refusal> {
        let mut distances = Vec::with_capacity(prompts.len());
        for (prompt, (canonical, other)) in prompts.iter().zip(canonical.iter().zip(other)) {
            // A model that follows its own tokens says the same again.
            let distance = if canonical.tokens == other.tokens {
                profile::distance(&canonical.logits, &other.logits)
            } else {
                let steps = model.follow(prompt, &other.tokens, &self.sampling);
                apart(&steps.map_err(|error| model_generate::refused(&error))?, other, &self.sampling)
            };
            distances.push(found(distance));
        }
        Ok(distances)
    }

    /// The command that answers the prompts in another process.
    fn command(&self, prompts: &Path) -> Vec<OsString> {
        let Sampling { temperature, top_p, seed } = self.sampling;
        let words = [
            "model".to_owned(),
            "generate".to_owned(),
            "--json".to_owned(),
            format!("--tokens={}", self.tokens),
            format!("--temperature={temperature}"),
            format!("--top-p={top_p}"),
            format!("--seed={seed}"),
            "--prompts".to_owned(),
        ];
        let words = words.into_iter().map(Into::into);
        words.chain([prompts.as_os_str().to_owned(), self.path.as_os_str().to_owned()]).collect()
    }

    /// The answers of `model generate --json`: one document after another.
    fn recorded(&self, bytes: &[u8], who: &str) -> Result<Vec<Answer>, Refusal> {
        let next =
            "Give what `ledgerstone model generate --prompts FILE --json` printed with the same settings.";
        let known = [self.digest.to_string(), self.stored.digest.to_string()];
        let mut answers = Vec::new();
        for (place, said) in serde_json::Deserializer::from_slice(bytes).into_iter::<Recorded>().enumerate() {
            let said = said.map_err(|error| {
                Refusal::malformed(format_args!("{who}, answer {}: {error}", place + 1), next)
            })?;
            if said.format != model_generate::FORMAT
                || !known.contains(&said.model)
                || said.sampling != self.sampling
            {
                return Err(Refusal::malformed(
                    format_args!("{who}, answer {}: it is of another format, model or sampling", place + 1),
                    next,
                ));
            }
            let (tokens, logits) = said
                .steps
                .into_iter()
                .map(|step| (step.token, read_back(step.logit, Precision::F32)))
                .unzip();
            answers.push(Answer { tokens, logits });
        }
        Ok(answers)
    }
}

impl From<Generation> for Answer {
    fn from(generation: Generation) -> Self {
        let step = |step: crate::recompute::neural::Step| (step.token, f64::from(step.logit));
        let (tokens, logits) = generation.steps.into_iter().map(step).unzip();
        Self { tokens, logits }
    }
}

/// The least tolerance under which an audit passes an answer with other tokens: that of its logits, and that of each token which the model would not have chosen.
fn apart(steps: &[Followed], other: &Answer, sampling: &Sampling) -> f64 {
    let mine: Vec<f64> = steps.iter().map(|step| f64::from(step.logit)).collect();
    let logits = profile::distance(&mine, &other.logits);
    let turns = (0..).zip(steps).zip(&other.tokens);
    let turns = turns.filter_map(|((place, step), token)| step.difference(place, *token));
    turns.map(|turn| turn.tolerance(sampling).unwrap_or(BEYOND)).fold(logits, profile::farther)
}
