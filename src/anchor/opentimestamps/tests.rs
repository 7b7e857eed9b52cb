//! Proofs made by hand: what is refused, the order in which they are written, stamping, upgrading and pruning.

use proptest::prelude::*;

use super::read::write_number;
use super::*;
use crate::anchor::bitcoin::{BitcoinTrust, BlockHeader, Network, Pin};
use crate::check::Status;
use crate::hash::Hash;
use crate::limits::{
    OTS_ANSWER_BYTES_MAX, OTS_ATTESTATIONS_MAX, OTS_DEPTH_MAX, OTS_OPERATIONS_MAX, OTS_PAYLOAD_BYTES_MAX,
};

const BITCOIN_TAG: [u8; 8] = [0x05, 0x88, 0x96, 0x0d, 0x73, 0xd7, 0x19, 0x01];
const PENDING_TAG: [u8; 8] = [0x83, 0xdf, 0xe3, 0x0d, 0x2e, 0xf9, 0x0c, 0x8e];

/// A file whose digest is 32 zero bytes, with this timestamp.
fn file(timestamp: &[u8]) -> Vec<u8> {
    [MAGIC, &[1, 0x08], &[0; 32], timestamp].concat()
}

/// An attestation's bytes.
fn attested(tag: [u8; 8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0], tag.as_slice()].concat();
    write_number(&mut bytes, payload.len() as u64);
    [bytes, payload.to_vec()].concat()
}

fn block(height: u8) -> Vec<u8> {
    attested(BITCOIN_TAG, &[height])
}

fn pending(uri: &str) -> Attestation {
    Attestation::Pending(uri.parse().unwrap())
}

fn parse(timestamp: &[u8]) -> Result<Vec<u8>, ReadError> {
    DetachedTimestamp::parse(&file(timestamp)).map(|proof| proof.to_bytes())
}

#[test]
fn refuses_every_head_that_is_not_of_version_1() {
    let good = file(&block(1));
    assert!(DetachedTimestamp::parse(&good).is_ok());
    for at in 0..MAGIC.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert_eq!(DetachedTimestamp::parse(&bytes), Err(ReadError::Magic), "byte {at}");
    }
    for (at, byte, error) in [
        (MAGIC.len(), 2, ReadError::Version { version: 2 }),
        (MAGIC.len(), 0, ReadError::Version { version: 0 }),
        (MAGIC.len() + 1, 0xf0, ReadError::FileHash { tag: 0xf0 }),
        (MAGIC.len() + 1, 0xf3, ReadError::FileHash { tag: 0xf3 }),
        (MAGIC.len() + 1, 0x00, ReadError::FileHash { tag: 0x00 }),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(DetachedTimestamp::parse(&bytes), Err(error));
        assert_eq!(error.code(), Code::Malformed);
    }
    assert_eq!(DetachedTimestamp::parse(&vec![0; OTS_FILE_BYTES_MAX + 1]), Err(ReadError::Long));
    assert_eq!(ReadError::Long.code(), Code::Limit);
}

#[test]
fn refuses_every_malformed_timestamp() {
    let after = |operation: &[u8]| [operation, &block(1)].concat();
    let long = |length: u64, tag: u8| {
        let mut bytes = vec![tag];
        write_number(&mut bytes, length);
        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 7);
        after(&bytes)
    };
    let uri = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
    for (timestamp, error) in [
        (vec![], ReadError::Truncated),
        (vec![0xff], ReadError::Truncated),
        (after(&[0x04]), ReadError::Operation { tag: 0x04 }),
        (after(&[0xff, 0xff]), ReadError::Operation { tag: 0xff }),
        (after(&[0xff, 0x77]), ReadError::Operation { tag: 0x77 }),
        (after(&[0xf4]), ReadError::Operation { tag: 0xf4 }),
        (after(&[0xf0, 0x00]), ReadError::Argument),
        (after(&[0xf1, 0x80, 0x00]), ReadError::Argument),
        (long(4097, 0xf0), ReadError::Argument),
        (long(4065, 0xf0), ReadError::Message),
        (long(4065, 0xf1), ReadError::Message),
        (after(&[0xf3; 8]), ReadError::Message),
        (after(&[[0xf0].as_slice(), &[0xff; 9], &[0x01]].concat()), ReadError::Argument),
        (after(&[[0xf0].as_slice(), &[0xff; 9], &[0x02]].concat()), ReadError::Number),
        (after(&[[0xf0].as_slice(), &[0x80; 10], &[0x00]].concat()), ReadError::Number),
        (after(&[0xf0, 0x20]), ReadError::Truncated),
        ([block(1), vec![0]].concat(), ReadError::Trailing),
        ([block(1), block(2)].concat(), ReadError::Trailing),
        (block(1)[..9].to_vec(), ReadError::Truncated),
        (attested(BITCOIN_TAG, &[]), ReadError::Payload),
        (attested(BITCOIN_TAG, &[1, 1]), ReadError::Payload),
        (attested(BITCOIN_TAG, &[0x80]), ReadError::Payload),
        (attested(BITCOIN_TAG, &[[0xff; 9].as_slice(), &[2]].concat()), ReadError::Payload),
        (attested([9; 8], &vec![0; OTS_PAYLOAD_BYTES_MAX + 1]), ReadError::Payload),
        (attested(PENDING_TAG, &[]), ReadError::Payload),
        (attested(PENDING_TAG, &[5, b'a']), ReadError::Payload),
        (attested(PENDING_TAG, &[1, b'a', b'b']), ReadError::Payload),
        (attested(PENDING_TAG, &uri(b"https://a.example/?q")), ReadError::Uri),
        (attested(PENDING_TAG, &uri(b"https://user@a.example")), ReadError::Uri),
        (attested(PENDING_TAG, &uri(b"https://[::1]/")), ReadError::Uri),
        (attested(PENDING_TAG, &uri("https://ä.example".as_bytes())), ReadError::Uri),
        (attested(PENDING_TAG, &uri(b"\xff\xfe")), ReadError::Uri),
        (attested(PENDING_TAG, &uri(b"a b")), ReadError::Uri),
        (attested(PENDING_TAG, &[[0xe9, 0x07].as_slice(), &[b'a'; 1001]].concat()), ReadError::Uri),
    ] {
        assert_eq!(parse(&timestamp), Err(error), "{timestamp:02x?}");
    }
    // The last of each that is still allowed.
    for timestamp in [
        long(4064, 0xf0),
        long(4064, 0xf1),
        after(&[0xf3; 7]),
        attested([9; 8], &vec![0; OTS_PAYLOAD_BYTES_MAX]),
        attested(PENDING_TAG, &[0]),
        attested(PENDING_TAG, &[[0xe8, 0x07].as_slice(), &[b'a'; 1000]].concat()),
        attested(BITCOIN_TAG, &[[0xff; 9].as_slice(), &[1]].concat()),
    ] {
        assert_eq!(parse(&timestamp), Ok(file(&timestamp)));
    }
}

#[test]
fn refuses_what_is_too_deep_or_too_much() {
    let deep = |operations: usize| [vec![0x08; operations], block(1)].concat();
    assert!(parse(&deep(OTS_DEPTH_MAX - 1)).is_ok());
    assert_eq!(parse(&deep(OTS_DEPTH_MAX)), Err(ReadError::Depth));
    let many = |count: usize| [[vec![0xff], block(1)].concat().repeat(count - 1), block(1)].concat();
    assert!(parse(&many(OTS_ATTESTATIONS_MAX)).is_ok());
    assert_eq!(parse(&many(OTS_ATTESTATIONS_MAX + 1)), Err(ReadError::Attestations));
    // 255 operations in a row, over and over beside each other.
    let wide = |rows: u8| -> Vec<u8> {
        let row = |n| [[0xf0, 1, n].as_slice(), &[0x08; OTS_DEPTH_MAX - 2], &block(1)].concat();
        let forks: Vec<u8> = (1..rows).flat_map(|n| [vec![0xff], row(n)].concat()).collect();
        [forks, row(0)].concat()
    };
    assert!(parse(&wide(32)).is_ok());
    assert_eq!(parse(&wide(33)), Err(ReadError::Operations), "{} and more", OTS_OPERATIONS_MAX);
    assert_eq!(ReadError::Operations.code(), Code::Limit);
}

#[test]
fn writes_in_the_order_of_the_reference_whatever_the_order_it_reads() {
    let unknown = attested([0x06, 0, 0, 0, 0, 0, 0, 1], b"z");
    let items =
        [block(2), block(3), unknown, [vec![0x02], block(1)].concat(), [vec![0x08], block(1)].concat()];
    let [a, b, c, d, e] = &items;
    let shuffled = [&[0xff], e.as_slice(), &[0xff], c, &[0xff], b, &[0xff], d, a].concat();
    let sorted = [&[0xff], a.as_slice(), &[0xff], b, &[0xff], c, &[0xff], d, e].concat();
    assert_eq!(parse(&shuffled), Ok(file(&sorted)));
    // Shorter arguments are not first; prepend comes after append.
    let ops = [[0xf1, 1, 0].as_slice(), &[0xf0, 2, 1, 0], &[0xf0, 1, 2], &[0xf0, 1, 1]];
    let text: Vec<u8> = ops.iter().take(3).flat_map(|op| [&[0xff], *op, &block(1)].concat()).collect();
    let text = [text, ops[3].to_vec(), block(1)].concat();
    let order = [ops[3], ops[1], ops[2]].map(|op| [&[0xff], op, &block(1)].concat()).concat();
    assert_eq!(parse(&text), Ok(file(&[order, ops[0].to_vec(), block(1)].concat())));
}

#[test]
fn reads_padded_numbers_and_repeated_items_as_the_reference_does() {
    assert_eq!(parse(&attested(BITCOIN_TAG, &[0x81, 0x80, 0x00])), Ok(file(&block(1))));
    assert_eq!(
        parse(&[vec![0xf0, 0x81, 0x00, 9], block(1)].concat()),
        Ok(file(&[vec![0xf0, 1, 9], block(1)].concat()))
    );
    assert_eq!(parse(&[vec![0xff], block(1), block(1)].concat()), Ok(file(&block(1))));
    // Of one operation twice the last stays.
    let twice = [vec![0xff, 0x08], block(1), vec![0x08], block(2)].concat();
    assert_eq!(parse(&twice), Ok(file(&[vec![0x08], block(2)].concat())));
}

#[test]
fn applies_each_operation_as_its_standard_says() {
    let hex = crate::encoding::hex_encode;
    for (operation, message, result) in [
        (HashOp::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (HashOp::Ripemd160, "abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (HashOp::Sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (HashOp::Keccak256, "abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (HashOp::Keccak256, "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    ] {
        assert_eq!(hex(&operation.digest(message.as_bytes())), result, "{operation:?}");
        assert_eq!(operation.digest(b"").len(), operation.digest_bytes());
        assert_eq!(HashOp::from_tag(operation.tag()), Some(operation));
    }
    for (operation, result) in [
        (Op::Append(vec![3, 4]), vec![1, 2, 3, 4]),
        (Op::Prepend(vec![3, 4]), vec![3, 4, 1, 2]),
        (Op::Reverse, vec![2, 1]),
        (Op::Hexlify, b"0102".to_vec()),
    ] {
        assert_eq!(operation.apply(&[1, 2]), result);
        assert_eq!(operation.result_bytes(2), Ok(result.len()));
    }
    assert_eq!(Op::Hexlify.apply(&[0xab, 0x0c, 0xff]), b"ab0cff", "in lowercase, as the reference writes it");
    assert_eq!(Op::Reverse.result_bytes(0), Err(ReadError::Message));
    assert_eq!(Op::Hexlify.result_bytes(0), Err(ReadError::Message));
}

fn stamping() -> Stamping {
    Stamping::new(Hash::of(b"statement"), [5; NONCE_BYTES])
}

/// A calendar's answer to a commitment: a nonce, then a promise of `uri`; and the commitment that it keeps.
fn answer(uri: &str, nonce: u8) -> (CalendarAnswer, Vec<u8>) {
    let kept = Timestamp::after(Op::Append(vec![nonce]), Timestamp::attested(pending(uri)));
    let mut body = Vec::new();
    kept.write(&mut body);
    let commitment = stamping().commitment();
    let kept = [commitment.as_bytes().as_slice(), &[nonce]].concat();
    (CalendarAnswer::parse(&body, commitment.as_bytes()).unwrap(), kept)
}

fn upgrade(commitment: &[u8], height: u8) -> CalendarAnswer {
    CalendarAnswer::parse(&[vec![0x08], block(height)].concat(), commitment).unwrap()
}

#[test]
fn stamps_with_several_calendars_and_upgrades_each() {
    let ((alice, kept_a), (bob, kept_b)) = (answer("https://a.example", 1), answer("https://b.example/", 2));
    let mut proof = stamping().finish([&alice, &bob]).unwrap();
    assert_eq!(
        (proof.file_hash(), proof.digest()),
        (HashOp::Sha256, Hash::of(b"statement").as_bytes().as_slice())
    );
    assert_eq!(DetachedTimestamp::parse(&proof.to_bytes()), Ok(proof.clone()));
    let requests = proof.upgrade_requests();
    assert_eq!(requests.iter().map(|one| &one.commitment).collect::<Vec<_>>(), [&kept_a, &kept_b]);
    let hex = crate::encoding::hex_encode(&kept_b);
    assert_eq!(requests[1].to_string(), format!("https://b.example/timestamp/{hex}"));
    assert!(!proof.is_complete());
    assert_eq!(proof.bitcoin_attestations(), Ok(vec![]));

    assert_eq!(proof.upgrade(&upgrade(&kept_b, 9)), Ok(true));
    assert_eq!(proof.upgrade(&upgrade(&kept_b, 9)), Ok(false), "the same again is nothing new");
    assert_eq!((proof.is_complete(), proof.upgrade_requests()), (true, requests[..1].to_vec()));
    assert_eq!(proof.upgrade(&upgrade(&kept_a, 7)), Ok(true));
    assert_eq!(proof.upgrade_requests(), []);
    let root = |kept: &[u8]| MerkleRoot::from_header_order(*Hash::of(kept).as_bytes());
    let (low, high) = (
        BitcoinAttestation { height: 7, merkle_root: root(&kept_a) },
        BitcoinAttestation { height: 9, merkle_root: root(&kept_b) },
    );
    assert_eq!(proof.bitcoin_attestations(), Ok(vec![low, high]));
    assert_eq!(DetachedTimestamp::parse(&proof.to_bytes()), Ok(proof.clone()));

    let only = proof.only(9).unwrap();
    assert_eq!((only.attestations().len(), only.bitcoin_attestations()), (1, Ok(vec![high])));
    assert_eq!(DetachedTimestamp::parse(&only.to_bytes()), Ok(only.clone()));
    assert_eq!(proof.only(8), None);
    let mut both = proof.only(7).unwrap();
    both.merge(&only).unwrap();
    assert_eq!(both.bitcoin_attestations(), proof.bitcoin_attestations());
    proof.merge(&both).unwrap();
    assert_eq!(proof.upgrade_requests(), []);
}

#[test]
fn refuses_answers_to_something_else() {
    let (alice, kept) = answer("https://a.example", 1);
    let other = Stamping::new(Hash::of(b"another"), [5; NONCE_BYTES]);
    assert_eq!(other.finish([&alice]), Err(StampingError::OtherCommitment));
    assert_eq!(
        Stamping::new(Hash::of(b"statement"), [6; NONCE_BYTES]).finish([&alice]),
        Err(StampingError::OtherCommitment)
    );
    assert_eq!(stamping().finish([]), Err(StampingError::NoAnswer));
    let mut proof = stamping().finish([&alice]).unwrap();
    let before = proof.clone();
    for commitment in [&kept[..kept.len() - 1], b"x", stamping().commitment().as_bytes()] {
        assert_eq!(proof.upgrade(&upgrade(commitment, 1)), Err(MergeError::NotAsked));
    }
    let foreign = DetachedTimestamp::parse(&file(&block(1))).unwrap();
    assert_eq!(proof.merge(&foreign), Err(MergeError::OtherFile));
    assert_eq!(proof, before);
}

#[test]
fn refuses_answers_that_promise_nothing_or_are_no_timestamp() {
    let commitment = [1; 32];
    let read = |body: &[u8]| CalendarAnswer::parse(body, &commitment).map(|answer| answer.commitment().len());
    assert_eq!(read(&block(1)), Ok(32));
    assert_eq!(read(&attested([9; 8], b"z")), Err(ReadError::NoPromise));
    assert_eq!(read(&[block(1), vec![0]].concat()), Err(ReadError::Trailing));
    assert_eq!(read(b""), Err(ReadError::Truncated));
    assert_eq!(read(b"<html>Bad Gateway</html>"), Err(ReadError::Operation { tag: b'<' }));
    let padded = |length: usize| {
        // 1 fork, 9 of the attestation, 2 of its length.
        let unknown = |bytes: usize| [vec![0xff], attested([9; 8], &vec![0; bytes])].concat();
        let rest = length - block(1).len() - unknown(5000).len() - 12;
        [unknown(5000), unknown(rest), block(1)].concat()
    };
    assert_eq!((padded(OTS_ANSWER_BYTES_MAX).len(), read(&padded(OTS_ANSWER_BYTES_MAX))), (10_000, Ok(32)));
    assert_eq!(read(&padded(OTS_ANSWER_BYTES_MAX + 1)), Err(ReadError::Long));
}

#[test]
fn refuses_an_upgrade_that_could_not_be_read_back() {
    let (alice, kept) = answer("https://a.example", 1);
    let mut proof = stamping().finish([&alice]).unwrap();
    let before = proof.clone();
    // Three operations stand before the commitment.
    let deep = |operations: usize| {
        CalendarAnswer::parse(&[vec![0x08; operations], block(1)].concat(), &kept).unwrap()
    };
    let error = proof.upgrade(&deep(OTS_DEPTH_MAX - 3)).unwrap_err();
    assert_eq!((error, error.code()), (MergeError::Limit(ReadError::Depth), Code::Limit));
    assert_eq!(proof, before);
    assert_eq!(proof.upgrade(&deep(OTS_DEPTH_MAX - 4)), Ok(true));
    assert_eq!(DetachedTimestamp::parse(&proof.to_bytes()), Ok(proof));
}

#[test]
fn refuses_a_merge_that_could_not_be_read_back() {
    let proof = |timestamp| DetachedTimestamp::new(HashOp::Sha256, &[0; 32], timestamp);
    let attested = |heights: core::ops::Range<u64>| {
        let mut all = Timestamp::attested(Attestation::Bitcoin { height: heights.start });
        heights.for_each(|height| all.merge(&Timestamp::attested(Attestation::Bitcoin { height })));
        all
    };
    let half = OTS_ATTESTATIONS_MAX as u64 / 2;
    let mut merged = proof(attested(0..half)).unwrap();
    let before = merged.clone();
    let error = merged.merge(&proof(attested(half..2 * half + 1)).unwrap()).unwrap_err();
    assert_eq!((error, error.code()), (MergeError::Limit(ReadError::Attestations), Code::Limit));
    assert_eq!(merged, before, "nothing was changed");
    assert_eq!(merged.merge(&proof(attested(half..2 * half)).unwrap()), Ok(()));
    assert_eq!(DetachedTimestamp::parse(&merged.to_bytes()), Ok(merged));

    // Rows of operations beside each other, each under a first one of its own.
    let row = |number: usize| {
        let block = Timestamp::attested(Attestation::Bitcoin { height: 1 });
        let deep = (0..OTS_DEPTH_MAX - 2).fold(block, |row, _| Timestamp::after(Op::Reverse, row));
        Timestamp::after(Op::Append(number.to_be_bytes().to_vec()), deep)
    };
    let rows = |numbers: core::ops::Range<usize>| {
        let mut all = row(numbers.start);
        numbers.for_each(|number| all.merge(&row(number)));
        all
    };
    let fitting = OTS_OPERATIONS_MAX / (OTS_DEPTH_MAX - 1);
    let mut merged = proof(rows(0..fitting)).unwrap();
    let error = merged.merge(&proof(rows(fitting..fitting + 1)).unwrap()).unwrap_err();
    assert_eq!(error, MergeError::Limit(ReadError::Operations));
    assert_eq!(proof(rows(0..fitting + 1)), Err(ReadError::Operations));
    assert_eq!(DetachedTimestamp::parse(&merged.to_bytes()), Ok(merged));
}

#[test]
fn a_calendar_s_uri_has_at_most_a_thousand_plain_characters() {
    let long = |length| "a".repeat(length).parse::<CalendarUri>().map(|uri| uri.as_str().len());
    assert_eq!((long(0), long(1000), long(1001)), (Ok(0), Ok(1000), Err(UriError::Long)));
    for text in ["https://a.example/?q", "user@a", "a b", "%2f", "a#b", "ä"] {
        assert_eq!(text.parse::<CalendarUri>(), Err(UriError::Character), "{text}");
    }
}

/// Headers of a chain for tests with these merkle roots, and the pin of the first one, at this height.
fn headers(height: u64, roots: &[[u8; 32]]) -> (Vec<u8>, Pin) {
    let mut all: Vec<BlockHeader> = Vec::new();
    for (time, root) in (1_u32..).zip(roots) {
        let mut bytes = [0; 80];
        let previous = all.last().map_or([0; 32], |header| *header.hash().header_order());
        bytes[4..36].copy_from_slice(&previous);
        bytes[36..68].copy_from_slice(root);
        bytes[68..72].copy_from_slice(&time.to_le_bytes());
        bytes[72..76].copy_from_slice(&Network::Regtest.easiest_bits().to_le_bytes());
        let header = (0_u32..).find_map(|nonce| {
            bytes[76..].copy_from_slice(&nonce.to_le_bytes());
            let header = BlockHeader::from_bytes(bytes);
            header.shows_work(Network::Regtest).unwrap().then_some(header)
        });
        all.push(header.unwrap());
    }
    let pin = Pin { height, hash: all[0].hash() };
    (all.iter().flat_map(|header| *header.as_bytes()).collect(), pin)
}

/// A proof of a digest that leads to block 101 by one nonce and to block 103 by another, and the merkle roots of both.
fn two_blocks(kind: HashOp) -> (Hash, Vec<u8>, [[u8; 32]; 2]) {
    let digest = Hash::of(b"a statement");
    let to = |nonce: u8, height| {
        let block = Timestamp::attested(Attestation::Bitcoin { height });
        Timestamp::after(Op::Append(vec![nonce]), Timestamp::after(Op::Hash(HashOp::Sha256), block))
    };
    let mut timestamp = to(1, 101);
    timestamp.merge(&to(3, 103));
    let proof = DetachedTimestamp::new(kind, digest.as_bytes(), timestamp).unwrap();
    let root = |nonce: u8| *Hash::of(&[digest.as_bytes().as_slice(), &[nonce]].concat()).as_bytes();
    (digest, proof.to_bytes(), [root(1), root(3)])
}

fn examined(kind: HashOp, headers: &[u8], pins: Vec<Pin>) -> Examination {
    let (digest, proof, _) = two_blocks(kind);
    examine(&digest, &proof, Some(headers), &BitcoinTrust { network: Network::Regtest, pins })
}

#[test]
fn of_two_blocks_the_lower_one_is_when_the_statement_existed() {
    let (_, _, [first, second]) = two_blocks(HashOp::Sha256);
    let (bytes, pin) = headers(100, &[[0; 32], first, [0; 32], second]);
    let found = examined(HashOp::Sha256, &bytes, vec![pin]);
    assert_eq!(found.proved.map(|block| (block.height, block.confirmations)), Some((101, 3)));
    assert!(!found.checks[0].detail.contains("do not reach"), "{found:?}");
    let reached = examined(HashOp::Sha256, &bytes[..3 * 80], vec![pin]);
    assert_eq!(reached.proved.map(|block| block.height), Some(101));
    assert!(reached.checks[0].detail.contains("the headers do not reach block 103"), "{reached:?}");
    // One of them contradicts a header: that is not outweighed by the other.
    let (bytes, pin) = headers(100, &[[0; 32], first, [0; 32], [7; 32]]);
    let found = examined(HashOp::Sha256, &bytes, vec![pin]);
    assert_eq!((found.checks[0].status, found.proved), (Status::Failed, None));
}

#[test]
fn a_digest_of_another_kind_is_not_the_statements() {
    let (_, _, [first, second]) = two_blocks(HashOp::Sha256);
    let (bytes, pin) = headers(100, &[[0; 32], first, [0; 32], second]);
    assert!(examined(HashOp::Sha256, &bytes, vec![pin]).proved.is_some());
    let other = examined(HashOp::Keccak256, &bytes, vec![pin]);
    assert_eq!((other.checks[0].status, other.checks[1].status), (Status::Failed, Status::NotChecked));
    assert!(other.checks[0].detail.contains("keccak256"), "{other:?}");
}

#[test]
fn headers_without_a_pinned_block_show_the_path_and_no_work() {
    let (_, _, [first, second]) = two_blocks(HashOp::Sha256);
    let (bytes, pin) = headers(100, &[[0; 32], first, [0; 32], second]);
    let elsewhere = Pin { hash: headers(100, &[[9; 32]]).1.hash, ..pin };
    let found = examined(HashOp::Sha256, &bytes, vec![elsewhere]);
    assert_eq!((found.checks[0].status, found.checks[1].status), (Status::Passed, Status::NotChecked));
    assert!(found.checks[0].rests_on.as_ref().unwrap().contains("in no chain with a pinned block"));
    let (bytes, _) = headers(100, &[[0; 32], [1; 32], [0; 32], [2; 32]]);
    let none = examined(HashOp::Sha256, &bytes, vec![elsewhere]);
    assert_eq!((none.checks[0].status, none.checks[1].status), (Status::Failed, Status::NotChecked));
    assert_eq!(none.proved, None);
}

#[test]
fn no_attestation_but_bitcoins_counts_as_a_bitcoin_block() {
    let unknown = attested([9; 8], &[4]);
    let (litecoin, ethereum) = (
        attested([0x06, 0x86, 0x9a, 0x0d, 0x73, 0xd7, 0x1b, 0x45], &[4]),
        attested([0x30, 0xfe, 0x80, 0x87, 0xb5, 0xc7, 0xea, 0xd7], &[4]),
    );
    let calendar = attested(PENDING_TAG, &[1, b'a']);
    for (other, kind) in [
        (unknown, None),
        (litecoin, Some(Attestation::Litecoin { height: 4 })),
        (ethereum, Some(Attestation::Ethereum { height: 4 })),
        (calendar, Some(pending("a"))),
    ] {
        let proof = DetachedTimestamp::parse(&file(&other)).unwrap();
        let attested = proof.attestations();
        assert!(kind.is_none_or(|kind| attested[0].attestation == kind));
        assert_eq!(
            (proof.bitcoin_attestations(), proof.is_complete(), proof.only(4)),
            (Ok(vec![]), false, None)
        );
        let both = DetachedTimestamp::parse(&file(&[vec![0xff], other, block(4)].concat())).unwrap();
        assert_eq!(both.bitcoin_attestations().unwrap().len(), 1);
        assert!(both.is_complete());
    }
}

#[test]
fn a_path_that_ends_in_no_merkle_root_is_an_error() {
    let short = DetachedTimestamp::parse(&file(&[vec![0x02], block(4)].concat())).unwrap();
    assert_eq!(short.bitcoin_attestations(), Err(RootError { height: 4, bytes: 20 }));
    let wrong = DetachedTimestamp::new(HashOp::Sha1, &[0; 32], Timestamp::attested(pending("a")));
    assert_eq!(wrong, Err(ReadError::Digest));
    let empty = DetachedTimestamp::new(
        HashOp::Sha1,
        &[0; 20],
        Timestamp::after(Op::Append(vec![]), Timestamp::attested(pending("a"))),
    );
    assert_eq!(empty, Err(ReadError::Argument));
}

fn any_attestation() -> impl Strategy<Value = Attestation> {
    prop_oneof![
        "[a-zA-Z0-9._/:-]{0,40}".prop_map(|uri| pending(&uri)),
        any::<u64>().prop_map(|height| Attestation::Bitcoin { height }),
        any::<u64>().prop_map(|height| Attestation::Litecoin { height }),
        any::<u64>().prop_map(|height| Attestation::Ethereum { height }),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let argument = || proptest::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        prop_oneof![
            Just(HashOp::Sha1),
            Just(HashOp::Ripemd160),
            Just(HashOp::Sha256),
            Just(HashOp::Keccak256)
        ]
        .prop_map(Op::Hash),
        argument().prop_map(Op::Append),
        argument().prop_map(Op::Prepend),
        Just(Op::Reverse),
        Just(Op::Hexlify),
    ]
}

/// A tree, every node of which has an attestation or an operation.
fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    let leaf = any_attestation().prop_map(Timestamp::attested);
    leaf.prop_recursive(6, 48, 3, |inner| {
        let branch = (any_op(), inner).prop_map(|(operation, result)| Timestamp::after(operation, result));
        let leaves = proptest::collection::vec(any_attestation().prop_map(Timestamp::attested), 0..3);
        (proptest::collection::vec(branch, 1..3), leaves).prop_map(|(branches, leaves)| {
            let mut all = branches.into_iter().chain(leaves);
            let mut merged = all.next().unwrap();
            all.for_each(|one| merged.merge(&one));
            merged
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_no_shorter(digest: [u8; 32], timestamp in any_timestamp()) {
        let Ok(proof) = DetachedTimestamp::new(HashOp::Sha256, &digest, timestamp) else { return Ok(()) };
        let bytes = proof.to_bytes();
        prop_assert_eq!(DetachedTimestamp::parse(&bytes), Ok(proof.clone()));
        for length in 0..bytes.len() {
            prop_assert!(DetachedTimestamp::parse(&bytes[..length]).is_err());
        }
        prop_assert_eq!(proof.is_complete(), proof.attestations().iter().any(|one| matches!(one.attestation, Attestation::Bitcoin { .. })));
    }

    #[test]
    fn merging_has_no_order(digest: [u8; 32], a in any_timestamp(), b in any_timestamp()) {
        let new = |timestamp: &Timestamp| DetachedTimestamp::new(HashOp::Sha256, &digest, timestamp.clone());
        let (Ok(mut left), Ok(mut right)) = (new(&a), new(&b)) else { return Ok(()) };
        let (first, second) = (left.clone(), right.clone());
        left.merge(&second).unwrap();
        right.merge(&first).unwrap();
        prop_assert_eq!(left.to_bytes(), right.to_bytes());
        let again = left.clone();
        left.merge(&first).unwrap();
        prop_assert_eq!(left, again);
    }

    #[test]
    fn any_bytes_are_refused_or_read_back_the_same(bytes: Vec<u8>) {
        if let Ok(proof) = DetachedTimestamp::parse(&file(&bytes)) {
            prop_assert_eq!(DetachedTimestamp::parse(&proof.to_bytes()), Ok(proof));
        }
    }
}
