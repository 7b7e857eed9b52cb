//! Every model format against the library that wrote it: margins, answers and contributions, bit for bit, on real tables.
//!
//! Danger: a record is called tampered with because our sum differs in its last bit, or an edit passes because we
//! compare within a tolerance. Expected: for every kind of model that is supported, every number has the library's bits;
//! what is not supported is refused by name.
//!
//! The models of `library/*.py` are trained anew in the environment that `scripts/py-env` makes of
//! `library/requirements.txt`. Small files made once by the same scripts are kept under `vectors/models/`, so that a machine without
//! Python checks exactness, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/answers.rs"]
mod answers;
#[path = "support/library.rs"]
mod library;

use std::path::{Path, PathBuf};

use answers::Answers;
use ledgerstone_verifier::recompute::{About, Model, ModelError, Precision};
#[cfg(feature = "neural")]
use ledgerstone_verifier::recompute::{
    processor::Processor,
    tensor_trees::{TensorError, TensorForest},
};

/// What was compared.
#[derive(Default)]
struct Compared {
    models: usize,
    rows: usize,
    margins: usize,
    contributions: usize,
    /// Margins that were computed as tensor operations, too.
    by_tensors: usize,
}

fn assert_bits(name: &str, what: &str, row: usize, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{name}: {what}");
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(
            ours.to_bits(),
            theirs.to_bits(),
            "{name}, {what} {place} of row {row}: {ours} and {theirs}"
        );
    }
}

/// Compares every number in the answers beside a model file.
fn compare(file: &Path, compared: &mut Compared) -> About {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let model = Model::parse(&std::fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let about = model.about();
    let answers = Answers::read(&file.with_extension("bits"));
    let [margins, numbers, contributions] = answers.widths;
    assert_eq!(
        (about.precision, about.features, about.margins, about.answers),
        (answers.precision, answers.columns, margins, numbers),
        "{name}: {about:?}"
    );
    let rows = answers.rows.chunks_exact(answers.columns);
    for (number, row) in rows.clone().enumerate() {
        let ours = model.score(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        assert_bits(name, "margin", number, &ours.margins, &answers.margins[number * margins..][..margins]);
        assert_bits(name, "answer", number, &ours.answer, &answers.answers[number * numbers..][..numbers]);
    }
    let in_batch = model.margins_of_rows(&answers.rows, 3).unwrap();
    assert_bits(name, "margin in a batch", 0, &in_batch, &answers.margins);
    compare_tensors(name, &model, &answers, compared);
    let tolerance = if about.precision == Precision::F32 { 1e-4 } else { 1e-9 };
    for (number, (row, theirs)) in rows.zip(answers.others.chunks_exact(contributions.max(1))).enumerate() {
        let ours = model.contributions(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        assert_bits(name, "contribution", number, &ours.concat(), theirs);
        // Additivity: contributions add up to the margin but for rounding.
        for (parts, margin) in ours.iter().zip(&answers.margins[number * margins..]) {
            let sum: f64 = parts.iter().sum();
            let scale = parts.iter().map(|part| part.abs()).fold(1.0, f64::max);
            assert!((sum - margin).abs() <= tolerance * scale, "{name}, row {number}: {sum} is not {margin}");
        }
    }
    compared.models += 1;
    compared.rows += answers.margins.len() / margins;
    compared.margins += answers.margins.len();
    compared.contributions += answers.others.len();
    about
}

/// The same margins as tensor operations; what is no forest is refused.
#[cfg(feature = "neural")]
fn compare_tensors(name: &str, model: &Model, answers: &Answers, compared: &mut Compared) {
    match TensorForest::new(model, Processor::Cpu) {
        Ok(forest) => {
            let margins = forest.margins_of_rows(&answers.rows).unwrap();
            assert_bits(name, "margin by tensors", 0, &margins, &answers.margins);
            compared.by_tensors += margins.len();
        }
        Err(TensorError::Unsupported { what }) => {
            assert!(["a linear booster", "linear trees", "a scorecard"].contains(&what), "{name}: {what}");
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[cfg(not(feature = "neural"))]
fn compare_tensors(_: &str, _: &Model, _: &Answers, _: &mut Compared) {}

/// The model files of a folder: those with answers beside them.
fn model_files(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end != "bits" && end != "md"))
        .collect();
    found.sort();
    found
}

fn compare_all(directory: &Path, models: usize) -> Compared {
    let files = model_files(directory);
    let mut compared = Compared::default();
    for file in &files {
        compare(file, &mut compared);
    }
    assert_eq!(compared.models, models, "{files:?}");
    let Compared { rows, margins, contributions, by_tensors, .. } = &compared;
    println!(
        "{models} models: {rows} rows, {margins} margins, {contributions} contributions bit-equal; {by_tensors} margins also by tensors"
    );
    compared
}

fn assert_refused(directory: &Path, models: usize) {
    let files = model_files(directory);
    assert_eq!(files.len(), models, "{files:?}");
    for file in files {
        match Model::parse(&std::fs::read(&file).unwrap()) {
            Err(ModelError::Unsupported { .. }) => {}
            other => panic!("{}: expected a refusal, got {other:?}", file.display()),
        }
    }
}

fn trained(script: &str) -> Option<PathBuf> {
    library::trained(&format!("library/{script}.py"), "verifier/tests/library/requirements.txt", &[])
}

#[test]
fn committed_models_give_the_bits_of_their_libraries() {
    let compared = compare_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/models"), 11);
    if cfg!(feature = "neural") {
        // All but the linear booster and the linear trees, of 57 rows each.
        assert_eq!(compared.by_tensors, compared.margins - 2 * 57);
    }
}

#[test]
fn xgboost_models_of_every_kind_give_the_bits_of_the_library() {
    let Some(directory) = trained("xgboost_models") else { return };
    compare_all(&directory, 39);
    assert_refused(&directory.join("refused"), 2);
}

#[test]
fn lightgbm_models_of_every_kind_give_the_bits_of_the_library() {
    let Some(directory) = trained("lightgbm_models") else { return };
    compare_all(&directory, 37);
}

#[test]
fn catboost_models_give_the_bits_of_the_library() {
    let Some(directory) = trained("catboost_models") else { return };
    compare_all(&directory, 13);
    assert_refused(&directory.join("refused"), 2);
}

#[test]
fn scorecards_give_the_bits_of_a_second_implementation() {
    let Some(directory) = trained("scorecards") else { return };
    compare_all(&directory, 2);
}
