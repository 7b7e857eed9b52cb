//! Reasons against a background, and reasons that nothing rechecks.

use std::path::Path;

use ledgerstone::record::RecordBuilder;

use super::*;
use crate::audit::replay::Recomputer;
use crate::audit::verdict::{Replayed, Verdict};
use crate::recompute::{Permutations, description};

const BACKGROUND: &str = "a,b,c,d,e,f,g\n12,18,76,449,,0.0625,0.25\n13,15,85,520,0.125,0.125,0.5\n";

const ROW: [f64; 7] = [17.0, 10.0, 122.0, 1001.0, 0.125, 0.25, 0.25];

const COLUMNS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

fn model() -> Vec<u8> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/interventional");
    std::fs::read(models.join("xgboost_small.json")).unwrap()
}

fn load(reasons: &str, background: &str) -> Result<Recomputer, RecomputerError> {
    let columns = COLUMNS.map(|name| format!(r#"{{"feature": "{name}"}}"#)).join(", ");
    let description = format!(
        r#"{{"format": "ledgerstone-recompute/v1", "model": "m.json", "dtype": "FP32", "columns": [{columns}],
            "scores": [{{"name": "s", "of": "margins"}}]{reasons}}}"#
    );
    let files = [
        ("m.json", model()),
        ("background.csv", background.as_bytes().to_vec()),
        (description::FILE, description.into_bytes()),
    ];
    Recomputer::load(&files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
}

const WHOLE: &str =
    r#", "reasons": {"from": {"contributions": {"background": "background.csv"}}, "count": 7}"#;

const DRAWN: &str = r#", "reasons": {"from": {"contributions": {"background": "background.csv",
    "permutations": {"evaluations": 100, "seed": 7}}}, "count": 7}"#;

/// A record of [`ROW`] with these contributions, and more.
fn replay(recomputer: &Recomputer, contributions: &[f64], more: &[(FieldPath, Value)]) -> Replayed {
    let mut builder = RecordBuilder::new();
    for (name, value) in COLUMNS.into_iter().zip(ROW) {
        builder.add(schema::feature(name).unwrap(), Value::Float(value)).unwrap();
    }
    let margin = Model::parse(&model()).unwrap().score(&ROW).unwrap().margins[0];
    builder.add(schema::score("s").unwrap(), Value::Float(margin)).unwrap();
    for (index, contribution) in (0..).zip(contributions) {
        let [name, weight] =
            [ReasonPart::Feature, ReasonPart::Contribution].map(|part| schema::reason(index, part));
        builder.add(name, Value::from(COLUMNS[index as usize])).unwrap();
        builder.add(weight, Value::Float(*contribution)).unwrap();
    }
    for (path, value) in more {
        builder.add(path.clone(), value.clone()).unwrap();
    }
    recomputer.replay(&builder.build().unwrap(), None)
}

fn contributions(drawn: Option<Permutations>) -> Vec<f64> {
    let model = Model::parse(&model()).unwrap();
    let rows = Rows::read(BACKGROUND.as_bytes(), &model.about()).unwrap();
    let rows: Vec<Vec<f64>> = rows.iter().map(Result::unwrap).collect();
    let against = model.against(&rows.concat(), drawn).unwrap();
    let explained = model.contributions_against(&ROW, &against).unwrap();
    assert_ne!(explained, model.contributions(&ROW).unwrap());
    explained[0][..7].to_vec()
}

#[test]
fn reasons_against_a_background_follow_bit_for_bit() {
    let recomputer = load(WHOLE, BACKGROUND).unwrap();
    let right = contributions(None);
    let digest = |text: &str| [(schema::EXPLANATION_BASELINE_DIGEST, Value::from(Hash::of(text.as_bytes())))];
    let replayed = replay(&recomputer, &right, &digest(BACKGROUND));
    assert_eq!((replayed.verdict, replayed.reasons_differ), (Verdict::Exact, false), "{replayed:?}");
    assert_eq!(replayed.reasons_unchecked, None);
    assert!(replay(&recomputer, &right, &digest("other rows")).reasons_differ);
    let mut changed = right.clone();
    let place = changed.iter().position(|weight| *weight != 0.0).unwrap();
    changed[place] = f64::from_bits(changed[place].to_bits() ^ 1);
    assert!(replay(&recomputer, &changed, &[]).reasons_differ);
    let other = BACKGROUND.replace("12,18,76", "12,18,176");
    assert!(replay(&load(WHOLE, &other).unwrap(), &right, &[]).reasons_differ);
}

#[test]
fn reasons_by_drawn_orders_follow_from_their_seed_bit_for_bit() {
    let right = contributions(Some(Permutations { evaluations: 100, seed: 7 }));
    let recomputer = load(DRAWN, BACKGROUND).unwrap();
    let replayed = replay(&recomputer, &right, &[]);
    assert_eq!((replayed.verdict, replayed.reasons_differ), (Verdict::Exact, false), "{replayed:?}");
    assert_eq!(replayed.reasons_unchecked, None);
    assert!(replay(&recomputer, &contributions(None), &[]).reasons_differ);
    assert!(replay(&load(WHOLE, BACKGROUND).unwrap(), &right, &[]).reasons_differ);
}

#[test]
fn a_background_that_does_not_fit_is_refused() {
    for (reasons, background) in [
        (WHOLE, ""),
        (WHOLE, "a,b\n1,2\n"),
        (WHOLE, "a,b,c,d,e,f,g\n"),
        (WHOLE, "a,b,c,d,e,f,g\n1,2,3,4,5,6,x\n"),
        (&*WHOLE.replace("background.csv", "other.csv"), BACKGROUND),
    ] {
        assert!(matches!(load(reasons, background), Err(RecomputerError::Fit { .. })), "{background}");
    }
}

#[test]
fn recorded_reasons_that_nothing_rechecks_are_named() {
    let without = load("", BACKGROUND).unwrap();
    let sampled = r#", "reasons": {"from": {"sampled": {"method": "LIME"}}, "count": 3}"#;
    let sampled = load(sampled, BACKGROUND).unwrap();
    let said = |recomputer: &Recomputer, contributions: &[f64]| {
        let replayed = replay(recomputer, contributions, &[]);
        assert_eq!((replayed.verdict, replayed.reasons_differ), (Verdict::Exact, false), "{replayed:?}");
        replayed.reasons_unchecked
    };
    assert!(said(&without, &[0.5]).unwrap().contains("does not say how"));
    assert!(said(&sampled, &[0.5]).unwrap().contains("LIME is not reproducible"));
    assert_eq!(said(&without, &[]), None);
    assert_eq!(said(&sampled, &[]), None);
}
