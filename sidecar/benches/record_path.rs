//! What recording costs the processor for each decision: reading the call, mapping its fields, committing to them, sealing.
//! No socket, no log, no `fdatasync`: those are waiting, not work, and `examples/load.rs` measures them.
//!
//! `cargo bench -p ledgerstone-sidecar --bench record_path`
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may stop where it fails")]

#[path = "support/call.rs"]
mod call;

use call::{recorder, request, response};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerstone_sidecar::intercept::{RouteConfig, measure};

/// Ten named features, a score, a threshold: the usual lending call.
fn mapped() -> RouteConfig {
    toml::from_str(
        r#"
        name = "loans"
        adverse = ["deny"]
        score = { tensor = "predict" }
        threshold = { value = 0.5, above = "approve", below = "deny" }
        features = [{ tensor = "input", names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] }]
        "#,
    )
    .unwrap()
}

fn record_path(criterion: &mut Criterion) {
    let named = recorder(&[mapped()]);
    let unnamed = recorder(&[]);
    let response = response();
    let mut group = criterion.benchmark_group("record_path");
    for (name, recorder, request) in [
        ("10_features", &named, request(10, [])),
        ("1_kib_by_digest", &unnamed, request(256, [])),
        ("10_kib_by_digest", &unnamed, request(2560, [])),
    ] {
        assert!(measure::decision(recorder, &request, &response).is_some(), "{name} is refused");
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| measure::decision(recorder, &request, &response));
        });
    }
    group.finish();
}

criterion_group!(benches, record_path);
criterion_main!(benches);
