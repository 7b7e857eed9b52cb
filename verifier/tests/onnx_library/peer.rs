//! The library itself, loaded as the second engine: it must say what the same library said from Python.

use std::path::{Path, PathBuf};

use ledgerstone_verifier::recompute::onnx::runtime::{Library, RuntimeError, Session};
use ledgerstone_verifier::recompute::{Model, Texts};

use super::answers::Answers;
use super::{claims_exactness, library, trained};

/// Rows that are asked of each model.
const ROWS: usize = 40;

fn bits(numbers: &[f64]) -> Vec<u64> {
    // The bits of what is no number are not compared.
    numbers.iter().map(|number| if number.is_nan() { u64::MAX } else { number.to_bits() }).collect()
}

/// Asks for rows one by one, and for all of them at once; gives how many numbers were compared.
fn compare(library: &Library, file: &Path) -> usize {
    let answers = Answers::read(&file.with_extension("bits"));
    let mut session = Session::new(library, &std::fs::read(file).unwrap(), 1)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let [margins, numbers, labels] = answers.widths;
    let mut compared = 0;
    for (number, row) in answers.rows.chunks_exact(answers.columns).take(ROWS).enumerate() {
        let at = format!("{}, row {number}", file.display());
        let theirs = session.numbers(row, Texts::none()).unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(bits(&theirs.margins), bits(&answers.margins[number * margins..][..margins]), "{at}");
        assert_eq!(bits(&theirs.answer), bits(&answers.answers[number * numbers..][..numbers]), "{at}");
        if let Some(expected) = answers.others.get(number * labels..(number + 1) * labels) {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(theirs.labels, expected, "{at}");
        }
        compared += margins + numbers;
    }
    if session.takes_batches() {
        let rows = answers.rows.len().min(ROWS * answers.columns);
        let together = session.numbers_of_rows(&answers.rows[..rows], Texts::none()).unwrap();
        assert_eq!(together.len(), rows / answers.columns);
    }
    compared
}

/// Needs no training, so that a quick look at the loading has a test, too. The kept answers are of another machine: what only comes near
/// may differ from this one's in the last bits, and the others may not.
#[test]
fn the_loaded_library_gives_the_kept_answers() {
    let Some(object) = library::onnxruntime() else { return };
    let library = Library::load(&object).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx");
    let (near, exact): (Vec<PathBuf>, Vec<PathBuf>) =
        library::graphs(&kept).into_iter().partition(|file| !claims_exactness(file));
    let compared: usize = exact.iter().map(|file| compare(&library, file)).sum();
    assert!((exact.len(), near.len()) == (16, 2) && compared > 1000, "{compared} numbers");
    for file in near {
        let bytes = std::fs::read(&file).unwrap();
        let within = Model::parse(&bytes).unwrap().about().answers_within.unwrap().relative;
        let answers = Answers::read(&file.with_extension("bits"));
        let mut session = Session::new(&library, &bytes, 1).unwrap();
        for (row, expected) in
            answers.rows.chunks(answers.columns).zip(answers.answers.chunks(answers.widths[1]))
        {
            let theirs = session.numbers(row, Texts::none()).unwrap().answer;
            let apart = theirs.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart <= within, "{}: {apart}", file.display());
        }
    }
}

#[test]
fn the_loaded_library_says_what_it_says_from_python() {
    let (Some(directory), Some(object)) = (trained("onnx_models"), library::onnxruntime()) else { return };
    let library = Library::load(&object).unwrap();
    assert!(library.build().contains("git-commit-id"), "{}", library.build());
    let files = library::graphs(&directory);
    let compared: usize = files.iter().map(|file| compare(&library, file)).sum();
    println!("{} graphs, {compared} numbers with the same bits", files.len());
    assert!(files.len() == 75 && compared > 5000, "{} graphs, {compared} numbers", files.len());
    // A second load is the same library; another is refused, because a process can have one.
    let _again = Library::load(&object).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    let error = Library::load(other.path()).unwrap_err();
    assert!(matches!(error, RuntimeError::Loaded { .. }), "{error}");
    refuses_first(&library, &directory);
}

/// What the own reader refuses is not shown to the library, even where the library would take it.
fn refuses_first(library: &Library, directory: &Path) {
    let file = directory.join("onnx_cancer_forest.onnx");
    let bytes = std::fs::read(file).unwrap();
    // Another domain of the same length, in the node and in the list of sets.
    let (known, other) = (b"ai.onnx.ml", b"ai.onnx.mi");
    let mut custom = bytes.clone();
    for start in 0..custom.len() - known.len() {
        if custom[start..].starts_with(known) {
            custom[start..start + known.len()].copy_from_slice(other);
        }
    }
    assert_ne!(custom, bytes);
    let error = Session::new(library, &custom, 1).unwrap_err();
    assert!(matches!(&error, RuntimeError::Model(_)) && error.to_string().contains("domain"), "{error}");
    // A file that ends early is refused by the own reader, too.
    let error = Session::new(library, &bytes[..bytes.len() - 9], 1).unwrap_err();
    assert!(matches!(error, RuntimeError::Model(_)), "{error}");
}
