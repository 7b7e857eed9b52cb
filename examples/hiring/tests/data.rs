//! The committed texts, head and scores, without any weights.
//!
//! Danger: what is served is not what was trained on, or a protected class has slipped into the texts. Expected: Rust and Python write the
//! same texts; no text has a name; the served résumés were held out; the head and the description fit together.

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

use std::collections::BTreeSet;
use std::path::Path;

use hiring::{model, resumes, study};
use ledgerstone::hash::Hash;
use ledgerstone_verifier::recompute::neural::head;
use serde_json::Value;

/// Whether the study is there; where it cannot be fetched the test says so, and under CI=true it fails.
fn is_there() -> bool {
    match study::fetch() {
        Ok(_) => true,
        Err(error) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("{error:#}"),
        Err(error) => {
            eprintln!("skipped: {error:#}");
            false
        }
    }
}

fn committed(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_texts_are_those_that_the_head_was_trained_on() {
    if !is_there() {
        return;
    }
    let texts: String = resumes::load().unwrap().iter().map(|resume| format!("{}\n", resume.text)).collect();
    assert_eq!(Hash::of(texts.as_bytes()).to_string(), model::metrics().unwrap().texts_sha256);
}

#[test]
fn no_text_has_a_name_a_race_or_a_sex() {
    if !is_there() {
        return;
    }
    let never: BTreeSet<String> = committed("data/protected.csv")
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').skip(1).map(str::to_lowercase).collect::<Vec<_>>())
        .filter(|word| word.len() > 1)
        .chain(["male", "female", "he", "she", "his", "her"].map(str::to_owned))
        .collect();
    assert!(never.len() > 36 && never.contains("lakisha") && never.contains("black"));
    for resume in resumes::load().unwrap() {
        let words = resume.text.split(|letter: char| !letter.is_alphabetic()).map(str::to_lowercase);
        let found: Vec<String> = words.filter(|word| never.contains(word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", resume.text);
    }
}

#[test]
fn what_is_served_was_held_out() {
    if !is_there() {
        return;
    }
    let metrics: Value = serde_json::from_str(&committed("model/metrics.json")).unwrap();
    let held: BTreeSet<u32> = serde_json::from_value(metrics["held_out_resumes"].clone()).unwrap();
    let served = model::metrics().unwrap().served;
    assert_eq!(served.iter().copied().collect::<BTreeSet<_>>().len(), 600);
    assert!(served.iter().all(|number| held.contains(number)));
    let ads = |is_held: bool| -> BTreeSet<String> {
        let lines = committed("data/resumes.csv");
        let rows = lines.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| held.contains(&row[0].parse().unwrap()) == is_held)
            .map(|row| row[1].to_owned())
            .collect()
    };
    assert!(ads(true).is_disjoint(&ads(false)), "an employer's answer is in both parts");
}

#[test]
fn the_head_reads_minilms_vector_and_the_description_says_its_threshold() {
    let file = |name: &str| model::COMMITTED.iter().find(|(file, _)| *file == name).unwrap().1;
    let head = head::read(file("head.json"), file("head.safetensors"), 384).unwrap();
    assert_eq!(head.labels, ["no callback", "callback"]);
    let description: Value = serde_json::from_slice(file("recompute.json")).unwrap();
    assert_eq!(
        description["label"]["threshold"]["value"].as_f64().unwrap(),
        model::metrics().unwrap().threshold
    );
}

#[test]
fn the_metrics_count_the_committed_probabilities() {
    let metrics: Value = serde_json::from_str(&committed("model/metrics.json")).unwrap();
    let held: BTreeSet<u32> = serde_json::from_value(metrics["held_out_resumes"].clone()).unwrap();
    let threshold = model::metrics().unwrap().threshold;
    let golden = committed("model/golden.csv");
    let rows = golden.lines().skip(1).map(|line| line.split_once(',').unwrap());
    let mut scores = Vec::new();
    for ((number, probability), resume) in rows.zip(resumes::load().unwrap()) {
        assert_eq!(number.parse::<u32>().unwrap(), resume.number);
        if held.contains(&resume.number) {
            scores.push((probability.parse::<f64>().unwrap(), resume.called_back));
        }
    }
    let invited = scores.iter().filter(|(probability, _)| *probability >= threshold).count();
    assert_eq!(invited as u64, metrics["held_out"]["invited"].as_u64().unwrap());
    // The chance that somebody who was called back scores above somebody who was not.
    let (mut above, mut pairs) = (0.0, 0.0);
    for (yes, _) in scores.iter().filter(|(_, called_back)| *called_back) {
        for (no, _) in scores.iter().filter(|(_, called_back)| !*called_back) {
            pairs += 1.0;
            above += if yes > no {
                1.0
            } else if yes == no {
                0.5
            } else {
                0.0
            };
        }
    }
    let auc: f64 = above / pairs;
    assert!((auc - metrics["held_out"]["auc"].as_f64().unwrap()).abs() < 1e-4, "{auc}");
}
