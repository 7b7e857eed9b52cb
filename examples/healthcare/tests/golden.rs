//! Every biopsy against the answer that LightGBM gave.
//!
//! Danger: the recomputation of a recorded decision says "tampered" where nothing was. Expected: for each of the 569 biopsies
//! the margin, the probability and every contribution have the bits of `model/golden.csv`, and the suspicious ones are those that
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

use healthcare::{biopsies, tumour};
use ledgerstone::hash::Hash;

#[test]
fn every_biopsy_gets_the_bits_of_the_library() {
    let model = tumour::load().unwrap();
    let biopsies = biopsies::load(model.feature_names()).unwrap();
    let golden: Vec<Vec<&str>> =
        include_str!("../model/golden.csv").lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!((biopsies.len(), golden.len()), (569, 569));
    let bits =
        |values: &[f64]| values.iter().map(|value| format!("{:016x}", value.to_bits())).collect::<String>();
    for (biopsy, golden) in biopsies.iter().zip(&golden) {
        let margins = model.margins(&biopsy.features).unwrap();
        let contributions = model.contributions(&biopsy.features).unwrap().concat();
        assert_eq!(golden[0], biopsy.case.to_string());
        assert_eq!(bits(&margins), golden[1], "margin of case {}", biopsy.case);
        assert_eq!(bits(&model.answer(&margins)), golden[2], "probability of case {}", biopsy.case);
        let bytes: Vec<u8> = contributions.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(Hash::of(&bytes).to_string(), golden[3], "contributions of case {}", biopsy.case);
    }
}

#[test]
fn the_committed_metrics_count_the_same_biopsies() {
    let metrics: serde_json::Value = serde_json::from_str(include_str!("../model/metrics.json")).unwrap();
    let counted = |key: &str| {
        ["held_out", "trained_on"].iter().map(|part| metrics[part][key].as_u64().unwrap()).sum::<u64>()
            as usize
    };
    let model = tumour::load().unwrap();
    let threshold = tumour::threshold().unwrap();
    let biopsies = biopsies::load(model.feature_names()).unwrap();
    let is_suspicious = |features: &[f64]| model.answer(&model.margins(features).unwrap())[0] >= threshold;
    let suspicious: Vec<_> = biopsies.iter().filter(|one| is_suspicious(&one.features)).collect();
    assert_eq!(suspicious.len(), counted("suspicious"));
    assert_eq!(suspicious.iter().filter(|one| one.malignant).count(), counted("malignant_found"));
    let description: serde_json::Value = serde_json::from_slice(tumour::DESCRIPTION).unwrap();
    assert_eq!(description["label"]["threshold"]["value"], threshold);
}
