//! The whole example, on the first applications.
//!
//! Danger: a step of the story no longer holds, or a file that it points to is not there. Expected: the run ends well, finds
//! the changed byte and the doctored record, and leaves the report behind; a second run replaces it.

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

use std::path::Path;
use std::process::Command;

fn run(store: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lending"))
        .args(["--first", "300", "--store"])
        .arg(store)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn tells_its_story_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("run");
    let said = run(&store);
    assert!(said.contains("300 of 300 decisions are EXACT"), "{said}");
    assert_eq!(said.matches("NOT VERIFIED").count(), 1, "the changed byte: {said}");
    assert_eq!(said.matches("caught").count(), 4, "the doctored record: {said}");
    assert!(said.contains("With 95% confidence fewer than 1% of all decisions"), "{said}");
    assert!(said.contains("proves nothing to a stranger"), "the authority is the example's own: {said}");
    assert!(store.join("store/anchors/example-authority/00000001/proof.tsr").is_file());
    for file in ["report.json", "report.html", "report.pdf"] {
        assert!(store.join("audit/report").join(file).is_file(), "{file}");
    }
    let plan = std::fs::read(store.join("audit/audit.plan")).unwrap();
    run(&store);
    assert_ne!(std::fs::read(store.join("audit/audit.plan")).unwrap(), plan, "another log, another plan");
}
