//! What an event costs the processor: made from an entry, and made and written in each format; and read back and compared.
//!
//! `cargo bench --bench siem`. The goal is 50,000 events a second to syslog with less than half a core, so at most 10 us for one.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops where something fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Mode, SealedRef, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::record::Commitment;
use ledgerstone::siem::found::{Shape, read};
use ledgerstone::siem::{Event, Format, Log};

fn decision() -> Vec<u8> {
    Entry {
        sealed: Some(SealedRef { digest: Hash::of(b"sealed"), length: 4321 }),
        model: Some(Hash::of(b"model")),
        policy: Some(Hash::of(b"policy")),
        mode: Some(Mode::Strict),
        ..Entry::decision(
            WriterName::parse("gateway-1").unwrap(),
            SessionId::from_bytes([7; 16]),
            17,
            DecisionId::from_bytes([1; 16]),
            Commitment { root: Hash::of(b"root"), count: 5 },
            DecisionDetails { status: 0 },
        )
    }
    .encode()
    .unwrap()
}

fn shapes() -> Vec<(String, Shape)> {
    let bare = Format::ALL.map(|format| (format.to_string(), Shape::Bare(format)));
    let bodies = [None, Some(Format::Cef), Some(Format::Ocsf)];
    let syslog =
        bodies.map(|body| (format!("syslog, {}", body.map_or("plain", Format::as_str)), Shape::Syslog(body)));
    bare.into_iter().chain(syslog).collect()
}

fn events(c: &mut Criterion) {
    let (log, bytes) = (Log::new(&KeyName::new("example.com/decisions").unwrap()), decision());
    let event = || Event::of_entry(&log, LeafIndex::new(42), black_box(&bytes)).unwrap();
    let mut group = c.benchmark_group("event");
    group.throughput(Throughput::Elements(1));
    group.bench_function("made", |b| b.iter(event));
    for (name, shape) in shapes() {
        let mut text = String::new();
        group.bench_function(format!("made and written as {name}"), |b| {
            b.iter(|| {
                text.clear();
                shape.render(&event(), &mut text);
                black_box(text.len())
            });
        });
    }
    group.finish();
}

fn reading(c: &mut Criterion) {
    let log = Log::new(&KeyName::new("example.com/decisions").unwrap());
    let event = Event::of_entry(&log, LeafIndex::new(42), &decision()).unwrap();
    let mut group = c.benchmark_group("found");
    group.throughput(Throughput::Elements(1));
    for (name, shape) in shapes() {
        let mut text = String::new();
        shape.render(&event, &mut text);
        group.bench_function(format!("read and compared, {name}"), |b| {
            b.iter(|| {
                assert!(
                    read(black_box(&text)).unwrap().iter().all(|found| found.differences(&event).is_empty())
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, events, reading);
criterion_main!(benches);
