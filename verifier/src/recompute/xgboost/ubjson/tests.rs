use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Document {
    name: String,
    numbers: Vec<f32>,
    #[serde(default)]
    counts: Vec<i64>,
    nothing: Option<u8>,
}

fn length(count: i64) -> Vec<u8> {
    let mut bytes = vec![b'L'];
    bytes.extend(count.to_be_bytes());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [length(i64::try_from(text.len()).unwrap()), text.as_bytes().to_vec()].concat()
}

/// `{"name": "é", "more": [[...], {...}], "numbers": [...], "counts": [1, -2, 300], "nothing": null}`.
fn document(numbers: &[u8]) -> Vec<u8> {
    let skipped = [
        b"[[$d#".to_vec(),
        length(2),
        vec![0; 8],
        b"[#".to_vec(),
        length(1),
        b"TS".to_vec(),
        text("x"),
        b"]".to_vec(),
    ];
    [
        b"{".to_vec(),
        text("name"),
        b"S".to_vec(),
        text("é"),
        text("more"),
        skipped.concat(),
        text("numbers"),
        numbers.to_vec(),
        text("counts"),
        b"[i\x01i\xfeI\x01\x2c]".to_vec(),
        text("nothing"),
        b"Z}".to_vec(),
    ]
    .concat()
}

fn typed(kind: u8, count: i64, items: &[u8]) -> Vec<u8> {
    [&[b'[', b'$', kind, b'#'][..], &length(count), items].concat()
}

fn refused(bytes: &[u8]) -> (String, String) {
    match from_slice::<Document>(bytes) {
        Err(ModelError::Syntax { place, problem, .. }) => (place, problem),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn reads_numbers_bit_for_bit_in_typed_and_plain_arrays() {
    let number = f32::from_bits(0x3eaa_aaab);
    let expected =
        Document { name: "é".to_owned(), numbers: vec![number], counts: vec![1, -2, 300], nothing: None };
    let bytes = number.to_be_bytes();
    let plain = [b"[d".to_vec(), bytes.to_vec(), b"]".to_vec()].concat();
    for numbers in [typed(b'd', 1, &bytes), plain] {
        assert_eq!(from_slice::<Document>(&document(&numbers)).unwrap(), expected);
    }
}

#[test]
fn refuses_lengths_beyond_the_end_without_taking_memory() {
    for count in [10_000_000_000, i64::MAX, -1, 1 << 20] {
        for kind in [b'd', b'U', b'L'] {
            let (_, problem) = refused(&document(&typed(kind, count, &[0; 8])));
            assert!(problem.starts_with(&format!("a length of {count} items")), "{problem}");
        }
        let plain = [b"[#".to_vec(), length(count), b"d\0\0\0\0".to_vec()].concat();
        assert!(refused(&document(&plain)).1.starts_with("a length of"));
    }
    let key = [b"{".to_vec(), length(10_000_000_000)].concat();
    assert_eq!(
        refused(&key),
        ("byte 2".to_owned(), "a length of 10000000000 items, but only 0 bytes are left".to_owned())
    );
}

#[test]
fn refuses_every_truncation_and_bytes_after_the_end() {
    let whole = document(&typed(b'd', 1, &[0; 4]));
    assert!(from_slice::<Document>(&whole).is_ok());
    for cut in 0..whole.len() {
        assert_eq!(refused(&whole[..cut]).0.split(' ').next(), Some("byte"), "{cut} bytes");
    }
    assert_eq!(refused(&[whole, b"Z".to_vec()].concat()).1, "1 bytes follow the model");
}

#[test]
fn refuses_types_the_library_does_not_write() {
    for kind in [b'H', b'N', b'C', b'S', b'['] {
        assert!(refused(&document(&typed(kind, 1, &[0; 4]))).1.contains("unknown type"));
    }
    assert!(refused(&document(b"H")).1.contains("unknown type"));
}

#[test]
fn refuses_deep_nesting_without_using_up_the_stack() {
    let deep = vec![b'['; 1 << 20];
    let skipped = [b"{".to_vec(), text("more"), deep].concat();
    assert!(refused(&skipped).1.contains("nested too deeply"));
}

#[test]
fn reads_maps_of_any_key() {
    let bytes = [b"{".to_vec(), text("a"), b"U\xff".to_vec(), text("b"), b"l\0\0\x01\0}".to_vec()].concat();
    let read: BTreeMap<String, u32> = from_slice(&bytes).unwrap();
    assert_eq!(read, BTreeMap::from([("a".to_owned(), 255), ("b".to_owned(), 256)]));
}
