//! The shells and the formatter that read what `completions` and `man` make.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a program is there; under `CI=true` it must be.
fn has(program: &str) -> bool {
    let there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success();
    if !there {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is needed");
        println!("skipped: {program} is missing");
    }
    there
}

fn script(program: &str, shell: &str) -> String {
    let output = Command::new(program).args(["completions", shell]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers where the cursor stands behind `typed`.
pub(crate) fn bash(program: &str, typed: &str) -> Vec<String> {
    let name = Path::new(program).file_name().unwrap().to_str().unwrap();
    let words: Vec<&str> = typed.split(' ').collect();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let (folder, at) = (tempfile::tempdir().unwrap(), words.len() - 1);
    let file = folder.path().join("script");
    let ask = format!(
        "COMP_WORDS=({typed})\nCOMP_CWORD={at}\nCOMP_LINE='{typed}'\nCOMP_POINT=${{#COMP_LINE}}\nf=$(complete -p {name})\nf=${{f##*-F }}\n${{f%% *}} {name} '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    fs::write(&file, script(program, "bash") + &ask).unwrap();
    let output = Command::new("bash").arg("--norc").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Has zsh and fish read their scripts.
pub(crate) fn others(program: &str) {
    for shell in ["zsh", "fish"] {
        let text = script(program, shell);
        assert!(text.contains("completions"), "{shell}");
        if !has(shell) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, text).unwrap();
        let output = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Formats every page with every warning on, and names them.
pub(crate) fn pages(program: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(program).arg("man").arg(folder.path()).status().unwrap();
    assert!(written.success());
    let mut pages: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    if has("groff") {
        for page in &pages {
            let output = Command::new("groff")
                .args(["-man", "-Tutf8", "-ww", "-z"])
                .arg(folder.path().join(page))
                .output();
            let said = String::from_utf8(output.unwrap().stderr).unwrap();
            assert!(said.is_empty(), "{page}: {said}");
        }
    }
    pages
}
