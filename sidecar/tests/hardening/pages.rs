//! What the pages say of security is there, and the code keeps to what they say.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => rust_files(&entry, into),
            false if entry.extension().is_some_and(|extension| extension == "rs") => into.push(entry),
            false => {}
        }
    }
}

#[test]
fn no_production_code_of_the_sidecar_starts_a_program() {
    let mut files = Vec::new();
    rust_files(&root().join("sidecar/src"), &mut files);
    assert!(files.len() > 150, "{}", files.len());
    let starts = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//")
            && [
                "process::Command",
                "process::{Command",
                "tokio::process",
                "posix_spawn",
                "libc::exec",
                "libc::fork",
                "libc::system",
            ]
            .iter()
            .any(|name| line.contains(name))
    };
    assert!(starts(&"use std::process::Command;"), "the check can fail");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let production = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
        let found = production.lines().find(starts).filter(|_| !is_test);
        assert_eq!(found, None, "{}: no shell out", file.display());
    }
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let page = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let table = page.split("## What each attack meets").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<_> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1).collect();
    assert!(rows.len() > 45, "{}", rows.len());
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test is named: {row}");
        for name in named {
            let path = root().join(name);
            let module = root().join(format!("{name}.rs"));
            assert!(path.exists() || module.exists(), "{name} is not there: {row}");
        }
    }
}

#[test]
fn the_pages_lead_to_each_other_and_to_what_is_there() {
    for page in ["SECURITY.md", "docs/hardening.md", "docs/threat-model.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let path = root().join(page).parent().unwrap().join(link.split('#').next().unwrap());
            assert!(path.exists(), "{page}: {link}");
        }
    }
}
