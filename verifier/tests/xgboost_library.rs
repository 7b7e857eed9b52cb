//! The evaluator against the library itself: models of twenty shapes, trained and scored by XGBoost.
//!
//! Danger: a record is called tampered with because our sum differs in its last bit, or an edit passes because we
//! compare within a tolerance. Expected: every margin and every prediction has the library's bits, for files of XGBoost
//! 1.0 to 3.x; every model that we do not reproduce is refused, and the refusal says what it is. Other objectives, boosters
//! and formats are compared in `model_library.rs`.
//!
//! Files of older versions are kept under `vectors/xgboost/` (written by `xgboost/versions.py`). The models of the present
//! version are trained anew by `xgboost/models.py`, in the environment that `scripts/py-env` makes.

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

#[path = "support/exactness.rs"]
#[allow(dead_code, reason = "shared with the tests that use the rest of it")]
mod exactness;
#[path = "support/library.rs"]
mod library;

use std::path::{Path, PathBuf};

use exactness::{Row, measured};
use ledgerstone_verifier::recompute::xgboost::{Model, ModelError};

/// Rows, margins and predictions as the library gave them.
struct Answers {
    columns: usize,
    rows: Vec<f32>,
    margins: Vec<f32>,
    predictions: Vec<f32>,
}

impl Answers {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let (count, columns) = (words[0] as usize, words[1] as usize);
        let floats: Vec<f32> = words[2..].iter().map(|word| f32::from_bits(*word)).collect();
        assert_eq!(floats.len(), count * (columns + 2), "{}", path.display());
        let (rows, answers) = floats.split_at(count * columns);
        let (margins, predictions) = answers.split_at(count);
        Self { columns, rows: rows.to_vec(), margins: margins.to_vec(), predictions: predictions.to_vec() }
    }
}

/// Compares every margin and prediction of a model file with the answers beside it; gives what was compared.
fn compare(model_file: &Path) -> Row {
    let name = model_file.file_stem().unwrap().to_str().unwrap();
    let model = Model::parse(&std::fs::read(model_file).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let answers = Answers::read(&model_file.with_extension("bits"));
    assert_eq!(model.feature_count(), answers.columns, "{name}");
    let mut compared = Row::new("random", name);
    compared.rows = answers.margins.len();
    let [of_margins, of_answers, _] = &mut compared.parts;
    let expected = answers.margins.iter().zip(&answers.predictions);
    for (number, (row, (margin, prediction))) in
        answers.rows.chunks_exact(answers.columns).zip(expected).enumerate()
    {
        let ours = model.margin(row).unwrap();
        assert_eq!(ours.to_bits(), margin.to_bits(), "{name}, row {number}: {ours} and {margin}");
        of_margins.add(ours.into(), (*margin).into(), 1.0);
        let ours = model.probability(ours);
        assert_eq!(ours.to_bits(), prediction.to_bits(), "{name}, row {number}: {ours} and {prediction}");
        of_answers.add(ours.into(), (*prediction).into(), 1.0);
    }
    compared
}

fn files(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| extensions.contains(&path.extension().and_then(|end| end.to_str()).unwrap_or("")))
        .collect();
    found.sort();
    found
}

#[test]
fn files_of_every_major_version_give_the_bits_of_their_library() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/xgboost");
    let models = files(&directory, &["json"]);
    assert_eq!(models.len(), 12, "two models of each of six versions");
    let rows: Vec<Row> = models.iter().map(|model| compare(model)).collect();
    measured("xgboost_versions", &rows);
}

#[test]
fn models_of_every_shape_give_the_bits_of_the_library() {
    let Some(directory) = library::trained("xgboost/models.py", "examples/lending/requirements.txt", &[])
    else {
        return;
    };
    let models = files(&directory, &["json"]);
    assert_eq!(models.len(), 20);
    let rows: Vec<Row> = models.iter().map(|model| compare(model)).collect();
    measured("xgboost_shapes", &rows);

    let refused = files(&directory.join("refused"), &["json", "ubj"]);
    assert_eq!(refused.len(), 3);
    for file in refused {
        match Model::parse(&std::fs::read(&file).unwrap()) {
            Err(ModelError::Unsupported { .. }) => {}
            other => panic!("{}: expected a refusal, got {other:?}", file.display()),
        }
    }
}
