//! Every application against the answer that XGBoost gave.
//!
//! Danger: the recomputation of a recorded decision says "tampered" where nothing was. Expected: for each of the 1,989
//! applications the margin and the probability have the bits of `model/golden.csv`, and the approvals are those that
//! `train.py` counted.

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

use std::collections::BTreeMap;

use lending::{applications, model};

#[test]
fn every_application_gets_the_bits_of_the_library() {
    let golden: BTreeMap<u32, (u32, u32)> = include_str!("../model/golden.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let bits = |cell: &str| u32::from_str_radix(cell, 16).unwrap();
            (cells[0].parse().unwrap(), (bits(cells[1]), bits(cells[2])))
        })
        .collect();
    assert_eq!(golden.len(), 1989);

    let model = model::load().unwrap();
    let applications = applications::load(model.feature_names()).unwrap();
    assert_eq!(applications.len(), golden.len());
    for application in &applications {
        let margin = model.margin(&application.features).unwrap();
        let probability = model.probability(margin);
        assert_eq!(
            (margin.to_bits(), probability.to_bits()),
            golden[&application.number],
            "application {}",
            application.number
        );
    }
}

#[test]
fn the_committed_metrics_count_the_same_approvals() {
    let metrics: serde_json::Value = serde_json::from_str(include_str!("../model/metrics.json")).unwrap();
    let counted = |part: &str| metrics[part]["approved_by_model"].as_u64().unwrap();
    let model = model::load().unwrap();
    let threshold = model::threshold().unwrap();
    let approved = applications::load(model.feature_names())
        .unwrap()
        .iter()
        .map(|application| model.probability(model.margin(&application.features).unwrap()))
        .filter(|probability| f64::from(*probability) >= threshold)
        .count();
    assert_eq!(approved as u64, counted("held_out") + counted("trained_on"));
}

#[test]
fn no_protected_class_and_no_outcome_is_an_input() {
    let protected = include_str!("../data/protected.csv").lines().next().unwrap();
    let never = protected
        .split(',')
        .chain(["action", "reject", "approve", "typur", "inson", "gdlin", "unver", "review"]);
    let model = model::load().unwrap();
    for column in never {
        assert!(!model.feature_names().iter().any(|name| name == column), "{column} is an input");
    }
    assert_eq!(model.feature_count(), 31);
}
