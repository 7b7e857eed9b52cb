//! `mutations.json`: one-line errors in what reads, checks and makes anchors, each with a test that notices it.
//!
//! Danger: a check of the verifier is lost in a later change, and no test goes red. `scripts/mutation-check` breaks the code by
//! each of them and runs its test, which takes too long for every run. Expected here: each still applies to one place of the code,
//! and its test is there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads files"
)]

use std::fs;
use std::path::Path;

#[test]
fn every_mutation_still_applies_to_one_place_and_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(root.join("tests/mutations.json")).unwrap()).unwrap();
    assert!(list.len() >= 20);
    for mutation in &list {
        let text = |key: &str| mutation[key].as_str().unwrap_or_else(|| panic!("{mutation} lacks {key}"));
        let file = fs::read_to_string(root.join(text("file"))).unwrap();
        let from = mutation["before"].as_str().unwrap_or_default().to_owned() + text("from");
        assert_eq!(file.matches(&from).count(), 1, "{}: {from}", text("file"));
        assert_ne!(text("from"), text("to"), "{}", text("why"));
        // A test of the sidecar stands in a file of its module.
        let (file, name) = match text("name").split_once("::") {
            Some((module, name)) => (format!("sidecar/tests/{}/{module}.rs", text("test")), name),
            None => (format!("tests/{}.rs", text("test")), text("name")),
        };
        let tests = fs::read_to_string(root.join(&file)).unwrap();
        assert!(tests.contains(&format!("fn {name}()")), "{file} has no {name}");
    }
}
