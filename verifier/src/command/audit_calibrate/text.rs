//! What `audit calibrate` measures of a text model.
//!
//! Guarantees: another number of threads is another process, since the engine reads it once. Does not do: the counting.

mod attributions;

use std::path::Path;
use std::process::Command;

use ledgerstone::hash::Hash;
use serde::Deserialize;

use super::{Measured, Tampered, distance};
use crate::cli::AuditCalibrateArguments;
use crate::command::model_folder;
use crate::exit::Refusal;
use crate::recompute::RowError;
use crate::recompute::neural::tamper::{ONE_WEIGHTS, Tamper};
use crate::recompute::neural::{ENGINE, Files, Processor, TextModel};
use crate::source::read_input;

/// Bytes of a file of texts, or of what was recorded of them.
const INPUT_BYTES_MAX: usize = 1 << 30;

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

pub(super) fn measure(arguments: &AuditCalibrateArguments, texts: &Path) -> Result<Measured, Refusal> {
    let folder = &arguments.model;
    if !folder.is_dir() || texts.as_os_str() == "-" {
        return Err(Refusal::usage(
            "--text needs the folder of a text model, and a file that can be read more than once",
            "Give --rows for a model file; write the texts to a file.",
        ));
    }
    let bytes = read_input(texts, INPUT_BYTES_MAX)?;
    let all = core::str::from_utf8(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{}: byte {} is not UTF-8", texts.display(), error.valid_up_to()),
            "Write the texts in UTF-8, one a line.",
        )
    })?;
    let lines: Vec<&str> = all.lines().take(TEXTS_MAX).collect();
    let files = model_folder::read_files(folder)?;
    let model = load(folder, &files)?;
    let canonical = vectors(&model, &lines, 1)?;
    let mut honest = distances(&canonical, &vectors(&model, &lines, usize::from(arguments.batch.max(1)))?)?;
    let mut explained =
        attributions::Measure::new(folder, &model, &lines, usize::from(arguments.batch.max(1)))?;
    for threads in &arguments.threads {
        let said = in_another_process(folder, texts, *threads, explained.is_some())?;
        let said = recorded(&said, "the other process")?;
        honest.extend(distances(&canonical, &said.vectors)?);
        if let Some(explained) = &mut explained {
            explained.add(&said.words)?;
        }
    }
    for file in &arguments.recorded {
        let said = recorded(&read_input(file, INPUT_BYTES_MAX)?, &file.display().to_string())?;
        honest.extend(distances(&canonical, &said.vectors)?);
        if let Some(explained) = &mut explained {
            explained.add(&said.words)?;
        }
    }
    let tampered = |tamper: Tamper| {
        let changed = tamper.apply(&files).map_err(|error| model_folder::refused(folder, &error))?;
        distances(&canonical, &vectors(&load(folder, &changed)?, &lines, 1)?)
    };
    let mut tampers = Vec::new();
    for tamper in Tamper::WHOLE {
        tampers.push(Tampered { name: tamper.name(), distances: tampered(tamper)? });
    }
    let mut one = Vec::new();
    for number in (0..ONE_WEIGHTS).step_by(WEIGHTS_STEP) {
        one.extend(tampered(Tamper::OneWeight(number))?);
    }
    tampers.push(Tampered { name: Tamper::OneWeight(0).name(), distances: one });
    Ok(Measured {
        model: model_folder::digest(folder)?,
        inputs: Hash::of(&bytes),
        quantity: "vector",
        engine: ENGINE.to_owned(),
        dtype: "f32",
        batches: vec![1, arguments.batch.max(1)],
        honest,
        tampers,
        attributions: explained.map(attributions::Measure::tolerance),
    })
}

/// What was recorded of texts: vectors, and the attributions of words where there are such.
struct Said {
    vectors: Vec<Vec<f64>>,
    words: Vec<Option<Vec<f64>>>,
}

fn load(folder: &Path, files: &Files) -> Result<TextModel, Refusal> {
    TextModel::load_on(files, Processor::Cpu).map_err(|error| model_folder::refused(folder, &error))
}

fn vectors(model: &TextModel, lines: &[&str], batch: usize) -> Result<Vec<Vec<f64>>, Refusal> {
    let refused = |error: RowError| {
        Refusal::new(error.code(), error, "Leave the text out, or check that it is as the model saw it.")
    };
    let mut vectors = Vec::with_capacity(lines.len());
    for part in lines.chunks(batch) {
        let scores = model.score_batch(part, None).map_err(refused)?;
        vectors.extend(
            scores.into_iter().map(|score| score.vector.into_iter().map(f64::from).collect::<Vec<f64>>()),
        );
    }
    Ok(vectors)
}

fn distances(one: &[Vec<f64>], other: &[Vec<f64>]) -> Result<Vec<f64>, Refusal> {
    if one.len() != other.len() {
        return Err(Refusal::malformed(
            format_args!("there are {} texts, and vectors of {}", one.len(), other.len()),
            "Record the same texts in the same order.",
        ));
    }
    one.iter().zip(other).map(|(one, other)| distance(one, other)).collect()
}

fn recorded(bytes: &[u8], name: &str) -> Result<Said, Refusal> {
    let mut said = Said { vectors: Vec::new(), words: Vec::new() };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate();
    for (number, line) in lines {
        let Recorded { vector, attributions } = serde_json::from_slice(line).map_err(|error| {
            Refusal::malformed(
                format_args!("{name}, line {}: {error}", number + 1),
                "Give what `ledgerstone model predict --json` printed.",
            )
        })?;
        // The vector's numbers are those of f32, so that reading them as f64 would compare other numbers than were computed.
        said.vectors.push(vector.into_iter().map(narrowed).collect());
        let words = attributions.map(|said| said.words.iter().map(|word| word.attribution).collect());
        said.words.push(words);
    }
    Ok(said)
}

#[expect(clippy::cast_possible_truncation, reason = "the text of an f32")]
fn narrowed(number: f64) -> f64 {
    f64::from(number as f32)
}

fn in_another_process(
    folder: &Path,
    texts: &Path,
    threads: u16,
    explained: bool,
) -> Result<Vec<u8>, Refusal> {
    let failed = |why: String| {
        Refusal::unavailable(
            format_args!("the model cannot be computed with {threads} threads: {why}"),
            "Run the command again with other --threads.",
        )
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let output = Command::new(program)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .args(["model", "predict", "--json"])
        .args(explained.then_some("--contributions"))
        .arg("--text")
        .args([texts, folder])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(output.status.to_string())) }
}
