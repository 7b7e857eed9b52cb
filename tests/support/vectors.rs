//! The committed vectors, and the second implementation that wrote them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The vectors in `tests/vectors/FILE`.
pub(crate) fn read(file: &str) -> Json {
    serde_json::from_slice(&std::fs::read(tests().join("vectors").join(file)).unwrap()).unwrap()
}

/// Checks that `tests/oracle/SCRIPT` writes the committed `files` again. Without Python it says what it skips; CI must have it.
pub(crate) fn are_written_again(script: &str, files: &[&str]) {
    let runs = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !runs {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI needs python3 for the oracle");
        println!("skipped: python3 is missing, the committed vectors were not written again");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tests().join("oracle").join(script);
    let output = Command::new("python3").arg("-B").arg(path).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in files {
        let written = std::fs::read(folder.path().join(file)).unwrap();
        let committed = std::fs::read(tests().join("vectors").join(file)).unwrap();
        assert!(written == committed, "{file} is not what tests/oracle/{script} writes: run it again");
    }
}
