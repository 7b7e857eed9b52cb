//! Headers of Bitcoin's main chain: the first block, and block 125,552, the example of the Bitcoin wiki's page on block hashing.

use super::*;

const FIRST: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
const BLOCK_125552: &str = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695";

fn header(hex: &str) -> BlockHeader {
    BlockHeader::parse(hex.as_bytes()).unwrap()
}

#[test]
fn gives_the_hashes_that_everybody_knows() {
    let first = header(FIRST);
    let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    assert_eq!(first.verify().unwrap().to_string(), hash);
    assert_eq!(first.work_bits(), Ok(32));
    let later = header(&format!("{BLOCK_125552}\n"));
    let hash = "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d";
    assert_eq!(later.verify().unwrap().to_string(), hash);
    assert_eq!(later.work_bits(), Ok(49));
    assert_eq!(BlockHeader::parse(&hex_decode(FIRST).unwrap()), Ok(first));
    assert_eq!(first.to_hex(), FIRST);
}

#[test]
fn refuses_a_header_without_the_work_it_states() {
    for (from, to, error) in [
        ("1dac2b7c", "1dac2b7d", BlockError::Work),
        ("29ab5f49", "2aab5f49", BlockError::Work),
        // Regtest's target, which any header meets.
        ("ffff001d", "ffff7f20", BlockError::Target),
        ("ffff001d", "0000011e", BlockError::Target),
        ("ffff001d", "0000001d", BlockError::Target),
        ("ffff001d", "ffff801c", BlockError::Target),
        ("ffff001d", "ffff0021", BlockError::Target),
        ("ffff001d", "ffff0000", BlockError::Target),
        ("ffff001d", "ffff0003", BlockError::Work),
    ] {
        assert_eq!(header(&FIRST.replace(from, to)).verify(), Err(error), "{to}");
    }
}

#[test]
fn refuses_what_is_no_header() {
    for file in ["", "00", &FIRST[2..], &FIRST.to_uppercase(), &format!("{FIRST}\n\n"), &format!(" {FIRST}")]
    {
        assert_eq!(BlockHeader::parse(file.as_bytes()), Err(BlockError::Length), "{file:?}");
    }
    assert_eq!(BlockHeader::parse(&[0xff; 79]), Err(BlockError::Length));
}
