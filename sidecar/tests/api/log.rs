//! The log over gRPC.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::entry::{Entry, Kind};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency, inclusion};
use ledgerstone::proto::ledgerstone_v1::{
    GetCheckpointRequest, GetConsistencyProofRequest, GetEntriesRequest, GetInclusionProofRequest,
};
use tonic::{Code, Status};

use crate::world::{DRAIN, World, watch_request};

async fn checkpoint(world: &World) -> SignedCheckpoint {
    let answer = world.log().await.get_checkpoint(GetCheckpointRequest {}).await.unwrap().into_inner();
    let signed = SignedCheckpoint::parse(&answer.note).unwrap();
    assert_eq!(signed.checkpoint().size.get(), answer.tree_size);
    for log in world.policy().logs() {
        signed.verify(log.key()).unwrap();
    }
    signed
}

async fn entries(world: &World, start: u64, end: u64) -> Result<Vec<Vec<u8>>, Status> {
    let mut stream = world.log().await.get_entries(GetEntriesRequest { start, end }).await?.into_inner();
    let mut all = Vec::new();
    while let Some(message) = stream.message().await? {
        assert_eq!(message.start, start + all.len() as u64, "messages follow each other");
        all.extend(message.entries.iter().map(|entry| entry.to_vec()));
    }
    Ok(all)
}

fn hashes(bytes: &[impl AsRef<[u8]>]) -> Vec<Hash> {
    bytes.iter().map(|hash| Hash::from_bytes(hash.as_ref().try_into().unwrap())).collect()
}

#[tokio::test]
async fn entries_and_proofs_verify_against_the_checkpoint() {
    let world = World::new().await;
    let told = world.decide(20).await;
    world.published(told.last().unwrap().index + 1).await;
    let signed = checkpoint(&world).await;
    let size = signed.checkpoint().size;
    let entries = entries(&world, 0, size.get()).await.unwrap();
    assert_eq!(entries.len() as u64, size.get());
    let mut log = world.log().await;
    for (index, bytes) in (0..).zip(&entries) {
        let request = GetInclusionProofRequest { leaf_index: index, tree_size: size.get() };
        let answer = log.get_inclusion_proof(request).await.unwrap().into_inner();
        let leaf = leaf_hash(bytes);
        assert_eq!(answer.leaf_hash, leaf.as_bytes().as_slice());
        let proof = hashes(&answer.proof);
        inclusion::verify(&leaf, LeafIndex::new(index), size, &proof, &signed.checkpoint().root).unwrap();
    }
    for told in told {
        let entry = Entry::decode(&entries[usize::try_from(told.index).unwrap()]).unwrap();
        assert_eq!(entry.kind, Kind::Decision);
        assert_eq!(entry.decision.unwrap().to_string(), told.decision);
    }
    world.stop().await;
}

#[tokio::test]
async fn later_checkpoints_are_consistent_with_earlier_ones() {
    let world = World::new().await;
    world.published(1).await;
    let mut watch = world.log().await.watch_checkpoints(watch_request()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    let first = SignedCheckpoint::parse(&first.note).unwrap().checkpoint().clone();
    world.decide(5).await;
    let later = loop {
        let message = watch.message().await.unwrap().unwrap();
        if message.tree_size >= 6 {
            break SignedCheckpoint::parse(&message.note).unwrap().checkpoint().clone();
        }
    };
    let request = GetConsistencyProofRequest { from_size: first.size.get(), to_size: later.size.get() };
    let answer = world.log().await.get_consistency_proof(request).await.unwrap().into_inner();
    let proof = hashes(&answer.proof);
    consistency::verify(first.size, &first.root, later.size, &later.root, &proof).unwrap();
    world.app.drain(DRAIN).await.unwrap();
    while watch.message().await.is_ok_and(|message| message.is_some()) {}
}

#[tokio::test]
async fn streams_ranges_across_bundles_and_refuses_what_is_not_published() {
    let world = World::new().await;
    world.decide(300).await;
    let size = world.published(301).await;
    let all = entries(&world, 0, 0).await.unwrap();
    assert!(all.len() as u64 >= size);
    assert_eq!(entries(&world, 250, 260).await.unwrap(), all[250..260]);
    assert_eq!(entries(&world, 299, 300).await.unwrap(), all[299..300]);
    assert_eq!(entries(&world, 256, 256).await.unwrap(), Vec::<Vec<u8>>::new());
    let far = size + 1_000_000;
    for (start, end) in [(0, far), (far, 0), (2, 1), (u64::MAX, u64::MAX)] {
        let refused = entries(&world, start, end).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{start}..{end}: {refused:?}");
    }
    let mut log = world.log().await;
    let inclusion = |leaf_index, tree_size| GetInclusionProofRequest { leaf_index, tree_size };
    for (index, tree) in [(5, 5), (5, far), (far, 0)] {
        let refused = log.get_inclusion_proof(inclusion(index, tree)).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{index} in {tree}");
    }
    let consistency = |from_size, to_size| GetConsistencyProofRequest { from_size, to_size };
    for (from, to, code) in
        [(0, 5, Code::InvalidArgument), (6, 5, Code::InvalidArgument), (5, far, Code::OutOfRange)]
    {
        let refused = log.get_consistency_proof(consistency(from, to)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{from} to {to}: {refused:?}");
    }
    let whole = log.get_inclusion_proof(inclusion(7, 0)).await.unwrap().into_inner();
    assert!(TreeSize::new(whole.tree_size) >= TreeSize::new(size), "0 means the published tree");
    world.stop().await;
}
