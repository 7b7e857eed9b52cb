//! What the tree costs, each figure beside the hashing it cannot do without.
//!
//! `node_hash` is the unit: a proof of n hashes cannot be verified in less than n of them, so `verify / (n * node_hash)`
//! is the overhead of the verifier, and it can be compared across machines where bare times cannot.
//! Run with `cargo bench --bench merkle`; the ratios are printed at the end.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "a benchmark reads the clock, prints its figures and stops where something fails"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::hash::{Hash, leaf_hash, node_hash};
use ledgerstone::merkle::memory::MemoryNodes;
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency, inclusion, root};
use ledgerstone::tile::{EntryBundle, TileEdge, TileNodes, TilePath, TileSource};

/// Leaves of the tree that proofs are made in: deep enough for three levels of tiles.
const LEAVES: u64 = 1 << 17;
/// Bytes of an entry; entries of the log are some hundred bytes long.
const ENTRY_BYTES: usize = 512;

/// Tiles in memory, so that reading them costs next to nothing.
struct MemoryTiles(BTreeMap<TilePath, Vec<u8>>);

impl TileSource for MemoryTiles {
    type Error = Infallible;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.get(path).cloned().unwrap_or_default())
    }
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(leaf).collect()
}

fn hashing(c: &mut Criterion) {
    let (left, right) = (leaf(0), leaf(1));
    c.bench_function("node_hash", |b| b.iter(|| node_hash(black_box(&left), black_box(&right))));
    let entry = vec![7; ENTRY_BYTES];
    let mut group = c.benchmark_group("leaf_hash");
    group.throughput(Throughput::Bytes(ENTRY_BYTES as u64));
    group.bench_function("512 bytes", |b| b.iter(|| leaf_hash(black_box(&entry))));
    group.finish();
}

fn append(c: &mut Criterion) {
    let leaves = leaves(4096);
    let mut group = c.benchmark_group("append 4096 leaves");
    group.throughput(Throughput::Elements(4096));
    group.bench_function("compact range", |b| {
        b.iter(|| {
            let mut range = CompactRange::empty();
            leaves.iter().for_each(|leaf| range.push(*leaf));
            range.root()
        });
    });
    group.bench_function("tiles", |b| {
        b.iter(|| {
            let mut edge = TileEdge::empty();
            for leaf in &leaves {
                edge.push(*leaf, &mut |path, bytes| {
                    black_box((path, bytes));
                });
            }
            edge.root()
        });
    });
    group.finish();
    let entries = vec![vec![7; ENTRY_BYTES]; 256];
    let bundle = EntryBundle::encode(&entries).unwrap();
    let mut group = c.benchmark_group("bundle of 256 entries");
    group.throughput(Throughput::Bytes(bundle.len() as u64));
    group.bench_function("encode", |b| b.iter(|| EntryBundle::encode(black_box(&entries))));
    group.bench_function("decode", |b| b.iter(|| EntryBundle::decode(black_box(&bundle)).map(|e| e.len())));
    group.finish();
}

fn prove(c: &mut Criterion) {
    let nodes: MemoryNodes = leaves(LEAVES).into_iter().collect();
    let mut tiles = MemoryTiles(BTreeMap::new());
    let mut edge = TileEdge::empty();
    for leaf in leaves(LEAVES) {
        edge.push(leaf, &mut |path, bytes| drop(tiles.0.insert(path, bytes)));
    }
    tiles.0.extend(edge.partials());
    let (size, half) = (TreeSize::new(LEAVES), TreeSize::new(LEAVES / 2 + 12_345));
    let index = LeafIndex::new(LEAVES / 3);
    let mut group = c.benchmark_group("prove");
    group.bench_function("inclusion, nodes in memory", |b| b.iter(|| inclusion::prove(&nodes, index, size)));
    group.bench_function("consistency, nodes in memory", |b| {
        b.iter(|| consistency::prove(&nodes, half, size))
    });
    group.bench_function("inclusion, tiles not read before", |b| {
        b.iter(|| inclusion::prove(&TileNodes::new(&tiles, size), index, size));
    });
    group.bench_function("inclusion, tiles read before", |b| {
        let nodes = TileNodes::new(&tiles, size);
        b.iter(|| inclusion::prove(&nodes, index, size));
    });
    group.finish();
}

fn verify(c: &mut Criterion) {
    let claim = Claim::new();
    let mut group = c.benchmark_group("verify");
    group.bench_function(format!("inclusion, {} hashes", claim.inclusion.len()), |b| {
        b.iter(|| claim.verify_inclusion());
    });
    group.bench_function(format!("consistency, {} hashes", claim.consistency.len()), |b| {
        b.iter(|| claim.verify_consistency());
    });
    group.finish();
}

/// A pair of proofs in a tree of [`LEAVES`] leaves.
struct Claim {
    index: LeafIndex,
    from: TreeSize,
    size: TreeSize,
    from_root: Hash,
    root: Hash,
    inclusion: Vec<Hash>,
    consistency: Vec<Hash>,
}

impl Claim {
    fn new() -> Self {
        let nodes: MemoryNodes = leaves(LEAVES).into_iter().collect();
        let (index, size) = (LeafIndex::new(LEAVES / 3), nodes.size());
        let from = TreeSize::new(LEAVES / 2 + 12_345);
        Self {
            index,
            from,
            size,
            from_root: root(&nodes, from).unwrap(),
            root: nodes.root(),
            inclusion: inclusion::prove(&nodes, index, size).unwrap(),
            consistency: consistency::prove(&nodes, from, size).unwrap(),
        }
    }

    fn verify_inclusion(&self) {
        let leaf = leaf(self.index.get());
        inclusion::verify(&leaf, self.index, self.size, black_box(&self.inclusion), &self.root).unwrap();
    }

    fn verify_consistency(&self) {
        let proof = black_box(&self.consistency);
        consistency::verify(self.from, &self.from_root, self.size, &self.root, proof).unwrap();
    }
}

/// Prints the ratios between what was measured and bare hashing, in one run on one machine.
fn ratios(_: &mut Criterion) {
    let (left, right) = (leaf(0), leaf(1));
    let claim = Claim::new();
    let leaves = leaves(4096);
    let node = time(100_000, || {
        black_box(node_hash(black_box(&left), black_box(&right)));
    });
    let inclusion = time(10_000, || claim.verify_inclusion());
    let consistency = time(10_000, || claim.verify_consistency());
    let append = time(50, || {
        let mut range = CompactRange::empty();
        leaves.iter().for_each(|leaf| range.push(*leaf));
        black_box(range.root());
    });
    // The later root takes a hash for each of the proof but the first, from which both roots start; the earlier one is
    // made of a complete subtree for each set bit of its size.
    let both_roots = claim.consistency.len() - 1 + claim.from.get().count_ones() as usize - 1;
    for (name, time, hashes) in [
        ("verify inclusion", inclusion, claim.inclusion.len() + 1),
        ("verify consistency", consistency, both_roots),
        ("append 4096 leaves", append, 4095),
    ] {
        let ratio = time / (node * hashes as f64);
        println!("ratio: {name} / {hashes} node hashes = {ratio:.2} (one node hash: {:.0} ns)", node * 1e9);
    }
}

/// Seconds one call takes: the fastest of five rounds, since whatever else runs only makes a round slower.
fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed() / calls
    };
    (0..5).map(round).min().unwrap_or(Duration::MAX).as_secs_f64()
}

criterion_group!(benches, hashing, append, prove, verify, ratios);
criterion_main!(benches);
