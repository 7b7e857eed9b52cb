//! What a Bitcoin anchor's verification costs.
//!
//! The goal is 50 ms for a segment of 1,000 headers. The headers are of a test chain with little work, and take as long to check as
//! the main chain's: two hashes each. Run with `cargo bench --features opentimestamps --bench bitcoin`. Nothing here touches a disk.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops where something fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::anchor::bitcoin::{BlockHeader, HeaderSegment, Network, Pin};

const HEADERS: u64 = 1_000;

fn chain() -> Vec<u8> {
    let (mut chain, mut previous) = (Vec::new(), [0; 32]);
    for block in 0..u32::try_from(HEADERS).unwrap() {
        let mined = (0_u32..).find_map(|nonce| {
            let numbers = [1_700_000_000 + 600 * block, Network::Regtest.easiest_bits(), nonce];
            let tail = numbers.map(u32::to_le_bytes).concat();
            let bytes = [&4_u32.to_le_bytes()[..], &previous, &[7; 32], &tail].concat();
            let header = BlockHeader::from_bytes(bytes.try_into().unwrap());
            header.shows_work(Network::Regtest).unwrap().then_some(header)
        });
        let header = mined.unwrap();
        previous = *header.hash().header_order();
        chain.extend(header.as_bytes());
    }
    chain
}

fn segments(c: &mut Criterion) {
    let bytes = chain();
    let segment = HeaderSegment::parse(&bytes).unwrap();
    let first = segment.headers().next().unwrap();
    let pins = [Pin { height: 100, hash: first.hash() }];
    let last = segment.verify(Network::Regtest, &pins).unwrap().last_height();
    assert_eq!(last, 100 + HEADERS - 1);
    let mut group = c.benchmark_group("bitcoin");
    group.throughput(Throughput::Elements(HEADERS));
    group.bench_function("verify 1,000 headers", |b| {
        b.iter(|| HeaderSegment::parse(black_box(&bytes)).unwrap().verify(Network::Regtest, &pins).unwrap());
    });
    group.finish();
}

#[cfg(feature = "opentimestamps")]
mod proof {
    use super::{Criterion, black_box};
    use ledgerstone::anchor::bitcoin::BitcoinTrust;
    use ledgerstone::anchor::opentimestamps::{
        Attestation, DetachedTimestamp, HashOp, Op, Timestamp, checks,
    };
    use ledgerstone::hash::Hash;

    /// A proof as a calendar makes it: about fifty operations up to a block.
    pub(super) fn proofs(c: &mut Criterion) {
        let mut tree = Timestamp::attested(Attestation::Bitcoin { height: 900_000 });
        for step in 0..25 {
            tree = Timestamp::after(
                Op::Append(vec![step; 32]),
                Timestamp::after(Op::Hash(HashOp::Sha256), tree),
            );
        }
        let digest = Hash::of(b"statement");
        let bytes = DetachedTimestamp::new(HashOp::Sha256, digest.as_bytes(), tree).unwrap().to_bytes();
        let trust = BitcoinTrust::default();
        c.bench_function("opentimestamps/read and follow 50 operations", |b| {
            b.iter(|| checks(&digest, black_box(&bytes), None, &trust));
        });
    }
}

#[cfg(not(feature = "opentimestamps"))]
mod proof {
    pub(super) fn proofs(_: &mut super::Criterion) {}
}

criterion_group!(benches, segments, proof::proofs);
criterion_main!(benches);
