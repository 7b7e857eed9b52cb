//! The trust file for anchors.
//!
//! Scenario: an auditor writes down whom they rely on. Danger: a typing error turns into a file that trusts less, or more,
//! than was meant, and nobody notices. End state: the specification's example reads as it says; every other key, form or
//! size is refused by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use ledgerstone::anchor::bitcoin::{BlockHash, Network};
use ledgerstone::anchor::evm::beacon::Chain;
use ledgerstone::anchor::rfc3161::authority::Authority;
use ledgerstone::code::Code;
use ledgerstone::limits::ANCHOR_TRUST_ITEMS_MAX;
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone_verifier::anchors::{TrustError, parse_trust, read_trust};

const PAGE: &str = include_str!("../../docs/spec/anchor-trust.md");
const HEAD: &str = "format = \"ledgerstone-anchor-trust/v1\"\n";

fn example() -> &'static str {
    PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the worked example")
}

fn pem() -> String {
    let (from, to) = (UnixMillis::new(1_790_000_000_000), UnixMillis::new(1_990_000_000_000));
    Authority::create(&[1; 32], "Example", from, to).unwrap().root_pem()
}

fn parse(text: &str) -> Result<AnchorTrust, TrustError> {
    parse_trust(text.as_bytes(), &|key, path| {
        assert_eq!((key, path), ("rfc3161.roots", "authority-root.pem"));
        Ok(pem().into_bytes())
    })
}

#[test]
fn the_specification_s_example_reads_as_it_says() {
    let trust = parse(example()).expect("the example");
    assert_eq!(trust.quorum.unwrap().to_string(), "2 of ethereum, bitcoin, rfc3161, witnesses");
    let bitcoin = trust.bitcoin.unwrap();
    assert_eq!((bitcoin.network, bitcoin.pins.len()), (Network::Mainnet, 1));
    // From the Bitcoin wiki's page on block hashing: the header of block 125552.
    let header = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951e\
                  d797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695";
    let header = ledgerstone::encoding::hex_decode(header).unwrap().try_into().unwrap();
    assert_eq!(bitcoin.pins[0].hash, BlockHash::of(&header));
    let [mainnet, other] = trust.ethereum.as_slice() else { panic!("two chains") };
    assert_eq!((mainnet.chain_id, other.chain_id), (1, 31_337));
    assert_eq!((mainnet.contract, mainnet.first_key), (Some([0xc0; 20]), Some([0xa1; 20])));
    assert_eq!(mainnet.blocks.len(), 1);
    let beacon = mainnet.beacon.as_ref().unwrap();
    assert_eq!((&beacon.chain, beacon.committees[0].period), (&Chain::mainnet(), 1400));
    assert!(other.contract.is_none() && other.blocks.is_empty() && other.beacon.is_none());
    assert!(trust.rfc3161.unwrap().has_roots());
}

#[test]
fn a_certificate_may_stand_in_the_file_itself() {
    let trust = parse(&format!("{HEAD}[rfc3161]\nroots = [\"\"\"\n{}\"\"\"]\n", pem())).unwrap();
    assert!(trust.rfc3161.unwrap().has_roots());
}

#[test]
fn a_file_that_trusts_nobody_is_one() {
    let trust = parse(HEAD).unwrap();
    assert!(
        trust.quorum.is_none()
            && trust.bitcoin.is_none()
            && trust.ethereum.is_empty()
            && trust.rfc3161.is_none()
    );
}

#[test]
fn another_chain_names_its_own_rules() {
    let genesis = "11".repeat(32);
    let own = format!(
        "{HEAD}[[ethereum]]\nchain_id = 5\n[ethereum.beacon]\npreset = \"minimal\"\ngenesis_validators_root = \
         \"0x{genesis}\"\nforks = [{{ fork = \"deneb\", epoch = 3, version = \"0x01020304\" }}]\ncommittees = []\n"
    );
    let trust = parse(&own).unwrap();
    let chain = &trust.ethereum[0].beacon.as_ref().unwrap().chain;
    assert_eq!(
        (chain.genesis_validators_root, chain.forks[0].epoch, chain.forks[0].version),
        ([0x11; 32], 3, [1, 2, 3, 4])
    );
    let twice = "forks = [{ fork = \"fulu\", epoch = 0, version = \"0x00000000\" }, ";
    for (from, to, key) in [
        ("forks = [", twice, "ethereum.beacon.forks"),
        ("minimal", "small", "ethereum.beacon.preset"),
        ("deneb", "altair", "ethereum.beacon.forks"),
        ("0x01020304", "0x010203", "ethereum.beacon.forks"),
        (genesis.as_str(), "11", "ethereum.beacon.genesis_validators_root"),
        ("preset = \"minimal\"", "preset = \"minimal\"\nnetwork = \"mainnet\"", "ethereum.beacon.network"),
        ("preset = \"minimal\"", "network = \"goerli\"", "ethereum.beacon.network"),
    ] {
        assert!(own.contains(from), "{from}");
        let error = parse(&own.replace(from, to)).unwrap_err();
        assert!(matches!(error, TrustError::Value { key: found, .. } if found == key), "{to}: {error}");
    }
}

#[test]
fn what_is_not_a_trust_file_is_refused_by_name() {
    let hash = "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d";
    let long = "k".repeat(1024 * 1024);
    for (text, words) in [
        ("", "line 1: missing field `format`"),
        ("format = 1\n", "line 1"),
        ("format = \"ledgerstone-anchor-trust/v2\"\n", "its format is not"),
        ("format = \"ledgerstone-anchor-trust/v1\"\nnotary = 1\n", "line 2: unknown field `notary`"),
        ("{}\n", "line 1"),
        (
            "format = \"ledgerstone-anchor-trust/v1\"\nformat = \"ledgerstone-anchor-trust/v1\"\n",
            "line 2: duplicate key",
        ),
        (&format!("{HEAD}quorum = \"two of bitcoin\"\n"), "quorum: write a quorum as"),
        (&format!("{HEAD}quorum = \"0 of bitcoin\"\n"), "quorum: "),
        (&format!("{HEAD}quorum = \"3 of bitcoin, rfc3161\"\n"), "quorum: "),
        (&format!("{HEAD}quorum = \"1 of litecoin\"\n"), "quorum: "),
        (&format!("{HEAD}quorum = \"2 of bitcoin, bitcoin\"\n"), "quorum: the quorum names bitcoin twice"),
        (&format!("{HEAD}[bitcoin]\n"), "missing field `blocks`"),
        (&format!("{HEAD}[bitcoin]\nnetwork = \"testnet\"\nblocks = []\n"), "bitcoin.network: "),
        (&format!("{HEAD}[bitcoin]\nblocks = [{{ height = -1, hash = \"{hash}\" }}]\n"), "line 3"),
        (&format!("{HEAD}[bitcoin]\nblocks = [{{ height = 1, hash = \"0x{hash}\" }}]\n"), "bitcoin.blocks: "),
        (
            &format!("{HEAD}[bitcoin]\nblocks = [{{ height = 1, hash = \"{hash}\", seen = true }}]\n"),
            "unknown field `seen`",
        ),
        (&format!("{HEAD}[[ethereum]]\n"), "missing field `chain_id`"),
        (
            &format!("{HEAD}[[ethereum]]\nchain_id = 1\ncontract = \"c0\"\n"),
            "ethereum.contract: write 0x and 40 hexadecimal",
        ),
        (
            &format!("{HEAD}[[ethereum]]\nchain_id = 1\nblocks = [\"0x{}\"]\n", "g".repeat(64)),
            "ethereum.blocks: ",
        ),
        (&format!("{HEAD}[[ethereum]]\nchain_id = 1\ncode_hash = \"0x11\"\n"), "ethereum.code_hash: "),
        (
            &format!("{HEAD}[rfc3161]\nroots = [\"\"\"-----BEGIN CERTIFICATE-----\nAAAA\n\"\"\"]\n"),
            "rfc3161.roots: ",
        ),
        (&format!("{HEAD}[rfc3161]\nroots = []\npolicies = [\"1..2\"]\n"), "rfc3161.policies: "),
        (&format!("{HEAD}# {long}\n"), "more than 1048576 bytes"),
    ] {
        let error = parse(text).map(|_| "read").unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(error.code(), Code::Malformed, "{words}");
    }
    assert_eq!(
        parse_trust(b"format = \"\xff\"", &|_, _| panic!("no file")).map(|_| ()).unwrap_err(),
        TrustError::Text
    );
}

#[test]
fn long_lists_are_refused() {
    let many = |item: &str| vec![item; ANCHOR_TRUST_ITEMS_MAX + 1].join(", ");
    let block = format!("\"0x{}\"", "11".repeat(32));
    let text = format!("{HEAD}[[ethereum]]\nchain_id = 1\nblocks = [{}]\n", many(&block));
    assert_eq!(parse(&text).map(|_| ()).unwrap_err(), TrustError::TooMany { list: "ethereum.blocks" });
    let text = format!("{HEAD}[rfc3161]\nroots = []\npolicies = [{}]\n", many("\"1.2.3\""));
    assert_eq!(parse(&text).map(|_| ()).unwrap_err().code(), Code::Limit);
}

#[test]
fn files_that_it_names_are_looked_for_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.toml");
    std::fs::write(&path, format!("{HEAD}[rfc3161]\nroots = [\"root.pem\"]\n")).unwrap();
    let refusal = read_trust(&path).map(|_| ()).unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(refusal.message.contains("rfc3161.roots: root.pem cannot be read"), "{refusal}");
    std::fs::write(dir.path().join("root.pem"), pem()).unwrap();
    assert!(read_trust(&path).unwrap().rfc3161.unwrap().has_roots());
    std::fs::write(dir.path().join("root.pem"), "no certificate").unwrap();
    assert_eq!(read_trust(&path).map(|_| ()).unwrap_err().code, Code::Malformed);
}
