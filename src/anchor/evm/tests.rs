//! The encodings by themselves: RLP's examples, what is refused of it, slots and calls of the contract.

use proptest::prelude::*;

use super::rlp::{self, Item, RlpError};
use super::*;
use crate::encoding::{hex_decode, hex_encode};

fn hex(text: &str) -> Vec<u8> {
    hex_decode(text).unwrap()
}

#[test]
fn reads_and_writes_the_examples_of_the_specification() {
    for (bytes, encoded) in [
        (&b"dog"[..], "83646f67"),
        (b"", "80"),
        (&[0x00], "00"),
        (&[0x0f], "0f"),
        (&[0x04, 0x00], "820400"),
        (&[0x80], "8180"),
    ] {
        let mut out = Vec::new();
        rlp::write_bytes(&mut out, bytes);
        assert_eq!(hex_encode(&out), encoded);
        assert_eq!(Item::decode(&hex(encoded)), Ok(Item::Bytes(bytes)));
    }
    for (value, encoded) in [(0, "80"), (15, "0f"), (1024, "820400"), (u64::MAX, "88ffffffffffffffff")] {
        let mut out = Vec::new();
        rlp::write_uint(&mut out, value);
        assert_eq!(hex_encode(&out), encoded);
        assert_eq!(Item::decode(&hex(encoded)).and_then(Item::uint), Ok(value));
    }
    let mut long = Vec::new();
    rlp::write_bytes(&mut long, &[7; 56]);
    assert_eq!(long[..2], [0xb8, 56]);
    let mut list = Vec::new();
    rlp::write_list(&mut list, &[0xc0; 300]);
    assert_eq!(list[..3], [0xf9, 1, 44]);
    assert_eq!(rlp::check(&list), Ok(()));
}

#[test]
fn refuses_every_second_spelling_and_every_lie_about_length() {
    for (encoded, error) in [
        ("", RlpError::Truncated),
        ("8100", RlpError::NotShortest),
        ("817f", RlpError::NotShortest),
        ("b801ff", RlpError::NotShortest),
        ("b90038", RlpError::NotShortest),
        ("f800", RlpError::NotShortest),
        ("83646f", RlpError::Truncated),
        ("c3646f", RlpError::Truncated),
        ("b8", RlpError::Truncated),
        ("bfffffffffffffffff", RlpError::Truncated),
        ("ffffffffffffffffff", RlpError::Truncated),
        ("8080", RlpError::TrailingBytes),
        ("c000", RlpError::TrailingBytes),
        ("c28100", RlpError::NotShortest),
        ("c183", RlpError::Truncated),
    ] {
        assert_eq!(rlp::check(&hex(encoded)), Err(error), "{encoded}");
    }
    let mut deep = vec![0xc0];
    for _ in 0..8 {
        let inner = deep.clone();
        deep.clear();
        rlp::write_list(&mut deep, &inner);
    }
    assert_eq!(rlp::check(&deep), Err(RlpError::TooDeep));
}

#[test]
fn numbers_have_no_leading_zero_and_at_most_eight_bytes() {
    assert_eq!(Item::Bytes(&[0]).uint(), Err(RlpError::NotShortest));
    assert_eq!(Item::Bytes(&[0, 1]).uint(), Err(RlpError::NotShortest));
    assert_eq!(Item::Bytes(&[1; 9]).uint(), Err(RlpError::Length));
    assert_eq!(Item::decode(&[0xc0]).and_then(Item::uint), Err(RlpError::Kind));
}

#[test]
fn a_header_needs_its_fields_and_may_have_more() {
    let header = |extra: &[u8], number: &[u8]| {
        let mut items = Vec::new();
        for field in [&[1; 32][..], &[2; 32], &[3; 20], &[4; 32], &[5; 32], &[6; 32], &[0; 256], &[], number]
        {
            rlp::write_bytes(&mut items, field);
        }
        for field in [&[9][..], &[9], &[9], b"extra", &[7; 32], &[0; 8]] {
            rlp::write_bytes(&mut items, field);
        }
        items.extend(extra);
        let mut out = Vec::new();
        rlp::write_list(&mut out, &items);
        out
    };
    let plain = BlockHeader::decode(&header(&[], &[5])).unwrap();
    assert_eq!((plain.number, plain.timestamp), (5, 9));
    assert_eq!((plain.parent_hash, plain.state_root, plain.receipts_root), ([1; 32], [4; 32], [6; 32]));
    let later = header(&[0x07, 0xc1, 0x80], &[5]);
    assert_eq!(BlockHeader::decode(&later).unwrap().hash, keccak256(&later), "fields of forks to come");
    assert!(BlockHeader::decode(&header(&[0x81, 0x07], &[5])).is_err(), "they are canonical RLP");
    assert!(BlockHeader::decode(&header(&[], &[0, 5])).is_err());
    assert!(BlockHeader::decode(&header(&[], &[1; 9])).is_err());
    assert!(BlockHeader::decode(&header(&[0x07; 60], &[5])).is_err(), "too many fields");
    assert_eq!(BlockHeader::decode(&vec![0; 16 * 1024 + 1]), Err(HeaderError::TooLong));
}

#[test]
fn slots_follow_each_other_and_a_head_lies_in_them_as_documented() {
    let id = LogId::new(&[0xa1; 20], "log.example/anchors");
    let [packed, statement, next] = id.slots();
    let preimage = [*id.as_bytes(), [0; 32]].concat();
    assert_eq!(packed, keccak256(&preimage));
    assert_eq!(statement[31], packed[31].wrapping_add(1));
    assert_eq!(next[31], packed[31].wrapping_add(2));
    let mut word = [0xa1; 32];
    word[20..28].copy_from_slice(&77_u64.to_be_bytes());
    word[28..].copy_from_slice(&5_u32.to_be_bytes());
    let head = StoredHead::from_words(&word, &[3; 32]);
    assert_eq!(head, StoredHead { seq: 5, size: 77, key: [0xa1; 20], statement: [3; 32] });
    assert_ne!(id, LogId::new(&[0xa2; 20], "log.example/anchors"));
    assert_ne!(id, LogId::new(&[0xa1; 20], "log.example/anchor"));
}

#[test]
fn an_answer_of_another_length_or_with_a_value_past_its_type_is_no_head() {
    let mut data = [0; 192];
    data[31] = 5;
    assert_eq!(StoredHead::from_return_data(&data).map(|head| head.seq), Some(5));
    assert_eq!(StoredHead::from_return_data(&data[..160]), None);
    assert_eq!(StoredHead::from_return_data(&data[..191]), None);
    for at in [27, 32, 64] {
        let mut wide = data;
        wide[at] = 1;
        assert_eq!(StoredHead::from_return_data(&wide), None, "byte {at}");
    }
}

#[test]
fn the_committed_hex_files_decode() {
    assert_eq!(hex_encode(&code_hash()), CODE_HASH_HEX.trim_end());
    assert_eq!(hex_encode(&init_code()), INIT_CODE_HEX.trim_end());
    assert!(init_code().len() > 1000);
}

proptest! {
    #[test]
    fn what_was_written_reads_back(strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20)) {
        let mut items = Vec::new();
        strings.iter().for_each(|string| rlp::write_bytes(&mut items, string));
        let mut list = Vec::new();
        rlp::write_list(&mut list, &items);
        let read = Item::decode(&list).unwrap().list().unwrap().items(20).unwrap();
        prop_assert_eq!(read.into_iter().map(|item| item.bytes().unwrap().to_vec()).collect::<Vec<_>>(), strings);
    }

    #[test]
    fn what_is_accepted_is_the_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(Item::Bytes(string)) = Item::decode(&bytes) {
            let mut again = Vec::new();
            rlp::write_bytes(&mut again, string);
            prop_assert_eq!(again, bytes);
        }
    }
}
