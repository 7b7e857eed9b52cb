//! `ledgerstone model generate`: what a language model answers to a prompt, or where a recorded answer leaves what it would have said.
//!
//! With `--prompts`, the answers to several.
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
pub(super) use with_engine::{FORMAT, refused, run, unsound};

#[cfg(feature = "neural")]
mod with_engine {
    use std::path::Path;

    use serde::{Deserialize, Serialize};

    use super::{Exit, ModelGenerateArguments, Output, Refusal};
    use crate::command::language_file::Stored;
    use crate::output::{plural, printable};
    use crate::recompute::RowError;
    use crate::recompute::neural::sampler::Sampling;
    use crate::recompute::neural::tokenizer::TEXT_BYTES_MAX;
    use crate::recompute::neural::{Difference, Finish, Generation, LanguageModel};
    use crate::source::read_input;

    /// The format of an answer.
    pub(in crate::command) const FORMAT: &str = "ledgerstone-generation/v1";

    /// Bytes of a file of prompts.
    const PROMPTS_BYTES_MAX: usize = 1 << 30;

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
        let stored = Stored::read(&arguments.model)?;
        let digest = stored.digest.to_string();
        let mut model = stored.load(&arguments.model)?;
        let path = arguments.prompts.as_ref().or(arguments.prompt.as_ref());
        let path = path.ok_or_else(|| Refusal::usage("there is no prompt", "Give --prompt or --prompts."))?;
        let bytes_max = if arguments.prompts.is_some() { PROMPTS_BYTES_MAX } else { TEXT_BYTES_MAX };
        let prompt = read_input(path, bytes_max)?;
        let prompt = core::str::from_utf8(&prompt).map_err(|error| {
            Refusal::malformed(
                format_args!("{}: byte {} is not UTF-8", path.display(), error.valid_up_to()),
                "Write the prompt in UTF-8, exactly as the model saw it.",
            )
        })?;
        if let Some(record) = &arguments.recorded {
            return compare(&mut model, &digest, prompt, record, output);
        }
        let sampling =
            Sampling { temperature: arguments.temperature, top_p: arguments.top_p, seed: arguments.seed };
        if !sampling.is_sound() {
            return Err(unsound());
        }
        let asked = Asked { model: &digest, sampling, tokens: usize::from(arguments.tokens) };
        match arguments.prompts {
            None => asked.answer(&mut model, prompt, output),
            Some(_) => asked.answer_each(&mut model, prompt, output),
        }
    }

    pub(in crate::command) fn unsound() -> Refusal {
        Refusal::usage(
            "the temperature is not from 0 to 100, or --top-p not above 0 and at most 1",
            "Leave both out for the likeliest token of each step.",
        )
    }

    /// How answers are asked for.
    struct Asked<'a> {
        model: &'a str,
        sampling: Sampling,
        tokens: usize,
    }

    impl Asked<'_> {
        fn json<'a>(&'a self, generation: &'a Generation) -> AnswerJson<'a> {
            AnswerJson { format: FORMAT, model: self.model.to_owned(), sampling: self.sampling, generation }
        }

        fn answer(
            &self,
            model: &mut LanguageModel,
            prompt: &str,
            output: &mut Output,
        ) -> Result<Exit, Refusal> {
            let generation =
                model.generate(prompt, self.tokens, &self.sampling).map_err(|error| refused(&error))?;
            if output.is_json() {
                output.json(&self.json(&generation))?;
            } else {
                output.print(&format!("{}\n", printable_lines(&generation.text)))?;
                output.remark(&remark(&generation));
            }
            Ok(Exit::Verified)
        }

        fn answer_each(
            &self,
            model: &mut LanguageModel,
            prompts: &str,
            output: &mut Output,
        ) -> Result<Exit, Refusal> {
            for (place, prompt) in prompts.lines().enumerate() {
                let generation = model.generate(prompt, self.tokens, &self.sampling).map_err(|error| {
                    Refusal::new(
                        error.code(),
                        format_args!("line {}: {error}", place + 1),
                        "Check that the prompt is as the model saw it.",
                    )
                })?;
                if output.is_json() {
                    output.json_line(&self.json(&generation))?;
                } else {
                    let answer = printable_lines(&generation.text);
                    output.print(&format!("prompt {}\n{answer}\n", place + 1))?;
                }
                if output.is_closed() {
                    break;
                }
            }
            Ok(Exit::Verified)
        }
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

    pub(in crate::command) fn refused(error: &RowError) -> Refusal {
        Refusal::new(error.code(), error, "Check that the prompt is as the model saw it.")
    }
}
