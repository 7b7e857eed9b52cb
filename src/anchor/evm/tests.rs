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
    assert!(BlockHeader::decode(&header(&[0xc2, 0x81, 0x07], &[5])).is_err(), "and what is within them is");
    assert!(BlockHeader::decode(&header(&[], &[0, 5])).is_err());
    assert!(BlockHeader::decode(&header(&[], &[1; 9])).is_err());
    assert!(BlockHeader::decode(&header(&[0x07; 60], &[5])).is_err(), "too many fields");
    assert_eq!(BlockHeader::decode(&vec![0; 16 * 1024 + 1]), Err(HeaderError::TooLong));
}

#[test]
fn a_field_of_another_length_makes_no_header() {
    let lengths = [32, 32, 20, 32, 32, 32, 256, 0, 1, 1, 1, 1, 5, 32, 8];
    let header = |changed: Option<usize>| {
        let mut items = Vec::new();
        for (at, length) in lengths.into_iter().enumerate() {
            rlp::write_bytes(&mut items, &vec![9; length + usize::from(changed == Some(at))]);
        }
        let mut out = Vec::new();
        rlp::write_list(&mut out, &items);
        BlockHeader::decode(&out)
    };
    assert!(header(None).is_ok());
    for at in 0..7 {
        assert_eq!(header(Some(at)), Err(HeaderError::Rlp(RlpError::Length)), "field {at}");
    }
}

/// A node of a trie: a list of strings, or of lists that are encoded already.
fn node(items: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for item in items {
        match item.first() {
            Some(0xc0..) if rlp::check(item).is_ok() => all.extend_from_slice(item),
            _ => rlp::write_bytes(&mut all, item),
        }
    }
    let mut out = Vec::new();
    rlp::write_list(&mut out, &all);
    out
}

/// A branch with one child, under nibble 1.
fn branch(child: &[u8], value: &[u8]) -> Vec<u8> {
    let mut items = [b"".as_slice(); 17];
    (items[1], items[16]) = (child, value);
    node(&items)
}

fn looked_up(key: &[u8], proof: &[Vec<u8>]) -> Result<Option<Vec<u8>>, trie::TrieError> {
    trie::lookup(&keccak256(&proof[0]), key, proof).map(|value| value.map(<[u8]>::to_vec))
}

#[test]
fn a_node_has_one_spelling_and_one_place() {
    use trie::TrieError;
    let refused = |error| Err(TrieError::Node { at: 0, error });
    // A leaf for the key 0x12, spelled as it must be and in every other way.
    assert_eq!(looked_up(&[0x12], &[node(&[&[0x20, 0x12], b"value"])]), Ok(Some(b"value".to_vec())));
    for head in [0x60, 0xa0, 0x21, 0x2f] {
        let leaf = node(&[&[head, 0x12], b"value"]);
        assert_eq!(looked_up(&[0x12], &[leaf]), refused(RlpError::NotShortest), "{head:02x}");
    }
    assert_eq!(looked_up(&[0x12], &[node(&[b"", b"value"])]), refused(RlpError::Length), "no prefix");
    assert_eq!(looked_up(&[0x12], &[node(&[&[0x20, 0x12], b""])]), refused(RlpError::Length), "no value");
    let leaf = node(&[&[0x32], b"value"]);
    // What is shorter than a digest stands in its parent, and nothing else does.
    let whole = branch(&leaf, b"");
    assert_eq!(looked_up(&[0x12], &[whole]), Ok(Some(b"value".to_vec())));
    let apart = branch(&keccak256(&leaf), b"");
    assert_eq!(looked_up(&[0x12], &[apart, leaf.clone()]), Err(TrieError::NotEmbedded { at: 1 }));
    let long = node(&[&[0x32], &[7; 40]]);
    assert_eq!(
        looked_up(&[0x12], &[branch(&long, b"")]),
        refused(RlpError::Length),
        "too long to stand there"
    );
    let apart = branch(&keccak256(&long), b"");
    assert_eq!(looked_up(&[0x12], &[apart, long]), Ok(Some(vec![7; 40])));
    // An extension goes on somewhere; a child is a digest or a node.
    assert_eq!(looked_up(&[0x12], &[node(&[&[0x00], &leaf])]), refused(RlpError::Length), "of no nibble");
    assert_eq!(looked_up(&[0x12], &[branch(&[7; 31], b"")]), refused(RlpError::Length), "a short digest");
    assert_eq!(looked_up(&[0x12], &[node(&[b"", b"", b""])]), refused(RlpError::Count(3)));
}

#[test]
fn a_path_that_parts_or_ends_has_no_value() {
    let leaf = node(&[&[0x32], b"value"]);
    assert_eq!(looked_up(&[0x13], &[branch(&leaf, b"")]), Ok(None), "another leaf");
    assert_eq!(looked_up(&[0x22], &[branch(&leaf, b"")]), Ok(None), "no child");
    assert_eq!(looked_up(&[], &[branch(&leaf, b"")]), Ok(None), "a branch without a value");
    assert_eq!(looked_up(&[], &[branch(&leaf, b"here")]), Ok(Some(b"here".to_vec())));
    let extension = node(&[&[0x00, 0x41], &branch(&leaf, b"")]);
    assert_eq!(looked_up(&[0x41, 0x12], std::slice::from_ref(&extension)), Ok(Some(b"value".to_vec())));
    assert_eq!(looked_up(&[0x42, 0x12], std::slice::from_ref(&extension)), Ok(None), "another way");
    assert_eq!(looked_up(&[0x41], &[extension]), Ok(None));
    for key in [&[0x12, 0x34][..], &[0x12], &[]] {
        let expected = (key == [0x12]).then(|| b"value".to_vec());
        assert_eq!(looked_up(key, &[node(&[&[0x20, 0x12], b"value"])]), Ok(expected), "{key:?}");
    }
}

#[test]
fn slots_carry_into_the_byte_before() {
    let ids = (0..4_000).map(|n| LogId::new(&[0xa1; 20], &format!("log.example/{n}")));
    let of_last = |last: u8| move |id: &LogId| id.slots()[0][31] == last;
    for (last, carried) in [(0xff, [1, 1]), (0xfe, [0, 1])] {
        let [base, next, second] = ids.clone().find(of_last(last)).unwrap().slots();
        for (slot, carried, offset) in [(next, carried[0], 1), (second, carried[1], 2)] {
            assert_eq!(slot[31], last.wrapping_add(offset));
            assert_eq!(slot[30], base[30].wrapping_add(carried), "{last:02x} + {offset}");
        }
    }
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
