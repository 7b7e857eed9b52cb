//! `docs/exactness.md`: its tables of recomputed numbers.
//!
//! Danger: the page claims more than was measured, or a summary that its own lines do not give. Expected: each line is checked by the test that
//! measures it (`support/exactness.rs`); here the summary, the headings and the pinned versions are.
//!
//! `scripts/exactness` sets `LEDGERSTONE_EXACTNESS` to a folder of rows, and then this test writes the page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/exactness.rs"]
#[allow(dead_code, reason = "shared with the tests that measure")]
mod exactness;

use std::fs;

use exactness::{Row, SECTIONS, folder, page};

/// The lines between the marks of a part of the page.
fn bounds(page: &str, part: &str) -> (usize, usize) {
    let (begin, end) = (format!("<!-- begin {part} -->\n"), format!("<!-- end {part} -->\n"));
    let start = page.find(&begin).unwrap_or_else(|| panic!("the page has no {begin}")) + begin.len();
    (start, start + page[start..].find(&end).unwrap_or_else(|| panic!("the page has no {end}")))
}

fn parts(rows: &[Vec<Row>]) -> [(&'static str, String); 2] {
    let mut summary =
        "| engine | data | rows | numbers bit-equal | share | farthest |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    SECTIONS.iter().zip(rows).for_each(|(section, rows)| summary += &section.summary(rows));
    let tables: Vec<String> = SECTIONS.iter().zip(rows).map(|(section, rows)| section.table(rows)).collect();
    [("summary", summary), ("tables", tables.join("\n"))]
}

#[test]
fn the_page_is_what_its_rows_give() {
    let mut text = fs::read_to_string(page()).unwrap();
    let Some(folder) = folder() else {
        let rows: Vec<Vec<Row>> = SECTIONS.iter().map(|section| section.rows_of(&text)).collect();
        for (name, expected) in parts(&rows) {
            let (start, end) = bounds(&text, name);
            assert!(text[start..end] == expected, "docs/exactness.md, {name}: expected\n{expected}");
        }
        return;
    };
    // Tables whose tests did not run stay as they are.
    let rows = SECTIONS
        .iter()
        .map(|section| section.rows_in(&folder).unwrap_or_else(|| section.rows_of(&text)))
        .collect::<Vec<_>>();
    for (name, made) in parts(&rows) {
        let (start, end) = bounds(&text, name);
        text.replace_range(start..end, &made);
    }
    fs::write(page(), text).unwrap();
}

/// The mutations of `scripts/mutation-check`, which takes too long for every run, must still say what they say.
#[test]
fn every_mutation_still_applies_to_one_place_and_names_a_test() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(tests.join("mutations.json")).unwrap()).unwrap();
    let page = fs::read_to_string(page()).unwrap();
    assert!(page.contains(&format!("\n{0} of {0} found.\n", list.len())), "run scripts/mutation-check");
    for mutation in &list {
        let text = |key: &str| mutation[key].as_str().unwrap_or_else(|| panic!("{mutation} lacks {key}"));
        let file = fs::read_to_string(tests.join("../..").join(text("file"))).unwrap();
        let from = mutation["before"].as_str().unwrap_or_default().to_owned() + text("from");
        assert_eq!(file.matches(&from).count(), 1, "{}: {from}", text("file"));
        assert_ne!(text("from"), text("to"));
        let test = fs::read_to_string(tests.join(format!("{}.rs", text("test")))).unwrap();
        assert!(test.contains(&format!("fn {}()", text("name"))), "{} has no {}", text("test"), text("name"));
        assert!(page.contains(&format!("| {} | {} |", text("engine"), text("why"))), "{}", text("why"));
    }
}
