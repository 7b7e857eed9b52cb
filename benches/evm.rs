//! What offline verification of an EVM anchor costs, from the file's bytes to the facts.
//!
//! Run with `cargo bench --features beacon --bench evm`. The bundles are of mainnet's sizes: 512 members of the sync
//! committee of whom 480 signed, a trie of 300 accounts (mainnet's is some five nodes deeper). Nothing here touches a disk.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "a benchmark stops where something fails"
)]

#[path = "../tests/support/ethereum.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests")]
mod ethereum;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ethereum::{Block, expected, pinned, with_beacon};
use ledgerstone::anchor::evm::beacon::MAINNET;
use ledgerstone::anchor::evm::{BeaconFork, Bundle, Trust, verify};

fn bundles(c: &mut Criterion) {
    let block = Block::new();
    let mut group = c.benchmark_group("evm");
    let mut plain = block.bundle(0);
    plain.receipt = Some(block.receipt_proof(5));
    let segment = block.bundle(95);
    let cases: [(&str, (Bundle, Trust)); 5] = [
        ("pinned block", (plain.clone(), pinned(&plain))),
        ("pinned block 95 headers later", (segment.clone(), pinned(&segment))),
        ("light client", with_beacon(block.bundle(0), BeaconFork::Fulu, MAINNET, 0)),
        ("light client, one change of committee", with_beacon(block.bundle(0), BeaconFork::Fulu, MAINNET, 1)),
        ("light client, 95 headers", with_beacon(segment, BeaconFork::Fulu, MAINNET, 0)),
    ];
    for (name, (bundle, trust)) in cases {
        let bytes = bundle.encode().unwrap();
        println!("{name}: {} bytes", bytes.len());
        group.bench_function(name, |b| {
            b.iter(|| verify(&Bundle::decode(black_box(&bytes)).unwrap(), &expected(), &trust).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, bundles);
criterion_main!(benches);
