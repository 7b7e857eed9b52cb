//! What a record costs the processor: its commitment, a disclosure, and the check of one.
//!
//! `cargo bench --bench record`. The goal is 1 ms to show three fields of fifty. Ten fields as a small decision has, then one field of 1 KiB and of 10 KiB among them.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops where something fails")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone::disclosure;
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value, schema};

const SECRET: RecordSecret = RecordSecret::from_bytes([7; RecordSecret::LEN]);

/// Ten fields; the input's text has `text_len` bytes.
fn ten_fields(text_len: usize) -> Record {
    let features = ["income", "loan_amount", "term", "dependents", "credit_lines"];
    let builder = RecordBuilder::new()
        .field(schema::DECISION_ID, "0193b3c4-5d6e-7f80-8123-456789abcdef")
        .and_then(|b| b.field(schema::TIME_RECEIVED, 1_795_000_000_000_u64))
        .and_then(|b| b.field(schema::MODEL_DIGEST, Value::Bytes(vec![9; 32])))
        .and_then(|b| b.field(schema::score("approve").unwrap(), 0.731_f64))
        .and_then(|b| b.field(schema::DECISION_SUBJECT, "x".repeat(text_len)))
        .unwrap();
    let fields = features.iter().zip(0_u32..);
    let add = |b: RecordBuilder, (name, n): (&&str, u32)| {
        b.field(schema::feature(name).unwrap(), 1000.5 * f64::from(n)).unwrap()
    };
    fields.fold(builder, add).build().unwrap()
}

fn many_fields(count: u32) -> Record {
    let add = |b: RecordBuilder, n: u32| {
        b.field(schema::feature(&format!("f{n:04}")).unwrap(), f64::from(n)).unwrap()
    };
    (0..count).fold(RecordBuilder::new(), add).build().unwrap()
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for (name, len) in [("10 fields", 12), ("10 fields, 1 KiB", 1024), ("10 fields, 10 KiB", 10 * 1024)] {
        let record = ten_fields(len);
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(|| black_box(&record).commit(&SECRET).commitment()));
    }
    let record = many_fields(1000);
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 fields", |b| b.iter(|| black_box(&record).commit(&SECRET).commitment()));
    group.finish();
}

fn disclose(c: &mut Criterion) {
    let mut group = c.benchmark_group("disclosure");
    for count in [10_u32, 100, 1000] {
        let record = many_fields(count);
        let tree = record.commit(&SECRET);
        let indices: Vec<usize> = (0..count as usize).step_by(3).collect();
        let opened = tree.disclose(&indices).unwrap();
        let commitment = tree.commitment();
        group.throughput(Throughput::Elements(indices.len() as u64));
        group.bench_with_input(BenchmarkId::new("build", count), &indices, |b, indices| {
            b.iter(|| tree.disclose(black_box(indices)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("check", count), &opened, |b, opened| {
            b.iter(|| disclosure::verify(black_box(opened), &commitment).unwrap());
        });
    }
    // What a receipt's holder and the operator do to show three facts of fifty: from the record, and from a receipt that shows all.
    let record = many_fields(50);
    let tree = record.commit(&SECRET);
    let (three, all) = ([3, 17, 41], (0..50).collect::<Vec<_>>());
    let (opened, commitment) = (tree.disclose(&all).unwrap(), tree.commitment());
    let kept: Vec<FieldPath> = opened
        .openings
        .iter()
        .filter(|opening| three.contains(&(opening.index as usize)))
        .map(|opening| opening.path.clone())
        .collect();
    let narrowed = disclosure::narrow(&opened, &commitment, |path| kept.contains(path)).unwrap();
    assert_eq!(narrowed, tree.disclose(&three).unwrap());
    group.throughput(Throughput::Elements(1));
    group.bench_function("3 of 50 from the record", |b| {
        b.iter(|| black_box(&record).commit(&SECRET).disclose(&three).unwrap());
    });
    group.bench_function("3 of 50 from a receipt", |b| {
        b.iter(|| disclosure::narrow(black_box(&opened), &commitment, |path| kept.contains(path)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, commit, disclose);
criterion_main!(benches);
