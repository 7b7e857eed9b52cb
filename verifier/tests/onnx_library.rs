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
#[path = "support/exactness.rs"]
#[allow(dead_code, reason = "shared with the tests that use the rest of it")]
mod exactness;
#[path = "support/library.rs"]
mod library;
#[cfg(feature = "onnxruntime")]
#[path = "onnx_library/peer.rs"]
mod peer;

use std::path::{Path, PathBuf};

use answers::Answers;
use exactness::{Part, Row, data_of, measured};
use ledgerstone_verifier::recompute::{Model, Precision, Tolerance};

fn assert_numbers(name: &str, (ours, theirs): (&[f64], &[f64]), within: Option<&Tolerance>, part: &mut Part) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let scale = theirs.iter().fold(1.0, |scale: f64, number| scale.max(number.abs()));
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        match within {
            // The bits of what is no number are not compared.
            None if ours.is_nan() && theirs.is_nan() => continue,
            None => assert_eq!(ours.to_bits(), theirs.to_bits(), "{name} {place}: {ours} and {theirs}"),
            Some(tolerance) => {
                let apart = (ours - theirs).abs() / scale;
                assert!(
                    apart <= tolerance.relative,
                    "{name} {place}: {ours} and {theirs} are {apart:e} apart"
                );
            }
        }
        part.add(*ours, *theirs, scale);
    }
}

fn compare(file: &Path, data: Option<&str>) -> Row {
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
    let (margins_within, answers_within) = (about.margins_within.as_ref(), about.answers_within.as_ref());
    let mut compared = Row::new(data.unwrap_or_else(|| data_of(name)), name);
    compared.rows = answers.answers.len() / numbers;
    let [of_margins, of_answers, of_labels] = &mut compared.parts;
    for (number, row) in answers.rows.chunks_exact(answers.columns).enumerate() {
        let ours = model.score(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        let at = |what: &str| format!("{name}, row {number}, {what}");
        let theirs = &answers.margins[number * margins..][..margins];
        assert_numbers(&at("margin"), (&ours.margins, theirs), margins_within, of_margins);
        let theirs = &answers.answers[number * numbers..][..numbers];
        assert_numbers(&at("answer"), (&ours.answer, theirs), answers_within, of_answers);
        if let Some(theirs) = answers.others.get(number * labels..(number + 1) * labels) {
            let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
            let is_same = model.labels(row).unwrap() == theirs;
            assert!(is_same || margins_within.is_some(), "{name}, row {number}: label");
            of_labels.numbers += 1;
            of_labels.equal += usize::from(is_same);
        }
    }
    let in_batch = model.margins_of_rows(&answers.rows, 3).unwrap();
    if margins_within.is_none() {
        let both = (in_batch.as_slice(), answers.margins.as_slice());
        assert_numbers(&format!("{name}, in a batch"), both, None, &mut Part::default());
    }
    if let Some(Tolerance { operations, .. }) = answers_within {
        let [margins, answers, _] = compared.parts.map(|part| part.farthest);
        println!("{name}: margins {margins:.1e}, answers {answers:.1e} apart ({})", operations.join(", "));
    }
    compared
}

/// What a table of the page has of many models: a line each, or one of all exact ones and one of the others.
enum Lines {
    Each,
    Joined(&'static str),
}

/// Compares every model of a folder; `exact` claim exactness, `near` a tolerance.
fn compare_all(
    directory: &Path,
    (exact, near): (usize, usize),
    table: &str,
    data: Option<&str>,
    lines: Lines,
) {
    let (mut exacts, mut nears) = (Vec::new(), Vec::new());
    let mut failed = 0;
    for file in &library::graphs(directory) {
        match std::panic::catch_unwind(|| (compare(file, data), claims_exactness(file))) {
            Ok((row, true)) => exacts.push(row),
            Ok((row, false)) => nears.push(row),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 0, "models that differ");
    assert_eq!((exacts.len(), nears.len()), (exact, near));
    let joined = |what: &str, rows: &[Row]| Row::joined(data.unwrap_or_default(), what, rows);
    for (what, rows) in [("exact", &exacts), ("near", &nears)] {
        println!("{} graphs {what}: {:?}", rows.len(), joined(what, rows));
    }
    let rows = match lines {
        Lines::Each => {
            exacts.append(&mut nears);
            exacts.sort_by(|a, b| a.model.cmp(&b.model));
            exacts
        }
        Lines::Joined(what) => [(exact, "exact", exacts), (near, "near", nears)]
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, kind, rows)| joined(&format!("{count} {what}, {kind}"), &rows))
            .collect(),
    };
    measured(table, &rows);
}

/// Whether a model states no tolerance.
fn claims_exactness(file: &Path) -> bool {
    Model::parse(&std::fs::read(file).unwrap()).unwrap().about().answers_within.is_none()
}

fn trained(script: &str) -> Option<PathBuf> {
    library::trained(&format!("library/{script}.py"), "verifier/tests/library/onnx-requirements.txt", &[])
}

#[test]
fn committed_graphs_give_the_numbers_of_the_engine() {
    compare_all(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx"),
        (16, 2),
        "kept_onnx",
        Some("bcancer, random"),
        Lines::Each,
    );
}

#[test]
fn graphs_of_every_kind_give_the_numbers_of_the_engine() {
    let Some(directory) = trained("onnx_models") else { return };
    compare_all(&directory, (51, 24), "onnx", None, Lines::Each);
}

/// Rows that meet thresholds exactly, missing and infinite values, every mode, aggregate and transform.
#[test]
fn random_ensembles_of_trees_give_the_bits_of_the_engine() {
    let Some(directory) = trained("onnx_trees") else { return };
    compare_all(&directory, (1000, 0), "onnx_random", Some("random"), Lines::Joined("ensembles"));
}

#[test]
fn every_operation_gives_the_numbers_of_the_engine() {
    let Some(directory) = trained("onnx_operations") else { return };
    compare_all(&directory, (57, 25), "onnx_operations", Some("random"), Lines::Joined("graphs"));
}
