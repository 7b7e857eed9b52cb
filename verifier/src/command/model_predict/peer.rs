//! `model predict --engine onnxruntime`: the rows of a file, one by one, as the library says.
//!
//! Guarantees: the text is that of the own engine. Does not do: contributions and reasons.

use super::{About, ModelPredictArguments, Output, Prediction, Refusal, Rows, no_row, no_score};
use crate::command::onnxruntime;
use crate::recompute::Score;

/// Prints what onnxruntime says of each row; gives the words that say how it was computed.
///
/// # Errors
/// The library cannot be used, it does not take the model, or a row is none of this model's.
pub(super) fn run(
    file: &[u8],
    about: &About,
    rows: &Rows<'_>,
    name: &str,
    arguments: &ModelPredictArguments,
    output: &mut Output,
) -> Result<String, Refusal> {
    if arguments.contributions || arguments.reasons > 0 {
        return Err(Refusal::usage(
            "onnxruntime gives no contributions and no reasons",
            "Leave --contributions and --reasons out.",
        ));
    }
    let library = arguments.engine_library.as_deref().ok_or_else(|| {
        Refusal::usage("--engine onnxruntime needs a library", "Give --engine-library FILE, too.")
    })?;
    let mut peer = onnxruntime::open(library, &arguments.model, file, 1)?;
    for (number, row) in rows.with_texts().enumerate() {
        let (row, texts) = row.map_err(|problem| no_row(name, &problem))?;
        let numbers = peer.numbers(&row, &texts).map_err(|error| no_score(name, number + 1, &error))?;
        let score = Score { margins: numbers.margins, answer: numbers.answer };
        let prediction = Prediction { labels: numbers.labels, ..Prediction::of(score, about, number + 1) };
        prediction.print(output)?;
        if output.is_closed() {
            break;
        }
    }
    Ok(format!(", by onnxruntime ({})", peer.build()))
}
