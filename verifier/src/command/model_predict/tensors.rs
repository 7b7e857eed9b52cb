//! `model predict --engine tensors`: the rows of a file in batches, as tensor operations.
//!
//! Guarantees: the numbers and the text are those of the scalar engine. Does not do: contributions and reasons.

use super::{About, Model, ModelPredictArguments, Output, Refusal, Rows};

#[cfg(not(feature = "neural"))]
pub(super) fn run(
    _: &Model,
    _: &About,
    _: &Rows<'_>,
    _: &str,
    _: &ModelPredictArguments,
    _: &mut Output,
) -> Result<&'static str, Refusal> {
    Err(Refusal::usage(
        "this program was built without the feature `neural`, which has the tensor engine",
        "Leave --engine out, or use a `ledgerstone` that was built with it.",
    ))
}

#[cfg(feature = "neural")]
pub(super) use with_engine::run;

#[cfg(feature = "neural")]
mod with_engine {
    use super::super::{Prediction, no_row, no_score};
    use super::{About, Model, ModelPredictArguments, Output, Refusal, Rows};
    use crate::recompute::processor::Processor;
    use crate::recompute::tensor_trees::TensorForest;
    use crate::recompute::{RowError, Score};

    /// Rows that are read before they are computed.
    const ROWS: usize = 1 << 16;

    /// Prints what the model says of each row; gives the words that say how it was computed.
    ///
    /// # Errors
    /// The model is none that the engine knows, the processor is not there, or a row is none of this model's.
    pub(in crate::command) fn run(
        model: &Model,
        about: &About,
        rows: &Rows<'_>,
        name: &str,
        arguments: &ModelPredictArguments,
        output: &mut Output,
    ) -> Result<&'static str, Refusal> {
        if arguments.contributions || arguments.reasons > 0 {
            return Err(Refusal::usage(
                "contributions and reasons are computed row by row only",
                "Leave --engine out.",
            ));
        }
        let forest = TensorForest::new(model, arguments.device).map_err(|error| {
            let model = arguments.model.display();
            Refusal::new(error.code(), format_args!("{model}: {error}"), error.advice())
        })?;
        let mut unread = rows.iter().peekable();
        let mut done = 0;
        while unread.peek().is_some() && !output.is_closed() {
            let batch: Result<Vec<Vec<f64>>, String> = unread.by_ref().take(ROWS).collect();
            let batch = batch.map_err(|problem| no_row(name, &problem))?;
            let margins = forest
                .margins_of_rows(&batch.concat())
                .map_err(|error| refused(model, &batch, done, name, &error))?;
            for (margins, number) in margins.chunks(about.margins.max(1)).zip(done + 1..) {
                let answer = model.answer(margins).unwrap_or_default();
                Prediction::of(Score { margins: margins.to_vec(), answer }, about, number).print(output)?;
                if output.is_closed() {
                    break;
                }
            }
            done += batch.len();
        }
        Ok(match forest.processor() {
            Processor::Cpu => ", as tensor operations on the main processor",
            Processor::Cuda => ", as tensor operations on a graphics processor",
        })
    }

    /// Names the row that the whole batch was refused for.
    fn refused(model: &Model, batch: &[Vec<f64>], done: usize, name: &str, error: &RowError) -> Refusal {
        match batch.iter().position(|row| model.score(row).is_err()) {
            Some(place) => no_score(name, done + place + 1, error),
            None => Refusal::new(
                error.code(),
                format_args!("{name}, rows {} to {}: {error}", done + 1, done + batch.len()),
                "Free memory of the processor, or leave --engine out.",
            ),
        }
    }
}
