//! Periods, forks and the signature slot that bundles hold.

use super::ssz::{is_branch, merkleize, pair};
use super::*;
use crate::anchor::evm::BeaconFork;

fn chain() -> Chain {
    let fork = |epoch, version, fork| ForkAt { epoch, version: [version; 4], fork: Some(fork) };
    Chain {
        preset: MINIMAL,
        genesis_validators_root: [0; 32],
        forks: vec![fork(0, 1, BeaconFork::Capella), fork(12, 2, BeaconFork::Deneb)],
    }
}

#[test]
fn the_signature_slot_is_the_earliest_with_the_same_committee_and_version() {
    // Periods are 64 slots; the second fork starts at slot 96 and signs from 97 on.
    for (attested, signature, earliest) in [
        (10, 11, 11),
        (10, 40, 11),
        (60, 63, 61),
        (60, 64, 64),
        (60, 70, 64),
        (90, 96, 91),
        (90, 97, 97),
        (90, 120, 97),
        (95, 97, 97),
        (100, 127, 101),
        (90, 128, 128),
    ] {
        assert_eq!(chain().earliest_signature_slot(attested, signature), earliest, "{attested} {signature}");
        assert_eq!(chain().earliest_signature_slot(attested, earliest), earliest, "it is its own earliest");
        assert_eq!(chain().period(earliest), chain().period(signature));
        assert_eq!(chain().signing_fork(earliest), chain().signing_fork(signature));
    }
    for slot in [0, 1, u64::MAX - 1, u64::MAX] {
        for other in [0, 1, u64::MAX - 1, u64::MAX] {
            let _ = chain().earliest_signature_slot(slot, other);
        }
    }
}

#[test]
fn public_chains_have_their_forks_in_order() {
    for chain in [Chain::mainnet(), Chain::sepolia()] {
        assert!(chain.forks.windows(2).all(|pair| pair[0].epoch < pair[1].epoch));
    }
    let fork = |slot| Chain::mainnet().fork_at(slot).and_then(|at| at.fork);
    assert_eq!(fork(194_048 * 32 - 1), None);
    assert_eq!(fork(194_048 * 32), Some(BeaconFork::Capella));
    assert_eq!(fork(269_568 * 32), Some(BeaconFork::Deneb));
    assert_eq!(fork(u64::MAX), Some(BeaconFork::Fulu));
    assert_eq!(Chain::sepolia().fork_at(353_024 * 32).map(|at| at.fork), Some(None));
    assert_eq!(Chain::of_chain_id(1), Some(Chain::mainnet()));
    assert_eq!(Chain::of_chain_id(5), None);
}

#[test]
fn a_branch_has_exactly_the_length_of_its_index() {
    let leaves: Vec<_> = (0..8_u8).map(|n| [n; 32]).collect();
    let root = merkleize(leaves.clone());
    let (four, six) = (pair(&leaves[4], &leaves[5]), pair(&leaves[6], &leaves[7]));
    let left = merkleize(leaves[..4].to_vec());
    let branch = [leaves[4], six, left];
    assert!(is_branch(&leaves[5], &branch, 13, &root));
    assert!(!is_branch(&leaves[5], &branch, 12, &root));
    assert!(!is_branch(&leaves[5], &branch[..2], 13, &root));
    assert!(!is_branch(&leaves[5], &[branch.as_slice(), &[[0; 32]]].concat(), 13, &root));
    let above = pair(&[9; 32], &root);
    assert!(!is_branch(&leaves[5], &[branch.as_slice(), &[[9; 32]]].concat(), 13, &above), "a node more");
    assert!(!is_branch(&root, &[], 13, &root), "none at all");
    assert!(is_branch(&four, &[six, left], 6, &root));
    assert!(is_branch(&root, &[], 1, &root));
    assert!(!is_branch(&root, &[], 0, &[1; 32]));
}
