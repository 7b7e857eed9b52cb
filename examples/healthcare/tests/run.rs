//! The whole example, on the first biopsies; once without the language model, once with it and one note.
//!
//! Danger: a step of the story no longer holds, an honest decision is accused, or the other model is not found. Expected: the
//! run ends well, and the reports of both days are there.

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

fn run(store: &Path, first: &str, notes: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_healthcare"))
        .args(["--first", first, "--notes", notes, "--store"])
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
    let said = run(&store, "100", "0");
    assert!(said.contains("Case 41 was malignant, and the model called it benign"), "{said}");
    assert!(said.contains("5 of the 5 cheated cases were drawn"), "{said}");
    for day in [store.clone(), store.join("another-day")] {
        for file in ["report.json", "report.html", "report.pdf"] {
            assert!(day.join("audit/report").join(file).is_file(), "{file}");
        }
    }
}

#[test]
fn has_a_note_answered_again() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(&dir.path().join("run"), "40", "1");
    if said.contains("The triage notes are skipped") {
        assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "{said}");
        println!("skipped: the language model cannot be had");
        return;
    }
    assert!(said.contains("1 of 1 answers are EXACT"), "{said}");
}
