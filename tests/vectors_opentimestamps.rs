//! The examples of the OpenTimestamps client, valid, incomplete and invalid.
//!
//! Danger: a proof that the reference reads is refused here, or one that proves nothing passes. Expected: every file of the
//! folder gets the verdict in the table below; what is read writes back byte for byte; the one proof whose block is at hand
//! verifies down to Bitcoin's proof of work, its forgery does not, and neither does it with any bit changed that means anything.

#![cfg(feature = "opentimestamps")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads files and says what it skips"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ledgerstone::anchor::bitcoin::{BitcoinTrust, Network, Pin};
use ledgerstone::anchor::opentimestamps::{
    Attestation, DetachedTimestamp, HashOp, ReadError, checks, examine,
};
use ledgerstone::check::{Check, Status};
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;

/// The header of block 358,391; its hash has the zeros that nobody could make up.
const BLOCK_358391: &str = "02000000b96394585a281b7e5f438fd1c9ed492645a1fd61cb3802040000000000000000007ee445d23ad061af4a36b809501fab1ac4f2d7e7a739817dd0cbb7ec661b8a1e376755f58616186272def6";
const HASH_358391: &str = "000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319";

/// A file, and what it holds.
type Valid = (&'static str, Option<&'static str>, usize, &'static [(u64, &'static str)], usize);

/// What each valid file holds: the file that it is of, how many calendars promise, the blocks with their merkle roots as people
/// write them, and attestations of other kinds.
const VALID: &[Valid] = &[
    (
        "bad-stamp.txt.ots",
        None,
        0,
        &[(358_391, "1bb49db87782170860c2e467994762f7f00c815d80d712e7eb9a7c14b9811f92")],
        0,
    ),
    (
        "bitcoin.pdf.ots",
        None,
        0,
        &[(465_751, "98989f8d2e522d52356cf14ade63bdab44687dd0c4c8e3722c3f39bf726b0876")],
        0,
    ),
    (
        "different-blockchains.txt.ots",
        Some("different-blockchains.txt"),
        2,
        &[(455_605, "2a19192cf00fb1baeea516b69b3a62195849589b4caafeb6ad6ebba58b9ae69a")],
        1,
    ),
    (
        "empty.ots",
        Some("empty"),
        0,
        &[(129_405, "db29fdc2c27a1531ae08a9dff2d9e4dfedd9c902d16de542d8666a27367e5b71")],
        0,
    ),
    (
        "gdp2q25-2nd.pdf.ots",
        None,
        0,
        &[(912_095, "936131994129988e1932d8c1c6a9780fd42ae4c87204cfb0ac852be1250039ae")],
        0,
    ),
    (
        "hello-world.txt.ots",
        Some("hello-world.txt"),
        0,
        &[(358_391, "8a1b66ecb7cbd07d8139a7e7d7f2c41aab1f5009b8364aaf61d03ad245e47e00")],
        0,
    ),
    ("incomplete.txt.ots", Some("incomplete.txt"), 1, &[], 0),
    ("known-and-unknown-notary.txt.ots", Some("known-and-unknown-notary.txt"), 1, &[], 1),
    ("merkle1.txt.ots", Some("merkle1.txt"), 2, &[], 0),
    ("merkle2.txt.ots", Some("merkle2.txt"), 2, &[], 0),
    ("merkle3.txt.ots", Some("merkle3.txt"), 2, &[], 0),
    (
        "sha1/a-or-b.ots",
        Some("sha1/a"),
        3,
        &[(466_906, "40c9303a5cb0a8c4b2676f4c6b101d37f83e9413f3856f356849bfb9438a7c26")],
        0,
    ),
    ("two-calendars.txt.ots", Some("two-calendars.txt"), 2, &[], 0),
    ("unknown-notary.txt.ots", Some("unknown-notary.txt"), 0, &[], 1),
];

const INVALID: &[(&str, ReadError)] = &[
    ("invalid/bad-major-version.ots", ReadError::Version { version: 255 }),
    ("invalid/exceeds-max-msg-length.ots", ReadError::Message),
    ("invalid/invalid-file-digest-type.ots", ReadError::FileHash { tag: 0xf3 }),
];

/// The folder of outside vectors, or a printed line that says what is left out without it.
fn vectors() -> Option<PathBuf> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match std::env::var_os("LEDGERSTONE_VECTORS").map(|dir| PathBuf::from(dir).join("opentimestamps")) {
        Some(path) if path.exists() => Some(path),
        _ if ci => {
            panic!("LEDGERSTONE_VECTORS has no opentimestamps: under CI=true the vectors must be there")
        }
        _ => {
            println!("skipped: LEDGERSTONE_VECTORS has no opentimestamps, which leaves out 17 proofs");
            None
        }
    }
}

/// Every `.ots` file below a folder, by its path within.
fn proofs(folder: &Path, below: &str, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = Path::new(below).join(entry.file_name()).to_str().unwrap().to_owned();
        if entry.path().is_dir() {
            proofs(folder, &name, into);
        } else if name.ends_with(".ots") {
            into.insert(name);
        }
    }
}

fn trust() -> BitcoinTrust {
    BitcoinTrust {
        network: Network::Mainnet,
        pins: vec![Pin { height: 358_391, hash: HASH_358391.parse().unwrap() }],
    }
}

fn outcome(checks: &[Check]) -> [Status; 2] {
    let [path, work] = checks else { panic!("{checks:?}") };
    assert_eq!((path.name.as_str(), work.name.as_str()), ("anchor.bitcoin.path", "anchor.bitcoin.work"));
    [path.status, work.status]
}

#[test]
fn every_example_has_its_verdict_and_writes_back_byte_for_byte() {
    let Some(folder) = vectors() else { return };
    let mut all = BTreeSet::new();
    proofs(&folder, "", &mut all);
    let known: BTreeSet<String> =
        VALID.iter().map(|one| one.0.to_owned()).chain(INVALID.iter().map(|one| one.0.to_owned())).collect();
    assert_eq!(all, known, "the set changed: look at what is new");
    for (name, of, calendars, blocks, others) in VALID {
        let bytes = fs::read(folder.join(name)).unwrap();
        let proof = DetachedTimestamp::parse(&bytes).unwrap();
        assert_eq!(proof.to_bytes(), bytes, "{name}");
        if let Some(of) = of {
            assert_eq!(
                proof.file_hash().digest(&fs::read(folder.join(of)).unwrap()),
                proof.digest(),
                "{name}"
            );
        }
        let found = proof.bitcoin_attestations().unwrap();
        let found: Vec<_> = found.iter().map(|block| (block.height, block.merkle_root.to_string())).collect();
        let expected: Vec<_> = blocks.iter().map(|(height, root)| (*height, (*root).to_owned())).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(proof.is_complete(), !blocks.is_empty(), "{name}");
        let count = |wanted: fn(&Attestation) -> bool| {
            proof.attestations().iter().filter(|one| wanted(&one.attestation)).count()
        };
        assert_eq!(count(|one| matches!(one, Attestation::Pending(_))), *calendars, "{name}");
        let other = count(|one| !matches!(one, Attestation::Pending(_) | Attestation::Bitcoin { .. }));
        assert_eq!(other, *others, "{name}");
    }
    for (name, error) in INVALID {
        let bytes = fs::read(folder.join(name)).unwrap();
        assert_eq!(DetachedTimestamp::parse(&bytes), Err(*error), "{name}");
        let checks = checks(&Hash::of(b""), &bytes, None, &trust());
        assert_eq!(outcome(&checks), [Status::Failed, Status::NotChecked], "{name}");
    }
}

#[test]
fn what_is_pending_or_of_another_chain_is_never_passed() {
    let Some(folder) = vectors() else { return };
    let header = hex_decode(BLOCK_358391).unwrap();
    for (name, _, calendars, blocks, _) in VALID {
        let bytes = fs::read(folder.join(name)).unwrap();
        let proof = DetachedTimestamp::parse(&bytes).unwrap();
        let digest = Hash::try_from(proof.digest()).unwrap_or_else(|_| Hash::of(b"a digest of 20 bytes"));
        let without = checks(&digest, &bytes, None, &trust());
        let with = checks(&digest, &bytes, Some(&header), &trust());
        let nothing = [Status::NotChecked, Status::NotChecked];
        let failed = [Status::Failed, Status::NotChecked];
        match (proof.file_hash(), blocks) {
            (HashOp::Sha1, _) => assert_eq!((outcome(&without), outcome(&with)), (failed, failed), "{name}"),
            (_, []) => {
                assert_eq!((outcome(&without), outcome(&with)), (nothing, nothing), "{name}");
                assert_eq!(
                    without[0].detail.starts_with("only a calendar's promise"),
                    *calendars > 0,
                    "{name}"
                );
            }
            _ if *name == "hello-world.txt.ots" => {
                assert_eq!((outcome(&without), outcome(&with)), (nothing, [Status::Passed; 2]));
            }
            // The forgery names the same block; the others name blocks that the one header is not.
            _ => assert_eq!((outcome(&without), outcome(&with)), (nothing, failed), "{name}"),
        }
    }
}

#[test]
fn the_first_proof_stands_on_bitcoins_work_and_with_no_bit_changed() {
    let Some(folder) = vectors() else { return };
    let (bytes, header) =
        (fs::read(folder.join("hello-world.txt.ots")).unwrap(), hex_decode(BLOCK_358391).unwrap());
    let digest = Hash::of(b"Hello World!\n");
    let found = examine(&digest, &bytes, Some(&header), &trust());
    let proved = found.proved.unwrap();
    assert_eq!((proved.height, proved.hash.to_string().as_str()), (358_391, HASH_358391));
    assert_eq!(proved.time.to_string(), "2015-05-28T15:41:18.000Z");
    assert_eq!(found.checks[1].rests_on, Some(format!("the pinned Bitcoin block 358391 {HASH_358391}")));
    let holds = |proof: &[u8], header: &[u8], digest: &Hash| {
        let found = examine(digest, proof, Some(header), &trust());
        assert_eq!(outcome(&found.checks) == [Status::Passed; 2], found.proved.is_some());
        found.proved.is_some()
    };
    assert!(!holds(&bytes, &header, &Hash::of(b"Hello World!")));
    for length in 0..bytes.len() {
        assert!(!holds(&bytes[..length], &header, &digest), "cut at {length}");
    }
    let mut same = Vec::new();
    for byte in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[byte] ^= 1 << bit;
            if holds(&changed, &header, &digest) {
                same.push((byte, bit, bytes[byte]));
            }
        }
    }
    // In a block with an odd number of transactions Bitcoin hashes the last with itself: before or behind is then the same.
    assert_eq!(same, [(603, 0, 0xf0)]);
    for byte in 0..header.len() {
        for bit in 0..8 {
            let mut changed = header.clone();
            changed[byte] ^= 1 << bit;
            assert!(!holds(&bytes, &changed, &digest), "header, byte {byte}, bit {bit}");
        }
    }
}
