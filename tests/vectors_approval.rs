//! Golden vectors for approvals, written by a second implementation in Python.
//!
//! Scenario: `tests/oracle/approval_vectors.py`, which shares no code with this crate, has written statements and rosters, most of
//! them malformed. Danger: a statement that somebody signs and the sidecar reads otherwise; a malformed one taken for a good one.
//! Expected: valid ones are read and written again byte for byte, malformed ones are refused, and the committed file is what
//! the Python code writes today.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, runs the Python oracle and says what it skips"
)]

#[path = "support/vectors.rs"]
mod vectors;

use ledgerstone::approval::{PublicRoster, Statement};
use ledgerstone::encoding::hex_decode;
use serde_json::Value as Json;

fn list(json: &Json, key: &str) -> Vec<Json> {
    let list = json[key].as_array().unwrap().clone();
    assert!(!list.is_empty(), "{key}");
    list
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap()
}

#[test]
fn reads_every_statement_and_refuses_every_malformed_one() {
    let vectors = vectors::read("approval.json");
    for vector in list(&vectors, "statements") {
        let statement = Statement::parse(text(&vector, "text")).unwrap();
        assert_eq!(statement.to_text(), text(&vector, "text"));
        assert_eq!(statement.digest().to_string(), text(&vector, "digest"));
    }
    for vector in list(&vectors, "malformed_statements") {
        assert!(Statement::parse(text(&vector, "text")).is_err(), "{}", text(&vector, "what"));
    }
}

#[test]
fn reads_every_roster_and_refuses_every_malformed_one() {
    let vectors = vectors::read("approval.json");
    for vector in list(&vectors, "rosters") {
        let bytes = hex_decode(text(&vector, "bytes")).unwrap();
        let roster = PublicRoster::parse(&bytes).unwrap();
        assert_eq!(roster.to_bytes(), bytes);
        assert_eq!(roster.digest().to_string(), text(&vector, "digest"));
    }
    for vector in list(&vectors, "malformed_rosters") {
        let bytes = hex_decode(text(&vector, "bytes")).unwrap();
        assert!(PublicRoster::parse(&bytes).is_err(), "{}", text(&vector, "what"));
    }
}

#[test]
fn the_committed_vectors_are_what_the_oracle_writes_today() {
    vectors::are_written_again("approval_vectors.py", &["approval.json"]);
}
