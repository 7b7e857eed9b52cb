//! `model predict DIR --text FILE`: what a text model says of the lines of a file.
//!
//! Guarantees: a text that cannot be computed stops the command, with its line. Does not do: judging the numbers; rounding them.

use std::path::Path;

use crate::cli::ModelPredictArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;

#[cfg(not(feature = "neural"))]
pub(super) fn run(arguments: &ModelPredictArguments, _: &Path, output: &mut Output) -> Result<Exit, Refusal> {
    crate::command::model_folder::show(&arguments.model, output)
}

#[cfg(feature = "neural")]
pub(super) use with_engine::run;

#[cfg(feature = "neural")]
mod with_engine {
    use serde::Serialize;

    use super::{Exit, ModelPredictArguments, Output, Path, Refusal};
    use crate::command::model_folder;
    use crate::command::model_predict::attributions::{Explained, Explainer};
    use crate::output::printable;
    use crate::recompute::RowError;
    use crate::recompute::neural::TextScore;
    use crate::source::read_input;

    /// The format of a line of this command's JSON.
    const FORMAT: &str = "ledgerstone-text-prediction/v1";

    /// Bytes of a file of texts.
    const TEXTS_BYTES_MAX: usize = 1 << 30;

    /// Numbers of a vector that are printed as text; JSON has all of them.
    const SHOWN: usize = 4;

    #[derive(Serialize)]
    struct Prediction<'a> {
        format: &'static str,
        /// Number of the line.
        row: usize,
        #[serde(flatten)]
        score: &'a TextScore,
        #[serde(skip_serializing_if = "Option::is_none")]
        attributions: Option<&'a Explained<'a>>,
    }

    /// Prints what the model says of each line.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, or holds a text that cannot be computed.
    pub(in crate::command) fn run(
        arguments: &ModelPredictArguments,
        texts: &Path,
        output: &mut Output,
    ) -> Result<Exit, Refusal> {
        if !arguments.model.is_dir() {
            return Err(Refusal::usage(
                format_args!(
                    "{} is no folder, and only the model of a folder reads texts",
                    arguments.model.display()
                ),
                "Give --rows CSV instead of --text, or name the text model's folder.",
            ));
        }
        let model = model_folder::read(&arguments.model, arguments.device)?;
        let bytes = read_input(texts, TEXTS_BYTES_MAX)?;
        let name = texts.display();
        let all = core::str::from_utf8(&bytes).map_err(|error| {
            Refusal::malformed(
                format_args!("{name}: byte {} is not UTF-8", error.valid_up_to()),
                "Write the texts in UTF-8, one a line.",
            )
        })?;
        let lines: Vec<&str> = all.lines().collect();
        let labels = model.about().labels;
        let explainer = if arguments.contributions { Some(Explainer::new(arguments, &model)?) } else { None };
        for (number, part) in lines.chunks(usize::from(arguments.batch.max(1))).enumerate() {
            let first = number * usize::from(arguments.batch.max(1)) + 1;
            let refused = |first, count, error: RowError| {
                Refusal::new(
                    error.code(),
                    format_args!("{name}, {}: {error}", place(first, count)),
                    "Check that the texts are as the model saw them.",
                )
            };
            let scores = model
                .score_batch(part, arguments.padded)
                .map_err(|error| refused(first, part.len(), error))?;
            for ((row, score), line) in (first..).zip(&scores).zip(part) {
                let explained = explainer.as_ref().map(|explainer| explainer.explain(&model, line));
                let explained = explained.transpose().map_err(|error| refused(row, 1, error))?;
                let attributions = explained.as_ref();
                if output.is_json() {
                    output.json_line(&Prediction { format: FORMAT, row, score, attributions })?;
                } else {
                    let explained = attributions.map(Explained::text).unwrap_or_default();
                    output.print(&(text(row, score, &labels) + &explained))?;
                }
            }
            if output.is_closed() {
                return Ok(Exit::Verified);
            }
        }
        output.remark(&format!("Recomputed with the model {}.", model_folder::digest(&arguments.model)?));
        Ok(Exit::Verified)
    }

    fn place(first: usize, count: usize) -> String {
        match count {
            0 | 1 => format!("line {first}"),
            count => format!("one of the lines {first} to {}", first + count - 1),
        }
    }

    fn text(row: usize, score: &TextScore, labels: &[String]) -> String {
        let mut text = format!("row {row}  {} tokens", score.tokens);
        match (labels, score.probabilities.as_slice()) {
            ([], _) => {
                let shown: Vec<String> = score.vector.iter().take(SHOWN).map(ToString::to_string).collect();
                text += &format!("  vector {} ... ({} numbers)", shown.join(" "), score.vector.len());
            }
            (labels, probabilities) => {
                for (place, (label, logit)) in labels.iter().zip(&score.logits).enumerate() {
                    text += &format!("  {} {logit}", printable(label));
                    if let Some(probability) = probabilities.get(place) {
                        text += &format!(" ({probability})");
                    }
                }
            }
        }
        text + "\n"
    }
}
