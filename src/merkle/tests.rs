//! Tests of the tree and its proofs against a second, recursive reading of RFC 6962, section 2.1, and `rs_merkle`.

#![expect(clippy::cast_possible_truncation, reason = "the trees of these tests have a few hundred leaves")]

use proptest::prelude::*;
use rs_merkle::MerkleTree;

use super::memory::MemoryNodes;
use super::range::{CompactRange, RangeError};
use super::subtree::{Subtree, SubtreeError};
use super::*;
use crate::hash::{leaf_hash, node_hash};
use crate::limits::TREE_SIZE_MAX;

/// Every size up to here is compared with the other implementations.
const SIZES_MAX: u64 = 600;

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(leaf).collect()
}

fn tree(count: u64) -> MemoryNodes {
    (0..count).map(leaf).collect()
}

/// The number `k` of RFC 6962: the largest power of two below `count`.
fn split(count: usize) -> usize {
    let mut k = 1;
    while k * 2 < count {
        k *= 2;
    }
    k
}

/// `MTH` of RFC 6962, section 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// `PATH` of RFC 6962, section 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if index < k {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - k, right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// `SUBPROOF` of RFC 6962, section 2.1.2.
fn naive_subproof(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if known { vec![] } else { vec![naive_root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if from <= k {
        (naive_subproof(from, left, known), naive_root(right))
    } else {
        (naive_subproof(from - k, right, false), naive_root(left))
    };
    proof.push(sibling);
    proof
}

/// RFC 6962 nodes for `rs_merkle`, whose leaves come hashed already.
#[derive(Clone)]
struct Rfc6962;

impl rs_merkle::Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        *Hash::of(&[&[1], data].concat()).as_bytes()
    }
}

fn rs_tree(leaves: &[Hash]) -> MerkleTree<Rfc6962> {
    let leaves: Vec<_> = leaves.iter().map(|leaf| *leaf.as_bytes()).collect();
    MerkleTree::from_leaves(&leaves)
}

#[test]
fn agrees_with_rs_merkle_on_roots_and_inclusion_proofs_of_every_size() {
    let nodes = tree(SIZES_MAX);
    let leaves = leaves(SIZES_MAX);
    let mut range = CompactRange::empty();
    for size in 1..=SIZES_MAX {
        range.push(leaf(size - 1));
        let other = rs_tree(&leaves[..size as usize]);
        let other_root = Hash::from_bytes(other.root().unwrap());
        let size = TreeSize::new(size);
        assert_eq!(range.root(), other_root, "root of size {size}");
        assert_eq!(root(&nodes, size), Ok(other_root), "root of size {size}");
        for index in 0..size.get() {
            let proof = inclusion::prove(&nodes, LeafIndex::new(index), size).unwrap();
            let other_proof = other.proof(&[index as usize]);
            let other_proof = other_proof.proof_hashes().iter().copied();
            assert!(
                other_proof.eq(proof.iter().map(|hash| *hash.as_bytes())),
                "path of leaf {index} in size {size}"
            );
        }
    }
}

#[test]
fn agrees_with_the_recursive_definition_on_every_inclusion_proof_up_to_70_leaves() {
    let nodes = tree(70);
    let leaves = leaves(70);
    for size in 1..=70_usize {
        let root = naive_root(&leaves[..size]);
        for index in 0..size {
            let (place, size) = (LeafIndex::new(index as u64), TreeSize::new(size as u64));
            let proof = inclusion::prove(&nodes, place, size).unwrap();
            assert_eq!(proof, naive_path(index, &leaves[..size.get() as usize]));
            inclusion::verify(&leaves[index], place, size, &proof, &root).unwrap();
        }
    }
}

#[test]
fn agrees_with_the_recursive_definition_on_consistency_proofs() {
    let nodes = tree(SIZES_MAX);
    let leaves = leaves(SIZES_MAX);
    let roots: Vec<_> = (0..=leaves.len()).map(|size| naive_root(&leaves[..size])).collect();
    // All pairs up to 130, then every later size from a spread of earlier ones.
    let pairs =
        (1..=130_usize)
            .flat_map(|to| (1..=to).map(move |from| (from, to)))
            .chain((131..=leaves.len()).flat_map(|to| {
                [1, 2, 127, 128, 129, to / 3, to / 2, to - 1, to].map(move |from| (from, to))
            }));
    for (from, to) in pairs {
        let (from_size, to_size) = (TreeSize::new(from as u64), TreeSize::new(to as u64));
        let proof = consistency::prove(&nodes, from_size, to_size).unwrap();
        assert_eq!(proof, naive_subproof(from, &leaves[..to], true));
        consistency::verify(from_size, &roots[from], to_size, &roots[to], &proof)
            .unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
    }
}

#[test]
fn proves_every_subtree_of_every_tree_up_to_40_leaves() {
    let nodes = tree(40);
    let leaves = leaves(40);
    let mut proved = 0;
    for size in 1..=40_u64 {
        let tree_root = naive_root(&leaves[..size as usize]);
        let tree_size = TreeSize::new(size);
        for start in 0..size {
            for end in start + 1..=size {
                let Ok(subtree) = Subtree::new(LeafIndex::new(start), TreeSize::new(end)) else {
                    continue;
                };
                let part = &leaves[start as usize..end as usize];
                let part_root = naive_root(part);
                let proof = subtree::prove_consistency(&nodes, subtree, tree_size).unwrap();
                subtree::verify_consistency(subtree, &part_root, tree_size, &tree_root, &proof)
                    .unwrap_or_else(|error| panic!("{subtree:?} in {size}: {error}"));
                for (place, leaf) in part.iter().enumerate() {
                    let index = LeafIndex::new(start + place as u64);
                    let path = naive_path(place, part);
                    subtree::verify_inclusion(leaf, index, subtree, &path, &part_root).unwrap();
                }
                proved += 1;
            }
        }
    }
    assert!(proved > 2000, "only {proved} subtrees were proved");
}

#[test]
fn refuses_an_index_at_or_past_the_size() {
    let nodes = tree(8);
    let size = TreeSize::new(8);
    for index in [8, 9, u64::MAX].map(LeafIndex::new) {
        assert_eq!(inclusion::prove(&nodes, index, size), Err(ProveError::IndexOutOfTree { index, size }));
    }
    // A proof for leaf 0 of 8 has the length and the hashes that a naive climb from leaf 8 of 4 would accept.
    let proof = inclusion::prove(&nodes, LeafIndex::new(0), size).unwrap();
    for (index, size) in [(8, 4), (16, 5), (8, 8), (u64::MAX, 8), (u64::MAX, u64::MAX)] {
        let (index, size) = (LeafIndex::new(index), TreeSize::new(size));
        let error = inclusion::verify(&leaf(0), index, size, &proof, &nodes.root()).unwrap_err();
        assert_eq!(error, inclusion::InclusionError::IndexOutOfTree { index, size });
        assert_eq!(error.code(), Code::Malformed);
    }
}

#[test]
fn refuses_to_prove_consistency_that_means_nothing() {
    let nodes = tree(8);
    let (empty, four, eight) = (TreeSize::EMPTY, TreeSize::new(4), TreeSize::new(8));
    assert_eq!(consistency::prove(&nodes, empty, four), Err(ProveError::FromEmptyTree));
    assert_eq!(
        consistency::prove(&nodes, eight, four),
        Err(ProveError::EndOutOfTree { end: eight, size: four })
    );
    assert_eq!(
        consistency::verify(empty, &empty_root(), empty, &empty_root(), &[]),
        Err(consistency::ConsistencyError::FromEmptyTree)
    );
    let root = nodes.root();
    let error = consistency::verify(eight, &root, four, &root, &[]).unwrap_err();
    assert_eq!(error.code(), Code::Inconsistent);
}

#[test]
fn reports_a_node_that_the_source_lacks() {
    let error = inclusion::prove(&tree(7), LeafIndex::new(0), TreeSize::new(8)).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(matches!(error, ProveError::Source(_)));
}

#[test]
fn demands_the_exact_number_of_hashes_for_the_largest_sizes() {
    let hash = leaf(0);
    let size = TreeSize::new(u64::MAX);
    for length in 0..=130 {
        let proof = vec![hash; length];
        for index in [0, 1, u64::MAX / 2, u64::MAX - 1].map(LeafIndex::new) {
            let right_length = inclusion::root_from_proof(&hash, index, size, &proof).is_ok();
            let last = index.get() == u64::MAX - 1;
            assert_eq!(right_length, length == if last { 63 } else { 64 }, "{index}");
        }
        for from in [1, 3, 1 << 63, u64::MAX - 1, u64::MAX].map(TreeSize::new) {
            // No such tree can be built; only that this ends and never accepts a foreign root matters.
            let verdict = consistency::verify(from, &hash, size, &leaf(1), &proof);
            assert!(verdict.is_err(), "from {from} with {length} hashes");
        }
    }
}

#[test]
fn refuses_ranges_that_are_no_subtrees() {
    for (start, end) in [(1, 3), (2, 5), (2, 6), (1, 15), (3, 5), (5, 4), (1, (1 << 63) + 2)] {
        let (start, end) = (LeafIndex::new(start), TreeSize::new(end));
        assert_eq!(Subtree::new(start, end), Err(SubtreeError::Unaligned { start, end }));
    }
    for (start, end) in [(0, 0), (0, 7), (1, 2), (4, 7), (4, 8), (8, 8), (0, u64::MAX)] {
        let subtree = Subtree::new(LeafIndex::new(start), TreeSize::new(end)).unwrap();
        assert_eq!((subtree.start().get(), subtree.end().get()), (start, end));
        assert_eq!(subtree.is_empty(), start == end);
    }
}

#[test]
fn restores_a_compact_range_from_its_parts() {
    let mut range = CompactRange::empty();
    for index in 0..300 {
        let restored = CompactRange::from_parts(range.size(), range.hashes().to_vec());
        assert_eq!(restored.as_ref(), Ok(&range));
        range.push(leaf(index));
    }
}

#[test]
fn refuses_compact_ranges_with_other_numbers_of_hashes() {
    for (size, count) in [(0, 1), (1, 0), (3, 1), (3, 3), (4, 3)] {
        let error = CompactRange::from_parts(TreeSize::new(size), leaves(count)).unwrap_err();
        assert_eq!(error.code(), Code::Malformed, "{count} hashes for size {size}");
    }
    let size = TreeSize::new(TREE_SIZE_MAX + 1);
    assert_eq!(CompactRange::from_parts(size, leaves(1)), Err(RangeError::TooLarge { size }));
}

#[test]
fn reports_each_completed_node_once_and_children_first() {
    let leaves = leaves(64);
    let mut seen = std::collections::BTreeMap::new();
    let mut range = CompactRange::empty();
    for leaf in &leaves {
        range.push_with(*leaf, &mut |level, index, hash| {
            if level > 0 {
                assert!(seen.contains_key(&(level - 1, index * 2)));
                assert!(seen.contains_key(&(level - 1, index * 2 + 1)));
            }
            assert_eq!(seen.insert((level, index), hash), None);
        });
    }
    assert_eq!(seen.len(), 2 * 64 - 1);
    for ((level, index), hash) in seen {
        let start = (index << level) as usize;
        assert_eq!(hash, naive_root(&leaves[start..start + (1 << level)]));
    }
}

#[test]
fn refuses_sizes_past_the_limit_when_adding() {
    let last = TreeSize::new(TREE_SIZE_MAX);
    assert_eq!(TreeSize::new(TREE_SIZE_MAX - 1).checked_add(1), Some(last));
    assert_eq!(last.checked_add(1), None);
    assert_eq!(last.checked_add(u64::MAX), None);
    assert_eq!(TreeSize::EMPTY.last_index(), None);
    assert_eq!(last.next_index().get(), TREE_SIZE_MAX);
}

/// One change to a proof that no verifier may overlook.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: usize, bit: usize },
    Drop { at: usize },
    Insert { at: usize, hash: [u8; 32] },
    Repeat { at: usize },
    Swap { at: usize },
}

impl Mutation {
    /// The changed proof; nothing where the change does not apply or changes nothing.
    fn apply(&self, proof: &[Hash]) -> Option<Vec<Hash>> {
        let mut proof = proof.to_vec();
        let before = proof.clone();
        match *self {
            Self::Flip { at, bit } => {
                let at = at.checked_rem(proof.len())?;
                let mut bytes = *proof[at].as_bytes();
                bytes[bit / 8 % 32] ^= 1 << (bit % 8);
                proof[at] = Hash::from_bytes(bytes);
            }
            Self::Drop { at } => {
                proof.remove(at.checked_rem(proof.len())?);
            }
            Self::Insert { at, hash } => {
                proof.insert(at % (proof.len() + 1), Hash::from_bytes(hash));
            }
            Self::Repeat { at } => {
                let at = at.checked_rem(proof.len())?;
                proof.insert(at, proof[at]);
            }
            Self::Swap { at } => {
                let at = at.checked_rem(proof.len().checked_sub(1)?)?;
                proof.swap(at, at + 1);
            }
        }
        (proof != before).then_some(proof)
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 0..256_usize).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        any::<usize>().prop_map(|at| Mutation::Drop { at }),
        (any::<usize>(), any::<[u8; 32]>()).prop_map(|(at, hash)| Mutation::Insert { at, hash }),
        any::<usize>().prop_map(|at| Mutation::Repeat { at }),
        any::<usize>().prop_map(|at| Mutation::Swap { at }),
    ]
}

proptest! {
    #[test]
    fn proves_and_verifies_any_leaf_of_any_tree(size in 1..700_u64, index: u64) {
        let nodes = tree(size);
        let index = LeafIndex::new(index % size);
        let proof = inclusion::prove(&nodes, index, nodes.size()).unwrap();
        inclusion::verify(&leaf(index.get()), index, nodes.size(), &proof, &nodes.root()).unwrap();
    }

    #[test]
    fn refuses_any_mutated_inclusion_proof(size in 1..700_u64, index: u64, change in mutation()) {
        let nodes = tree(size);
        let index = LeafIndex::new(index % size);
        let proof = inclusion::prove(&nodes, index, nodes.size()).unwrap();
        if let Some(changed) = change.apply(&proof) {
            let leaf = leaf(index.get());
            prop_assert!(inclusion::verify(&leaf, index, nodes.size(), &changed, &nodes.root()).is_err());
        }
    }

    #[test]
    fn refuses_an_inclusion_proof_for_any_other_place_leaf_or_root(
        size in 2..700_u64, index: u64, other: u64,
    ) {
        let nodes = tree(size);
        let place = LeafIndex::new(index % size);
        let other = (index % size + 1 + other % (size - 1)) % size;
        let proof = inclusion::prove(&nodes, place, nodes.size()).unwrap();
        let (right, wrong) = (leaf(place.get()), leaf(other));
        let verify = |leaf: &Hash, place, root: &Hash| {
            inclusion::verify(leaf, place, nodes.size(), &proof, root)
        };
        prop_assert!(verify(&wrong, place, &nodes.root()).is_err());
        prop_assert!(verify(&right, LeafIndex::new(other), &nodes.root()).is_err());
        prop_assert!(verify(&right, place, &wrong).is_err());
    }

    #[test]
    fn refuses_any_mutated_consistency_proof(to in 1..700_u64, from: u64, change in mutation()) {
        let nodes = tree(to);
        let from = TreeSize::new(1 + from % to);
        let from_root = root(&nodes, from).unwrap();
        let proof = consistency::prove(&nodes, from, nodes.size()).unwrap();
        let verify = |from_root: &Hash, to_root: &Hash, proof: &[Hash]| {
            consistency::verify(from, from_root, nodes.size(), to_root, proof)
        };
        prop_assert_eq!(verify(&from_root, &nodes.root(), &proof), Ok(()));
        prop_assert!(verify(&leaf(to), &nodes.root(), &proof).is_err());
        prop_assert!(verify(&from_root, &leaf(to), &proof).is_err());
        if let Some(changed) = change.apply(&proof) {
            prop_assert!(verify(&from_root, &nodes.root(), &changed).is_err());
        }
    }

    #[test]
    fn refuses_any_mutated_subtree_proof(
        size in 1..700_u64, height in 0..8_u32, start: u64, length: u64, change in mutation(),
    ) {
        let nodes = tree(size);
        let start = (start % size) >> height << height;
        let longest = (size - start).min(1 << height);
        let end = start + 1 + length % longest;
        let subtree = Subtree::new(LeafIndex::new(start), TreeSize::new(end)).unwrap();
        let part: MemoryNodes = (start..end).map(leaf).collect();
        let proof = subtree::prove_consistency(&nodes, subtree, nodes.size()).unwrap();
        let verify = |part: &Hash, proof: &[Hash]| {
            subtree::verify_consistency(subtree, part, nodes.size(), &nodes.root(), proof)
        };
        prop_assert_eq!(verify(&part.root(), &proof), Ok(()));
        prop_assert!(verify(&leaf(size), &proof).is_err());
        if let Some(changed) = change.apply(&proof) {
            prop_assert!(verify(&part.root(), &changed).is_err());
        }
    }

    #[test]
    fn never_panics_on_any_claim(
        start: u64, end: u64, size: u64, length in 0..140_usize,
    ) {
        let proof = vec![leaf(1); length];
        let (index, size) = (LeafIndex::new(start), TreeSize::new(size));
        let _ = inclusion::root_from_proof(&leaf(0), index, size, &proof);
        let _ = consistency::verify(TreeSize::new(end), &leaf(0), size, &leaf(1), &proof);
        if let Ok(subtree) = Subtree::new(index, TreeSize::new(end)) {
            let _ = subtree::verify_consistency(subtree, &leaf(0), size, &leaf(1), &proof);
            let _ = subtree::verify_inclusion(&leaf(0), index, subtree, &proof, &leaf(1));
        }
    }
}
