//! Models that the libraries themselves train, in an environment that `scripts/py-env` makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// One training at a time: two on two cores wait for each other's threads.
static TRAINING: Mutex<()> = Mutex::new(());

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a script of `tests/` with the packages of a requirements file of the repository (`options` are pip's, such as
/// `--no-deps`) and gives the directory it filled;
/// `None` where Python or the packages are missing and nobody insists.
pub(crate) fn trained(script: &str, requirements: &str, options: &[&str]) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(script.replace(['/', '.'], "-"));
    let _ = std::fs::remove_dir_all(&directory);
    let result = python(requirements, options).and_then(|python| {
        let _alone = TRAINING.lock();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let status = Command::new(python).arg(&path).arg(&directory).status();
        if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err(format!("{script} failed")) }
    });
    match result {
        Ok(()) => Some(directory),
        Err(problem) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("{problem}"),
        Err(problem) => {
            println!("skipped: the models of {script}, because {problem}");
            None
        }
    }
}

/// The Python that has the packages of a requirements file.
#[allow(dead_code, reason = "not every test asks the packages themselves")]
pub(crate) fn python_with(requirements: &str) -> Option<PathBuf> {
    match python(requirements, &[]) {
        Ok(python) => Some(python),
        Err(problem) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("{problem}"),
        Err(problem) => {
            println!("skipped, because {problem}");
            None
        }
    }
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
