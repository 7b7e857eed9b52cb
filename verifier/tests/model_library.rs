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
#[path = "support/exactness.rs"]
#[allow(dead_code, reason = "shared with the tests that use the rest of it")]
mod exactness;
#[path = "support/library.rs"]
mod library;

use std::path::{Path, PathBuf};

use answers::Answers;
use exactness::{Part, Row, data_of, measured};
use ledgerstone_verifier::recompute::{Model, ModelError, Permutations, Precision, RowError};
#[cfg(feature = "neural")]
use ledgerstone_verifier::recompute::{
    processor::Processor,
    tensor_trees::{TensorError, TensorForest},
};

fn assert_bits(name: &str, row: usize, (ours, theirs): (&[f64], &[f64]), part: &mut Part) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.to_bits(), theirs.to_bits(), "{name} {place} of row {row}: {ours} and {theirs}");
        part.add(*ours, *theirs, 1.0);
    }
}

/// Compares every number in the answers beside a model file.
fn compare(file: &Path, data: Option<&str>) -> Row {
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
    let mut compared = Row::new(data.unwrap_or_else(|| data_of(name)), name);
    compared.rows = answers.margins.len() / margins;
    let [of_margins, of_answers, of_contributions] = &mut compared.parts;
    let named = |what: &str| format!("{name}, {what}");
    let rows = answers.rows.chunks_exact(answers.columns);
    for (number, row) in rows.clone().enumerate() {
        let ours = model.score(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        let theirs = &answers.margins[number * margins..][..margins];
        assert_bits(&named("margin"), number, (&ours.margins, theirs), of_margins);
        let theirs = &answers.answers[number * numbers..][..numbers];
        assert_bits(&named("answer"), number, (&ours.answer, theirs), of_answers);
    }
    let in_batch = model.margins_of_rows(&answers.rows, 3).unwrap();
    assert_bits(&named("margin in a batch"), 0, (&in_batch, &answers.margins), &mut Part::default());
    compare_tensors(name, &model, &answers);
    let tolerance = if about.precision == Precision::F32 { 1e-4 } else { 1e-9 };
    for (number, (row, theirs)) in rows.zip(answers.others.chunks_exact(contributions.max(1))).enumerate() {
        let ours = model.contributions(row).unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        assert_bits(&named("contribution"), number, (&ours.concat(), theirs), of_contributions);
        // Additivity: contributions add up to the margin but for rounding.
        for (parts, margin) in ours.iter().zip(&answers.margins[number * margins..]) {
            let sum: f64 = parts.iter().sum();
            let scale = parts.iter().map(|part| part.abs()).fold(1.0, f64::max);
            assert!((sum - margin).abs() <= tolerance * scale, "{name}, row {number}: {sum} is not {margin}");
        }
    }
    compared
}

/// The same margins as tensor operations; what is no forest is refused.
#[cfg(feature = "neural")]
fn compare_tensors(name: &str, model: &Model, answers: &Answers) {
    match TensorForest::new(model, Processor::Cpu) {
        Ok(forest) => {
            let margins = forest.margins_of_rows(&answers.rows).unwrap();
            let name = format!("{name}, margin by tensors");
            assert_bits(&name, 0, (&margins, &answers.margins), &mut Part::default());
        }
        Err(TensorError::Unsupported { what }) => {
            let is_no_forest = ["a linear booster", "linear trees", "a scorecard"].contains(&what);
            assert!(is_no_forest, "{name}: {what}");
            let kinds = ["linear", "card"];
            assert!(
                kinds.iter().any(|kind| name.contains(kind)),
                "{name} is a forest, and was refused: {what}"
            );
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[cfg(not(feature = "neural"))]
fn compare_tensors(_: &str, _: &Model, _: &Answers) {}

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

fn compare_all(files: &[PathBuf], models: usize, table: &str, data: Option<&str>) {
    let rows: Vec<Row> = files.iter().map(|file| compare(file, data)).collect();
    assert_eq!(rows.len(), models, "{files:?}");
    let Row { rows: count, parts, .. } = Row::joined("", "", &rows);
    let [margins, answers, contributions] = parts.map(|part| part.equal);
    println!(
        "{models} models: {count} rows; bit-equal: {margins} margins, {answers} answers, {contributions} contributions"
    );
    measured(table, &rows);
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

fn compare_committed(engine: &str, models: usize, table: &str) {
    let mut files = model_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/models"));
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with(engine));
    compare_all(&files, models, table, Some("bcancer"));
}

#[test]
fn committed_xgboost_models_give_the_bits_of_the_library() {
    compare_committed("xgboost", 5, "kept_xgboost");
}

#[test]
fn committed_lightgbm_models_give_the_bits_of_the_library() {
    compare_committed("lightgbm", 5, "kept_lightgbm");
}

#[test]
fn committed_catboost_models_give_the_bits_of_the_library() {
    compare_committed("catboost", 2, "kept_catboost");
}

#[test]
fn xgboost_models_of_every_kind_give_the_bits_of_the_library() {
    let Some(directory) = trained("xgboost_models") else { return };
    compare_all(&model_files(&directory), 39, "xgboost", None);
    assert_refused(&directory.join("refused"), 2);
}

#[test]
fn lightgbm_models_of_every_kind_give_the_bits_of_the_library() {
    let Some(directory) = trained("lightgbm_models") else { return };
    compare_all(&model_files(&directory), 37, "lightgbm", None);
}

#[test]
fn catboost_models_give_the_bits_of_the_library() {
    let Some(directory) = trained("catboost_models") else { return };
    compare_all(&model_files(&directory), 13, "catboost", None);
    assert_refused(&directory.join("refused"), 2);
}

#[test]
fn scorecards_give_the_bits_of_a_second_implementation() {
    let Some(directory) = trained("scorecards") else { return };
    compare_all(&model_files(&directory), 2, "scorecards", None);
}

/// The two small models of a folder of vectors.
fn small_models(folder: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder);
    let files = model_files(&directory);
    assert_eq!(files.len(), 2, "{files:?}");
    files
}

/// Compares what shap says against a background; gives the numbers that were compared.
fn compare_against(file: &Path) -> usize {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let model = Model::parse(&std::fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let about = model.about();
    assert_eq!(about.interventional, None, "{name}");
    let answers = Answers::read(&file.with_extension("bits"));
    let of_background = answers.answers[0] as usize * answers.columns;
    let background = model.against(&answers.rows[answers.rows.len() - of_background..], None).unwrap();
    let explained = answers.others.chunks_exact(answers.widths[2]);
    let explained_count = explained.len();
    for (number, (row, theirs)) in answers.rows.chunks_exact(answers.columns).zip(explained).enumerate() {
        let ours = model
            .contributions_against(row, &background)
            .unwrap_or_else(|error| panic!("{name}, row {number}: {error}"));
        let margins = &answers.margins[number * about.margins..];
        assert_eq!(ours.len(), about.margins, "{name}");
        for ((ours, theirs), margin) in ours.iter().zip(theirs.chunks(about.features + 1)).zip(margins) {
            let (parts, expected) = (&theirs[..about.features], theirs[about.features]);
            let name = format!("{name}, contribution");
            assert_bits(&name, number, (&ours[..about.features], parts), &mut Part::default());
            // shap takes XGBoost's base score in f64, and numpy's mean adds in another order; none is kept of several outputs.
            let base = ours[about.features];
            let near = if about.precision == Precision::F32 { 1e-6 } else { 1e-12 };
            assert!(
                expected.is_nan() || (base - expected).abs() <= near * base.abs().max(1.0),
                "{name}: {base} is not {expected}"
            );
            let sum: f64 = ours.iter().sum();
            let scale = ours.iter().map(|part| part.abs()).fold(1.0, f64::max);
            assert!((sum - margin).abs() <= 1e-5 * scale, "{name}, row {number}: {sum} is not {margin}");
        }
    }
    assert!(explained_count > 0, "{name}");
    answers.others.len()
}

#[test]
fn committed_models_are_explained_against_a_background_with_the_bits_of_shap() {
    let files = small_models("interventional");
    files.iter().for_each(|file| assert_eq!(compare_against(file) % 20, 0));
}

#[test]
fn models_are_explained_against_a_background_with_the_bits_of_shap() {
    let requirements = "verifier/tests/library/interventional-requirements.txt";
    let Some(directory) = library::trained("library/interventional.py", requirements, &[]) else { return };
    let files = model_files(&directory);
    assert_eq!(files.len(), 14, "{files:?}");
    let numbers: usize = files.iter().map(|file| compare_against(file)).sum();
    println!("{numbers} contributions of 14 models bit-equal to shap");

    let parted = directory.join("parted/lightgbm_near.txt");
    let model = Model::parse(&std::fs::read(&parted).unwrap()).unwrap();
    let rows = Answers::read(&parted.with_extension("bits")).rows;
    let background = model.against(&rows[..20], None).unwrap();
    for row in &rows {
        let explained = model.contributions_against(&[*row], &background);
        assert!(matches!(explained, Err(RowError::Contributions { .. })), "{row}: {explained:?}");
    }
}

/// Compares what shap says with drawn orders of features, every row with a seed of its own; gives the numbers that were compared.
fn compare_permutations(file: &Path) -> usize {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let model = Model::parse(&std::fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let answers = Answers::read(&file.with_extension("bits"));
    let [rows_against, evaluations, seed] = [0, 1, 2].map(|place| answers.answers[place] as u32);
    let rows_against = &answers.rows[answers.rows.len() - rows_against as usize * answers.columns..];
    let explained = answers.others.chunks_exact(answers.widths[2]);
    for (number, (row, theirs)) in answers.rows.chunks_exact(answers.columns).zip(explained).enumerate() {
        let drawn = Permutations { evaluations, seed: seed.wrapping_add(number as u32) };
        let against = model.against(rows_against, Some(drawn)).unwrap();
        let ours = model.contributions_against(row, &against).unwrap().concat();
        assert_bits(&format!("{name}, drawn contribution"), number, (&ours, theirs), &mut Part::default());
    }
    answers.others.len()
}

#[test]
fn committed_models_are_explained_by_drawn_orders_with_the_bits_of_shap() {
    let files = small_models("permutations");
    assert_eq!(files.iter().map(|file| compare_permutations(file)).sum::<usize>(), 2 * 20 * 8);
}

#[test]
fn models_are_explained_by_drawn_orders_with_the_bits_of_shap() {
    let requirements = "verifier/tests/library/interventional-requirements.txt";
    let Some(directory) = library::trained("library/permutations.py", requirements, &[]) else { return };
    let files = model_files(&directory);
    assert_eq!(files.len(), 4, "{files:?}");
    let numbers: usize = files.iter().map(|file| compare_permutations(file)).sum();
    println!("{numbers} drawn contributions of 4 models bit-equal to shap");
}

#[test]
fn models_that_shap_misreads_are_not_explained_against_a_background() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/models");
    for name in [
        "xgboost_dart_ubj.ubj",
        "xgboost_linear.json",
        "xgboost_binary.json",
        "lightgbm_linear.txt",
        "lightgbm_binary.txt",
        "catboost_binary.json",
    ] {
        let model = Model::parse(&std::fs::read(models.join(name)).unwrap()).unwrap();
        let row = vec![1.0; model.about().features];
        assert!(model.about().interventional.is_some(), "{name}");
        let explained = model.against(&row, None).and_then(|rows| model.contributions_against(&row, &rows));
        assert!(matches!(explained, Err(RowError::Contributions { .. })), "{name}: {explained:?}");
    }
}
