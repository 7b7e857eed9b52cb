//! ONNX graphs against onnxruntime with one thread: margins, answers and classes, on real tables.
//!
//! Danger: a record is called tampered with because our sum differs in its last bit, or an edit passes because we compare within
//! a tolerance where the bits are certain. Expected: a model that claims exactness has the engine's bits in every number of every row;
//! one that names operations which only come near stays within the tolerance that it states; what is not supported is
//! refused by name.
//!
//! The models of `library/onnx_models.py` are trained anew in the environment that `scripts/py-env` makes of
//! `library/onnx-requirements.txt`. Small files made once by `library/onnx_golden.py` are kept under `vectors/onnx/`, so that a
//! machine without Python checks exactness, too.

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
use ledgerstone_verifier::recompute::{Model, Precision, Tolerance};

/// What was compared, and how far apart numbers were that only come near.
#[derive(Default)]
struct Compared {
    rows: usize,
    exact_models: usize,
    exact_numbers: usize,
    near_models: usize,
    near_numbers: usize,
    near_equal: usize,
    near_worst: f64,
    labels: usize,
    labels_apart: usize,
}

fn assert_numbers(
    name: &str,
    (ours, theirs): (&[f64], &[f64]),
    within: Option<&Tolerance>,
    compared: &mut Compared,
) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let scale = theirs.iter().fold(1.0, |scale: f64, number| scale.max(number.abs()));
    let mut worst = 0.0_f64;
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let Some(tolerance) = within else {
            // The bits of what is no number are not compared.
            if ours.is_nan() && theirs.is_nan() {
                continue;
            }
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{name} {place}: {ours} and {theirs}");
            compared.exact_numbers += 1;
            continue;
        };
        let apart = (ours - theirs).abs() / scale;
        assert!(apart <= tolerance.relative, "{name} {place}: {ours} and {theirs} are {apart:e} apart");
        compared.near_numbers += 1;
        compared.near_equal += usize::from(ours.to_bits() == theirs.to_bits());
        worst = worst.max(apart);
    }
    compared.near_worst = compared.near_worst.max(worst);
    worst
}

fn compare(file: &Path, compared: &mut Compared) {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let model = Model::parse(&std::fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let about = model.about();
    let answers = Answers::read(&file.with_extension("bits"));
    let [margins, numbers, labels] = answers.widths;
    assert_eq!(
        (about.features, about.margins, about.answers),
        (answers.columns, margins, numbers),
        "{name}: {about:?}"
    );
    // Rows of 64 bits are written in 64 bits, whatever the outputs are.
    assert!(answers.precision == Precision::F64 || about.precision == Precision::F32, "{name}");
    let (of_margins, of_answers) = (about.margins_within.as_ref(), about.answers_within.as_ref());
    let mut worst = (0.0_f64, 0.0_f64);
    for (number, row) in answers.rows.chunks_exact(answers.columns).enumerate() {
        let ours = model.score(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        let theirs = &answers.margins[number * margins..][..margins];
        let apart = assert_numbers(
            &format!("{name}, row {number}, margin"),
            (&ours.margins, theirs),
            of_margins,
            compared,
        );
        worst.0 = worst.0.max(apart);
        let theirs = &answers.answers[number * numbers..][..numbers];
        let apart = assert_numbers(
            &format!("{name}, row {number}, answer"),
            (&ours.answer, theirs),
            of_answers,
            compared,
        );
        worst.1 = worst.1.max(apart);
        if let Some(theirs) = answers.others.get(number * labels..(number + 1) * labels) {
            let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
            let is_same = model.labels(row).unwrap() == theirs;
            assert!(is_same || of_margins.is_some(), "{name}, row {number}: label");
            compared.labels += 1;
            compared.labels_apart += usize::from(!is_same);
        }
    }
    let in_batch = model.margins_of_rows(&answers.rows, 3).unwrap();
    if of_margins.is_none() {
        assert_numbers(&format!("{name}, in a batch"), (&in_batch, &answers.margins), None, compared);
    }
    if let Some(Tolerance { operations, .. }) = of_answers {
        println!(
            "{name}: margins {:.1e}, answers {:.1e} apart ({})",
            worst.0,
            worst.1,
            operations.join(", ")
        );
    }
    compared.exact_models += usize::from(of_answers.is_none());
    compared.near_models += usize::from(of_answers.is_some());
    compared.rows += answers.answers.len() / numbers;
}

/// The model files of a folder: those with answers beside them.
fn model_files(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "onnx"))
        .collect();
    found.sort();
    found
}

fn compare_all(directory: &Path, exact: usize, near: usize) {
    let mut compared = Compared::default();
    let mut failed = 0;
    for file in &model_files(directory) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compare(file, &mut compared)));
        failed += usize::from(result.is_err());
    }
    assert_eq!(failed, 0, "models that differ");
    let Compared { rows, exact_numbers, near_numbers, near_equal, near_worst, labels, labels_apart, .. } =
        compared;
    println!(
        "{exact} models exact, {near} near: {rows} rows; {exact_numbers} numbers bit-equal, {near_numbers} at most {near_worst:.1e} \
         apart ({near_equal} of them bit-equal); {labels} labels, {labels_apart} other"
    );
    assert_eq!((compared.exact_models, compared.near_models), (exact, near));
}

fn trained(script: &str) -> Option<PathBuf> {
    library::trained(&format!("library/{script}.py"), "verifier/tests/library/onnx-requirements.txt", &[])
}

#[test]
fn committed_graphs_give_the_numbers_of_the_engine() {
    compare_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx"), 16, 2);
}

#[test]
fn graphs_of_every_kind_give_the_numbers_of_the_engine() {
    let Some(directory) = trained("onnx_models") else { return };
    compare_all(&directory, 51, 24);
}

/// Rows that meet thresholds exactly, missing and infinite values, every mode, aggregate and transform.
#[test]
fn random_ensembles_of_trees_give_the_bits_of_the_engine() {
    let Some(directory) = trained("onnx_trees") else { return };
    compare_all(&directory, 1000, 0);
}

#[test]
fn every_operation_gives_the_numbers_of_the_engine() {
    let Some(directory) = trained("onnx_operations") else { return };
    compare_all(&directory, 57, 25);
}
