//! Scenario: somebody who does not trust us follows `docs/verify-by-hand.md` with the example receipt. Danger: the page rots
//! and its programs stop working, or accept what they should not. Expected: every block runs and prints what the page shows,
//! and the same blocks stop at a receipt whose fields, entry or signature were changed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, starts programs and says what it skips"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block of the page: what stands behind the fence, and the text.
struct Block {
    label: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(root().join("docs/verify-by-hand.md")).unwrap();
    let fenced = page.split("```").skip(1).step_by(2);
    let block = |fenced: &str| {
        let (label, text) = fenced.split_once('\n').unwrap();
        Block { label: label.to_owned(), text: text.to_owned() }
    };
    fenced.map(block).collect()
}

/// Whether the programs are there; under `CI=true` they must be.
fn tools_are_there() -> bool {
    let runs = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    let there = runs("python3", "--version") && runs("openssl", "version") && runs("sha256sum", "--version");
    if !there {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "python3, openssl and sha256sum are needed"
        );
        println!("skipped: python3, openssl or sha256sum is missing");
    }
    there
}

/// Whether this OpenSSL knows ML-DSA: 3.5 and later.
fn openssl_knows_ml_dsa() -> bool {
    let version = Command::new("openssl").arg("version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let mut numbers =
        version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(3), Some(5))
}

/// The packages that a block needs whose label has this word, as a file of `tests/oracle/`.
fn requirements(label: &str) -> Option<&'static str> {
    match label {
        "sh dilithium-py" => Some("requirements.txt"),
        "sh opentimestamps-client" => Some("opentimestamps_requirements.txt"),
        "sh ethereum" => Some("evm_requirements.txt"),
        _ => None,
    }
}

/// The folder of a Python that has the packages; nothing where they cannot be had, and a failure under `CI=true`.
fn python_with(requirements: &str) -> Option<PathBuf> {
    let made = Command::new(root().join("scripts/py-env"))
        .arg(root().join("tests/oracle").join(requirements))
        .output();
    match made {
        Ok(made) if made.status.success() => {
            let python = String::from_utf8(made.stdout).unwrap();
            Some(Path::new(python.trim()).parent().unwrap().to_owned())
        }
        failed => {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "the packages of {requirements} are needed: {failed:?}"
            );
            println!("skipped: what needs {requirements}, because scripts/py-env failed");
            None
        }
    }
}

/// A folder as the page asks for it: the two files, and the programs saved under their names.
fn folder(receipt: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("receipt.json"), receipt).unwrap();
    for (golden, name) in [
        ("log.policy", "log.policy"),
        ("receipt-anchored.json", "anchored.json"),
        ("authority-root.pem", "authority-root.pem"),
        ("statement.ots", "statement.ots"),
        ("captured.statement", "captured.statement"),
        ("captured.evm", "proof.evm"),
        ("../oracle/evm_bundle.py", "evm_bundle.py"),
        ("../../contracts/AnchorHead.code-hash.txt", "AnchorHead.code-hash.txt"),
    ] {
        fs::copy(root().join("tests/golden").join(golden), dir.path().join(name)).unwrap();
    }
    for block in blocks() {
        if let Some(name) = block.label.strip_prefix("python ") {
            fs::write(dir.path().join(name), block.text).unwrap();
        }
    }
    dir
}

/// Runs commands in `dir`; `python` is where `python3` is looked for first.
fn shell(dir: &Path, commands: &str, python: Option<&Path>) -> Output {
    let path = std::env::var("PATH").unwrap();
    let path = python.map_or(path.clone(), |python| format!("{}:{path}", python.display()));
    Command::new("sh").args(["-e", "-c", commands]).current_dir(dir).env("PATH", path).output().unwrap()
}

fn golden() -> String {
    fs::read_to_string(root().join("tests/golden/receipt.json")).unwrap()
}

#[test]
fn every_block_of_the_page_runs_and_prints_what_the_page_shows() {
    if !tools_are_there() {
        return;
    }
    let (dir, blocks) = (folder(&golden()), blocks());
    let mut run = Vec::new();
    for (command, output) in blocks.iter().zip(blocks.iter().skip(1)) {
        let python = requirements(&command.label).and_then(python_with);
        let can_run = match command.label.as_str() {
            "sh" => true,
            "sh openssl-3.5" => openssl_knows_ml_dsa(),
            label if requirements(label).is_some() => python.is_some(),
            label => {
                assert!(!label.starts_with("sh"), "nobody knows what {label} needs");
                false
            }
        };
        if !can_run {
            continue;
        }
        assert_eq!(output.label, "output", "every command is followed by what it prints");
        let ran = shell(dir.path(), &command.text, python.as_deref());
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}{errors}", command.text);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), output.text, "{}{errors}", command.text);
        run.push(command.label.as_str());
    }
    assert!(run.iter().filter(|label| **label == "sh").count() >= 6, "{run:?}");
    for label in ["sh dilithium-py", "sh opentimestamps-client", "sh ethereum"] {
        let stands = blocks.iter().any(|block| block.label == label);
        let can_run = requirements(label).and_then(python_with).is_some();
        assert!(stands && (!can_run || run.contains(&label)), "{label}: {run:?}");
    }
}

/// Whether the whole page goes through with this receipt.
fn page_accepts(receipt: &str, python: Option<&Path>) -> bool {
    let dir = folder(receipt);
    let runs = |label: &str| label == "sh" || (label == "sh dilithium-py" && python.is_some());
    let commands = blocks().into_iter().filter(|block| runs(&block.label)).map(|block| block.text);
    commands.into_iter().all(|commands| shell(dir.path(), &commands, python).status.success())
}

#[test]
fn the_page_s_programs_stop_at_a_changed_receipt() {
    if !tools_are_there() {
        return;
    }
    let (golden, python) = (golden(), python_with("requirements.txt"));
    assert!(page_accepts(&golden, python.as_deref()));
    let ed25519_signature = golden.split("lending ").nth(1).unwrap().split('\\').next().unwrap();
    let mut other_signature = ed25519_signature.to_owned();
    let letter = if &other_signature[40..41] == "A" { "B" } else { "A" };
    other_signature.replace_range(40..41, letter);
    let first_hash = golden.split("index 6\\n").nth(1).unwrap().split('\\').next().unwrap();
    let changes = [
        ("an outcome", "\"deny\"", "\"approve\""),
        ("a score", "0.1875", "0.8125"),
        ("a path", "outcome/adverse", "outcome/benefit"),
        ("an integer", "1795000000041", "1795000000042"),
        ("the decision id", "0f1e2d3c4b5a\",", "0f1e2d3c4b5b\","),
        ("the entry", "\"entry\": \"rA", "\"entry\": \"rB"),
        ("the index", "index 6", "index 7"),
        ("the size", "\\n11\\n", "\\n12\\n"),
        ("the origin", "\"origin\": \"log.", "\"origin\": \"lag."),
        ("the signature", ed25519_signature, &other_signature),
        ("a proof hash", &format!("{first_hash}\\n"), ""),
    ];
    for (what, from, to) in changes {
        let changed = golden.replacen(from, to, 1);
        assert_ne!(changed, golden, "{what} is not in the receipt");
        assert!(!page_accepts(&changed, python.as_deref()), "{what} was changed and the page did not notice");
    }
    let second = golden.split("lending ").nth(2).unwrap().split('\\').next().unwrap();
    let letter = if &second[2000..2001] == "A" { "B" } else { "A" };
    let other = format!("{}{letter}{}", &second[..2000], &second[2001..]);
    let changed = golden.replacen(second, &other, 1);
    assert_ne!(changed, golden);
    // Nothing but ML-DSA itself can notice that.
    assert_eq!(
        page_accepts(&changed, python.as_deref()),
        python.is_none(),
        "the second signature was changed"
    );
}

/// Whether the page's block of this label prints what the page shows, after `change` changed the folder.
fn block_holds(label: &str, python: &Path, change: impl FnOnce(&Path)) -> bool {
    let dir = folder(&golden());
    let blocks = blocks();
    let made = blocks.iter().find(|block| block.text == "python3 anchor.py\n").unwrap();
    assert!(shell(dir.path(), &made.text, None).status.success(), "it writes the file `statement`");
    change(dir.path());
    let at = blocks.iter().position(|block| block.label == label).unwrap();
    let ran = shell(dir.path(), &blocks[at].text, Some(python));
    ran.status.success() && ran.stdout == blocks[at + 1].text.as_bytes()
}

#[test]
fn the_page_s_commands_show_nothing_of_a_changed_anchor() {
    if !tools_are_there() {
        return;
    }
    for (label, files) in [
        ("sh opentimestamps-client", ["statement", "statement.ots"]),
        ("sh ethereum", ["captured.statement", "proof.evm"]),
    ] {
        let Some(python) = requirements(label).and_then(python_with) else { continue };
        assert!(block_holds(label, &python, |_| {}), "{label}");
        for file in files {
            for part in 0..12 {
                let holds = block_holds(label, &python, |dir| {
                    let mut bytes = fs::read(dir.join(file)).unwrap();
                    let at = bytes.len() * part / 12;
                    bytes[at] ^= 1;
                    fs::write(dir.join(file), bytes).unwrap();
                });
                assert!(!holds, "{label}: {file}, part {part}");
            }
        }
    }
}
