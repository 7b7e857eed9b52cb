//! A model server that secretly computes with another model than the registered one, and an audit of what the sidecar recorded of it.
//!
//! Danger: the operator swaps the model for a cheaper or a kinder one, and the audit says EXACT; or an honest operator is accused. Expected: no
//! exception on honest decisions; a missing tree, rounded leaves and a model of another seed show in nearly every decision; a changed leaf
//! shows in exactly the decisions that reach it; a record changed afterwards is refused by its commitment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/tampers.rs"]
#[allow(dead_code, reason = "shared with the programs that measure")]
mod tampers;

use tampers::{
    audited, credit, drop_last_tree, edited, lending, raise_leaf, reach_leaf, round_leaves, trained,
};

/// Decisions of a case: the table of docs/exactness.md has all of them.
const DECISIONS: usize = 200;

fn share(found: usize, of: usize) -> f64 {
    found as f64 / of as f64
}

#[test]
fn honest_decisions_are_never_accused() {
    let data = lending(DECISIONS, None);
    let honest = audited(&data.honest, &data.honest, &data.rows);
    assert_eq!((honest.decisions, honest.found.len(), honest.flips), (DECISIONS, 0, 0));
    // The way to the tampers, a file taken apart and written anew, changes nothing by itself.
    let written_anew = edited(&data.honest, |_| {});
    assert!(audited(&data.honest, &written_anew, &data.rows).found.is_empty());
}

#[test]
fn a_missing_tree_and_rounded_leaves_show_in_nearly_every_decision() {
    let data = lending(DECISIONS, None);
    for tamper in [drop_last_tree, round_leaves] {
        let found = audited(&data.honest, &edited(&data.honest, tamper), &data.rows).found.len();
        assert!(share(found, DECISIONS) >= 0.99, "found in {found} of {DECISIONS}");
    }
}

#[test]
fn a_changed_leaf_shows_in_the_decisions_that_reach_it_and_in_no_other() {
    let data = lending(DECISIONS, None);
    let reached = reach_leaf(&data.honest, &data.rows);
    assert!(!reached.is_empty() && reached.len() < DECISIONS / 2, "{} decisions", reached.len());
    let found = audited(&data.honest, &edited(&data.honest, raise_leaf), &data.rows).found;
    assert_eq!(found, reached);
}

#[test]
fn a_model_of_another_seed_shows_in_nearly_every_decision() {
    let folder = tempfile::tempdir().unwrap();
    let Some(folder) = trained(folder.path()) else { return };
    for data in [lending(DECISIONS, Some(&folder)), credit(DECISIONS, &folder)] {
        assert!(audited(&data.honest, &data.honest, &data.rows).found.is_empty(), "{}", data.name);
        for (what, served) in &data.trained {
            let found = audited(&data.honest, served, &data.rows).found.len();
            assert!(
                share(found, DECISIONS) >= 0.99,
                "{}, {what}: found in {found} of {DECISIONS}",
                data.name
            );
        }
    }
}

#[test]
fn an_input_changed_after_the_record_is_refused_by_its_commitment() {
    let data = lending(DECISIONS, None);
    let honest = audited(&data.honest, &data.honest, &data.rows);
    let doctored = honest.doctored("obrat");
    assert_eq!((doctored.records, doctored.by_commitment), (DECISIONS, DECISIONS));
    // Numbers alone would not have told most of them.
    assert!(doctored.by_recomputation < DECISIONS / 2, "{}", doctored.by_recomputation);
}
