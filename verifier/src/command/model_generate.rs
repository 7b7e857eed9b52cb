//! `ledgerstone model generate`: what a language model answers to a prompt, or where a recorded answer leaves what it would have said.
//!
//! Guarantees: a record that is the model's own answer on this machine is found equal; the first other token is shown with its distance. Does not do: chat
//! templates; the prompt is taken as it stands in the file.

use crate::cli::ModelGenerateArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;

#[cfg(not(feature = "neural"))]
pub(super) fn run(_: &ModelGenerateArguments, _: &mut Output) -> Result<Exit, Refusal> {
    Err(Refusal::usage(
        "this program was built without the feature `neural`",
        "Use a `ledgerstone` that was built with it.",
    ))
}

#[cfg(feature = "neural")]
pub(super) use with_engine::run;

#[cfg(feature = "neural")]
mod with_engine {
    use std::path::Path;

    use ledgerstone::hash::Hash;
    use serde::{Deserialize, Serialize};

    use super::{Exit, ModelGenerateArguments, Output, Refusal};
    use crate::command::model_folder;
    use crate::output::{plural, printable};
    use crate::recompute::RowError;
    use crate::recompute::neural::gguf::GGUF_BYTES_MAX;
    use crate::recompute::neural::sampler::Sampling;
    use crate::recompute::neural::tokenizer::TEXT_BYTES_MAX;
    use crate::recompute::neural::{Difference, Finish, Generation, LanguageModel};
    use crate::source::read_input;

    /// The format of an answer.
    const FORMAT: &str = "ledgerstone-generation/v1";

    /// The format of a comparison.
    const COMPARISON_FORMAT: &str = "ledgerstone-generation-comparison/v1";

    /// Bytes of a recorded answer: some hundred for each of 4096 tokens.
    const RECORD_BYTES_MAX: usize = 1 << 22;

    #[derive(Serialize)]
    struct AnswerJson<'a> {
        format: &'static str,
        model: String,
        sampling: Sampling,
        #[serde(flatten)]
        generation: &'a Generation,
    }

    #[derive(Serialize)]
    struct ComparisonJson {
        format: &'static str,
        model: String,
        /// Tokens of the record.
        tokens: usize,
        /// Null where the record is what the model says.
        difference: Option<Difference>,
    }

    /// What is read of a recorded answer; its other keys are not looked at.
    #[derive(Deserialize)]
    struct RecordJson {
        format: String,
        model: String,
        sampling: Sampling,
        steps: Vec<TokenJson>,
    }

    #[derive(Deserialize)]
    struct TokenJson {
        token: u32,
    }

    /// Answers, or compares.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, or the prompt cannot be computed.
    pub(in crate::command) fn run(
        arguments: &ModelGenerateArguments,
        output: &mut Output,
    ) -> Result<Exit, Refusal> {
        let (mut model, digest) = load(&arguments.model)?;
        let prompt = read_input(&arguments.prompt, TEXT_BYTES_MAX)?;
        let prompt = core::str::from_utf8(&prompt).map_err(|error| {
            Refusal::malformed(
                format_args!("{}: byte {} is not UTF-8", arguments.prompt.display(), error.valid_up_to()),
                "Write the prompt in UTF-8, exactly as the model saw it.",
            )
        })?;
        if let Some(record) = &arguments.recorded {
            return compare(&mut model, &digest, prompt, record, output);
        }
        let sampling =
            Sampling { temperature: arguments.temperature, top_p: arguments.top_p, seed: arguments.seed };
        if !sampling.is_sound() {
            return Err(Refusal::usage(
                "the temperature is not from 0 to 100, or --top-p not above 0 and at most 1",
                "Leave both out for the likeliest token of each step.",
            ));
        }
        let generation = model
            .generate(prompt, usize::from(arguments.tokens), &sampling)
            .map_err(|error| refused(&error))?;
        if output.is_json() {
            output.json(&AnswerJson { format: FORMAT, model: digest, sampling, generation: &generation })?;
        } else {
            output.print(&format!("{}\n", printable_lines(&generation.text)))?;
            output.remark(&remark(&generation));
        }
        Ok(Exit::Verified)
    }

    /// The model of a GGUF file or a folder, with the digest that decisions name it by.
    fn load(path: &Path) -> Result<(LanguageModel, String), Refusal> {
        if path.is_dir() {
            let files = model_folder::read_files(path)?;
            let model =
                LanguageModel::load_folder(&files).map_err(|error| model_folder::refused(path, &error))?;
            return Ok((model, model_folder::digest(path)?.to_string()));
        }
        let bytes = read_input(path, GGUF_BYTES_MAX)?;
        let model = LanguageModel::load(&bytes).map_err(|error| {
            Refusal::new(
                error.code(),
                format_args!("{} cannot be used: {error}", path.display()),
                "Check that this is the GGUF file that was registered as the model; nothing was recomputed.",
            )
        })?;
        Ok((model, Hash::of(&bytes).to_string()))
    }

    fn compare(
        model: &mut LanguageModel,
        digest: &str,
        prompt: &str,
        record: &Path,
        output: &mut Output,
    ) -> Result<Exit, Refusal> {
        let name = record.display();
        let bytes = read_input(record, RECORD_BYTES_MAX)?;
        let malformed = |problem: String| {
            Refusal::malformed(
                format_args!("{name}: {problem}"),
                "Give what `ledgerstone model generate --json` printed when the answer was recorded.",
            )
        };
        let record: RecordJson =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if record.format != FORMAT || !record.sampling.is_sound() {
            return Err(malformed(format!("it is no {FORMAT}, or its sampling makes no sense")));
        }
        if record.model != digest {
            return Err(malformed(format!(
                "it is of the model {}, not of this one",
                printable(&record.model)
            )));
        }
        let tokens: Vec<u32> = record.steps.iter().map(|step| step.token).collect();
        let difference = model.compare(prompt, &tokens, &record.sampling).map_err(|error| refused(&error))?;
        if output.is_json() {
            output.json(&ComparisonJson {
                format: COMPARISON_FORMAT,
                model: digest.to_owned(),
                tokens: tokens.len(),
                difference,
            })?;
        } else {
            output.print(&comparison(tokens.len(), difference.as_ref()))?;
        }
        Ok(if difference.is_none() { Exit::Verified } else { Exit::Failed })
    }

    fn comparison(tokens: usize, difference: Option<&Difference>) -> String {
        match difference {
            None => format!("The model says the same {}.\n", plural(tokens as u64, "token", "tokens")),
            Some(Difference { step, recorded, recomputed, behind }) => format!(
                "The record leaves the model at token {} of {tokens}: it has {recorded}, the model says {recomputed}, whose \
                 logit is {behind} greater.\n",
                step + 1
            ),
        }
    }

    fn remark(generation: &Generation) -> String {
        let least = generation.steps.iter().map(|step| step.margin).reduce(f32::min).unwrap_or(0.0);
        let finish = match generation.finish {
            Finish::Stop => "the model ended it",
            Finish::Length => "cut at the length",
        };
        format!(
            "{} after a prompt of {}; {finish}; the least margin of a step is {least}.",
            plural(generation.steps.len() as u64, "token", "tokens"),
            generation.prompt_tokens
        )
    }

    /// The answer with its line breaks, and nothing else that a terminal would act on.
    fn printable_lines(text: &str) -> String {
        text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
    }

    fn refused(error: &RowError) -> Refusal {
        Refusal::new(error.code(), error, "Check that the prompt is as the model saw it.")
    }
}
