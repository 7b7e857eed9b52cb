//! Golden vectors for anchor statements, written by a second implementation in Python, and the page that specifies them.
//!
//! Scenario: `tests/oracle/anchor_vectors.py`, which shares no code with this crate, has written valid and (mostly) malformed
//! statements with the verdict that each must get. Danger: bytes fixed in public chains for decades that only their author
//! can read, or two spellings of one statement. Expected: every valid one is read, means what the vector says and is written
//! again byte for byte; every malformed one is refused for the reason named; the committed file is what the Python code
//! writes today; and every digit of the worked example in `docs/spec/anchor-statement.md` is what the code computes.

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

use ledgerstone::anchor::statement::{Head, LaneName, Statement, StatementError};
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use serde_json::Value as Json;

const PAGE: &str = include_str!("../docs/spec/anchor-statement.md");

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json[key].as_array().unwrap()
}

fn bytes(json: &Json) -> Vec<u8> {
    hex_decode(json.as_str().unwrap()).unwrap()
}

fn hash(json: &Json) -> Hash {
    Hash::try_from(bytes(json).as_slice()).unwrap()
}

fn statement(json: &Json) -> Statement {
    let head = |size: &str, root: &str| Head {
        size: TreeSize::new(json[size].as_u64().unwrap()),
        root: hash(&json[root]),
    };
    Statement {
        origin: KeyName::new(json["origin"].as_str().unwrap()).unwrap(),
        lane: LaneName::parse(json["lane"].as_str().unwrap()).unwrap(),
        seq: json["seq"].as_u64().unwrap(),
        from: head("from_size", "from_root"),
        to: head("to_size", "to_root"),
        previous: hash(&json["previous"]),
        checkpoint: hash(&json["checkpoint"]),
    }
}

/// The name of an error's variant, as the vectors say it.
fn variant(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}").split([' ', '{', '(']).next().unwrap().to_owned()
}

#[test]
fn reads_every_valid_statement_and_writes_the_same_bytes() {
    for case in list(&vectors::read("anchor_statement.json"), "valid") {
        let (bytes, expected) = (bytes(&case["hex"]), statement(&case["statement"]));
        assert_eq!(Statement::decode(&bytes).as_ref(), Ok(&expected), "{}", case["name"]);
        assert_eq!(expected.encode().as_ref(), Ok(&bytes), "{}", case["name"]);
        assert_eq!(expected.hash(), Ok(hash(&case["hash"])), "{}", case["name"]);
    }
}

#[test]
fn refuses_every_malformed_statement_for_the_reason_named() {
    for case in list(&vectors::read("anchor_statement.json"), "malformed") {
        let error = Statement::decode(&bytes(&case["hex"])).expect_err(case["name"].as_str().unwrap());
        let found = match error {
            StatementError::Cbor(inner) => format!("Cbor.{}", variant(&inner)),
            other => variant(&other),
        };
        assert_eq!(found, case["error"].as_str().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn has_mostly_malformed_vectors_and_loses_none() {
    assert!(list(&vectors::read("anchor_statement.json"), "malformed").len() >= 122);
    assert!(list(&vectors::read("anchor_statement.json"), "valid").len() >= 10);
}

#[test]
fn commits_the_very_vectors_that_the_second_implementation_writes() {
    vectors::are_written_again("anchor_vectors.py", &["anchor_statement.json"]);
}

/// The lines of the fenced block of the page that is called `name`.
fn block(name: &str) -> Vec<&'static str> {
    let start = format!("```text {name}\n");
    let from = PAGE.find(&start).unwrap_or_else(|| panic!("no block {name}")) + start.len();
    PAGE[from..].lines().take_while(|line| *line != "```").collect()
}

/// The bytes that the block prints in hex; what follows `#` is a remark.
fn printed(name: &str) -> Vec<u8> {
    let digits: String = block(name).iter().flat_map(|line| line.split('#').next()).collect();
    hex_decode(&digits.replace(' ', "")).unwrap()
}

#[test]
fn the_statement_of_the_page_decodes_to_what_the_page_says() {
    let bytes = printed("statement");
    assert_eq!(bytes, printed("annotated"));
    assert!(PAGE.contains(&format!("`ethereum`, {} bytes", bytes.len())));
    assert_eq!(Hash::of(&bytes).to_string(), block("hash")[0]);
    let statement = Statement::decode(&bytes).unwrap();
    let annotated = block("annotated").join("\n");
    for shown in [
        format!("\"{}\"", statement.origin),
        format!("\"{}\"", statement.lane),
        format!("lane: {}", statement.seq),
        format!("from {} leaves", statement.from.size),
        format!("to {} leaves", statement.to.size),
        statement.from.root.to_string(),
        statement.to.root.to_string(),
        statement.previous.to_string(),
        statement.checkpoint.to_string(),
    ] {
        assert!(annotated.contains(&shown), "{shown} is not annotated");
    }
}

#[test]
fn the_page_states_the_limits_of_the_code() {
    let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| ")).collect();
    let row = |name: &str| *rows.iter().find(|row| row.contains(&format!("| {name} |"))).unwrap();
    assert!(row("lane").contains(&format!("1 to {} characters", LaneName::LEN_MAX)));
    assert!(row("seq").contains("1 to 99,999,999"));
    assert_eq!(ledgerstone::limits::ANCHOR_SEQ_MAX, 99_999_999);
    assert!(PAGE.contains(&format!("most {} bytes", ledgerstone::limits::STATEMENT_BYTES_MAX)));
}
