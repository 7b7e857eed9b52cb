//! Records of a small text model whose reasons are words, changed one thing at a time.
//!
//! Danger: reasons that follow within the tolerance are called altered, or altered ones pass; a word of a person's text gets into the results. Expected: another
//! recorder's rounding and ties pass and are said; other words, orders, contributions and codes differ; what cannot be rechecked is counted as that.

#![cfg(feature = "neural")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::collections::BTreeMap;
use std::path::Path;

use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{RecordBuilder, Value};
use ledgerstone_verifier::audit::profile::{self, AttributionTolerance, Honest, Machine, Profile};
use ledgerstone_verifier::audit::replay::Recomputer;
use ledgerstone_verifier::audit::verdict::{Replayed, Verdict};
use ledgerstone_verifier::recompute::description::{self, Description, Numbers, ReasonSource, Reasons};
use ledgerstone_verifier::recompute::neural::integrated::{Baseline, Rule};
use ledgerstone_verifier::recompute::neural::{
    Attributions, ENGINE, Files, GradientType, Processor, TextModel, WordShare,
};

const TEXT: &str = "a Loan was refused, she left";

const REASONS: &str = r#"{"from": {"integrated_gradients": {"of": "margins", "index": 1, "push": "down", "steps": 20,
    "rule": "gausslegendre", "baseline": "pad"}}, "count": 3, "table": [
    {"feature": "LOAN", "code": "L1", "text": "the loan"}, {"feature": "left", "code": "G1"}]}"#;

fn folder(family: &str, reasons: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/text").join(family);
    let names = ["config.json", "tokenizer.json", "model.safetensors"];
    let read = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap());
    let mut files: BTreeMap<_, _> = names.into_iter().map(read).collect();
    let description = format!(
        r#"{{"format": "ledgerstone-recompute/v1", "text": {{"feature": "t"}},
            "scores": [{{"name": "p", "of": "answer", "index": 1}}], "reasons": {reasons}}}"#
    );
    files.insert(description::FILE.to_owned(), description.into_bytes());
    files
}

fn model() -> TextModel {
    TextModel::load(&Files::new(folder("bert", REASONS)).unwrap()).unwrap()
}

fn explained() -> Attributions {
    let model = model();
    let description = Description::parse(&folder("bert", REASONS)[description::FILE]).unwrap();
    let Some(Reasons { from: ReasonSource::IntegratedGradients(how), .. }) = description.reasons else {
        panic!("reasons are words")
    };
    let gradients = model.gradients(GradientType::F64).unwrap();
    model.attributions(&gradients, TEXT, &how.integrated(), None).unwrap()
}

/// How a record names a word.
fn name(word: &WordShare) -> String {
    format!("{}:{}", word.start, word.end)
}

/// The words that push down, the farthest first.
fn down(explained: &Attributions) -> Vec<WordShare> {
    let mut words: Vec<WordShare> =
        explained.words.iter().filter(|word| word.attribution < 0.0).cloned().collect();
    words.sort_by(|one, other| one.attribution.total_cmp(&other.attribution));
    assert!(words.len() > 3, "enough to choose from");
    words
}

fn recomputer(tau: Option<f64>) -> Recomputer {
    let loaded = Recomputer::load(&folder("bert", REASONS)).unwrap();
    match tau {
        None => loaded,
        Some(tau) => loaded.within(&profile(20, tau)).unwrap(),
    }
}

fn profile(steps: u16, tau: f64) -> Profile {
    let honest = || Honest { count: 1, max: 0.0, p999: 0.0 };
    Profile {
        format: profile::FORMAT.to_owned(),
        model: "00".repeat(32),
        quantity: "vector".to_owned(),
        engine: ENGINE.to_owned(),
        dtype: "f32".to_owned(),
        machine: Machine::here(Processor::Cpu),
        threads: vec![1],
        batches: vec![1],
        inputs: "00".repeat(32),
        honest: honest(),
        tau: 0.0,
        tampers: Vec::new(),
        attributions: Some(AttributionTolerance {
            of: Numbers::Margins,
            index: 1,
            steps,
            rule: Rule::GaussLegendre,
            baseline: Baseline::Pad,
            honest: honest(),
            tau,
        }),
    }
}

/// A record with these words as reasons, and other parts of them.
fn replay(recomputer: &Recomputer, words: &[WordShare], more: &[(u32, ReasonPart, Value)]) -> Replayed {
    let mut builder = RecordBuilder::new();
    let score = model().score(TEXT).unwrap();
    builder.add(schema::feature("t").unwrap(), Value::from(TEXT)).unwrap();
    builder.add(schema::score("p").unwrap(), Value::Float(f64::from(score.probabilities[1]))).unwrap();
    for (index, word) in (0..).zip(words) {
        builder.add(schema::reason(index, ReasonPart::Feature), Value::from(&*name(word))).unwrap();
        builder.add(schema::reason(index, ReasonPart::Contribution), Value::Float(word.attribution)).unwrap();
    }
    for (index, part, value) in more {
        builder.add(schema::reason(*index, *part), value.clone()).unwrap();
    }
    let replayed = recomputer.replay(&builder.build().unwrap(), None);
    assert_eq!(replayed.verdict, Verdict::Exact, "{replayed:?}");
    replayed
}

/// What the reasons came to: whether they differ, whether they were rechecked, and how much there is to say.
fn found(replayed: &Replayed) -> (bool, bool, usize) {
    (replayed.reasons_differ, replayed.reasons_unchecked.is_none(), replayed.differences.len())
}

#[test]
fn the_words_themselves_follow_with_and_without_a_profile() {
    let words = down(&explained());
    assert_eq!(found(&replay(&recomputer(None), &words[..3], &[])), (false, true, 0));
    assert_eq!(found(&replay(&recomputer(Some(1e-9)), &words[..3], &[])), (false, true, 0));
}

#[test]
fn another_recorders_rounding_is_within_the_tolerance_or_unchecked() {
    let mut words = down(&explained())[..3].to_vec();
    words[1].attribution += 1e-6;
    assert_eq!(found(&replay(&recomputer(Some(2e-6)), &words, &[])), (false, true, 0));
    let unchecked = replay(&recomputer(None), &words, &[]);
    assert_eq!(found(&unchecked), (false, false, 0));
    assert!(unchecked.reasons_unchecked.unwrap().contains("no tolerance profile"));
    let beyond = replay(&recomputer(Some(9e-7)), &words, &[]);
    assert_eq!(found(&beyond), (true, true, 1), "{beyond:?}");
    assert!(beyond.is_exception());
}

#[test]
fn other_words_differ_and_a_tie_within_the_tolerance_is_said() {
    let words = down(&explained());
    let turned = |by: f64| {
        let mut turned = vec![words[1].clone(), words[0].clone(), words[2].clone()];
        let middle = f64::midpoint(words[0].attribution, words[1].attribution);
        (turned[0].attribution, turned[1].attribution) = (middle - by, middle + by);
        turned
    };
    let apart = words[1].attribution - words[0].attribution;
    let tie = replay(&recomputer(Some(apart)), &turned(apart / 100.0), &[]);
    assert_eq!(found(&tie), (false, true, 1), "{tie:?}");
    assert!(tie.differences[0].what.contains("hang on rounding") && !tie.is_exception(), "{tie:?}");
    assert_eq!(found(&replay(&recomputer(Some(apart / 4.0)), &turned(apart / 100.0), &[])), (true, true, 1));
    let up = explained().words.into_iter().find(|word| word.attribution > 1e-3).unwrap();
    for tau in [None, Some(1e-4)] {
        // A word that pushes up, as it is, one left out, and none at all.
        let with = [words[0].clone(), words[1].clone(), up.clone()];
        assert!(replay(&recomputer(tau), &with, &[]).reasons_differ, "{tau:?}");
    }
    assert!(replay(&recomputer(Some(1e-9)), &words[1..4], &[]).reasons_differ);
    assert!(replay(&recomputer(Some(1e-9)), &[], &[]).reasons_differ);
    assert!(replay(&recomputer(Some(1e-9)), &words[..4], &[]).reasons_differ, "more than are counted");
}

#[test]
fn codes_are_the_tables_and_no_word_is_shown() {
    let words = down(&explained());
    let recomputer = recomputer(Some(1e-9));
    let chars: Vec<char> = TEXT.chars().collect();
    for (index, word) in (0..).zip(&words[..3]) {
        let spelled: String = chars[word.start..word.end].iter().collect::<String>().to_lowercase();
        let right = match &*spelled {
            "loan" => Some("L1"),
            "left" => Some("G1"),
            _ => None,
        };
        for code in ["L1", "G1", "X9"] {
            let said = replay(&recomputer, &words[..3], &[(index, ReasonPart::Code, Value::from(code))]);
            assert_eq!(said.reasons_differ, right != Some(code), "{spelled} {code}");
        }
    }
    let mut nameless = words[..3].to_vec();
    nameless[2].end += 1;
    let said = replay(&recomputer, &nameless, &[]);
    assert_eq!(found(&said), (true, true, 1));
    assert!(said.differences[0].what.contains("START:END"), "{said:?}");
    let said = replay(&recomputer, &[], &[(0, ReasonPart::Feature, Value::from("secret"))]);
    assert!(said.reasons_differ && !format!("{said:?}").contains("secret"), "{said:?}");
    let without = replay(&recomputer, &[], &[(0, ReasonPart::Code, Value::from("L1"))]);
    assert_eq!(found(&without), (false, false, 0), "{without:?}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refused =
        |family: &str, reasons: &str| Recomputer::load(&folder(family, reasons)).unwrap_err().to_string();
    assert!(refused("deberta-v2", REASONS).contains("integrated gradients of DeBERTa v2"));
    assert!(refused("modernbert", REASONS).contains("integrated gradients of ModernBERT"));
    assert!(refused("bert", &REASONS.replace(r#""index": 1"#, r#""index": 3"#)).contains("place 3 of 3"));
    for (from, to) in [
        (r#""steps": 20"#, r#""steps": 0"#),
        (r#""steps": 20"#, r#""steps": 1001"#),
        ("gausslegendre", "simpson"),
        (r#""of": "margins""#, r#""of": "vector""#),
        (r#""baseline": "pad""#, r#""baseline": "zero""#),
        (r#", "baseline": "pad""#, ""),
    ] {
        assert!(REASONS.replace('\n', "").replace("    ", " ").contains(from), "{from}");
        let changed = REASONS.replace('\n', "").replace("    ", " ").replace(from, to);
        assert!(refused("bert", &changed).contains("recompute.json"), "{to}");
    }
    let other = Recomputer::load(&folder("bert", REASONS)).unwrap().within(&profile(50, 1.0)).unwrap_err();
    assert!(other.to_string().contains("another number, rule"), "{other}");
}
