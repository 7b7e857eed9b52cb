//! The example against a chain node that it starts.
//!
//! Danger: the log is not anchored, or what is left behind says that it is although a byte of the proof or the reader's trust is
//! another; the node outlives the run; a program that is no node, or a node that dies, ends in a riddle. Expected: without the node
//! the anchors verify, down to a block that the trust file names; a changed proof does not; and each fault says what it is.

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

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use example_desk::commands;
use ledgerstone_verifier::exit::Exit;
use serde_json::Value;

/// The path of anvil; nothing where it cannot be had.
fn anvil() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let output = Command::new(root.join("scripts/anvil-path")).output().unwrap();
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "anvil is needed: {why}");
    println!("skipped because anvil cannot be had: {why}");
    None
}

fn lending(store: &Path, anvil: &Path, first: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lending"));
    command.args(["--first", first, "--store"]).arg(store).arg("--anvil").arg(anvil).output().unwrap()
}

/// A run that must end badly; what it says of that.
fn refused(store: &Path, anvil: &Path) -> String {
    let output = lending(store, anvil, "300");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// An executable script.
fn script(at: &Path, text: &str) -> PathBuf {
    fs::write(at, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o700)).unwrap();
    at.to_owned()
}

/// What `ledgerstone verify anchors` says of a run, given this trust file.
fn verified(run: &Path, trust: &Path) -> (Exit, Value) {
    let files = [
        ("", run.join("store")),
        ("--policy", run.join("store/log.policy")),
        ("--anchor-trust", trust.to_owned()),
    ];
    let said = commands::say("verify anchors", &files).unwrap();
    (said.exit, said.json().unwrap())
}

/// Status and detail of a check of the chain's lane.
fn check<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap().iter();
    let mut found = checks.filter(|check| check["name"] == name);
    let check = found
        .find(|check| name == "anchor.quorum" || check["detail"].as_str().unwrap().contains("example-chain"));
    let check = check.unwrap_or_else(|| panic!("no {name} in {report:#}"));
    (check["status"].as_str().unwrap(), check["detail"].as_str().unwrap())
}

/// The newest proof of the chain's lane.
fn newest_proof(run: &Path) -> PathBuf {
    let lane = run.join("store/anchors/example-chain");
    let statements =
        (1..).map(|seq| lane.join(format!("{seq:08}"))).take_while(|statement| statement.is_dir());
    statements.map(|statement| statement.join("proof.evm")).filter(|proof| proof.is_file()).last().unwrap()
}

/// The address of the chain, as the run told it.
fn chain(said: &str) -> SocketAddr {
    let row = said.lines().find_map(|line| line.trim_start().strip_prefix("chain ")).unwrap();
    let url = row.split_whitespace().next().unwrap().trim_end_matches(':');
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn anchors_to_a_chain_that_it_starts() {
    let Some(anvil) = anvil() else { return };
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let output = lending(&run, &anvil, "300");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Nobody else keeps that chain"), "what it rests on is said: {said}");
    assert_eq!(said.matches("NOT VERIFIED").count(), 1, "the changed byte: {said}");
    assert!(TcpStream::connect(chain(&said)).is_err(), "the node outlived the run");

    let trust = run.join("anchor-trust.toml");
    let (exit, report) = verified(&run, &trust);
    assert_eq!(exit, Exit::Verified, "{report:#}");
    for name in ["anchor.statements", "anchor.evm.storage", "anchor.evm.header", "anchor.quorum"] {
        assert_eq!(check(&report, name).0, "passed", "{name}: {report:#}");
    }
    let (_, quorum) = check(&report, "anchor.quorum");
    assert!(
        quorum.contains("2 of ethereum, rfc3161") && quorum.contains("ethereum holds for the first 30"),
        "{quorum}"
    );
    a_changed_proof_does_not_verify(&run, &trust);
    another_chain_is_not_believed(&run, &trust);
}

/// One changed byte in the newest proof of the chain, which no later one covers: what the proof says of the contract's storage fails,
/// and another block's hash, or another chain's id, is one that the reader does not know. Nothing is verified.
fn a_changed_proof_does_not_verify(run: &Path, trust: &Path) {
    let proof = newest_proof(run);
    let bytes = fs::read(&proof).unwrap();
    let with_changed = |place: usize| {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&proof, &changed).unwrap();
        verified(run, trust)
    };
    for place in (0..bytes.len()).step_by(11) {
        let (exit, report) = with_changed(place);
        assert_ne!(exit, Exit::Verified, "byte {place} of {}: {report:#}", bytes.len());
        let checks = ["anchor.evm.storage", "anchor.evm.header"].map(|name| check(&report, name).0);
        assert!(checks.iter().any(|status| *status != "passed"), "byte {place}: {report:#}");
    }
    // Half way through are the nodes that lead from the state root to the contract's storage.
    let (exit, report) = with_changed(bytes.len() / 2);
    assert_eq!(exit, Exit::Failed, "{report:#}");
    assert_eq!(check(&report, "anchor.evm.storage").0, "failed", "{report:#}");
    fs::write(&proof, &bytes).unwrap();
    assert_eq!(verified(run, trust).0, Exit::Verified, "what was put back");
}

/// A reader whose chain has other blocks, or another contract or key, does not take these anchors.
fn another_chain_is_not_believed(run: &Path, trust: &Path) {
    let text = fs::read_to_string(trust).unwrap();
    let other = run.join("other-trust.toml");
    let doctored = |key: &str, value: &str| -> String {
        let line = |line: &str| match line.trim_start().starts_with(key) {
            true => value.to_owned(),
            false => line.to_owned(),
        };
        let doctored = text.lines().map(line).collect::<Vec<_>>().join("\n");
        assert_ne!(doctored, text.trim_end(), "{key} is not in {text}");
        doctored
    };
    let hash = format!("\"0x{}\",", "11".repeat(32));
    fs::write(&other, doctored("\"0x", &hash)).unwrap();
    let (exit, report) = verified(run, &other);
    assert_eq!(exit, Exit::Undecided, "a block of another chain: {report:#}");
    assert_eq!(check(&report, "anchor.evm.header").0, "not_checked", "{report:#}");
    let address = "11".repeat(20);
    for key in ["contract", "first_key"] {
        fs::write(&other, doctored(key, &format!("{key} = \"0x{address}\""))).unwrap();
        assert_eq!(verified(run, &other).0, Exit::Failed, "another {key}");
    }
    fs::remove_file(other).unwrap();
}

#[test]
fn says_what_is_wrong_with_a_program_that_is_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    for missing in ["", "/no/such/anvil", "no-such-anvil", "/"] {
        let said = refused(&run, Path::new(missing));
        assert!(said.contains("--anvil") && said.contains("scripts/anvil-path"), "{missing:?}: {said}");
    }
    assert!(!run.exists(), "an earlier run would be gone for nothing");

    let plain = dir.path().join("plain");
    fs::write(&plain, "Listening on 127.0.0.1:1\n").unwrap();
    let said = refused(&run, &plain);
    assert!(said.contains("cannot start") && said.contains("plain"), "{said}");

    let at = |name: &str| dir.path().join(name);
    let picky = script(&at("picky"), "echo \"picky: no option $1 is known\" >&2; exit 2");
    let said = refused(&run, &picky);
    assert!(
        said.contains("picky is not anvil, or cannot run; it said last: picky: no option --host"),
        "{said}"
    );
    assert!(said.contains("exit status: 2") && said.contains("chain.log"), "{said}");

    let chatty = script(&at("chatty"), "exec yes");
    let said = refused(&run, &chatty);
    assert!(said.contains("chatty does not say where it listens"), "{said}");

    // Port 1 answers nobody.
    let liar = script(&at("liar"), "echo Listening on 127.0.0.1:1; exec sleep 60");
    let said = refused(&run, &liar);
    assert!(said.contains("the chain at http://127.0.0.1:1 is of no use"), "{said}");
    assert!(said.contains("anvil_setBalance"), "{said}");
}

#[test]
fn says_so_when_the_node_dies() {
    let Some(anvil) = anvil() else { return };
    let dir = tempfile::tempdir().unwrap();
    for seconds in [1, 4] {
        let text = format!("(sleep {seconds}; kill -9 $$) &\nexec '{}' \"$@\"", anvil.display());
        let dying = script(&dir.path().join("dying"), &text);
        let said = refused(&dir.path().join("run"), &dying);
        assert!(said.contains("dying ended (signal: 9"), "after {seconds} s: {said}");
        assert!(said.contains("chain.log"), "after {seconds} s: {said}");
    }
}
