//! The targets of anchors: statements, journals, trust files, and the proofs of every kind but timestamps.

use ledgerstone::anchor::bitcoin::{BitcoinAttestation, BitcoinTrust, HeaderSegment, Network, Pin};
use ledgerstone::anchor::evm::beacon::{self, MINIMAL, Update, update_from_json, verify_update};
use ledgerstone::anchor::evm::{
    BeaconFork, BlockHeader as EvmHeader, Bundle as EvmBundle, Expected, Trust, checks, keccak256, rlp,
};
use ledgerstone::anchor::opentimestamps::{self, CalendarAnswer, DetachedTimestamp};
use ledgerstone::anchor::statement::Statement as AnchorStatement;
use ledgerstone::anchor::{scheduler, submission};
use ledgerstone::check::Status;
use ledgerstone::hash::Hash;
use ledgerstone::verify::anchors::lane_kind;
use ledgerstone_verifier::anchors::{TrustError, parse_trust};

/// A lane's description names a kind that has statements, or none.
#[must_use]
pub fn anchor_lane(bytes: &[u8]) -> bool {
    let Ok(kind) = lane_kind(bytes) else { return false };
    assert!(kind.has_statements(), "a lane has statements");
    true
}

/// A record of either journal of an anchor lane; the numbers of both mean different things.
#[must_use]
pub fn anchor_record(bytes: &[u8]) -> bool {
    let scheduled = scheduler::Record::decode(bytes);
    if let Ok(record) = &scheduled {
        assert_eq!(record.encode(), bytes, "an accepted record encodes to the same bytes");
    }
    let submitted = submission::Record::decode(bytes);
    if let Ok(record) = &submitted {
        assert_eq!(record.encode(), bytes, "an accepted record encodes to the same bytes");
    }
    scheduled.is_ok() || submitted.is_ok()
}

/// A statement that reads is its own only encoding, and its hash is that of its bytes.
#[must_use]
pub fn anchor_statement(bytes: &[u8]) -> bool {
    let Ok(statement) = AnchorStatement::decode(bytes) else { return false };
    assert_eq!(
        statement.encode().ok().as_deref(),
        Some(bytes),
        "an accepted statement encodes to the same bytes"
    );
    assert_eq!(statement.hash(), Ok(Hash::of(bytes)), "a statement's hash is that of its bytes");
    true
}

/// A trust file that reads trusts what it names and no more files than it may list.
#[must_use]
pub fn anchor_trust(bytes: &[u8]) -> bool {
    let read = |key: &'static str, path: &str| {
        Err(TrustError::Unreadable { key, path: path.to_owned(), what: String::new() })
    };
    let Ok(trust) = parse_trust(bytes, &read) else { return false };
    if let Some(quorum) = &trust.quorum {
        assert_eq!(quorum.to_string().parse().as_ref(), Ok(quorum), "a quorum prints back as itself");
    }
    true
}

/// An update that reads is its own only encoding, and can be checked whatever it says.
#[must_use]
pub fn beacon_update(bytes: &[u8]) -> bool {
    let mut accepted = update_from_json(bytes, &MINIMAL).is_ok();
    for fork in BeaconFork::ALL {
        let read = [Update::decode(bytes, fork, &MINIMAL), Update::decode_finality(bytes, fork, &MINIMAL)];
        for update in read.into_iter().flatten() {
            accepted = true;
            assert_eq!(update.encode(), bytes, "an update encodes to the same bytes");
            let chain = beacon::Chain { preset: MINIMAL, ..beacon::Chain::mainnet() };
            if let Some((next, _)) = &update.next {
                let _ = verify_update(&chain, next, &update);
            }
        }
    }
    accepted
}

/// A bundle that reads is its own only encoding, and nothing in it is believed without a pin.
#[must_use]
pub fn evm_bundle(bytes: &[u8]) -> bool {
    let expected = Expected {
        origin: "log.example/anchors",
        seq: 7,
        size: 70_000,
        root: Hash::of(b"root"),
        previous: Hash::of(b"statement 6"),
        statement: Hash::of(b"statement 7"),
    };
    let report = checks(bytes, &expected, &Trust::new(1337));
    assert_eq!(report.len(), 3);
    assert!(report.iter().skip(1).all(|check| check.status != ledgerstone::check::Status::Passed));
    let Ok(bundle) = EvmBundle::decode(bytes) else { return false };
    assert_eq!(bundle.encode().as_deref(), Ok(bytes), "a bundle encodes to the same bytes");
    true
}

/// A header that reads is canonical RLP, and its hash is that of its bytes.
#[must_use]
pub fn evm_header(bytes: &[u8]) -> bool {
    let Ok(header) = EvmHeader::decode(bytes) else { return false };
    assert_eq!(rlp::check(bytes), Ok(()), "what decodes is canonical");
    assert_eq!(header.hash, keccak256(bytes));
    true
}

/// A proof turns into one text, is ready to be upgraded, and without headers proves nothing.
#[must_use]
pub fn opentimestamps(bytes: &[u8]) -> bool {
    let _ = CalendarAnswer::parse(bytes, &[1; 32]).map(|answer| answer.timestamp().is_complete());
    let Ok(mut proof) = DetachedTimestamp::parse(bytes) else { return false };
    let written = proof.to_bytes();
    assert_eq!(DetachedTimestamp::parse(&written).as_ref(), Ok(&proof), "what is written reads back");
    for request in proof.upgrade_requests() {
        assert!(request.to_string().is_ascii());
    }
    for block in proof.bitcoin_attestations().unwrap_or_default() {
        let only = proof.only(block.height).and_then(|only| only.bitcoin_attestations().ok());
        assert!(only.is_some_and(|only| only.contains(&block)), "what is pruned still leads to the block");
    }
    assert!(
        proof.merge(&proof.clone()).is_ok() && proof.to_bytes() == written,
        "merged with itself it is the same"
    );
    let digest = Hash::try_from(proof.digest()).unwrap_or_else(|_| Hash::of(bytes));
    let checks = opentimestamps::checks(&digest, bytes, None, &BitcoinTrust::default());
    assert!(checks.iter().all(|check| check.status != Status::Passed), "nothing passes without headers");
    true
}

/// Headers with their first block pinned hold together whatever network; none that changed stand for the same block.
#[must_use]
pub fn bitcoin_headers(bytes: &[u8]) -> bool {
    let Ok(segment) = HeaderSegment::parse(bytes) else { return false };
    let mut accepted = false;
    for network in [Network::Mainnet, Network::Regtest] {
        assert!(segment.verify(network, &[]).is_err(), "nothing holds without a pin");
        for height in [0, 100, 2015, u64::MAX] {
            let pins = segment.headers().take(1).map(|header| Pin { height, hash: header.hash() });
            let Ok(chain) = segment.verify(network, &pins.collect::<Vec<_>>()) else { continue };
            let last = chain.last_height();
            let Some((header, hash)) = chain.at(last) else { return false };
            let attestation = BitcoinAttestation { height: last, merkle_root: header.merkle_root() };
            assert!(
                chain.prove(&attestation).is_ok_and(|block| block.hash == hash && block.confirmations == 1)
            );
            accepted = true;
        }
    }
    accepted
}
