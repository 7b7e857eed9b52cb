//! ONNX graphs that take texts beside numbers, against onnxruntime with one thread.
//!
//! Danger: a category that training did not see, or an empty text, is encoded otherwise than by the engine, and a decision about it is
//! called tampered with. Expected: the bits of the engine where the model claims them, and its labels; else the stated tolerance.
//!
//! The graphs are small and kept under `vectors/onnx_texts/`; where Python is, `library/onnx_texts.py` trains them anew.

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

#[path = "support/library.rs"]
mod library;

use std::path::{Path, PathBuf};

use ledgerstone_verifier::recompute::{Model, Texts, Tolerance};
use serde_json::Value;

/// What the engine was given and answered.
struct Asked {
    rows: Vec<(Vec<f64>, Texts)>,
    margins: Vec<Vec<f64>>,
    answers: Vec<Vec<f64>>,
    labels: Vec<Vec<String>>,
}

fn asked(file: &Path) -> Asked {
    let json: Value = serde_json::from_slice(&std::fs::read(file.with_extension("json")).unwrap()).unwrap();
    let lists = |name: &str| json[name].as_array().unwrap().iter().map(|row| row.as_array().unwrap());
    let numbers = |name: &str| -> Vec<Vec<f64>> {
        lists(name).map(|row| row.iter().map(|cell| cell.as_f64().unwrap()).collect()).collect()
    };
    let row = |cells: &Vec<Value>| {
        let mut texts = Texts::default();
        let numbers = cells.iter().map(|cell| match cell {
            Value::String(text) => texts.keep(text),
            number => number.as_f64().unwrap(),
        });
        (numbers.collect(), texts)
    };
    let labels =
        lists("labels").map(|row| row.iter().map(|label| label.as_str().unwrap().to_owned()).collect());
    Asked {
        rows: lists("rows").map(row).collect(),
        margins: numbers("margins"),
        answers: numbers("answers"),
        labels: labels.collect(),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let found = library::graphs(directory);
    assert_eq!(found.len(), 7, "graphs of {}", directory.display());
    found
}

fn assert_numbers(at: &str, ours: &[f64], theirs: &[f64], within: Option<&Tolerance>) {
    assert_eq!(ours.len(), theirs.len(), "{at}");
    let scale = theirs.iter().fold(1.0, |scale: f64, number| scale.max(number.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        match within {
            None => assert_eq!(ours.to_bits(), theirs.to_bits(), "{at}: {ours} and {theirs}"),
            Some(tolerance) => assert!((ours - theirs).abs() / scale <= tolerance.relative, "{at}"),
        }
    }
}

/// Compares every graph of a folder; gives how many rows of how many exact graphs.
fn compare(directory: &Path) -> (usize, usize) {
    let (mut rows, mut exact) = (0, 0);
    for file in files(directory) {
        let model = Model::parse(&std::fs::read(&file).unwrap()).unwrap();
        let about = model.about();
        assert_eq!(about.text_columns, [0, 1, 2], "{}", file.display());
        let asked = asked(&file);
        for (number, (row, texts)) in asked.rows.iter().enumerate() {
            let at = format!("{}, row {number}", file.display());
            let score = model.score_with(row, texts).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_numbers(&at, &score.margins, &asked.margins[number], about.margins_within.as_ref());
            assert_numbers(&at, &score.answer, &asked.answers[number], about.answers_within.as_ref());
            assert_eq!(model.labels_with(row, texts).unwrap(), asked.labels[number], "{at}");
            // A number that stands for no text is no row of this model.
            assert!(model.score_with(row, Texts::none()).is_err(), "{at}");
        }
        rows += asked.rows.len();
        exact += usize::from(about.answers_within.is_none());
    }
    (rows, exact)
}

#[test]
fn kept_graphs_with_texts_give_the_numbers_of_the_engine() {
    let (rows, exact) = compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx_texts"));
    assert!(rows > 350 && exact == 6, "{rows} rows, {exact} exact graphs");
}

#[test]
fn graphs_with_texts_that_are_trained_anew_give_the_numbers_of_the_engine() {
    let requirements = "verifier/tests/library/onnx-requirements.txt";
    let Some(directory) = library::trained("library/onnx_texts.py", requirements, &[]) else { return };
    let (rows, exact) = compare(&directory);
    println!("{rows} rows of 7 graphs, {exact} of them exact");
    assert!(rows > 350 && exact == 6, "{rows} rows, {exact} exact graphs");
}
