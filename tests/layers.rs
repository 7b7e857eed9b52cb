//! The library's modules form layers, and an arrow may only point down.
//!
//! Danger: a module that decides what is true starts to depend on one that is built from it, and the core can no longer
//! be read or tested from the bottom up. Expected: every `crate::…` path in `src/` names a module of a lower layer, or
//! one that stands to the left in the same layer. `docs/ARCHITECTURE.md` prints the same table.

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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the bottom up; within a layer from left to right.
const LAYERS: [(&str, &[&str]); 6] = [
    ("L0", &["code", "limits", "hash", "encoding", "time"]),
    ("L1", &["merkle", "note", "manifest"]),
    ("L2", &["check", "cose", "tile", "cosignature", "checkpoint", "record", "entry"]),
    ("L3", &["policy", "pack", "store", "registry", "approval", "anchor", "vault", "siem"]),
    ("L4", &["disclosure", "receipt", "evidence", "log"]),
    ("L5", &["verify", "proto", "oip", "grpc"]),
];

fn rank(module: &str) -> Option<(usize, usize)> {
    LAYERS.iter().enumerate().find_map(|(layer, (_, modules))| {
        modules.iter().position(|name| *name == module).map(|place| (layer, place))
    })
}

fn source_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn is_test_code(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "gen")
}

fn module_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The modules named after `crate::` in production code, comments left out.
fn modules_named(text: &str) -> BTreeSet<String> {
    let production = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: String =
        production.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group_items(group).into_iter().map(first_word)),
            None => _ = named.insert(first_word(rest)),
        }
    }
    named
}

/// The top-level items of a `use crate::{…}` group.
fn group_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn arrows() -> BTreeMap<(String, String), PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = BTreeMap::new();
    for path in source_files(&src) {
        let from = module_of(&path, &src);
        if from == "lib" || is_test_code(&path) {
            continue;
        }
        for to in modules_named(&std::fs::read_to_string(&path).unwrap()) {
            if to != from && !to.is_empty() {
                arrows.insert((from.clone(), to), path.clone());
            }
        }
    }
    arrows
}

#[test]
fn every_arrow_points_down() {
    let arrows = arrows();
    assert!(arrows.len() > 10, "only {} arrows found: the reader is broken", arrows.len());
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|((from, to), _)| match (rank(from), rank(to)) {
            (Some(from), Some(to)) => to >= from,
            _ => true,
        })
        .map(|((from, to), path)| format!("{from} -> {to} in {}", path.display()))
        .collect();
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in source_files(&src) {
        let module = module_of(&path, &src);
        assert!(module == "lib" || rank(&module).is_some(), "{module} is in no layer");
    }
}

#[test]
fn the_architecture_page_prints_the_same_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let text = std::fs::read_to_string(page).unwrap();
    for (layer, modules) in LAYERS {
        let line = format!("| {layer} | `{}` |", modules.join("` `"));
        assert!(text.contains(&line), "docs/ARCHITECTURE.md lacks the line\n{line}");
    }
}

#[test]
fn reads_groups_and_nested_paths() {
    let named = modules_named(
        "use crate::{hash::Hash, merkle::{range, inclusion}, note};\nlet x = crate::time::now();",
    );
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["hash", "merkle", "note", "time"]);
}
