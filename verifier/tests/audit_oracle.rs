//! The golden vectors of audits are what their second implementation writes today.
//!
//! Danger: a rule of the draw or of the statistics changes in one place, and the vectors are changed by hand to fit. Expected: the
//! scripts in `tests/oracle/`, which share no code with this crate, write the committed files byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "a test fails by panicking, runs the Python oracle and says what it skips"
)]

use std::path::Path;
use std::process::Command;

/// What a script prints; nothing where there is no Python.
fn oracle(script: &str) -> Option<Vec<u8>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oracle").join(script);
    let Ok(output) = Command::new("python3").arg("-B").arg(script).output() else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI needs python3 for the oracle");
        eprintln!("skipped: python3 is not there");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn the_committed_vectors_are_what_the_oracles_write() {
    for (script, committed) in [
        ("audit_draw.py", include_bytes!("vectors/audit_draw.json").as_slice()),
        ("audit_vectors.py", include_bytes!("vectors/audit.json")),
    ] {
        let Some(written) = oracle(script) else { return };
        assert!(
            written == committed,
            "tests/oracle/{script} writes something else: run it again and read the diff"
        );
    }
}
