//! Paths, values, the builder, the tree and the vocabulary.

use proptest::prelude::*;

use super::schema::{Shape, Side};
use super::*;
use crate::disclosure::verify;
use crate::hash::{hmac_sha256, leaf_hash, node_hash};
use crate::limits::{FIELD_PATH_BYTES_MAX, VALUE_DEPTH_MAX};

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

const SECRET: RecordSecret = RecordSecret::from_bytes([1; RecordSecret::LEN]);

/// Compiles for a type that wipes itself when it is dropped, and for no other.
const fn wipes_itself<T: zeroize::ZeroizeOnDrop>() {}

#[test]
fn a_secret_wipes_itself_when_it_is_dropped() {
    wipes_itself::<RecordSecret>();
    let mut secret = SECRET.clone();
    zeroize::Zeroize::zeroize(&mut secret);
    assert_eq!(secret.as_bytes(), &[0; RecordSecret::LEN], "all of it");
    assert_eq!(SECRET.as_bytes(), &[1; RecordSecret::LEN]);
}

#[test]
fn parses_paths_in_their_one_spelling() {
    for text in [
        "decision/id",
        "input/feature/loan%20amount",
        "input/feature/Income",
        "input/feature/%C3%BC",
        "input/tensor/input%3A0/digest",
        "explanation/reason/[0]/code",
        "explanation/reason/[4294967295]/code",
        "opt_out",
        "a/..",
    ] {
        assert_eq!(FieldPath::parse(text).map(|p| p.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn refuses_every_other_spelling_of_a_path() {
    let bad = |index| Err(FieldPathError::BadSegment { index });
    for (text, expected) in [
        ("", Err(FieldPathError::EmptySegment)),
        ("/a", Err(FieldPathError::EmptySegment)),
        ("a/", Err(FieldPathError::EmptySegment)),
        ("a//b", Err(FieldPathError::EmptySegment)),
        ("a b", bad(0)),
        ("a/ü", bad(1)),
        ("a/%c3%bc", bad(1)),
        ("a/%61", bad(1)),
        ("a/%", bad(1)),
        ("a/%4", bad(1)),
        ("a/%FF", bad(1)),
        ("a/[01]", bad(1)),
        ("a/[]", bad(1)),
        ("a/[-1]", bad(1)),
        ("a/[+1]", bad(1)),
        ("a/[4294967296]", bad(1)),
        ("a/[1", bad(1)),
        ("a/*", bad(1)),
    ] {
        assert_eq!(FieldPath::parse(text), expected, "{text:?}");
    }
}

#[test]
fn holds_paths_to_their_length() {
    let longest = "a".repeat(FIELD_PATH_BYTES_MAX);
    assert!(FieldPath::parse(&longest).is_ok());
    let len = FIELD_PATH_BYTES_MAX + 1;
    assert_eq!(FieldPath::parse(&"a".repeat(len)), Err(FieldPathError::TooLong { len }));
    assert_eq!(path("a").child(&"b".repeat(len - 2)), Err(FieldPathError::TooLong { len }));
}

#[test]
fn selects_paths_by_pattern() {
    for (pattern, text, expected) in [
        ("output/*", "output/score/approve", true),
        ("output/*", "output/label", true),
        ("output/*", "output", false),
        ("output/*", "outcome/action", false),
        ("output/tensor/*/digest", "output/tensor/y/digest", true),
        ("output/tensor/*/digest", "output/tensor/y/dtype", false),
        ("output/tensor/*/digest", "output/tensor/y/z/digest", false),
        ("delivery/mode", "delivery/mode", true),
        ("delivery/mode", "delivery/mode/x", false),
        ("delivery/mode", "delivery", false),
        ("explanation/reason/[0]/*", "explanation/reason/[0]/code", true),
        ("explanation/reason/[0]/*", "explanation/reason/[1]/code", false),
        ("*", "anything/at/all", true),
    ] {
        let matches = PathPattern::parse(pattern).unwrap().matches(&path(text));
        assert_eq!(matches, expected, "{pattern} on {text}");
    }
    assert_eq!(PathPattern::parse("a/**"), Err(FieldPathError::BadSegment { index: 1 }));
}

#[test]
fn sorts_fields_and_finds_them_again() {
    let record = RecordBuilder::new()
        .field(path("time/received"), 7_u64)
        .and_then(|b| b.field(path("decision/id"), "x"))
        .and_then(|b| b.field(path("input/feature/a"), 0.5))
        .and_then(RecordBuilder::build)
        .unwrap();
    let paths: Vec<_> = record.fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["decision/id", "input/feature/a", "time/received"]);
    assert_eq!(record.value(&path("time/received")), Some(&Value::Int(7)));
    assert_eq!(record.value(&path("time/decided")), None);
    assert_eq!(record.indices(|path| path.as_str().starts_with("input/")), [1]);
}

#[test]
fn refuses_a_path_that_stands_there_twice() {
    let twice = RecordBuilder::new().field(path("a"), 1_u64).and_then(|b| b.field(path("a"), 1_u64));
    assert_eq!(twice.and_then(RecordBuilder::build), Err(RecordError::Duplicate { path: path("a") }));
}

#[test]
fn refuses_records_without_fields_or_with_too_many() {
    assert_eq!(RecordBuilder::new().build(), Err(RecordError::Empty));
    let mut builder = RecordBuilder::new();
    for n in 0..=FIELDS_MAX {
        builder.add(path(&format!("input/feature/{n}")), Value::Null).unwrap();
    }
    assert_eq!(builder.build(), Err(RecordError::TooManyFields { count: FIELDS_MAX + 1 }));
}

#[test]
fn refuses_values_without_an_encoding() {
    let deep = (0..=VALUE_DEPTH_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    for (value, reason) in [
        (Value::Int(1 << 64), ValueError::IntRange),
        (Value::Int(-(1 << 64) - 1), ValueError::IntRange),
        (Value::Array(vec![Value::Int(1 << 64)]), ValueError::IntRange),
        (deep, ValueError::TooDeep),
    ] {
        let refused = RecordBuilder::new().field(path("a"), value).map(drop);
        assert_eq!(refused, Err(RecordError::Value { path: path("a"), reason }));
    }
}

#[test]
fn records_a_value_past_the_limit_as_its_digest_and_size() {
    let largest = Value::Bytes(vec![7; FIELD_VALUE_BYTES_MAX - 3]);
    let record = RecordBuilder::new().field(path("output/text"), largest.clone()).unwrap().build().unwrap();
    assert_eq!(record.value(&path("output/text")), Some(&largest));

    let larger = Value::Bytes(vec![7; FIELD_VALUE_BYTES_MAX - 2]);
    let mut writer = Writer::new();
    larger.encode(&mut writer);
    let record = RecordBuilder::new().field(path("output/text"), larger).unwrap().build().unwrap();
    assert_eq!(record.fields().len(), 2);
    assert_eq!(record.value(&path("output/text/digest")), Some(&Value::from(Hash::of(writer.as_bytes()))));
    assert_eq!(record.value(&path("output/text/size")), Some(&Value::Int(FIELD_VALUE_BYTES_MAX as i128 + 1)));
}

#[test]
fn refuses_a_large_value_whose_path_leaves_no_room_for_its_digest() {
    let long = path(&"a".repeat(FIELD_PATH_BYTES_MAX - 3));
    let refused = RecordBuilder::new().field(long.clone(), vec![0; FIELD_VALUE_BYTES_MAX]).map(drop);
    assert_eq!(refused, Err(RecordError::PathTooLong { path: long }));
}

#[test]
fn records_what_a_mask_removed_by_pointer_and_reason() {
    let record = RecordBuilder::new()
        .masked("input/feature/age", "protected class")
        .and_then(|b| b.masked("input/feature/name", "not needed"))
        .and_then(RecordBuilder::build)
        .unwrap();
    let value = |text: &str| record.value(&path(text)).cloned();
    assert_eq!(value("privacy/masked/[0]/pointer"), Some(Value::from("input/feature/age")));
    assert_eq!(value("privacy/masked/[0]/reason"), Some(Value::from("protected class")));
    assert_eq!(value("privacy/masked/[1]/pointer"), Some(Value::from("input/feature/name")));
    assert!(record.fields().iter().all(|field| schema::find(&field.path).is_some()));
}

#[test]
fn prints_no_content_of_any_value() {
    // INV-8: what a log line could show of a record is types and lengths.
    let record = RecordBuilder::new()
        .field(path("input/feature/name"), "Ada")
        .and_then(|b| b.field(path("input/feature/income"), 98_765_u64))
        .and_then(|b| b.field(path("input/feature/ratio"), 0.4321))
        .and_then(|b| b.field(path("input/feature/list"), vec![Value::from("Ada")]))
        .and_then(|b| b.field(path("input/feature/raw"), b"Ada".to_vec()))
        .and_then(RecordBuilder::build)
        .unwrap();
    let tree = record.commit(&SECRET);
    let printed = format!("{record:?} {:?} {SECRET:?}", tree.disclose(&[0, 1, 2, 3, 4]).unwrap());
    for content in ["Ada", "98765", "0.4321", "[65, 100, 97]"] {
        assert!(!printed.contains(content), "{content} in {printed}");
    }
    assert!(printed.contains("Text(3 bytes)"));
    assert!(format!("{SECRET:?}").ends_with("(..)"));
}

#[test]
fn salts_each_field_with_the_hmac_of_its_path() {
    let record = RecordBuilder::new().field(path("a"), 1_u64).unwrap().build().unwrap();
    let opening = record.commit(&SECRET).disclose(&[0]).unwrap().openings.remove(0);
    assert_eq!(opening.salt, hmac_sha256(SECRET.as_bytes(), b"a"));
}

#[test]
fn hashes_the_preimage_that_the_specification_gives() {
    let record = RecordBuilder::new().field(path("a"), 1_u64).unwrap().build().unwrap();
    let tree = record.commit(&SECRET);
    let mut preimage = vec![0x86, 0x74];
    preimage.extend(b"ledgerstone/field/v1");
    preimage.extend([0x00, 0x01, 0x61, b'a', 0x58, 0x20]);
    preimage.extend(hmac_sha256(SECRET.as_bytes(), b"a"));
    preimage.push(0x01);
    assert_eq!(tree.commitment(), Commitment { root: leaf_hash(&preimage), count: 1 });
}

/// RFC 6962, section 2.1, word for word.
fn rfc_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_hash(&rfc_root(&leaves[..split]), &rfc_root(&leaves[split..]))
        }
    }
}

fn numbered(count: u32) -> Record {
    let add =
        |b: RecordBuilder, n: u32| b.field(path(&format!("input/feature/{n:04}")), u64::from(n)).unwrap();
    (0..count).fold(RecordBuilder::new(), add).build().unwrap()
}

#[test]
fn builds_the_tree_of_rfc_6962_for_every_count_up_to_300() {
    for count in 1..=300 {
        let record = numbered(count);
        let tree = record.commit(&SECRET);
        let all: Vec<usize> = (0..count as usize).collect();
        let disclosure = tree.disclose(&all).unwrap();
        let leaves: Vec<_> = disclosure.openings.iter().map(|opening| opening.leaf_hash(count)).collect();
        assert_eq!(tree.commitment(), Commitment { root: rfc_root(&leaves), count });
        assert!(disclosure.proof.is_empty());
    }
}

#[test]
fn hides_equal_values_behind_unequal_hashes() {
    let record = RecordBuilder::new()
        .field(path("a"), true)
        .and_then(|b| b.field(path("b"), true))
        .and_then(RecordBuilder::build)
        .unwrap();
    let again = record.commit(&RecordSecret::from_bytes([2; 32])).commitment();
    assert_ne!(record.commit(&SECRET).commitment(), again);
    assert_eq!(record.commit(&SECRET).commitment(), record.commit(&SECRET).commitment());
}

#[test]
fn discloses_only_indices_that_rise_and_are_there() {
    let record = numbered(3);
    let tree = record.commit(&SECRET);
    assert_eq!(tree.disclose(&[]), Err(DiscloseError::Nothing));
    assert_eq!(tree.disclose(&[1, 1]), Err(DiscloseError::NotRising));
    assert_eq!(tree.disclose(&[2, 1]), Err(DiscloseError::NotRising));
    assert_eq!(tree.disclose(&[0, 3]), Err(DiscloseError::OutOfRange { index: 3, count: 3 }));
    assert_eq!(verify(&tree.disclose(&[0, 2]).unwrap(), &tree.commitment()), Ok(()));
}

#[test]
fn commits_the_largest_record() {
    let record = numbered(u32::try_from(FIELDS_MAX).unwrap());
    let tree = record.commit(&SECRET);
    let chosen: Vec<usize> = (0..FIELDS_MAX).step_by(97).collect();
    assert_eq!(verify(&tree.disclose(&chosen).unwrap(), &tree.commitment()), Ok(()));
}

#[test]
fn knows_every_path_that_it_builds() {
    let tensor = schema::tensor_fields(Side::Input, "input:0", "FP64", &[1, 2], &[0; 16]).unwrap();
    let others = [
        (schema::DECISION_ID, Value::from("x")),
        (schema::feature("loan amount").unwrap(), Value::from(1.5)),
        (schema::score("approve").unwrap(), Value::from(0.5)),
        (schema::reason(3, schema::ReasonPart::Code), Value::from("R1")),
        (schema::reason(3, schema::ReasonPart::Contribution), Value::from(-0.25)),
        (path("output/text/digest"), Value::from(Hash::of(b""))),
        (path("output/text/size"), Value::from(70_000_u64)),
    ];
    for (path, value) in tensor.into_iter().chain(others) {
        let spec = schema::find(&path).unwrap_or_else(|| panic!("{path} is not known"));
        assert!(spec.shape.admits(&value), "{path} is {:?}", spec.shape);
    }
}

#[test]
fn does_not_know_paths_beside_the_vocabulary() {
    for text in ["decision", "decision/ids", "input/feature", "input/feature/a/b", "review/0/at", "x/digest"]
    {
        assert_eq!(schema::find(&path(text)), None, "{text}");
    }
    assert_eq!(schema::find(&path("input/feature/[0]")), None, "a place is no name");
    assert_eq!(schema::find(&path("review/[0]/at")).unwrap().shape, Shape::Int);
}

#[test]
fn keeps_a_vocabulary_of_well_formed_distinct_paths_under_known_roots() {
    let mut seen = std::collections::BTreeSet::new();
    for spec in schema::PATHS {
        let example = spec.pattern.replace("<name>", "x").replace("[n]", "[0]");
        let parsed = FieldPath::parse(&example).unwrap();
        assert!(seen.insert(spec.pattern), "{} twice", spec.pattern);
        assert_eq!(schema::find(&parsed), Some(*spec));
        assert!(schema::ROOTS.contains(&parsed.segments().next().unwrap()), "{}", spec.pattern);
    }
    for root in schema::ROOTS {
        let below = format!("{root}/");
        assert!(schema::PATHS.iter().any(|s| s.pattern == *root || s.pattern.starts_with(&below)), "{root}");
    }
}

#[test]
fn digests_a_tensor_as_the_array_of_its_parts() {
    let mut writer = Writer::new();
    writer.array(5).text("ledgerstone/tensor/v1").text("x").text("FP32").array(2).uint(1).uint(2);
    writer.bytes(&[0, 0, 128, 63, 0, 0, 0, 64]);
    let digest = schema::tensor_digest("x", "FP32", &[1, 2], &[0, 0, 128, 63, 0, 0, 0, 64]);
    assert_eq!(digest, Hash::of(writer.as_bytes()));
}

proptest! {
    #[test]
    fn builds_a_parsable_path_of_any_name(name in ".{1,20}") {
        let built = path("input/feature").child(&name).unwrap();
        prop_assert_eq!(FieldPath::parse(built.as_str()), Ok(built.clone()));
        prop_assert_eq!(built.name(), Some(name));
    }

    #[test]
    fn never_panics_on_any_path_text(text in "\\PC{0,60}") {
        if let Ok(parsed) = FieldPath::parse(&text) {
            prop_assert_eq!(parsed.as_str(), &text);
        }
        let _ = PathPattern::parse(&text);
    }
}

#[test]
fn a_pattern_can_select_what_some_record_may_hold_and_nothing_else() {
    let can = |text: &str| schema::can_select(&PathPattern::parse(text).unwrap());
    for text in [
        "decision/id",
        "decision/*",
        "*",
        "*/*",
        "*/feature/income",
        "input/feature/income",
        "input/feature/loan%20amount/[3]",
        "input/feature/*/[0]",
        "input/feature/income/digest",
        "input/tensor/*/digest",
        "explanation/reason/[0]/code",
        "explanation/reason/*/code",
        "review/*",
        "output/text/size",
        "decision/id/*",
    ] {
        assert!(can(text), "{text}");
    }
    for text in [
        "decisions/id",
        "decision",
        "decision/idd",
        "decision/id/text",
        "inptu/*",
        "input/features/income",
        "input/feature",
        "input/feature/income/[0]/[1]",
        "input/feature/[0]",
        "explanation/reason/first/code",
        "output/text/sizes",
    ] {
        assert!(!can(text), "{text}");
    }
}

proptest! {
    #[test]
    fn a_pattern_that_selects_a_known_path_can_select(path in 0..schema::PATHS.len(), stars in any::<u8>()) {
        let text = schema::PATHS[path].pattern.replace("<name>", "x").replace("[n]", "[7]");
        let path = FieldPath::parse(&text).unwrap();
        let star = |(at, segment)| if stars >> at & 1 == 1 { "*" } else { segment };
        let pattern = text.split('/').enumerate().map(star).collect::<Vec<_>>().join("/");
        let pattern = PathPattern::parse(&pattern).unwrap();
        prop_assert!(pattern.matches(&path));
        prop_assert!(schema::can_select(&pattern));
    }
}
