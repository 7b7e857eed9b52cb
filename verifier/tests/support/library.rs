//! Models that the libraries themselves train, in an environment that `scripts/py-env` makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What each script filled, or why it did not. One trains at a time, because two on two cores wait for each other's threads, and each
/// trains once: a second run would write over files that another test is reading.
static TRAINED: Mutex<BTreeMap<String, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a script of `tests/` with the packages of a requirements file of the repository (`options` are pip's, such as
/// `--no-deps`) and gives the directory it filled;
/// `None` where Python or the packages are missing and nobody insists.
pub(crate) fn trained(script: &str, requirements: &str, options: &[&str]) -> Option<PathBuf> {
    let mut trained = TRAINED.lock().unwrap_or_else(PoisonError::into_inner);
    let result = trained.entry(script.to_owned()).or_insert_with(|| train(script, requirements, options));
    or_skipped(&format!("the models of {script}"), result.clone())
}

fn train(script: &str, requirements: &str, options: &[&str]) -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(script.replace(['/', '.'], "-"));
    let _ = std::fs::remove_dir_all(&directory);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let status = Command::new(python(requirements, options)?).arg(&path).arg(&directory).status();
    if status.is_ok_and(|status| status.success()) { Ok(directory) } else { Err(format!("{script} failed")) }
}

/// The Python that has the packages of a requirements file.
#[allow(dead_code, reason = "not every test asks the packages themselves")]
pub(crate) fn python_with(requirements: &str) -> Option<PathBuf> {
    or_skipped(&format!("what needs the packages of {requirements}"), python(requirements, &[]))
}

/// Nothing where Python or the packages are missing, and why; under CI nothing may be.
fn or_skipped<T>(what: &str, result: Result<T, String>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(problem) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("{problem}"),
        Err(problem) => {
            println!("skipped: {what}, because {problem}");
            None
        }
    }
}

/// The ONNX files of a folder, by name.
#[allow(dead_code, reason = "not every test reads ONNX files")]
pub(crate) fn graphs(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "onnx")).collect();
    found.sort();
    found
}

/// `libonnxruntime.so.*` of the pinned wheel.
#[allow(dead_code, reason = "not every test asks the library itself")]
pub(crate) fn onnxruntime() -> Option<PathBuf> {
    let python = python_with("verifier/tests/library/onnx-requirements.txt")?;
    let said = Command::new(python)
        .args([
            "-c",
            "import onnxruntime, pathlib; print(pathlib.Path(onnxruntime.__file__).parent / 'capi')",
        ])
        .output()
        .unwrap();
    let folder = PathBuf::from(String::from_utf8(said.stdout).unwrap().trim());
    let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found =
        found.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("libonnxruntime."));
    found.max()
}

fn python(requirements: &str, options: &[&str]) -> Result<PathBuf, String> {
    let output = Command::new(repository().join("scripts/py-env"))
        .arg(repository().join(requirements))
        .args(options)
        .output()
        .map_err(|error| format!("scripts/py-env does not run: {error}"))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("scripts/py-env failed: {}", said.lines().last().unwrap_or("no word of it")))
    }
}
