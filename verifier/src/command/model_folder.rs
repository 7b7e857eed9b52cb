//! The folder of a text model: what it holds, read for `model show` and `model predict`.
//!
//! Guarantees: only the files that [`NAMES`] lists are opened, each within its bound. Does not do: computing.
//!
//! [`NAMES`]: crate::recompute::neural::files::NAMES

use std::path::Path;

use ledgerstone::hash::Hash;
use ledgerstone::manifest::LEFT_OUT;

use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::recompute::description::{self, DESCRIPTION_BYTES_MAX, Description};
use crate::source::read_optional;

/// The digest that decisions name the folder by: the root of its manifest.
pub(super) fn digest(folder: &Path) -> Result<Hash, Refusal> {
    Ok(crate::folder::read(folder, &LEFT_OUT)?.root())
}

/// How the folder's model is recomputed, if it says so.
pub(super) fn description(folder: &Path) -> Result<Option<Description>, Refusal> {
    let path = folder.join(description::FILE);
    let Some(bytes) = read_optional(&path, DESCRIPTION_BYTES_MAX)? else { return Ok(None) };
    let read = Description::parse(&bytes).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{}: {error}", path.display()),
            "Check the file against docs/spec/recompute-description.md.",
        )
    })?;
    Ok(Some(read))
}

#[cfg(not(feature = "neural"))]
pub(super) fn show(folder: &Path, _: &mut Output) -> Result<Exit, Refusal> {
    Err(Refusal::usage(
        format_args!(
            "{} is a folder, and this program was built without the feature `neural`",
            folder.display()
        ),
        "Use a `ledgerstone` that was built with it.",
    ))
}

#[cfg(feature = "neural")]
pub(super) use with_engine::{load, read, read_files, refused, show};

#[cfg(feature = "neural")]
mod with_engine {
    use ledgerstone::hash::Hash;
    use serde::Serialize;

    use super::{Exit, Output, Path, Refusal, digest};
    use crate::output::{plural, printable, thousands, wrapped};
    use crate::recompute::ModelError;
    use crate::recompute::neural::pooling::Pooling;
    use crate::recompute::neural::{Files, Processor, TextAbout, TextModel};
    use crate::source::read_optional;

    /// The format of `model show` of a folder.
    const FORMAT: &str = "ledgerstone-text-model/v1";

    #[derive(Serialize)]
    struct FolderJson<'a> {
        format: &'static str,
        digest: String,
        #[serde(flatten)]
        about: &'a TextAbout,
    }

    /// Prints what the folder holds.
    ///
    /// # Errors
    /// A file cannot be read, or the model is none that is known.
    pub(in crate::command) fn show(folder: &Path, output: &mut Output) -> Result<Exit, Refusal> {
        let model = read(folder, Processor::Cpu)?;
        let (about, digest) = (model.about(), digest(folder)?);
        if output.is_json() {
            output.json(&FolderJson { format: FORMAT, digest: digest.to_string(), about: &about })?;
        } else {
            output.print(&text(&about, &digest))?;
        }
        Ok(Exit::Verified)
    }

    /// The model of a folder.
    pub(in crate::command) fn read(folder: &Path, processor: Processor) -> Result<TextModel, Refusal> {
        load(folder, &read_files(folder)?, processor)
    }

    /// The model of a folder's files.
    pub(in crate::command) fn load(
        folder: &Path,
        files: &Files,
        processor: Processor,
    ) -> Result<TextModel, Refusal> {
        TextModel::load_on(files, processor).map_err(|error| match error {
            ModelError::Processor(error) => Refusal::new(error.code(), &error, error.advice()),
            error => refused(folder, &error),
        })
    }

    /// The files of a folder.
    pub(in crate::command) fn read_files(folder: &Path) -> Result<Files, Refusal> {
        Ok(Files::read(|name, bytes_max| read_optional(&folder.join(name), bytes_max))?)
    }

    pub(in crate::command) fn refused(folder: &Path, error: &ModelError) -> Refusal {
        Refusal::new(
            error.code(),
            format_args!("{} cannot be used: {error}", folder.display()),
            "Check that this is the folder that was registered as the model; nothing was recomputed.",
        )
    }

    fn text(about: &TextAbout, digest: &Hash) -> String {
        let line = |name: &str, value: &str| wrapped(&printable(value), &format!("{name:<17}"), 17);
        let pooling = match about.pooling {
            Pooling::Cls => "the first token's",
            Pooling::Mean => "the tokens' mean",
            Pooling::Max => "the tokens' greatest",
        };
        let normalize = if about.normalize { ", divided by its length" } else { "" };
        let labels = match about.labels.as_slice() {
            [] => "none: the vector is the answer".to_owned(),
            labels => format!("{}: {}", plural(labels.len() as u64, "label", "labels"), labels.join(", ")),
        };
        let longer = if about.truncates { "a longer text is cut" } else { "a longer text is refused" };
        [
            line("Model", &format!("{} text encoder", about.family)),
            line("Digest", &digest.to_string()),
            line(
                "Layers",
                &format!(
                    "{}, with {}",
                    about.layers,
                    plural(about.heads as u64, "attention head", "attention heads")
                ),
            ),
            line("Vector", &format!("{} numbers: {pooling} vector{normalize}", about.width)),
            line("Classifier", &labels),
            line("Vocabulary", &plural(about.vocabulary as u64, "token", "tokens")),
            line("Text", &format!("at most {} tokens; {longer}", thousands(about.tokens_max as u64))),
            line("Weights", &format!("stored as {}, computed in f32 by {}", about.stored, about.engine)),
            "\nWhat recomputation gives\n".to_owned(),
            line("  vector", "the recorder's within a tolerance, which depends on its engine and machine"),
            line(
                "  one machine",
                "the same bits every time, for one text and batch, whatever the number of threads",
            ),
        ]
        .concat()
    }
}
