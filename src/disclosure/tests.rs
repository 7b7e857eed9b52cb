//! The checker against `rs_merkle`, over every small tree and many choices of leaves; then what only the checker refuses.

use rs_merkle::{Hasher, MerkleProof, MerkleTree};

use super::*;
use crate::encoding::cbor::{Reader, Writer};
use crate::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value};

/// `rs_merkle`'s view of an RFC 6962 tree, written apart from the one in `record::tree`.
#[derive(Clone)]
struct Oracle;

impl Hasher for Oracle {
    type Hash = [u8; 32];

    fn hash(pair: &[u8]) -> [u8; 32] {
        *Hash::of(&[&[1], pair].concat()).as_bytes()
    }
}

fn leaves(width: usize) -> Vec<Hash> {
    (0..width).map(|n| Hash::of(&n.to_be_bytes())).collect()
}

fn oracle_tree(leaves: &[Hash]) -> MerkleTree<Oracle> {
    MerkleTree::from_leaves(&leaves.iter().map(|leaf| *leaf.as_bytes()).collect::<Vec<_>>())
}

fn oracle_proof(tree: &MerkleTree<Oracle>, chosen: &[usize]) -> Vec<Hash> {
    tree.proof(chosen).proof_hashes().iter().copied().map(Hash::from_bytes).collect()
}

fn known(leaves: &[Hash], chosen: &[usize]) -> Vec<(usize, Hash)> {
    chosen.iter().map(|index| (*index, leaves[*index])).collect()
}

/// Every choice of leaves of a small tree; of a larger one every single leaf, pair and run, and 64 scattered choices.
fn choices(width: usize) -> Vec<Vec<usize>> {
    if width <= 8 {
        let chosen = |mask: usize| (0..width).filter(move |n| mask >> n & 1 == 1).collect();
        return (1..1_usize << width).map(chosen).collect();
    }
    let mut all: Vec<Vec<usize>> = (0..width).map(|n| vec![n]).collect();
    for first in 0..width {
        all.extend((first + 1..width).map(|second| vec![first, second]));
        all.extend([4, 7, width].map(|len| (first..width.min(first + len)).collect()));
    }
    let mut state = width as u64;
    for _ in 0..64 {
        // Numerical Recipes' generator; its upper bits choose.
        let mut coin = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 62 == 0
        };
        all.push((0..width).filter(|_| coin()).collect());
    }
    all.retain(|chosen| !chosen.is_empty());
    all
}

#[test]
fn agrees_with_rs_merkle_on_every_tree_up_to_64_leaves() {
    let mut checked = 0;
    for width in 1..=64 {
        let leaves = leaves(width);
        let tree = oracle_tree(&leaves);
        let root = Hash::from_bytes(tree.root().unwrap());
        for chosen in choices(width) {
            let proof = oracle_proof(&tree, &chosen);
            assert_eq!(beside(chosen.iter().copied(), width).len(), proof.len(), "{chosen:?} of {width}");
            assert_eq!(rebuilt(&leaves, &chosen, &proof), Ok(root), "{chosen:?} of {width}");
            checked += 1;
        }
    }
    assert!(checked > 50_000, "only {checked} choices were checked");
}

#[test]
fn refuses_every_proof_with_a_hash_less_more_or_changed() {
    for width in 1..=17 {
        let leaves = leaves(width);
        let tree = oracle_tree(&leaves);
        let root = Hash::from_bytes(tree.root().unwrap());
        for chosen in choices(width) {
            let proof = oracle_proof(&tree, &chosen);
            let longer = [&proof[..], &[root]].concat();
            assert!(rebuilt(&leaves, &chosen, &longer).is_err());
            for at in 0..proof.len() {
                let mut shorter = proof.clone();
                shorter.remove(at);
                assert!(rebuilt(&leaves, &chosen, &shorter).is_err());
                let mut changed = proof.clone();
                changed[at] = Hash::of(changed[at].as_bytes());
                assert_ne!(rebuilt(&leaves, &chosen, &changed), Ok(root));
            }
        }
    }
}

/// The root that a proof for the `chosen` of `leaves` leads to.
fn rebuilt(leaves: &[Hash], chosen: &[usize], proof: &[Hash]) -> Result<Hash, DisclosureError> {
    root_of(known(leaves, chosen), leaves.len(), proof, |_, _| ())
}

fn record(count: u32) -> Record {
    let add = |builder: RecordBuilder, n: u32| {
        let path = FieldPath::parse(&format!("input/feature/f{n:03}")).unwrap();
        builder.field(path, u64::from(n)).unwrap()
    };
    (0..count).fold(RecordBuilder::new(), add).build().unwrap()
}

fn opened(count: u32, chosen: &[usize]) -> (Disclosure, Commitment) {
    let record = record(count);
    let tree = record.commit(&RecordSecret::from_bytes([3; 32]));
    (tree.disclose(chosen).unwrap(), tree.commitment())
}

#[test]
fn accepts_what_a_field_tree_discloses_for_every_count() {
    for count in 1..=64 {
        for chosen in
            [vec![0], vec![count as usize - 1], (0..count as usize).collect(), vec![count as usize / 2]]
        {
            let (disclosure, commitment) = opened(count, &chosen);
            assert_eq!(verify(&disclosure, &commitment), Ok(()), "{chosen:?} of {count}");
        }
    }
}

#[test]
fn refuses_surplus_hashes_that_rs_merkle_ignores() {
    let (mut disclosure, commitment) = opened(8, &[2, 5]);
    disclosure.proof.push(commitment.root);

    let leaves: Vec<_> = disclosure.openings.iter().map(|o| *o.leaf_hash(8).as_bytes()).collect();
    let proof = MerkleProof::<Oracle>::new(disclosure.proof.iter().map(|h| *h.as_bytes()).collect());
    assert!(proof.verify(*commitment.root.as_bytes(), &[2, 5], &leaves, 8), "rs_merkle has become stricter");

    let found = disclosure.proof.len();
    assert_eq!(
        verify(&disclosure, &commitment),
        Err(DisclosureError::ProofLength { expected: found - 1, found })
    );
}

#[test]
fn refuses_indices_past_the_end_that_rs_merkle_accepts() {
    // A valid proof for index 0 of 8 leaves, shown as index 8 of 4 leaves.
    let leaves = leaves(8);
    let tree = oracle_tree(&leaves);
    let root = tree.root().unwrap();
    let proof = tree.proof(&[0]);
    assert!(proof.verify(root, &[8], &[*leaves[0].as_bytes()], 4), "rs_merkle has become stricter");

    let (mut disclosure, commitment) = opened(8, &[0]);
    disclosure.openings[0].index = 8;
    let claimed = Commitment { count: 4, ..commitment };
    assert_eq!(verify(&disclosure, &claimed), Err(DisclosureError::IndexRange { index: 8, count: 4 }));
}

#[test]
fn refuses_the_first_index_past_the_end() {
    let (mut disclosure, commitment) = opened(8, &[7]);
    disclosure.openings[0].index = 8;
    assert_eq!(verify(&disclosure, &commitment), Err(DisclosureError::IndexRange { index: 8, count: 8 }));
}

#[test]
fn refuses_another_count_that_has_a_tree_of_the_same_shape_on_the_way() {
    let leaves = leaves(8);
    let tree = oracle_tree(&leaves);
    let root = tree.root().unwrap();
    let proof = tree.proof(&[0]);
    assert!(proof.verify(root, &[0], &[*leaves[0].as_bytes()], 5), "rs_merkle has become stricter");

    let (disclosure, commitment) = opened(8, &[0]);
    for count in (1..=64).filter(|count| *count != 8) {
        assert!(verify(&disclosure, &Commitment { count, ..commitment }).is_err(), "{count}");
    }
}

#[test]
fn refuses_indices_that_do_not_rise() {
    let (disclosure, commitment) = opened(8, &[2, 5]);
    let mut swapped = disclosure.clone();
    swapped.openings.reverse();
    assert_eq!(verify(&swapped, &commitment), Err(DisclosureError::IndexOrder { index: 2 }));
    let mut twice = disclosure.clone();
    twice.openings.insert(1, disclosure.openings[0].clone());
    assert_eq!(verify(&twice, &commitment), Err(DisclosureError::IndexOrder { index: 2 }));
}

#[test]
fn refuses_a_committed_record_that_holds_a_path_twice() {
    // The record is honest in every hash; only its author put one path at two places.
    let opening = |index, value: &str| Opening {
        index,
        path: FieldPath::parse("outcome/action").unwrap(),
        salt: [5; 32],
        value: Value::from(value),
    };
    let openings = vec![opening(0, "approve"), opening(1, "deny")];
    let root = node_hash(&openings[0].leaf_hash(2), &openings[1].leaf_hash(2));
    let disclosure = Disclosure { openings, proof: vec![] };
    let commitment = Commitment { root, count: 2 };
    assert_eq!(verify(&disclosure, &commitment), Err(DisclosureError::PathOrder { index: 1 }));
}

#[test]
fn refuses_counts_that_no_record_has_and_disclosures_of_nothing() {
    let (disclosure, commitment) = opened(8, &[2]);
    for count in [0, u32::try_from(FIELDS_MAX).unwrap() + 1, u32::MAX] {
        let claimed = Commitment { count, ..commitment };
        assert_eq!(verify(&disclosure, &claimed), Err(DisclosureError::BadCount { count }));
    }
    let nothing = Disclosure { openings: vec![], proof: vec![commitment.root] };
    assert_eq!(verify(&nothing, &commitment), Err(DisclosureError::Nothing));
}

#[test]
fn a_narrowed_disclosure_is_what_the_records_owner_would_have_made() {
    for count in [1, 2, 3, 5, 8, 11] {
        for chosen in choices(count as usize).into_iter().step_by(3) {
            let (disclosure, commitment) = opened(count, &chosen);
            for few in choices(chosen.len()).into_iter().step_by(5) {
                let kept: Vec<usize> = few.iter().map(|place| chosen[*place]).collect();
                let (expected, _) = opened(count, &kept);
                let is_kept =
                    |path: &FieldPath| expected.openings.iter().any(|opening| opening.path == *path);
                assert_eq!(narrow(&disclosure, &commitment, is_kept).as_ref(), Ok(&expected));
            }
        }
    }
}

#[test]
fn a_disclosure_that_does_not_hold_is_not_narrowed_and_none_to_nothing() {
    let (mut disclosure, commitment) = opened(8, &[2, 5]);
    assert_eq!(narrow(&disclosure, &commitment, |_| false), Err(DisclosureError::Nothing));
    disclosure.openings[0].salt[0] ^= 1;
    let narrowed = narrow(&disclosure, &commitment, |_| true);
    assert!(matches!(narrowed, Err(DisclosureError::RootMismatch { .. })), "{narrowed:?}");
}

#[test]
fn refuses_values_that_no_record_holds() {
    let (mut disclosure, commitment) = opened(8, &[2]);
    for value in [
        Value::Int(1 << 64),
        Value::Bytes(vec![0; FIELD_VALUE_BYTES_MAX]),
        Value::Array(vec![Value::Array(vec![Value::Array(vec![Value::Array(vec![Value::Array(vec![])])])])]),
    ] {
        disclosure.openings[0].value = value;
        assert_eq!(verify(&disclosure, &commitment), Err(DisclosureError::BadValue { index: 2 }));
    }
}

/// One disclosure as bytes, so that every byte of it can be changed.
fn to_bytes(disclosure: &Disclosure) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(2).array(disclosure.openings.len());
    for opening in &disclosure.openings {
        writer.array(4).uint(opening.index.into()).text(opening.path.as_str()).bytes(&opening.salt);
        opening.value.encode(&mut writer);
    }
    writer.array(disclosure.proof.len());
    for hash in &disclosure.proof {
        writer.bytes(hash.as_bytes());
    }
    writer.into_bytes()
}

fn from_bytes(bytes: &[u8]) -> Option<Disclosure> {
    let mut reader = Reader::new(bytes);
    reader.array_of(2).ok()?;
    let openings = (0..reader.array().ok()?)
        .map(|_| {
            reader.array_of(4).ok()?;
            Some(Opening {
                index: u32::try_from(reader.uint().ok()?).ok()?,
                path: FieldPath::parse(reader.text().ok()?).ok()?,
                salt: reader.byte_array().ok()?,
                value: Value::decode(&mut reader).ok()?,
            })
        })
        .collect::<Option<_>>()?;
    let proof = (0..reader.array().ok()?)
        .map(|_| reader.byte_array().ok().map(Hash::from_bytes))
        .collect::<Option<_>>()?;
    reader.finish().ok()?;
    Some(Disclosure { openings, proof })
}

#[test]
fn no_changed_byte_of_a_disclosure_survives_the_check() {
    let (disclosure, commitment) = opened(11, &[1, 4, 10]);
    let bytes = to_bytes(&disclosure);
    assert_eq!(from_bytes(&bytes).as_ref(), Some(&disclosure));
    for at in 0..bytes.len() {
        for byte in 0..=u8::MAX {
            let mut changed = bytes.clone();
            changed[at] = byte;
            if changed != bytes
                && let Some(read) = from_bytes(&changed)
            {
                assert_ne!(verify(&read, &commitment), Ok(()), "byte {at} as {byte:02x}");
            }
        }
    }
}
