//! Completions and manual pages of the sidecar, put before the programs that read them; without a configuration.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "../../verifier/tests/support/shells.rs"]
mod shells;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ledgerstone-sidecar");

#[test]
fn bash_completes_commands_and_flags() {
    for (typed, expected) in [
        ("ledgerstone-sidecar hard", "hardening"),
        ("ledgerstone-sidecar keyring ba", "backup"),
        ("ledgerstone-sidecar bundle export --with", "--without-raw"),
    ] {
        assert_eq!(shells::bash(PROGRAM, typed), [expected], "{typed}");
    }
}

#[test]
fn the_other_shells_read_their_scripts() {
    shells::others(PROGRAM);
}

#[test]
fn every_page_is_formatted_without_a_warning() {
    assert!(shells::pages(PROGRAM).contains(&"ledgerstone-sidecar-run.1".to_owned()));
}
