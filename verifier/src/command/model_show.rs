//! `ledgerstone model show`: what a model file holds, and what of it recomputation gives exactly.
//!
//! Guarantees: the digest is that of the file's bytes; the format is told by them. Does not do: scoring.

use std::path::Path;

use ledgerstone::hash::Hash;
use serde::Serialize;

use crate::cli::ModelShowArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, printable, wrapped};
use crate::recompute::{About, MODEL_BYTES_MAX, Model, Precision, Tolerance};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-model/v1";

/// A model as JSON.
#[derive(Serialize)]
struct ModelJson<'a> {
    format: &'static str,
    digest: String,
    #[serde(flatten)]
    about: &'a About,
}

/// Prints what the file holds.
///
/// # Errors
/// It cannot be read or is no model that is known.
pub(super) fn run(arguments: &ModelShowArguments, output: &mut Output) -> Result<Exit, Refusal> {
    if arguments.model.is_dir() {
        return super::model_folder::show(&arguments.model, output);
    }
    let ModelFile { model, digest, .. } = read(&arguments.model)?;
    let about = model.about();
    if output.is_json() {
        output.json(&ModelJson { format: FORMAT, digest: digest.to_string(), about: &about })?;
    } else {
        output.print(&text(&about, &digest))?;
    }
    Ok(Exit::Verified)
}

/// A model's file, read once.
pub(super) struct ModelFile {
    pub(super) model: Model,
    /// SHA-256 of the file.
    pub(super) digest: Hash,
    pub(super) bytes: Vec<u8>,
}

/// The model in a file.
///
/// # Errors
/// It cannot be read or is no model that is known.
pub(super) fn read(path: &Path) -> Result<ModelFile, Refusal> {
    if path.is_dir() {
        return Err(Refusal::usage(
            format_args!("{} is a folder, and its model reads texts", path.display()),
            "Give --text FILE instead of --rows.",
        ));
    }
    let bytes = read_input(path, MODEL_BYTES_MAX)?;
    let model = Model::parse(&bytes).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{} cannot be used: {error}", path.display()),
            "Check that this is the file that was registered as the model; nothing was recomputed.",
        )
    })?;
    Ok(ModelFile { model, digest: Hash::of(&bytes), bytes })
}

fn text(about: &About, digest: &Hash) -> String {
    let line = |name: &str, value: &str| wrapped(&printable(value), &format!("{name:<17}"), 17);
    let outputs = match (about.margins, about.answers) {
        (1, 1) => about.answer.to_owned(),
        (margins, answers) => {
            format!("{} ({margins} margins, {})", about.answer, plural(answers as u64, "number", "numbers"))
        }
    };
    let names = match about.feature_names.as_slice() {
        [] => plural(about.features as u64, "column", "columns") + ", without names",
        names => format!("{}: {}", plural(about.features as u64, "column", "columns"), names.join(", ")),
    };
    let texts: Vec<String> = about.text_columns.iter().map(|place| (place + 1).to_string()).collect();
    let answer = match (&about.answers_within, about.libm) {
        (Some(tolerance), _) => near(tolerance),
        (None, None) => "exact".to_owned(),
        (None, Some(function)) => {
            format!("exact where the mathematics library's {function} is the recorder's own")
        }
    };
    let precision = match about.precision {
        Precision::F32 => "in f32",
        Precision::F64 => "in f64",
    };
    let margins = about.margins_within.as_ref().map_or("exact".to_owned(), near);
    [
        line("Model", &about.kind),
        line("SHA-256", &digest.to_string()),
        line("Objective", &about.objective),
        line("Answer", &outputs),
        line("Trees", &about.trees.to_string()),
        line("Features", &names),
        if texts.is_empty() {
            String::new()
        } else {
            line("Texts", &format!("in column {}", texts.join(", ")))
        },
        "\nWhat recomputation gives\n".to_owned(),
        line("  margins", &format!("{margins}, {precision}")),
        line("  answers", &answer),
        line(
            "  contributions",
            &about.contributions.map_or("exact".to_owned(), |why| format!("not recomputed: {why}")),
        ),
        match about.interventional {
            None => line("  interventional", "exact, with a background"),
            Some(_) => String::new(),
        },
    ]
    .concat()
}

/// How near numbers come, and because of what.
fn near(tolerance: &Tolerance) -> String {
    let Tolerance { relative, operations } = tolerance;
    format!("within {relative:e} of the greatest number or 1, because of {}", operations.join(", "))
}
