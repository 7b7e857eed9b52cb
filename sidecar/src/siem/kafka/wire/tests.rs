use super::*;

fn record<'a>(key: &str, value: &'a str, time: i64) -> Record<'a> {
    Record {
        key: key.to_owned(),
        value: value.as_bytes(),
        time,
        headers: vec![("leaf_index", "7".to_owned())],
    }
}

#[test]
fn sums_as_rfc_3720_does() {
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn writes_numbers_in_zigzag() {
    for (value, bytes) in
        [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-65, vec![0x81, 1]), (300, vec![0xd8, 4])]
    {
        let mut writer = Writer::default();
        assert_eq!(writer.varint(value).0, bytes, "{value}");
    }
}

#[test]
fn a_batch_names_its_length_its_sum_and_its_records() {
    let bytes = batch(&[record("a", "one", 1_000), record("b", "two", 999)]);
    let length = i32::from_be_bytes(bytes[8..12].try_into().unwrap());
    assert_eq!(usize::try_from(length).unwrap(), bytes.len() - 12);
    assert_eq!(bytes[16], 2, "the magic");
    assert_eq!(u32::from_be_bytes(bytes[17..21].try_into().unwrap()), crc32c(&bytes[21..]));
    assert_eq!(&bytes[27..35], 1_000_i64.to_be_bytes());
    assert_eq!(&bytes[35..43], 1_000_i64.to_be_bytes(), "the greatest time");
    assert_eq!(&bytes[57..61], 2_i32.to_be_bytes(), "how many");
    // Length, attributes, time, offset, key, value, one header.
    let first = b"\x2e\0\0\0\x02a\x06one\x02\x14leaf_index\x027";
    assert_eq!(&bytes[61..61 + first.len()], first);
    let second = b"\x2e\0\x01\x02\x02b\x06two\x02\x14leaf_index\x027";
    assert_eq!(&bytes[61 + first.len()..], second);
}

/// An answer about the topic `audit` with one broker and one partition.
fn metadata_answer() -> Vec<u8> {
    let mut answer = Writer::default();
    answer.i32(0).i32(1).i32(4).string("kafka-4").i32(9092).i16(-1).string("cluster").i32(4);
    answer.i32(1).i16(0).string("audit");
    answer.0.push(0);
    answer.i32(1).i16(0).i32(2).i32(4).i32(1).i32(4).i32(1).i32(4);
    answer.0
}

fn produced_answer() -> Vec<u8> {
    let mut answer = Writer::default();
    answer.i32(1).string("audit").i32(1).i32(2).i16(0).i64(41).i64(-1).i64(0).i32(0);
    answer.0
}

#[test]
fn reads_where_a_partition_is_and_what_became_of_a_batch() {
    let expected =
        Metadata { brokers: vec![(4, "kafka-4".to_owned(), 9092)], error: 0, partitions: vec![(0, 2, 4)] };
    assert_eq!(metadata(&metadata_answer(), "audit"), Ok(expected));
    assert_eq!(produced(&produced_answer(), "audit", 2), Ok((0, 41)));
}

#[test]
fn refuses_answers_that_are_cut_or_too_long_or_about_something_else() {
    for (answer, read) in [
        (metadata_answer(), (|bytes| metadata(bytes, "audit").is_ok()) as fn(&[u8]) -> bool),
        (produced_answer(), |bytes| produced(bytes, "audit", 2).is_ok()),
        (b"\0\0\0\0\0\x01\0\x03\0\0\0\x0d".to_vec(), |bytes| versions(bytes).is_ok()),
        (b"\0\0\0\0\0\x01\0\x05PLAIN".to_vec(), |bytes| mechanisms(bytes).is_ok()),
        (b"\0\x3a\0\x02no\0\0\0\x01x".to_vec(), |bytes| authenticated(bytes).is_ok()),
    ] {
        assert!(read(&answer));
        for length in 0..answer.len() {
            assert!(!read(&answer[..length]), "{length} of {answer:?}");
        }
        let mut longer = answer;
        longer.push(0);
        assert!(!read(&longer), "{longer:?}");
    }
    assert_eq!(metadata(&metadata_answer(), "other"), Err(NotKafka));
    assert_eq!(produced(&produced_answer(), "other", 2), Err(NotKafka));
    assert_eq!(produced(&produced_answer(), "audit", 1), Err(NotKafka));
}

#[test]
fn a_count_that_is_not_there_reserves_nothing() {
    let mut answer = Writer::default();
    answer.i16(0).i32(i32::MAX);
    assert_eq!(versions(&answer.0), Err(NotKafka));
    assert_eq!(mechanisms(&answer.0), Err(NotKafka));
}
