//! Golden vectors for CBOR, field trees and entries, written by a second implementation in Python.
//!
//! Scenario: `tests/oracle/record_vectors.py`, which shares no code with this crate, has written valid and (mostly)
//! malformed inputs with the verdict that each must get. Danger: an encoding that only its author can read, and a
//! malformed input taken for a good one. Expected: every valid input is read, means what the vector says and is
//! written again byte for byte; every malformed one is refused for the reason named; and the committed files are what
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

use std::fmt::Debug;

use ledgerstone::disclosure::{self, Commitment, Disclosure, Opening};
use ledgerstone::encoding::cbor::{self, Reader, Writer};
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::entry::{
    DecisionId, Detail, Details, Entry, EntryError, Kind, Mode, SealedRef, SessionId, WriterName,
};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret, Value, leaf_preimage, schema};
use ledgerstone::time::UnixMillis;
use serde_json::Value as Json;

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json[key].as_array().unwrap()
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap()
}

fn bytes(json: &Json, key: &str) -> Vec<u8> {
    hex_decode(text(json, key)).unwrap()
}

fn hash(json: &Json) -> Hash {
    Hash::from_bytes(array(json))
}

fn array<const N: usize>(json: &Json) -> [u8; N] {
    hex_decode(json.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn count(json: &Json) -> u32 {
    u32::try_from(json["count"].as_u64().unwrap()).unwrap()
}

/// The name of an error's variant, as the vectors say it.
fn variant(error: &impl Debug) -> String {
    let shown = format!("{error:?}");
    shown.split([' ', '{', '(']).next().unwrap().to_owned()
}

fn value(json: &Json) -> Value {
    let (kind, content) = json.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(content.as_bool().unwrap()),
        "int" => Value::Int(content.as_str().unwrap().parse().unwrap()),
        "float_bits" => Value::Float(f64::from_bits(u64::from_be_bytes(array(content)))),
        "text" => Value::Text(content.as_str().unwrap().to_owned()),
        "bytes" => Value::Bytes(hex_decode(content.as_str().unwrap()).unwrap()),
        "array" => Value::Array(content.as_array().unwrap().iter().map(value).collect()),
        other => panic!("no value is called {other}"),
    }
}

#[test]
fn reads_every_valid_cbor_item_and_refuses_every_other_for_the_reason_named() {
    let vectors = vectors::read("cbor.json");
    for case in list(&vectors, "valid") {
        let bytes = bytes(case, "hex");
        assert_eq!(cbor::check(&bytes), Ok(()), "{}", case["name"]);
        let mut reader = Reader::new(&bytes);
        if let Ok(value) = Value::decode(&mut reader) {
            let mut writer = Writer::new();
            value.encode(&mut writer);
            assert_eq!(writer.as_bytes(), bytes, "{}", case["name"]);
        }
    }
    for case in list(&vectors, "malformed") {
        let error = cbor::check(&bytes(case, "hex")).expect_err(text(case, "name"));
        let found = format!("{error:?}");
        let expected = format!("{} {{ at: {} }}", text(case, "error"), case["at"]);
        assert_eq!(found, expected, "{}", case["name"]);
    }
}

#[test]
fn builds_every_field_tree_leaf_by_leaf_as_the_second_implementation_does() {
    for case in list(&vectors::read("field_tree.json"), "trees") {
        let name = &case["name"];
        let mut builder = RecordBuilder::new();
        // In falling order: the record sorts for itself.
        for field in list(case, "fields").iter().rev() {
            builder.add(FieldPath::parse(text(field, "path")).unwrap(), value(&field["value"])).unwrap();
        }
        let record = builder.build().unwrap();
        let tree = record.commit(&RecordSecret::from_bytes(array(&case["secret"])));
        let commitment = Commitment { root: hash(&case["root"]), count: count(case) };
        assert_eq!(tree.commitment(), commitment, "{name}");
        let all: Vec<usize> = (0..record.fields().len()).collect();
        let openings = tree.disclose(&all).unwrap().openings;
        assert_eq!(
            hex_encode(&leaf_preimage(&openings[0], commitment.count)),
            text(case, "preimage_of_first")
        );
        for (opening, field) in openings.iter().zip(list(case, "fields")) {
            assert_eq!(opening.path.as_str(), text(field, "path"), "{name}");
            assert_eq!(opening.salt, array(&field["salt"]), "{name} {}", opening.path);
            assert_eq!(opening.leaf_hash(commitment.count), hash(&field["leaf"]), "{name} {}", opening.path);
        }
        for disclosed in list(case, "disclosures") {
            let indices =
                list(disclosed, "indices").iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap());
            let disclosure = tree.disclose(&indices.collect::<Vec<_>>()).unwrap();
            let proof: Vec<Hash> = list(disclosed, "proof").iter().map(hash).collect();
            assert_eq!(disclosure.proof, proof, "{name} {}", disclosed["indices"]);
            assert_eq!(disclosure::verify(&disclosure, &commitment), Ok(()), "{name}");
        }
    }
}

#[test]
fn refuses_every_wrong_disclosure_for_the_reason_named() {
    for case in list(&vectors::read("field_tree.json"), "refused") {
        let opening = |json: &Json| Opening {
            index: u32::try_from(json["index"].as_u64().unwrap()).unwrap(),
            path: FieldPath::parse(text(json, "path")).unwrap(),
            salt: array(&json["salt"]),
            value: value(&json["value"]),
        };
        let disclosure = Disclosure {
            openings: list(case, "openings").iter().map(opening).collect(),
            proof: list(case, "proof").iter().map(hash).collect(),
        };
        let commitment = Commitment { root: hash(&case["root"]), count: count(case) };
        let error = disclosure::verify(&disclosure, &commitment).expect_err(text(case, "name"));
        assert_eq!(variant(&error), text(case, "error"), "{}", case["name"]);
    }
}

#[test]
fn parses_every_path_and_digests_every_tensor_as_the_second_implementation_does() {
    let vectors = vectors::read("field_tree.json");
    for case in list(&vectors, "paths") {
        let found = FieldPath::parse(text(case, "path")).map_err(|error| variant(&error));
        assert_eq!(found.as_ref().err().map(String::as_str), case["error"].as_str(), "{}", case["path"]);
    }
    for case in list(&vectors, "tensors") {
        let shape: Vec<u64> = list(case, "shape").iter().map(|n| n.as_u64().unwrap()).collect();
        let digest =
            schema::tensor_digest(text(case, "name"), text(case, "dtype"), &shape, &bytes(case, "data"));
        assert_eq!(digest, hash(&case["digest"]), "{case}");
    }
}

fn entry(json: &Json) -> Entry {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == text(json, "kind")).unwrap();
    let pair = |key: &str| json.get(key).map(|pair| (hash(&pair[0]), pair[1].as_u64().unwrap()));
    let mode =
        |name: &str| [Mode::Strict, Mode::Bounded, Mode::Observe].into_iter().find(|m| m.as_str() == name);
    let none = serde_json::Map::new();
    let details = json.get("details").map_or(&none, |details| details.as_object().unwrap());
    let detail = |json: &Json| match json.as_object().unwrap().iter().next().unwrap() {
        (kind, value) if kind == "uint" => Detail::Uint(value.as_u64().unwrap()),
        (kind, value) if kind == "bool" => Detail::Bool(value.as_bool().unwrap()),
        (kind, value) if kind == "text" => Detail::Text(value.as_str().unwrap().to_owned()),
        (_, value) => Detail::Bytes(hex_decode(value.as_str().unwrap()).unwrap()),
    };
    Entry {
        recorded_at: UnixMillis::new(json["recorded_at"].as_u64().unwrap()),
        decision: json.get("decision").map(|id| DecisionId::from_bytes(array(id))),
        links: json.get("links").map_or(vec![], |links| {
            links.as_array().unwrap().iter().map(|n| LeafIndex::new(n.as_u64().unwrap())).collect()
        }),
        commitment: pair("commitment")
            .map(|(root, count)| Commitment { root, count: u32::try_from(count).unwrap() }),
        sealed: pair("sealed").map(|(digest, length)| SealedRef { digest, length }),
        model: json.get("model").map(hash),
        policy: json.get("policy").map(hash),
        mode: json.get("mode").and_then(|name| mode(name.as_str().unwrap())),
        details: details
            .iter()
            .fold(Details::new(), |all, (key, json)| all.with(key.parse().unwrap(), detail(json))),
        ..Entry::new(
            kind,
            WriterName::parse(text(json, "writer")).unwrap(),
            SessionId::from_bytes(array(&json["session"])),
            json["sequence"].as_u64().unwrap(),
        )
    }
}

#[test]
fn reads_every_valid_entry_and_writes_the_same_bytes() {
    for case in list(&vectors::read("entry.json"), "valid") {
        let bytes = bytes(case, "hex");
        let expected = entry(&case["entry"]);
        assert_eq!(Entry::decode(&bytes).as_ref(), Ok(&expected), "{}", case["name"]);
        assert_eq!(expected.encode().as_ref(), Ok(&bytes), "{}", case["name"]);
        assert_eq!(leaf_hash(&bytes), hash(&case["leaf"]), "{}", case["name"]);
    }
}

#[test]
fn refuses_every_malformed_entry_for_the_reason_named() {
    for case in list(&vectors::read("entry.json"), "malformed") {
        let error = Entry::decode(&bytes(case, "hex")).expect_err(text(case, "name"));
        let found = match error {
            EntryError::Cbor(inner) => format!("Cbor.{}", variant(&inner)),
            other => variant(&other),
        };
        assert_eq!(found, text(case, "error"), "{}", case["name"]);
    }
}

#[test]
fn has_mostly_malformed_vectors_and_loses_none() {
    let lengths = |file: &str, key: &str| list(&vectors::read(file), key).len();
    assert!(lengths("cbor.json", "malformed") >= 172);
    assert!(lengths("cbor.json", "valid") >= 16);
    assert!(lengths("entry.json", "malformed") >= 250);
    assert!(lengths("entry.json", "valid") >= 42);
    assert!(lengths("field_tree.json", "refused") >= 42);
    assert!(lengths("field_tree.json", "trees") >= 16);
}

#[test]
fn commits_the_very_vectors_that_the_second_implementation_writes() {
    vectors::are_written_again("record_vectors.py", &["cbor.json", "field_tree.json", "entry.json"]);
}
