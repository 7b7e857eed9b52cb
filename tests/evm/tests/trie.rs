//! Trie proofs against another implementation: `alloy-trie` builds tries from seeds and hands out proofs; ours must read
//! the same values out of them, and read nothing out of any proof with a changed byte.

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

#[path = "../../support/ethereum.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ethereum;

use std::collections::BTreeMap;

use alloy_trie::proof::{ProofRetainer, verify_proof};
use alloy_trie::{HashBuilder, Nibbles};
use ledgerstone::anchor::evm::{keccak256, trie};
use revm::primitives::{B256, Bytes};

/// A small generator of bytes: Keccak over a counter.
struct Seeded(u64);

impl Seeded {
    fn bytes(&mut self) -> [u8; 32] {
        self.0 += 1;
        keccak256(&self.0.to_be_bytes())
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_be_bytes([self.bytes()[0], self.bytes()[1]])) % bound
    }
}

/// Keys of 32 bytes; where `is_crowded` they share long prefixes, so that extensions and embedded nodes occur.
fn pairs(rng: &mut Seeded, count: usize, is_crowded: bool) -> BTreeMap<Vec<u8>, Vec<u8>> {
    (0..count)
        .map(|_| {
            let mut key = rng.bytes().to_vec();
            if is_crowded {
                let shared = 28 + rng.below(4);
                key[..shared].fill(0x11);
            }
            let length = 1 + rng.below(if is_crowded { 4 } else { 100 });
            let value = rng.bytes().iter().copied().cycle().take(length).collect();
            (key, value)
        })
        .collect()
}

fn build(pairs: &BTreeMap<Vec<u8>, Vec<u8>>, target: &[u8]) -> (B256, Vec<Vec<u8>>) {
    let retainer = ProofRetainer::new(vec![Nibbles::unpack(target)]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    pairs.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node.to_vec()).collect())
}

/// The proof as nodes answer `eth_getProof`: what stands inside its parent is not listed again.
fn listed(nodes: &[Vec<u8>]) -> Vec<Vec<u8>> {
    nodes
        .iter()
        .enumerate()
        .filter(|(at, node)| *at == 0 || node.len() >= 32)
        .map(|(_, n)| n.clone())
        .collect()
}

#[test]
fn both_implementations_read_the_same_out_of_the_same_tries() {
    let mut rng = Seeded(0);
    let (mut present, mut absent, mut embedded) = (0, 0, 0);
    for round in 0..240 {
        let pairs = pairs(&mut rng, 1 + round % 60, round % 2 == 1);
        let known = pairs.keys().nth(rng.below(pairs.len())).unwrap().clone();
        let mut near = known.clone();
        near[31] ^= 1 << rng.below(8);
        for target in [known, near, rng.bytes().to_vec()] {
            let (root, nodes) = build(&pairs, &target);
            let value = pairs.get(&target).cloned();
            let ours = listed(&nodes);
            let proof: Vec<Bytes> = ours.iter().cloned().map(Bytes::from).collect();
            let theirs = verify_proof(root, Nibbles::unpack(&target), value.clone(), &proof);
            assert_eq!(theirs, Ok(()), "round {round}, {:?}", value.is_some());
            embedded += nodes.len() - ours.len();
            assert_eq!(trie::lookup(&root, &target, &ours), Ok(value.as_deref()), "round {round}");
            let own = ethereum::Trie::new(pairs.clone());
            assert_eq!(
                (own.root(), own.proof(&target)),
                (root.0, ours),
                "the tests' own trie, round {round}"
            );
            if value.is_some() { present += 1 } else { absent += 1 }
        }
    }
    println!("{present} present, {absent} absent, {embedded} nodes within nodes");
    assert!(present >= 240 && absent >= 240 && embedded >= 20);
}

#[test]
fn no_proof_with_a_changed_byte_shows_anything() {
    let mut rng = Seeded(1 << 40);
    for round in 0..16 {
        let pairs = pairs(&mut rng, 1 + 5 * round, round % 2 == 1);
        let known = pairs.keys().next().unwrap().clone();
        for target in [known, rng.bytes().to_vec()] {
            let (root, nodes) = build(&pairs, &target);
            let proof = listed(&nodes);
            assert!(trie::lookup(&root, &target, &proof).is_ok());
            for node in 0..proof.len() {
                for at in 0..proof[node].len() {
                    for bit in 0..8 {
                        let mut changed = proof.clone();
                        changed[node][at] ^= 1 << bit;
                        assert!(trie::lookup(&root, &target, &changed).is_err(), "node {node}, byte {at}");
                    }
                }
                let mut cut = proof.clone();
                cut.truncate(node);
                assert!(trie::lookup(&root, &target, &cut).is_err());
                let mut twice = proof.clone();
                twice.insert(node, proof[node].clone());
                assert!(trie::lookup(&root, &target, &twice).is_err());
            }
            let mut longer = proof.clone();
            longer.push(vec![0xc0]);
            assert!(trie::lookup(&root, &target, &longer).is_err());
        }
    }
}

#[test]
fn a_trie_without_keys_has_no_value_and_needs_no_node() {
    assert_eq!(trie::EMPTY_ROOT, alloy_trie::EMPTY_ROOT_HASH.0);
    assert_eq!(trie::lookup(&trie::EMPTY_ROOT, b"key", &[]), Ok(None));
    assert!(trie::lookup(&[1; 32], b"key", &[]).is_err());
}
