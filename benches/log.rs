//! What the log costs in CPU time, without a disk: per batch of 256 entries with sealed records of 1 KiB.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::log::{Bounds, Draft, Effect, Event, Head, Sequencer};
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;
use ledgerstone::store::Outcome;
use ledgerstone::store::batch::Batch;
use ledgerstone::store::edge::Edge;
use ledgerstone::store::journal::{FIRST_CHECKSUM, encode_record};
use ledgerstone::time::UnixMillis;

const ENTRIES: u64 = 256;
const SEALED_BYTES: usize = 1024;
const NOW: UnixMillis = UnixMillis::new(1_795_000_000_000);

fn entry(sequence: u64) -> (Entry, Vec<u8>) {
    let sealed = vec![7; SEALED_BYTES];
    let commitment = Commitment { root: Hash::of(&sequence.to_be_bytes()), count: 20 };
    let mut entry = Entry::decision(
        WriterName::parse("bench").unwrap(),
        SessionId::from_bytes([1; 16]),
        sequence,
        DecisionId::from_bytes([2; 16]),
        commitment,
        DecisionDetails { status: 0 },
    );
    entry.model = Some(commitment.root);
    entry.mode = Some(Mode::Strict);
    (entry, sealed)
}

fn drafts() -> Vec<Draft> {
    (0..ENTRIES).map(entry).map(|(entry, sealed)| Draft::new(entry, Some(sealed)).unwrap()).collect()
}

/// A tree that is large enough for paths of the usual length.
fn tree() -> CompactRange {
    let mut range = CompactRange::empty();
    (0..100_003_u64).for_each(|leaf| range.push(Hash::of(&leaf.to_be_bytes())));
    range
}

fn sequencer(range: &CompactRange) -> Sequencer<u64> {
    let head = Head { range: range.clone(), time: NOW };
    Sequencer::new(KeyName::new("bench.example/log").unwrap(), Bounds::default(), head, TreeSize::EMPTY)
}

/// From the appends to the answer, with outcomes handed in.
fn sequence(mut log: Sequencer<u64>, drafts: Vec<Draft>) -> Option<Arc<Batch>> {
    for (ticket, draft) in (0..).zip(drafts) {
        _ = log.handle(NOW, Event::Append { ticket, draft });
    }
    _ = log.handle(NOW, Event::Cut);
    _ = log.handle(NOW, Event::Staged(Outcome::Stored));
    _ = log.handle(NOW, Event::Committed(Outcome::Stored));
    log.handle(NOW, Event::Signed("note".into())).into_iter().find_map(|effect| match effect {
        Effect::Answer(answered) => Some(answered.batch),
        _ => None,
    })
}

fn bench(criterion: &mut Criterion) {
    let range = tree();
    let batch = sequence(sequencer(&range), drafts()).unwrap();
    let keys = LogKeys::generate_from_seeds(&KeyName::new("bench.example/log").unwrap(), [1; 32], [2; 32]);
    let keys = keys.unwrap();
    let mut group = criterion.benchmark_group("batch of 256");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("draft", |bencher| {
        let parts: Vec<_> = (0..ENTRIES).map(entry).collect();
        bencher.iter_batched(
            || parts.clone(),
            |parts| -> Vec<Draft> {
                parts.into_iter().filter_map(|(entry, sealed)| Draft::new(entry, Some(sealed)).ok()).collect()
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("sequence", |bencher| {
        let all = drafts();
        bencher.iter_batched(
            || (sequencer(&range), all.clone()),
            |(log, drafts)| sequence(log, drafts),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("journal record", |bencher| {
        bencher.iter(|| encode_record(black_box(&batch), 0, &FIRST_CHECKSUM, &FIRST_CHECKSUM));
    });
    group.bench_function("sign", |bencher| {
        let checkpoint = keys.checkpoint(batch.size(), batch.root());
        bencher.iter(|| keys.sign(black_box(&checkpoint)));
    });
    group.bench_function("prove", |bencher| {
        let first = batch.first().get();
        bencher.iter(|| {
            (first..first + ENTRIES).filter_map(|index| batch.prove(LeafIndex::new(index)).ok()).count()
        });
    });
    group.bench_function("apply", |bencher| {
        let first = Batch::build(&CompactRange::empty(), NOW, batch.entries().to_vec()).unwrap();
        bencher.iter_batched(
            Edge::empty,
            |mut edge| edge.append(&first, &mut |write| drop(black_box(write))),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
