use super::*;
use crate::{applications, model};

fn secret() -> RecordSecret {
    RecordSecret::from_bytes([7; 32])
}

/// A record as the sidecar makes it for the first application of the data.
fn record(model: &Model) -> Record {
    let features = &applications::load(model.feature_names()).unwrap()[0].features;
    let margin = model.margin(features).unwrap();
    let probability = f64::from(model.probability(margin));
    let mut builder = RecordBuilder::new();
    for (name, value) in model.feature_names().iter().zip(features) {
        builder.add(schema::feature(name).unwrap(), Value::Float(f64::from(*value))).unwrap();
    }
    for (path, value) in margin_fields(margin).unwrap() {
        builder.add(path, value).unwrap();
    }
    builder.add(schema::score(PROBABILITY).unwrap(), Value::Float(probability)).unwrap();
    builder.add(schema::OUTPUT_LABEL, Value::from(APPROVE)).unwrap();
    builder.add(schema::MODEL_DIGEST, Value::from(model::digest())).unwrap();
    builder.build().unwrap()
}

fn check(record: &Record, committed: &Record) -> Vec<Difference> {
    let model = model::load().unwrap();
    let auditor = Auditor { model: &model, digest: model::digest(), threshold: 0.75 };
    auditor.check(record, &secret(), Some(committed.commit(&secret()).commitment())).unwrap()
}

/// What is found in a record of which one value was changed before the log committed to it.
fn changed(path: &FieldPath, value: Value) -> Vec<Difference> {
    let record = doctored(&record(&model::load().unwrap()), path, value).unwrap();
    check(&record, &record)
}

#[test]
fn finds_nothing_in_a_true_record() {
    let record = record(&model::load().unwrap());
    assert_eq!(check(&record, &record), []);
}

#[test]
fn finds_a_record_that_the_log_did_not_commit_to() {
    let record = record(&model::load().unwrap());
    let path = schema::feature("sch").unwrap();
    let other = doctored(&record, &path, Value::Float(f64::from(-0.0_f32))).unwrap();
    assert_eq!(check(&other, &record), [Difference::Commitment], "a zero of another sign scores the same");
}

#[test]
fn finds_an_answer_that_does_not_follow_from_the_inputs() {
    let found = changed(&schema::feature("cons").unwrap(), Value::Float(6.0));
    assert!(
        matches!(found[..], [Difference::Margin { .. }, Difference::Probability { .. }, ..]),
        "{found:?}"
    );
    let found = changed(&schema::score(PROBABILITY).unwrap(), Value::Float(0.75));
    assert!(matches!(found[..], [Difference::Probability { recorded: Some(0.75), .. }]), "{found:?}");
    let found = changed(&schema::OUTPUT_LABEL, Value::from(DENY));
    assert_eq!(found, [Difference::Label { recorded: Some(DENY.to_owned()), recomputed: APPROVE }]);
}

#[test]
fn finds_one_bit_of_the_margin() {
    let model = model::load().unwrap();
    let record = record(&model);
    let features = &applications::load(model.feature_names()).unwrap()[0].features;
    let margin = f32::from_bits(model.margin(features).unwrap().to_bits() ^ 1);
    let [_, _, (path, digest)] = margin_fields(margin).unwrap();
    let other = doctored(&record, &path, digest).unwrap();
    assert!(matches!(check(&other, &other)[..], [Difference::Margin { .. }]));
}

#[test]
fn finds_another_model() {
    let found = changed(&schema::MODEL_DIGEST, Value::from(Hash::of(b"another")));
    assert_eq!(found, [Difference::Model]);
}

#[test]
fn finds_inputs_that_the_model_does_not_take() {
    let sch = schema::feature("sch").unwrap();
    for value in [Value::Null, Value::Float(0.1), Value::Int(1), Value::from("1")] {
        assert!(matches!(changed(&sch, value)[..], [Difference::Input(_)]));
    }
    let found = changed(&sch, Value::Float(f64::INFINITY));
    assert!(matches!(found[..], [Difference::Input(_)]), "{found:?}");
}

#[test]
fn says_in_words_what_differs() {
    let label = Difference::Label { recorded: Some("deny".to_owned()), recomputed: APPROVE };
    assert_eq!(label.to_string(), "recorded outcome \"deny\", the model gives \"approve\"");
    let probability = Difference::Probability { recorded: None, recomputed: 0.5 };
    assert_eq!(probability.to_string(), "recorded probability nothing, the model gives 0.500000000");
}
