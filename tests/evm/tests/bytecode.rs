//! The committed bytecode is what the pinned compiler makes of the committed source. Danger: source and bytecode part, and
//! an auditor reads another contract than the one that runs. End: ABI, bytecode, runtime code and its hash come out byte
//! for byte.

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

use ledgerstone::anchor::evm::{CODE_HASH_HEX, code_hash, init_code, keccak256};
use ledgerstone::encoding::{hex_decode, hex_encode};

#[test]
fn the_pinned_compiler_gives_the_committed_files() {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if !contracts.join("node_modules/solc").is_dir() {
        assert!(!ci, "the compiler is needed under CI=true: run npm ci in contracts/");
        println!("skipped because contracts/node_modules has no solc: run npm ci in contracts/");
        return;
    }
    let into = tempfile::tempdir().unwrap();
    let output = Command::new("node").arg("compile.js").arg(into.path()).current_dir(&contracts).output();
    let output = output.expect("node is there where npm installed the compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["abi.json", "bytecode.hex", "runtime.hex", "code-hash.txt"] {
        let name = format!("AnchorHead.{name}");
        let (committed, made) =
            (std::fs::read(contracts.join(&name)), std::fs::read(into.path().join(&name)));
        assert!(committed.unwrap() == made.unwrap(), "{name} is another one: run scripts/contracts");
    }
}

#[test]
fn the_committed_files_belong_together() {
    let runtime = hex_decode(include_str!("../../../contracts/AnchorHead.runtime.hex").trim_end()).unwrap();
    assert_eq!(keccak256(&runtime), code_hash());
    assert_eq!(hex_encode(&code_hash()), CODE_HASH_HEX.trim_end());
    assert!(init_code().ends_with(&runtime), "the contract has no constructor arguments and no metadata");
}
