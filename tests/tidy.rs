//! What matters in style is enforced here, not by review.
//!
//! Danger: files and functions grow until nobody reads them, and an invariant loses its assertion unseen. Expected: every
//! production file and function stays below its limit or below the ratchet that names it (a ratchet may only go down),
//! and every numbered invariant of `docs/ARCHITECTURE.md` is asserted in code and checked in a test.

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

use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Files above the limit, with the length they may not pass. Shorten the list, never lengthen it.
const FILE_RATCHET: &[(&str, usize)] = &[];

/// Functions above the limit, as `file:function`, with the length they may not pass.
const FUNCTION_RATCHET: &[(&str, usize)] = &[];

/// INV-1 to INV-10.
const INVARIANTS: usize = 10;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "target" && name != "gen" && !name.starts_with('.') {
            rust_files(&path, into);
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
}

/// Every Rust file of the workspace with its path relative to the root, generated code left out.
fn all_files() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for dir in ["src", "sidecar", "verifier", "examples", "fuzz", "tests", "benches"] {
        rust_files(&root().join(dir), &mut paths);
    }
    paths.sort();
    assert!(paths.len() > 30, "only {} files found", paths.len());
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (relative(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn is_production(name: &str) -> bool {
    !name.contains("tests/") && !name.ends_with("tests.rs") && !name.contains("benches/")
}

fn production_part(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

fn limit(ratchet: &[(&str, usize)], name: &str, default: usize) -> usize {
    ratchet.iter().find(|(known, _)| *known == name).map_or(default, |(_, lines)| *lines)
}

#[test]
fn production_files_stay_short() {
    let long: Vec<String> = all_files()
        .iter()
        .filter(|(name, _)| is_production(name))
        .map(|(name, text)| (name, production_part(text).lines().count()))
        .filter(|(name, lines)| *lines > limit(FILE_RATCHET, name, FILE_LINES_MAX))
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "files past their limit:\n{}", long.join("\n"));
}

/// Name and length in lines of each function: from `fn` to the closing brace at the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        // What a trait asks for has no body, and would end where the next one does.
        let end = lines[start..].iter().find(|line| line.ends_with('{') || line.ends_with(';'));
        if end.is_some_and(|line| line.ends_with(';')) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|l| *l == close) {
            found.push((name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line;
    for prefix in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

#[test]
fn production_functions_stay_short() {
    let mut long = Vec::new();
    let mut seen = 0;
    for (file, text) in all_files().iter().filter(|(name, _)| is_production(name)) {
        for (function, lines) in functions(production_part(text)) {
            seen += 1;
            let name = format!("{file}:{function}");
            if lines > limit(FUNCTION_RATCHET, &name, FUNCTION_LINES_MAX) {
                long.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(seen > 100, "only {seen} functions found: the reader is broken");
    assert!(long.is_empty(), "functions past their limit:\n{}", long.join("\n"));
}

/// Whether `text` holds `invariant` as a whole word: `INV-1` is not in `INV-10`.
fn names(text: &str, invariant: &str) -> bool {
    text.match_indices(invariant)
        .any(|(at, _)| !text[at + invariant.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether `text` has an assertion that names the invariant.
fn asserts(text: &str, invariant: &str) -> bool {
    text.match_indices("assert").any(|(at, _)| names(text[at..].split(';').next().unwrap(), invariant))
}

#[test]
fn every_invariant_is_asserted_in_code_and_checked_in_a_test() {
    let files = all_files();
    let page = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let mut missing = Vec::new();
    for n in 1..=INVARIANTS {
        let invariant = format!("INV-{n}");
        if !names(&page, &invariant) {
            missing.push(format!("{invariant} is not stated in docs/ARCHITECTURE.md"));
        }
        if !files.iter().any(|(name, text)| is_production(name) && asserts(production_part(text), &invariant))
        {
            missing.push(format!("{invariant} is asserted nowhere in production code"));
        }
        let tested = files.iter().filter(|(name, _)| name != "tests/tidy.rs").any(|(name, text)| {
            let tests = if is_production(name) { &text[production_part(text).len()..] } else { text };
            names(tests, &invariant)
        });
        if !tested {
            missing.push(format!("{invariant} is named by no test"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_mark_of_unfinished_work_is_left() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    for (name, text) in all_files() {
        for mark in marks {
            assert!(!text.contains(mark), "{name} holds {mark}");
        }
    }
}

#[test]
fn main_of_the_sidecar_reads_as_a_story() {
    let main = std::fs::read_to_string(root().join("sidecar/src/main.rs")).unwrap();
    assert!(main.lines().count() <= 130, "sidecar/src/main.rs has {} lines", main.lines().count());
}
