//! The worked examples of `docs/spec/entry.md`, `entry.cddl` and `field-tree.md`, held against the code.
//!
//! Danger: a specification that somebody implements from and that is not what the code does. Expected: every hexadecimal
//! digit printed there is what the code computes, and every number in a table is the code's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use ledgerstone::disclosure::{self, Disclosure};
use ledgerstone::encoding::cbor::Reader;
use ledgerstone::encoding::hex_decode;
use ledgerstone::entry::{AnchorKind, Entry, GapReason, Kind, Mode};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value, leaf_preimage, schema};

const ENTRY: &str = include_str!("../docs/spec/entry.md");
const ENTRY_CDDL: &str = include_str!("../docs/spec/entry.cddl");
const FIELD_TREE: &str = include_str!("../docs/spec/field-tree.md");

/// The lines of the fenced block of a page that is called `name`.
fn block<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("```text {name}\n");
    let from = page.find(&start).unwrap_or_else(|| panic!("no block {name}")) + start.len();
    page[from..].lines().take_while(|line| *line != "```").collect()
}

/// The bytes that the lines print in hex; what follows `#` is a remark.
fn bytes(lines: &[&str]) -> Vec<u8> {
    let digits: String = lines.iter().flat_map(|line| line.split('#').next()).collect();
    hex_decode(&digits.replace(' ', "")).unwrap()
}

fn hash(text: &str) -> Hash {
    Hash::try_from(hex_decode(text).unwrap().as_slice()).unwrap()
}

/// The rows of the tables of a page, as cells.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_entry_of_the_page_decodes_to_what_the_page_says() {
    let printed = bytes(&block(ENTRY, "entry"));
    assert_eq!(printed, bytes(&block(ENTRY, "annotated")));
    assert!(ENTRY.contains(&format!("A decision, {} bytes", printed.len())));
    assert_eq!(leaf_hash(&printed), hash(block(ENTRY, "leaf")[0]));

    let entry = Entry::decode(&printed).unwrap();
    assert_eq!(entry.encode().unwrap(), printed);
    assert_eq!(entry.kind, Kind::Decision);
    assert_eq!(entry.recorded_at.to_string(), "2026-11-18T11:06:40.000Z");
    assert_eq!(entry.mode, Some(Mode::Strict));
    let annotated = block(ENTRY, "annotated").join("\n");
    for shown in [
        entry.writer.to_string(),
        entry.sequence.to_string(),
        entry.recorded_at.to_string(),
        entry.model.unwrap().to_string(),
        entry.policy.unwrap().to_string(),
        entry.commitment.unwrap().root.to_string(),
        entry.sealed.unwrap().digest.to_string(),
    ] {
        assert!(annotated.contains(&shown), "{shown} is not annotated");
    }
    assert_eq!(entry.sealed.unwrap().length, 4321);
}

#[test]
fn the_tables_name_every_kind_and_reason_by_its_number() {
    let rows = rows(ENTRY);
    for kind in Kind::ALL {
        let number = kind.number().to_string();
        assert!(rows.iter().any(|row| row[0] == number && row[1] == kind.as_str()), "{kind} is {number}");
    }
    for number in 1..=5 {
        let listed =
            ENTRY_CDDL.contains(&format!(": {number}, ")) || ENTRY_CDDL.contains(&format!(": {number} )"));
        assert!(listed || GapReason::from_number(number).is_none(), "gap reason {number}");
    }
}

#[test]
fn the_cddl_names_every_kind_and_mode_by_its_number() {
    for kind in Kind::ALL {
        let (name, number) = (kind.as_str(), kind.number());
        let is_typed = matches!(kind, Kind::Decision | Kind::Anchor | Kind::Access) || kind.is_about_keys();
        let listed = if kind.is_session() || kind.is_registration() || is_typed {
            ENTRY_CDDL.contains(&format!("{name}-entry = {{"))
                && ENTRY_CDDL.contains(&format!("common, 2: {number}, 5: "))
        } else {
            ENTRY_CDDL.contains(&format!(" {name}: {number}"))
        };
        assert!(listed, "{name} is {number}");
    }
    for mode in [Mode::Strict, Mode::Bounded, Mode::Observe] {
        assert!(ENTRY_CDDL.contains(&format!(" {mode}: {}", mode.number())), "{mode}");
    }
    for kind in AnchorKind::ALL {
        let listed = ENTRY_CDDL.contains(&format!(" {kind}: {}", kind.number()));
        assert_eq!(listed, kind.has_statements(), "{kind}");
    }
}

/// The five fields of the page.
fn record() -> Record {
    let mut builder = RecordBuilder::new();
    for line in block(FIELD_TREE, "fields") {
        let mut columns = line.split_whitespace();
        let (_, path, value) = (columns.next(), columns.next().unwrap(), columns.next().unwrap());
        let encoded = hex_decode(value).unwrap();
        let value = Value::decode(&mut Reader::new(&encoded)).unwrap();
        builder.add(FieldPath::parse(path).unwrap(), value).unwrap();
    }
    builder.build().unwrap()
}

fn secret() -> RecordSecret {
    RecordSecret::from_bytes(bytes(&block(FIELD_TREE, "secret")).try_into().unwrap())
}

#[test]
fn the_field_tree_of_the_page_is_the_one_that_its_fields_give() {
    let record = record();
    let tree = record.commit(&secret());
    let count = tree.commitment().count;
    let openings = tree.disclose(&[0, 1, 2, 3, 4]).unwrap().openings;
    assert_eq!(openings[3].salt.to_vec(), bytes(&block(FIELD_TREE, "salt")));
    assert_eq!(leaf_preimage(&openings[3], count), bytes(&block(FIELD_TREE, "preimage")));

    for (opening, line) in openings.iter().zip(block(FIELD_TREE, "leaves")) {
        assert_eq!(line, format!("{} {}", opening.index, opening.leaf_hash(count)));
    }
    let drawn = block(FIELD_TREE, "tree");
    assert!(drawn[0].starts_with(&tree.commitment().root.to_string()));
    let entry = Entry::decode(&bytes(&block(ENTRY, "entry"))).unwrap();
    assert_eq!(entry.commitment, Some(tree.commitment()), "both pages show one record");
}

#[test]
fn the_disclosure_of_the_page_verifies() {
    let record = record();
    let tree = record.commit(&secret());
    let proof: Vec<Hash> = block(FIELD_TREE, "proof").into_iter().map(hash).collect();
    let shown = Disclosure { openings: tree.disclose(&[3]).unwrap().openings, proof };
    assert_eq!(disclosure::verify(&shown, &tree.commitment()), Ok(()));
    assert_eq!(tree.disclose(&[3]).unwrap(), shown);
    assert_eq!(shown.openings[0].value, Value::from("deny"));

    let drawn = block(FIELD_TREE, "tree").join("\n");
    for hash in &shown.proof[1..] {
        assert!(drawn.contains(&hash.to_string()), "{hash} is not drawn");
    }
}

#[test]
fn the_tensor_of_the_page_has_the_digest_of_the_page() {
    let data: Vec<u8> = [1.0_f32, 2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let digest = schema::tensor_digest("x", "FP32", &[1, 2], &data);
    assert_eq!(digest, hash(block(FIELD_TREE, "tensor-digest")[0]));
    assert_eq!(digest, Hash::of(&bytes(&block(FIELD_TREE, "tensor"))));
    assert!(FIELD_TREE.contains(&format!("version {}.", schema::VERSION)));
}
