//! Segments of the main chain's first blocks, of a test chain, and of headers without work for the rules alone.

use super::*;
use crate::anchor::bitcoin::verify;
use crate::encoding::hex_decode;

const MAIN: Network = Network::Mainnet;
const REGTEST: Network = Network::Regtest;

/// Blocks 0 to 10 of the main chain.
const FIRST_BLOCKS: [&str; 11] = [
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    "010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61",
    "01000000bddd99ccfda39da1b108ce1a5d70038d0a967bacb68b6b63065f626a0000000044f672226090d85db9a9f2fbfe5f0f9609b387af7be5b7fbb7a1767c831c9e995dbe6649ffff001d05e0ed6d",
    "010000004944469562ae1c2c74d9a535e00b6f3e40ffbad4f2fda3895501b582000000007a06ea98cd40ba2e3288262b28638cec5337c1456aaf5eedc8e9e5a20f062bdf8cc16649ffff001d2bfee0a9",
    "0100000085144a84488ea88d221c8bd6c059da090e88f8a2c99690ee55dbba4e00000000e11c48fecdd9e72510ca84f023370c9a38bf91ac5cae88019bee94d24528526344c36649ffff001d1d03e477",
    "01000000fc33f596f822a0a1951ffdbf2a897b095636ad871707bf5d3162729b00000000379dfb96a5ea8c81700ea4ac6b97ae9a9312b2d4301a29580e924ee6761a2520adc46649ffff001d189c4c97",
    "010000008d778fdc15a2d3fb76b7122a3b5582bea4f21f5a0c693537e7a03130000000003f674005103b42f984169c7d008370967e91920a6a5d64fd51282f75bc73a68af1c66649ffff001d39a59c86",
    "010000004494c8cf4154bdcc0720cd4a59d9c9b285e4b146d45f061d2b6c967100000000e3855ed886605b6d4a99d5fa2ef2e9b0b164e63df3c4136bebf2d0dac0f1f7a667c86649ffff001d1c4b5666",
    "01000000c60ddef1b7618ca2348a46e868afc26e3efc68226c78aa47f8488c4000000000c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd37047fca6649ffff001d28404f53",
    "010000000508085c47cc849eb80ea905cc7800a3be674ffc57263cf210c59d8d00000000112ba175a1e04b14ba9e7ea5f76ab640affeef5ec98173ac9799a852fa39add320cd6649ffff001d1e2de565",
];

fn first_blocks() -> Vec<u8> {
    FIRST_BLOCKS.iter().flat_map(|hex| hex_decode(hex).unwrap()).collect()
}

fn hash(text: &str) -> BlockHash {
    text.parse().unwrap()
}

fn genesis() -> Pin {
    Pin { height: 0, hash: hash("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f") }
}

fn block_10() -> Pin {
    Pin { height: 10, hash: hash("000000002c05cc2e78923c34df87fd108b22221ac6076c18f3ade378a4d915e9") }
}

/// What a timestamp would say of the block at this place of the bytes.
fn attestation(bytes: &[u8], index: usize, height: u64) -> BitcoinAttestation {
    let header = HeaderSegment::parse(bytes).unwrap().headers().nth(index).unwrap();
    BitcoinAttestation { height, merkle_root: header.merkle_root() }
}

fn header(previous: BlockHash, root: [u8; 32], time: u32, bits: u32, nonce: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[4..36].copy_from_slice(previous.header_order());
    bytes[36..68].copy_from_slice(&root);
    bytes[68..72].copy_from_slice(&time.to_le_bytes());
    bytes[72..76].copy_from_slice(&bits.to_le_bytes());
    bytes[76..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

/// A header of the test chain that shows its work.
fn mined(previous: BlockHash, time: u32, bits: u32) -> [u8; HEADER_BYTES] {
    let target = Target::from_bits(bits, REGTEST).unwrap();
    (0..)
        .map(|nonce| header(previous, [7; 32], time, bits, nonce))
        .find(|h| target.met_by(&BlockHash::of(h)))
        .unwrap()
}

/// A test chain with these times.
fn test_chain(times: impl IntoIterator<Item = u32>, bits: u32) -> Vec<u8> {
    let mut previous = BlockHash::from_header_order([0; 32]);
    let mut chain = Vec::new();
    for time in times {
        let header = mined(previous, time, bits);
        previous = BlockHash::of(&header);
        chain.extend(header);
    }
    chain
}

fn pin_of(chain: &[u8], index: usize, height: u64) -> Pin {
    Pin { height, hash: HeaderSegment::parse(chain).unwrap().headers().nth(index).unwrap().hash() }
}

fn check(bytes: &[u8], network: Network, pins: &[Pin]) -> Result<u64, SegmentError> {
    HeaderSegment::parse(bytes)?.verify(network, pins).map(|chain| chain.first_height())
}

#[test]
fn proves_the_first_blocks_of_the_main_chain_from_any_pin_among_them() {
    let bytes = first_blocks();
    let segment = HeaderSegment::parse(&bytes).unwrap();
    for pin in (0..11).map(|index| pin_of(&bytes, index, index as u64)) {
        let chain = segment.verify(MAIN, &[pin]).unwrap();
        assert_eq!((chain.first_height(), chain.last_height(), chain.pin()), (0, 10, pin));
        // Ten times 2^256 / (target + 1).
        assert_eq!(chain.work().to_be_bytes()[24..], 0xa_000a_000a_u64.to_be_bytes());
        for height in 0..11 {
            let block = chain.prove(&attestation(&bytes, usize::try_from(height).unwrap(), height)).unwrap();
            assert_eq!((block.height, block.confirmations, block.pin), (height, 11 - height, pin));
        }
    }
    let block = verify(&segment, MAIN, &[genesis()], &attestation(&bytes, 10, 10)).unwrap();
    assert_eq!((block.hash, block.work.log2()), (block_10().hash, 35));
    assert_eq!(block.time.to_string(), "2009-01-09T04:05:52.000Z");
}

#[test]
fn reads_the_block_of_the_first_opentimestamps_proof() {
    let bytes = hex_decode("02000000b96394585a281b7e5f438fd1c9ed492645a1fd61cb3802040000000000000000007ee445d23ad061af4a36b809501fab1ac4f2d7e7a739817dd0cbb7ec661b8a1e376755f58616186272def6").unwrap();
    let pin = Pin {
        height: 358_391,
        hash: hash("000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319"),
    };
    let chain = HeaderSegment::parse(&bytes).unwrap().verify(MAIN, &[pin]).unwrap();
    let (header, _) = chain.at(358_391).unwrap();
    let root = "8a1b66ecb7cbd07d8139a7e7d7f2c41aab1f5009b8364aaf61d03ad245e47e00";
    assert_eq!((header.merkle_root().to_string().as_str(), header.time()), (root, 1_432_827_678));
    assert_eq!(
        header.previous().to_string(),
        "0000000000000000040238cb61fda1452649edc9d18f435f7e1b285a589463b9"
    );
    assert_eq!((header.shows_work(MAIN), chain.work()), (Ok(true), Work::default()));
    assert_eq!(BlockHeader::from_bytes(*header.as_bytes()), header);
}

#[test]
fn refuses_the_main_chain_with_any_bit_changed() {
    let good = first_blocks();
    for (pins, at_most) in [(vec![genesis()], 80), (vec![block_10()], 0)] {
        for byte in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[byte] ^= 1 << bit;
                let error = check(&bytes, MAIN, &pins).unwrap_err();
                // Only a change of the pinned block itself, were it made with work, could go as "not pinned".
                let unpinned = matches!(error, SegmentError::Unpinned { .. });
                assert!(!unpinned || byte < at_most, "byte {byte}, bit {bit}: {error}");
                assert_eq!(error.code(), Code::Inconsistent);
            }
        }
    }
}

#[test]
fn refuses_every_truncation_or_reaches_less_far() {
    let good = first_blocks();
    for length in 0..good.len() {
        let found = check(&good[..length], MAIN, &[genesis()]);
        match length {
            0 => assert_eq!(found, Err(SegmentError::Empty)),
            _ if length % HEADER_BYTES != 0 => assert_eq!(found, Err(SegmentError::Length)),
            _ => {
                assert_eq!(found, Ok(0));
                let segment = HeaderSegment::parse(&good[..length]).unwrap();
                let error = verify(&segment, MAIN, &[genesis()], &attestation(&good, 10, 10)).unwrap_err();
                let last = (length / HEADER_BYTES) as u64 - 1;
                assert_eq!(error, ProofError::Height { height: 10, first: 0, last });
            }
        }
    }
}

#[test]
fn refuses_headers_left_out_doubled_or_moved() {
    let good = first_blocks();
    let headers: Vec<&[u8]> = good.chunks(HEADER_BYTES).collect();
    for index in 1..10 {
        let mut without = headers.clone();
        without.remove(index);
        assert_eq!(check(&without.concat(), MAIN, &[genesis()]), Err(SegmentError::Link { index }));
        let mut doubled = headers.clone();
        doubled.insert(index, headers[index]);
        let second = index + 1;
        assert_eq!(check(&doubled.concat(), MAIN, &[genesis()]), Err(SegmentError::Link { index: second }));
        let mut moved = headers.clone();
        moved.swap(index, index + 1);
        assert_eq!(check(&moved.concat(), MAIN, &[genesis()]), Err(SegmentError::Link { index }));
    }
    let long = vec![0; (BITCOIN_HEADERS_MAX + 1) * HEADER_BYTES];
    assert_eq!(check(&long, MAIN, &[genesis()]), Err(SegmentError::Long));
    assert_eq!(SegmentError::Long.code(), Code::Limit);
}

#[test]
fn refuses_pins_that_contradict_the_headers() {
    let bytes = first_blocks();
    let (first, last) = (genesis(), block_10());
    let other = |pin: Pin, height| Pin { height, ..pin };
    let foreign = |height| Pin { height, hash: BlockHash::from_header_order([9; 32]) };
    for (pins, wrong) in [
        (vec![other(last, 9)], other(last, 9)),
        (vec![first, other(last, 9)], other(last, 9)),
        (vec![first, other(last, 700)], other(last, 700)),
        (vec![first, foreign(5)], foreign(5)),
        (vec![other(first, u64::MAX)], other(first, u64::MAX)),
        (vec![first, other(first, 3)], other(first, 3)),
    ] {
        assert_eq!(check(&bytes, MAIN, &pins), Err(SegmentError::Pin { pin: wrong }), "{pins:?}");
    }
    assert_eq!(check(&bytes, MAIN, &[first, last, foreign(11), foreign(u64::MAX)]), Ok(0));
    for pins in [vec![], vec![foreign(11)], vec![foreign(0)]] {
        let error = check(&bytes, MAIN, &pins).unwrap_err();
        assert_eq!((error, error.code()), (SegmentError::Unpinned { first: first.hash }, Code::Untrusted));
    }
}

#[test]
fn refuses_another_merkle_root_or_the_same_in_the_wrong_order() {
    let bytes = first_blocks();
    let segment = HeaderSegment::parse(&bytes).unwrap();
    let right = attestation(&bytes, 4, 4);
    let mut turned = *right.merkle_root.header_order();
    turned.reverse();
    for (height, root) in [(4, turned), (4, [0; 32]), (5, *right.merkle_root.header_order())] {
        let attested = BitcoinAttestation { height, merkle_root: MerkleRoot::from_header_order(root) };
        let error = verify(&segment, MAIN, &[genesis()], &attested).unwrap_err();
        assert!(matches!(error, ProofError::Root { .. }), "{error}");
        assert_eq!(error.code(), Code::Inconsistent);
    }
    let beyond = BitcoinAttestation { height: 11, ..right };
    let missing = ProofError::Height { height: 11, first: 0, last: 10 };
    assert_eq!(verify(&segment, MAIN, &[genesis()], &beyond), Err(missing));
    assert_eq!(
        verify(&segment, MAIN, &[genesis()], &BitcoinAttestation { height: u64::MAX, ..right })
            .unwrap_err()
            .code(),
        Code::Inconsistent
    );
}

#[test]
fn a_test_chain_is_none_of_the_main_chain() {
    let chain = test_chain(1..=20, 0x207f_ffff);
    let pin = pin_of(&chain, 0, 100);
    assert_eq!(check(&chain, REGTEST, &[pin]), Ok(100));
    let error = TargetError::Easy { network: MAIN };
    assert_eq!(check(&chain, MAIN, &[pin]), Err(SegmentError::Target { index: 0, error }));
    assert_eq!(check(&first_blocks(), REGTEST, &[genesis()]), Ok(0), "its own rules are wider");
}

#[test]
fn a_test_chain_keeps_its_target() {
    let mut chain = test_chain(1..=5, 0x1f7f_ffff);
    let pin = pin_of(&chain, 0, 0);
    assert_eq!(check(&chain, REGTEST, &[pin]), Ok(0));
    chain.extend(mined(pin_of(&chain, 4, 4).hash, 6, 0x207f_ffff));
    assert_eq!(check(&chain, REGTEST, &[pin]), Err(SegmentError::Difficulty { height: 5 }));
}

#[test]
fn a_test_chain_keeps_its_target_over_every_period() {
    // Where the main chain's target could fall to a half.
    let first = mined(BlockHash::from_header_order([0; 32]), 1, 0x207f_ffff);
    let next = |bits| [first, mined(BlockHash::of(&first), 2, bits)].concat();
    let pin = Pin { height: 2015, hash: BlockHash::of(&first) };
    assert_eq!(check(&next(0x207f_ffff), REGTEST, &[pin]), Ok(2015));
    let harder = check(&next(0x203f_ffff), REGTEST, &[pin]);
    assert_eq!(harder, Err(SegmentError::Difficulty { height: 2016 }));
}

#[test]
fn the_work_is_each_header_s_own_but_the_pinned_one_s() {
    let bits = [0x1d00_ffff, 0x1d00_ffff, 0x1c05_a3f4, 0x1d00_ffff];
    let headers = bits.map(|bits| header(BlockHash::from_header_order([0; 32]), [0; 32], 1, bits, 0));
    let hashes = headers.iter().map(BlockHash::of).collect();
    let chain =
        HeaderChain { headers: &headers, hashes, first_height: 0, pin: genesis(), work: Work::default() };
    let work = |bits| Target::from_bits(bits, MAIN).unwrap().work();
    let (easy, hard) = (work(0x1d00_ffff), work(0x1c05_a3f4));
    assert_ne!(easy, hard);
    let three = easy.plus(easy).plus(hard);
    for (pinned, expected) in [(0, three), (1, three), (2, easy.plus(easy).plus(easy)), (3, three)] {
        assert_eq!(chain.work_without(pinned, MAIN), Ok(expected), "{pinned}");
    }
}

#[test]
fn refuses_a_block_dated_back_to_the_median_of_eleven() {
    let times = |last| (0..11).map(|step| 1000 + step * 10).chain([last]);
    for (first, last, expected) in [
        (500, 1051, Ok(500)),
        (500, 1050, Err(SegmentError::Time { height: 511 })),
        (0, 1050, Err(SegmentError::Time { height: 11 })),
        (0, 1051, Ok(0)),
    ] {
        let chain = test_chain(times(last), 0x207f_ffff);
        assert_eq!(check(&chain, REGTEST, &[pin_of(&chain, 0, first)]), expected, "{first} {last}");
    }
    // With fewer before it nothing is known, unless they are all there are.
    let chain = test_chain([50, 60, 10], 0x207f_ffff);
    assert_eq!(check(&chain, REGTEST, &[pin_of(&chain, 0, 7)]), Ok(7));
    assert_eq!(check(&chain, REGTEST, &[pin_of(&chain, 0, 0)]), Err(SegmentError::Time { height: 2 }));
}

/// Headers without work, `(time, bits)` each, as if they were the main chain's from `first_height` on.
fn rules(first_height: u64, headers: &[(u32, u32)]) -> Result<(), SegmentError> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(time, bits)| header(BlockHash::from_header_order([0; 32]), [0; 32], *time, *bits, 0))
        .collect();
    let hashes = headers.iter().map(BlockHash::of).collect();
    HeaderChain { headers: &headers, hashes, first_height, pin: genesis(), work: Work::default() }
        .follows_rules(MAIN)
}

#[test]
fn holds_the_main_chain_to_its_difficulty() {
    let bits = 0x1c05_a3f4;
    // A whole period of blocks ten minutes apart, then the first block of the next.
    let period = |next_bits| -> Vec<(u32, u32)> {
        (0..2016).map(|n| (1_300_000_000 + 600 * n, bits)).chain([(1_302_000_000, next_bits)]).collect()
    };
    let right = next_bits(bits, 1_300_000_000, 1_300_000_000 + 600 * 2015, MAIN).unwrap();
    let refused = |height| Err(SegmentError::Difficulty { height });
    assert_eq!(rules(2016, &period(right)), Ok(()));
    assert_eq!(rules(2016, &period(right + 1)), refused(4032));
    assert_eq!(rules(2016, &period(bits)), refused(4032));
    // Without the first block of the period a factor of four is all that is known.
    let cut = |next_bits| rules(2017, &period(next_bits)[1..]);
    assert_eq!(cut(right), Ok(()));
    assert_eq!((cut(0x1c16_8fd0), cut(0x1c16_8fd1)), (Ok(()), refused(4032)));
    assert_eq!((cut(0x1c01_68fd), cut(0x1c01_68fc)), (Ok(()), refused(4032)));
    // Inside a period nothing changes.
    let mut inside = period(right);
    inside[1000].1 = bits - 1;
    assert_eq!(rules(2016, &inside), refused(3016));
    // The same change at another height; at 2,016 itself the old target may stay.
    assert_eq!(rules(5, &period(right)), refused(2021));
    // A target that is none is no difficulty either.
    assert_eq!(
        rules(2017, &[&period(right)[1..2016], &[(1_302_000_000, 0x1d80_ffff)]].concat()),
        refused(4032)
    );
}

#[test]
fn reads_hashes_as_people_write_them_only() {
    let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    assert_eq!((hash(text).header_order()[31], hash(text).header_order()[0]), (0, 0x6f));
    assert_eq!((hash(text).to_string().as_str(), hash(text).written_order()[31]), (text, 0x6f));
    for wrong in
        ["", "00", &text.to_uppercase(), &text[1..], &format!("{text}00"), &format!("0x{}", &text[2..])]
    {
        assert!(wrong.parse::<BlockHash>().is_err(), "{wrong}");
    }
    assert_eq!((MAIN, REGTEST), ("mainnet".parse().unwrap(), "regtest".parse().unwrap()));
    assert!("testnet".parse::<Network>().is_err());
}
