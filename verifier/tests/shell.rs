//! Completions and manual pages, put before the programs that read them.
//!
//! Scenario: both are made, and bash completes words, zsh and fish read their scripts, groff formats every page. Danger: a script that
//! a shell refuses, a word that is not completed, a page that is warned about or steers the formatter. End state: none of it.

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

#[path = "support/shells.rs"]
mod shells;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ledgerstone");

#[test]
fn bash_completes_commands_flags_and_values() {
    for (typed, expected) in [
        ("ledgerstone doc", "doctor"),
        ("ledgerstone verify re", "receipt"),
        ("ledgerstone doctor --free", "--free-min"),
        ("ledgerstone completions b", "bash"),
        ("ledgerstone log entries --fr", "--from"),
    ] {
        assert_eq!(shells::bash(PROGRAM, typed), [expected], "{typed}");
    }
    assert_eq!(shells::bash(PROGRAM, "ledgerstone nothing-of-ours"), [""; 0]);
}

#[test]
fn the_other_shells_read_their_scripts() {
    shells::others(PROGRAM);
}

#[test]
fn every_page_is_formatted_without_a_warning() {
    let pages = shells::pages(PROGRAM);
    for page in ["ledgerstone.1", "ledgerstone-doctor.1", "ledgerstone-verify-log.1", "ledgerstone-man.1"] {
        assert!(pages.contains(&page.to_owned()), "no {page} among {pages:?}");
    }
}
