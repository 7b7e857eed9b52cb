//! RFC 8949's own examples, both ways round, and the rules about nesting. The malformed inputs stand in
//! `tests/vectors/cbor.json`.

use proptest::prelude::*;

use super::*;
use crate::encoding::{hex_decode, hex_encode};
use crate::record::Value;

fn hex(writer: &Writer) -> String {
    hex_encode(writer.as_bytes())
}

#[test]
fn writes_the_integers_of_rfc_8949_appendix_a() {
    for (value, expected) in [
        (0_i128, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        (4_294_967_295, "1affffffff"),
        (4_294_967_296, "1b0000000100000000"),
        (INT_MAX, "1bffffffffffffffff"),
        (-1, "20"),
        (-24, "37"),
        (-25, "3818"),
        (-1000, "3903e7"),
        (INT_MIN, "3bffffffffffffffff"),
    ] {
        let mut writer = Writer::new();
        writer.int(value);
        assert_eq!(hex(&writer), expected, "{value}");
        let bytes = hex_decode(expected).unwrap();
        assert_eq!(Reader::new(&bytes).int(), Ok(value));
    }
}

#[test]
fn writes_the_floats_of_rfc_8949_as_binary64() {
    for (value, expected) in [
        (1.1, "fb3ff199999999999a"),
        (0.0, "fb0000000000000000"),
        (-0.0, "fb8000000000000000"),
        (f64::INFINITY, "fb7ff0000000000000"),
        (f64::NEG_INFINITY, "fbfff0000000000000"),
        (f64::NAN, "fb7ff8000000000000"),
        (-f64::NAN, "fb7ff8000000000000"),
        (f64::from_bits(0x7ff0_0000_0000_0001), "fb7ff8000000000000"),
    ] {
        let mut writer = Writer::new();
        writer.float(value);
        assert_eq!(hex(&writer), expected, "{value}");
        let bytes = hex_decode(expected).unwrap();
        let read = Reader::new(&bytes).float().unwrap();
        assert_eq!(Value::Float(read), Value::Float(value));
    }
}

#[test]
fn writes_strings_arrays_and_maps_of_rfc_8949() {
    let mut writer = Writer::new();
    writer.array(4).text("").bytes(&[1, 2, 3, 4]).text("ü").map(2);
    writer.text("a").uint(1).text("b").array(2).bool(true).null();
    assert_eq!(hex(&writer), "8460440102030462c3bca2616101616282f5f6");
    assert_eq!(check(writer.as_bytes()), Ok(()));
}

#[test]
fn says_which_type_stands_next_without_taking_it() {
    for (bytes, expected) in [
        (&[0x00][..], Type::Int),
        (&[0x20], Type::Int),
        (&[0x40], Type::Bytes),
        (&[0x60], Type::Text),
        (&[0x80], Type::Array),
        (&[0xa0], Type::Map),
        (&[0xf4], Type::Bool),
        (&[0xf5], Type::Bool),
        (&[0xf6], Type::Null),
        (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], Type::Float),
    ] {
        let reader = Reader::new(bytes);
        assert_eq!(reader.peek(), Ok(expected));
        assert_eq!(reader.offset(), 0);
    }
}

#[test]
fn converts_nothing_into_the_type_that_is_asked_for() {
    let wrong = CborError::WrongType { at: 0 };
    assert_eq!(Reader::new(&[0x20]).uint(), Err(wrong));
    assert_eq!(Reader::new(&[0x60]).bytes(), Err(wrong));
    assert_eq!(Reader::new(&[0x40]).text(), Err(wrong));
    assert_eq!(Reader::new(&[0xf4]).null(), Err(wrong));
    assert_eq!(Reader::new(&[0xf6]).bool(), Err(wrong));
    assert_eq!(Reader::new(&[0xf6]).float(), Err(wrong));
    assert_eq!(Reader::new(&[0x00]).float(), Err(wrong));
    assert_eq!(Reader::new(&[0xa0]).array(), Err(wrong));
    assert_eq!(Reader::new(&[0x80]).map().map(drop), Err(wrong));
}

#[test]
fn refuses_a_fixed_length_that_is_another() {
    assert_eq!(Reader::new(&[0x41, 0]).byte_array::<2>(), Err(CborError::OutOfRange { at: 0 }));
    assert_eq!(Reader::new(&[0x81, 0]).array_of(2), Err(CborError::OutOfRange { at: 0 }));
    assert_eq!(Reader::new(&[0x82, 0, 0]).array_of(2), Ok(()));
}

#[test]
fn believes_no_length_that_the_bytes_left_cannot_hold() {
    // INV-7: a lie about a length is refused at its head, before anything could be reserved for it.
    for lie in [
        "9a00ffffff",
        "9bffffffffffffffff",
        "ba00ffffff",
        "bb8000000000000001",
        "5b00000100000000",
        "7a7fffffff",
    ] {
        let bytes = hex_decode(&format!("{lie}0000")).unwrap();
        assert_eq!(check(&bytes), Err(CborError::Truncated { at: 0 }), "{lie}");
        assert!(Value::decode(&mut Reader::new(&bytes)).is_err(), "{lie}");
    }
}

#[test]
fn nests_as_deep_as_the_limit_and_no_deeper() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x81; depth - 1];
        bytes.push(0x80);
        bytes
    };
    assert_eq!(check(&nested(CBOR_DEPTH_MAX)), Ok(()));
    assert_eq!(check(&nested(CBOR_DEPTH_MAX + 1)), Err(CborError::TooDeep { at: CBOR_DEPTH_MAX }));
    assert_eq!(CborError::TooDeep { at: 0 }.code(), Code::Limit);
}

#[test]
fn counts_depth_only_while_an_array_is_open() {
    let mut bytes = vec![0x98, 40];
    bytes.extend([0x81, 0x81, 0x80].repeat(40));
    assert_eq!(check(&bytes), Ok(()));
}

#[test]
fn does_not_end_inside_an_array() {
    let mut reader = Reader::new(&[0x82, 0x00, 0x00]);
    reader.array_of(2).unwrap();
    reader.uint().unwrap();
    assert_eq!(reader.clone().finish(), Err(CborError::Truncated { at: 2 }));
    reader.uint().unwrap();
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn compares_map_keys_by_their_encoded_bytes() {
    // 10, 100, -1, "z", "aa", false: the order of RFC 8949, section 4.2.1.
    let bytes = hex_decode("a60a001864002000617a0062616100f400").unwrap();
    assert_eq!(check(&bytes), Ok(()));
}

/// Any value, without regard to what a record admits but its depth.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (INT_MIN..=INT_MAX).prop_map(Value::Int),
        (-30_i128..300).prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        ".{0,30}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| proptest::collection::vec(inner, 0..30).prop_map(Value::Array))
}

proptest! {
    #[test]
    fn reads_back_every_value_and_knows_its_length(value in any_value()) {
        let mut writer = Writer::new();
        value.encode(&mut writer);
        prop_assert_eq!(value.check(), Ok(writer.as_bytes().len()));
        let mut reader = Reader::new(writer.as_bytes());
        prop_assert_eq!(Value::decode(&mut reader), Ok(value));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes);
        let _ = Value::decode(&mut Reader::new(&bytes));
    }

    #[test]
    fn writes_the_very_bytes_it_accepted(
        value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut writer = Writer::new();
        value.encode(&mut writer);
        let mut bytes = writer.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut reader = Reader::new(&bytes);
        if let Ok(read) = Value::decode(&mut reader) && reader.finish().is_ok() {
            let mut again = Writer::new();
            read.encode(&mut again);
            prop_assert_eq!(again.as_bytes(), &bytes);
        }
    }
}
