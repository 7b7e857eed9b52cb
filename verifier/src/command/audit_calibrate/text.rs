//! What `audit calibrate` measures of a text encoder.
//!
//! Guarantees: a text by itself is the canonical way. Does not do: the counting.

mod attributions;

use std::ffi::OsStr;
use std::path::Path;

use serde::Deserialize;

use super::elsewhere::{self, Lines};
use super::{Measured, Pace, honest, predicted, read_back, tampered};
use crate::cli::AuditCalibrateArguments;
use crate::command::model_folder;
use crate::exit::Refusal;
use crate::output::Output;
use crate::recompute::neural::{ENGINE, Files, TextModel};
use crate::recompute::tamper::Tamper;
use crate::recompute::{Precision, RowError};

/// Texts; each is computed some twenty times.
const TEXTS_MAX: usize = 10_000;

/// Every how manieth of the single weights is changed: each is a model to load.
const WEIGHTS_STEP: usize = 2;

/// A line of `model predict --json`; other keys are not looked at.
#[derive(Deserialize)]
struct Recorded {
    vector: Vec<f64>,
    #[serde(default)]
    attributions: Option<RecordedAttributions>,
}

#[derive(Deserialize)]
struct RecordedAttributions {
    words: Vec<RecordedWord>,
}

#[derive(Deserialize)]
struct RecordedWord {
    attribution: f64,
}

pub(super) fn measure(
    arguments: &AuditCalibrateArguments,
    texts: &Path,
    output: &Output,
) -> Result<Measured, Refusal> {
    let (folder, batch) = (&arguments.model, arguments.batch.max(1));
    let inputs = Lines::read(texts, TEXTS_MAX)?;
    let lines = inputs.all();
    let files = model_folder::read_files(folder)?;
    let load = |files: &Files| model_folder::load(folder, files, arguments.device);
    let model = load(&files)?;
    let mut pace = Pace::new(output, "texts");
    let changes: Vec<Tamper> = Tamper::WHOLE.into_iter().chain(Tamper::one_weights(WEIGHTS_STEP)).collect();
    pace.expect(lines.len(), 2 + arguments.threads.len() + arguments.recorded.len() + changes.len());
    let canonical = vectors(&model, &lines, 1, &mut pace)?;
    let together = vectors(&model, &lines, usize::from(batch), &mut pace)?;
    let mut found = honest(&canonical, &together, "batches")?;
    let mut explained = attributions::Measure::new(folder, &model, &lines, usize::from(batch))?;
    for_each_other(arguments, texts, explained.is_some(), |said, who| {
        found.extend(honest(&canonical, &said.vectors, who)?);
        pace.step(lines.len());
        explained.as_mut().map_or(Ok(()), |explained| explained.add(&said.words, who))
    })?;
    let mut measured = Measured {
        model: model_folder::digest(folder)?,
        inputs: inputs.digest,
        quantity: "vector",
        engine: ENGINE.to_owned(),
        dtype: "f32",
        device: arguments.device,
        batches: vec![1, batch],
        honest: found,
        tampers: Vec::new(),
        attributions: explained.map(attributions::Measure::tolerance),
        is_near: true,
    };
    for tamper in changes {
        let changed = tamper.changed(&files).map_err(|error| model_folder::refused(folder, &error))?;
        let Some(changed) = changed else {
            pace.step(lines.len());
            continue;
        };
        let other = vectors(&load(&changed)?, &lines, 1, &mut pace)?;
        measured.tampered(tamper.name(), tampered(&canonical, &other));
    }
    Ok(measured)
}

/// Hands over what other processes and machines said of the texts.
fn for_each_other(
    arguments: &AuditCalibrateArguments,
    texts: &Path,
    explained: bool,
    mut hear: impl FnMut(Said, &str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let words = ["model", "predict", "--json", "--device", arguments.device.as_str()].into_iter();
    let words = words.chain(explained.then_some("--contributions")).chain(["--text"]).map(OsStr::new);
    let command: Vec<&OsStr> = words.chain([texts.as_os_str(), arguments.model.as_os_str()]).collect();
    elsewhere::hear(arguments, &command, |bytes, who| hear(recorded(bytes, who)?, who))
}

/// What was recorded of texts: vectors, and the attributions of words where there are such.
struct Said {
    vectors: Vec<Vec<f64>>,
    words: Vec<Option<Vec<f64>>>,
}

fn refused(error: &RowError) -> Refusal {
    Refusal::new(error.code(), error, "Leave the text out, or check that it is as the model saw it.")
}

fn vectors(
    model: &TextModel,
    lines: &[&str],
    batch: usize,
    pace: &mut Pace,
) -> Result<Vec<Vec<f64>>, Refusal> {
    let mut vectors = Vec::with_capacity(lines.len());
    for part in lines.chunks(batch) {
        let scores = model.score_batch(part, None).map_err(|error| refused(&error))?;
        vectors.extend(
            scores.into_iter().map(|score| score.vector.into_iter().map(f64::from).collect::<Vec<f64>>()),
        );
        pace.step(part.len());
    }
    Ok(vectors)
}

fn recorded(bytes: &[u8], name: &str) -> Result<Said, Refusal> {
    let mut said = Said { vectors: Vec::new(), words: Vec::new() };
    for line in predicted(bytes, name) {
        let Recorded { vector, attributions } = line?;
        said.vectors.push(vector.into_iter().map(|number| read_back(number, Precision::F32)).collect());
        let words = attributions.map(|said| said.words.iter().map(|word| word.attribution).collect());
        said.words.push(words);
    }
    Ok(said)
}
