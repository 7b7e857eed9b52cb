//! Stable CI replays the corpus of every target and seeded mutations of it.
//!
//! Danger: a parser panics, or accepts two byte strings for one fact. Expected: no panic; whatever is accepted turns back
//! into the same bytes (the targets assert it); each corpus holds something accepted, so that no target is idle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::path::Path;

use ledgerstone_fuzz::TARGETS;
use ledgerstone_fuzz::mutate::{Rng, mutate};
use ledgerstone_fuzz::targets::corpus;

const MUTATIONS_PER_TARGET: usize = 3_000;

#[test]
fn every_target_survives_its_corpus_and_mutations_of_it() {
    for target in TARGETS {
        let corpus = corpus(Path::new(env!("CARGO_MANIFEST_DIR")), target.name);
        assert!(!corpus.is_empty(), "fuzz/corpus/{} is empty", target.name);
        let accepted = corpus.iter().filter(|input| (target.run)(input)).count();
        assert!(accepted > 0, "{} accepts nothing of its corpus: the target is idle", target.name);
        let mut rng = Rng::new(0x1ed6);
        for round in 0..MUTATIONS_PER_TARGET {
            let first = &corpus[round % corpus.len()];
            let second = &corpus[rng.below(corpus.len())];
            (target.run)(&mutate(first, second, &mut rng));
        }
    }
}
