//! What receipts, notes and log walks cost.
//!
//! A receipt's verification is two signatures and some hashing, so the figures of the signatures alone stand beside it.
//! Run with `cargo bench --bench receipt`. Nothing here touches a disk: there is no durability point.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "a benchmark stops where something fails"
)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::SignedNote;
use ledgerstone::receipt::Receipt;
use ledgerstone::verify::{self, Verdict};

/// Decisions of the log that is walked: 39 full bundles and one that is not.
const DECISIONS: u64 = 10_000;

fn receipts(c: &mut Criterion) {
    let file = world::golden_receipt().to_json().into_bytes();
    let policy = world::policy();
    assert_eq!(verify::receipt(&file, Some(&policy)).verdict(), Verdict::Verified);
    let mut group = c.benchmark_group("receipt");
    group.bench_function("parse", |b| b.iter(|| Receipt::parse(black_box(&file)).unwrap()));
    group.bench_function("verify without signatures", |b| b.iter(|| verify::receipt(black_box(&file), None)));
    group.bench_function("verify", |b| b.iter(|| verify::receipt(black_box(&file), Some(&policy))));
    group.finish();
}

fn checkpoints(c: &mut Criterion) {
    let keys = world::keys();
    let checkpoint = keys.checkpoint(TreeSize::new(1 << 20), Hash::of(b"root"));
    let note = keys.sign(&checkpoint).into_bytes();
    let verifier = keys.verifier();
    let [ed25519, ml_dsa] = keys.vkeys();
    let signed = verifier.verify(&note).map(|_| SignedNote::parse(&note).unwrap()).unwrap();
    let parsed = ledgerstone::checkpoint::SignedCheckpoint::parse(&note).unwrap();
    let mut group = c.benchmark_group("checkpoint");
    group.bench_function("sign with both keys", |b| b.iter(|| keys.sign(black_box(&checkpoint))));
    group.bench_function("parse note", |b| b.iter(|| SignedNote::parse(black_box(&note)).unwrap()));
    group.bench_function("verify Ed25519", |b| b.iter(|| black_box(&signed).verify(&ed25519).unwrap()));
    group.bench_function("verify ML-DSA-44", |b| b.iter(|| black_box(&parsed).verify(&ml_dsa).unwrap()));
    group.bench_function("verify with both keys", |b| b.iter(|| verifier.verify(black_box(&note)).unwrap()));
    group.finish();
}

fn walks(c: &mut Criterion) {
    let log = world::Log::of(&world::whole_session(1, DECISIONS));
    assert_eq!(Verdict::of(&log.walk()), Verdict::Verified);
    let mut group = c.benchmark_group("verify log");
    group.throughput(Throughput::Elements(log.checkpoint.size.get()));
    group.sample_size(20);
    group.bench_function("entries", |b| b.iter(|| black_box(&log).walk()));
    group.finish();
}

criterion_group!(benches, receipts, checkpoints, walks);
criterion_main!(benches);
